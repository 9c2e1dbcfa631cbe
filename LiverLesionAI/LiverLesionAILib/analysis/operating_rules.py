"""Rules on how sure a finding has to be: points of one measured curve, and its probability."""

from __future__ import annotations

from dataclasses import dataclass

from .page import rule
from .phase_rules import PhaseRules

_MEASURED = "liverlesionai operating"
_PROBABILITY = "Testing/stages/test_probability.py"


@dataclass(frozen=True)
class OperatingRules(PhaseRules):
    """Rules of the operating points and of the calibrated probability."""

    strict_score: float = rule(
        0.8,
        "0..1",
        "The score asked of a lesion at the strict setting: few false ones.",
        _MEASURED,
        calibrated="segment strict_score",
    )
    sensitive_score: float = rule(
        0.4,
        "0..1",
        "The score asked of a lesion at the sensitive setting: few missed ones.",
        _MEASURED,
        calibrated="segment sensitive_score",
    )
    doubtful_most: int = rule(
        5,
        "places",
        "That are pointed at though not listed, the likeliest first: a long list is not looked at.",
        "Testing/stages/test_doubtful.py::test_the_likeliest_come_first_and_not_too_many",
    )
    probability_offset: float = rule(
        0.0,
        "log odds",
        "That a finding of 15 mm with a score of a half is a lesion.",
        f"{_MEASURED}; {_PROBABILITY}::test_the_formula",
        calibrated="segment probability_offset",
    )
    probability_score: float = rule(
        0.0,
        "per log odds of the score",
        "How much surer a higher score makes; 0 where nothing was calibrated: no probability is given.",
        f"{_MEASURED}; {_PROBABILITY}::test_an_uncalibrated_model_gives_none",
        calibrated="segment probability_score",
    )
    probability_size: float = rule(
        0.0,
        "per doubling of the diameter",
        "How much surer a larger finding is.",
        f"{_MEASURED}; {_PROBABILITY}::test_the_formula",
        calibrated="segment probability_size",
    )
