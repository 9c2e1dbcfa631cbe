"""A mask as text and back."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from .crops import Mask
from .geometry import Geometry, axis_permutation, permuted, reoriented_geometry


def pack_mask(mask: Mask, geometry: Geometry) -> str:
    """A mask as text; a lesion of 40 mm takes some kilobytes.

    Kept on the upright grid: Slicer turns left-handed grids round when it loads them.
    """
    upright = turned(mask, geometry, reoriented_geometry(geometry))
    bits = base64.b64encode(zlib.compress(np.packbits(upright.voxels_zyx).tobytes(), 6)).decode("ascii")
    numbers = ",".join(str(int(n)) for n in (*upright.start_zyx, *upright.voxels_zyx.shape))
    return f"{numbers};{bits}"


def unpack_mask(text: str, geometry: Geometry) -> Mask | None:
    """The way back from :func:`pack_mask`, onto `geometry`; None where the text is damaged."""
    try:
        numbers, bits = text.split(";")
        values = [int(n) for n in numbers.split(",")]
        start, shape = tuple(values[:3]), tuple(values[3:])
        packed = np.frombuffer(zlib.decompress(base64.b64decode(bits)), np.uint8)
        voxels = np.unpackbits(packed)[: int(np.prod(shape))].reshape(shape).astype(bool)
    except (ValueError, zlib.error):
        return None
    return turned(Mask(voxels, start), reoriented_geometry(geometry), geometry)  # type: ignore[arg-type]


def unpack_whole(text: str, geometry: Geometry) -> NDArray[np.bool_] | None:
    """A packed mask on the whole of `geometry`; None where the text is damaged, or of another grid."""
    mask = unpack_mask(text, geometry)
    if mask is None or any(
        s.start < 0 or s.stop > n for s, n in zip(mask.slices, geometry.shape_zyx, strict=True)
    ):
        return None
    whole = np.zeros(geometry.shape_zyx, bool)
    whole[mask.slices] = mask.voxels_zyx
    return whole


def turned(mask: Mask, source: Geometry, target: Geometry) -> Mask:
    """A mask on the same grid with its axes permuted and flipped."""
    axes, flips = axis_permutation(source, target)
    start = []
    for axis, flip in zip(axes, flips, strict=True):
        where = mask.slices[axis]
        start.append(source.shape_zyx[axis] - where.stop if flip else where.start)
    return Mask(np.ascontiguousarray(permuted(mask.voxels_zyx, source, target)), tuple(start))
