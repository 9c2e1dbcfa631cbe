"""A case beside an earlier one of the same patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import numpy as np

from ..case.alignment import Alignment
from ..case.course import Course, response_of
from ..case.findings import CaseResult
from ..case.followup import FollowUp, Pair, TimePoint
from ..case.interval import intervals_of
from ..case.lesion_masks import lesion_masks
from ..case.recist import Assessment
from ..case.time_point import time_point_of
from ..stages.followup.faint import FaintSettings, Look, look_in, with_faint
from ..stages.followup.pair import (
    PairSettings,
    Place,
    pair_lesions,
    removed_warning,
)
from ..stages.followup.parts import CutSettings, JoinedCut, joined_cuts
from ..stages.followup.register import (
    AlignSettings,
    LiverTransform,
    ScanLiver,
    composed,
    register_livers,
)
from ..support.progress import Progress, part, silent
from ..volume.ct import CtVolume
from ..volume.dicom import DicomSource
from ..volume.geometry import reoriented_geometry
from .rules import Rules

_FAILED = "Lesions could not be paired: {}. Is it the same patient?"


@dataclass(frozen=True, eq=False)
class Examined:
    """A case with what belongs to it.

    Attributes:
        volume: its CT; None where it is not at hand: then the reduced one that the case keeps is used.
        source: its DICOM images; None where it did not come from DICOM.
        day: of the study, where it is given; else the source's.
    """

    result: CaseResult
    volume: CtVolume | None = None
    source: DicomSource | None = None
    day: date | None = None


def follow_up(prior: Examined, current: Examined, progress: Progress = silent) -> FollowUp:
    """Register the livers, pair the lesions that count, and say what is doubtful.

    Raises:
        Cancelled: from `progress`.
    """
    return _step(prior, current, progress)[0]


def follow_course(priors: Sequence[Examined], current: Examined, progress: Progress = silent) -> Course:
    """All earlier scans and the current one: neighbours in time are paired, and what one misses is bridged.

    Args:
        priors: at least one, in any order where every one has a date; else the latest first.

    Raises:
        ValueError: no earlier scan.
        Cancelled: from `progress`.
    """
    scans, warnings = in_order(priors)
    scans = [*scans, current]
    count = len(scans) - 1
    made = [
        _step(one, other, part(progress, k / count, (k + 1) / count))
        for k, (one, other) in enumerate(pairwise(scans))
    ]
    steps, found = [step for step, _ in made], [transform for _, transform in made]
    points = tuple(time_point(scan) for scan in scans)
    bridges = {}
    for first in range(len(scans) - 2):
        for last in range(first + 2, len(scans)):
            joined = composed(found[first:last])
            if joined is not None:
                ends = points[first], points[last]
                bridges[first, last] = _pairs(scans[first], scans[last], joined, ends)
    return Course(points, tuple(steps), bridges, tuple(warnings))


def in_order(priors: Sequence[Examined]) -> tuple[list[Examined], list[str]]:
    """(Earlier scans, the oldest first; what the reader has to know of their order).

    Raises:
        ValueError: there is none.
    """
    if not priors:
        raise ValueError("no earlier scan")
    given = list(reversed(priors))
    days = [_day(scan) for scan in given]
    if len(given) == 1:
        return given, []
    if any(day is None for day in days):
        return given, [
            "Not every earlier scan has a date: they were taken in the order given, the latest first."
        ]
    ordered = sorted(given, key=lambda scan: _day(scan) or date.min)
    if [_day(scan) for scan in ordered] == days:
        return ordered, []
    return ordered, [
        "The earlier scans were put into the order of their dates, which is not the order given."
    ]


def _step(prior: Examined, current: Examined, progress: Progress) -> tuple[FollowUp, LiverTransform | None]:
    """The comparison, and the registration where it did not fail."""
    aligned = align(prior, current, progress)
    return compared(prior, current, aligned), aligned.movement


def compared(prior: Examined, current: Examined, aligned: Alignment[LiverTransform]) -> FollowUp:
    """The comparison of two scans that are registered; without pairs where that failed."""
    points, found = (time_point(prior), time_point(current)), aligned.movement
    pairs = () if found is None else _pairs(prior, current, found, points)
    joined = () if found is None else tuple(cut.outline for cut in cuts(prior, current, found, pairs))
    warnings = aligned.warnings if found is None else (*aligned.warnings, *removed_warning(pairs))
    quality = aligned.failed, warnings, aligned.dice, aligned.gap_mm
    return FollowUp(*points, pairs, *quality, joined)


def cuts(
    prior: Examined, current: Examined, found: LiverTransform, pairs: Sequence[Pair]
) -> tuple[JoinedCut, ...]:
    """What outlines round several lesions of the other scan come to if they are cut between them."""
    several = [pair for pair in pairs if len(pair.prior) > 1 or len(pair.current) > 1]
    if not several:
        return ()
    masks, places = [], []
    for scan, side in ((prior, "prior"), (current, "current")):
        there, geometry = lesion_masks(scan.result), scan.result.geometry
        masks.append(there)
        places.append({n: Place.of(there[n], geometry) for p in several for n in getattr(p, side)})
    grids = prior.result.geometry, current.result.geometry
    looked_up = masks[0].__getitem__, masks[1].__getitem__
    settings = Rules().part(CutSettings)
    return joined_cuts(several, (places[0], places[1]), found, looked_up, grids, settings)


def align(prior: Examined, current: Examined, progress: Progress = silent) -> Alignment[LiverTransform]:
    """Register the livers, and say what speaks against comparing the two scans.

    Raises:
        Cancelled: from `progress`.
    """
    warnings = list(_identity(prior, current))
    if same_scan(prior, current):
        warnings.append("Both are the same scan: it is compared with itself.")
    if wrong := order_warning(_day(prior), _day(current)):
        warnings.append(wrong)
    warnings += _phases(prior, current)
    found = register_livers(_scan(prior), _scan(current), progress)
    if found is None:
        return Alignment(None, _FAILED.format("one of the scans has no liver"), tuple(warnings))
    limits = Rules().part(AlignSettings)
    if found.failed(limits):
        why = f"the livers do not fit (Dice {found.dice:.2f}, outlines {found.gap_mm:.0f} mm apart)"
        return Alignment(None, _FAILED.format(why), tuple(warnings), found.dice, found.gap_mm)
    if found.rigid_dice < limits.unlike_dice:
        warnings.append(
            f"The livers fit badly (Dice {found.rigid_dice:.2f} unbent): another patient, a resection, or "
            "much has changed. Check the pairs."
        )
    return Alignment(found, "", tuple(warnings), found.dice, found.gap_mm)


def order_warning(prior: date | None, current: date | None) -> str:
    """What to say where the prior is the younger scan; "" where it is not, or a date is missing."""
    if prior is None or current is None or current >= prior:
        return ""
    return "The prior scan is younger than the current one. Are they the wrong way round?"


def same_scan(one: Examined, other: Examined) -> bool:
    """Whether two cases were made from the same images."""
    if one.source is not None and other.source is not None:
        images = [[s and (s.sop_instance_uid, s.frame_number) for s in x.source.slices] for x in (one, other)]
        if images[0] and any(images[0]):
            return images[0] == images[1]
    if not one.result.geometry.matches(other.result.geometry):
        return False
    reduced = one.result.reduced_ct, other.result.reduced_ct
    if one.volume is not None and other.volume is not None:
        return bool(np.array_equal(one.volume.hu_zyx, other.volume.hu_zyx))
    return (
        reduced[0] is not None
        and reduced[1] is not None
        and bool(np.array_equal(reduced[0].values_zyx, reduced[1].values_zyx))
    )


def time_point(examined: Examined) -> TimePoint:
    """A case as one time of a follow-up; what the reader rejected is not part of it."""
    result = examined.result
    return time_point_of(
        result.lesions,
        intervals_of(result),
        result.case_name,
        _day(examined),
        reoriented_geometry(result.geometry).spacing_zyx_mm[0],
        result.geometry,
    )


def response(followup: FollowUp, targets: tuple[int, ...] | None = None) -> Assessment | None:
    """RECIST 1.1 of the liver's own targets, as far as two scans tell it; None without a target.

    Args:
        targets: numbers in the prior scan; None takes the proposed ones.
    """
    return response_of(Course.of(followup), targets)


def _pairs(
    prior: Examined, current: Examined, found: LiverTransform, points: tuple[TimePoint, TimePoint]
) -> tuple[Pair, ...]:
    places = []
    for examined, point in zip((prior, current), points, strict=True):
        masks = lesion_masks(examined.result)
        geometry = examined.result.geometry
        places.append({n: Place.of(masks[n], geometry) for n in point.lesions if n in masks})
    grids = prior.result.geometry, current.result.geometry
    sizes = points[0].lesions, points[1].lesions
    made = pair_lesions(places[0], places[1], found, sizes, grids, Rules().part(PairSettings))
    return with_faint(made, (places[0], places[1]), found, (_look(prior), _look(current)))


def _look(examined: Examined) -> Look | None:
    known = examined.result.probabilities.get("tumour")
    return None if known is None else look_in(known.values_zyx, known.geometry, Rules().part(FaintSettings))


def _scan(examined: Examined) -> ScanLiver:
    result = examined.result
    if examined.volume is not None:
        return ScanLiver(examined.volume.hu_zyx, result.liver_zyx, result.geometry)
    if (reduced := result.reduced_ct) is not None:
        return ScanLiver(reduced.hu_zyx, result.liver_zyx, result.geometry, reduced.geometry)
    return ScanLiver(None, result.liver_zyx, result.geometry)


def _identity(prior: Examined, current: Examined) -> list[str]:
    """What the files' patient modules say against one patient, without naming anybody."""
    if prior.source is None or current.source is None:
        return []
    names = {"patient_id": "patient ID", "patient_birth_date": "birth date", "patient_sex": "sex"}
    differ = [
        text
        for field, text in names.items()
        if getattr(prior.source, field)
        and getattr(current.source, field)
        and getattr(prior.source, field) != getattr(current.source, field)
    ]
    if not differ:
        return []
    return [
        f"The scans name different patients: {', '.join(differ)} differ{'s' if len(differ) == 1 else ''}."
    ]


def _phases(prior: Examined, current: Examined) -> list[str]:
    one, other = prior.result.phase, current.result.phase
    if one is None or other is None or one.name == other.name:
        return []
    return [
        f"The prior scan looks {one.name}, the current one {other.name}: lesions can look larger or smaller, "
        "appear or vanish, by the phase alone."
    ]


def _day(examined: Examined) -> date | None:
    return examined.day or _study_day(examined.source)


def _study_day(source: DicomSource | None) -> date | None:
    if source is None:
        return None
    try:
        return datetime.strptime(source.study_date[:8], "%Y%m%d").date()
    except ValueError:
        return None
