"""One training's boxes as the tables of detectors see them: which lesions they hit, with which scores.

Boxes themselves are not kept, only what every figure is made of: a tenth of their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from ..metrics.bootstrap import Interval, groups_of
from ..metrics.froc import (
    RATES_PER_IMAGE,
    DetectionSummary,
    ImageBoxes,
    ImageMatches,
    RankedMatches,
    box_iou,
    match_ranked,
    summarise_matches,
)

DIGITS = 5
"""Of a score."""
DRAWS = 2000


@dataclass(frozen=True, eq=False)
class KeptRun:
    """A training's answers on a set of images.

    Attributes:
        images: what is known of them; boxes may be missing.
        matches, ranked: of each, for the free response and for the average precision.
    """

    images: tuple[ImageBoxes, ...]
    matches: tuple[ImageMatches, ...]
    ranked: tuple[RankedMatches, ...]

    @cached_property
    def summary(self) -> DetectionSummary:
        """The protocol's figures."""
        return summarise_matches(self.images, self.matches, self.ranked)

    @cached_property
    def _flat(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """False scores, highest first, and the image of each; every lesion's score and image."""
        false = np.concatenate([m.false_scores for m in self.matches])
        found = np.concatenate([m.found_scores for m in self.matches])
        false_of, found_of = (
            np.repeat(np.arange(len(self.matches)), [len(getattr(m, part)) for m in self.matches])
            for part in ("false_scores", "found_scores")
        )
        order = np.argsort(-false, kind="stable")
        return false[order], false_of[order], found, found_of

    def sensitivity(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """At the rates of :data:`RATES_PER_IMAGE`, each image counted as often as `times` (n,) says."""
        false, false_of, found, found_of = self._flat
        counted, weights = np.cumsum(times[false_of]), times[found_of]
        images, lesions = int(times.sum()), int(weights.sum())
        if not lesions:
            return np.full(len(RATES_PER_IMAGE), np.nan)
        made = []
        for rate in RATES_PER_IMAGE:
            # The first false box too many: what scores above it is found without it.
            first = int(np.searchsorted(counted, (rate + 1e-9) * images, side="right"))
            above = false[first] if first < len(false) else -np.inf
            made.append(float(weights[found > above].sum()) / lesions)
        return np.array(made)


def kept_images(images: Sequence[ImageBoxes]) -> list[dict[str, Any]]:
    """What the tables need to know of the images themselves."""
    return [
        {
            "name": one.name,
            "patient": one.patient,
            "diameters_mm": np.round(one.diameters_mm, 2).tolist(),
            "types": list(one.lesion_types),
            "interval_mm": one.slice_interval_mm,
        }
        for one in images
    ]


def kept_answers(images: Sequence[ImageBoxes]) -> list[list[Any]]:
    """Per image: each lesion's best box that hits it (-1: none), scores in 1e-5, a digit for each box.

    A box's digit: 1 where it hits no lesion (a false one), plus 2 where the average precision counts it as
    right. Boxes are in falling order of their scores.
    """
    made = []
    for one in images:
        order = np.argsort(-one.scores, kind="stable")
        hits = box_iou(one.reference, one.predicted[order]) > 0.5
        best = [int(row.argmax()) if row.any() else -1 for row in hits]
        right = match_ranked(one).correct
        flags = "".join(str(int(not h) + 2 * int(r)) for h, r in zip(hits.any(axis=0), right, strict=True))
        scores = np.rint(one.scores[order] * 10**DIGITS).astype(int).tolist()
        made.append([best, scores, flags])
    return made


def read_run(images: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[Any]]) -> KeptRun:
    """A training from what :func:`kept_images` and :func:`kept_answers` have kept.

    Raises:
        InputError: they do not fit together.
    """
    try:
        known, matches, ranked = [], [], []
        for one, (best, scores, flags) in zip(images, answers, strict=True):
            lesions = len(best)
            values = np.array(scores, float) / 10**DIGITS
            false = np.array([flag in "13" for flag in flags], bool)
            right = np.array([flag in "23" for flag in flags], bool)
            found = np.array([values[k] if k >= 0 else -np.inf for k in best], float)
            known.append(
                ImageBoxes(
                    np.zeros((lesions, 4)),
                    [],  # type: ignore[arg-type]
                    [],  # type: ignore[arg-type]
                    one["diameters_mm"],
                    one["types"],
                    one["interval_mm"],
                    one["name"],
                    one["patient"],
                )
            )
            matches.append(ImageMatches(found, values[false]))
            ranked.append(RankedMatches(values, right, lesions))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"These rows of detectors do not fit together ({error}).") from error
    return KeptRun(tuple(known), tuple(matches), tuple(ranked))


def paired_gain(
    runs: Sequence[KeptRun], others: Sequence[KeptRun], *, seed: int = 0, n_draws: int = DRAWS
) -> list[Interval]:
    """What trainings find more than others at each rate, means over seeds; patients are drawn.

    Raises:
        InputError: not the same images.
    """
    names = [[one.name for one in run.images] for run in (*runs, *others)]
    if any(each != names[0] for each in names):
        raise InputError("These trainings were judged on different images.")
    patients = [one.patient or one.name for one in runs[0].images]
    groups = groups_of(patients)

    def gain(times: NDArray[np.int64]) -> NDArray[np.float64]:
        own, other = (np.mean([run.sensitivity(times) for run in part], axis=0) for part in (runs, others))
        return own - other

    value = gain(np.ones(len(patients), np.int64))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(n_draws if len(groups) > 1 else 0):
        times = np.zeros(len(patients), np.int64)
        for group, count in zip(
            groups, np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups)), strict=True
        ):
            times[group] = count
        draws.append(gain(times))
    kept = np.array(draws)[~np.isnan(draws).any(axis=1)] if draws else np.full((1, len(value)), np.nan)
    low, high = np.percentile(kept, [2.5, 97.5], axis=0)
    return [
        Interval(*map(float, three), len(groups), len(patients))
        for three in zip(value, low, high, strict=True)
    ]
