"""A scan drawn where another one of the same liver lies: through a registration, on a grid of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ct import AIR_HU
from .geometry import Geometry
from .point_map import LATTICE_MM, SETTLED_MM, Movement, PointMap

FINEST_ZYX_MM = (2.0, 1.0, 1.0)
"""A registration is not good to less; finer voxels would cost memory only."""
MOST_STEPS = 30


def blending_grid(movement: PointMap, current: Geometry) -> Geometry:
    """The part of the current scan that a registration speaks of, no finer than :data:`FINEST_ZYX_MM`.

    Raises:
        ValueError: it speaks of no place of the current scan.
    """
    spacing = tuple(max(s, f) for s, f in zip(current.spacing_zyx_mm, FINEST_ZYX_MM, strict=True))
    grid = current.with_spacing(spacing)
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in movement.lattice.shape_zyx], indexing="ij"))
    moved = movement.points(np.asarray(movement.lattice.index_to_lps(ends.reshape(3, -1).T)))
    index = np.asarray(grid.lps_to_index(moved))
    start = np.maximum(0, np.floor(index.min(axis=0))).astype(int)
    stop = np.minimum(grid.shape_zyx, np.ceil(index.max(axis=0)) + 1).astype(int)
    if (stop <= start).any():
        raise ValueError("the registration speaks of no place of this scan")
    return grid.cropped(start, stop)


def came_from_all(points_lps: NDArray[Any], movement: Movement) -> NDArray[np.float64]:
    """(n, 3) points of the second scan in the first, LPS mm, by iteration; as near as it comes."""
    guess: NDArray[np.float64] = np.array(points_lps, np.float64)
    for _ in range(MOST_STEPS):
        step = movement.points(guess) - points_lps
        guess -= step
        if np.abs(step).max() < SETTLED_MM:
            break
    return guess


def pulled_back(
    hu_zyx: NDArray[Any], source: Geometry, movement: PointMap, target: Geometry
) -> NDArray[np.int16]:
    """The first scan as it lies on the second, linear; air where the first one shows nothing.

    Args:
        hu_zyx: the first scan on `source`.
        movement: from the first scan's patient space to the second one's.
        target: in the second scan's space.

    Returns:
        int16 on `target`.
    """
    coarse = target.with_spacing((LATTICE_MM,) * 3)
    index = np.moveaxis(np.indices(coarse.shape_zyx), 0, -1).reshape(-1, 3)
    here = np.asarray(coarse.index_to_lps(index))
    # Where a lattice point came from, as an index of the first scan: what lies between is linear.
    there = np.asarray(source.lps_to_index(came_from_all(here, movement))).reshape(*coarse.shape_zyx, 3)
    made = np.empty(target.shape_zyx, np.int16)
    plane = np.moveaxis(np.indices(target.shape_zyx[1:]), 0, -1).reshape(-1, 2)
    for z in range(target.shape_zyx[0]):
        voxels = np.column_stack([np.full(len(plane), z), plane])
        lattice = np.asarray(coarse.lps_to_index(target.index_to_lps(voxels))).T
        at = [ndimage.map_coordinates(there[..., k], lattice, order=1, mode="nearest") for k in range(3)]
        values = ndimage.map_coordinates(hu_zyx, at, np.float32, 1, mode="grid-constant", cval=AIR_HU)
        made[z] = np.clip(np.rint(values), AIR_HU, 3071).reshape(target.shape_zyx[1:])
    return made
