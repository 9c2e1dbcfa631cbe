"""This scan beside earlier ones: which lesions are which, how they changed, what the reader said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum

from .joined import JoinedOutline, WideOutline
from .recist import ROUNDING_MM
from .volume_interval import half_of_mm, volume_interval_ml


class LesionState(str, Enum):
    """What became of a lesion between two scans."""

    NEW = "new"
    GONE = "gone"
    GROWN = "grown"
    SHRUNK = "shrunk"
    STABLE = "stable"
    MERGED = "merged"
    SPLIT = "split"
    TREATED = "treated"
    NOT_COVERED = "not covered"
    RESECTED = "resected"
    """Its part of the liver is not there any more: not gone, which would be a response."""
    FAINT = "faint in one scan"
    """Listed in one scan only; at its place in the other the network sees something below the threshold."""


@dataclass(frozen=True)
class LesionSize:
    """One lesion at one time point.

    Attributes:
        number: in that time point's case.
        tracking_uid: "" where it has none.
        long_axis_mm, short_axis_mm, volume_ml: NaN where there is no mask.
        low_mm, high_mm: interval of the long axis; NaN where it is not known.
        treated: the reader called it treated.
        confirmed: the reader has accepted, drawn or treated it.
        hu_mean: over its mask; NaN where there is none.
        by_network: a network drew its outline, and the reader has not drawn it anew.
        cut: it reaches the first or last slice of its scan, and may be larger than measured.
    """

    number: int
    tracking_uid: str = ""
    long_axis_mm: float = math.nan
    short_axis_mm: float = math.nan
    volume_ml: float = math.nan
    low_mm: float = math.nan
    high_mm: float = math.nan
    treated: bool = False
    confirmed: bool = False
    hu_mean: float = math.nan
    by_network: bool = False
    cut: bool = False

    @property
    def volume_interval_ml(self) -> tuple[float, float]:
        """(low, high); NaN where it is not known."""
        half_mm = half_of_mm(self.low_mm, self.high_mm, self.long_axis_mm)
        return volume_interval_ml(self.volume_ml, half_mm)


@dataclass(frozen=True)
class TimePoint:
    """One scan of a follow-up.

    Attributes:
        name: of its case.
        day: of the study; None where it is not known.
        lesions: those that count, by number.
        slice_thickness_mm: of its CT.
        decided: whether the reader has judged every lesion.
    """

    name: str
    day: date | None
    lesions: Mapping[int, LesionSize]
    slice_thickness_mm: float
    decided: bool = False


@dataclass(frozen=True)
class Pair:
    """Lesions of two scans that are the same.

    Attributes:
        prior, current: numbers; empty for new and gone ones, several for split and merged ones.
        state: see :class:`LesionState`.
        distance_mm: between the prior's place in the current scan and the current lesion; NaN where one is
            missing.
        by_reader: whether the reader linked, unlinked or confirmed it.
        wide: one is a network's outline round the others that holds far more than they do, see
            :func:`is_wide`.
    """

    prior: tuple[int, ...]
    current: tuple[int, ...]
    state: LesionState
    distance_mm: float = math.nan
    by_reader: bool = False
    wide: bool = False

    @property
    def proposed(self) -> bool:
        """Whether it waits for the reader's word: listed in one scan only, or by a far too wide outline."""
        alone = not (self.prior and self.current)
        return not self.by_reader and (self.wide or (alone and self.state is not LesionState.NOT_COVERED))


@dataclass(frozen=True)
class FollowUp:
    """A current scan beside one earlier one.

    Attributes:
        prior, current: the two time points.
        pairs: every lesion of both is in exactly one of them.
        failed: why lesions could not be paired ("" where they were).
        warnings: for the reader.
        dice, gap_mm: how well the livers lie on each other.
        joined: outlines round several lesions of the other scan, which the reader may have cut.
    """

    prior: TimePoint
    current: TimePoint
    pairs: tuple[Pair, ...] = ()
    failed: str = ""
    warnings: tuple[str, ...] = ()
    dice: float = math.nan
    gap_mm: float = math.nan
    joined: tuple[JoinedOutline, ...] = ()

    def joined_of(self, pair: Pair) -> JoinedOutline | None:
        """The joined outline of a pair that the reader has not paired anew; None for none."""
        return next((one for one in self.joined if _is_joined(pair, one)), None)

    def wide_of(self, pair: Pair) -> WideOutline | None:
        """The outline of a pair that is too wide for its lesions, until the reader has confirmed it."""
        if not pair.wide or pair.by_reader:
            return None
        in_current = len(pair.current) == 1
        ends = (pair.current, pair.prior) if in_current else (pair.prior, pair.current)
        scans = (self.current, self.prior) if in_current else (self.prior, self.current)
        volumes = [
            sum(scan.lesions[n].volume_ml for n in numbers) for scan, numbers in zip(scans, ends, strict=True)
        ]
        return WideOutline(in_current, ends[0][0], ends[1], *volumes)

    @property
    def days(self) -> int | None:
        """Between the two scans; negative where their order is wrong, None where a date is missing."""
        if self.prior.day is None or self.current.day is None:
            return None
        return (self.current.day - self.prior.day).days

    def pair_of(self, number: int) -> Pair | None:
        """The pair that holds a lesion of the current scan."""
        return next((pair for pair in self.pairs if number in pair.current), None)


