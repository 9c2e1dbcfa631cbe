"""Box detection against loops written from the protocols' descriptions and against MONAI's COCO metric."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.metrics import froc as fr
from LiverLesionAILib.support.errors import InputError

RATES = fr.RATES_PER_IMAGE


def random_images(seed: int, n_images: int, distinct: bool = False) -> list[fr.ImageBoxes]:
    """Images with 0-4 lesions; predictions are jittered lesions and noise."""
    rng = np.random.default_rng(seed)
    images = []
    for k in range(n_images):
        corner = rng.uniform(0, 60, (rng.integers(0, 5), 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 40, corner.shape)])
        near = np.repeat(boxes, rng.integers(0, 3, len(boxes)), axis=0)
        near = near + rng.normal(0, 3, near.shape)
        spot = rng.uniform(0, 80, (rng.integers(0, 4), 2))
        found = np.vstack([near, np.hstack([spot, spot + rng.uniform(3, 20, spot.shape)])])
        scores = rng.random(len(found)) if distinct else rng.integers(1, 6, len(found)) / 5
        images.append(
            fr.ImageBoxes(
                boxes,
                found,
                scores,
                diameters_mm=rng.choice([5.0, 10.0, 20.0, 30.0, 31.0], len(boxes)),
                lesion_types=rng.choice(["LV", "KD"], len(boxes)).tolist(),
                slice_interval_mm=float(rng.choice([1.0, 2.5, 5.0])),
                name=str(k),
            )
        )
    return images


def iou_by_hand(a, b):
    """IoU of two integer-pixel boxes by counting pixels."""
    size = 120
    one, other = np.zeros((size, size), bool), np.zeros((size, size), bool)
    one[a[1] : a[3], a[0] : a[2]] = True
    other[b[1] : b[3], b[0] : b[2]] = True
    union = (one | other).sum()
    return (one & other).sum() / union if union else 0.0


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_iou_agrees_with_counting_pixels(seed):
    rng = np.random.default_rng(seed)
    boxes = [np.sort(rng.integers(0, 30, (3, 2, 2)), axis=1).reshape(3, 4) for _ in range(2)]
    table = fr.box_iou(*boxes)
    for i, a in enumerate(boxes[0]):
        for j, b in enumerate(boxes[1]):
            assert table[i, j] == pytest.approx(iou_by_hand(a, b))


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_froc_agrees_with_trying_every_threshold(seed, n_images):
    images = random_images(seed, n_images)
    curve = fr.froc(images)
    n_lesions = sum(len(i.reference) for i in images)
    points = []
    for threshold in (2.0, 1.0, 0.8, 0.6, 0.4, 0.2):
        hits = false = 0
        for image in images:
            kept = image.predicted[image.scores >= threshold]
            overlaps = fr.box_iou(image.reference, kept)
            hits += sum(any(overlaps[i, j] > 0.5 for j in range(len(kept))) for i in range(len(overlaps)))
            false += sum(not any(overlaps[:, j] > 0.5) for j in range(len(kept)))
        points.append((false / n_images, hits))
    for rate in RATES:
        best = max(hits for false, hits in points if false <= rate)
        if n_lesions:
            assert curve.at(rate) == pytest.approx(best / n_lesions)
        else:
            assert math.isnan(curve.at(rate))


def sequential_froc(images, rates):
    """Walk down the boxes by score as the DeepLesion evaluation does, then interpolate linearly."""
    order = sorted(
        ((s, k, j) for k, image in enumerate(images) for j, s in enumerate(image.scores)), reverse=True
    )
    seen = [set() for _ in images]
    hits = misses = 0
    sensitivity, false = [0.0], [0.0]
    n_lesions = sum(len(i.reference) for i in images)
    for _, k, j in order:
        overlaps = fr.box_iou(images[k].reference, images[k].predicted[j : j + 1])[:, 0]
        if not (overlaps > 0.5).any():
            misses += 1
        for i in np.flatnonzero(overlaps > 0.5):
            if i not in seen[k]:
                seen[k].add(i)
                hits += 1
        sensitivity.append(hits / n_lesions)
        false.append(misses / len(images))
    top = {}
    for f, s in zip(false, sensitivity, strict=True):
        top[f] = max(s, top.get(f, 0))
    return np.interp(rates, sorted(top), [top[f] for f in sorted(top)])


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_interpolated_froc_agrees_with_the_sequential_protocol(seed, n_images):
    images = random_images(seed, n_images, distinct=True)
    if not any(len(i.reference) for i in images):
        return
    ours = fr.froc(images).at_rates(RATES, interpolate=True)
    assert list(ours.values()) == pytest.approx(sequential_froc(images, RATES).tolist())


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_ap50_agrees_with_monais_coco(seed, n_images):
    coco = pytest.importorskip("monai.apps.detection.metrics.coco")
    matching = pytest.importorskip("monai.apps.detection.metrics.matching")
    images = random_images(seed, n_images, distinct=True)
    if not any(len(i.reference) for i in images) or not any(len(i.predicted) for i in images):
        return
    metric = coco.COCOMetric(
        classes=["lesion"], iou_list=[0.5], iou_range=(0.5, 0.55, 0.05), max_detection=[100], verbose=False
    )
    results = matching.matching_batch(
        iou_fn=lambda a, b: fr.box_iou(a, b),
        iou_thresholds=metric.iou_thresholds,
        pred_boxes=[i.predicted for i in images],
        pred_classes=[np.zeros(len(i.predicted), int) for i in images],
        pred_scores=[i.scores for i in images],
        gt_boxes=[i.reference for i in images],
        gt_classes=[np.zeros(len(i.reference), int) for i in images],
    )
    theirs = metric(results)[0]
    key = next(k for k in theirs if k.startswith("AP_IoU_0.50_"))
    # MONAI's recalls are of single precision: where one is exactly a level, it may fall short of it.
    lesions = sum(len(i.reference) for i in images)
    ties = sum(100 * k % lesions == 0 for k in range(1, lesions))
    ours = fr.average_precision(images, 0.5, recall_points=101)
    assert ours == pytest.approx(theirs[key], abs=1e-6 + ties / 101)


def test_a_recall_that_is_a_level_reaches_it():
    """25 lesions, the first 7 boxes right: precision 1 up to recall 0.28, so 29 of 101 levels."""
    boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(25)], float)
    image = fr.ImageBoxes(boxes, boxes[:7], np.linspace(0.9, 0.3, 7))
    assert fr.average_precision([image], 0.5, recall_points=101) == pytest.approx(29 / 101)


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_area_under_the_envelope_agrees_with_integration(seed, n_images):
    images = random_images(seed, n_images, distinct=True)
    if not any(len(i.reference) for i in images):
        assert math.isnan(fr.average_precision(images))
        return
    fine = fr.average_precision(images, recall_points=20001)
    assert fr.average_precision(images) == pytest.approx(fine, abs=2e-3)


def test_duplicates():
    """A second box on a lesion is ignored in FROC and false in AP."""
    box = [10, 10, 30, 30]
    image = fr.ImageBoxes([box], [box, box, [50, 50, 60, 60]], [0.9, 0.8, 0.7])
    matches = fr.match_image(image)
    assert matches.found_scores.tolist() == [0.9]
    assert matches.false_scores.tolist() == [0.7]
    late = fr.ImageBoxes([box, [50, 50, 60, 60]], [box, box, [50, 50, 60, 60]], [0.9, 0.8, 0.7])
    assert fr.average_precision([late]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_iou_of_exactly_one_half_is_no_hit():
    image = fr.ImageBoxes([[0, 0, 10, 10]], [[0, 0, 10, 5]], [1.0])
    assert fr.match_image(image).false_scores.tolist() == [1.0]
    assert fr.froc([image]).at(16) == 0.0


def test_images_without_lesions_or_boxes():
    empty = fr.ImageBoxes([], [], [])
    noise = fr.ImageBoxes([], [[0, 0, 5, 5]], [0.4])
    missed = fr.ImageBoxes([[0, 0, 9, 9]], [], [])
    curve = fr.froc([empty, noise, missed])
    assert curve.n_lesions == 1
    assert curve.n_units == 3
    assert curve.false_per_unit.tolist() == pytest.approx([0, 1 / 3])
    assert fr.average_precision([empty, noise, missed]) == 0.0
    assert math.isnan(fr.average_precision([empty]))
    with pytest.raises(InputError, match="No image"):
        fr.froc([])


def test_summary_has_the_papers_groups():
    images = random_images(3, 40)
    summary = fr.summarise_detection(images)
    assert list(summary.sensitivity) == list(RATES)
    assert summary.n_lesions == sum(n for name, (_, n) in summary.groups.items() if "diameter" in name)
    assert summary.n_lesions == sum(n for name, (_, n) in summary.groups.items() if "interval" in name)
    assert summary.n_lesions == summary.groups["type LV"][1] + summary.groups["type KD"][1]
    # 10 and 30 mm both belong to the middle group.
    middle = sum(int(d in (10.0, 20.0, 30.0)) for i in images for d in i.diameters_mm)
    assert summary.groups["diameter 10-30 mm"][1] == middle
    weighted = sum(s * n for name, (s, n) in summary.groups.items() if "type" in name)
    assert weighted / summary.n_lesions == pytest.approx(summary.sensitivity[4.0])


def test_mismatched_lengths_are_named():
    with pytest.raises(InputError, match="img7: 1 boxes but 2 scores"):
        fr.ImageBoxes([], [[0, 0, 1, 1]], [0.1, 0.2], name="img7")
    with pytest.raises(InputError, match="2 reference boxes but 1 diameters"):
        fr.ImageBoxes([[0, 0, 1, 1]] * 2, [], [], diameters_mm=[3.0])
