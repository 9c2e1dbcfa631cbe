"""Lesions over several scans: tracks, targets' sums, nadir, and the response."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import pytest
from LiverLesionAILib.case.course import (
    Course,
    new_lesions,
    proposed_targets,
    response_of,
    sums_over_time,
    target_sizes,
)
from LiverLesionAILib.case.cut_lesions import CUT_TARGET, passed_over
from LiverLesionAILib.case.findings import Box, Lesion
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.recist import NonTarget, Response, TargetSize, TargetState
from LiverLesionAILib.case.time_point import time_point_of
from LiverLesionAILib.case.volume_interval import volume_interval_ml
from LiverLesionAILib.volume.geometry import Geometry

NEW, GONE, STABLE, UNSEEN = (
    LesionState.NEW,
    LesionState.GONE,
    LesionState.STABLE,
    LesionState.NOT_COVERED,
)


def point(month: int, axes: dict[int, float], *, thickness=1.0, **more) -> TimePoint:
    """Lesions by their long axes; `more` are attributes of all of them."""
    sizes = {n: LesionSize(n, long_axis_mm=mm, volume_ml=mm, **more) for n, mm in axes.items()}
    return TimePoint(f"scan {month}", date(2026, month, 1), sizes, thickness, decided=True)


def pairs(*ends: tuple[tuple[int, ...], tuple[int, ...]], unseen: bool = False) -> tuple[Pair, ...]:
    made = []
    for old, new in ends:
        alone = UNSEEN if unseen else GONE if old else NEW
        made.append(Pair(old, new, STABLE if old and new else alone))
    return tuple(made)


def course(points: list[TimePoint], *steps: tuple[Pair, ...], bridges=None) -> Course:
    joined = [FollowUp(a, b, p) for a, b, p in zip(points, points[1:], steps, strict=False)]
    return Course(tuple(points), tuple(joined), bridges or {})


SAME = pairs(((1,), (1,)), ((2,), (2,)))


def test_nadir_is_the_smallest_sum_and_baseline_the_oldest():
    over = course([point(1, {1: 60, 2: 40}), point(2, {1: 30, 2: 20}), point(3, {1: 37, 2: 25})], SAME, SAME)
    assert proposed_targets(over) == (1, 2)
    assert sums_over_time(over) == (100, 50, 62)
    judged = response_of(over)
    assert (judged.sums.baseline_mm, judged.sums.nadir_mm, judged.sums.now_mm) == (100, 50, 62)
    # 38 % below the baseline and yet 24 % above the nadir.
    assert judged.overall is Response.PD
    two = course([over.points[0], over.points[2]], SAME)
    assert response_of(two).overall is Response.PR


def test_a_lesion_that_one_scan_misses_goes_on():
    points = [point(1, {1: 30}), point(2, {}), point(3, {5: 30})]
    gone, new = pairs(((1,), ())), pairs(((), (5,)))
    over = course(points, gone, new)
    assert [t.numbers for t in over.tracks] == [((1,), (), ()), ((), (), (5,))]
    assert over.tracks[1].new
    bridged = course(points, gone, new, bridges={(0, 2): pairs(((1,), (5,)))})
    assert [t.numbers for t in bridged.tracks] == [((1,), (), (5,))]
    assert not bridged.tracks[0].new
    assert new_lesions(bridged) == ()


@pytest.mark.parametrize("axis_mm", [5.0, 4.0])
def test_a_new_lesion_of_5_mm_is_progression_once_it_is_confirmed(axis_mm):
    """However small: what counts is the reader's word that it is one."""
    for confirmed, category in ((True, Response.PD), (False, Response.SD)):
        now = point(2, {1: 30})
        new = LesionSize(2, long_axis_mm=axis_mm, volume_ml=0.1, confirmed=confirmed)
        now = replace(now, lesions={**now.lesions, 2: new})
        over = course([point(1, {1: 30}), now], pairs(((1,), (1,)), ((), (2,))))
        assert new_lesions(over) == ((2,) if confirmed else ())
        assert response_of(over).overall is category
        assert "confirmed" in over.provisional, "that it is new waits for the reader too"


def test_after_a_nadir_of_0_anything_that_comes_back_is_progression():
    points = [point(1, {1: 30}), point(2, {}), point(3, {7: 5})]
    again = course(points, pairs(((1,), ())), pairs(((), (7,))), bridges={(0, 2): pairs(((1,), (7,)))})
    judged = response_of(again)
    assert (judged.sums.nadir_mm, judged.sums.now_mm) == (0, 5)
    assert judged.overall is Response.PD


