"""A patient's scans with what is said of them: what files, report and DICOM objects are written from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .classes import Phase
from .course import Course, new_lesions, proposed_targets, response_of
from .criteria import ChoiAssessment, Diagnosis, choi_of, mrecist_of, not_arterial, of_other_phases
from .findings import CaseResult
from .interval import intervals_of
from .recist import Assessment, NonTarget, TargetSize

SAME_MM, SAME_ML = 0.06, 0.01
"""A comparison has axes of 0.1 mm and a stored case is rounded; lesions that differ by more have changed."""


@dataclass(frozen=True)
class JudgedCourse:
    """A course with what is said of it.

    Attributes:
        response: None where none can be said.
        targets: numbers in the oldest scan; None for the proposed ones.
        elsewhere: for every scan the targets outside of the liver.
        choi, mrecist: None unless they were asked for, and can be given.
        enhancing: what `mrecist` is of: the targets' enhancing diameters at every scan.
        non_target: the reader's word on all other lesions.
    """

    course: Course
    response: Assessment | None
    targets: Sequence[int] | None = None
    elsewhere: Sequence[Sequence[TargetSize]] = ()
    choi: ChoiAssessment | None = None
    non_target: NonTarget = NonTarget.NONE
    mrecist: Assessment | None = None
    enhancing: Sequence[Sequence[TargetSize]] = ()

    @property
    def chosen(self) -> tuple[int, ...]:
        """The liver's targets by their numbers in the oldest scan, proposed or the reader's."""
        return proposed_targets(self.course) if self.targets is None else tuple(self.targets)

    @property
    def marked(self) -> frozenset[int]:
        """The liver's targets by their numbers in the last scan but one, beside which the latest is shown."""
        before = len(self.course.points) - 2
        tracks = (track for track in self.course.tracks if set(track.numbers[0]) & set(self.chosen))
        return frozenset(number for track in tracks for number in track.numbers[before])

    @property
    def doubts(self) -> tuple[tuple[tuple[str, str] | None, str], ...]:
        """(The two scans that are meant, where there are several earlier ones; what is doubtful)."""
        said: list[tuple[tuple[str, str] | None, str]] = [(None, one) for one in self.course.warnings]
        for step in self.course.steps:
            whose = (step.prior.name, step.current.name) if len(self.course.steps) > 1 else None
            said += [(whose, warning) for warning in step.warnings]
        return tuple(dict.fromkeys(said))

    @property
    def warnings(self) -> tuple[str, ...]:
        """:attr:`doubts` as sentences."""
        return tuple(
            warning if whose is None else f"{' and '.join(whose)}: {warning}"
            for whose, warning in self.doubts
        )

    def belongs_to(self, result: CaseResult) -> bool:
        """Whether the latest scan is that case as it is now: the same lesions count, with the same sizes."""
        known = self.course.points[-1].lesions
        counted = {x.number: x.measurement for x in result.lesions if x.status.counts}
        if known.keys() != counted.keys():
            return False
        return all(
            math.isnan(known[n].long_axis_mm)
            if m is None
            else abs(known[n].long_axis_mm - m.long_axis_mm) < SAME_MM
            and abs(known[n].volume_ml - m.volume_ml) < SAME_ML
            for n, m in counted.items()
        )


def sizes_known(result: CaseResult, judged: JudgedCourse | None) -> dict[int, tuple[float, float]]:
    """Lesion number -> interval of its long axis, mm; the follow-up's, as its category rests on those."""
    known = intervals_of(result)
    if judged is not None:
        now = judged.course.last.current.lesions
        known |= {n: (x.low_mm, x.high_mm) for n, x in now.items() if x.low_mm == x.low_mm}
    return known


def judge(
    course: Course,
    targets: Sequence[int] | None = None,
    non_target: NonTarget = NonTarget.NONE,
    elsewhere: Sequence[Sequence[TargetSize]] = (),
    *,
    diagnosis: Diagnosis | None = None,
    enhancing: Sequence[Sequence[TargetSize]] = (),
    phases: Sequence[Phase | None] = (),
) -> JudgedCourse:
    """RECIST 1.1, and the criteria of the disease that the reader names, where its scans allow them.

    Args:
        targets: numbers in the oldest scan; None takes the proposed ones.
        non_target: the reader's word on all other lesions.
        elsewhere: for every scan the targets outside of the liver.
        diagnosis: the reader's; None where no further criteria are wanted.
        enhancing: of an HCC, for every scan the targets' enhancing diameters.
        phases: of every scan, the oldest first; needed where there is a diagnosis.

    Raises:
        ValueError: the oldest scan has no such lesion, or `elsewhere` is not there for every scan.
    """
    response = response_of(course, targets, non_target, elsewhere)
    known = JudgedCourse(course, response, targets, elsewhere, non_target=non_target)
    if diagnosis is None:
        return known
    told = (not_arterial if diagnosis is Diagnosis.HCC else of_other_phases)(course, phases)
    if told:
        return replace(known, course=replace(course, warnings=(*course.warnings, told)))
    if diagnosis is Diagnosis.HCC:
        mrecist = mrecist_of(course, enhancing, non_target) if enhancing else None
        return replace(known, mrecist=mrecist, enhancing=enhancing if mrecist is not None else ())
    new = bool(not course.failed and new_lesions(course))
    return replace(known, choi=choi_of(course, diagnosis, targets, new_lesions=new))
