"""Livers with balls in them, one a follow-up of another, as cases that need no network."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from LiverLesionAILib.analysis.followup import (
    Examined,
)
from LiverLesionAILib.case.course import Course
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import (
    FollowUp,
)
from LiverLesionAILib.case.followup_json import course_json
from LiverLesionAILib.case.judged import JudgedCourse
from LiverLesionAILib.case.recist import Assessment
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.writing.followup_file import course_text

Balls = dict[int, tuple[tuple[float, float, float], float]]


FIRST: Balls = {
    1: ((0, 0, 0), 14.0),
    2: ((-45, 20, 15), 9.0),
    3: ((38, -18, -20), 8.0),
    4: ((-30, -25, -28), 7.0),
}


FOUND: list = []
"""The registration of the first two scans, made once."""


def judged_pair(followup: FollowUp, judged: Assessment | None) -> JudgedCourse:
    return JudgedCourse(Course.of(followup), judged)


def text_of(followup: FollowUp, judged: Assessment | None) -> str:
    return course_text(judged_pair(followup, judged))


def json_of(followup: FollowUp, judged: Assessment | None) -> str:
    return course_json(judged_pair(followup, judged))


def body(
    balls: Balls,
    *,
    shift=(0.0, 0.0, 0.0),
    spacing=(4.0, 2.5, 2.5),
    cut_mm: float = 0.0,
    day: int | None = None,
    seed=0,
) -> Examined:
    """A liver of an odd shape with balls in it; `shift` moves liver and lesions (a breath), LPS mm."""
    size = (140.0, 190.0, 240.0)
    shape = tuple(int(s / d) for s, d in zip(size, spacing, strict=True))
    geometry = Geometry.make(shape, spacing, (-size[2] / 2, -size[1] / 2, -size[0] / 2))
    if cut_mm:
        geometry = geometry.cropped((int(cut_mm / spacing[0]), 0, 0), shape)
    index = np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)
    lps = np.asarray(geometry.index_to_lps(index)) - np.array(shift)
    x, y, z = lps[..., 0], lps[..., 1], lps[..., 2]
    liver = (x / 85) ** 2 + (y / 52) ** 2 + (z / 48) ** 2 < 1
    liver &= ~((x > 20) & (y > 15 + 0.2 * x)) & ~((z < -20) & (x > 45))
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    for number, (centre, radius) in balls.items():
        labels[(((lps - centre) ** 2).sum(-1) < radius**2) & liver] = number
    vessels = np.sin(x / 7) * np.sin(y / 9) * np.sin(z / 8)
    hu = np.where(liver, 110 + 35 * (vessels > 0.55), -60.0)
    hu[labels > 0] = 60
    hu = hu + np.random.default_rng(seed).normal(0, 8, hu.shape)
    volume = CtVolume(hu.astype(np.float32), geometry, f"scan {day}")
    lesions = measure_case(labels, liver, volume.hu_zyx, geometry)
    organ = measure_liver(labels, liver, volume.hu_zyx, geometry)
    result = CaseResult(volume.name, geometry, liver, labels, lesions, organ.volume_ml, organ.hu_mean)
    when = None if day is None else date(2026, 1, day)
    return Examined(result, volume, day=when)


def decided(examined: Examined, status: LesionStatus, *numbers: int) -> Examined:
    """The reader's decision on some lesions, on all where none is named."""
    lesions = tuple(
        replace(x, status=status) if not numbers or x.number in numbers else x
        for x in examined.result.lesions
    )
    return replace(examined, result=replace(examined.result, lesions=lesions))