def _is_joined(pair: Pair, one: JoinedOutline) -> bool:
    ends = (pair.prior, pair.current) if one.in_current else (pair.current, pair.prior)
    return not pair.by_reader and ends == (one.others, (one.number,))


@dataclass(frozen=True)
class Change:
    """A lesion's change; NaN where it cannot be said.

    Attributes:
        long_axis_mm: now minus before.
        long_axis_percent, volume_ml, volume_percent: likewise.
        doubling_days: time in which its volume doubles (negative: halves); NaN without dates or change.
    """

    long_axis_mm: float = math.nan
    long_axis_percent: float = math.nan
    volume_ml: float = math.nan
    volume_percent: float = math.nan
    doubling_days: float = math.nan


def change_of(followup: FollowUp, pair: Pair) -> Change:
    """What a pair's lesions have become.

    Parts of one that split are added; of ones that merged, the common axis stands against the sum of before
    (RECIST 1.1).
    """
    before = [followup.prior.lesions[n] for n in pair.prior]
    now = [followup.current.lesions[n] for n in pair.current]
    if not before or not now:
        return Change()
    axis0, axis1 = sum(x.long_axis_mm for x in before), sum(x.long_axis_mm for x in now)
    volume0, volume1 = sum(x.volume_ml for x in before), sum(x.volume_ml for x in now)
    doubling = math.nan
    days = followup.days
    if days and days > 0 and volume0 > 0 and volume1 > 0 and volume0 != volume1:
        doubling = days * math.log(2) / math.log(volume1 / volume0)
    return Change(
        axis1 - axis0,
        100 * (axis1 - axis0) / axis0 if axis0 > 0 else math.nan,
        _as_shown(volume1) - _as_shown(volume0),
        100 * (volume1 - volume0) / volume0 if volume0 > 0 else math.nan,
        doubling,
    )


def _as_shown(volume_ml: float) -> float:
    """A volume with the decimals of tables: a change is the difference of the two that stand beside it."""
    return round(volume_ml, 2) if volume_ml < 100 else volume_ml


GROWN_SHARE, GROWN_MM = 0.2, 5.0
SHRUNK_SHARE = 0.3
"""RECIST's cuts, for a single lesion."""
GROWN_VOLUME, SHRUNK_VOLUME = (1 + GROWN_SHARE) ** 3, (1 - SHRUNK_SHARE) ** 3
"""The same for volumes."""
REPEAT_MM = 3.0
"""What one reader's second measurement of a lesion differs by; smaller changes are none."""


def state_of(before: Sequence[LesionSize], now: Sequence[LesionSize]) -> LesionState:
    """The state of lesions that are in both scans.

    Grown and shrunk is what changed by RECIST's cuts and by more than both intervals together, where they are
    known. Several lesions whose volume has stayed are one outline in one scan and two in the other, no more:
    to merge they have to grow, to split to shrink. Else only their volume together says anything.
    """
    if any(x.treated for x in (*before, *now)):
        return LesionState.TREATED
    if len(before) > 1 or len(now) > 1:
        volumes = [sum(x.volume_ml for x in part) for part in (before, now)]
        alike = SHRUNK_VOLUME * volumes[0] < volumes[1] < GROWN_VOLUME * volumes[0]
        if alike or abs(volumes[1] - volumes[0]) < _unsure_ml(before, now):
            return LesionState.STABLE
        if volumes[1] > volumes[0]:
            return LesionState.MERGED if len(now) == 1 else LesionState.GROWN
        return LesionState.SPLIT if len(before) == 1 else LesionState.SHRUNK
    axis0, axis1 = before[0].long_axis_mm, now[0].long_axis_mm
    if not (math.isfinite(axis0) and math.isfinite(axis1)):
        return LesionState.STABLE
    rise = axis1 - axis0
    if abs(rise) < _unsure_mm(before[0], now[0]):
        return LesionState.STABLE
    # Lengths have 0.1 mm: 33.0 to 39.6 mm is 20 %, whatever binary fractions make of it.
    if rise >= GROWN_MM - ROUNDING_MM and rise >= GROWN_SHARE * axis0 - ROUNDING_MM:
        return LesionState.GROWN
    if -rise >= SHRUNK_SHARE * axis0 - ROUNDING_MM and -rise >= REPEAT_MM - ROUNDING_MM:
        return LesionState.SHRUNK
    return LesionState.STABLE


