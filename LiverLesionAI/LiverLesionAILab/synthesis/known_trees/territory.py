"""Which segment each voxel belongs to: that of the nearest portal branch. No plane is used here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .growth import Tree, dense_points
from .habit import Branch


def territories(
    liver_zyx: NDArray[np.bool_],
    portal: Tree,
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Segment codes (:data:`.habit.SEGMENTS`), 0 outside the liver.

    Trunks that serve several segments own nothing: a voxel beside one belongs to the segment whose own branch
    is nearest.

    Args:
        liver_zyx: bool.
        portal: its branches, body coordinates.
        spacing_zyx_mm, origin_zyx_mm: of the grid, body coordinates.
    """
    points, branches = dense_points(portal)
    own = branches > Branch.SEGMENT
    codes = np.zeros(liver_zyx.shape, np.uint8)
    where = np.argwhere(liver_zyx)
    if not own.any() or not len(where):
        return codes
    mm = where * np.array(spacing_zyx_mm) + np.array(origin_zyx_mm)
    _, nearest = cKDTree(points[own, :3]).query(mm)
    codes[tuple(where.T)] = branches[own][nearest] - Branch.SEGMENT
    return codes


FINE = 100
"""Added to the branch of a voxel whose vessel is thinner than asked for."""


def nearest_branch(
    vessels_zyx: NDArray[np.bool_],
    trees: list[Tree],
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
    least_radius_mm: float,
) -> NDArray[np.uint8]:
    """Label (:class:`.habit.Branch`) of every vessel voxel, 0 elsewhere.

    Where the vessel's radius lies below `least_radius_mm`, :data:`FINE` is added.
    """
    out = np.zeros(vessels_zyx.shape, np.uint8)
    where = np.argwhere(vessels_zyx)
    if not trees or not len(where):
        return out
    both = [dense_points(tree) for tree in trees]
    mm = where * np.array(spacing_zyx_mm) + np.array(origin_zyx_mm)
    points = np.vstack([p for p, _ in both])
    _, nearest = cKDTree(points[:, :3]).query(mm)
    thin = points[nearest, 3] < least_radius_mm
    out[tuple(where.T)] = np.concatenate([b for _, b in both])[nearest] + np.where(thin, FINE, 0)
    return out