def test_a_bridge_never_joins_what_has_a_neighbour():
    points = [point(1, {1: 30}), point(2, {1: 30}), point(3, {1: 30, 2: 12})]
    over = course(
        points,
        pairs(((1,), (1,))),
        pairs(((1,), (1,)), ((), (2,))),
        bridges={(0, 2): pairs(((1,), (2,)))},
    )
    assert [t.numbers for t in over.tracks] == [((1,), (1,), (1,)), ((), (), (2,))]


def test_a_lesion_that_the_scan_cuts_is_the_last_to_be_a_target_and_that_is_said():
    before, now = point(1, {1: 60, 2: 40, 3: 30}), point(2, {1: 60, 2: 40, 3: 30})
    three = pairs(((1,), (1,)), ((2,), (2,)), ((3,), (3,)))

    def cut(at: TimePoint, *numbers: int) -> TimePoint:
        return replace(at, lesions={n: replace(x, cut=n in numbers) for n, x in at.lesions.items()})

    whole, one, two = (course([b, now], three) for b in (before, cut(before, 1), cut(before, 1, 3)))
    assert [proposed_targets(over) for over in (whole, one, two)] == [(1, 2), (2, 3), (2, 1)]
    later = course([before, cut(now, 2)], three)
    told = [CUT_TARGET in response_of(over).arithmetic for over in (whole, one, two, later)]
    assert told == [False, False, True, True]
    assert CUT_TARGET in response_of(one, (1,)).arithmetic, "the reader's choice as well"
    (left_out,) = passed_over(one.points[0], proposed_targets(one))
    assert left_out.endswith("lesion 1 of that scan.") and left_out in response_of(one).arithmetic
    assert left_out not in response_of(one, (2,)).arithmetic, "the reader has chosen"
    smaller = course([cut(before, 3), now], three)
    for over in (whole, two, smaller):
        assert passed_over(over.points[0], proposed_targets(over)) == ()
    treated = course([cut(point(1, {1: 60}, treated=True), 1), now], pairs(((1,), (1,))))
    assert proposed_targets(treated) == ()


def test_the_grid_says_which_lesions_a_scan_cuts():
    grid = Geometry.make((10, 40, 40), (3.0, 1.0, 1.0))
    ends, inside = (
        Lesion(n, 1.0, (20.0, 20.0, z), Box((20.0, 20.0, z), (9.0, 9.0, 9.0)), measurement=None)
        for n, z in ((1, 24.0), (2, 15.0))
    )
    sizes = time_point_of([ends, inside], {}, "a", None, 3.0, grid).lesions
    assert (sizes[1].cut, sizes[2].cut) == (True, False)
    assert not time_point_of([ends], {}, "a", None, 3.0).lesions[1].cut


def test_split_parts_are_added_and_merged_ones_are_one():
    split = course([point(1, {1: 30}), point(2, {1: 12, 2: 14})], pairs(((1,), (1, 2))))
    assert [t.mm for t in target_sizes(split, (1,))[1]] == [26]
    merged = course([point(1, {1: 30, 2: 20}), point(2, {1: 44})], pairs(((1, 2), (1,))))
    assert [[t.mm for t in sizes] for sizes in target_sizes(merged, (1, 2))] == [[50], [44]]
    assert response_of(merged).overall is Response.SD


def test_of_outlines_round_several_in_both_scans_as_many_count_as_are_targets():
    """A lesion that is no target at the baseline is none in the sum later, as it was outlined with one."""
    before, now = point(1, {1: 40, 2: 12, 3: 30}), point(2, {1: 38, 2: 20, 3: 30})
    over = course([before, now], pairs(((1, 2), (1, 2)), ((3,), (3,))))
    assert proposed_targets(over) == (1, 3)
    assert sums_over_time(over) == (70, 68)
    assert sums_over_time(over, (1, 2)) == (52, 58)
    # One that nobody has measured could be the target.
    unmeasured = replace(now, lesions={**now.lesions, 2: LesionSize(2)})
    sizes = target_sizes(course([before, unmeasured], over.steps[0].pairs), (1, 3))
    assert [size.state for size in sizes[1]] == [TargetState.NOT_COVERED, TargetState.MEASURED]


def test_what_a_scan_does_not_cover_is_not_evaluable():
    over = course([point(1, {1: 30}), point(2, {})], pairs(((1,), ()), unseen=True))
    assert target_sizes(over, (1,))[1][0].state is TargetState.NOT_COVERED
    assert response_of(over).overall is Response.NE
    assert math.isnan(sums_over_time(over)[1])
    longer = course([*over.points, point(3, {}), point(4, {})], over.steps[0].pairs, (), ())
    assert longer.tracks[0].covered == (True, False, False, False)


