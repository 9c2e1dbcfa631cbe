"""Masks as crops of the CT's grid: compared, cut, told apart by a fingerprint."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.steps import Steps, slabs
from .geometry import Geometry, Index3, axis_permutation, index_triple, permuted, reoriented_geometry
from .masks import BoxSlices, bounding_box


@dataclass(frozen=True, eq=False)
class Mask:
    """A crop of a boolean mask: `voxels_zyx[0, 0, 0]` lies at `start_zyx` of the CT's grid."""

    voxels_zyx: NDArray[np.bool_]
    start_zyx: Index3

    @classmethod
    def of(cls, mask_zyx: NDArray[np.bool_]) -> Mask:
        """The mask trimmed to its smallest crop; empty for an empty mask."""
        return cls(*trimmed(mask_zyx))

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.voxels_zyx))

    @property
    def slices(self) -> BoxSlices:
        """Where the crop lies in an array of the CT's shape."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.start_zyx, self.voxels_zyx.shape, strict=True))
        return z, y, x

    def fingerprint(self, geometry: Geometry) -> str:
        """Text that differs when any voxel differs.

        It is the same for the same voxels on the grid turned round: Slicer turns left-handed grids on
        loading.
        """
        upright = reoriented_geometry(geometry)
        axes, flips = axis_permutation(geometry, upright)
        voxels = permuted(self.voxels_zyx, geometry, upright)
        numbers = list(voxels.shape)
        for axis, flip in zip(axes, flips, strict=True):
            where = self.slices[axis]
            numbers.append(geometry.shape_zyx[axis] - where.stop if flip else where.start)
        return ",".join([f"{zlib.crc32(np.packbits(voxels).tobytes()):08x}", *map(str, numbers)])


def same_voxels(one: Mask, other: Mask) -> bool:
    """Whether two masks of a grid are of the same voxels, however wide their crops are."""
    (a, start_a), (b, start_b) = (trimmed(mask.voxels_zyx) for mask in (one, other))
    if not a.size or not b.size:
        return a.size == b.size
    first, second = (np.add(m.start_zyx, s) for m, s in ((one, start_a), (other, start_b)))
    return bool((first == second).all()) and np.array_equal(a, b)


def same_lesion(new: Mask, kept: Mask) -> bool:
    """Whether a new mask and one the reader keeps are one lesion.

    So when half the new one is already covered (the reader has it), or when half of the kept one lies in a
    new one of at most five times its volume (the reader has trimmed it).
    """
    common = overlap(new, kept)
    return common > 0 and (
        2 * common >= new.count or (2 * common >= kept.count and 5 * kept.count >= new.count)
    )


def overlap(a: Mask, b: Mask) -> int:
    """Number of voxels in both."""
    both = []
    for s, t in zip(a.slices, b.slices, strict=True):
        both.append((max(s.start, t.start), min(s.stop, t.stop)))
    if any(hi <= lo for lo, hi in both):
        return 0
    in_a, in_b = (
        m.voxels_zyx[tuple(slice(lo - o, hi - o) for (lo, hi), o in zip(both, m.start_zyx, strict=True))]
        for m in (a, b)
    )
    return int(np.count_nonzero(in_a & in_b))


def without(mask: Mask, others: Iterable[Mask]) -> Mask:
    """A mask less the voxels of the kept ones."""
    voxels = mask.voxels_zyx
    for other in others:
        if overlap(mask, other):
            voxels = voxels & ~_over(other, mask)
    return Mask(voxels, mask.start_zyx)


def _over(mask: Mask, frame: Mask) -> NDArray[np.bool_]:
    """`mask` cut to the crop of `frame`."""
    out = np.zeros(frame.voxels_zyx.shape, bool)
    source, target = [], []
    for s, t in zip(mask.slices, frame.slices, strict=True):
        lo, hi = max(s.start, t.start), min(s.stop, t.stop)
        source.append(slice(lo - s.start, hi - s.start))
        target.append(slice(lo - t.start, hi - t.start))
    out[tuple(target)] = mask.voxels_zyx[tuple(source)]
    return out


def mask_steps(mask_zyx: NDArray[np.bool_]) -> Steps[Mask]:
    """:meth:`Mask.of` in steps."""
    parts: list[tuple[int, BoxSlices]] = []
    for slab in slabs(mask_zyx.shape):
        box = bounding_box(mask_zyx[slab])
        if box is not None:
            parts.append((slab.start, box))
        yield
    if not parts:
        return Mask(np.zeros((0, 0, 0), mask_zyx.dtype), (0, 0, 0))
    z = slice(parts[0][0] + parts[0][1][0].start, parts[-1][0] + parts[-1][1][0].stop)
    y, x = (
        slice(min(box[axis].start for _, box in parts), max(box[axis].stop for _, box in parts))
        for axis in (1, 2)
    )
    return Mask(mask_zyx[z, y, x], (z.start, y.start, x.start))


def trimmed(mask_zyx: NDArray[Any]) -> tuple[NDArray[Any], Index3]:
    """The smallest crop that holds every non-zero voxel, and where it starts; empty for an empty mask."""
    where = bounding_box(mask_zyx)
    if where is None:
        return np.zeros((0, 0, 0), mask_zyx.dtype), (0, 0, 0)
    z, y, x = where
    return mask_zyx[where], (z.start, y.start, x.start)


def union(masks: Sequence[Mask]) -> Mask:
    """What lies in any of the masks; an empty one for none."""
    if not masks:
        return Mask(np.zeros((0, 0, 0), bool), (0, 0, 0))
    low = np.min([m.start_zyx for m in masks], axis=0)
    high = np.max([np.array(m.start_zyx) + m.voxels_zyx.shape for m in masks], axis=0)
    out = np.zeros(high - low, bool)
    for mask in masks:
        place = tuple(slice(s.start - o, s.stop - o) for s, o in zip(mask.slices, low, strict=True))
        out[place] |= mask.voxels_zyx
    return Mask(out, index_triple(low))
