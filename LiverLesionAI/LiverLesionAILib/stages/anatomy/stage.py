"""The anatomy of one liver: its vessels, the landmarks they show, the segments these make, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.anatomy import RIGHT_SEGMENTS, Landmark, LiverAnatomy, Vessel
from ...case.anatomy import LandmarkName as Name
from ...case.classes import Phase
from ...support.progress import Progress, part, silent
from ...volume.geometry import Geometry
from ...volume.resampling import resample_labels
from . import usual
from .cava import Cava, find_cava
from .face import VesselFinder
from .grid import GRID_MM, LiverGrid, liver_grid
from .landmarks import cava_landmarks, find_bifurcation, find_fossa, portal_landmarks, vein_landmarks
from .naming import Roots, named_trees
from .network import vessel_probability
from .planes import segments_from_landmarks
from .tubes import contrast_hu, ridges, tube_mask


@dataclass(frozen=True)
class AnatomySettings:
    """Lines of the page of rules."""

    PREFIX: ClassVar[str] = "anatomy_"

    contrast_hu: float
    cut_share: float
    mirrored_mm: float
    cava_score: float
    cava_uneven_hu: float
    vessel_ml: float
    least_right: float
    most_right: float
    probability: float


HEPATIC_SEED_MM = 16.0
"""Tubes so near the upper vena cava enter it: what is thinner there is often not seen up to its wall."""

CUT = (
    "The scan cuts the liver off: without its whole shape the segments cannot be told. "
    "Vessels and segments are left out."
)
MIRRORED = (
    "The liver lies on the left side of the body: the segments of a mirrored body (situs inversus) are left "
    "out. Check the scan's orientation; nothing was flipped."
)
UNENHANCED = (
    "The scan seems to be without contrast medium: hepatic and portal veins are not seen, and vessels and "
    "segments are left out."
)
NO_CONTRAST = (
    "The liver's veins are not clearly brighter than its tissue ({found:.0f} HU; {asked:.0f} are asked): "
    "another phase, or a fatty liver. Vessels and segments are left out."
)
NO_CAVA = "The inferior vena cava was not found behind the liver, so that the segments cannot be told."
HALVES = (
    "The planes give the right hemiliver {right:.0f} % of the liver, outside {low:.0f} to {high:.0f} %: "
    "resected, or of an unusual shape. The segments are left out."
)
TOO_SMALL = "There is no liver, or too little of it, to tell its segments."


def find_anatomy(
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_],
    lesions_zyx: NDArray[np.bool_],
    phase: Phase | None,
    settings: AnatomySettings,
    gallbladder_zyx: NDArray[np.bool_] | None = None,
    finder: VesselFinder | None = None,
    progress: Progress = silent,
) -> LiverAnatomy:
    """Vessels, landmarks and segments of a liver; what cannot be told is blank, with the reason.

    Args:
        hu_zyx: HU on `geometry`, whose axes may run anyhow.
        liver_zyx: bool, lesions included.
        lesions_zyx: bool; never vessels.
        phase: of contrast; None where nobody knows.
        gallbladder_zyx: bool; None where none is seen.
        finder: a vessel network, besides the ridge filter; None where there is none.

    Raises:
        Cancelled: `progress` asked for it.
    """
    progress("anatomy: vessels", 0.0)
    if np.count_nonzero(liver_zyx) * geometry.voxel_volume_mm3 < 1e5:
        return LiverAnatomy.blank(geometry, TOO_SMALL)
    grid = liver_grid(hu_zyx, geometry, liver_zyx, lesions_zyx, gallbladder_zyx)
    reason = _why_not(grid, phase, settings)
    if reason:
        return LiverAnatomy.blank(geometry, reason)
    contrast = contrast_hu(grid)
    if not contrast >= settings.contrast_hu:
        return LiverAnatomy.blank(
            geometry, NO_CONTRAST.format(found=max(contrast, 0), asked=settings.contrast_hu)
        )
    likely = None
    if finder is not None:
        likely = vessel_probability(
            finder, hu_zyx, geometry, liver_zyx, lesions_zyx, part(progress, 0.1, 0.4), grid.geometry
        )
    cava = find_cava(
        grid, settings.cava_score, settings.cava_uneven_hu, None if not likely else likely.get(Vessel.IVC)
    )
    progress("anatomy: landmarks", 0.5)
    vessels, landmarks = _vessels_and_landmarks(grid, cava, max(contrast, 1.0), likely or None, settings)
    found = LiverAnatomy(
        geometry,
        _back(vessels, grid, geometry),
        np.zeros(geometry.shape_zyx, np.uint8),
        landmarks,
        tuple(_remarks(landmarks)),
    )
    if cava is None:
        return replace(found, messages=(NO_CAVA,))
    progress("anatomy: segments", 0.8)
    return with_segments(found, liver_zyx, settings)


def with_segments(
    anatomy: LiverAnatomy, liver_zyx: NDArray[np.bool_], settings: AnatomySettings
) -> LiverAnatomy:
    """The anatomy with the segments that its landmarks make; blank where they give no plausible halves."""
    segments = segments_from_landmarks(anatomy.landmarks, liver_zyx, anatomy.geometry)
    whole = max(int(np.count_nonzero(segments)), 1)
    right = np.count_nonzero(np.isin(segments, RIGHT_SEGMENTS)) / whole
    # What was said of the halves before a landmark was moved holds no longer.
    said = tuple(one for one in anatomy.messages if not one.startswith(HALVES.partition("{")[0]))
    if not settings.least_right <= right <= settings.most_right:
        low, high = 100 * settings.least_right, 100 * settings.most_right
        reason = HALVES.format(right=100 * right, low=low, high=high)
        return replace(anatomy, segments_zyx=np.zeros_like(segments), messages=(*said, reason))
    return replace(anatomy, segments_zyx=segments, messages=said)


def _why_not(grid: LiverGrid, phase: Phase | None, settings: AnatomySettings) -> str:
    """Why nothing can be told; "" where it can."""
    if not np.isfinite(grid.level_hu):
        return TOO_SMALL
    middle = grid.middle_x if grid.spine_lps is None else grid.spine_lps[0]
    if middle is not None:
        centre = float(grid.points(grid.liver_zyx)[:, 0].mean())
        if centre > middle + settings.mirrored_mm:
            return MIRRORED
    if grid.cut_share > settings.cut_share:
        return CUT
    return UNENHANCED if phase is Phase.UNENHANCED else ""


def _vessels_and_landmarks(
    grid: LiverGrid,
    cava: Cava | None,
    contrast: float,
    networks: Mapping[Vessel, NDArray[np.uint8]] | None,
    settings: AnatomySettings,
) -> tuple[NDArray[np.uint8], dict[str, Landmark]]:
    """Vessels on the grid and all landmarks."""
    known = cava_landmarks(grid, cava)
    hilum = _ball(grid, np.add(known[Name.IVC_LOW].lps, (*usual.FROM_IVC_MM, 0.0)), 30.0)
    strength = ridges(grid, hilum if cava is None else hilum & ~ndimage.binary_dilation(cava.mask_zyx))
    tubes = tube_mask(strength, contrast, settings.vessel_ml)
    # The bifurcation is the widest tube: the filter weighs width, the network does not.
    known[Name.BIFURCATION] = find_bifurcation(
        grid, np.where(tubes, strength, 0).astype(np.float32), known[Name.IVC_LOW]
    )
    if networks is not None:
        tubes |= _seen(networks, settings.probability)
        if cava is not None:
            tubes &= ~cava.mask_zyx
        strength = strength + np.float32(contrast)
    strength = np.where(tubes, strength, 0).astype(np.float32)
    known[Name.GALLBLADDER] = find_fossa(grid)
    # The IVC's line is read at the bifurcation's height.
    known |= _ivc_at(grid, cava, known)
    vessels = _named(grid, cava, tubes, known, networks)
    if cava is not None:
        vessels = np.where(cava.mask_zyx, Vessel.IVC, vessels).astype(np.uint8)
    known |= vein_landmarks(grid, vessels, strength, known)
    known |= portal_landmarks(grid, strength, known[Name.BIFURCATION], vessels)
    return vessels, {name: known[name] for name in Name.ALL}


def _both(networks: Mapping[Vessel, NDArray[np.uint8]] | None) -> bool:
    """Whether a network knows both trees."""
    return networks is not None and {Vessel.HEPATIC, Vessel.PORTAL} <= set(networks)


def _named(
    grid: LiverGrid,
    cava: Cava | None,
    tubes: NDArray[np.bool_],
    known: Mapping[str, Landmark],
    networks: Mapping[Vessel, NDArray[np.uint8]] | None,
) -> NDArray[np.uint8]:
    """The tubes with their trees."""
    fork, high, low = (np.array(known[n].lps) for n in (Name.BIFURCATION, Name.IVC_HIGH, Name.IVC_LOW))
    roots = Roots(_hepatic_seed(grid, cava, known), _ball(grid, fork, 9.0), high, fork, low)
    kinds = (networks[Vessel.HEPATIC], networks[Vessel.PORTAL]) if networks and _both(networks) else None
    return named_trees(grid, tubes, roots, kinds)


def _ivc_at(grid: LiverGrid, cava: Cava | None, known: Mapping[str, Landmark]) -> dict[str, Landmark]:
    """The IVC's lower point at the height of the portal bifurcation."""
    if cava is None:
        return {}
    z = float(grid.geometry.lps_to_index(known[Name.BIFURCATION].lps)[0])
    at = grid.geometry.index_to_lps((z, *cava.at_height(z)))
    low = known[Name.IVC_LOW]
    return {Name.IVC_LOW: replace(low, lps=(float(at[0]), float(at[1]), float(at[2])))}


