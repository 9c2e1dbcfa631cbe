"""A lesion's outline from one point in it: what the network suspected there. See `star` for where it did not.

Arrays are a frame of the CT's grid round the point, z, y, x; lengths are mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.geometry import Index3 as Index
from ...volume.geometry import index_triple
from ...volume.masks import components

SpacingMm = tuple[float, float, float]


@dataclass(frozen=True)
class PointSettings:
    """How an outline is grown from a point.

    Attributes:
        point_reach_mm: nothing farther from the point belongs to it.
        point_seed_mm: what the network suspects so near the point stands for the lesion.
        point_ball_mm: radius of what is proposed where nothing can be told.
        point_suspicion: probability of tumour, 0..1, from which the network has suspected something.
        point_share: of the highest probability near the point, from where the outline is drawn.
    """

    point_reach_mm: float
    point_seed_mm: float
    point_ball_mm: float
    point_suspicion: float
    point_share: float


def frame_round(
    seed_zyx: NDArray[np.int_], shape_zyx: Index, spacing_zyx_mm: SpacingMm, reach_mm: float
) -> tuple[tuple[slice, slice, slice], Index]:
    """The part of a grid within reach of a voxel, and the voxel's index in it."""
    reach = np.ceil(reach_mm / np.array(spacing_zyx_mm)).astype(int)
    low, high = np.maximum(seed_zyx - reach, 0), np.minimum(seed_zyx + reach + 1, shape_zyx)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (z, y, x), index_triple(seed_zyx - low)


def distance_to(shape_zyx: tuple[int, ...], at: Index, spacing_zyx_mm: SpacingMm) -> NDArray[np.float64]:
    """Distance of every voxel of a frame to one of them, mm."""
    steps = [(np.arange(n) - a) * s for n, a, s in zip(shape_zyx, at, spacing_zyx_mm, strict=True)]
    z, y, x = np.meshgrid(*steps, indexing="ij", sparse=True)
    return np.sqrt(z**2 + y**2 + x**2)


def grow_by_probability(
    probability_zyx: NDArray[np.float32],
    at: Index,
    spacing_zyx_mm: SpacingMm,
    inside_zyx: NDArray[np.bool_],
    settings: PointSettings,
) -> NDArray[np.bool_] | None:
    """The outline that the segmenter suspected round a point, below its threshold or not.

    The highest probability of tumour within `point_seed_mm` is the lesion's; what has at least `point_share`
    of it and hangs together with the point belongs to it.

    Args:
        probability_zyx: of tumour, 0..1.
        inside_zyx: where the lesion may lie.

    Returns:
        The mask; None where the network suspects nothing, too little to be a lesion, or no end of it.
    """
    distance_mm = distance_to(probability_zyx.shape, at, spacing_zyx_mm)
    near = (distance_mm <= max(settings.point_seed_mm, max(spacing_zyx_mm) / 2)) & inside_zyx
    if not near.any():
        return None
    peak = float(probability_zyx[near].max())
    if peak < settings.point_suspicion:
        return None
    likely = (probability_zyx >= settings.point_share * peak) & inside_zyx
    labels, _ = components(likely, 6)
    at_peak = np.unravel_index(np.argmax(np.where(near, probability_zyx, -1.0)), probability_zyx.shape)
    piece = ndimage.binary_fill_holes(labels == labels[at_peak])
    if (distance_mm[piece] > settings.point_reach_mm).any():
        return None
    ball_mm3 = 4 / 3 * np.pi * settings.point_ball_mm**3
    return piece if piece.sum() * float(np.prod(spacing_zyx_mm)) >= ball_mm3 / 8 else None
