"""Classes of a case's lesions, from the CT they were found on and, where given, from a second phase of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...case.findings import Lesion
from ...models.inputs import InputSpec
from ...support.progress import Progress, silent
from ...volume.ct import Geometry, resample, resample_labels
from .lesions import ClassifySettings, LesionClass, classify_lesions, named

LEAST_WEIGHT = 0.1
"""Of a phase that is surely not arterial, against 1 of one that surely is."""


def classify_case(
    network: nn.Module,
    spec: InputSpec,
    calibration: Mapping[str, float],
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    geometry: Geometry,
    *,
    maps: bool = True,
    batch: int = 16,
    progress: Progress = silent,
) -> dict[int, LesionClass]:
    """Class of every lesion of a CT; see :func:`~.classify.classify_lesions`.

    Args:
        hu_zyx, liver_zyx, labels_zyx: CT, liver with its lesions, and lesions on `geometry`, which holds the
            whole liver; any spacing, axes along L, P, S.
        calibration: the model's.
    """
    working = geometry.with_spacing(spec.spacing_zyx_mm)
    labels = on_grid(labels_zyx, geometry, working)
    liver = (resample_labels(liver_zyx.astype(np.uint8), geometry, working) > 0) | (labels > 0)
    return classify_lesions(
        network,
        spec,
        np.asarray(resample(hu_zyx, geometry, working), np.float32),
        liver,
        labels,
        working,
        ClassifySettings.from_calibration(calibration),
        maps=maps,
        batch=batch,
        progress=progress,
    )


def on_grid(labels_zyx: NDArray[np.uint16], geometry: Geometry, working: Geometry) -> NDArray[np.uint16]:
    """Labels on another grid; one that falls between its voxels keeps the voxel nearest to its middle."""
    labels = resample_labels(labels_zyx, geometry, working)
    count = int(labels_zyx.max(initial=0))
    present = np.bincount(labels.ravel(), minlength=count + 1)
    for number in range(1, count + 1):
        if present[number]:
            continue
        where = np.argwhere(labels_zyx == number)
        if len(where):
            index = working.lps_to_index(geometry.index_to_lps(where.mean(axis=0)))
            nearest = np.clip(np.rint(index).astype(int), 0, np.array(working.shape_zyx) - 1)
            labels[tuple(nearest)] = number
    return labels


def both_phases(
    first: Mapping[int, LesionClass],
    second: Mapping[int, LesionClass],
    arterial: tuple[float, float],
    calibration: Mapping[str, float],
) -> dict[int, LesionClass]:
    """Two phases' answers as one: their mean, weighted by how probably each phase is the arterial one.

    Args:
        arterial: probability that the first and the second phase are arterial.

    Returns:
        Per lesion of `first`; the map is that of the weightier phase where both explain the same class, or of
        the one that explains the class that is answered.
    """
    settings = ClassifySettings.from_calibration(calibration)
    weights = np.array([LEAST_WEIGHT + (1 - LEAST_WEIGHT) * p for p in arterial])
    weights /= weights.sum()
    found = {}
    for number, one in first.items():
        other = second.get(number)
        if other is None:
            found[number] = one
            continue
        classes = tuple(one.probabilities)
        mean = sum(
            weight * np.array([answer.probabilities[c] for c in classes])
            for weight, answer in zip(weights, (one, other), strict=True)
        )
        unlike = None
        if one.unlike is not None and other.unlike is not None:
            unlike = float(weights @ (one.unlike, other.unlike))
        name, explained, score = named(mean, classes, settings, unlike)
        ordered = (one, other) if weights[0] >= weights[1] else (other, one)
        shown = next((a for a in ordered if a.explained == explained), ordered[0])
        found[number] = replace(
            shown,
            name=name,
            probabilities=dict(zip(classes, map(float, mean), strict=True)),
            outlier=score,
            explained=explained,
            unlike=unlike,
        )
    return found


def with_classes(lesions: tuple[Lesion, ...], found: Mapping[int, LesionClass]) -> tuple[Lesion, ...]:
    """The lesions with what was found; those that were not classified stay as they are."""
    return tuple(
        replace(
            lesion,
            model_class=found[lesion.number].name,
            class_probabilities=dict(found[lesion.number].probabilities),
            class_box=found[lesion.number].box,
        )
        if lesion.number in found
        else lesion
        for lesion in lesions
    )
