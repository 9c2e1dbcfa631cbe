"""The table of a comparison: every column with its heading, unit, digits and where its value comes from.

As :mod:`.columns` for one scan: the panel's tables and the report are cut from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .course import interval_of_sum
from .followup import GROWN_SHARE, Change, FollowUp, LesionSize, LesionState, Pair, change_of
from .volume_interval import end_text, volume_digits

Interval = Callable[[FollowUp, Pair], tuple[float, float]]


@dataclass(frozen=True)
class PairColumn:
    """One column.

    Attributes:
        key: its name in files and in the report's words.
        heading: without the unit.
        short: where there is little room, with its unit.
        tip: what it is, in a sentence.
        value: a number, NaN where there is none, or a text.
        digits: after the point; None for texts.
        signed: whether a plus is written.
        interval: (low, high) of the value, NaN where it is not known; None for what has none.
    """

    key: str
    heading: str
    short: str
    tip: str
    value: Callable[[FollowUp, Pair], float | str]
    unit: str = ""
    digits: int | None = None
    signed: bool = False
    interval: Interval | None = None

    def text(self, followup: FollowUp, pair: Pair) -> str:
        """Its cell for reading; "" where there is nothing."""
        value = self.value(followup, pair)
        if isinstance(value, str):
            return value
        if not math.isfinite(value):
            return ""
        return f"{value:{'+' if self.signed else ''}.{self.digits or 0}f}"


def lesions_before(followup: FollowUp, pair: Pair) -> list[LesionSize]:
    """The pair's lesions of the prior scan."""
    return [followup.prior.lesions[n] for n in pair.prior]


def lesions_now(followup: FollowUp, pair: Pair) -> list[LesionSize]:
    """The pair's lesions of the current scan."""
    return [followup.current.lesions[n] for n in pair.current]


def total(lesions: list[LesionSize], field: str) -> float:
    """Sum of a size over lesions; NaN where there is none."""
    return sum(float(getattr(lesion, field)) for lesion in lesions) if lesions else math.nan


def intervals_text(followup: FollowUp, pair: Pair) -> str:
    """A line for each lesion of a pair: its sizes with their intervals, where they are known."""
    parts = (("now", lesions_now(followup, pair)), ("before", lesions_before(followup, pair)))
    return "\n".join(
        f"{when.capitalize()} {x.number}: {x.long_axis_mm:.1f} mm "
        f"({end_text(x.low_mm)} to {end_text(x.high_mm)}), "
        f"{x.volume_ml:.{(digits := volume_digits(x.volume_ml))}f} mL "
        f"({' to '.join(end_text(ml, digits) for ml in x.volume_interval_ml)})"
        for when, lesions in parts
        for x in lesions
        if math.isfinite(x.high_mm)
    )


STABLE_CHANGED = (
    "Called stable though changed by 20 % and more: lesion {numbers}. Grown is +20 % and +5 mm, shrunk -30 % "
    "and -3 mm, both by more than the two measurements' intervals together."
)


def stable_though_changed(followup: FollowUp) -> str:
    """Numbers now of lesions that are called stable though a fifth longer or shorter; "" for none."""
    changed = []
    for pair in followup.pairs:
        if pair.state is not LesionState.STABLE or len(pair.prior) != 1 or len(pair.current) != 1:
            continue
        before = followup.prior.lesions[pair.prior[0]].long_axis_mm
        now = followup.current.lesions[pair.current[0]].long_axis_mm
        if abs(now - before) >= GROWN_SHARE * before:
            changed.append(str(pair.current[0]))
    return ", ".join(changed)


def numbers_text(numbers: tuple[int, ...]) -> str:
    """ "1+2"; "" for none."""
    return "+".join(map(str, numbers))


def _before(field: str) -> Callable[[FollowUp, Pair], float]:
    return lambda followup, pair: total(lesions_before(followup, pair), field)


def _now(field: str) -> Callable[[FollowUp, Pair], float]:
    return lambda followup, pair: total(lesions_now(followup, pair), field)


def volume_interval_of_sum(lesions: list[LesionSize]) -> tuple[float, float]:
    """Interval of the sum of volumes in mL, errors independent; NaN where one has none."""
    if not lesions or any(math.isnan(ml) for x in lesions for ml in x.volume_interval_ml):
        return math.nan, math.nan
    whole = total(lesions, "volume_ml")
    down = math.hypot(*(x.volume_ml - x.volume_interval_ml[0] for x in lesions))
    up = math.hypot(*(x.volume_interval_ml[1] - x.volume_ml for x in lesions))
    return max(0.0, whole - down), whole + up


