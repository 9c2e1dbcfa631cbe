"""A case beside an earlier one: registration, pairs, changes, several earlier scans."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.analysis.followup import (
    Examined,
    follow_course,
    follow_up,
    response,
)
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.case.followup import (
    LesionState,
    linked,
    unlinked,
)
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.stages.followup.register import (
    LiverTransform,
    composed,
    reduced_ct,
)
from LiverLesionAILib.volume.resampling import resample_labels
from support.follow_up_bodies import FIRST, FOUND, body, decided, json_of, text_of


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


@pytest.mark.usefixtures("unbent")
def test_what_a_scan_does_not_show_is_not_covered(first):
    part = body(FIRST, cut_mm=62.0, seed=2)
    found = follow_up(first, part)
    states = {pair.prior: pair.state for pair in found.pairs if not pair.current}
    assert states.get((3,)) is LesionState.NOT_COVERED
    assert states.get((4,)) is LesionState.NOT_COVERED


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
