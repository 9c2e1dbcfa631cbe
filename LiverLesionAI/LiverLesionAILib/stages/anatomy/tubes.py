"""Bright tubes in the liver, and how far they are from the roots of the trees.

A ridge filter: the middle eigenvalue of the Hessian at several widths is strongly negative in a tube and near
zero in a plate (after Sato Y et al., Med Image Anal 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ...volume.masks import bounding_box, components
from .grid import GRID_MM, LiverGrid

WIDTHS_MM = (2.0, 3.0, 4.5)
"""Standard deviations of the filter."""
REACH_MM = 8.0
"""A gap in a vessel up to this is bridged."""


def contrast_hu(grid: LiverGrid) -> float:
    """How much brighter than the liver its brightest parts are, beyond what is as far below it: HU.

    Noise and texture lie on both sides of the liver's level, vessels only above.
    """
    inside = ndimage.binary_erosion(grid.liver_zyx, iterations=3) & ~ndimage.binary_dilation(
        grid.lesions_zyx, iterations=2
    )
    if np.count_nonzero(inside) < 1000:
        return 0.0
    smooth = ndimage.gaussian_filter(np.clip(grid.hu_zyx, -100, 400), 1.0)[inside] - grid.level_hu
    return float(np.percentile(smooth, 97.5) - max(0.0, -np.percentile(smooth, 16)))


def ridges(grid: LiverGrid, near_zyx: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Strength of bright tubes, HU, on the grid; 0 outside the liver and in lesions.

    Args:
        near_zyx: what is looked at beside the liver: the hilum.
    """
    lesions = ndimage.binary_dilation(grid.lesions_zyx, iterations=1)
    kept = ndimage.binary_erosion(grid.liver_zyx, iterations=1) & ~lesions
    if near_zyx is not None:
        kept |= near_zyx & ~grid.gallbladder_zyx & ~lesions
    level = grid.level_hu
    values = np.clip(grid.hu_zyx, level - 10, level + 140)
    flat = np.where(kept, values, level).astype(np.float32)
    box = bounding_box(kept, 6)
    out = np.zeros(flat.shape, np.float32)
    if box is None:
        return out
    # A border that neighbours are read from.
    part, at = np.pad(flat[box], 1, mode="edge"), np.nonzero(np.pad(kept[box], 1))
    best = np.zeros(len(at[0]), np.float32)
    for width in WIDTHS_MM:
        best = np.maximum(best, _tube_strength(part, width / GRID_MM, at))
    out[box][tuple(a - 1 for a in at)] = best
    return out


def _tube_strength(flat: NDArray[np.float32], sigma: float, at: tuple[NDArray, ...]) -> NDArray[np.float32]:
    """Minus the middle eigenvalue of the scaled Hessian at the given voxels, HU; never below 0."""
    smooth = ndimage.gaussian_filter(flat, sigma, mode="nearest", truncate=3.0)

    def value(*step: int) -> NDArray[np.float32]:
        return np.asarray(smooth[tuple(a + s for a, s in zip(at, step, strict=True))])

    hessian = np.empty((len(at[0]), 3, 3), np.float32)
    unit, own = np.eye(3, dtype=int), value(0, 0, 0)
    for a in range(3):
        hessian[:, a, a] = value(*unit[a]) + value(*-unit[a]) - 2 * own
        for b in range(a):
            same, other = unit[a] + unit[b], unit[a] - unit[b]
            mixed = value(*same) + value(*-same) - value(*other) - value(*-other)
            hessian[:, a, b] = hessian[:, b, a] = mixed / 4
    middle = np.linalg.eigvalsh(hessian)[:, 1]
    return np.maximum(-middle * sigma**2, 0).astype(np.float32)


def tube_mask(strength_zyx: NDArray[np.float32], contrast: float, least_ml: float) -> NDArray[np.bool_]:
    """Tubes by hysteresis: faint ones where they hang on strong ones, no specks.

    Args:
        contrast: of the vessels, HU.
        least_ml: smaller pieces are texture.
    """
    faint, strong = strength_zyx > 0.22 * contrast, strength_zyx > 0.42 * contrast
    pieces, count = components(faint)
    if not count:
        return faint
    size = np.bincount(pieces.ravel(), minlength=count + 1) * GRID_MM**3 / 1000.0
    has_strong = np.bincount(pieces[strong], minlength=count + 1) > 0
    keep = has_strong & (size >= least_ml)
    keep[0] = False
    return keep[pieces]


def seed_distances(
    tubes_zyx: NDArray[np.bool_], hepatic_seed: NDArray[np.bool_], portal_seed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each tube voxel is from either root along the tubes; gaps count by their square.

    Args:
        hepatic_seed, portal_seed: the IVC where the veins enter it, and the portal trunk; seeds need not lie
            in the tubes.

    Returns:
        Two arrays (n,) in the order of the tubes' voxels, in voxels; infinite where it is not reached.
    """
    portal_seed = portal_seed & ~hepatic_seed
    nodes = np.argwhere(tubes_zyx | hepatic_seed | portal_seed)
    at = tuple(nodes.T)
    pairs = cKDTree(nodes).query_pairs(REACH_MM / GRID_MM, output_type="ndarray")
    length = np.linalg.norm(nodes[pairs[:, 0]] - nodes[pairs[:, 1]], axis=1)
    # Steps to neighbours cost their length, leaps over gaps far more.
    cost = np.where(length < 1.8, length, 2.0 * length**2)
    graph = coo_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=(len(nodes),) * 2).tocsr()
    away = []
    for seed in (hepatic_seed, portal_seed):
        seeds = np.flatnonzero(seed[at])
        if len(seeds):
            away.append(dijkstra(graph, directed=False, indices=seeds, min_only=True)[tubes_zyx[at]])
        else:
            away.append(np.full(int(np.count_nonzero(tubes_zyx)), np.inf))
    return away[0], away[1]
