"""Masks and maps as a case's array file keeps them: cut to what is not empty, halved. See :mod:`.store`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.steps import Steps, slabs
from ..volume.ct import Geometry
from ..volume.masks import bounding_box
from .store_json import Json


def cropped(array: NDArray[Any]) -> tuple[NDArray[Any], Json]:
    """The part of a mask or label map that is not empty, and where it lies."""
    box = bounding_box(array) or (slice(0, 0),) * 3
    start, shape = [s.start for s in box], [s.stop - s.start for s in box]
    return np.ascontiguousarray(array[box]), {"start_zyx": start, "shape_zyx": shape}


def placed(part: NDArray[Any], place: Json, geometry: Geometry, dtype: np.dtype) -> Steps[NDArray[Any]]:
    """A cropped mask or label map back on the whole grid."""
    start, shape = tuple(place["start_zyx"]), tuple(place["shape_zyx"])
    stop = tuple(a + n for a, n in zip(start, shape, strict=True))
    fits = all(0 <= a <= b <= n for a, b, n in zip(start, stop, geometry.shape_zyx, strict=True))
    if part.shape != shape or not fits:
        raise ValueError("a mask does not fit the scan's grid")
    whole = np.zeros(geometry.shape_zyx, dtype)
    inner = whole[tuple(map(slice, start, stop))]
    for slab in slabs(part.shape):
        inner[slab] = part[slab]
        yield
    return whole


def on_grid(array: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """The array itself; ValueError where it does not have the grid's shape."""
    if array.shape != geometry.shape_zyx:
        raise ValueError("a map does not fit its grid")
    return array


def to_half(values: NDArray[Any]) -> tuple[NDArray[np.float16], float, float]:
    """float16 with the offset and scale that use its range: small and large numbers keep their digits."""
    values = np.asarray(values, np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = high - low if high > low else 1.0
    with np.errstate(invalid="ignore"):
        return ((values - np.float32(low)) / np.float32(scale)).astype(np.float16), low, scale
