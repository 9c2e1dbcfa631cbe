"""A case beside an earlier one: registration, pairs, states, what is doubtful, and the response."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.analysis.followup import (
    Examined,
    follow_course,
    follow_up,
    in_order,
    response,
    same_scan,
)
from LiverLesionAILib.case.comparison import NOTHING, REMOVED, ReaderWords, key_of, with_reader_words
from LiverLesionAILib.case.course import Course, new_lesions, target_sizes
from LiverLesionAILib.case.findings import CaseResult, LesionStatus, ProbabilityMap
from LiverLesionAILib.case.followup import (
    FollowUp,
    LesionSize,
    LesionState,
    change_of,
    linked,
    provisional,
    state_of,
    unlinked,
)
from LiverLesionAILib.case.followup_json import course_json, course_of_json
from LiverLesionAILib.case.judged import JudgedCourse
from LiverLesionAILib.case.recist import Assessment, Response, TargetState
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.stages.followup.register import (
    LiverTransform,
    composed,
    reduced_ct,
    register_livers,
)
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.volume.resampling import resample_labels
from LiverLesionAILib.writing.followup_file import course_text
from LiverLesionAILib.writing.report.sentences import sentence
from LiverLesionAILib.writing.report.strings import Language

Balls = dict[int, tuple[tuple[float, float, float], float]]

FIRST: Balls = {
    1: ((0, 0, 0), 14.0),
    2: ((-45, 20, 15), 9.0),
    3: ((38, -18, -20), 8.0),
    4: ((-30, -25, -28), 7.0),
}


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


@pytest.fixture(scope="module")
def first() -> Examined:
    return body(FIRST, day=1)


@pytest.fixture(scope="module")
def second() -> Examined:
    """A breath lower, other spacing; 1 grown, 2 smaller, 3 gone, 4 as it was, a new one."""
    balls = {1: (FIRST[1][0], 18.0), 2: (FIRST[2][0], 5.5), 3: FIRST[4], 4: ((30, 10, 20), 7.0)}
    return body(balls, shift=(6.0, -4.0, -22.0), spacing=(3.0, 2.2, 2.2), day=31, seed=1)


FOUND: list = []
"""The registration of the two, made once."""


@pytest.fixture(scope="module")
def compared(first, second):
    def kept(*args):
        FOUND[:] = [register_livers(*args)]
        return FOUND[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("LiverLesionAILib.analysis.followup.register_livers", kept)
        return follow_up(first, second)


def test_lesions_are_paired_across_a_breath(compared):
    assert not compared.failed
    assert compared.dice > 0.93
    states = {(pair.prior, pair.current): pair.state for pair in compared.pairs}
    assert states == {
        ((1,), (1,)): LesionState.GROWN,
        ((2,), (2,)): LesionState.SHRUNK,
        ((4,), (3,)): LesionState.STABLE,
        ((3,), ()): LesionState.GONE,
        ((), (4,)): LesionState.NEW,
    }
    assert max(pair.distance_mm for pair in compared.pairs if pair.prior and pair.current) < 8


def test_the_other_way_round_gives_the_same_pairs(first, second, compared):
    back = follow_up(second, first)
    forward = {(p.prior, p.current) for p in compared.pairs if p.prior and p.current}
    assert {(p.current, p.prior) for p in back.pairs if p.prior and p.current} == forward


def test_the_case_keeps_enough_of_the_earlier_ct(first, second, compared, tmp_path):
    reduced = reduced_ct(first.volume.hu_zyx, first.result.liver_zyx, first.result.geometry)
    save_result(replace(first.result, reduced_ct=reduced), tmp_path)
    kept = load_result(tmp_path)
    assert kept.reduced_ct.values_zyx.nbytes < 1e6
    without = follow_up(Examined(kept, day=first.day), second)
    assert [(p.prior, p.current) for p in without.pairs] == [(p.prior, p.current) for p in compared.pairs]
    assert without.dice == pytest.approx(compared.dice, abs=0.02)


def test_of_a_reduced_ct_the_densities_are_right(first):
    result = first.result
    reduced = reduced_ct(first.volume.hu_zyx, result.liver_zyx, result.geometry)
    there = resample_labels(result.liver_zyx, result.geometry, reduced.geometry)
    assert there.sum() * reduced.geometry.voxel_volume_mm3 == pytest.approx(
        result.liver_zyx.sum() * result.geometry.voxel_volume_mm3, rel=0.02
    )
    inside = first.volume.hu_zyx[result.liver_zyx].mean()
    assert reduced.hu_zyx[there].mean() == pytest.approx(inside, abs=4)
    nothing = np.zeros_like(result.liver_zyx)
    assert reduced_ct(first.volume.hu_zyx, nothing, result.geometry) is None


def test_changes_and_doubling(compared):
    pair = next(p for p in compared.pairs if p.current == (1,))
    change = change_of(compared, pair)
    assert change.long_axis_mm == pytest.approx(8.0, abs=2.0)
    assert change.volume_percent == pytest.approx(100 * ((18 / 14) ** 3 - 1), rel=0.15)
    assert compared.days == 30
    assert change.doubling_days == pytest.approx(30 * math.log(2) / math.log((18 / 14) ** 3), rel=0.15)
    gone = next(p for p in compared.pairs if not p.current)
    assert math.isnan(change_of(compared, gone).long_axis_mm)


@pytest.fixture
def unbent(monkeypatch) -> None:
    """Registration without the bending, which is most of its time."""
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)


@pytest.mark.usefixtures("unbent")
def test_what_a_scan_does_not_show_is_not_covered(first):
    part = body(FIRST, cut_mm=62.0, seed=2)
    found = follow_up(first, part)
    states = {pair.prior: pair.state for pair in found.pairs if not pair.current}
    assert states.get((3,)) is LesionState.NOT_COVERED
    assert states.get((4,)) is LesionState.NOT_COVERED


def test_what_was_resected_is_no_response(first):
    """The registration presses the removed part into the rest: its lesions are resected, and not gone."""
    geometry = first.result.geometry
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    removed = lps[..., 0] < -20.0
    liver = first.result.liver_zyx & ~removed
    labels = np.where(removed, 0, first.result.lesion_labels_zyx).astype(np.uint16)
    hu = np.where(first.result.liver_zyx & removed, -60.0, first.volume.hu_zyx).astype(np.float32)
    lesions = measure_case(labels, liver, hu, geometry)
    result = replace(first.result, liver_zyx=liver, lesion_labels_zyx=labels, lesions=lesions)
    found = follow_up(first, Examined(result, CtVolume(hu, geometry, "after"), day=date(2026, 3, 1)))
    assert not found.failed
    out = {x.number for x in first.result.lesions} - {x.number for x in lesions}
    assert out and lesions
    states = {n: pair.state for pair in found.pairs for n in pair.prior}
    assert {states[n] for n in out} == {LesionState.RESECTED}
    assert all(pair.proposed for pair in found.pairs if set(pair.prior) & out)
    assert {states[x.number] for x in lesions} == {LesionState.STABLE}
    (said,) = (warning for warning in found.warnings if "no liver any more" in warning)
    assert all(str(n) in said for n in out)
    assert "keine Leber mehr" in sentence(said, Language("de"))
    judged = response(found)
    assert judged is not None and judged.overall is Response.NE, "its size says nothing of response"
    assert "treated" in " ".join(judged.arithmetic)
    # By the reader's word it is resected, or gone after all; the file keeps which.
    number = min(out)
    key = key_of(found.prior.lesions[number])
    for current_key, state in ((REMOVED, LesionState.RESECTED), (NOTHING, LesionState.GONE)):
        words = ReaderWords().linking(key, NOTHING).linking(key, current_key)
        said = with_reader_words(found, ReaderWords.from_text(words.text))
        (pair,) = (pair for pair in said.pairs if number in pair.prior)
        assert (pair.state, pair.by_reader, pair.proposed) == (state, True, False)
        again = course_of_json(json_of(said, response(said))).course
        assert pair.state in {p.state for p in again.last.pairs if p.by_reader and p.prior == pair.prior}
        (track,) = (track for track in again.tracks if number in track.numbers[0])
        assert track.resected == (frozenset({1}) if state is LesionState.RESECTED else frozenset())
    assert "resected?" in text_of(found, judged)


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
        assert "1+2     1+2  stable" in text_of(found, None)
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


def seen(examined: Examined, centre, value: float) -> Examined:
    """A scan whose network sees a ball of 8 mm with this probability."""
    geometry = examined.result.geometry
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    near = ((lps - np.asarray(centre)) ** 2).sum(-1) < 8.0**2
    known = ProbabilityMap(np.where(near, round(255 * value), 0).astype(np.uint8), geometry, 0.25)
    return replace(examined, result=replace(examined.result, probabilities={"tumour": known}))


@pytest.mark.usefixtures("registered")
def test_what_one_scan_does_not_list_is_looked_for_in_its_probability(first, second):
    """Lesion 3 is gone and the present 4 new, unless the other scan's network sees something there."""
    first, second = (decided(scan, LesionStatus.ACCEPTED) for scan in (first, second))
    shift = np.array((6.0, -4.0, -22.0))
    places = np.array((30, 10, 20)), np.array(FIRST[3][0]) + shift

    def states(value):
        found = follow_up(seen(first, places[0], value), seen(second, places[1], value))
        return found, {(p.prior, p.current): p.state for p in found.pairs if not (p.prior and p.current)}

    found, made = states(0.15)
    assert set(made.values()) == {LesionState.NEW, LesionState.GONE}
    assert response(found).overall is Response.PD and new_lesions(Course.of(found))
    ends = {state: pair for pair, state in made.items()}
    found, made = states(0.3)
    assert set(made.values()) == {LesionState.FAINT}
    assert set(made) == set(ends.values())
    course = Course.of(found)
    assert new_lesions(course) == ()
    gone = ends[LesionState.GONE][0][0]
    assert target_sizes(course, (gone,))[1][0].state is TargetState.TOO_SMALL
    assert "not confirmed" in provisional(found).text
    # The reader's word counts more.
    key = key_of(found.current.lesions[ends[LesionState.NEW][1][0]])
    said = with_reader_words(found, ReaderWords().linking(NOTHING, key))
    assert new_lesions(Course.of(said)) == ends[LesionState.NEW][1]
    # Kept in the file.
    read = course_of_json(json_of(found, response(found)))
    assert {p.state for p in read.course.last.pairs} == {p.state for p in found.pairs}


