"""The comparison with an earlier scan as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..case.course import Course, sums_over_time
from ..case.criteria import volume_change_percent
from ..case.followup import LesionSize, Pair, change_of
from ..case.followup_columns import STABLE_CHANGED, stable_though_changed
from ..case.judged import JudgedCourse
from ..case.other_targets import other_targets_text

FOLLOWUP_PLOT = "followup_plot.svg"


def course_text(judged: JudgedCourse) -> str:
    """A table of pairs, lesions over time, the response with its arithmetic, and what is doubtful."""
    course, response, targets = judged.course, judged.response, judged.targets
    followup = course.last
    days = "" if followup.days is None else f", {followup.days} days"
    lines = [f"Beside {followup.prior.name}{days}:"]
    if course.failed:
        return "\n".join([*lines, course.failed, *judged.warnings])
    wide = max([12, *(len(_state(pair)) for pair in followup.pairs)])
    lines.append(f"{'now':>6} {'before':>7}  {'state':<{wide}} {'long axis mm':>22}  {'volume mL':>20}")
    for pair in followup.pairs:
        mark = "*" if judged.marked & set(pair.prior) else " "
        change = change_of(followup, pair)
        before = [followup.prior.lesions[n] for n in pair.prior]
        now = [followup.current.lesions[n] for n in pair.current]
        axis = _from_to(_sum(before, "long_axis_mm"), _sum(now, "long_axis_mm"), 1)
        volume = _from_to(_sum(before, "volume_ml"), _sum(now, "volume_ml"), 2)
        percent = "" if math.isnan(change.long_axis_percent) else f" ({change.long_axis_percent:+.0f} %)"
        lines.append(
            f"{_numbers(pair.current):>6} {_numbers(pair.prior):>7}{mark} {_state(pair):<{wide}} "
            f"{axis + percent:>22}  {volume:>20}"
        )
    if any(judged.marked & set(pair.prior) for pair in followup.pairs):
        lines.append("* is a target of RECIST 1.1.")
    if any(pair.proposed for pair in followup.pairs):
        lines.append("? is a proposal until the reader has confirmed it.")
    if changed := stable_though_changed(followup):
        lines.append(STABLE_CHANGED.format(numbers=changed))
    lines += [one.text for pair in followup.pairs if (one := followup.joined_of(pair)) is not None]
    lines += [one.text for pair in followup.pairs if (one := followup.wide_of(pair)) is not None]
    if len(course.points) > 2:
        lines += _over_time(course, sums_over_time(course, targets, judged.elsewhere))
    if response is not None:
        if others := other_targets_text(judged.elsewhere):
            lines.append(f"Targets outside of the liver, mm: {others}.")
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
    if judged.mrecist is not None:
        sizes = other_targets_text(judged.enhancing)
        lines.append(f"mRECIST (HCC): {judged.mrecist.overall.value}; enhancing, mm: {sizes}.")
    if course.provisional:
        lines.append(f"Provisional: {course.provisional}.")
    return "\n".join([*lines, *(f"Note: {warning}" for warning in judged.warnings)])


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
            absent = "resected" if at in track.resected else absent
            cells.append(f"{_sum(there, 'long_axis_mm'):.1f} ({_numbers(numbers)})" if there else absent)
        lines.append(f"  {chr(97 + k) if k < 26 else k + 1:>6} " + " ".join(f"{cell:>12}" for cell in cells))
    cells = ["-" if math.isnan(mm) else f"{mm:.1f}" for mm in sums]
    return [*lines, "     sum " + " ".join(f"{cell:>12}" for cell in cells)]


def _sum(lesions: list[LesionSize], name: str) -> float:
    return sum(getattr(x, name) for x in lesions) if lesions else math.nan


def _from_to(before: float, now: float, digits: int) -> str:
    one, other = ("-" if math.isnan(v) else f"{v:.{digits}f}" for v in (before, now))
    return f"{one} > {other}"


def _state(pair: Pair) -> str:
    return f"{pair.state.value}?" if pair.proposed else pair.state.value


def _numbers(numbers: tuple[int, ...]) -> str:
    return "+".join(map(str, numbers)) or "-"
