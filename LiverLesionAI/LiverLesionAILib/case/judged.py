"""A patient's scans with what is said of them: what files, report and DICOM objects are written from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .course import Course, proposed_targets
from .criteria import ChoiAssessment
from .findings import CaseResult
from .recist import Assessment, NonTarget, TargetSize

SAME_MM, SAME_ML = 0.01, 0.01
"""A stored case is rounded; lesions that differ by more have changed."""


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
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful, each once; with several earlier scans it is said which one is meant."""
        said: dict[str, None] = dict.fromkeys(self.course.warnings)
        for step in self.course.steps:
            whose = f"{step.prior.name} and {step.current.name}: " if len(self.course.steps) > 1 else ""
            said.update(dict.fromkeys(f"{whose}{warning}" for warning in step.warnings))
        return tuple(said)

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
