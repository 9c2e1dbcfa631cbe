"""What became of a lesion between two scans: merged and split, grown and shrunk, at their very cuts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.followup import (
    follow_up,
)
from LiverLesionAILib.case.followup import (
    LesionSize,
    LesionState,
    change_of,
    state_of,
)
from LiverLesionAILib.case.followup_json import course_of_json
from LiverLesionAILib.stages.measure.lesions import measure_case
from support.follow_up_bodies import body, json_of, text_of


@pytest.mark.usefixtures("unbent")
def test_lesions_that_merge_and_split():
    apart = body({1: ((-20, 0, 0), 9.0), 2: ((4, 0, 0), 9.0)})
    together = body({1: ((-20, 0, 0), 13.0)}, seed=3)
    labels = together.result.lesion_labels_zyx.copy()
    labels[body({1: ((4, 0, 0), 13.0)}).result.lesion_labels_zyx > 0] = 1
    lesions = measure_case(
        labels, together.result.liver_zyx, together.volume.hu_zyx, together.result.geometry
    )
    together = replace(together, result=replace(together.result, lesion_labels_zyx=labels, lesions=lesions))
    merged = follow_up(apart, together)
    assert [(p.prior, p.current, p.state) for p in merged.pairs] == [((1, 2), (1,), LesionState.MERGED)]
    split = follow_up(together, apart)
    assert [(p.prior, p.current, p.state) for p in split.pairs] == [((1,), (1, 2), LesionState.SPLIT)]
    change = change_of(split, split.pairs[0])
    assert change.long_axis_mm == pytest.approx(36 - lesions[0].measurement.long_axis_mm, abs=3)


@pytest.mark.usefixtures("unbent")
def test_one_outline_round_two_lesions_that_have_not_changed_is_no_merge():
    apart = body({1: ((-20, 0, 0), 9.0), 2: ((2, 0, 0), 9.0)})
    labels = np.minimum(apart.result.lesion_labels_zyx, 1)
    lesions = measure_case(labels, apart.result.liver_zyx, apart.volume.hu_zyx, apart.result.geometry)
    together = replace(apart, result=replace(apart.result, lesion_labels_zyx=labels, lesions=lesions))
    for scans, ends in (((apart, together), ((1, 2), (1,))), ((together, apart), ((1,), (1, 2)))):
        found = follow_up(*scans)
        assert [(p.prior, p.current, p.state) for p in found.pairs] == [(*ends, LesionState.STABLE)]
        # It is proposed to split it, by the scan that shows them apart; the case stays as it is.
        (one,) = found.joined
        assert (one.in_current, one.number, one.others) == (scans[1] is together, 1, (1, 2))
        for n, axis, volume in zip(one.others, one.long_axes_mm, one.volumes_ml, strict=True):
            size = apart.result.lesions[n - 1].measurement
            assert axis == pytest.approx(size.long_axis_mm, abs=3.1)
            assert volume == pytest.approx(size.volume_ml, rel=0.15)
        said = text_of(found, None)
        assert f"one outline round lesions 1 + 2 of {'the prior' if one.in_current else 'this'} scan" in said
        assert course_of_json(json_of(found, None)).course.last.joined == found.joined
        assert found.joined_of(replace(found.pairs[0], by_reader=True)) is None


SAME_SIZE = [LesionSize(1, long_axis_mm=20, volume_ml=4), LesionSize(2, long_axis_mm=10, volume_ml=0.5)]


@pytest.mark.parametrize(("factor", "state"), [
    (1.0, LesionState.STABLE), (1.9, LesionState.GROWN), (0.3, LesionState.SHRUNK),
])  # fmt: skip
def test_of_outlines_round_several_in_both_scans_the_volume_decides(factor, state):
    later = [replace(x, volume_ml=factor * x.volume_ml) for x in SAME_SIZE]
    assert state_of(SAME_SIZE, later) is state


@pytest.mark.usefixtures("unbent")
def test_what_lies_in_an_outline_of_the_other_scan_is_neither_new_nor_gone():
    """Both scans have an outline that runs round a lesion which the other one outlines alone."""
    one = body({1: ((0, 0, 0), 20.0), 2: ((26, 0, 0), 5.0)})
    other = body({1: ((12, 0, 0), 18.0), 2: ((-13, 0, 0), 5.0)}, seed=1)
    for scans in ((one, other), (other, one)):
        found = follow_up(*scans)
        assert [(p.prior, p.current, p.state) for p in found.pairs] == [((1, 2), (1, 2), LesionState.STABLE)]
        assert found.joined == ()
        assert "1+2     1+2* stable" in text_of(found, None), "a target, of which the terminal says so"
    # Also where the other's outline is too unlike to be a partner by itself.
    small = body({1: ((-15, 0, 0), 3.0)}, seed=1)
    alone = body({1: ((0, 0, 0), 20.0)})
    shrunk, grown = follow_up(alone, small), follow_up(small, alone)
    assert [(p.prior, p.current, p.state) for p in shrunk.pairs] == [((1,), (1,), LesionState.SHRUNK)]
    assert [(p.prior, p.current, p.state) for p in grown.pairs] == [((1,), (1,), LesionState.GROWN)]


def test_a_change_within_both_intervals_is_none():
    def size(mm, half):
        return LesionSize(1, long_axis_mm=mm, low_mm=mm - half, high_mm=mm + half)

    assert state_of([size(20, 3)], [size(27, 4)]) is LesionState.GROWN
    assert state_of([size(20, 5)], [size(27, 6)]) is LesionState.STABLE
    assert state_of([size(20, 3)], [size(12, 4)]) is LesionState.SHRUNK
    assert state_of([size(20, 6)], [size(12, 6)]) is LesionState.STABLE
    # Without an interval the lengths decide.
    assert state_of([LesionSize(1, long_axis_mm=20)], [size(27, 9)]) is LesionState.GROWN


@pytest.mark.parametrize(("before", "now", "state"), [
    # 20 % and 5 mm, both.
    (25.0, 30.0, LesionState.GROWN),
    (25.0, 29.9, LesionState.STABLE),
    (20.0, 24.9, LesionState.STABLE),
    (20.0, 25.0, LesionState.GROWN),
    (40.0, 47.9, LesionState.STABLE),
    (40.0, 48.0, LesionState.GROWN),
    # 30 %, and more than one reader's second measurement.
    (20.0, 14.0, LesionState.SHRUNK),
    (20.0, 14.1, LesionState.STABLE),
    (10.0, 7.0, LesionState.SHRUNK),
    (9.0, 6.1, LesionState.STABLE),
])  # fmt: skip
def test_states_at_their_very_cuts(before, now, state):
    sizes = [LesionSize(1, long_axis_mm=mm, volume_ml=1.0) for mm in (before, now)]
    assert state_of(sizes[:1], sizes[1:]) is state


def test_every_length_at_a_cut_is_past_it():
    """Tenths of a millimetre whose product with 1.2 or 0.7 is a tenth too, and the next tenth before it."""

    def said(before: int, now: int) -> LesionState:
        sizes = [LesionSize(1, long_axis_mm=tenths / 10, volume_ml=1.0) for tenths in (before, now)]
        return state_of(sizes[:1], sizes[1:])

    for before in range(250, 1500, 5):
        grown, less = before + before // 5, before + before // 5 - 1
        assert (said(before, grown), said(before, less)) == (LesionState.GROWN, LesionState.STABLE)
    for before in range(100, 1500, 10):
        shrunk, more = before - 3 * before // 10, before - 3 * before // 10 + 1
        assert (said(before, shrunk), said(before, more)) == (LesionState.SHRUNK, LesionState.STABLE)


def test_changes_and_doubling(compared):
    pair = next(p for p in compared.pairs if p.current == (1,))
    change = change_of(compared, pair)
    assert change.long_axis_mm == pytest.approx(8.0, abs=2.0)
    assert change.volume_percent == pytest.approx(100 * ((18 / 14) ** 3 - 1), rel=0.15)
    assert compared.days == 30
    assert change.doubling_days == pytest.approx(30 * math.log(2) / math.log((18 / 14) ** 3), rel=0.15)
    gone = next(p for p in compared.pairs if not p.current)
    assert math.isnan(change_of(compared, gone).long_axis_mm)