def _axis_interval(of: Callable[[FollowUp, Pair], list[LesionSize]]) -> Interval:
    def interval(followup: FollowUp, pair: Pair) -> tuple[float, float]:
        low, high = interval_of_sum(of(followup, pair))
        return (math.nan, math.nan) if low is None or high is None else (low, high)

    return interval


def _volume_interval(of: Callable[[FollowUp, Pair], list[LesionSize]]) -> Interval:
    return lambda followup, pair: volume_interval_of_sum(of(followup, pair))


def _change(field: str) -> Callable[[FollowUp, Pair], float]:
    def value(followup: FollowUp, pair: Pair) -> float:
        change: Change = change_of(followup, pair)
        return float(getattr(change, field))

    return value


def _doubling(followup: FollowUp, pair: Pair) -> float:
    """Of what has grown; of what has not, a time of doubling is the measurements' noise."""
    days = change_of(followup, pair).doubling_days
    return days if pair.state is LesionState.GROWN and days > 0 else math.nan


NUMBERS: tuple[PairColumn, ...] = (
    PairColumn(
        "number", "Lesion", "#", "Number in this scan", lambda followup, pair: numbers_text(pair.current)
    ),
    PairColumn(
        "prior_number",
        "Before",
        "was #",
        "Number in the prior scan",
        lambda followup, pair: numbers_text(pair.prior),
    ),
)
"""Which lesions it is about."""
CHANGES: tuple[PairColumn, ...] = (
    PairColumn(
        "state",
        "State",
        "State",
        "What became of it since the prior scan; new, gone, resected and faint in one scan are proposals "
        "until you confirm them",
        lambda followup, pair: pair.state.value,
    ),
    PairColumn(
        "prior_long_axis",
        "Long axis before",
        "was mm",
        "Long axis in the prior scan, mm",
        _before("long_axis_mm"),
        "mm",
        1,
        interval=_axis_interval(lesions_before),
    ),
    PairColumn(
        "change_mm",
        "Change",
        "Δ mm",
        "Change of the long axis, mm",
        _change("long_axis_mm"),
        "mm",
        1,
        True,
    ),
    PairColumn(
        "change_percent",
        "Change",
        "Δ %",
        "Change of the long axis, per cent",
        _change("long_axis_percent"),
        "%",
        0,
        True,
    ),
    PairColumn(
        "prior_volume",
        "Volume before",
        "was mL",
        "Volume in the prior scan, mL",
        _before("volume_ml"),
        "mL",
        2,
        interval=_volume_interval(lesions_before),
    ),
    PairColumn(
        "change_ml",
        "Change of volume",
        "Δ mL",
        "Change of the volume, mL",
        _change("volume_ml"),
        "mL",
        2,
        True,
    ),
    PairColumn(
        "change_volume_percent",
        "Change of volume",
        "Δ mL %",
        "Change of the volume, per cent",
        _change("volume_percent"),
        "%",
        0,
        True,
    ),
    PairColumn(
        "doubling_days",
        "Doubling time",
        "×2 days",
        "Days in which the volume of a lesion that has grown doubles. Needs both dates",
        _doubling,
        "days",
        0,
    ),
)
"""What became of them."""
SIZES_NOW: tuple[PairColumn, ...] = (
    PairColumn(
        "long_axis",
        "Long axis",
        "mm",
        "Long axis now, mm",
        _now("long_axis_mm"),
        "mm",
        1,
        interval=_axis_interval(lesions_now),
    ),
    PairColumn(
        "volume",
        "Volume",
        "mL",
        "Volume now, mL",
        _now("volume_ml"),
        "mL",
        2,
        interval=_volume_interval(lesions_now),
    ),
)


def shown_columns(columns: tuple[PairColumn, ...], followup: FollowUp) -> tuple[PairColumn, ...]:
    """Of these columns those worth their room: without times of doubling where no pair has one."""
    return tuple(
        column
        for column in columns
        if column.key != "doubling_days" or any(column.text(followup, pair) for pair in followup.pairs)
    )
