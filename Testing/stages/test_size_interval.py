"""Intervals of long axes and volumes: wider where the probability is flat, slices thick, lesions large."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILab.evaluation.intervals import (
    SizedLesion,
    add_interval_arguments,
    interval_table,
    left_out,
    run_intervals,
    sized_lesions,
    volume_table,
)
from LiverLesionAILab.synthesis.synthliver.images import write_nifti
from LiverLesionAILib.case.findings import CaseResult, LesionSource, ProbabilityMap
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint, state_of
from LiverLesionAILib.case.followup_columns import CHANGES, SIZES_NOW, intervals_text
from LiverLesionAILib.case.interval import (
    FACTOR,
    READER_MM,
    conformal_factor,
    half_width_mm,
    half_width_steps,
    intervals_of,
    missed_mm,
)
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.case.volume_interval import SHARE, ball_mm, end_text, volume_digits, volume_interval_ml
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.writing.report.strings import Language


def ball(radius_mm=9.0, edge_mm=1.0, spacing=(2.0, 1.0, 1.0)) -> CaseResult:
    """A ball whose probability falls from 1 to 0 around its outline within some `edge_mm`."""
    shape = tuple(int(60 / s) for s in spacing)
    geometry = Geometry.make(shape, spacing, (-30.0, -30.0, -30.0))
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(shape), 0, -1)))
    depth = radius_mm - np.linalg.norm(lps, axis=-1)
    probability = 1 / (1 + np.exp(-depth / edge_mm))
    labels = (probability >= 0.5).astype(np.uint16)
    liver = np.ones(shape, bool)
    lesions = measure_case(labels, liver, np.where(labels, 50, 110), geometry)
    kept = ProbabilityMap(np.rint(255 * probability).astype(np.uint8), geometry, 0.5)
    return CaseResult("ball", geometry, liver, labels, lesions, probabilities={"tumour": kept})


def half(result: CaseResult) -> float:
    low, high = intervals_of(result)[1]
    axis = result.lesions[0].measurement.long_axis_mm
    assert low == pytest.approx(2 * axis - high)
    return (high - low) / 2


def test_by_the_formula():
    # The thresholds 0.25 and 0.75 lie edge * ln 3 to both sides of the outline.
    result = ball(edge_mm=2.0)
    axis = result.lesions[0].measurement.long_axis_mm
    expected = FACTOR * math.hypot(1.0, missed_mm(axis, 2.0), 0.05 * axis, 2 * 2.0 * math.log(3))
    assert half(result) == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(("diameter", "thickness"), [(10.0, 5.0), (20.0, 5.0), (30.0, 5.0), (12.0, 2.0)])
def test_slices_miss_so_much_of_a_balls_diameter(diameter, thickness):
    short = []
    for beside in np.linspace(-thickness / 2, thickness / 2, 101):
        cuts = beside + thickness * np.arange(-20, 21)
        widest = np.sqrt(np.maximum(0.0, diameter**2 - 4 * cuts**2)).max()
        short.append(diameter - widest)
    rms = float(np.sqrt(np.mean(np.square(short))))
    assert missed_mm(diameter, thickness) == pytest.approx(rms, rel=0.15)


def test_of_what_is_thinner_than_a_slice_no_more_than_itself_is_missed():
    assert missed_mm(4.0, 5.0) == missed_mm(4.0, 10.0) == pytest.approx(4.0 / math.sqrt(20.0))
    assert missed_mm(0.0, 5.0) == 0.0


def test_small_steps_give_what_one_step_gives(monkeypatch):
    result = ball()
    given = (result.lesions[0], lesion_masks(result)[1], result.geometry, result.probabilities["tumour"])
    at_once = half_width_mm(*given)
    monkeypatch.setattr("LiverLesionAILib.case.interval.VOXELS_AT_ONCE", 2000)
    counted = []

    def watched():
        counted.append((yield from half_width_steps(*given)))

    assert len(list(watched())) > 10
    assert counted == [at_once]


def test_wider_where_less_is_known():
    assert half(ball(edge_mm=2.5)) > half(ball(edge_mm=1.0)) > half(ball(edge_mm=0.3))
    small = ball(radius_mm=6.0, edge_mm=0.3)
    assert half(ball(radius_mm=6.0, edge_mm=0.3, spacing=(6.0, 1.0, 1.0))) > 1.1 * half(small)
    assert half(ball(18.0)) > half(ball(6.0))


def test_a_neighbour_does_not_widen_it():
    result = ball()
    values = result.probabilities["tumour"].values_zyx.copy()
    values[2:5, 4:12, 4:12] = 255
    other = replace(result.probabilities["tumour"], values_zyx=values)
    assert half(replace(result, probabilities={"tumour": other})) == pytest.approx(half(result))


def test_what_the_reader_drew_and_what_nobody_did():
    result = ball()
    drawn = tuple(replace(x, edited=True) for x in result.lesions)
    assert half(replace(result, lesions=drawn, probabilities={})) == READER_MM
    own = tuple(replace(x, source=LesionSource.READER) for x in result.lesions)
    assert half(replace(result, lesions=own)) == READER_MM
    assert intervals_of(replace(result, probabilities={})) == {}


def test_a_volumes_interval_is_that_of_its_ball():
    ball = math.pi * 20.0**3 / 6000.0
    assert ball_mm(ball) == pytest.approx(20.0)
    low, high = volume_interval_ml(ball, 4.0 / SHARE)
    assert (low, high) == pytest.approx((ball * 0.8**3, ball * 1.2**3))
    assert volume_interval_ml(ball, 50.0 / SHARE)[0] == 0.0
    for unknown in (volume_interval_ml(ball, math.nan), volume_interval_ml(math.nan, 3.0)):
        assert all(map(math.isnan, unknown))
    half = 4.0 / SHARE
    size = LesionSize(1, long_axis_mm=24.0, volume_ml=ball, low_mm=24.0 - half, high_mm=24.0 + half)
    assert size.volume_interval_ml == pytest.approx((low, high))
    # The axis that is read from a table may be rounded; its interval's ends say the same volume.
    assert replace(size, long_axis_mm=23.6).volume_interval_ml == pytest.approx((low, high))
    assert replace(size, low_mm=0.0).volume_interval_ml == pytest.approx((low, high))
    # Two in one outline: no merge while the volumes' intervals reach each other.
    parts = [replace(size, volume_ml=ball / 2), replace(size, volume_ml=ball / 2)]
    larger = replace(size, volume_ml=1.8 * ball)
    assert state_of(parts, [larger]) is LesionState.STABLE
    sure = [replace(x, low_mm=23.9, high_mm=24.1) for x in (*parts, larger)]
    assert state_of(sure[:2], sure[2:]) is LesionState.MERGED


def test_a_pair_says_its_intervals():
    known = LesionSize(1, long_axis_mm=24.0, volume_ml=4.19, low_mm=20.0, high_mm=28.0)
    points = [
        TimePoint(name, None, sizes, 2.0)
        for name, sizes in (("A", {2: LesionSize(2, long_axis_mm=12.0)}), ("B", {1: known}))
    ]
    pair = Pair((2,), (1,), LesionState.GROWN)
    low, high = known.volume_interval_ml
    said = intervals_text(FollowUp(*points, (pair,)), pair)
    # Of the other one nobody knows how sure it is.
    assert said == f"Now 1: 24.0 mm (20 to 28), 4.2 mL ({low:.1f} to {high:.1f})"
    assert [volume_digits(ml) for ml in (0.31, 4.2, 154.0)] == [2, 1, 0]


def test_no_end_of_an_interval_is_nothing():
    """The smallest lesions' intervals reach down to nothing, which no lesion is: less than can be written."""
    assert [end_text(0.004, 2), end_text(0.0, 2), end_text(0.006, 2)] == ["<0.01", "<0.01", "0.01"]
    assert [end_text(0.04, 1), end_text(0.3), end_text(0.5), end_text(154.4)] == ["<0.1", "<1", "<1", "154"]
    small = LesionSize(1, long_axis_mm=4.1, volume_ml=0.03, low_mm=0.0, high_mm=9.0)
    followup = FollowUp(
        *(TimePoint(name, None, sizes, 2.0) for name, sizes in (("A", {}), ("B", {1: small}))),
        (pair := Pair((), (1,), LesionState.NEW),),
    )
    assert "4.1 mm (<1 to 9), 0.03 mL (<0.01 to " in intervals_text(followup, pair)
    assert Language("en").interval(0.0, 9.1) == "<1-9"
    assert Language("fr").interval(0.001, 0.31, 2) == "<0,01-0,31"
    assert Language("en").interval(math.nan, 3.0) == ""


