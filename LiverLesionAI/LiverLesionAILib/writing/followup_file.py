"""The comparison with an earlier scan as JSON for programs and as text for the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..case.course import Course, proposed_targets, sums_over_time
from ..case.criteria import ChoiAssessment, volume_change_percent
from ..case.followup import FollowUp, LesionSize, TimePoint, change_of
from ..case.recist import Assessment, TargetSize

FOLLOWUP_FILE, FOLLOWUP_PLOT = "followup.json", "followup_plot.svg"
FORMAT, VERSION = "LiverLesionAI follow-up", 1


@dataclass(frozen=True)
class JudgedCourse:
    """A course with what is said of it.

    Attributes:
        response: None where none can be said.
        targets: numbers in the oldest scan; None for the proposed ones.
        elsewhere: for every scan the targets outside of the liver.
        choi: None unless it was asked for.
    """

    course: Course
    response: Assessment | None
    targets: Sequence[int] | None = None
    elsewhere: Sequence[Sequence[TargetSize]] = ()
    choi: ChoiAssessment | None = None


def followup_json(followup: FollowUp, response: Assessment | None) -> str:
    """:func:`course_json` of two scans."""
    return course_json(JudgedCourse(Course.of(followup), response))


def course_json(judged: JudgedCourse) -> str:
    """Pairs, changes and response; numbers that do not exist are null. Of patient data the dates only.

    `pairs` are of the current scan and the latest earlier one; `tracks` go over all scans.
    """
    course, response, targets = judged.course, judged.response, judged.targets
    followup = course.last
    pairs = []
    for pair in followup.pairs:
        change = change_of(followup, pair)
        pairs.append({
            "prior": list(pair.prior),
            "current": list(pair.current),
            "state": pair.state.value,
            "by_reader": pair.by_reader,
            "distance_mm": _number(pair.distance_mm, 1),
            "change_mm": _number(change.long_axis_mm, 1),
            "change_percent": _number(change.long_axis_percent, 1),
            "change_ml": _number(change.volume_ml, 3),
            "change_volume_percent": _number(change.volume_percent, 1),
            "doubling_days": _number(change.doubling_days, 0),
        })  # fmt: skip
    document = {
        "format": FORMAT,
        "version": VERSION,
        "prior": _time_point(followup.prior),
        "current": _time_point(followup.current),
        "days": followup.days,
        "registration": {
            "dice": _number(followup.dice, 3),
            "gap_mm": _number(followup.gap_mm, 1),
            "failed": course.failed,
        },
        "pairs": pairs,
        "time_points": [_time_point(point) for point in course.points],
        "tracks": [
            {"numbers": [list(n) for n in track.numbers], "covered": list(track.covered)}
            for track in course.tracks
        ],
        "targets": list(proposed_targets(course) if targets is None else targets),
        "volume_change_percent": _number(volume_change_percent(course, targets), 1),
        "choi": None if judged.choi is None else _choi(judged.choi),
        "sums_mm": [_number(mm, 1) for mm in sums_over_time(course, targets, judged.elsewhere)],
        "recist": None if response is None else _response(response),
        "provisional": [reason for reason in course.provisional.split("; ") if reason],
        "warnings": list(_warnings(course)),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def followup_text(followup: FollowUp, response: Assessment | None) -> str:
    """:func:`course_text` of two scans."""
    return course_text(JudgedCourse(Course.of(followup), response))


def course_text(judged: JudgedCourse) -> str:
    """A table of pairs, lesions over time, the response with its arithmetic, and what is doubtful."""
    course, response, targets = judged.course, judged.response, judged.targets
    followup = course.last
    days = "" if followup.days is None else f", {followup.days} days"
    lines = [f"Beside {followup.prior.name}{days}:"]
    if course.failed:
        return "\n".join([*lines, course.failed, *_warnings(course)])
    lines.append(f"{'now':>6} {'before':>7}  {'state':<12} {'long axis mm':>22}  {'volume mL':>20}")
    for pair in followup.pairs:
        change = change_of(followup, pair)
        before = [followup.prior.lesions[n] for n in pair.prior]
        now = [followup.current.lesions[n] for n in pair.current]
        axis = _from_to(_sum(before, "long_axis_mm"), _sum(now, "long_axis_mm"), 1)
        volume = _from_to(_sum(before, "volume_ml"), _sum(now, "volume_ml"), 2)
        percent = "" if math.isnan(change.long_axis_percent) else f" ({change.long_axis_percent:+.0f} %)"
        lines.append(
            f"{_numbers(pair.current):>6} {_numbers(pair.prior):>7}  {pair.state.value:<12} "
            f"{axis + percent:>22}  {volume:>20}"
        )
    if len(course.points) > 2:
        lines += _over_time(course, sums_over_time(course, targets, judged.elsewhere))
    if response is not None:
        where = "all targets" if judged.elsewhere else "the liver's targets"
        lines.append(f"RECIST 1.1 of {where}: {response.overall.value}.")
        lines += [f"  {sentence}" for sentence in response.arithmetic]
        if response.uncertain:
            lines.append(f"  Uncertain: {' or '.join(r.value for r in response.possible)}.")
    volume = volume_change_percent(course, targets)
    if response is not None and math.isfinite(volume):
        lines.append(f"Volume of the liver's targets: {volume:+.0f} % from the baseline.")
    if judged.choi is not None:
        change = [
            f"{p:+.0f} %" if math.isfinite(p) else "unknown"
            for p in (judged.choi.size_percent, judged.choi.hu_percent)
        ]
        lines.append(f"Choi (GIST): {judged.choi.response.value}; size {change[0]}, density {change[1]}.")
    if course.provisional:
        lines.append(f"Provisional: {course.provisional}.")
    return "\n".join([*lines, *(f"Note: {warning}" for warning in _warnings(course))])


def _over_time(course: Course, sums: Sequence[float]) -> list[str]:
    """A column for each scan, a row for each lesion with its long axes, and the targets' sum below."""
    heads = [
        f"scan {k + 1}" if point.day is None else point.day.isoformat()
        for k, point in enumerate(course.points)
    ]
    lines = ["Over time, long axis in mm:", "  lesion " + " ".join(f"{head:>12}" for head in heads)]
    for k, track in enumerate(course.tracks):
        cells = []
        for at, numbers in enumerate(track.numbers):
            there = [course.points[at].lesions[n] for n in numbers]
            absent = "-" if track.covered[at] else "not covered"
            cells.append(f"{_sum(there, 'long_axis_mm'):.1f} ({_numbers(numbers)})" if there else absent)
        lines.append(f"  {chr(97 + k) if k < 26 else k + 1:>6} " + " ".join(f"{cell:>12}" for cell in cells))
    cells = ["-" if math.isnan(mm) else f"{mm:.1f}" for mm in sums]
    return [*lines, "     sum " + " ".join(f"{cell:>12}" for cell in cells)]


