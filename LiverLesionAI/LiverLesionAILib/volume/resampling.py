"""Values between grids whose axes are parallel: anti-aliased linear for intensities, nearest for labels.

Everything works slab by slab along the target's z, so that memory stays bounded for any number of slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .geometry import Geometry, axis_permutation, permuted

SLAB_BYTES = 32 * 2**20
# Multiplications per matrix product. Small products skip most of the zeros in the weights, and stay below the
# size from which OpenBLAS starts threads: those cost seconds, not milliseconds, when other work keeps the
# cores busy.
BLOCK_MULTIPLICATIONS = 2**18


def resampling_weights(
    n_in: int, spacing_in_mm: float, n_out: int, spacing_out_mm: float, first_out: float
) -> NDArray[np.float32]:
    """Matrix (n_out, n_in) that resamples one axis; `first_out` is the input index of output voxel 0.

    Linear interpolation when the output is finer; when it is coarser a triangle as wide as the output
    spacing, so that nothing aliases, tilted so that its centroid is the output voxel's centre: linear
    functions come out exactly and nothing moves. The input goes on beyond its ends with its border values.
    Rows sum to 1.
    """
    ratio = spacing_out_mm / spacing_in_mm
    position = first_out + np.arange(n_out) * ratio
    half = max(1.0, ratio)
    # Beyond the border values nothing changes any more; keeps the indices small.
    position = np.clip(position, -half - 1.0, n_in + half)
    index = (
        np.floor(position - half).astype(np.int64)[:, None] + np.arange(int(np.ceil(2 * half)) + 2)[None, :]
    )
    offset = index - position[:, None]
    taps = np.maximum(0.0, 1.0 - np.abs(offset) / half)
    sum_0 = taps.sum(axis=1)
    sum_1, sum_2 = (taps * offset).sum(axis=1), (taps * offset**2).sum(axis=1)
    # taps * (1 + slope * offset) has its first moment at zero.
    slope = -sum_1 / np.maximum(sum_2, 1e-12)
    slope[np.abs(sum_1) < 1e-12] = 0.0
    taps *= 1.0 + slope[:, None] * offset
    taps /= (sum_0 + slope * sum_1)[:, None]
    weights = np.zeros((n_out, n_in))
    rows = np.broadcast_to(np.arange(n_out)[:, None], index.shape)
    np.add.at(weights, (rows, np.clip(index, 0, n_in - 1)), taps)
    return weights.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Axis:
    """How one axis of the (permuted) source maps to the target: input index = first + step * output index."""

    n_in: int
    n_out: int
    first: float
    step: float

    @property
    def identity(self) -> bool:
        return (
            self.n_in == self.n_out
            and abs(self.first) < 1e-4
            and abs(self.first + (self.step - 1.0) * self.n_in) < 1e-3
        )

    def positions(self) -> NDArray[np.float64]:
        return np.float64(self.first) + self.step * np.arange(self.n_out, dtype=np.float64)

    def inside(self) -> tuple[int, int]:
        """First and one past the last output voxel whose centre lies within the input's outer faces."""
        position = self.positions()
        # The hair's breadth keeps voxels that lie on the face itself, whatever the rounding.
        inside = np.flatnonzero((position >= -0.5 - 1e-6) & (position <= self.n_in - 0.5 + 1e-6))
        return (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)


def _axes(source: Geometry, target: Geometry) -> tuple[_Axis, _Axis, _Axis]:
    order, flips = axis_permutation(source, target)
    corner = source.lps_to_index(target.index_to_lps((0.0, 0.0, 0.0)))

    def axis(a: int) -> _Axis:
        n_in = source.shape_zyx[order[a]]
        position = float(corner[order[a]])
        first = n_in - 1 - position if flips[a] else position
        step = target.spacing_zyx_mm[a] / source.spacing_zyx_mm[order[a]]
        return _Axis(n_in, target.shape_zyx[a], first, step)

    return axis(0), axis(1), axis(2)


def _band(weights: NDArray[np.float32]) -> tuple[int, int]:
    used = np.flatnonzero(weights.any(axis=0))
    return int(used[0]), int(used[-1]) + 1