def test_what_was_resected_says_nothing_of_response_in_any_later_scan():
    taken = (Pair((1,), (), LesionState.RESECTED),)
    over = course([point(1, {1: 30}), point(2, {}), point(3, {})], taken, ())
    assert over.tracks[0].resected == {1, 2}
    assert [sizes[0].state for sizes in target_sizes(over, (1,))[1:]] == [TargetState.TREATED] * 2
    assert response_of(over).overall is Response.NE
    assert "confirmed" in over.provisional
    # With another target that has grown it is progression all the same.
    stays = (*taken, *pairs(((2,), (1,))))
    grown = course([point(1, {1: 30, 2: 20}), point(2, {1: 60})], stays)
    assert response_of(grown).overall is Response.PD
    # Seen again there: it was no resection.
    back = course([point(1, {1: 30}), point(2, {}), point(3, {4: 30})], taken, (), bridges={
        (0, 2): pairs(((1,), (4,)))
    })  # fmt: skip
    assert back.tracks[0].resected == frozenset()


def test_new_lesions_count_once_the_reader_has_confirmed_them():
    ends = pairs(((1,), (1,)), ((), (2,)))
    before = point(1, {1: 30})
    proposed = course([before, point(2, {1: 30, 2: 9})], ends)
    assert response_of(proposed).overall is Response.SD
    confirmed = course([before, point(2, {1: 30, 2: 9}, confirmed=True)], ends)
    assert new_lesions(confirmed) == (2,)
    assert response_of(confirmed).overall is Response.PD
    unseen = course(
        [before, point(2, {1: 30, 2: 9}, confirmed=True)],
        (*pairs(((1,), (1,))), *pairs(((), (2,)), unseen=True)),
    )
    assert new_lesions(unseen) == ()


def test_treated_ones_are_no_targets_and_no_progression():
    assert proposed_targets(course([point(1, {1: 30, 2: 20}, treated=True), point(2, {})], SAME)) == ()
    over = course([point(1, {1: 30, 2: 20}), point(2, {1: 60, 2: 20}, treated=True)], SAME)
    assert response_of(over).overall is Response.NE
    assert "treated" in " ".join(response_of(over).arithmetic)


def test_a_box_without_a_mask_is_not_measured():
    over = course([point(1, {1: 30, 2: 20}), point(2, {1: math.nan, 2: 20})], SAME)
    assert response_of(over).overall is Response.NE


@pytest.mark.parametrize(("thickness", "targets"), [(5.0, (1, 2)), (5.5, (1, 2)), (5.6, (1,)), (10.0, (1,))])
def test_targets_by_slice_thickness(thickness, targets):
    over = course([point(1, {1: 20.0, 2: 11.0}, thickness=thickness), point(2, {1: 20.0, 2: 11.0})], SAME)
    assert proposed_targets(over) == targets


def test_targets_elsewhere_and_the_readers_word():
    over = course([point(1, {1: 30, 2: 20}), point(2, {1: 30, 2: 20})], SAME)
    grown = [[TargetSize(50.0)], [TargetSize(70.0)]]
    assert response_of(over, elsewhere=grown).overall is Response.PD
    assert response_of(over, (1,), NonTarget.PROGRESSING).overall is Response.PD
    assert response_of(over, ()) is None
    with pytest.raises(ValueError, match="no lesion 7"):
        response_of(over, (7,))
    with pytest.raises(ValueError, match="every time point"):
        response_of(over, elsewhere=grown[:1])


def test_intervals_reach_the_category():
    sized = {"low_mm": 68.0, "high_mm": 74.0}
    before = point(1, {1: 100.0}, low_mm=98.0, high_mm=102.0)
    over = course([before, point(2, {1: 71.0}, **sized)], pairs(((1,), (1,))))
    judged = response_of(over)
    assert judged.overall is Response.SD
    assert judged.possible == (Response.PR, Response.SD)


def test_a_registration_that_failed_gives_no_response():
    points = point(1, {1: 30}), point(2, {1: 30})
    failed = FollowUp(*points, failed="the livers do not fit")
    over = Course.of(failed)
    assert over.failed
    assert response_of(over) is None
    assert all(math.isnan(mm) for mm in sums_over_time(over))
    with pytest.raises(ValueError, match="two time points"):
        Course(points, ())


def test_a_volumes_interval_is_the_one_beside_the_measured_axis() -> None:
    """The axis of a comparison is rounded; a report had told two intervals of one volume."""
    for axis_mm, half_mm in ((14.06, 2.83), (13.94, 2.83), (9.249, 3.31)):
        size = LesionSize(
            1, "", round(axis_mm, 1), 9.0, 1.0, low_mm=axis_mm - half_mm, high_mm=axis_mm + half_mm
        )
        assert size.volume_interval_ml == pytest.approx(volume_interval_ml(1.0, half_mm))
    wide = LesionSize(1, "", 4.0, 3.0, 0.03, low_mm=0.0, high_mm=9.0)
    assert wide.volume_interval_ml == pytest.approx(volume_interval_ml(0.03, 5.0)), "its low end was cut at 0"
