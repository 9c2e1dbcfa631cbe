"""The crop round a candidate that the second look judges.

Its voxels are finer than the first networks', and as many for every candidate: a large one is seen at a
smaller scale, with as much of what surrounds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from LiverLesionAILib.models.inputs import OUTSIDE_HU, InputSpec
from numpy.typing import NDArray
from scipy import ndimage

EDGE = 48
"""Voxels of a crop across, in the slices."""

FILLS = 0.5
"""Of a crop's edge so much is taken by a large candidate; a smaller one is seen at the usual scale."""

Spacing = tuple[float, float, float]


class Crop(NamedTuple):
    """One candidate.

    Attributes:
        hu: float32 (depth, EDGE, EDGE); probability, mask: 0..1, alike.
        scale: how many times larger its voxels are than the usual ones.
    """

    hu: NDArray[np.float32]
    probability: NDArray[np.float32]
    mask: NDArray[np.float32]
    scale: float


def crop_scale(extent_mm: float, spec: InputSpec) -> float:
    """How many times larger than usual the voxels are for a candidate that is `extent_mm` long."""
    return max(1.0, extent_mm / (FILLS * EDGE * spec.spacing_zyx_mm[1]))


def extent_mm(mask_zyx: NDArray[np.bool_], spacing_zyx_mm: Spacing) -> tuple[NDArray[np.float64], float]:
    """Middle of a mask's box, in voxels, and its longest edge."""
    where = np.nonzero(mask_zyx)
    low = np.array([float(w.min()) for w in where])
    high = np.array([float(w.max()) for w in where])
    return (low + high) / 2, float(((high - low + 1) * np.array(spacing_zyx_mm)).max())


def candidate_crop(
    hu_zyx: NDArray,
    mask_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    spec: InputSpec,
    probability_zyx: NDArray | None = None,
    margin: int = 0,
) -> Crop:
    """Round one candidate, by linear interpolation.

    Args:
        hu_zyx, mask_zyx: on one grid, the mask not empty.
        probability_zyx: of the first network on that grid, 0..255; None where it is not known: zeros.
        margin: further voxels on every side, to be cut off by who moves it a little.
    """
    centre, extent = extent_mm(mask_zyx, spacing_zyx_mm)
    scale = crop_scale(extent, spec)
    step = scale * np.array(spec.spacing_zyx_mm) / np.array(spacing_zyx_mm)
    shape = tuple(n + 2 * margin for n in (spec.in_slices, EDGE, EDGE))
    first = centre - step * (np.array(shape) - 1) / 2
    low = np.maximum(np.floor(first).astype(int) - 2, 0)
    high = np.minimum(np.ceil(first + step * np.array(shape)).astype(int) + 2, hu_zyx.shape)
    cut = tuple(slice(int(a), int(max(a + 1, b))) for a, b in zip(low, high, strict=True))

    def drawn(volume: NDArray, outside: float, smooth: bool) -> NDArray[np.float32]:
        part = np.asarray(volume[cut], np.float32)
        coarser = np.sqrt(np.maximum(step**2 - 1, 0)) / 2.35
        if smooth and coarser.max() > 0.2:
            part = ndimage.gaussian_filter(part, coarser)
        return ndimage.affine_transform(
            part, step, first - low, shape, np.float32, order=1, mode="constant", cval=outside
        )

    hu = drawn(hu_zyx, OUTSIDE_HU, True)
    mask = drawn(mask_zyx, 0.0, True)
    if probability_zyx is None:
        return Crop(hu, np.zeros(shape, np.float32), mask, scale)
    return Crop(hu, drawn(probability_zyx, 0.0, True) / np.float32(255), mask, scale)


def network_input(crop: Crop, spec: InputSpec, shift_hu: float) -> NDArray[np.float32]:
    """What the network sees of a crop without margin: (3 * depth + 1, EDGE, EDGE)."""
    planes = np.full((1, *crop.hu.shape[1:]), np.log2(crop.scale), np.float32)
    ct = spec.normalise(crop.hu + np.float32(shift_hu))
    return np.concatenate([ct, 2 * crop.probability - 1, 2 * crop.mask - 1, planes])
