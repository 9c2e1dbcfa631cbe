"""The report's part on earlier scans, as finished texts in one language."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import partial

from ...case.course import sums_over_time
from ...case.criteria import volume_change_percent
from ...case.followup import FollowUp, Pair, TimePoint
from ...case.followup_columns import (
    CHANGES,
    NUMBERS,
    SIZES_NOW,
    PairColumn,
    numbers_text,
    shown_columns,
    stable_though_changed,
)
from ...case.joined import JoinedOutline, WideOutline
from ...case.judged import JudgedCourse
from ...case.other_targets import other_targets_text
from ...case.volume_interval import volume_digits
from ...pictures.followup_plot import WORDS, followup_svg
from ...support.text import printable
from .sentences import sentence
from .strings import Language
from .table import Table

_BY_KEY = {column.key: column for column in (*NUMBERS, *CHANGES, *SIZES_NOW)}
COLUMNS = tuple(
    _BY_KEY[key]
    for key in (
        "number",
        "prior_number",
        "state",
        "prior_long_axis",
        "long_axis",
        "change_mm",
        "change_percent",
        "prior_volume",
        "volume",
        "change_ml",
        "change_volume_percent",
        "doubling_days",
    )
)
"""Of the table of pairs, from left to right; :func:`shown_columns` leaves out what no pair has."""


@dataclass(frozen=True)
class FollowUpPart:
    """What the report says of earlier scans.

    Attributes:
        facts: (label, value) pairs: which scans, how far apart, how well they lie on each other.
        failed: why lesions could not be paired, "" where they were.
        pairs: a row for every lesion of the last two scans; None where it failed.
        over_time: a row for every lesion of all scans, and the targets' sum; None with two scans.
        response: the category, with the word provisional or confirmed.
        statements: its arithmetic, and what is uncertain or provisional about it.
        plot: SVG; "" without a target.
    """

    facts: tuple[tuple[str, str], ...]
    failed: str
    pairs: Table | None
    over_time: Table | None
    response: str
    statements: tuple[str, ...]
    warnings: tuple[str, ...]
    plot: str
    plot_caption: str


def follow_up_part(judged: JudgedCourse, words: Language) -> FollowUpPart:
    """Put a comparison into words."""
    course = judged.course
    return FollowUpPart(
        facts=_facts(course.last, words),
        failed=sentence(course.failed, words) if course.failed else "",
        pairs=None if course.failed else _pairs(judged, words),
        over_time=_over_time(judged, words) if len(course.points) > 2 and not course.failed else None,
        response="" if course.failed else _response(judged, words),
        statements=() if course.failed else tuple(_statements(judged, words)),
        warnings=(
            *(_warning(whose, warning, words) for whose, warning in judged.doubts),
            *(_joined(one, words) for pair in course.last.pairs if (one := course.last.joined_of(pair))),
            *(_wide(one, words) for pair in course.last.pairs if (one := course.last.wide_of(pair))),
            *_stable_though_changed(course.last, words),
        ),
        plot=followup_svg(
            course, judged.targets, judged.elsewhere, _plot_words(words), lambda day: _day(day, words)
        ),
        plot_caption=words("fu.plot"),
    )


def _facts(followup: FollowUp, words: Language) -> tuple[tuple[str, str], ...]:
    facts = [
        (words("fu.prior"), _scan(followup.prior, words)),
        (words("fu.current"), _scan(followup.current, words)),
    ]
    days = words("fu.no_days") if followup.days is None else str(followup.days)
    facts.append((words("fu.days"), days))
    if math.isfinite(followup.dice):
        fit = words("fu.fit_value", dice=words.number(followup.dice, 2), gap=words.number(followup.gap_mm, 0))
        facts.append((words("fu.fit"), fit))
    return tuple(facts)


def _scan(point: TimePoint, words: Language) -> str:
    """When it was; of one whose date is not known, which it is."""
    return _day(point.day, words) if point.day else words("fu.undated", name=printable(point.name))


def _day(day: date | None, words: Language) -> str:
    return words("unknown") if day is None else words.date(f"{day:%Y%m%d}")


def _pairs(judged: JudgedCourse, words: Language) -> Table:
    followup = judged.course.last
    targets = judged.marked
    columns = shown_columns(COLUMNS, followup)
    return Table(
        "",
        tuple(words(f"fu.head.{column.key}") for column in columns),
        tuple(
            tuple(_cell(column, followup, pair, targets, words) for column in columns)
            for pair in followup.pairs
        ),
        tuple(
            tuple(_interval(column, followup, pair, words) for column in columns) for pair in followup.pairs
        ),
    )


def _interval(column: PairColumn, followup: FollowUp, pair: Pair, words: Language) -> str:
    if column.interval is None:
        return ""
    low, high = column.interval(followup, pair)
    value = column.value(followup, pair)
    digits = volume_digits(float(value)) if column.unit == "mL" else 0
    return words.interval(low, high, digits)


def _cell(
    column: PairColumn, followup: FollowUp, pair: Pair, targets: frozenset[int], words: Language
) -> str:
    if column.key == "state":
        return state_text(pair, words)
    text = column.text(followup, pair)
    if column.digits is not None:
        return _figure(text, words)
    if column.key == "prior_number" and set(pair.prior) & targets:
        return words("fu.target", n=text)
    return text


def state_text(pair: Pair, words: Language) -> str:
    """A pair's state; one that waits for the reader is called a proposal."""
    state = words(f"state.{pair.state.value}")
    return words("fu.proposed", state=state) if pair.proposed else state


