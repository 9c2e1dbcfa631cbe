"""What RECIST's reader has to know of lesions that a scan cuts at its first or last slice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .followup import TimePoint

CUT_TARGET = (
    "A target reaches the first or last slice of a scan: it may be larger than measured there, and the sum "
    "with it."
)


def passed_over(baseline: TimePoint, chosen: Sequence[int]) -> tuple[str, ...]:
    """A sentence on larger lesions that are not proposed because the baseline scan cuts them.

    Args:
        chosen: numbers of those that are.
    """
    least = min((baseline.lesions[n].long_axis_mm for n in chosen), default=math.inf)
    larger = [
        n
        for n, x in sorted(baseline.lesions.items())
        if x.cut and not x.treated and x.long_axis_mm > least and n not in chosen
    ]
    if not larger:
        return ()
    return (
        "Not proposed as a target, though larger, as the earliest scan cuts it at its first or last slice: "
        f"lesion {', '.join(map(str, larger))} of that scan.",
    )


def cut_targets(
    points: Sequence[TimePoint], followed: Sequence[Sequence[Sequence[int]]], chosen: Sequence[int]
) -> tuple[str, ...]:
    """A sentence where a scan cuts one of the targets; nothing where none does.

    Args:
        followed: of each target's track its numbers at every time point.
        chosen: the targets' numbers at the first one.
    """
    seen = [
        points[at].lesions[n]
        for numbers in followed
        for at, own in enumerate(numbers)
        for n in own
        if at > 0 or n in chosen
    ]
    return (CUT_TARGET,) if any(one.cut for one in seen) else ()