def is_wide(before: Sequence[LesionSize], now: Sequence[LesionSize]) -> bool:
    """Whether one of them is a network's outline round the others that holds far more than they do.

    More is RECIST's growth, 20 % along each axis, of the others' volume together. Nothing in two volumes
    tells an outline that has run over its lesions' surroundings from lesions that have grown together.
    """
    if any(x.treated for x in (*before, *now)):
        return False
    one, others = (before, now) if len(before) == 1 else (now, before)
    if len(one) != 1 or len(others) < 2 or not one[0].by_network:
        return False
    return one[0].volume_ml > GROWN_VOLUME * sum(x.volume_ml for x in others)


def _unsure_mm(before: LesionSize, now: LesionSize) -> float:
    """Half the width of a change of long axes' interval, errors independent; 0 where one is not known."""
    first, last = sorted((before, now), key=lambda x: x.long_axis_mm)
    half = math.hypot(first.high_mm - first.long_axis_mm, last.long_axis_mm - last.low_mm)
    return half if math.isfinite(half) else 0.0


def _unsure_ml(before: Sequence[LesionSize], now: Sequence[LesionSize]) -> float:
    """The same for the volume of several lesions."""
    first, last = sorted((before, now), key=lambda part: sum(x.volume_ml for x in part))
    up = (x.volume_interval_ml[1] - x.volume_ml for x in first)
    half = math.hypot(*up, *(x.volume_ml - x.volume_interval_ml[0] for x in last))
    return half if math.isfinite(half) else 0.0


def linked(followup: FollowUp, prior: int, current: int) -> FollowUp:
    """The reader says that two lesions are the same; both leave the pairs they were in.

    Raises:
        KeyError: no such lesion.
    """
    before, now = followup.prior.lesions[prior], followup.current.lesions[current]
    pair = Pair((prior,), (current,), state_of([before], [now]), by_reader=True)
    return replace(followup, pairs=_ordered((*_without(followup, prior, current), pair)))


def unlinked(followup: FollowUp, prior: int, current: int) -> FollowUp:
    """The reader says that two lesions are not the same: one is gone, one is new.

    Raises:
        KeyError: no such lesion.
    """
    _ = followup.prior.lesions[prior], followup.current.lesions[current]
    apart = (
        Pair((prior,), (), LesionState.GONE, by_reader=True),
        Pair((), (current,), LesionState.NEW, by_reader=True),
    )
    return replace(followup, pairs=_ordered((*_without(followup, prior, current), *apart)))


def _without(followup: FollowUp, prior: int, current: int) -> list[Pair]:
    """The pairs less two lesions; what stays of a pair keeps together."""
    kept = []
    for pair in followup.pairs:
        before = tuple(n for n in pair.prior if n != prior)
        now = tuple(n for n in pair.current if n != current)
        if (before, now) == (pair.prior, pair.current):
            kept.append(pair)
        elif before and now:
            ends = [followup.prior.lesions[n] for n in before], [followup.current.lesions[n] for n in now]
            state = state_of(*ends)
            kept.append(replace(pair, prior=before, current=now, state=state, wide=is_wide(*ends)))
        elif before:
            kept.append(Pair(before, (), LesionState.GONE, by_reader=pair.by_reader))
        elif now:
            kept.append(Pair((), now, LesionState.NEW, by_reader=pair.by_reader))
    return kept


def _ordered(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """By the current number, those that are gone last."""
    return tuple(sorted(pairs, key=lambda p: (not p.current, min(p.current or p.prior))))


@dataclass(frozen=True)
class Provisional:
    """Why a response is not final yet."""

    reasons: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        return "; ".join(self.reasons)


def provisional(followup: FollowUp) -> Provisional:
    """What the reader has to confirm before a category is a response: "gone" and "new" are proposals."""
    reasons = []
    if followup.failed:
        reasons.append("the scans could not be brought into line")
    for point, name in ((followup.prior, "prior"), (followup.current, "current")):
        if not point.decided:
            reasons.append(f"lesions of the {name} scan are not reviewed")
    if any(pair.proposed and not pair.wide for pair in followup.pairs):
        reasons.append("new, gone or resected lesions are not confirmed")
    if any(pair.proposed and pair.wide for pair in followup.pairs):
        reasons.append("an outline round several lesions is not checked")
    return Provisional(tuple(reasons))
