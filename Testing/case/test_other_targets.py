"""Targets outside of the liver: lengths, lymph nodes, gone and not shown, and what RECIST does not take."""

from __future__ import annotations

from datetime import date

import pytest
from LiverLesionAILib.case.course import Course, response_of, sums_over_time
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.followup_json import course_json, course_of_json
from LiverLesionAILib.case.judged import JudgedCourse
from LiverLesionAILib.case.other_targets import (
    OtherTarget,
    at_every_scan,
    other_targets_text,
    read_other_targets,
    targets_of,
)
from LiverLesionAILib.case.recist import Response, TargetState


def liver(before: float, now: float, thickness_mm: float = 1.0) -> Course:
    """One lesion at two scans; 0 is gone."""
    sizes = [{1: LesionSize(1, long_axis_mm=mm, volume_ml=mm)} if mm else {} for mm in (before, now)]
    days = date(2026, 1, 1), date(2026, 3, 1)
    points = [TimePoint("a", day, x, thickness_mm, True) for day, x in zip(days, sizes, strict=True)]
    pair = Pair((1,), (1,), LesionState.STABLE) if now else Pair((1,), (), LesionState.GONE, by_reader=True)
    return Course.of(FollowUp(*points, (pair,)))


def judged(course: Course, text: str):
    return response_of(course, elsewhere=at_every_scan(read_other_targets(text), 2))


def test_as_it_is_typed():
    typed = read_other_targets("31.5, 28;n16,9 ; 20, - ; N 15, 0;")
    assert typed == (
        OtherTarget((31.5, 28.0)),
        OtherTarget((16.0, 9.0), node=True),
        OtherTarget((20.0, None)),
        OtherTarget((15.0, 0.0), node=True),
    )
    assert [one.text for one in typed] == ["31.5, 28", "n 16, 9", "20, -", "n 15, 0"]
    assert read_other_targets("; ".join(one.text for one in typed)) == typed
    assert targets_of(at_every_scan(typed, 2)) == typed
    states = [[size.state.name for size in one.sizes] for one in typed]
    assert states[2:] == [["MEASURED", "NOT_COVERED"], ["MEASURED", "GONE"]]
    assert read_other_targets("") == read_other_targets(" ; ") == ()
    assert at_every_scan([OtherTarget((1.0,))], 2) == ()


@pytest.mark.parametrize(
    "text", ["20, x", "20, -1", "nan, 3", "2, nan", "20, 1000", "-, 9", "0, 9", "n", "20,"]
)
def test_what_is_no_target(text):
    with pytest.raises(ValueError, match=r"no length|could not convert"):
        OtherTarget.from_text(text)


@pytest.mark.parametrize(("text", "category"), [
    # Everything is gone, a node of normal size among it.
    ("30, 0", Response.CR),
    ("n 16, 9.9", Response.CR),
    ("30, 0; n 20, 0", Response.CR),
    # A node of 10 mm is diseased; what is no node is, whatever its size.
    ("n 16, 10", Response.PR),
    ("30, 4", Response.PR),
    # A node's short axis stays in the sum when it is normal.
    ("n 16, 9.9; 12, 30", Response.SD),
    ("30, -", Response.NE),
    ("30, 90; 20, -", Response.PD),
])  # fmt: skip
def test_categories_with_the_livers_target_gone(text, category):
    assert judged(liver(20, 0), text).target is category


def test_a_node_that_is_normal_still_counts_in_the_sum():
    course = liver(20, 0)
    sizes = at_every_scan(read_other_targets("n 16, 9; 30, -"), 2)
    assert sums_over_time(course, elsewhere=sizes[:1] + sizes[:1]) == (66.0, 46.0)
    assert judged(course, "n 16, 9").sums.now_mm == 9.0


def test_what_recist_does_not_take_is_said():
    course = liver(20, 20)
    assert not any("RECIST" in one for one in judged(course, "30, 30; n 15, 15; 10, 10; 12, 3").arithmetic)
    five = judged(course, "; ".join(["30, 30"] * 5)).arithmetic[-1]
    assert "2 targets in one organ and 5 in all at most: here are 1 in the liver and 5 elsewhere" in five
    for text in ("9.9, 20", "n 14.9, 20"):
        assert judged(course, text).arithmetic[-1].startswith("A target is smaller at the baseline")
    thick = liver(20, 20, thickness_mm=8.0)
    assert "16 mm here, 15 mm short axis" in judged(thick, "15, 15").arithmetic[-1]
    assert not any("RECIST" in one for one in judged(thick, "16, 16").arithmetic)


def test_they_are_kept_in_the_file_and_told():
    course, text = liver(20, 0), "31.5, 28; n 16, -; 12, 0"
    elsewhere = at_every_scan(read_other_targets(text), 2)
    whole = JudgedCourse(course, response_of(course, elsewhere=elsewhere), None, elsewhere)
    back = course_of_json(course_json(whole))
    assert back.elsewhere == elsewhere and repr(back.response) == repr(whole.response)
    assert back.elsewhere[1][1].state is TargetState.NOT_COVERED
    told = "31.5 > 28.0; lymph node (short axis) 16.0 > not covered; 12.0 > 0.0"
    assert other_targets_text(elsewhere) == told
    assert other_targets_text(()) == ""
