"""Segmentation scores against MONAI, scikit-learn, SimpleITK and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from LiverLesionAILab.metrics import segmentation as seg
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.overlap import Counts, count_voxels, dice, harmonic_mean
from scipy.spatial.distance import cdist
from sklearn import metrics as sk
from support.evaluation_masks import ball, mask_pairs

QUICK = settings(max_examples=120, deadline=None)


def brute_surface(mask: np.ndarray) -> np.ndarray:
    """Surface voxels by looking at every neighbour of every voxel."""
    points = set()
    for index in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                beside = index.copy()
                beside[axis] += step
                outside = beside[axis] < 0 or beside[axis] >= mask.shape[axis]
                if outside or not mask[tuple(beside)]:
                    points.add(tuple(index))
    return np.array(sorted(points))


@given(mask_pairs())
@QUICK
def test_ratios_agree_with_scikit_learn(pair):
    reference, prediction, spacing = pair
    scores = seg.score_masks(reference, prediction, spacing, distances=False)
    truth, found = reference.ravel(), prediction.ravel()
    tn, fp, fn, tp = sk.confusion_matrix(truth, found, labels=[False, True]).ravel().tolist()
    assert scores.counts == Counts(tp, fp, fn, tn)
    zero = 0.0 if reference.any() or prediction.any() else 1.0
    assert scores.dice == pytest.approx(sk.f1_score(truth, found, zero_division=zero))
    assert scores.f1 == pytest.approx(scores.dice)
    assert scores.jaccard == pytest.approx(sk.jaccard_score(truth, found, zero_division=zero))
    assert scores.precision == pytest.approx(sk.precision_score(truth, found, zero_division=zero))
    assert scores.recall == pytest.approx(sk.recall_score(truth, found, zero_division=zero))
    assert scores.specificity == pytest.approx(sk.recall_score(~truth, ~found, zero_division=1.0))
    assert scores.volume_error_ml == pytest.approx((fp - fn) * math.prod(spacing) / 1000)
    if truth.any():
        assert scores.volume_error_percent == pytest.approx(100 * (found.sum() / truth.sum() - 1))
    else:
        assert math.isnan(scores.volume_error_percent)


@given(mask_pairs(max_side=6))
@QUICK
def test_distances_agree_with_brute_force(pair):
    reference, prediction, spacing = pair
    scores = seg.score_masks(reference, prediction, spacing)
    if not reference.any() and not prediction.any():
        assert (scores.hausdorff_mm, scores.hausdorff95_px, scores.average_distance_mm) == (0, 0, 0)
        return
    if not reference.any() or not prediction.any():
        for value in (scores.hausdorff_mm, scores.hausdorff95_mm, scores.hausdorff_px):
            assert math.isnan(value)
        assert math.isnan(scores.average_distance_mm)
        return
    here, there = brute_surface(reference), brute_surface(prediction)
    for scale, unit in ((spacing, "mm"), ((1, 1, 1), "px")):
        table = cdist(here * np.array(scale), there * np.array(scale))
        one, other = table.min(axis=1), table.min(axis=0)
        assert getattr(scores, f"hausdorff_{unit}") == pytest.approx(max(one.max(), other.max()))
        almost = max(np.percentile(one, 95), np.percentile(other, 95))
        assert getattr(scores, f"hausdorff95_{unit}") == pytest.approx(almost)
        if unit == "mm":
            assert scores.average_distance_mm == pytest.approx(np.concatenate([one, other]).mean())


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@given(mask_pairs(min_side=3))
@settings(max_examples=25, deadline=None)
def test_agree_with_monai(pair):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    reference, prediction, spacing = pair
    if not reference.any() or not prediction.any():
        return
    y, y_pred = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (reference, prediction))
    scores = seg.score_masks(reference, prediction, spacing)
    assert scores.dice == pytest.approx(float(monai.compute_dice(y_pred, y)), abs=1e-6)
    kw = {"include_background": True, "spacing": list(spacing)}
    largest = float(monai.compute_hausdorff_distance(y_pred, y, **kw))
    assert scores.hausdorff_mm == pytest.approx(largest, rel=1e-5)
    almost = float(monai.compute_hausdorff_distance(y_pred, y, percentile=95, **kw))
    assert scores.hausdorff95_mm == pytest.approx(almost, rel=1e-5)
    mean = float(monai.compute_average_surface_distance(y_pred, y, symmetric=True, **kw))
    assert scores.average_distance_mm == pytest.approx(mean, rel=1e-5)


def test_agree_with_simpleitk_on_balls():
    spacing = (5.0, 0.8, 0.7)
    reference = ball((12, 50, 60), (5, 22, 25), 14, spacing)
    prediction = ball((12, 50, 60), (6, 25, 31), 12, spacing)
    scores = seg.score_masks(reference, prediction, spacing)
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in (reference, prediction)]
    for image in images:
        image.SetSpacing(spacing[::-1])
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert scores.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert scores.jaccard == pytest.approx(overlap.GetJaccardCoefficient())
    # ITK measures between all voxels, but the largest distance of a convex set is attained at its surface.
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    assert scores.hausdorff_mm == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-5)


def test_empty_masks_follow_lits():
    nothing, something = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)
    both = seg.score_masks(nothing, nothing, (1, 1, 1))
    assert (both.dice, both.jaccard, both.precision, both.recall, both.f1, both.specificity) == (1,) * 6
    false = seg.score_masks(nothing, something, (1, 1, 1))
    assert (false.dice, false.jaccard, false.precision, false.recall, false.f1) == (0,) * 5
    missed = seg.score_masks(something, nothing, (1, 1, 1))
    assert (missed.dice, missed.jaccard, missed.precision, missed.recall) == (0,) * 4
    assert missed.volume_error_percent == -100


def test_two_full_masks_have_no_distance():
    full = np.ones((2, 3, 4), bool)
    scores = seg.score_masks(full, full, (2, 1, 1))
    assert (scores.dice, scores.hausdorff_mm, scores.average_distance_mm) == (1, 0, 0)


def test_global_dice_pools_voxels():
    rng = np.random.default_rng(0)
    pairs = [(rng.random((4, 5, n)) < 0.5, rng.random((4, 5, n)) < 0.1 * n) for n in (2, 5, 9)]
    pooled = seg.global_dice(count_voxels(*p) for p in pairs)
    truth, found = (np.concatenate([p[i].ravel() for p in pairs]) for i in (0, 1))
    assert pooled == pytest.approx(sk.f1_score(truth, found))
    assert abs(pooled - np.mean([dice(*p) for p in pairs])) > 0.01


@given(mask_pairs(min_side=2))
@settings(max_examples=30, deadline=None)
def test_slices_agree_with_a_loop(pair):
    reference, prediction, _ = pair
    used = [z for z in range(len(reference)) if reference[z].any()]
    if not used:
        with pytest.raises(InputError, match="No slice"):
            seg.score_slices([(reference, prediction)])
        return
    scores = seg.score_slices([(reference, prediction)])
    loop = []
    for z in used:
        row = sk.precision_recall_fscore_support(
            reference[z].ravel(), prediction[z].ravel(), average="binary", zero_division=0.0
        )
        loop.append([float(v) for v in row[:3]])
    precision, recall, dice = np.mean(loop, axis=0)
    assert (scores.n_slices, scores.dice) == (len(used), pytest.approx(dice))
    assert scores.precision == pytest.approx(precision)
    assert scores.recall == pytest.approx(recall)
    assert scores.f1 == pytest.approx(2 * precision * recall / (precision + recall) if precision else 0.0)
    spans = []
    for z in used:
        if prediction[z].any():
            table = cdist(brute_surface(reference[z]), brute_surface(prediction[z]))
            spans.append(max(table.min(axis=0).max(), table.min(axis=1).max()))
    assert scores.n_without_distance == len(used) - len(spans)
    if spans:
        assert scores.hausdorff_px == pytest.approx(np.mean(spans))
    else:
        assert math.isnan(scores.hausdorff_px)


def test_f1_of_slices_is_the_papers():
    """Rows of the MSCD paper's table 1: its F1 is the harmonic mean of its precision and recall columns."""
    for precision, recall, f1 in ((67.46, 86.70, 75.88), (74.50, 90.38, 81.67), (72.93, 89.65, 80.43)):
        assert harmonic_mean(precision, recall) == pytest.approx(f1, abs=0.011)


def test_shapes_have_to_agree():
    with pytest.raises(InputError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        seg.score_masks(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), (1, 1, 1))
