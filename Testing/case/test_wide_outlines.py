"""A network's outline round several lesions that holds far more than they do is a question, no answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from LiverLesionAILib.case.comparison import ReaderWords, key_of, outline_of, with_reader_words
from LiverLesionAILib.case.course import Course, response_of
from LiverLesionAILib.case.findings import Lesion, LesionSource
from LiverLesionAILib.case.followup import (
    GROWN_VOLUME,
    FollowUp,
    LesionSize,
    LesionState,
    Pair,
    TimePoint,
    is_wide,
    provisional,
    state_of,
)
from LiverLesionAILib.case.joined import WideOutline
from LiverLesionAILib.case.recist import Response
from LiverLesionAILib.case.time_point import time_point_of
from support.results import measured_result


def size(number: int, mm: float, ml: float, half: float = 2.0, *, network: bool = True) -> LesionSize:
    return LesionSize(
        number, f"2.25.{number}", mm, 0.8 * mm, ml, mm - half, mm + half, confirmed=True, by_network=network
    )


PARTS = [size(1, 30.0, 11.0), size(2, 22.0, 5.0)]
FLOODED = size(1, 150.0, 300.0, 40.0)


def step(before: list[LesionSize], now: list[LesionSize]) -> FollowUp:
    points = [
        TimePoint(name, date(2026, month, 1), {x.number: x for x in part}, 2.0, decided=True)
        for name, month, part in (("old", 1, before), ("new", 3, now))
    ]
    numbers = [tuple(x.number for x in part) for part in (before, now)]
    return FollowUp(*points, (Pair(*numbers, state_of(before, now), wide=is_wide(before, now)),))


@pytest.mark.parametrize(("factor", "wide"), [(GROWN_VOLUME, False), (GROWN_VOLUME + 0.01, True)])
def test_it_is_wide_from_what_recist_calls_growth(factor, wide):
    one = size(1, 40.0, 16.0 * factor)
    assert is_wide(PARTS, [one]) is is_wide([one], PARTS) is wide


def test_only_a_networks_outline_round_several_lesions_is_asked_about():
    assert is_wide(PARTS, [FLOODED])
    assert not is_wide(PARTS, [replace(FLOODED, by_network=False)]), "the reader has drawn it"
    assert not is_wide(PARTS, [replace(FLOODED, treated=True)])
    assert not is_wide(PARTS[:1], [FLOODED]), "one that has grown"
    assert not is_wide(PARTS, [FLOODED, replace(FLOODED, number=2)])


def test_several_lesions_merge_only_by_growing_and_split_only_by_shrinking():
    small = [size(1, 5.0, 0.2)]
    assert state_of(PARTS, [size(1, 50.0, 60.0)]) is LesionState.MERGED
    assert state_of([size(1, 50.0, 60.0)], PARTS) is LesionState.SPLIT
    assert state_of(PARTS, small) is LesionState.SHRUNK
    assert state_of(small, PARTS) is LesionState.GROWN


@pytest.mark.parametrize("in_current", [True, False])
def test_it_is_a_question_with_both_categories_until_the_reader_has_confirmed_it(in_current):
    found = step(PARTS, [FLOODED]) if in_current else step([FLOODED], PARTS)
    (pair,) = found.pairs
    assert pair.proposed and provisional(found).reasons == (
        "an outline round several lesions is not checked",
    )
    one = found.wide_of(pair)
    assert (one.in_current, one.number, one.others) == (in_current, 1, (1, 2))
    assert "300 mL" in one.text and "16 mL together" in one.text and "Check the outline" in one.text
    said = response_of(Course.of(found))
    arithmetic = Response.PD if in_current else Response.PR
    # As long as it may be no more than its lesions, nothing may have changed.
    assert said.overall is arithmetic and Response.SD in said.possible and said.provisional
    words = replace(ReaderWords(), outlines=(outline_of(found, pair),))
    assert ReaderWords.from_text(words.text) == words
    sure = with_reader_words(found, words)
    assert not sure.pairs[0].proposed and sure.wide_of(sure.pairs[0]) is None
    assert sure.pairs[0].state is pair.state
    assert response_of(Course.of(sure)).possible == (arithmetic,)
    assert response_of(Course.of(sure)).provisional == ""
    # Of the other scan's lesion of that name it says nothing.
    wrong = tuple(reversed(words.outlines[0]))
    assert with_reader_words(found, replace(words, outlines=(wrong,))).pairs == found.pairs


def test_whose_outline_it_is_follows_from_the_lesion():
    result = measured_result()
    lesions: list[Lesion] = [x for x in result.lesions if x.measurement is not None and x.status.counts]
    one = lesions[0]
    intervals = {one.number: (8.0, 12.0)}

    def by_network(lesion: Lesion, known=intervals) -> bool:
        return time_point_of([lesion], known, "a", None, 2.0).lesions[one.number].by_network

    assert by_network(replace(one, edited=False, source=LesionSource.MASK))
    assert not by_network(replace(one, edited=True, source=LesionSource.MASK))
    assert not by_network(replace(one, edited=False, source=LesionSource.READER))
    assert not by_network(replace(one, edited=False), {}), "an outline that was handed in"


def point(name: str, month: int, *sizes: LesionSize) -> TimePoint:
    return TimePoint(name, date(2026, month, 1), {x.number: x for x in sizes}, 2.0, decided=True)


def test_what_is_only_proposed_as_new_or_gone_leaves_the_other_category_open():
    target, other = size(1, 30.0, 11.0, network=False), size(2, 12.0, 0.9, network=False)
    stable = Pair((1,), (1,), LesionState.STABLE)
    new = FollowUp(
        point("old", 1, target), point("new", 3, target, other), (stable, Pair((), (2,), LesionState.NEW))
    )
    said = response_of(Course.of(new))
    assert (said.overall, set(said.possible)) == (Response.PD, {Response.SD, Response.PD})
    sure = with_reader_words(new, ReaderWords().linking("", key_of(other)))
    assert response_of(Course.of(sure)).possible == (Response.PD,)

    gone = FollowUp(point("old", 1, target), point("new", 3), (Pair((1,), (), LesionState.GONE),))
    said = response_of(Course.of(gone))
    assert said.overall is Response.CR and {Response.CR, Response.SD} <= set(said.possible)
    sure = with_reader_words(gone, ReaderWords().linking(key_of(target), ""))
    assert response_of(Course.of(sure)).possible == (Response.CR,)
    faint = replace(gone, pairs=(Pair((1,), (), LesionState.FAINT),))
    said = response_of(Course.of(faint))
    assert said.overall is Response.PR and set(said.possible) == {Response.PR, Response.SD}


@pytest.mark.parametrize(
    ("ml", "text"), [(0.44, "0.44 mL"), (5.04, "5.0 mL"), (16.4, "16 mL"), (250.3, "250 mL")]
)
def test_small_outlines_are_not_told_to_be_nothing(ml: float, text: str) -> None:
    said = WideOutline(True, 5, (7, 9), 5 * ml, ml).text
    assert f"{text} together" in said and " 0 mL" not in said
