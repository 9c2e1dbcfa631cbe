"""A case beside an earlier one of the same patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ..case.findings import CaseResult, LesionStatus
from ..case.followup import FollowUp, LesionSize, Pair, TimePoint, provisional
from ..case.lesion_masks import lesion_masks
from ..case.recist import (
    Assessment,
    TargetSize,
    TargetState,
    assess,
    propose_targets,
)
from ..stages.followup.pair import Place, pair_lesions
from ..stages.followup.register import LiverTransform, ScanLiver, register_livers
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from ..volume.dicom import DicomSource

_FAILED = "Lesions could not be paired: {}. Is it the same patient?"
UNLIKE_DICE = 0.84
"""Livers that agree less before they are bent are doubted: another patient, or much has changed."""


@dataclass(frozen=True, eq=False)
class Examined:
    """A case with what belongs to it.

    Attributes:
        volume: its CT; None where it is not at hand.
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
    points = time_point(prior), time_point(current)
    warnings = list(_identity(prior, current))
    if points[0].day and points[1].day and points[1].day < points[0].day:
        warnings.append("The prior scan is younger than the current one. Are they the wrong way round?")
    warnings += _phases(prior, current)
    found = register_livers(_scan(prior), _scan(current), progress)
    if found is None:
        why = "one of the scans has no liver"
        return FollowUp(*points, failed=_FAILED.format(why), warnings=tuple(warnings))
    if found.failed:
        why = f"the livers do not fit (Dice {found.dice:.2f}, outlines {found.gap_mm:.0f} mm apart)"
        quality = {"dice": found.dice, "gap_mm": found.gap_mm}
        return FollowUp(*points, failed=_FAILED.format(why), warnings=tuple(warnings), **quality)
    if found.rigid_dice < UNLIKE_DICE:
        warnings.append(
            f"The livers fit badly (Dice {found.rigid_dice:.2f} unbent): another patient, a resection, or "
            "much has changed. Check the pairs."
        )
    pairs = _pairs(prior, current, found, points)
    return FollowUp(*points, pairs, warnings=tuple(warnings), dice=found.dice, gap_mm=found.gap_mm)


def time_point(examined: Examined) -> TimePoint:
    """A case as one time of a follow-up; what the reader rejected is not part of it."""
    result = examined.result
    counted = [lesion for lesion in result.lesions if lesion.status.counts]
    sizes = {}
    for lesion in counted:
        m = lesion.measurement
        treated = lesion.status is LesionStatus.TREATED
        sizes[lesion.number] = (
            LesionSize(lesion.number, lesion.tracking_uid, treated=treated)
            if m is None
            else LesionSize(
                lesion.number,
                lesion.tracking_uid,
                m.long_axis_mm,
                m.short_axis_mm,
                m.volume_ml,
                treated=treated,
            )
        )
    day = examined.day or _study_day(examined.source)
    decided = all(x.status is not LesionStatus.UNDECIDED or x.edited for x in result.lesions)
    thickness = result.geometry.spacing_zyx_mm[0]
    return TimePoint(result.case_name, day, sizes, thickness, decided)


def response(followup: FollowUp, targets: tuple[int, ...] | None = None) -> Assessment | None:
    """RECIST 1.1 of the liver's own targets, as far as two scans tell it; None without a target.

    Args:
        targets: numbers in the prior scan; None takes the proposed ones.
    """
    before, now = followup.prior, followup.current
    if followup.failed:
        return None
    axes = {n: x.long_axis_mm for n, x in before.lesions.items() if not x.treated and x.long_axis_mm > 0}
    chosen = propose_targets(axes, before.slice_thickness_mm) if targets is None else targets
    if not chosen:
        return None
    baseline = [TargetSize(before.lesions[n].long_axis_mm) for n in chosen]
    current = [_size_now(next(p for p in followup.pairs if n in p.prior), now, chosen) for n in chosen]
    return assess([baseline, current], provisional=provisional(followup).text)


def _size_now(pair: Pair, now: TimePoint, targets: tuple[int, ...]) -> TargetSize:
    """A target now: gone, not covered, or what its lesions measure; of merged targets the first counts."""
    if not pair.current:
        covered = pair.state.value != "not covered"
        return TargetSize(0.0, TargetState.GONE if covered else TargetState.NOT_COVERED)
    total = sum(now.lesions[n].long_axis_mm for n in pair.current)
    share = sum(n in targets for n in pair.prior)
    return TargetSize(total / max(1, share))


def _pairs(
    prior: Examined, current: Examined, found: LiverTransform, points: tuple[TimePoint, TimePoint]
) -> tuple[Pair, ...]:
    places = []
    for examined, point in zip((prior, current), points, strict=True):
        masks = lesion_masks(examined.result)
        geometry = examined.result.geometry
        places.append({n: Place.of(masks[n], geometry) for n in point.lesions if n in masks})
    grids = prior.result.geometry, current.result.geometry
    return pair_lesions(places[0], places[1], found, (points[0].lesions, points[1].lesions), grids)


def _scan(examined: Examined) -> ScanLiver:
    result = examined.result
    hu = None if examined.volume is None else examined.volume.hu_zyx
    return ScanLiver(hu, result.liver_zyx, result.geometry)


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


def _study_day(source: DicomSource | None) -> date | None:
    if source is None:
        return None
    try:
        return datetime.strptime(source.study_date[:8], "%Y%m%d").date()
    except ValueError:
        return None
