"""Bright tubes in the liver, and how far they are from the roots of the trees.

A ridge filter: the middle eigenvalue of the Hessian at several widths is strongly negative in a tube and near
zero in a plate (after Sato Y et al., Med Image Anal 1998).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from ...volume.masks import bounding_box, components
from .grid import GRID_MM, LiverGrid
from .tube_shape import voxel_pairs

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

    values, flat = smooth.ravel(), np.ravel_multi_index(at, smooth.shape)
    strides = (smooth.shape[1] * smooth.shape[2], smooth.shape[2], 1)

    def pair(step: int) -> NDArray[np.float64]:
        return values[flat + step].astype(np.float64) + values[flat - step]

    own = values[flat].astype(np.float64)
    z, y, x = strides
    straight = [pair(step) - 2 * own for step in strides]
    mixed = [(pair(a + b) - pair(a - b)) / 4 for a, b in ((z, y), (z, x), (y, x))]
    return np.maximum(-middle_eigenvalue(straight, mixed) * sigma**2, 0).astype(np.float32)


def middle_eigenvalue(
    straight: Sequence[NDArray[np.float64]], mixed: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """(n,) the middle one of the three eigenvalues of symmetric 3 x 3 matrices, in closed form.

    (Smith OK, Commun ACM 1961.)

    Args:
        straight: elements aa, bb, cc; mixed: ab, ac, bc; each (n,).
    """
    mean = (straight[0] + straight[1] + straight[2]) / 3
    a, b, c = (one - mean for one in straight)
    d, e, f = mixed
    size = np.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6)
    volume = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    third = np.arccos(np.clip(volume / np.maximum(2 * size**3, 1e-30), -1.0, 1.0)) / 3
    # The largest one lies at a third of the angle, the others a third of a turn to either side.
    return np.asarray(mean + 2 * size * np.cos(third - 2 * np.pi / 3))


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
    nodes = tubes_zyx | hepatic_seed | portal_seed
    # No leap is shorter than the straight way through voxels: four steps at most, of 1.74 each, against 8.
    first, second, step = voxel_pairs(nodes, REACH_MM / GRID_MM, around=True)
    length = np.linalg.norm(step, axis=1)
    # Steps to neighbours cost their length, leaps over gaps far more.
    cost = np.where(length < 1.8, length, 2.0 * length**2)
    graph = coo_matrix((cost, (first, second)), shape=(int(np.count_nonzero(nodes)),) * 2).tocsr()
    away = []
    for seed in (hepatic_seed, portal_seed):
        seeds = np.flatnonzero(seed[nodes])
        if len(seeds):
            away.append(dijkstra(graph, directed=False, indices=seeds, min_only=True)[tubes_zyx[nodes]])
        else:
            away.append(np.full(int(np.count_nonzero(tubes_zyx)), np.inf))
    return away[0], away[1]
