"""The drawing of targets over time: what is drawn is what was measured."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from datetime import date
from itertools import pairwise

import pytest
from LiverLesionAILib.case.colours import lesion_colour
from LiverLesionAILib.case.course import Course
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.pictures.followup_plot import HEIGHT, WIDTH, WORDS, followup_svg, target_curves

SVG = "{http://www.w3.org/2000/svg}"


def over_time(*axes: tuple[float, float], dated: bool = True) -> Course:
    points = [
        TimePoint(
            "SECRET^NAME",
            date(2026, 1 + k, 1) if dated else None,
            {n + 1: LesionSize(n + 1, "", mm, mm, mm, mm - 2, mm + 2) for n, mm in enumerate(pair)},
            1.0,
        )
        for k, pair in enumerate(axes)
    ]
    pairs = tuple(Pair((n,), (n,), LesionState.STABLE) for n in (1, 2))
    steps = [FollowUp(a, b, pairs) for a, b in pairwise(points)]
    return Course(tuple(points), tuple(steps))


def test_curves_are_changes_from_the_baseline():
    one, other, total = target_curves(over_time((40, 20), (20, 22), (30, 30)))
    assert one.percent == (0, -50, -25)
    assert other.percent == pytest.approx((0, 10, 50))
    assert total.name == "sum"
    assert total.percent == pytest.approx((0, -30, 0))
    assert (one.low[2], one.high[2]) == pytest.approx((-30, -20))


def test_no_lesion_is_taken_for_another_one_of_the_same_number():
    """Of the baseline 1 is 1, 2 is 3 now, 3 is gone; this scan's 2 is another lesion."""
    sizes = {n: LesionSize(n, "", 30.0, 30.0, 14.0, 28.0, 32.0) for n in (1, 2, 3)}
    before, now = (TimePoint("", date(2026, k, 1), sizes, 1.0) for k in (1, 2))
    pairs = (
        Pair((1,), (1,), LesionState.STABLE), Pair((2,), (3,), LesionState.STABLE),
        Pair((3,), (), LesionState.GONE), Pair((), (2,), LesionState.NEW),
    )  # fmt: skip
    course = Course((before, now), (FollowUp(before, now, pairs),))
    curves = target_curves(course, (1, 2, 3))
    assert [curve.name for curve in curves] == ["lesion 1", "lesion 2 → 3", "lesion 3 → –", "sum"]
    assert len({curve.colour for curve in curves}) == 4
    red, green, blue = lesion_colour(3)
    assert curves[1].colour == f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
    texts = list(ET.fromstring(followup_svg(course, (1, 2, 3))).iter(f"{SVG}text"))
    ends = {text.text: float(text.get("x")) + 6.5 * len(text.text) for text in texts}
    starts = {text.text: float(text.get("x")) for text in texts}
    assert ends["lesion 2 → 3"] < starts["lesion 3 → –"] and ends["lesion 3 → –"] < starts["sum"]


@pytest.mark.parametrize("dated", [True, False])
def test_the_drawing_is_whole_and_names_nobody(dated):
    svg = followup_svg(over_time((40, 20), (20, 22), (30, 90), dated=dated))
    root = ET.fromstring(svg)
    assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert "SECRET" not in svg
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert ("2026-02-01" if dated else "scan 2") in words
    assert {"-25", "+350", "+100"} <= set(words)
    assert len(list(root.iter(f"{SVG}polyline"))) == 3
    for node in root.iter():
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(node.get(name, 1)) <= HEIGHT
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(node.get(name, 1)) <= WIDTH


def test_dates_and_words_are_those_of_the_language():
    words = {**WORDS, "title": "Ziele <und> mehr"}
    svg = followup_svg(over_time((40, 20), (20, 22)), words=words, day_text="{:%d.%m.%Y}".format)
    root = ET.fromstring(svg)
    assert root.find(f"{SVG}title").text == "Ziele <und> mehr"
    shown = [text.text for text in root.iter(f"{SVG}text")]
    assert {"01.01.2026", "01.02.2026"} <= set(shown) and "2026-01-01" not in svg


def test_without_a_target_nothing_is_drawn():
    assert followup_svg(over_time((9, 8), (9, 8))) == ""
    assert target_curves(over_time((40, 20), (20, 22)), ()) == ()


def test_one_that_is_not_known_leaves_a_gap():
    curve = target_curves(over_time((40, 20), (math.nan, 20), (30, 20)))[0]
    assert math.isnan(curve.percent[1])
    assert "?" not in followup_svg(over_time((40, 20), (math.nan, 20), (30, 20)))
    assert ">?<" in followup_svg(over_time((40, 20), (30, 20), (math.nan, 20)))
