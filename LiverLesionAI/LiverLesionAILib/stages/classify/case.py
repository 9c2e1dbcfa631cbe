"""Classes of a case's lesions: two phases as one answer, and the answers put to the lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...case.findings import Lesion
from .differential import Differential
from .lesions import ClassAnswer, ClassifySettings, named


def both_phases(
    first: Mapping[int, ClassAnswer],
    second: Mapping[int, ClassAnswer],
    arterial: tuple[float, float],
    settings: ClassifySettings,
) -> dict[int, ClassAnswer]:
    """Two phases' answers as one: their mean, weighted by how probably each phase is the arterial one.

    Args:
        arterial: probability that the first and the second phase are arterial.

    Returns:
        Per lesion of `first`; the map is that of the weightier phase where both explain the same class, or of
        the one that explains the class that is answered.
    """
    least = settings.least_weight
    weights = np.array([least + (1 - least) * p for p in arterial])
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


def with_classes(lesions: tuple[Lesion, ...], found: Mapping[int, ClassAnswer]) -> tuple[Lesion, ...]:
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


def with_differentials(lesions: tuple[Lesion, ...], found: Mapping[int, Differential]) -> tuple[Lesion, ...]:
    """The lesions with what measurements and network say together, and why."""
    return tuple(
        replace(
            lesion,
            model_class=found[lesion.number].name,
            class_probabilities=dict(found[lesion.number].probabilities),
            class_reasons=found[lesion.number].reasons,
            enhancement=found[lesion.number].enhancement,
        )
        if lesion.number in found
        else lesion
        for lesion in lesions
    )
