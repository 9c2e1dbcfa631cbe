"""A case's lesions as one time of a follow-up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from ..volume.geometry import Geometry
from .findings import Lesion, LesionSource, LesionStatus
from .followup import LesionSize, TimePoint
from .wording import reaches_an_end

LENGTH_DIGITS = 1
"""Of axes in a comparison, mm: as they are shown, so that a reader who adds them up finds the same sum."""


def time_point_of(
    lesions: Iterable[Lesion],
    intervals: Mapping[int, tuple[float, float]],
    name: str,
    day: date | None,
    slice_thickness_mm: float,
    geometry: Geometry | None = None,
) -> TimePoint:
    """Those that count, with their sizes.

    Args:
        intervals: lesion number -> (low, high) of the long axis in mm, where they are known.
        geometry: the CT's grid, which says which lesions its ends cut; None where that is not known.
    """
    lesions = list(lesions)
    counted = [lesion for lesion in lesions if lesion.status.counts]
    sizes = {}
    for lesion in counted:
        cut = geometry is not None and reaches_an_end(lesion, geometry)
        sizes[lesion.number] = replace(_size(lesion, intervals.get(lesion.number)), cut=cut)
    return TimePoint(name, day, sizes, slice_thickness_mm, all(map(_judged, lesions)))


def _judged(lesion: Lesion) -> bool:
    return lesion.status is not LesionStatus.UNDECIDED or lesion.edited


def _size(lesion: Lesion, interval: tuple[float, float] | None) -> LesionSize:
    m = lesion.measurement
    low, high = interval or (math.nan, math.nan)
    return LesionSize(
        lesion.number,
        lesion.tracking_uid,
        math.nan if m is None else round(m.long_axis_mm, LENGTH_DIGITS),
        math.nan if m is None else round(m.short_axis_mm, LENGTH_DIGITS),
        math.nan if m is None else m.volume_ml,
        low,
        high,
        treated=lesion.status is LesionStatus.TREATED,
        confirmed=_judged(lesion),
        hu_mean=math.nan if m is None else m.hu_mean,
        # Outlines that were handed in have no interval: nobody knows whose they are.
        by_network=interval is not None and not lesion.edited and lesion.source is not LesionSource.READER,
    )
