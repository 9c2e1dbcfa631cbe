"""A patient's scans in order of time: what became of each lesion over all of them, and RECIST 1.1 of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .cut_lesions import cut_targets, passed_over
from .followup import FollowUp, LesionSize, LesionState, Pair, TimePoint, provisional
from .recist import (
    MOST_IN_ORGAN,
    Assessment,
    NonTarget,
    TargetSize,
    TargetState,
    assess,
    doubtful_targets,
    propose_targets,
    smallest_target_mm,
)


@dataclass(frozen=True)
class Track:
    """One lesion through the time points, the oldest first.

    Attributes:
        numbers: in each scan; empty where it is not there, several where it has split or not merged yet.
        covered: whether each scan shows its place.
        faint: scans that do not list it, where the network sees something at its place.
        resected: scans that do not have its part of the liver any more.
    """

    numbers: tuple[tuple[int, ...], ...]
    covered: tuple[bool, ...]
    faint: frozenset[int] = frozenset()
    resected: frozenset[int] = frozenset()

    @property
    def new(self) -> bool:
        """Whether it is there now, and not even faintly in an earlier scan, though one shows its place."""
        before = self.numbers[:-1]
        return bool(self.numbers[-1]) and not any(before) and any(self.covered[:-1]) and not self.faint


@dataclass(frozen=True)
class Course:
    """Scans of one patient.

    Attributes:
        points: the oldest (baseline) first; the last is now.
        steps: from each to the next.
        bridges: (earlier, later) indices of scans that are not neighbours -> pairs. They join what a scan in
            between does not have.
        warnings: for the reader, beside those of the steps.
    """

    points: tuple[TimePoint, ...]
    steps: tuple[FollowUp, ...]
    bridges: Mapping[tuple[int, int], tuple[Pair, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.points) < 2 or len(self.steps) != len(self.points) - 1:
            raise ValueError("a course needs two time points at least, and a step between neighbours")

    @classmethod
    def of(cls, followup: FollowUp) -> Course:
        """Two scans."""
        return cls((followup.prior, followup.current), (followup,))

    @property
    def last(self) -> FollowUp:
        """The latest earlier scan beside the current one."""
        return self.steps[-1]

    @property
    def failed(self) -> str:
        """Why lesions could not be followed, "" where they were."""
        return next((step.failed for step in self.steps if step.failed), "")

    @property
    def provisional(self) -> str:
        """What the reader has to confirm before the category is a response, "" for nothing."""
        reasons: dict[str, None] = {}
        for step in self.steps:
            reasons.update(dict.fromkeys(provisional(step).reasons))
        return "; ".join(reasons)

    @property
    def has_proposals(self) -> bool:
        """Whether a pair of any two scans waits for the reader's word."""
        return any(pair.proposed for step in self.steps for pair in step.pairs)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Every lesion of every scan is in exactly one; those of the oldest scan first."""
        return tracks_of(self)


Node = tuple[int, int]
"""Index of the time point, number of the lesion."""


def tracks_of(course: Course) -> tuple[Track, ...]:
    """Lesions joined over neighbouring scans, and over a scan that misses one."""
    parent: dict[Node, Node] = {
        (t, number): (t, number) for t, point in enumerate(course.points) for number in point.lesions
    }

    def root(node: Node) -> Node:
        while parent[node] != node:
            node = parent[node]
        return node

    def join(nodes: Sequence[Node]) -> None:
        for node in nodes[1:]:
            parent[max(root(nodes[0]), root(node))] = min(root(nodes[0]), root(node))

    after: set[Node] = set()
    before: set[Node] = set()
    for t, step in enumerate(course.steps):
        for pair in step.pairs:
            if pair.prior and pair.current:
                old, new = [(t, n) for n in pair.prior], [(t + 1, n) for n in pair.current]
                join([*old, *new])
                after.update(old)
                before.update(new)
    # Nearest first: a lesion that two scans miss is joined once.
    for (t, later), pairs in sorted(course.bridges.items(), key=lambda item: item[0][1] - item[0][0]):
        for pair in pairs:
            old, new = [(t, n) for n in pair.prior], [(later, n) for n in pair.current]
            if old and new and not after.intersection(old) and not before.intersection(new):
                join([*old, *new])
                after.update(old)
                before.update(new)
    groups: dict[Node, list[Node]] = {}
    for node in sorted(parent):
        groups.setdefault(root(node), []).append(node)
    return tuple(_track(course, nodes) for _, nodes in sorted(groups.items()))


def _track(course: Course, nodes: Sequence[Node]) -> Track:
    count = len(course.points)
    numbers = tuple(tuple(n for t, n in nodes if t == at) for at in range(count))
    away = LesionState.NOT_COVERED, LesionState.FAINT, LesionState.RESECTED
    absent: dict[LesionState, set[int]] = {state: set() for state in away}
    for t, step in enumerate(course.steps):
        for pair in step.pairs:
            if pair.state not in absent:
                continue
            if set(pair.prior) & set(numbers[t]) and not numbers[t + 1]:
                absent[pair.state].add(t + 1)
            if set(pair.current) & set(numbers[t + 1]) and not numbers[t]:
                absent[pair.state].add(t)
    taken = min(absent[LesionState.RESECTED], default=count)
    resected = frozenset(t for t in range(taken, count) if not any(numbers[taken:]))
    covered = [t not in absent[LesionState.NOT_COVERED] | resected for t in range(count)]
    # What one scan cannot say of a place, the scans beyond it cannot either, until it is seen again.
    first, last = nodes[0][0], nodes[-1][0]
    for t in range(last + 2, count):
        covered[t] = covered[t] and covered[t - 1]
    for t in range(first - 2, -1, -1):
        covered[t] = covered[t] and covered[t + 1]
    return Track(numbers, tuple(covered), frozenset(absent[LesionState.FAINT]), resected)


def proposed_targets(course: Course) -> tuple[int, ...]:
    """Numbers in the baseline scan of the largest measurable lesions that are not treated.

    Those that the scan cuts come last: nobody sees how large they are.
    """
    baseline, chosen = course.points[0], list[int]()
    for cut in (False, True):
        axes = {
            n: x.long_axis_mm
            for n, x in baseline.lesions.items()
            if not x.treated and x.long_axis_mm > 0 and x.cut is cut
        }
        left = MOST_IN_ORGAN - len(chosen)
        chosen += propose_targets(axes, baseline.slice_thickness_mm, most=left)
    return tuple(chosen)


def target_sizes(course: Course, targets: Sequence[int]) -> list[list[TargetSize]]:
    """The targets at every time point; ones that have become one lesion count as one.

    Args:
        targets: numbers in the baseline scan.

    Raises:
        ValueError: the baseline scan has no such lesion.
    """
    missing = sorted(set(targets) - set(course.points[0].lesions))
    if missing:
        raise ValueError(f"the baseline scan has no lesion {missing[0]}")
    tracks = [track for track in course.tracks if set(track.numbers[0]) & set(targets)]
    return [[_size_at(course, track, at, targets) for track in tracks] for at in range(len(course.points))]


def _size_at(course: Course, track: Track, at: int, targets: Sequence[int]) -> TargetSize:
    numbers = [n for n in track.numbers[at] if at > 0 or n in targets]
    if not numbers:
        # As long as nobody has confirmed that it is not there, it may be as it was.
        may_be = _last_seen_mm(course, track, at) if _unconfirmed(course, track, at) else None
        if at in track.faint:
            return TargetSize(0.0, TargetState.TOO_SMALL, high_mm=may_be)
        if at in track.resected:
            return TargetSize(0.0, TargetState.TREATED)
        if not track.covered[at]:
            return TargetSize(0.0, TargetState.NOT_COVERED)
        return TargetSize(0.0, TargetState.GONE, high_mm=may_be)
    lesions = [course.points[at].lesions[n] for n in numbers]
    earlier = (course.points[t].lesions[n] for t in range(at) for n in track.numbers[t])
    if any(x.treated for x in (*lesions, *earlier)):
        return TargetSize(0.0, TargetState.TREATED)
    lesions = _compared(lesions, track.numbers[0], targets) if at > 0 else lesions
    if any(not math.isfinite(x.long_axis_mm) for x in lesions):
        # A box without a mask is there, but nobody has measured it.
        return TargetSize(0.0, TargetState.NOT_COVERED)
    total = sum(x.long_axis_mm for x in lesions)
    low, high = interval_of_sum(lesions)
    apart = _apart_mm(course, track, at)
    if apart is not None:
        low, high = min(total if low is None else low, apart), max(total if high is None else high, apart)
    return TargetSize(total, low_mm=low, high_mm=high)


def _unconfirmed(course: Course, track: Track, at: int) -> bool:
    """Whether it is no more than proposed that a lesion of an earlier scan is not in this one."""
    return any(
        pair.proposed and not pair.current and set(pair.prior) & set(track.numbers[t])
        for t, step in enumerate(course.steps[:at])
        for pair in step.pairs
    )


def _last_seen_mm(course: Course, track: Track, at: int) -> float | None:
    """The sum of long axes in the latest earlier scan that lists it."""
    seen = [t for t in range(at) if track.numbers[t]]
    if not seen:
        return None
    total = sum(course.points[seen[-1]].lesions[n].long_axis_mm for n in track.numbers[seen[-1]])
    return total if math.isfinite(total) else None


def _apart_mm(course: Course, track: Track, at: int) -> float | None:
    """The sum of long axes that the lesions in a too wide outline have where they are outlined apart."""
    for t, step in enumerate(course.steps):
        for pair in step.pairs:
            one = step.wide_of(pair)
            if one is None or at != (t + 1 if one.in_current else t) or one.number not in track.numbers[at]:
                continue
            other = course.points[t if one.in_current else t + 1]
            total = sum(other.lesions[n].long_axis_mm for n in one.others)
            return total if math.isfinite(total) else None
    return None


def _compared(lesions: list[LesionSize], baseline: Sequence[int], targets: Sequence[int]) -> list[LesionSize]:
    """Those of a later scan that stand against a track's targets.

    All of them, unless the outlines of the baseline hold lesions that are no targets too: then as many as
    there are targets, the largest.
    """
    chosen = sum(n in targets for n in baseline)
    if chosen == len(baseline):
        return lesions
    return sorted(lesions, key=_longest_first)[:chosen]


def _longest_first(lesion: LesionSize) -> float:
    """To sort by; what nobody has measured comes first."""
    return -lesion.long_axis_mm if math.isfinite(lesion.long_axis_mm) else -math.inf


def interval_of_sum(lesions: Sequence[LesionSize]) -> tuple[float | None, float | None]:
    """Interval of the sum of long axes, errors independent; (None, None) where one has none."""
    if not lesions or any(math.isnan(x.low_mm) or math.isnan(x.high_mm) for x in lesions):
        return None, None
    total = sum(x.long_axis_mm for x in lesions)
    down = math.hypot(*(x.long_axis_mm - x.low_mm for x in lesions))
    up = math.hypot(*(x.high_mm - x.long_axis_mm for x in lesions))
    return max(0.0, total - down), total + up


def new_lesions(course: Course) -> tuple[int, ...]:
    """Numbers now of lesions that are new since the baseline and that the reader has confirmed."""
    now = course.points[-1]
    return tuple(
        n
        for track in course.tracks
        if track.new
        for n in track.numbers[-1]
        if now.lesions[n].confirmed and not now.lesions[n].treated
    )


def new_proposed(course: Course) -> bool:
    """Whether there are :func:`new_lesions`, and the reader has of none of them confirmed that it is new."""
    last = len(course.points) - 1
    tracks = [t for t in course.tracks if t.new and set(t.numbers[last]) & set(new_lesions(course))]
    sure = any(
        pair.by_reader and not pair.prior and set(pair.current) & set(track.numbers[t + 1])
        for track in tracks
        for t, step in enumerate(course.steps)
        for pair in step.pairs
    )
    return bool(tracks) and not sure


def response_of(
    course: Course,
    targets: Sequence[int] | None = None,
    non_target: NonTarget = NonTarget.NONE,
    elsewhere: Sequence[Sequence[TargetSize]] = (),
) -> Assessment | None:
    """RECIST 1.1 now; None without a target, or where the scans could not be brought into line.

    Args:
        targets: numbers in the baseline scan; None takes the proposed ones.
        non_target: the reader's word on all other lesions.
        elsewhere: targets outside of the liver at every time point, as the reader gives them.

    Raises:
        ValueError: no such lesion, or `elsewhere` is not there for every time point.
    """
    if course.failed:
        return None
    chosen = proposed_targets(course) if targets is None else tuple(targets)
    sizes = target_sizes(course, chosen)
    least = smallest_target_mm(course.points[0].slice_thickness_mm)
    doubts = doubtful_targets(sizes[0], elsewhere[0] if elsewhere else (), least)
    if elsewhere:
        if len(elsewhere) != len(sizes):
            raise ValueError("targets elsewhere are needed at every time point")
        sizes = [[*own, *other] for own, other in zip(sizes, elsewhere, strict=True)]
    if not sizes[0]:
        return None
    made = assess(
        sizes,
        non_target,
        new_lesions=bool(new_lesions(course)),
        new_proposed=new_proposed(course),
        provisional=course.provisional,
    )
    followed = [t.numbers for t in course.tracks if set(t.numbers[0]) & set(chosen)]
    cut = cut_targets(course.points, followed, chosen)
    left_out = passed_over(course.points[0], chosen) if targets is None else ()
    said = (*made.arithmetic, *doubts, *left_out, *cut)
    return replace(made, arithmetic=said)


def sums_over_time(
    course: Course,
    targets: Sequence[int] | None = None,
    elsewhere: Sequence[Sequence[TargetSize]] = (),
) -> tuple[float, ...]:
    """Sum of the targets at every time point, mm; NaN where one is not covered or cannot be judged."""
    if course.failed:
        return (math.nan,) * len(course.points)
    sizes = target_sizes(course, proposed_targets(course) if targets is None else targets)
    sums = []
    for at, own in enumerate(sizes):
        counted = [t.counted_mm for t in (*own, *(elsewhere[at] if elsewhere else ()))]
        sums.append(math.nan if None in counted or not counted else sum(mm or 0.0 for mm in counted))
    return tuple(sums)
