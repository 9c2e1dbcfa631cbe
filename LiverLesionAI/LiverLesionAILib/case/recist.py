"""RECIST 1.1 as pure functions of lengths: what is measurable, sums, response, and how sure it is.

Lengths are mm. A lesion counts by its long axis, a lymph node by its short axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

MEASURABLE_MM = 10.0
"""Smallest long axis of a target."""
NODE_TARGET_MM = 15.0
"""Smallest short axis of a lymph node that is a target."""
NODE_NORMAL_MM = 10.0
"""A lymph node below this short axis is no longer diseased."""
TOO_SMALL_MM = 5.0
"""What counts for a target that is there but too small to be measured."""
THICK_SLICES_MM = 5.0
"""Above this slice thickness a target has to be twice as long as a slice is thick."""
MOST_TARGETS, MOST_IN_ORGAN = 5, 2
PARTIAL = 0.30
"""Share by which the sum has to fall below the baseline for a partial response."""
PROGRESS = 0.20
"""Share by which the sum has to rise above the nadir for progression ..."""
PROGRESS_MM = 5.0
"""... and by how much at least."""
# Sums are of lengths given to 0.1 mm: below this, a difference is rounding.
ROUNDING_MM = 1e-6
ELLIPSE_POINTS = 64
"""That two sums' intervals are gone round in."""


class Response(str, Enum):
    """Response categories, with their codes in DICOM's dictionary (PS3.16 CID 9401 and 9402)."""

    CR = "complete response"
    PR = "partial response"
    SD = "stable disease"
    PD = "progressive disease"
    NE = "not evaluable"
    NON_CR_NON_PD = "neither complete response nor progression"


class TargetState(str, Enum):
    """How a target looks at one time point."""

    MEASURED = "measured"
    TOO_SMALL = "too small to measure"
    GONE = "gone"
    NOT_COVERED = "not covered"
    TREATED = "treated"
    """Ablated, resected or otherwise treated for itself: its size says nothing of response."""


class NonTarget(str, Enum):
    """The reader's word on all non-target lesions together."""

    NONE = "there are none"
    GONE = "all gone"
    PERSISTENT = "at least one persists"
    PROGRESSING = "unequivocal progression"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True)
class TargetSize:
    """One target at one time point.

    Attributes:
        mm: long axis, or short axis of a node; ignored unless MEASURED.
        low_mm, high_mm: interval of the measurement; None where it is not known. Of one that is gone or too
            small `high_mm` is what it may be as long as the reader has not confirmed that.
        node: whether it is a lymph node.
    """

    mm: float
    state: TargetState = TargetState.MEASURED
    low_mm: float | None = None
    high_mm: float | None = None
    node: bool = False

    @property
    def counted_mm(self) -> float | None:
        """What it adds to the sum; None where it cannot be judged."""
        return self._counted(self.mm)

    @property
    def interval_mm(self) -> tuple[float, float] | None:
        """Smallest and largest that it may add; None where it is not covered."""
        if self.state in (TargetState.GONE, TargetState.TOO_SMALL):
            least = self._counted(0.0) or 0.0
            return least, max(least, self.high_mm or 0.0)
        low = self.mm if self.low_mm is None else self.low_mm
        high = self.mm if self.high_mm is None else self.high_mm
        counted = self._counted(low), self._counted(high)
        return None if counted[0] is None or counted[1] is None else (counted[0], counted[1])

    def _counted(self, mm: float) -> float | None:
        fixed = {
            TargetState.TOO_SMALL: TOO_SMALL_MM,
            TargetState.GONE: 0.0,
            TargetState.NOT_COVERED: None,
            TargetState.TREATED: None,
        }
        return fixed.get(self.state, mm) if self.state in fixed else mm

    @property
    def complete(self) -> bool:
        """Whether it is gone, or a node of normal size."""
        if self.state is TargetState.GONE:
            return True
        return self.node and self.counted_mm is not None and self.counted_mm < NODE_NORMAL_MM


@dataclass(frozen=True)
class Sums:
    """Sums of the targets over time, the last one judged now.

    Attributes:
        baseline_mm: at the first time point.
        nadir_mm: the smallest before now, the baseline included.
        now_mm: of the targets that are covered.
        whole: whether every target is covered now.
    """

    baseline_mm: float
    nadir_mm: float
    now_mm: float
    whole: bool = True


@dataclass(frozen=True)
class Assessment:
    """The response with the arithmetic behind it.

    Attributes:
        target, overall: categories of the targets and of everything.
        possible: overall categories that the measurements' intervals and unconfirmed proposals allow,
            `overall` among them; more than one means uncertain.
        arithmetic: the steps, in sentences.
        provisional: why it is no final response, "" when the reader has confirmed what it rests on.
    """

    target: Response
    overall: Response
    sums: Sums
    possible: tuple[Response, ...]
    arithmetic: tuple[str, ...]
    provisional: str = ""

    @property
    def uncertain(self) -> bool:
        return len(self.possible) > 1


