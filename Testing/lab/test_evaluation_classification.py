"""Classification scores against scikit-learn and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.metrics import classification as cl
from LiverLesionAILib.support.errors import InputError
from sklearn import metrics as sk

CLASSES = ("normal", "CYST", "FNH", "HCC", "HEM")


@st.composite
def predictions(draw):
    """(truth, predicted, probabilities) of 1-40 examples; some classes may not occur."""
    n, seed = draw(st.integers(1, 40)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    truth = rng.choice(draw(st.sampled_from([[0, 1, 2, 3, 4], [1, 3], [2]])), n)
    logits = rng.normal(0, draw(st.sampled_from([0.3, 3.0])), (n, 5)) + 2 * np.eye(5)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probabilities.argmax(axis=1), probabilities


@given(predictions())
@settings(max_examples=100, deadline=None)
def test_agrees_with_scikit_learn(data):
    truth, predicted, probabilities = data
    scores = cl.score_classes(truth, predicted, CLASSES, probabilities)
    labels = list(range(5))
    assert np.array_equal(scores.confusion, sk.confusion_matrix(truth, predicted, labels=labels))
    assert scores.accuracy == pytest.approx(sk.accuracy_score(truth, predicted))
    kw = {"average": "macro", "zero_division": 0.0}
    assert scores.f1 == pytest.approx(sk.f1_score(truth, predicted, **kw))
    assert scores.precision == pytest.approx(sk.precision_score(truth, predicted, **kw))
    assert scores.recall == pytest.approx(sk.recall_score(truth, predicted, **kw))
    each = sk.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0.0)
    assert scores.precision_by_class == pytest.approx(each[0])
    assert scores.recall_by_class == pytest.approx(each[1])
    assert scores.f1_by_class == pytest.approx(each[2])
    for k in labels:
        expected = np.mean(predicted[truth == k] == k) if (truth == k).any() else math.nan
        assert scores.accuracy_by_class[k] == pytest.approx(expected, nan_ok=True)


@given(predictions(), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_calibration_agrees_with_a_loop(data, n_bins):
    truth, predicted, probabilities = data
    scores = cl.score_classes(truth, predicted, CLASSES, probabilities, n_bins)
    total = 0.0
    for k in range(n_bins):
        members = [
            i
            for i in range(len(truth))
            if k / n_bins < probabilities[i].max() <= (k + 1) / n_bins
            or (k == 0 and probabilities[i].max() == 0)
        ]
        if members:
            confidence = np.mean([probabilities[i].max() for i in members])
            accuracy = np.mean([predicted[i] == truth[i] for i in members])
            total += len(members) * abs(confidence - accuracy)
    assert scores.calibration_error == pytest.approx(total / len(truth))
    assert sum(b.n for b in scores.reliability) == len(truth)


def test_reliability_agrees_with_scikit_learns_curve():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(1)
    confidence = rng.random(500)
    correct = rng.random(500) < confidence**2
    bins = cl.reliability_curve(confidence, correct, 10)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=10)
    assert [b.accuracy for b in bins] == pytest.approx(accuracy.tolist())
    assert [b.confidence for b in bins] == pytest.approx(mean.tolist())


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="2 true classes but 1"):
        cl.score_classes([0, 1], [0], CLASSES)
    with pytest.raises(InputError, match="expected 0 to 4"):
        cl.score_classes([0, 5], [0, 1], CLASSES)
    with pytest.raises(InputError, match="No example"):
        cl.score_classes([], [], CLASSES)
    with pytest.raises(InputError, match=r"shape \(2, 3\), expected \(2, 5\)"):
        cl.score_classes([0, 1], [0, 1], CLASSES, np.ones((2, 3)))


def test_localisation():
    lesion = np.zeros((20, 20), bool)
    lesion[5:9, 5:9] = True
    grid = np.mgrid[:20, :20]

    def blob(y, x, width):
        return np.exp(-((grid[0] - y) ** 2 + (grid[1] - x) ** 2) / (2 * width**2))

    assert cl.is_localised(blob(7, 7, 1.5), lesion)
    # Its peak is on the lesion, but it is a dot, or everywhere: extent counts too.
    assert not cl.is_localised(blob(7, 7, 0.3), lesion)
    assert not cl.is_localised(blob(7, 7, 9.0), lesion)
    assert not cl.is_localised(blob(15, 15, 1.0), lesion)
    beside = blob(10, 10, 4.0)
    shown = beside >= 0.5
    iou = (shown & lesion).sum() / (shown | lesion).sum()
    assert not lesion[10, 10]
    assert cl.is_localised(beside, lesion, min_iou=iou - 0.01)
    assert not cl.is_localised(beside, lesion, min_iou=iou + 0.01)
    assert not cl.is_localised(np.zeros((20, 20)), lesion)
    assert not cl.is_localised(blob(7, 7, 1.0), np.zeros_like(lesion))
    with pytest.raises(InputError, match="lesion mask"):
        cl.is_localised(np.zeros((3, 3)), lesion)


def test_localisation_accuracy_needs_the_class_too():
    table = cl.localisation_accuracy(
        ["HCC", "HCC", "HCC", "CYST"], ["HCC", "CYST", "HCC", "CYST"], [True, True, False, True]
    )
    assert (table["HCC"].n_correct, table["HCC"].n_slices) == (1, 3)
    assert table["HCC"].accuracy == pytest.approx(1 / 3)
    assert table["CYST"].accuracy == 1.0


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    """Bins are open below and closed above, as Guo 2017 has them; 0 belongs to the first."""
    bins = cl.reliability_curve([0.0, 0.25, 0.5, 0.75, 1.0], [True] * 5, 4)
    assert [(b.low, b.high, b.n) for b in bins] == [
        (0, 0.25, 2),
        (0.25, 0.5, 1),
        (0.5, 0.75, 1),
        (0.75, 1, 1),
    ]