def _warnings(course: Course) -> tuple[str, ...]:
    """Each once; with several earlier scans it is said which one is meant."""
    said: dict[str, None] = dict.fromkeys(course.warnings)
    for step in course.steps:
        whose = f"{step.prior.name} and {step.current.name}: " if len(course.steps) > 1 else ""
        said.update(dict.fromkeys(f"{whose}{warning}" for warning in step.warnings))
    return tuple(said)


def _time_point(point: TimePoint) -> dict[str, Any]:
    return {
        "name": point.name,
        "day": None if point.day is None else point.day.isoformat(),
        "slice_thickness_mm": _number(point.slice_thickness_mm, 3),
        "reviewed": point.decided,
        "lesions": [
            {
                "number": x.number,
                "tracking_uid": x.tracking_uid,
                "long_axis_mm": _number(x.long_axis_mm, 2),
                "short_axis_mm": _number(x.short_axis_mm, 2),
                "volume_ml": _number(x.volume_ml, 4),
                "long_axis_low_mm": _number(x.low_mm, 2),
                "long_axis_high_mm": _number(x.high_mm, 2),
                "treated": x.treated,
            }
            for x in point.lesions.values()
        ],
    }


def _response(response: Assessment) -> dict[str, Any]:
    sums = response.sums
    return {
        "overall": response.overall.value,
        "targets": response.target.value,
        "baseline_mm": _number(sums.baseline_mm, 1),
        "nadir_mm": _number(sums.nadir_mm, 1),
        "now_mm": _number(sums.now_mm, 1),
        "possible": [r.value for r in response.possible],
        "arithmetic": list(response.arithmetic),
        "provisional": response.provisional,
    }


def _choi(choi: ChoiAssessment) -> dict[str, Any]:
    return {
        "response": choi.response.value,
        "size_percent": _number(choi.size_percent, 1),
        "density_percent": _number(choi.hu_percent, 1),
    }


def _sum(lesions: list[LesionSize], name: str) -> float:
    return sum(getattr(x, name) for x in lesions) if lesions else math.nan


def _from_to(before: float, now: float, digits: int) -> str:
    one, other = ("-" if math.isnan(v) else f"{v:.{digits}f}" for v in (before, now))
    return f"{one} > {other}"


def _numbers(numbers: tuple[int, ...]) -> str:
    return "+".join(map(str, numbers)) or "-"


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None