def smallest_target_mm(slice_thickness_mm: float, *, node: bool = False) -> float:
    """The smallest axis of a target at this slice thickness.

    >>> smallest_target_mm(1.0), smallest_target_mm(5.0), smallest_target_mm(8.0)
    (10.0, 10.0, 16.0)
    """
    least = NODE_TARGET_MM if node else MEASURABLE_MM
    return max(least, 2.0 * slice_thickness_mm) if slice_thickness_mm > THICK_SLICES_MM else least


def propose_targets(
    axes_mm: Mapping[int, float], slice_thickness_mm: float, *, most: int = MOST_IN_ORGAN
) -> tuple[int, ...]:
    """The largest measurable lesions of one organ, by number; of equal ones the smaller number first."""
    least = smallest_target_mm(slice_thickness_mm)
    fit = [number for number, mm in axes_mm.items() if mm >= least - ROUNDING_MM]
    return tuple(sorted(fit, key=lambda number: (-axes_mm[number], number))[:most])


def doubtful_targets(
    own: Sequence[TargetSize], other: Sequence[TargetSize], least_mm: float
) -> tuple[str, ...]:
    """Sentences on a choice of targets that RECIST 1.1 does not make; nothing where it does.

    Args:
        own, other: sizes at the baseline of those in the liver and outside of it.
        least_mm: smallest long axis that is measurable there.
    """
    said = []
    if len(own) > MOST_IN_ORGAN or len(own) + len(other) > MOST_TARGETS:
        said.append(
            f"RECIST 1.1 takes {MOST_IN_ORGAN} targets in one organ and {MOST_TARGETS} in all at most: here "
            f"are {len(own)} in the liver and {len(other)} elsewhere."
        )
    small = [
        target
        for target in (*own, *other)
        if target.state is TargetState.MEASURED
        and target.mm < (NODE_TARGET_MM if target.node else least_mm) - ROUNDING_MM
    ]
    if small:
        said.append(
            f"A target is smaller at the baseline than RECIST 1.1 measures: {least_mm:.0f} mm here, "
            f"{NODE_TARGET_MM:.0f} mm short axis of a lymph node."
        )
    return tuple(said)


def sum_mm(targets: Iterable[TargetSize]) -> tuple[float, bool]:
    """(Sum of the covered targets, whether all are covered)."""
    counted = [target.counted_mm for target in targets]
    return sum(mm for mm in counted if mm is not None), None not in counted


def sums_of(time_points: Sequence[Sequence[TargetSize]]) -> Sums:
    """Sums of the same targets at every time point, the oldest first.

    A time point that does not cover every target is no nadir.

    Raises:
        ValueError: fewer than two time points, or different numbers of targets.
    """
    if len(time_points) < 2 or len({len(targets) for targets in time_points}) != 1:
        raise ValueError("needs the same targets at two time points at least")
    totals = [sum_mm(targets) for targets in time_points]
    before = [mm for mm, whole in totals[:-1] if whole] or [totals[0][0]]
    return Sums(totals[0][0], min(before), *totals[-1])


def target_response(sums: Sums, complete: bool) -> Response:
    """The category of the targets.

    Args:
        complete: every target is gone, or a node of normal size.
    """
    rise = sums.now_mm - sums.nadir_mm
    if rise >= PROGRESS_MM - ROUNDING_MM and rise >= PROGRESS * sums.nadir_mm - ROUNDING_MM:
        return Response.PD
    if not sums.whole:
        return Response.NE
    if complete:
        return Response.CR
    if sums.now_mm <= (1 - PARTIAL) * sums.baseline_mm + ROUNDING_MM:
        return Response.PR
    return Response.SD


def overall_response(target: Response | None, non_target: NonTarget, new_lesions: bool) -> Response:
    """RECIST 1.1, tables 1 and 2; `target` is None where there are no targets."""
    if new_lesions or target is Response.PD or non_target is NonTarget.PROGRESSING:
        return Response.PD
    if target is None:
        return {
            NonTarget.GONE: Response.CR,
            NonTarget.PERSISTENT: Response.NON_CR_NON_PD,
            NonTarget.NOT_EVALUATED: Response.NE,
            NonTarget.NONE: Response.NE,
        }[non_target]
    if target is Response.CR:
        return Response.CR if non_target in (NonTarget.NONE, NonTarget.GONE) else Response.PR
    return target