def apply_along(weights: NDArray[np.float32], array: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Multiply `weights` (n_out, n_in) onto one axis, in blocks that leave out most of its zeros."""
    n_out = weights.shape[0]
    out = np.empty((*array.shape[:axis], n_out, *array.shape[axis + 1 :]), np.float32)
    # A stack of matrices: (..., axis, x) for z and y, (..., y, axis) for x.
    stack, stack_out = (array.swapaxes(0, 1), out.swapaxes(0, 1)) if axis == 0 else (array, out)
    free = stack.shape[1] if axis == 2 else stack.shape[2]
    taps = int(np.count_nonzero(weights, axis=1).max())
    n = 1
    while (n + 1) * (taps + n * weights.shape[1] / n_out) * free <= BLOCK_MULTIPLICATIONS:
        n += 1
    for lo in range(0, n_out, n):
        hi = min(lo + n, n_out)
        first, last = _band(weights[lo:hi])
        block = np.ascontiguousarray(weights[lo:hi, first:last])
        if axis == 2:
            np.matmul(stack[:, :, first:last], block.T, out=stack_out[:, :, lo:hi])
        else:
            np.matmul(block, stack[:, first:last], out=stack_out[:, lo:hi])
    return out


def resample_slabs(
    array_zyx: NDArray[Any], source: Geometry, target: Geometry, fill: float | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """:func:`resample` one slab of target slices at a time, for results too large to hold as float32.

    Yields:
        (z, values): the slice of target z indices, and float32 values of shape (len(z), y, x) of the target.

    Raises:
        GeometryError: the grids are rotated against each other.
    """
    axes = _axes(source, target)
    array = permuted(array_zyx, source, target)
    weights = [
        None if axis.identity else resampling_weights(axis.n_in, 1.0, axis.n_out, axis.step, axis.first)
        for axis in axes
    ]
    slice_bytes = 4 * max(
        int(np.prod(array.shape[1:])) * max(1.0, axes[0].step), int(np.prod(target.shape_zyx[1:]))
    )
    depth = max(1, int(SLAB_BYTES // slice_bytes))
    for lo in range(0, target.shape_zyx[0], depth):
        z = slice(lo, min(lo + depth, target.shape_zyx[0]))
        rows = None if weights[0] is None else weights[0][z]
        first, last = (z.start, z.stop) if rows is None else _band(rows)
        slab = np.ascontiguousarray(array[first:last], np.float32)
        steps = [(1, weights[1]), (2, weights[2]), (0, None if rows is None else rows[:, first:last])]
        # Shrinking axes first keeps the intermediate arrays small.
        todo = [(w.shape[0] / w.shape[1], axis, w) for axis, w in steps if w is not None]
        for _, axis, matrix in sorted(todo, key=lambda step: step[0]):
            slab = apply_along(matrix, slab, axis)
        if fill is not None:
            _fill_outside(slab, axes, z, fill)
        elif slab is array_zyx or np.shares_memory(slab, array_zyx):
            slab = slab.copy()
        yield z, slab


def _fill_outside(slab: NDArray[Any], axes: tuple[_Axis, _Axis, _Axis], z: slice, fill: float) -> None:
    """Set the voxels of `slab` (target slices z) outside the source's outer faces to `fill`, in place."""
    z_lo, z_hi = axes[0].inside()
    slab[: max(0, z_lo - z.start)] = fill
    slab[max(0, z_hi - z.start) :] = fill
    for axis in (1, 2):
        lo, hi = axes[axis].inside()
        view = np.moveaxis(slab, axis, 0)
        view[:lo] = fill
        view[hi:] = fill


def resample(
    array_zyx: NDArray[Any],
    source: Geometry,
    target: Geometry,
    fill: float | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Resample onto a grid whose axes are parallel to the source's, with anti-aliased linear interpolation.

    Linear functions are reproduced exactly inside the source (up to float32); equal grids give equal values.

    Args:
        array_zyx: any real numeric array on `source`.
        source, target: the two grids; axes may be permuted and flipped against each other, not rotated.
        fill: value of target voxels whose centre is outside the source's outer faces; None repeats the
            border.
        dtype: of the result; integers are rounded and clipped to their range.

    Returns:
        Array of `dtype` on `target`, C-contiguous, never a view of the input.

    Raises:
        GeometryError: the grids are rotated against each other.
    """
    dtype = np.dtype(dtype)
    result = np.empty(target.shape_zyx, dtype)
    for z, values in resample_slabs(array_zyx, source, target, fill):
        if np.issubdtype(dtype, np.integer):
            info = np.iinfo(dtype)
            np.rint(values, out=values)
            np.clip(values, info.min, info.max, out=values)
        result[z] = values
    return result


def resample_labels(
    array_zyx: NDArray[Any], source: Geometry, target: Geometry, fill: float = 0
) -> NDArray[Any]:
    """Nearest-neighbour resampling, for labels and masks; `fill` outside the source's outer faces.

    Args:
        array_zyx: labels of any type on `source`.
        source, target: the two grids; axes may be permuted and flipped against each other, not rotated.

    Returns:
        Array of the input's type on `target`, C-contiguous, never a view of the input; equal grids give equal
        labels.

    Raises:
        GeometryError: the grids are rotated against each other.
    """
    axes = _axes(source, target)
    array = permuted(array_zyx, source, target)
    # Zeros that nobody writes take no memory.
    result = np.zeros(target.shape_zyx, array_zyx.dtype)
    if fill:
        result[...] = fill
    ranges = [axis.inside() for axis in axes]
    if any(lo == hi for lo, hi in ranges):
        return result
    z_index, y_index, x_index = (
        np.clip(np.floor(axis.positions()[lo:hi] + 0.5), 0, axis.n_in - 1).astype(np.int64)
        for axis, (lo, hi) in zip(axes, ranges, strict=True)
    )
    (z_lo, _), y_range, x_range = ranges
    for k, z in enumerate(z_index):
        rows = array[z][y_index]
        if not fill and not rows.any():
            continue
        result[z_lo + k, slice(*y_range), slice(*x_range)] = rows[:, x_index]
    return result