def test_the_tables_columns_have_the_intervals_of_their_sums():
    known = LesionSize(1, long_axis_mm=24.0, volume_ml=4.19, low_mm=21.0, high_mm=28.0)
    other = replace(known, number=2, long_axis_mm=10.0, volume_ml=0.5, low_mm=6.0, high_mm=13.0)
    unknown = LesionSize(3, long_axis_mm=12.0, volume_ml=0.9)
    followup = FollowUp(
        TimePoint("A", None, {1: known, 3: unknown}, 2.0), TimePoint("B", None, {1: known, 2: other}, 2.0)
    )
    pair = Pair((1,), (1, 2), LesionState.SPLIT)
    columns = {column.key: column for column in (*CHANGES, *SIZES_NOW)}
    assert {key for key, column in columns.items() if column.interval} == {
        "prior_long_axis", "long_axis", "prior_volume", "volume",
    }  # fmt: skip
    assert columns["prior_long_axis"].interval(followup, pair) == (21.0, 28.0)
    assert columns["long_axis"].interval(followup, pair) == pytest.approx((34 - 5.0, 34 + 5.0))
    ends = [x.volume_interval_ml for x in (known, other)]
    high = 4.69 + math.hypot(ends[0][1] - 4.19, ends[1][1] - 0.5)
    assert columns["volume"].interval(followup, pair)[1] == pytest.approx(high)
    merged = Pair((1, 3), (1,), LesionState.MERGED)
    for key in ("prior_long_axis", "prior_volume"):
        assert all(map(math.isnan, columns[key].interval(followup, merged)))