@pytest.mark.usefixtures("registered")
def test_what_lies_in_another_lesions_outline_is_not_faint_for_that(first, second):
    """The prior lists a lesion whose outline has run over the place of one that is new now."""
    first, second = (decided(scan, LesionStatus.ACCEPTED) for scan in (first, second))
    place = np.array((30, 10, 20))
    geometry, labels = first.result.geometry, first.result.lesion_labels_zyx.copy()
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    run_over = (np.abs(lps - (15, 5, 10)) < (20, 10, 14)).all(axis=-1)
    for outlined in (run_over, run_over & (lps[..., 0] < -90)):
        own = np.where(outlined & first.result.liver_zyx, 1, labels).astype(np.uint16)
        lesions = measure_case(own, first.result.liver_zyx, first.volume.hu_zyx, geometry)
        result = replace(first.result, lesion_labels_zyx=own, lesions=lesions)
        found = follow_up(seen(replace(first, result=result), place, 0.9), second)
        pair = next(p for p in found.pairs if 4 in p.current)
        # Where the outline reaches, what is seen is that lesion; elsewhere it is something unlisted.
        assert (pair.state is LesionState.FAINT) == (not outlined.any()), pair


def test_another_patient_is_told(first):
    other = body({1: ((0, 0, 0), 8.0)}, seed=4)
    stretched = Geometry.make(other.result.geometry.shape_zyx, (4.0, 1.4, 4.2), (-200, -60, -70))
    other = Examined(
        replace(other.result, geometry=stretched), CtVolume(other.volume.hu_zyx, stretched, "other")
    )
    found = follow_up(first, other)
    assert found.failed or any("fit badly" in warning for warning in found.warnings)


