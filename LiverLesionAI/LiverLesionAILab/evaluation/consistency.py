"""Several scans of one patient compared in every order: is what the comparisons say of one piece?

A beside B has to be the inverse of B beside A, and A beside B beside C the same as A beside C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, permutations
from pathlib import Path

from LiverLesionAILib.analysis.followup import Examined, follow_up
from LiverLesionAILib.case.followup import FollowUp, LesionState, Pair
from LiverLesionAILib.support.errors import InputError

from .row_tables import read_csv, write_csv

NEAR_MM = 8.0
COURSES_FILE = "courses.csv"


@dataclass(frozen=True)
class Consistency:
    """Counts over comparisons.

    Attributes:
        lesions: of both scans of every two; inverse: those whose partners are the same both ways.
        chained: of the first of every three scans in their order, less what the second does not show; same:
            those whose partners in the third are the same directly and by way of the second.
        both: true pairs of lesions seen in both scans, where the truth is known; matched: found as such.
        residuals: matched lesions; near: those with centres within 8 mm.
        comparisons, refused: how many, and of them registrations that were refused.
    """

    lesions: int = 0
    inverse: int = 0
    chained: int = 0
    same: int = 0
    both: int = 0
    matched: int = 0
    residuals: int = 0
    near: int = 0
    comparisons: int = 0
    refused: int = 0

    def __add__(self, other: Consistency) -> Consistency:
        return Consistency(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Consistency)))


@dataclass(frozen=True, kw_only=True)
class CourseRow(Consistency):
    """The counts of one simulated patient with three scans.

    Attributes:
        kind: "body" or "real".
    """

    name: str
    kind: str


def write_courses(rows: Sequence[CourseRow], folder: Path) -> None:
    """courses.csv, one row a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(rows, CourseRow, folder / COURSES_FILE)


def read_courses(folder: Path) -> list[CourseRow]:
    """The way back from :func:`write_courses`; nothing where there is no file.

    Raises:
        InputError: it is another version's.
    """
    path = folder / COURSES_FILE
    if not path.exists():
        return []
    try:
        return read_csv(CourseRow, path)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is of another version: remove it to compare anew.") from None


def courses_table(rows: Sequence[CourseRow], rate: Callable[[int, int], str]) -> str:
    """Shares of lesions by the kind of scan, in Markdown; `rate`: (good, total) -> text."""
    lines = [
        "| scans | patients | A > B the inverse of B > A | A > B > C as A > C | seen in both and matched "
        "| centres <= 8 mm | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("body", "real", "all"):
        chosen = [row for row in rows if kind in (row.kind, "all")]
        total = sum(chosen, Consistency())
        if chosen:
            cells = [
                rate(total.inverse, total.lesions),
                rate(total.same, total.chained),
                rate(total.matched, total.both),
                rate(total.near, total.residuals),
                f"{total.refused} of {total.comparisons}",
            ]
            lines.append(f"| {kind} | {len(chosen)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def consistency_of(
    scans: Sequence[Examined], truth: dict[tuple[int, int], Sequence[Pair]] | None = None
) -> Consistency:
    """Compare all scans with each other.

    Args:
        scans: the oldest first, two at least.
        truth: (earlier, later) indices -> true pairs, where they are known.
    """
    steps = {ends: follow_up(scans[ends[0]], scans[ends[1]]) for ends in permutations(range(len(scans)), 2)}
    total = Consistency(comparisons=len(steps), refused=sum(bool(step.failed) for step in steps.values()))
    for ends in combinations(range(len(scans)), 2):
        total += _inverse(steps[ends], steps[ends[::-1]])
    for first, middle, last in combinations(range(len(scans)), 3):
        total += _chain(steps[first, middle], steps[middle, last], steps[first, last])
    for ends, pairs in (truth or {}).items():
        total += _matched(steps[ends], pairs)
    return total


def _partners(step: FollowUp) -> dict[int, frozenset[int]]:
    """Number in the first scan -> its partners in the second."""
    found = {n: frozenset[int]() for n in step.prior.lesions}
    for pair in step.pairs:
        for n in pair.prior:
            found[n] |= frozenset(pair.current)
    return found


def _inverse(there: FollowUp, back: FollowUp) -> Consistency:
    forth, again = _partners(there), _partners(back)
    reverse = [_reversed(forth, again), _reversed(again, forth)]
    # A refused comparison says nothing of any lesion: none of them is right.
    good = (
        0
        if there.failed or back.failed
        else sum(
            side[n] == known[n] for side, known in zip((again, forth), reverse, strict=True) for n in side
        )
    )
    return Consistency(lesions=len(forth) + len(again), inverse=good)


def _reversed(
    partners: dict[int, frozenset[int]], others: dict[int, frozenset[int]]
) -> dict[int, frozenset[int]]:
    return {n: frozenset(a for a, ends in partners.items() if n in ends) for n in others}


def _chain(one: FollowUp, two: FollowUp, direct: FollowUp) -> Consistency:
    unseen = {n for p in one.pairs if p.state is LesionState.NOT_COVERED for n in p.prior}
    first, second, whole = _partners(one), _partners(two), _partners(direct)
    asked = [n for n in first if n not in unseen]
    if one.failed or two.failed or direct.failed:
        return Consistency(chained=len(asked))
    ends = {n: frozenset[int]().union(*(second[m] for m in first[n])) for n in asked}
    return Consistency(chained=len(asked), same=sum(ends[n] == whole[n] for n in asked))


def _matched(step: FollowUp, truth: Sequence[Pair]) -> Consistency:
    made = {(p.prior, p.current): p for p in step.pairs}
    both = [(p.prior, p.current) for p in truth if p.prior and p.current]
    found = [made[ends].distance_mm for ends in both if ends in made]
    return Consistency(
        both=len(both),
        matched=len(found),
        residuals=len(found),
        near=sum(mm <= NEAR_MM for mm in found),
    )


def consistency_lines(found: Consistency, rate: Callable[[int, int], str]) -> Iterator[str]:
    """The figures; `rate`: (good, total) -> text."""
    yield f"A > B is the inverse of B > A: {rate(found.inverse, found.lesions)} lesions"
    yield f"A > B > C is A > C: {rate(found.same, found.chained)} lesions"
    if found.both:
        yield f"seen in both and matched: {rate(found.matched, found.both)}"
        yield f"centres of matched ones within {NEAR_MM:.0f} mm: {rate(found.near, found.residuals)}"
    yield f"registrations refused: {found.refused} of {found.comparisons}"
