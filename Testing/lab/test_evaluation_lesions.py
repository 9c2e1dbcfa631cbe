"""Lesion-wise detection against scikit-image and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.metrics import bands
from LiverLesionAILab.metrics import lesions as les
from LiverLesionAILab.metrics.freeresponse import free_response
from LiverLesionAILib.support.errors import InputError
from skimage import measure
from support.evaluation_masks import ball, mask_pairs

ALL = les.LesionRules(min_voxels=0, min_diameter_mm=0.0)


@given(mask_pairs(), st.sampled_from([6, 18, 26]), st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_detection_agrees_with_skimage_and_loops(pair, connectivity, overlap, seed):
    reference, prediction, spacing = pair
    values = np.random.default_rng(seed).integers(0, 5, reference.shape) / 4
    rules = les.LesionRules(connectivity, overlap=overlap)
    result = les.score_lesions(reference, prediction, spacing, score_zyx=values, rules=rules)

    rank = {6: 1, 18: 2, 26: 3}[connectivity]
    there, here = (measure.label(m, connectivity=rank) for m in (reference, prediction))
    voxel = math.prod(spacing)
    expected, specks = [], 0
    for k in range(1, there.max() + 1):
        lesion = there == k
        n = int(lesion.sum())
        if n < 3 and (6 * n * voxel / math.pi) ** (1 / 3) < 3:
            specks += 1
            continue
        share = (lesion & prediction).sum() / n
        # The score: the highest threshold that still finds it, tried one by one.
        score = -math.inf
        for threshold in sorted(set(values[prediction]), reverse=True):
            kept = np.zeros_like(prediction)
            for j in range(1, here.max() + 1):
                if values[here == j].max() >= threshold:
                    kept |= here == j
            if (kept & lesion).sum() >= max(1, overlap * n - 1e-9):
                score = threshold
                break
        centre = tuple(np.round(np.argwhere(lesion).mean(axis=0), 6))
        expected.append((n, centre, round(share, 9), score, score > -math.inf))
    ours = [
        (r.voxels, tuple(np.round(r.centre_zyx, 6)), round(r.overlap, 9), r.score, r.found)
        for r in result.reference
    ]
    assert sorted(ours) == sorted(expected)
    assert result.n_specks == specks
    assert result.n_found == sum(e[-1] for e in expected)

    false = [j for j in range(1, here.max() + 1) if not reference[here == j].any()]
    assert result.n_false == len(false)
    ours_false = sorted((p.voxels, p.score) for p in result.predicted if p.false)
    assert ours_false == sorted((int((here == j).sum()), values[here == j].max()) for j in false)
    assert len(result.predicted) == here.max()
    assert [p.voxels for p in result.predicted] == sorted((p.voxels for p in result.predicted), reverse=True)


@given(mask_pairs(max_side=7))
@settings(max_examples=120, deadline=None)
def test_dice_per_lesion_divides_the_touching_prediction(pair):
    reference, prediction, spacing = pair
    result = les.score_lesions(reference, prediction, spacing, rules=ALL)
    there, here = (measure.label(m, connectivity=3) for m in (reference, prediction))
    touching = [j for j in range(1, here.max() + 1) if reference[here == j].any()]
    total = sum(r.predicted_ml for r in result.reference)
    assert total == pytest.approx(sum((here == j).sum() for j in touching) * math.prod(spacing) / 1000)
    dices = []
    for k in range(1, there.max() + 1):
        part = 0
        for j in touching:
            rivals = sorted(set(there[here == j]) - {0})
            if k not in rivals:
                continue
            for v in np.argwhere(here == j):
                offsets = [(np.argwhere(there == r) - v) * np.array(spacing) for r in rivals]
                nearest = np.array([(o**2).sum(axis=1).min() for o in offsets])
                if (nearest < nearest.min() + 1e-9).sum() > 1:
                    return  # a voxel as near to two lesions may go to either
                part += rivals[int(np.argmin(nearest))] == k
        lesion = there == k
        dices.append(2 * (lesion & prediction).sum() / (lesion.sum() + part))
    assert sorted(r.dice for r in result.reference) == pytest.approx(sorted(dices))


@given(mask_pairs())
@settings(max_examples=120, deadline=None)
def test_iou_above_half_agrees_with_a_loop(pair):
    reference, prediction, spacing = pair
    result = les.score_lesions(reference, prediction, spacing, rules=ALL)
    there, here = (measure.label(m, connectivity=3) for m in (reference, prediction))
    best = []
    for k in range(1, there.max() + 1):
        ious = [0.0]
        for j in range(1, here.max() + 1):
            ious.append(((there == k) & (here == j)).sum() / ((there == k) | (here == j)).sum())
        best.append(max(ious))
    # Above one half a match is unique; below, one to one may cost a lesion its best component.
    assert sum(r.iou > 0.5 for r in result.reference) == sum(b > 0.5 for b in best)
    assert sum(r.iou for r in result.reference) <= sum(best) + 1e-9


def test_two_lesions_under_one_prediction():
    shape, spacing = (20, 40, 60), (1.5, 0.8, 0.8)
    one, other = ball(shape, (10, 20, 15), 6, spacing), ball(shape, (10, 20, 40), 5, spacing)
    bridge = np.zeros(shape, bool)
    bridge[10, 20, 15:40] = True
    result = les.score_lesions(one | other, one | other | bridge, spacing)
    assert (result.n_lesions, result.n_found, result.n_false, len(result.predicted)) == (2, 2, 0, 1)
    assert min(r.dice for r in result.reference) > 0.97
    assert 0.5 < result.reference[0].iou < 0.7
    assert result.reference[1].iou == 0
    assert result.predicted[0].touches == (1, 2)


def test_specks_are_neither_missed_nor_false():
    reference = np.zeros((10, 20, 20), bool)
    reference[2, 3, 3] = True
    reference[5:8, 5:9, 5:9] = True
    result = les.score_lesions(reference, reference, (1, 1, 1))
    assert (result.n_lesions, result.n_specks, result.n_found, result.n_false) == (1, 1, 1, 0)
    # The same voxel of a coarse grid is 6 mm large and stays a lesion.
    assert les.score_lesions(reference, reference, (5, 5, 5)).n_lesions == 2
    assert les.score_lesions(reference, reference, (1, 1, 1), rules=ALL).n_lesions == 2


def test_ten_per_cent_is_enough_and_less_is_not():
    reference = np.zeros((5, 10, 10), bool)
    reference[2, 0:10, 0:2] = True  # 20 voxels
    prediction = np.zeros_like(reference)
    prediction[2, 0, 0] = True
    assert les.score_lesions(reference, prediction, (1, 1, 1)).n_found == 0
    assert les.score_lesions(reference, prediction, (1, 1, 1)).n_false == 0
    prediction[2, 0, 1] = True
    assert les.score_lesions(reference, prediction, (1, 1, 1)).n_found == 1


def test_empty_scans():
    nothing = np.zeros((4, 5, 6), np.uint8)
    some = nothing.copy()
    some[1, 1, 1:4] = 2
    assert les.score_lesions(nothing, nothing, (1, 1, 1)) == les.LesionScores((), ())
    healthy = les.score_lesions(nothing, some, (1, 1, 1))
    assert (healthy.n_lesions, healthy.n_false) == (0, 1)
    missed = les.score_lesions(some, nothing, (1, 1, 1))
    assert (missed.n_lesions, missed.n_found, missed.reference[0].dice) == (1, 0, 0.0)


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="2 dimensions"):
        les.score_lesions(np.zeros((4, 4)), np.zeros((4, 4)), (1, 1))
    with pytest.raises(InputError, match=r"scores have shape \(1, 4, 4\)"):
        les.score_lesions(np.ones((2, 4, 4)), np.ones((2, 4, 4)), (1, 1, 1), score_zyx=np.ones((1, 4, 4)))


def test_sizes_and_bands():
    spacing = (1.0, 0.5, 0.5)
    shape = (40, 120, 120)
    mask = ball(shape, (20, 30, 30), 12, spacing) | ball(shape, (20, 90, 90), 4, spacing)
    result = les.score_lesions(mask, ball(shape, (20, 90, 90), 4, spacing), spacing)
    assert [r.diameter_mm for r in result.reference] == pytest.approx([24, 8], rel=0.03)
    rows = {row.band.name: (row.n_found, row.n_lesions) for row in les.count_by_size([result, result])}
    assert rows == {"< 5 mm": (0, 0), "5-10 mm": (2, 2), "10-20 mm": (0, 0), "> 20 mm": (0, 2)}
    assert [lesion.dice for lesion in result.reference] == [0.0, 1.0]


@given(st.floats(0, 300))
def test_every_diameter_is_in_exactly_one_band(diameter):
    for groups in (bands.DETECTION_BANDS, bands.DICE_BANDS, bands.DEEPLESION_BANDS):
        assert sum(b.holds(diameter) for b in groups) == 1


def test_limits_of_the_bands():
    def band_of(diameter_mm, groups):
        return next(band.name for band in groups if band.holds(diameter_mm))

    names = [band_of(d, bands.DICE_BANDS) for d in (14.99, 15.0, 30.0, 30.01)]
    assert names == ["< 15 mm", "15-30 mm", "15-30 mm", "> 30 mm"]
    names = [band_of(d, bands.DETECTION_BANDS) for d in (4.99, 5.0, 10.0, 20.0, 20.01)]
    assert names == ["< 5 mm", "5-10 mm", "10-20 mm", "10-20 mm", "> 20 mm"]


@given(
    st.lists(st.one_of(st.just(-math.inf), st.integers(0, 6).map(float)), max_size=8),
    st.lists(st.integers(0, 6).map(float), max_size=12),
    st.integers(1, 5),
)
def test_free_response_agrees_with_trying_every_threshold(found, false, n_units):
    curve = free_response(found, false, n_units)
    assert np.all(np.diff(curve.false_per_unit) >= 0)
    for rate in (0.0, 0.125, 0.5, 1.0, 2.0, 8.0):
        attained = [0.0]
        for threshold in range(8):
            if sum(s >= threshold for s in false) / n_units <= rate:
                attained.append(sum(s >= threshold for s in found) / max(len(found), 1))
        kept = sum(s >= curve.threshold_at(rate) for s in false)
        assert kept <= rate * n_units + 1e-9
        if found:
            assert curve.at(rate) == pytest.approx(max(attained))
            assert curve.at(rate, interpolate=True) >= curve.at(rate) - 1e-12
        else:
            assert math.isnan(curve.at(rate))


def test_free_response_per_scan_end_to_end():
    shape, spacing = (10, 40, 40), (2.0, 1.0, 1.0)
    lesion, spot = ball(shape, (5, 10, 10), 5, spacing), ball(shape, (5, 30, 30), 3, spacing)
    score = np.where(lesion, 0.6, 0.0) + np.where(spot, 0.9, 0.0)
    sick = les.score_lesions(lesion, lesion | spot, spacing, score_zyx=score)
    healthy = les.score_lesions(np.zeros(shape), spot, spacing, score_zyx=score)
    curve = les.free_response_per_scan([sick, healthy])
    assert (curve.n_lesions, curve.n_units) == (1, 2)
    assert curve.at_rates((0.5, 1.0)) == {0.5: 0.0, 1.0: 1.0}
    assert curve.threshold_at(1.0) == 0.6
    assert curve.at(0.5, interpolate=True) == pytest.approx(0.5)
    assert les.free_response_per_scan([sick, healthy], bands.DETECTION_BANDS[-1]).n_lesions == 0


def test_long_axes_of_lesions_and_of_their_predictions():
    def diagonal(mask):
        return float(np.hypot(mask.shape[1], mask.shape[2]))

    reference = np.zeros((6, 30, 30), bool)
    reference[2:4, 3:7, 3:6] = True
    reference[2:4, 20:28, 20:26] = True
    prediction = np.zeros_like(reference)
    prediction[2:4, 20:28, 20:23] = True
    result = les.score_lesions(reference, prediction, (1, 1, 1), diameter=diagonal)
    large, small = result.reference
    assert (large.long_axis_mm, large.predicted_axis_mm) == (10.0, pytest.approx(math.sqrt(73)))
    assert small.long_axis_mm == 5.0
    assert math.isnan(small.predicted_axis_mm)
    assert math.isnan(les.score_lesions(reference, prediction, (1, 1, 1)).reference[0].long_axis_mm)