def assess(
    time_points: Sequence[Sequence[TargetSize]],
    non_target: NonTarget = NonTarget.NONE,
    *,
    new_lesions: bool = False,
    new_proposed: bool = False,
    provisional: str = "",
) -> Assessment:
    """Judge the last time point.

    Args:
        time_points: the targets' sizes at each, the oldest (baseline) first, in the same order.
        new_lesions: whether there is a lesion that the reader has accepted and that is new.
        new_proposed: whether the reader has of none of these confirmed that it is new.
        provisional: why the category is not final.

    Raises:
        ValueError: see :func:`sums_of`.
    """
    now = time_points[-1]
    sums = sums_of(time_points)
    complete = bool(now) and all(target.complete for target in now)
    target = target_response(sums, complete) if now else None
    overall = overall_response(target, non_target, new_lesions)
    possible = {overall}
    for bounds in (sums, *_bounds(time_points, sums)):
        # What may be longer than it counts is not complete at that end of its interval.
        ended = complete and bounds.now_mm <= sums.now_mm + ROUNDING_MM
        one = target_response(bounds, ended) if now else None
        possible.add(overall_response(one, non_target, new_lesions))
        if new_proposed:
            possible.add(overall_response(one, non_target, False))
    order = list(Response)
    return Assessment(
        target if target is not None else Response.NE,
        overall,
        sums,
        tuple(sorted(possible, key=order.index)),
        _arithmetic(sums, target, overall, non_target, new_lesions),
        provisional,
    )


def _bounds(time_points: Sequence[Sequence[TargetSize]], sums: Sums) -> Iterable[Sums]:
    """The sums where their intervals end; errors of several targets, and of two scans, are independent.

    So two sums that a category compares lie within an ellipse whose half axes are their intervals' halves:
    both are at their worst at once no more than in one of a hundred measurements.
    """

    def ends(targets: Sequence[TargetSize]) -> tuple[float, float]:
        pairs = [(t.counted_mm, t.interval_mm) for t in targets if t.interval_mm is not None]
        total = sum(mm or 0.0 for mm, _ in pairs)
        down = sum(((mm or 0.0) - i[0]) ** 2 for mm, i in pairs if i is not None) ** 0.5
        up = sum((i[1] - (mm or 0.0)) ** 2 for mm, i in pairs if i is not None) ** 0.5
        return total - down, total + up

    intervals = [ends(targets) for targets in time_points]
    totals = [sum_mm(targets) for targets in time_points[:-1]]
    lowest = min(range(len(totals)), key=lambda k: totals[k][0] if totals[k][1] else float("inf"))
    if lowest == 0:
        for first, now in _round((sums.baseline_mm, sums.now_mm), (intervals[0], intervals[-1])):
            yield Sums(first, first, now, sums.whole)
        return
    for first, now in _round((sums.baseline_mm, sums.now_mm), (intervals[0], intervals[-1])):
        yield Sums(first, sums.nadir_mm, now, sums.whole)
    for nadir, now in _round((sums.nadir_mm, sums.now_mm), (intervals[lowest], intervals[-1])):
        yield Sums(sums.baseline_mm, nadir, now, sums.whole)


def _round(
    middle: tuple[float, float], ends: tuple[tuple[float, float], tuple[float, float]]
) -> Iterable[tuple[float, float]]:
    """Points on the ellipse round two lengths; its half axes differ by side, as intervals do."""
    for k in range(ELLIPSE_POINTS):
        angle = 2 * math.pi * k / ELLIPSE_POINTS
        yield tuple(  # type: ignore[misc]
            mm + share * (high - mm if share > 0 else mm - low)
            for mm, (low, high), share in zip(middle, ends, (math.cos(angle), math.sin(angle)), strict=True)
        )


def _arithmetic(
    sums: Sums, target: Response | None, overall: Response, non_target: NonTarget, new_lesions: bool
) -> tuple[str, ...]:
    said = [
        f"Sum now {sums.now_mm:.1f} mm, baseline {sums.baseline_mm:.1f} mm, nadir {sums.nadir_mm:.1f} mm."
    ]
    if sums.baseline_mm > 0:
        change = 100 * (sums.now_mm - sums.baseline_mm) / sums.baseline_mm
        said.append(f"{change:+.1f} % from the baseline (partial response from {-100 * PARTIAL:.0f} %).")
    rise = sums.now_mm - sums.nadir_mm
    share = f"{100 * rise / sums.nadir_mm:+.1f} %, " if sums.nadir_mm > 0 else ""
    said.append(
        f"{share}{rise:+.1f} mm from the nadir (progression from {100 * PROGRESS:+.0f} % and "
        f"{PROGRESS_MM:+.0f} mm)."
    )
    if not sums.whole:
        said.append("A target is treated or not covered by the scan: without it the sum is not whole.")
    if target is not None:
        said.append(f"Targets: {target.value}.")
    if non_target is not NonTarget.NONE:
        said.append(f"Non-targets: {non_target.value}.")
    if new_lesions:
        said.append("New lesion.")
    said.append(f"Overall: {overall.value}.")
    return tuple(said)
