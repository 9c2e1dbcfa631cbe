"""A liver's tubes before they are named, and the roots of the two trees that they may belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.anatomy import Landmark, Vessel
from ...case.anatomy import LandmarkName as Name
from ...volume.masks import components, within_mm
from . import usual
from .cava import Cava
from .grid import GRID_MM, LiverGrid
from .landmarks import cava_landmarks, find_bifurcation, find_fossa
from .tube_shape import Course, courses, depth_inside
from .tubes import ridges, seed_distances, tube_mask

HEPATIC_SEED_MM = 16.0
"""Tubes so near the upper vena cava enter it: what is thinner there is often not seen up to its wall."""
BESIDE_LIVER_MM = 3.0
"""Tubes so far outside the liver's outline are of it still: outlines differ by as much."""
TRUNK_MM, TRUNK_LENGTH_MM = 20.0, 60.0
"""What comes so near the portal bifurcation from outside the liver is the trunk, and is followed so far."""


@dataclass(frozen=True, eq=False)
class Roots:
    """Where the trees begin.

    Attributes:
        hepatic_seed, portal_seed: bool, the IVC where the veins enter it, and the portal trunk.
        confluence_lps, bifurcation_lps: points of the two.
        ivc_low_lps: the vena cava at the hilum.
    """

    hepatic_seed: NDArray[np.bool_]
    portal_seed: NDArray[np.bool_]
    confluence_lps: NDArray[np.float64]
    bifurcation_lps: NDArray[np.float64]
    ivc_low_lps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoundTubes:
    """Tubes on the liver's grid.

    Attributes:
        tubes_zyx: bool; strength_zyx: HU, 0 outside them; cava_zyx: bool, never a tube.
        roots: of the trees.
        hepatic_mm, portal_mm: (n,) of the tubes' voxels, from the roots along the tubes; infinite where not
            reached.
        landmarks: those that need no named tree.
        networks: 0..255, what a network says of hepatic veins and of the portal vein; None without one.
    """

    tubes_zyx: NDArray[np.bool_]
    strength_zyx: NDArray[np.float32]
    cava_zyx: NDArray[np.bool_]
    roots: Roots
    hepatic_mm: NDArray[np.float64]
    portal_mm: NDArray[np.float64]
    landmarks: dict[str, Landmark]
    networks: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    @cached_property
    def course(self) -> Course:
        """The tubes' directions, and how straight they are, as they are usually read."""
        return courses(self.tubes_zyx)

    @cached_property
    def depth(self) -> NDArray[np.float64]:
        """Of the tubes' voxels: see :func:`~.tube_shape.depth_inside`."""
        return depth_inside(self.tubes_zyx)


def find_tubes(
    grid: LiverGrid,
    cava: Cava | None,
    contrast: float,
    networks: Mapping[Vessel, NDArray[np.uint8]] | None,
    least_ml: float,
    probability: float,
) -> FoundTubes:
    """Tubes of the ridge filter and of a network.

    Args:
        contrast: of the vessels, HU.
        networks: 0..255 by kind, on the grid.
        least_ml: smaller pieces are texture; probability: 0..1, from which on the network sees a vessel.
    """
    known = cava_landmarks(grid, cava)
    cava_zyx = np.zeros(grid.liver_zyx.shape, bool) if cava is None else cava.mask_zyx
    hilum = ball(grid, np.add(known[Name.IVC_LOW].lps, (*usual.FROM_IVC_MM, 0.0)), 30.0)
    strength = ridges(grid, hilum if cava is None else hilum & ~ndimage.binary_dilation(cava_zyx))
    tubes = tube_mask(strength, contrast, least_ml)
    # The bifurcation is the widest tube: the filter weighs width, the network does not.
    known[Name.BIFURCATION] = find_bifurcation(
        grid, np.where(tubes, strength, 0).astype(np.float32), known[Name.IVC_LOW]
    )
    if networks is not None:
        tubes |= _seen(networks, probability)
        tubes &= ~cava_zyx
        strength = strength + np.float32(contrast)
    known[Name.GALLBLADDER] = find_fossa(grid)
    # The IVC's line is read at the bifurcation's height.
    known |= _ivc_at(grid, cava, known)
    fork, high, low = (np.array(known[n].lps) for n in (Name.BIFURCATION, Name.IVC_HIGH, Name.IVC_LOW))
    roots = Roots(_hepatic_seed(grid, cava, known), ball(grid, fork, 9.0), high, fork, low)
    tubes &= _of_the_liver(grid, tubes, roots)
    hepatic_mm, portal_mm = seed_distances(tubes, roots.hepatic_seed, roots.portal_seed)
    both = networks is not None and {Vessel.HEPATIC, Vessel.PORTAL} <= set(networks)
    return FoundTubes(
        tubes,
        np.where(tubes, strength, 0).astype(np.float32),
        cava_zyx,
        roots,
        hepatic_mm,
        portal_mm,
        known,
        (networks[Vessel.HEPATIC], networks[Vessel.PORTAL]) if networks is not None and both else None,
    )


