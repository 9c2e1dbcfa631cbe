"""Choi and mRECIST at their edges, and only where they are meant."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.course import Course
from LiverLesionAILib.case.criteria import (
    Diagnosis,
    choi_of,
    choi_response,
    mrecist_of,
    not_arterial,
    of_other_phases,
    volume_change_percent,
)
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.judged import judge
from LiverLesionAILib.case.recist import NonTarget, Response, TargetSize, TargetState

CR, PR, SD, PD, NE = Response.CR, Response.PR, Response.SD, Response.PD, Response.NE


@pytest.mark.parametrize(("sums", "hu", "category"), [
    ((100, 90), (100, 100), PR),
    ((100, 90.1), (100, 100), SD),
    ((100, 100), (100, 85), PR),
    ((100, 100), (100, 85.1), SD),
    ((100, 110), (100, 100), PD),
    ((100, 109.9), (100, 100), SD),
    # Larger and yet much less dense: it responds.
    ((100, 130), (100, 85), PR),
    ((0, 10), (100, 100), NE),
    ((100, 100), (0, 10), NE),
    ((100, 80), (math.nan, 10), PR),
])  # fmt: skip
def test_choi(sums, hu, category):
    assert choi_response(sums, hu).response is category


def test_choi_gone_and_new():
    assert choi_response((100, 0), (80, math.nan), gone=True).response is CR
    assert choi_response((100, 80), (80, 40), new_lesions=True).response is PD


def two_scans(axes: tuple[float, float], hu: tuple[float, float], *, covered: bool = True) -> Course:
    points = [
        TimePoint("a", None, {1: LesionSize(1, "", mm, mm, mm**3 / 1000, hu_mean=h)}, 1.0)
        for mm, h in zip(axes, hu, strict=True)
    ]
    pair = Pair((1,), (1,), LesionState.STABLE)
    if not covered:
        points[1] = TimePoint("a", None, {}, 1.0)
        pair = Pair((1,), (), LesionState.NOT_COVERED)
    return Course.of(FollowUp(points[0], points[1], (pair,)))


def test_choi_only_for_gist():
    course = two_scans((50, 50), (100, 80))
    assert choi_of(course, Diagnosis.GIST).response is PR
    assert choi_of(course, Diagnosis.GIST).hu_percent == pytest.approx(-20)
    assert choi_of(course, Diagnosis.HCC) is None
    assert choi_of(course, None) is None
    assert choi_of(two_scans((50, 50), (100, 80), covered=False), Diagnosis.GIST).response is NE


def test_volume_beside_it():
    assert volume_change_percent(two_scans((20, 40), (90, 90))) == pytest.approx(700)
    assert math.isnan(volume_change_percent(two_scans((20, 40), (90, 90), covered=False)))


def test_mrecist_by_the_enhancing_diameters():
    course = two_scans((40, 40), (90, 90))
    assert mrecist_of(course, [[TargetSize(40.0)], [TargetSize(28.0)]]).overall is PR
    nothing = [[TargetSize(40.0)], [TargetSize(0.0, TargetState.GONE)]]
    found = mrecist_of(course, nothing)
    assert found.overall is CR and found.provisional == course.provisional
    assert mrecist_of(course, nothing, NonTarget.PROGRESSING).overall is PD
    failed = replace(course, steps=(replace(course.steps[0], failed="the livers do not fit"),))
    assert mrecist_of(failed, nothing) is None


def test_mrecist_only_in_the_arterial_phase():
    course = two_scans((40, 40), (90, 90))
    assert not_arterial(course, [Phase.ARTERIAL] * 2) == ""
    for phases in ([Phase.ARTERIAL, Phase.PORTAL], [Phase.ARTERIAL, None]):
        assert f"of {course.points[1].name} it is not known" in not_arterial(course, phases)
    assert ", ".join(point.name for point in course.points) in not_arterial(course, [None, None])


def test_choi_only_where_no_other_phase_is_known():
    course = two_scans((40, 40), (100, 80))
    for phases in ([Phase.PORTAL] * 2, [None, Phase.PORTAL], [Phase.PORTAL, None]):
        assert of_other_phases(course, phases) == ""
    told = of_other_phases(course, [Phase.ARTERIAL, Phase.PORTAL])
    assert "looks arterial" in told and "portal venous" in told


def test_each_criterion_of_the_disease_that_the_reader_names():
    course, arterial = two_scans((40, 40), (100, 80)), [Phase.ARTERIAL] * 2
    enhancing = [[TargetSize(40.0)], [TargetSize(28.0)]]
    plain = judge(course, enhancing=enhancing, phases=arterial)
    assert plain.response.overall is SD and plain.choi is plain.mrecist is None and plain.enhancing == ()
    gist = judge(course, diagnosis=Diagnosis.GIST, enhancing=enhancing, phases=arterial)
    assert gist.choi.response is PR and gist.mrecist is None and gist.warnings == ()
    hcc = judge(course, diagnosis=Diagnosis.HCC, enhancing=enhancing, phases=arterial)
    assert hcc.mrecist.overall is PR and hcc.choi is None and hcc.enhancing == enhancing
    assert judge(course, diagnosis=Diagnosis.HCC, phases=arterial).mrecist is None
    for diagnosis in Diagnosis:
        told = judge(course, diagnosis=diagnosis, enhancing=enhancing, phases=[Phase.ARTERIAL, Phase.PORTAL])
        assert told.choi is told.mrecist is None and told.enhancing == ()
        assert len(told.warnings) == 1 and "not given" in told.warnings[0]