def _figure(text: str, words: Language) -> str:
    return text if words.code == "en" else text.replace(".", ",")


def _over_time(judged: JudgedCourse, words: Language) -> Table:
    course = judged.course
    heads = [
        words("fu.scan", n=k + 1) if point.day is None else _day(point.day, words)
        for k, point in enumerate(course.points)
    ]
    rows = []
    for k, track in enumerate(course.tracks):
        cells = [chr(97 + k) if k < 26 else str(k + 1)]
        for at, numbers in enumerate(track.numbers):
            axis = sum(course.points[at].lesions[n].long_axis_mm for n in numbers)
            absent = words("state.not covered") if not track.covered[at] else "-"
            absent = words("state.resected") if at in track.resected else absent
            cells.append(f"{words.number(axis, 1)} ({numbers_text(numbers)})" if numbers else absent)
        rows.append(tuple(cells))
    sums = sums_over_time(course, judged.targets, judged.elsewhere)
    rows.append((words("fu.sum"), *(words.number(mm, 1) for mm in sums)))
    return Table(words("fu.over_time"), (words("fu.lesion"), *heads), tuple(rows))


def _response(judged: JudgedCourse, words: Language) -> str:
    response = judged.response
    if response is None:
        return words("fu.no_target")
    return words(
        "fu.response",
        response=words(f"response.{response.overall.value}"),
        word=words("fu.provisional" if response.provisional else "fu.confirmed"),
    )


def _statements(judged: JudgedCourse, words: Language) -> list[str]:
    response, said = judged.response, []
    if response is not None:
        said += [sentence(one, words) for one in response.arithmetic]
        if response.uncertain:
            possible = words("fu.or").join(words(f"response.{one.value}") for one in response.possible)
            key = "fu.uncertain_open" if judged.course.has_proposals else "fu.uncertain"
            said.append(words(key, possible=possible))
        if judged.elsewhere:
            number = partial(words.number, digits=1)
            texts = words("fu.node"), words("state.not covered")
            said.append(words("fu.elsewhere", targets=other_targets_text(judged.elsewhere, number, *texts)))
        volume = volume_change_percent(judged.course, judged.targets)
        if math.isfinite(volume):
            said.append(words("fu.volume", p=signed(volume, words)))
    if judged.choi is not None:
        percent = judged.choi.size_percent, judged.choi.hu_percent
        size, density = (signed(p, words) for p in percent)
        category = words(f"response.{judged.choi.response.value}")
        said.append(words("fu.choi", response=category, size=size, density=density))
    if judged.mrecist is not None:
        category = words(f"response.{judged.mrecist.overall.value}")
        sizes = other_targets_text(
            judged.enhancing, partial(words.number, digits=1), "", words("state.not covered")
        )
        said.append(words("fu.mrecist", response=category, sizes=sizes))
    if reasons := [sentence(one, words) for one in judged.course.provisional.split("; ") if one]:
        said.append(words("fu.why", why="; ".join(reasons)))
    return said


def signed(value: float, words: Language) -> str:
    """A whole number with its sign; a dash where there is none."""
    return f"{value:+.0f}" if math.isfinite(value) else words.number(value)


def _warning(whose: tuple[str, str] | None, said: str, words: Language) -> str:
    """With several earlier scans a warning begins with the two scans that it is about."""
    known = sentence(said, words)
    return known if whose is None else words("fu.whose", prior=whose[0], current=whose[1], s=known)


def _joined(one: JoinedOutline, words: Language) -> str:
    sizes = zip(one.others, one.long_axes_mm, strict=True)
    return words(
        "fu.joined_now" if one.in_current else "fu.joined_prior",
        n=one.number,
        others=" + ".join(map(str, one.others)),
        parts=", ".join(f"{n}: {words.number(mm, 0)} mm" for n, mm in sizes),
    )


def _wide(one: WideOutline, words: Language) -> str:
    return words(
        "fu.wide_now" if one.in_current else "fu.wide_prior",
        n=one.number,
        others=" + ".join(map(str, one.others)),
        ml=words.number(one.outline_ml, volume_digits(one.outline_ml)),
        others_ml=words.number(one.others_ml, volume_digits(one.others_ml)),
    )


def _stable_though_changed(followup: FollowUp, words: Language) -> tuple[str, ...]:
    """Why lesions are called stable whose long axis is a fifth longer or shorter; "" is not said."""
    changed = stable_though_changed(followup)
    return (words("fu.stable_changed", numbers=changed),) if changed else ()


def _plot_words(words: Language) -> dict[str, str]:
    plain = {
        "title": words("fu.plot"),
        "lesion": words("fu.lesion").lower(),
        "scan": words("fu.scan", n="").strip(),
    }
    if words.code == "de":
        plain["lesion"] = words("fu.lesion")
    return {name: plain.get(name) or words(f"fu.plot.{name}") for name in WORDS}