@pytest.mark.usefixtures("unbent")
def test_the_same_scan_twice_is_stable(first):
    found = follow_up(first, first)
    assert any("same scan" in warning for warning in found.warnings)
    assert {pair.state for pair in found.pairs} == {LesionState.STABLE}
    assert response(found).overall is Response.SD


def test_the_reader_links_and_unlinks(compared):
    apart = unlinked(compared, 1, 1)
    states = {(p.prior, p.current): p.state for p in apart.pairs}
    assert states[((1,), ())] is LesionState.GONE
    assert states[((), (1,))] is LesionState.NEW
    again = linked(apart, 3, 4)
    assert again.pair_of(4).prior == (3,)
    assert sorted(n for p in again.pairs for n in p.prior) == [1, 2, 3, 4]
    assert sorted(n for p in again.pairs for n in p.current) == [1, 2, 3, 4]


def test_file_and_text(compared):
    judged = response(compared)
    document = json.loads(json_of(compared, judged))
    assert document["days"] == 30
    assert {p["state"] for p in document["pairs"]} == {"grown", "shrunk", "stable", "gone", "new"}
    assert document["recist"]["overall"] == judged.overall.value
    said = text_of(compared, judged)
    assert "RECIST 1.1" in said
    assert "Provisional:" in said
    for pair in compared.pairs:
        assert pair.state.value in said
    assert "new?" in said and "? is a proposal until the reader has confirmed it." in said


@pytest.fixture
def registered(monkeypatch, compared) -> None:
    """The livers' registration taken as it was found once."""
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", lambda *args: FOUND[0])


