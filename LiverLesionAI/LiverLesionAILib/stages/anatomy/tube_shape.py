"""How a tube runs at each of its voxels, how thick it is there, and which of them are near each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import bounding_box

Course = tuple[NDArray[np.float32], NDArray[np.float32]]
COURSE_VOXELS = 2.0
"""Standard deviation of the neighbourhood that a tube's direction is usually read in."""
THICK_VOXELS = 1.5
"""Standard deviation of the surroundings that tell how thick a tube is."""
TRUNCATED = 2.5
"""Standard deviations up to which a neighbourhood reaches."""
DEEPEST_VOXELS = 9
"""Up to which depth it is looked for voxel by voxel; a lump has deeper ones."""


def courses(tubes_zyx: NDArray[np.bool_], voxels: float = COURSE_VOXELS) -> Course:
    """Direction (n, 3; z, y, x, of either sign) of the tube at each of its voxels, and 0..1 how straight.

    Args:
        voxels: standard deviation of the neighbourhood that it is read in.
    """
    weight, *sums = _moments(tubes_zyx, voxels, 2)
    middle = [one / weight for one in sums[:3]]
    spread = np.empty((len(weight), 3, 3), np.float32)
    for (a, b), mixed in zip(itertools.combinations_with_replacement(range(3), 2), sums[3:], strict=True):
        spread[:, a, b] = spread[:, b, a] = mixed / weight - middle[a] * middle[b]
    values, vectors = np.linalg.eigh(spread)
    return vectors[:, :, 2], 1.0 - values[:, 1] / np.maximum(values[:, 2], 1e-6)


def filled_around(tubes_zyx: NDArray[np.bool_], voxels: float = THICK_VOXELS) -> NDArray[np.float64]:
    """0..1 at each of the tubes' voxels: how much of its surroundings is tube."""
    return _moments(tubes_zyx, voxels, 0)[0]


def _moments(tubes_zyx: NDArray[np.bool_], voxels: float, degree: int) -> list[NDArray[np.float64]]:
    """Of what is tube about each of its voxels, weighed by distance: (n,) each.

    Args:
        degree: 0: the sum of weights; 2: then of steps along z, y, x times weights, then of two steps'
            products: zz, zy, zx, yy, yx, xx.
    """
    reach = int(TRUNCATED * voxels + 0.5)
    padded, at = _padded(tubes_zyx, reach)
    steps = np.arange(-reach, reach + 1.0)
    weights = np.exp(-0.5 * (steps / voxels) ** 2)
    kernels = [weights / weights.sum() * steps**power for power in range(degree + 1)]

    def along(values: NDArray[np.float32], power: int, axis: int) -> NDArray[np.float32]:
        return np.asarray(ndimage.correlate1d(values, kernels[power], axis, mode="constant"))

    # Steps from each voxel itself, one axis after the other; along x at the tubes' voxels only.
    flat = np.ravel_multi_index(at, padded.shape)
    beside = flat[:, None] + steps.astype(np.intp)
    rows = {}
    for z in range(degree + 1):
        plane = along(padded, z, 0)
        for y in range(degree + 1 - z):
            rows[z, y] = along(plane, y, 1).ravel()[beside].astype(np.float64)
    wanted = [(0, 0, 0)]
    if degree == 2:
        wanted += [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
        wanted += [(2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1), (0, 0, 2)]
    return [rows[z, y] @ kernels[x] for z, y, x in wanted]


def _padded(tubes_zyx: NDArray[np.bool_], voxels: int) -> tuple[NDArray[np.float32], tuple[NDArray, ...]]:
    """The tubes' box with so many empty voxels round it, and the tubes' voxels in it, in their order."""
    box = bounding_box(tubes_zyx) or (slice(0, 0),) * 3
    padded = np.pad(tubes_zyx[box].astype(np.float32), voxels)
    return padded, np.nonzero(padded)


def depth_inside(tubes_zyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) of the tubes' voxels: how far the nearest one outside is, voxels from centre to centre.

    What a distance transform gives at them, looked for round each of them alone: tubes are thin and few.
    """
    if np.count_nonzero(tubes_zyx) == 0:
        return np.zeros(0)
    padded, at = _padded(tubes_zyx, DEEPEST_VOXELS)
    inside, flat = padded.ravel() > 0, np.ravel_multi_index(at, padded.shape)
    depth, left = np.zeros(len(flat)), np.arange(len(flat))
    for step, length in _by_length(padded.shape):
        outside = ~inside[flat[left] + step]
        depth[left[outside]] = length
        left = left[~outside]
        if not len(left):
            return depth
    return np.asarray(ndimage.distance_transform_edt(padded)[at])


def _by_length(shape: tuple[int, ...]) -> Iterator[tuple[int, float]]:
    """Steps in a flat array up to :data:`DEEPEST_VOXELS` and their lengths, the shortest first."""
    steps = np.indices((2 * DEEPEST_VOXELS + 1,) * 3).reshape(3, -1).T - DEEPEST_VOXELS
    lengths = np.linalg.norm(steps, axis=1)
    steps, lengths = (values[np.argsort(lengths, kind="stable")] for values in (steps, lengths))
    for step, length in zip(steps[1:] @ (shape[1] * shape[2], shape[2], 1), lengths[1:], strict=True):
        if length > DEEPEST_VOXELS:
            return
        yield int(step), float(length)


def voxel_pairs(
    mask_zyx: NDArray[np.bool_], reach: float, beyond: float = 0.0, around: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Which voxels of a mask lie within a reach of each other.

    Args:
        reach, beyond: voxels from centre to centre, at most, and more than that.
        around: leave out pairs that are not beside each other and have voxels of the mask all along the
            straight line between them.

    Returns:
        First and second (m,) by their number in the mask, the first one before the second; the step (m, 3)
        from one to the other.
    """
    wide = int(reach)
    box = bounding_box(mask_zyx) or (slice(0, 0),) * 3
    padded = np.pad(mask_zyx[box], wide)
    flat = np.flatnonzero(padded)
    number = np.full(padded.size, -1, np.int32)
    number[flat] = np.arange(len(flat))
    strides = np.array((padded.shape[1] * padded.shape[2], padded.shape[2], 1))
    steps = np.indices((2 * wide + 1,) * 3).reshape(3, -1).T - wide
    # Half of them: the other half leads back.
    steps = steps[len(steps) // 2 + 1 :]
    lengths = np.linalg.norm(steps, axis=1)
    kept = (lengths <= reach) & (lengths > beyond)
    nothing = np.zeros(0, np.intp)
    first, second, which = [nothing], [nothing], [nothing]
    for k in np.flatnonzero(kept):
        other = number[flat + steps[k] @ strides]
        own = np.flatnonzero(other >= 0)
        longest = int(np.abs(steps[k]).max())
        if around and longest > 1:
            between = np.floor(steps[k] * np.arange(1, longest)[:, None] / longest + 0.5).astype(np.int64)
            own = own[(number[flat[own] + (between @ strides)[:, None]] < 0).any(axis=0)]
        first.append(own)
        second.append(other[own])
        which.append(np.full(len(own), k))
    return np.concatenate(first), np.concatenate(second).astype(np.intp), steps[np.concatenate(which)]