def _ivc_at(grid: LiverGrid, cava: Cava | None, known: Mapping[str, Landmark]) -> dict[str, Landmark]:
    """The IVC's lower point at the height of the portal bifurcation."""
    if cava is None:
        return {}
    z = float(grid.geometry.lps_to_index(known[Name.BIFURCATION].lps)[0])
    at = grid.geometry.index_to_lps((z, *cava.at_height(z)))
    low = known[Name.IVC_LOW]
    return {Name.IVC_LOW: replace(low, lps=(float(at[0]), float(at[1]), float(at[2])))}


def _of_the_liver(grid: LiverGrid, tubes_zyx: NDArray[np.bool_], roots: Roots) -> NDArray[np.bool_]:
    """Where a tube can be a vessel of the liver: in it, at its outline, and where the two trees leave it.

    Stomach, ribs and heart beside it are bright as well.
    """
    own = within_mm(grid.liver_zyx, (GRID_MM,) * 3, BESIDE_LIVER_MM) | roots.hepatic_seed
    trunk = tubes_zyx & ~own & ball(grid, roots.bifurcation_lps, TRUNK_LENGTH_MM)
    pieces, count = components(trunk)
    begins = np.bincount(pieces[ball(grid, roots.bifurcation_lps, TRUNK_MM)], minlength=count + 1) > 0
    begins[0] = False
    return np.asarray(own | begins[pieces])


def _hepatic_seed(grid: LiverGrid, cava: Cava | None, known: Mapping[str, Landmark]) -> NDArray[np.bool_]:
    """The upper part of the IVC, where the hepatic veins enter it, and what touches it."""
    high = known[Name.IVC_HIGH].lps
    if cava is None:
        return ball(grid, np.array(high), 18.0)
    seed = within_mm(cava.mask_zyx, (GRID_MM,) * 3, HEPATIC_SEED_MM)
    lowest = float(grid.geometry.lps_to_index(high)[0]) - 26.0 / GRID_MM
    seed[: max(0, int(lowest))] = False
    return seed


def ball(grid: LiverGrid, centre_lps: NDArray[np.float64], radius_mm: float) -> NDArray[np.bool_]:
    """Where a voxel lies so near a point."""
    index = np.asarray(grid.geometry.lps_to_index(centre_lps))
    z, y, x = np.ogrid[tuple(slice(0, n) for n in grid.geometry.shape_zyx)]
    away = (z - index[0]) ** 2 + (y - index[1]) ** 2 + (x - index[2]) ** 2
    return np.asarray(away * GRID_MM**2 <= radius_mm**2)


def _seen(networks: Mapping[Vessel, NDArray[np.uint8]], threshold: float) -> NDArray[np.bool_]:
    """Where a network sees a hepatic or portal vein: likely enough a vessel, and no vena cava."""
    trees = [values for kind, values in networks.items() if kind != Vessel.IVC]
    cava = networks.get(Vessel.IVC, np.uint8(0))
    likely = np.sum([*trees, np.broadcast_to(cava, trees[0].shape)], axis=0, dtype=np.int32)
    return np.asarray((likely >= 255 * threshold) & (np.max(trees, axis=0) >= cava))
