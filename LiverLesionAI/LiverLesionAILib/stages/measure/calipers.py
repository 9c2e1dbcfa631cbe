"""In-plane calipers: the RECIST long and short axis of a mask.

The outline that is measured runs halfway between the last voxel centre inside and the first one outside,
along rows and columns: where viewers draw the edge of a binary mask, so that the end points lie on the
outline the reader sees. Between voxel centres a lesion would come out up to one voxel too small and a single
voxel with length 0; between voxel corners up to one voxel too large. Averaged over position and rotation,
ellipses come out within half a voxel; large discs, with many diameters to choose from, within one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

# Directions for the quick upper bound of a slice's diameter: a set's width along the best of these is at
# least cos(90 deg / N_DIRECTIONS) of its diameter.
N_DIRECTIONS = 24
TIE_MM = 1e-6
MAX_TIES = 64


@dataclass(frozen=True)
class Calipers:
    """Two perpendicular diameters in one slice.

    Attributes:
        slice_index: z of the slice.
        long_mm, short_mm: lengths.
        long_yx, short_yx: 2 x 2, the two end points of each as fractional y, x voxel indices.
    """

    slice_index: int
    long_mm: float
    short_mm: float
    long_yx: NDArray[np.float64]
    short_yx: NDArray[np.float64]


def outline_points(mask_zyx: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The outline's extreme points on every row and column of every slice.

    Their convex hull is the convex hull of the whole outline, and takes at most 2 (rows + columns) of them.

    Args:
        mask_zyx: bool, (Z, Y, X).

    Returns:
        (points_yx, present): (Z, 2Y + 2X, 2) fractional voxel indices, and bool (Z, 2Y + 2X): which exist.
    """
    n_z, n_y, n_x = mask_zyx.shape
    points = np.zeros((n_z, 2 * n_y + 2 * n_x, 2))
    rows, columns = mask_zyx.any(axis=2), mask_zyx.any(axis=1)
    y, x = np.arange(n_y, dtype=float), np.arange(n_x, dtype=float)
    for block, outer in enumerate((False, True)):
        view = mask_zyx[:, :, ::-1] if outer else mask_zyx
        first = view.argmax(axis=2)
        part = slice(block * n_y, (block + 1) * n_y)
        points[:, part, 0] = y
        points[:, part, 1] = n_x - 1 - first + 0.5 if outer else first - 0.5
        view = mask_zyx[:, ::-1] if outer else mask_zyx
        first = view.argmax(axis=1)
        part = slice(2 * n_y + block * n_x, 2 * n_y + (block + 1) * n_x)
        points[:, part, 0] = n_y - 1 - first + 0.5 if outer else first - 0.5
        points[:, part, 1] = x
    return points, np.concatenate([rows, rows, columns, columns], axis=1)


def diameter_bounds(points_mm: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Upper bound of every slice's diameter, within 0.3 % of it; 0 for empty slices.

    Args:
        points_mm: (Z, N, 2).
        present: bool (Z, N).
    """
    angles = np.pi * np.arange(N_DIRECTIONS) / N_DIRECTIONS
    projected = points_mm @ np.stack([np.sin(angles), np.cos(angles)])
    highest = np.where(present[..., None], projected, -np.inf).max(axis=1)
    lowest = np.where(present[..., None], projected, np.inf).min(axis=1)
    width = (highest - lowest).max(axis=1) / np.cos(np.pi / (2 * N_DIRECTIONS))
    return np.where(present.any(axis=1), width, 0.0)


def widest_chord(
    hull: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The longest chord of a convex polygon perpendicular to one of its diameters.

    Args:
        hull: (N, 2) vertices in any order.
        start, end: the diameter's end points, two of the vertices.

    Returns:
        2 x 2, the chord's end points.
    """
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    u, v = (hull - start) @ along, (hull - start) @ across
    length = (end - start) @ along
    # The diameter's ends are the only vertices with u = 0 and u = length, and split the polygon into two
    # chains over u; the chord length is concave and piecewise linear in u, so its maximum lies at a vertex.
    chains = []
    for side in (v > 0, v < 0):
        chain_u = np.concatenate([[0.0], u[side], [length]])
        chain_v = np.concatenate([[0.0], v[side], [0.0]])
        order = np.argsort(chain_u, kind="stable")
        chains.append((chain_u[order], chain_v[order]))
    upper, lower = np.interp(u, *chains[0]), np.interp(u, *chains[1])
    widths = upper - lower
    # Parallel sides give a run of equal chords; its middle is what a reader would draw.
    best = np.flatnonzero(widths >= widths.max() - TIE_MM)
    at = (u[best].min() + u[best].max()) / 2
    high, low = float(np.interp(at, *chains[0])), float(np.interp(at, *chains[1]))
    return start + np.array([[at, high], [at, low]]) @ np.stack([along, across])


def measure_calipers(mask_zyx: NDArray[np.bool_], spacing_yx_mm: tuple[float, float]) -> Calipers:
    """RECIST 1.1 long and short axis.

    The largest diameter in any slice, and the largest chord of that slice's convex outline perpendicular to
    it; exact over the outline. Parts of the mask that lie apart in a slice are measured across, as one
    lesion. Of equally long diameters the one with the longest short axis is taken, then the one in the slice
    where the lesion is largest.

    Args:
        mask_zyx: bool (Z, Y, X), best cropped to its bounding box; slices are along the first axis.
        spacing_yx_mm: voxel size in the slice.

    Raises:
        ValueError: the mask is empty.
    """
    spacing = np.array(spacing_yx_mm, float)
    points_yx, present = outline_points(mask_zyx)
    points_mm = points_yx * spacing
    bounds = diameter_bounds(points_mm, present)
    areas = np.count_nonzero(mask_zyx, axis=(1, 2))
    best: Calipers | None = None
    best_rank: tuple[int, int, int] = (0, 0, 0)
    for z in np.argsort(-bounds, kind="stable"):
        if best is not None and bounds[z] < best.long_mm - TIE_MM:
            break
        points = points_mm[z][present[z]]
        hull = points[ConvexHull(points).vertices]
        distances = np.linalg.norm(hull[:, None] - hull[None], axis=2)
        longest = float(distances.max())
        if best is not None and longest < best.long_mm - TIE_MM:
            continue
        pairs = np.argwhere(np.triu(distances >= longest - TIE_MM))
        for i, j in pairs[:MAX_TIES]:
            short = widest_chord(hull, hull[i], hull[j])
            short_mm = float(np.linalg.norm(short[1] - short[0]))
            rank = (_ticks(longest), _ticks(short_mm), areas[z])
            if best is None or rank > best_rank:
                ends = np.stack([hull[i], hull[j]])
                best, best_rank = Calipers(int(z), longest, short_mm, ends / spacing, short / spacing), rank
    if best is None:
        raise ValueError("An empty mask has no diameter.")
    return best


def _ticks(length_mm: float) -> int:
    """Lengths that differ by rounding only compare equal."""
    return round(length_mm / (4 * TIE_MM))
