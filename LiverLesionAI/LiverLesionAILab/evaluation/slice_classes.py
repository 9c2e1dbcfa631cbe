"""Slice classifiers on examples of the five classes (SynthLiver-1): who predicts, scores with intervals.

A classifier is any callable from an example and its pixels to probabilities and, where it has one, an
attention map of the class it named.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray

from ..data.synthliver import ClassImage, ClassSlice
from ..metrics.bootstrap import Interval, bootstrap, mean_interval
from ..metrics.classification import (
    ClassificationScores,
    Localisation,
    confusion_matrix,
    is_localised,
    localisation_accuracy,
    score_classes,
)
from ..synthesis.synthliver.plan import CLASSES


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """What a classifier says of a slice.

    Attributes:
        probabilities: (classes,) in the order of CLASSES.
        attention_yx: non-negative map on the slice's pixels (H, W) of why the class it named; None without.
    """

    probabilities: NDArray[np.float64]
    attention_yx: NDArray | None = None


Classifier = Callable[[ClassSlice, ClassImage], ClassPrediction]


@dataclass(frozen=True, eq=False)
class ClassResult:
    """A classifier's scores.

    Attributes:
        names, patients: of the slices, in the order of the rows.
        truth: (n,) class indices; probabilities: (n, classes).
        scores: the protocol's figures.
        accuracy, macro_f1: intervals over patients.
        localisation: class -> share of its slices localised; empty without attention maps.
        localised_of: class -> that share's interval over patients.
    """

    names: tuple[str, ...]
    patients: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    scores: ClassificationScores
    accuracy: Interval
    macro_f1: Interval
    localisation: Mapping[str, Localisation]
    localised_of: Mapping[str, Interval]


def evaluate_classes(
    slices: Sequence[ClassSlice],
    classifiers: Mapping[str, Classifier],
    *,
    seed: int = 0,
    n_draws: int = 1000,
    progress: Progress = silent,
) -> dict[str, ClassResult]:
    """Run and score every classifier on every slice.

    Args:
        slices: examples.
        classifiers: name -> callable.
        seed, n_draws: of the bootstrap over patients.
        progress: told of every slice; may cancel.

    Raises:
        InputError: no slice, or probabilities that are none; or as the classifiers raise.
    """
    said: dict[str, list[NDArray]] = {name: [] for name in classifiers}
    on_lesion: dict[str, list[bool | None]] = {name: [] for name in classifiers}
    for k, one in enumerate(slices):
        progress(f"Evaluating {one.name} ({k + 1} of {len(slices)})", k / len(slices))
        image = one.load()
        lesion = image.labels[1] == 2
        for name, classify in classifiers.items():
            found = classify(one, image)
            values = np.asarray(found.probabilities, float).reshape(-1)
            if values.shape != (len(CLASSES),) or not np.isfinite(values).all():
                raise InputError(f"{name} gives {one.name} no {len(CLASSES)} probabilities: {values}.")
            said[name].append(values)
            shown = found.attention_yx is not None and lesion.any()
            on_lesion[name].append(is_localised(found.attention_yx, lesion) if shown else None)
    progress("Evaluated", 1.0)
    return {
        name: score_predictions(slices, np.array(said[name]), on_lesion[name], seed=seed, n_draws=n_draws)
        for name in classifiers
    }


def score_predictions(
    slices: Sequence[ClassSlice],
    probabilities: NDArray[np.float64],
    localised: Sequence[bool | None] | None = None,
    *,
    seed: int = 0,
    n_draws: int = 1000,
) -> ClassResult:
    """The classification protocol with intervals over patients.

    Args:
        slices: examples; probabilities: (n, classes) of each.
        localised: whether each one's attention map points at the lesion, None where there is none to judge.

    Raises:
        InputError: no slice, or other numbers of rows.
    """
    if not len(slices) or len(slices) != len(probabilities):
        raise InputError(f"{len(probabilities)} predictions for {len(slices)} slices.")
    truth = np.array([s.index for s in slices])
    predicted = probabilities.argmax(axis=1)
    patients = [s.patient for s in slices]
    n = len(CLASSES)

    def f1(rows: NDArray[np.int64]) -> float:
        matrix = confusion_matrix(truth[rows], predicted[rows], n)
        total = matrix.sum(axis=0) + matrix.sum(axis=1)
        return float((2 * np.diag(matrix)[total > 0] / total[total > 0]).mean())

    localisation: dict[str, Localisation] = {}
    intervals: dict[str, Interval] = {}
    judged = [i for i, value in enumerate(localised or ()) if value is not None]
    if judged:
        kinds = [slices[i].kind for i in judged]
        named = [CLASSES[predicted[i]] for i in judged]
        values = [bool(localised[i]) for i in judged]  # type: ignore[index]
        localisation = localisation_accuracy(kinds, named, values)
        right = np.array([v and k == p for v, k, p in zip(values, kinds, named, strict=True)], float)
        for kind in localisation:
            own = [j for j, k in enumerate(kinds) if k == kind]
            who = [patients[judged[j]] for j in own]
            intervals[kind] = mean_interval(right[own], who, seed=seed, n_draws=n_draws)
    return ClassResult(
        names=tuple(s.name for s in slices),
        patients=tuple(patients),
        truth=truth,
        probabilities=probabilities,
        scores=score_classes(truth, predicted, CLASSES, probabilities),
        accuracy=mean_interval((predicted == truth).astype(float), patients, seed=seed, n_draws=n_draws),
        macro_f1=bootstrap(f1, patients, seed=seed, n_draws=n_draws),
        localisation=localisation,
        localised_of=intervals,
    )


def classes_from_file(path: Path) -> Classifier:
    """Predictions of a CSV file with the columns name, Normal, CYST, FNH, HCC, HEM (probabilities).

    Raises:
        InputError: the file is missing or damaged; when called: it has no row for a slice.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["name"]: np.array([float(row[c]) for c in CLASSES]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no class probabilities ({error}). Expected the columns name, {', '.join(CLASSES)}."
        ) from error

    def classify(one: ClassSlice, _image: ClassImage) -> ClassPrediction:
        if one.name not in rows:
            raise InputError(f"{path}: no row for {one.name}.")
        return ClassPrediction(rows[one.name])

    return classify