def decided(examined: Examined, status: LesionStatus, *numbers: int) -> Examined:
    """The reader's decision on some lesions, on all where none is named."""
    lesions = tuple(
        replace(x, status=status) if not numbers or x.number in numbers else x
        for x in examined.result.lesions
    )
    return replace(examined, result=replace(examined.result, lesions=lesions))


@pytest.mark.usefixtures("registered")
def test_rejected_lesions_are_no_part_of_it(first, second):
    found = follow_up(first, decided(second, LesionStatus.REJECTED, 4))
    assert 4 not in found.current.lesions
    assert not any(p.state is LesionState.NEW for p in found.pairs)


@pytest.mark.usefixtures("registered")
def test_treated_ones_are_never_progression(first, second):
    found = follow_up(first, decided(second, LesionStatus.TREATED, 1))
    assert found.pair_of(1).state is LesionState.TREATED


@pytest.mark.usefixtures("registered")
def test_files_that_name_another_patient_are_told_without_a_name(first, second):
    one, other = (DicomSource((), patient_id=f"SECRET{k}", patient_sex="F") for k in (1, 2))
    found = follow_up(replace(first, source=one), replace(second, source=other))
    assert any("patient ID differs" in warning for warning in found.warnings)
    assert "SECRET" not in " ".join(found.warnings)


@pytest.mark.usefixtures("registered")
def test_wrong_order(first, second):
    found = follow_up(replace(first, day=second.day), replace(second, day=first.day))
    assert any("wrong way round" in warning for warning in found.warnings)
    assert found.days == -30


def test_no_liver(first, second):
    nothing = replace(first, result=replace(first.result, liver_zyx=np.zeros_like(first.result.liver_zyx)))
    found = follow_up(nothing, second)
    assert "no liver" in found.failed
    assert response(found) is None
    assert "no liver" in text_of(found, None)


@pytest.mark.usefixtures("registered")
def test_response_is_provisional_until_the_reader_has_confirmed(first, second, compared):
    judged = response(compared)
    assert judged.overall in (Response.PD, Response.SD)
    assert "not reviewed" in judged.provisional
    assert "not confirmed" in judged.provisional
    confirmed = follow_up(*(decided(e, LesionStatus.ACCEPTED) for e in (first, second)))
    assert "not reviewed" not in provisional(confirmed).text
    assert "not confirmed" in provisional(confirmed).text


def test_the_same_images_are_the_same_scan(first, second):
    images = [DicomSlice("1.2", f"1.2.{k}") for k in range(4)]
    one, other = (replace(e, source=DicomSource(tuple(images[:2]))) for e in (first, second))
    assert same_scan(one, other)
    assert not same_scan(one, replace(other, source=DicomSource(tuple(images[2:]))))
    assert same_scan(first, replace(first, day=None))
    assert not same_scan(first, second)
    noisy = replace(first, volume=replace(first.volume, hu_zyx=first.volume.hu_zyx + 1))
    assert not same_scan(first, noisy)


def test_earlier_scans_are_put_in_order(first):
    days = [replace(first, day=date(2026, month, 1)) for month in (3, 1, 2)]
    ordered, said = in_order(days)
    assert [scan.day.month for scan in ordered] == [1, 2, 3]
    assert "order of their dates" in said[0]
    assert in_order([days[0], days[2], days[1]])[1] == []
    undated, said = in_order([days[0], replace(days[1], day=None)])
    assert [scan.day for scan in undated] == [None, days[0].day]
    assert "in the order given" in said[0]
    with pytest.raises(ValueError, match="no earlier scan"):
        in_order([])


@pytest.mark.usefixtures("registered")
def test_transforms_of_neighbours_make_one(first, second):
    transform = FOUND[0]
    twice = composed([transform, transform])
    points = np.array([[0.0, 0.0, 0.0], [-30.0, 12.0, 9.0]])
    np.testing.assert_allclose(twice.points(points), transform.points(transform.points(points)), atol=1e-6)
    assert composed([transform, None]) is None


def test_what_one_scan_misses_is_the_same_lesion_again(first, monkeypatch):
    """Three scans that lie on each other; the one in between shows nothing of lesion 3."""
    still = LiverTransform(sitk.Transform(3, sitk.sitkIdentity), 1.0, 0.0, 1.0, 0.0)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", lambda *args: still)
    between = decided(replace(first, day=date(2026, 2, 1)), LesionStatus.REJECTED, 3)
    now = replace(first, day=date(2026, 3, 1))
    course = follow_course([between, first], now)
    assert [point.day.month for point in course.points] == [1, 2, 3]
    assert {track.numbers for track in course.tracks} == {((n,), () if n == 3 else (n,), (n,)) for n in FIRST}
    assert not any(track.new for track in course.tracks)
