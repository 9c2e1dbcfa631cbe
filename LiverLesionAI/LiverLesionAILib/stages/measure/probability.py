"""How probable it is that a finding is a lesion, from its score and size, as calibrated on scans with truth.

A network's score ranks findings, but 0.6 does not mean six in ten. A logistic model of the score's log odds
and the size, fitted to findings in scans that the network has not seen, does (Platt 1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ...case.findings import Lesion
from ...volume.masks import ball_diameter_mm

MIDDLE_MM = 15.0
"""Size at which the size says nothing."""

LEAST_SCORE = 0.001


@dataclass(frozen=True)
class ProbabilitySettings:
    """The model's coefficients, see the page of rules.

    Attributes:
        offset: log odds of a finding of 15 mm with a score of a half.
        score: per log odds of the score; 0 where nothing was calibrated.
        size: per doubling of the equivalent diameter.
    """

    PREFIX: ClassVar[str] = "probability_"

    offset: float
    score: float
    size: float


def log_odds(score: float) -> float:
    """Of a score of 0..1, kept finite."""
    kept = min(max(score, LEAST_SCORE), 1.0 - LEAST_SCORE)
    return math.log(kept / (1.0 - kept))


def doublings(diameter_mm: float) -> float:
    """How often a diameter is twice `MIDDLE_MM`; sizes from 3 to 60 mm are told apart."""
    return math.log2(min(max(diameter_mm, 3.0), 60.0) / MIDDLE_MM)


def probability(score: float, diameter_mm: float | None, settings: ProbabilitySettings) -> float | None:
    """0..1 that a finding is a lesion; None where nothing was calibrated or it has no score.

    Args:
        score: 0..1; diameter_mm: of the ball of its volume; None where it has no mask.
    """
    if settings.score == 0.0 or not math.isfinite(score):
        return None
    size = 0.0 if diameter_mm is None else doublings(diameter_mm)
    odds = settings.offset + settings.score * log_odds(score) + settings.size * size
    return 1.0 / (1.0 + math.exp(-min(max(odds, -30.0), 30.0)))


def with_probability(lesions: Sequence[Lesion], settings: ProbabilitySettings) -> tuple[Lesion, ...]:
    """The lesions, each with its probability."""
    return tuple(
        replace(
            lesion,
            probability=probability(
                lesion.score,
                None
                if lesion.measurement is None
                else ball_diameter_mm(lesion.measurement.volume_ml * 1000.0),
                settings,
            ),
        )
        for lesion in lesions
    )