def test_conformal_factor():
    errors, scales = np.arange(1.0, 20.0), np.full(19, 2.0)
    assert conformal_factor(errors, scales, 0.9) == 9.0
    assert conformal_factor(errors[:8], scales[:8], 0.9) == math.inf


def test_lesions_of_a_case_against_their_truth(tmp_path):
    result = ball()
    save_result(result, tmp_path / "one_ct")
    truth = ball(11.0)
    write_nifti((1 + truth.lesion_labels_zyx).astype(np.uint8), truth.geometry, tmp_path / "one_mask.nii.gz")
    (lesion,) = sized_lesions(tmp_path / "one_ct", tmp_path / "one_mask.nii.gz")
    assert lesion.true_mm == pytest.approx(22, abs=1.5)
    assert lesion.found_mm == pytest.approx(18, abs=1.5)
    assert lesion.patient == "one"
    assert (lesion.ball.true_mm, lesion.ball.found_mm) == pytest.approx((22, 18), abs=0.5)


def test_coverage_is_of_patients_left_out():
    lesions = [SizedLesion(f"p{k % 4}", 20.0, 20.0 + (k % 5) * 0.5, 1.0) for k in range(40)]
    lesions.append(SizedLesion("odd", 20.0, 40.0, 1.0))
    held = left_out(lesions)
    assert held.count(False) == 1 and not held[-1]
    table = interval_table(lesions)
    assert "41 lesions of 5 patients" in table
    assert "40 of 41" in table
    balls = [replace(x, true_ball_mm=x.true_mm, found_ball_mm=x.found_mm) for x in lesions]
    assert "40 of 41" in volume_table(balls)


def test_the_command_takes_cases_that_have_a_true_mask(tmp_path, capsys):
    for name, radius_mm in (("one", 9.0), ("two", 12.0), ("unknown", 9.0)):
        save_result(ball(radius_mm), tmp_path / "cases" / f"{name}_ct")
    (tmp_path / "cases" / "notes").mkdir()
    (tmp_path / "truth").mkdir()
    parser = argparse.ArgumentParser()
    add_interval_arguments(parser)
    args = parser.parse_args([str(tmp_path / "cases"), "--truth", str(tmp_path / "truth")])
    with pytest.raises(InputError, match="no case whose lesions"):
        run_intervals(args)
    for name in ("one", "two"):
        truth = ball(10.0)
        mask = (1 + truth.lesion_labels_zyx).astype(np.uint8)
        write_nifti(mask, truth.geometry, tmp_path / "truth" / f"{name}_mask.nii.gz")
    assert run_intervals(args) == 0
    assert "2 lesions of 2 patients" in capsys.readouterr().out
    # Where the mask is another scan's, no number is better than a wrong one.
    coarse = ball(10.0, spacing=(3.0, 1.0, 1.0))
    write_nifti(
        (1 + coarse.lesion_labels_zyx).astype(np.uint8),
        coarse.geometry,
        tmp_path / "truth" / "two_mask.nii.gz",
    )
    with pytest.raises(InputError, match=r"two_mask\.nii\.gz is not on the grid of .*two_ct"):
        run_intervals(args)
