"""How sure a lesion's segment is: the planes are drawn again with their landmarks moved by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...case.anatomy import CouinaudSegment, Landmark, LiverAnatomy, SegmentShare
from ...volume.geometry import Vec3
from .planes import Planes

DRAWS = 24
MOST_POINTS = 1500
"""Voxels of a lesion, and of the liver, that are asked in each draw."""
HIGH_PERCENT = 90.0


def with_possible(
    anatomy: LiverAnatomy,
    lesions: Mapping[int, NDArray[np.float64]],
    shares: Mapping[int, Sequence[SegmentShare]],
    least: float,
) -> dict[int, tuple[SegmentShare, ...]]:
    """Shares with what they could be: the 90th per cent of draws with moved landmarks.

    Segments that a lesion only could lie in come last, with no share of its volume.

    Args:
        lesions: by number, LPS points in each, (n, 3).
        shares: by number, as the planes have them.
        least: a segment that a lesion only could lie in is named from this share on.
    """
    if not lesions:
        return {}
    liver = _points(anatomy)
    draws: dict[int, list[NDArray[np.float64]]] = {number: [] for number in lesions}
    chance = np.random.default_rng(0)
    some = {number: points[:: max(1, len(points) // MOST_POINTS)] for number, points in lesions.items()}
    every, ends = np.concatenate(list(some.values())), np.cumsum([len(one) for one in some.values()])
    for _ in range(DRAWS):
        planes = Planes({name: _moved(one, chance) for name, one in anatomy.landmarks.items()})
        level = planes.lateral_level(liver)
        segments = np.split(planes.segments(every, level), ends[:-1])
        for own, own_segments in zip(draws.values(), segments, strict=True):
            own.append(np.bincount(own_segments, minlength=10)[1:10] / max(1, len(own_segments)))
    return {number: _joined(shares[number], draws[number], least) for number in lesions}


def _joined(
    shares: Sequence[SegmentShare], draws: Sequence[NDArray[np.float64]], least: float
) -> tuple[SegmentShare, ...]:
    high = np.percentile(np.array(draws), HIGH_PERCENT, axis=0)
    known = {share.segment for share in shares}
    sure = [replace(one, possible=max(one.share, float(high[one.segment - 1]))) for one in shares]
    others = [
        SegmentShare(segment, 0.0, float(high[segment - 1]))
        for segment in CouinaudSegment
        if segment not in known and high[segment - 1] >= least
    ]
    return (*sure, *sorted(others, key=lambda one: -one.possible))


def _moved(one: Landmark, chance: np.random.Generator) -> Landmark:
    x, y, z = np.array(one.lps) + chance.normal(0.0, one.uncertainty_mm, 3)
    place: Vec3 = (float(x), float(y), float(z))
    return replace(one, lps=place)


def _points(anatomy: LiverAnatomy) -> NDArray[np.float64]:
    inside = some_voxels(anatomy.segments_zyx > 0)
    return anatomy.geometry.index_to_lps(inside)


def some_voxels(mask_zyx: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index (z, y, x) of about :data:`MOST_POINTS` of a mask's voxels, evenly in their order, or of all."""
    inside = np.flatnonzero(mask_zyx)
    some = inside[:: max(1, len(inside) // MOST_POINTS)]
    return np.stack(np.unravel_index(some, mask_zyx.shape), axis=-1)
