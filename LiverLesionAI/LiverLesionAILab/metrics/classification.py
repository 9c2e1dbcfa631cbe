"""Classification: accuracy, macro scores, confusion matrix, calibration, localisation (DADRN's protocol)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class ReliabilityBin:
    """Predictions whose confidence lies in low < confidence <= high (the first bin holds 0 too)."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """Scores of a classifier.

    Attributes:
        classes: names, in the order of every array here.
        confusion: (n, n) counts; rows are the true class, columns the predicted.
        accuracy: share of examples that are right.
        precision, recall, f1: macro means over the classes that occur (as truth or prediction).
        precision_by_class, recall_by_class, f1_by_class: (n,); 0 where undefined.
        accuracy_by_class: (n,) share of a class's examples that are right, the "class-wise accuracy" of the
            DADRN paper; the same numbers as recall_by_class, NaN for a class without examples.
        calibration_error: expected calibration error, None without probabilities.
        reliability: its bins, those without examples left out.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    accuracy: float
    precision: float
    recall: float
    f1: float
    precision_by_class: NDArray[np.float64]
    recall_by_class: NDArray[np.float64]
    f1_by_class: NDArray[np.float64]
    accuracy_by_class: NDArray[np.float64]
    calibration_error: float | None = None
    reliability: tuple[ReliabilityBin, ...] = ()


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """(n, n) counts, rows true, columns predicted, of class indices.

    Raises:
        InputError: different lengths, nothing, or an index outside 0..n-1.
    """
    truth, predicted = np.asarray(truth, int).ravel(), np.asarray(predicted, int).ravel()
    if len(truth) != len(predicted):
        raise InputError(f"{len(truth)} true classes but {len(predicted)} predicted ones.")
    if len(truth) == 0:
        raise InputError("No example to score a classifier on.")
    both = np.concatenate([truth, predicted])
    if both.min() < 0 or both.max() >= n_classes:
        raise InputError(
            f"Class indices run from {both.min()} to {both.max()}, expected 0 to {n_classes - 1}."
        )
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def score_classes(
    truth: ArrayLike,
    predicted: ArrayLike,
    classes: Sequence[str],
    probabilities: ArrayLike | None = None,
    n_bins: int = 15,
) -> ClassificationScores:
    """Score predicted against true class indices.

    Args:
        truth, predicted: (n,) class indices.
        classes: names by index.
        probabilities: (n, classes) for calibration; the confidence is that of the predicted class.
        n_bins: equal-width bins of the calibration error.

    Raises:
        InputError: different lengths, nothing, or an index without a name.
    """
    names = tuple(classes)
    matrix = confusion_matrix(truth, predicted, len(names))
    right, true, said = np.diag(matrix).astype(float), matrix.sum(axis=1), matrix.sum(axis=0)
    zeros = np.zeros(len(names))
    precision = np.divide(right, said, out=zeros.copy(), where=said > 0)
    recall = np.divide(right, true, out=zeros.copy(), where=true > 0)
    f1 = np.divide(2 * right, true + said, out=zeros.copy(), where=true + said > 0)
    seen = true + said > 0
    bins: tuple[ReliabilityBin, ...] = ()
    error = None
    if probabilities is not None:
        table = np.asarray(probabilities, float)
        chosen = np.asarray(predicted, int).ravel()
        if table.shape != (len(chosen), len(names)):
            raise InputError(
                f"The probabilities have shape {table.shape}, expected {(len(chosen), len(names))}."
            )
        confidence = table[np.arange(len(chosen)), chosen]
        bins = reliability_curve(confidence, chosen == np.asarray(truth, int).ravel(), n_bins)
        error = calibration_error(bins)
    return ClassificationScores(
        classes=names,
        confusion=matrix,
        accuracy=float(right.sum() / matrix.sum()),
        precision=float(precision[seen].mean()),
        recall=float(recall[seen].mean()),
        f1=float(f1[seen].mean()),
        precision_by_class=precision,
        recall_by_class=recall,
        f1_by_class=f1,
        accuracy_by_class=np.where(true > 0, recall, np.nan),
        calibration_error=error,
        reliability=bins,
    )


def reliability_curve(
    confidence: ArrayLike, correct: ArrayLike, n_bins: int = 15
) -> tuple[ReliabilityBin, ...]:
    """How often predictions of a confidence are right, in equal-width bins; empty bins are left out."""
    confidence, correct = np.asarray(confidence, float).ravel(), np.asarray(correct, bool).ravel()
    if len(confidence) != len(correct):
        raise InputError(f"{len(confidence)} confidences but {len(correct)} outcomes.")
    edges = np.linspace(0, 1, n_bins + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    bins = []
    for k in range(n_bins):
        members = places == k
        if members.any():
            bins.append(
                ReliabilityBin(
                    low=float(edges[k]),
                    high=float(edges[k + 1]),
                    n=int(members.sum()),
                    confidence=float(confidence[members].mean()),
                    accuracy=float(correct[members].mean()),
                )
            )
    return tuple(bins)


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error (Guo 2017): gap between confidence and accuracy, weighted by examples."""
    n = sum(b.n for b in bins)
    return float(sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / n) if n else float("nan")


@dataclass(frozen=True)
class Localisation:
    """Slices of one class whose lesion the attention map points at."""

    n_slices: int
    n_correct: int

    @property
    def accuracy(self) -> float:
        """Correctly localised slices over all slices of the class; NaN without slices."""
        return self.n_correct / self.n_slices if self.n_slices else float("nan")


def is_localised(
    attention_yx: ArrayLike,
    lesion_yx: ArrayLike,
    *,
    threshold: float = 0.5,
    peak_iou: float = 0.25,
    min_iou: float = 0.5,
) -> bool:
    """Whether a thresholded attention map points at the lesion.

    The paper gives the formula (correctly localised slices over all slices of the class) but no rule for
    "correct". Here place **and** extent count: the map above `threshold` of its maximum overlaps the lesion
    with an IoU of `min_iou`, or of `peak_iou` where its largest value lies on the lesion. A rule of either
    (the peak, or an IoU of 0.1), as tables printed before this one have it, decides hardly anything: there
    nearly every slice of the right class was localised.

    Args:
        attention_yx: non-negative map on the slice's grid.
        lesion_yx: reference mask of the same shape.
    """
    attention, lesion = np.asarray(attention_yx, float), np.asarray(lesion_yx).astype(bool)
    if attention.shape != lesion.shape:
        raise InputError(f"The map has shape {attention.shape}, the lesion mask {lesion.shape}.")
    peak = float(attention.max(initial=0.0))
    if peak <= 0 or not lesion.any():
        return False
    shown = attention >= threshold * peak
    on_lesion = lesion[np.unravel_index(int(attention.argmax()), attention.shape)]
    least = peak_iou if on_lesion else min_iou
    return bool((shown & lesion).sum() >= least * (shown | lesion).sum())


def localisation_accuracy(
    classes: Sequence[str], predicted: Sequence[str], localised: Sequence[bool]
) -> dict[str, Localisation]:
    """Localisation accuracy per class (DADRN): a slice is right when its class and its map's place are.

    Args:
        classes: true class of every slice with a lesion.
        predicted: predicted class of each; the map explains this class, so a wrong one is not localised.
        localised: :func:`is_localised` of each.
    """
    table: dict[str, Localisation] = {}
    for name in dict.fromkeys(classes):
        rows = [i for i, c in enumerate(classes) if c == name]
        correct = sum(bool(localised[i]) and predicted[i] == name for i in rows)
        table[name] = Localisation(len(rows), correct)
    return table