def _hepatic_seed(grid: LiverGrid, cava: Cava | None, known: Mapping[str, Landmark]) -> NDArray[np.bool_]:
    """The upper part of the IVC, where the hepatic veins enter it, and what touches it."""
    high = known[Name.IVC_HIGH].lps
    if cava is None:
        return _ball(grid, np.array(high), 18.0)
    seed = ndimage.distance_transform_edt(~cava.mask_zyx) <= HEPATIC_SEED_MM / GRID_MM
    lowest = float(grid.geometry.lps_to_index(high)[0]) - 26.0 / GRID_MM
    seed[: max(0, int(lowest))] = False
    return seed


def _ball(grid: LiverGrid, centre_lps: NDArray[np.float64], radius_mm: float) -> NDArray[np.bool_]:
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


def _back(labels_zyx: NDArray[np.uint8], grid: LiverGrid, geometry: Geometry) -> NDArray[np.uint8]:
    return np.asarray(resample_labels(labels_zyx, grid.geometry, geometry), np.uint8)


def _remarks(landmarks: Mapping[str, Landmark]) -> list[str]:
    """What was not seen and stands at its usual place."""
    guessed = [one.name for one in landmarks.values() if one.source == "usual place"]
    if not guessed:
        return []
    names = ", ".join(guessed)
    return [f"Not seen, taken at the usual place, so that segments beside it are less certain: {names}."]
