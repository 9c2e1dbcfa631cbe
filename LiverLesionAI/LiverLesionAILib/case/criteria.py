"""Response by other rules than RECIST 1.1, each only where it is meant: mRECIST for HCC, Choi for GIST.

What disease it is the reader says; nothing here guesses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .classes import Phase
from .course import Course, new_lesions, new_proposed, proposed_targets, sums_over_time, target_sizes
from .recist import ROUNDING_MM, Assessment, NonTarget, Response, TargetSize, TargetState, assess

CHOI_SIZE, CHOI_HU = 0.10, 0.15
"""A tenth smaller or 15 % less dense is a partial response; a tenth larger and not less dense progression."""


class Diagnosis(str, Enum):
    """What the reader says the lesions are."""

    HCC = "hepatocellular carcinoma"
    GIST = "gastrointestinal stromal tumour"


@dataclass(frozen=True)
class ChoiAssessment:
    """Response by Choi.

    Attributes:
        response: NE where a size or density is missing.
        size_percent, hu_percent: change of the sum of long axes and of the mean density from the baseline.
    """

    response: Response
    size_percent: float
    hu_percent: float


def choi_response(
    sums_mm: tuple[float, float], hu: tuple[float, float], *, gone: bool = False, new_lesions: bool = False
) -> ChoiAssessment:
    """Choi's criteria for two portal venous scans.

    Args:
        sums_mm: of the long axes at baseline and now.
        hu: mean density of the targets at baseline and now; not positive is not evaluable.
        gone: whether all lesions are gone.
        new_lesions: whether the reader has confirmed one.
    """
    size = (sums_mm[1] - sums_mm[0]) / sums_mm[0] if sums_mm[0] > 0 else math.nan
    density = (hu[1] - hu[0]) / hu[0] if hu[0] > 0 else math.nan
    percent = 100 * size, 100 * density
    if new_lesions:
        return ChoiAssessment(Response.PD, *percent)
    if gone:
        return ChoiAssessment(Response.CR, *percent)
    if math.isnan(size):
        return ChoiAssessment(Response.NE, *percent)
    slack = ROUNDING_MM
    if size <= -CHOI_SIZE + slack or density <= -CHOI_HU + slack:
        return ChoiAssessment(Response.PR, *percent)
    if math.isnan(density):
        return ChoiAssessment(Response.NE, *percent)
    return ChoiAssessment(Response.PD if size >= CHOI_SIZE - slack else Response.SD, *percent)


def choi_of(
    course: Course,
    diagnosis: Diagnosis | None,
    targets: Sequence[int] | None = None,
    *,
    new_lesions: bool = False,
) -> ChoiAssessment | None:
    """Choi of a course's liver targets; None unless it is a GIST, without a target, or not in line."""
    chosen = proposed_targets(course) if targets is None else tuple(targets)
    if diagnosis is not Diagnosis.GIST or course.failed or not chosen:
        return None
    sums = sums_over_time(course, chosen)
    sizes = target_sizes(course, chosen)[-1]
    gone = all(size.state is TargetState.GONE for size in sizes)
    densities = _mean_hu(course, chosen, 0), _mean_hu(course, chosen, len(course.points) - 1)
    return choi_response((sums[0], sums[-1]), densities, gone=gone, new_lesions=new_lesions)


def _mean_hu(course: Course, targets: Sequence[int], at: int) -> float:
    """Mean density of the targets, each as often as it is large."""
    lesions = [
        course.points[at].lesions[n]
        for track in course.tracks
        if set(track.numbers[0]) & set(targets)
        for n in track.numbers[at]
        if at or n in targets
    ]
    volume = sum(x.volume_ml for x in lesions)
    return sum(x.hu_mean * x.volume_ml for x in lesions) / volume if volume > 0 else math.nan


def mrecist_of(
    course: Course, enhancing: Sequence[Sequence[TargetSize]], non_target: NonTarget = NonTarget.NONE
) -> Assessment | None:
    """mRECIST: RECIST's cuts on the longest diameter of what enhances in the arterial phase.

    Only for an HCC, as the reader says, and where :func:`not_arterial` says nothing.

    Args:
        enhancing: the diameters as the reader gives them, the oldest scan first; gone where nothing enhances.

    Returns:
        None where the scans could not be brought into line: then nothing is known of new lesions.
    """
    if course.failed:
        return None
    new = bool(new_lesions(course))
    return assess(
        enhancing,
        non_target,
        new_lesions=new,
        new_proposed=new_proposed(course),
        provisional=course.provisional,
    )


def of_other_phases(course: Course, phases: Sequence[Phase | None]) -> str:
    """Why Choi's criteria are not given; "" where no other phase than in the oldest scan is known now.

    A phase changes a lesion's density by more than the 15 % that are a response.

    Args:
        phases: of each scan, the oldest first; None where it is not known.
    """
    first, last = phases[0], phases[-1]
    if first is None or last is None or first is last:
        return ""
    return (
        f"Choi's criteria are not given: they compare densities, and {course.points[0].name} looks "
        f"{first.title}, {course.points[-1].name} {last.title}."
    )


def not_arterial(course: Course, phases: Sequence[Phase | None]) -> str:
    """Why mRECIST is not given; "" where every scan is arterial.

    Args:
        phases: of each scan, the oldest first; None where it is not known.
    """
    names = [p.name for p, phase in zip(course.points, phases, strict=True) if phase is not Phase.ARTERIAL]
    if not names:
        return ""
    return (
        f"mRECIST is not given: it takes the arterial phase, and of {', '.join(names)} it is not known to be "
        "that."
    )


def volume_change_percent(course: Course, targets: Sequence[int] | None = None) -> float:
    """Change of the targets' volume from the baseline until now; NaN where it cannot be said."""
    chosen = proposed_targets(course) if targets is None else tuple(targets)
    if course.failed or not chosen:
        return math.nan
    last = len(course.points) - 1
    tracks = [track for track in course.tracks if set(track.numbers[0]) & set(chosen)]
    if not all(track.covered[last] or track.numbers[last] for track in tracks):
        return math.nan
    before = sum(course.points[0].lesions[n].volume_ml for n in chosen)
    now = sum(course.points[last].lesions[n].volume_ml for track in tracks for n in track.numbers[last])
    return 100 * (now - before) / before if before > 0 else math.nan
