"""Which lesions count as others of the same liver, and are told to be so many."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from LiverLesionAILib.analysis.row import listed_lesions
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.classify.differential import PORTAL, DifferentialSettings
from LiverLesionAILib.stages.classify.second_voice import MeasuredPhase, differentials
from stages.test_differential import seen

RULES = Rules().part(DifferentialSettings)


def test_fainter_candidates_are_no_company() -> None:
    """Six dark lesions and a seventh that is not listed: the reasons count what is in the table."""
    features = {number: seen(PORTAL, 60 + number, diameter_mm=20.0 + number) for number in range(1, 8)}
    phase = MeasuredPhase(PORTAL, 165.0, 150.0, 0.0, features, {})
    said = differentials([phase], RULES, listed={1, 2, 3, 4, 5, 6})
    assert "6 lesions, 5 others alike" in said[1].reasons
    assert "7 lesions, 6 others alike" in said[7].reasons, "with itself, where it is listed after all"
    assert "7 lesions, 6 others alike" in differentials([phase], RULES)[1].reasons
    alone = differentials([phase], RULES, listed={1})
    assert "lesions" not in alone[1].reasons
    assert alone[1].probabilities["metastasis"] < said[1].probabilities["metastasis"]


@pytest.mark.parametrize(("threshold", "wanted"), [(Rules().faintest_score, {1}), (0.3, {1, 2})])
def test_the_panel_keeps_faint_ones_aside(threshold: float, wanted: set[int]) -> None:
    """It analyses down to the faintest score: then the model's own threshold lists, else the chosen one."""
    lesions = [SimpleNamespace(number=n, score=score) for n, score in ((1, 0.9), (2, 0.4), (3, 0.2))]
    entry = Manifest.read().find("sfan")
    assert 0.4 < entry.calibration["score_threshold"] < 0.9
    rules = Rules().changed({"score_threshold": threshold}, "the user")
    assert listed_lesions(lesions, rules, entry) == wanted


def test_a_lesion_is_listed_from_the_models_own_score_on_where_faint_ones_are_kept() -> None:
    from LiverLesionAILib.analysis.row import listing_score

    entry = Manifest.read().find("sfan")
    usual = entry.calibration["score_threshold"]
    for threshold, wanted in ((Rules().faintest_score, usual), (0.3, 0.3)):
        rules = Rules().changed({"score_threshold": threshold}, "the user")
        assert listing_score(rules, entry) == wanted


@pytest.mark.parametrize(
    ("dropped", "end"),
    [
        (0, "4 mm or more)."),
        (1, "; 1 fainter or smaller spot was left out. Lower the threshold to see it."),
        (3, "; 3 fainter or smaller spots were left out. Lower the threshold to see them."),
    ],
)
def test_an_empty_list_is_explained_in_every_language(dropped: int, end: str) -> None:
    from LiverLesionAILib.analysis.row import _nothing_listed
    from LiverLesionAILib.writing.report.sentences import sentence
    from LiverLesionAILib.writing.report.strings import LANGUAGES, Language

    said = _nothing_listed(Rules().changed({"smallest_mm": 4.0, "score_threshold": 0.6}, "the user"), dropped)
    assert said.startswith("No lesion reached the threshold (score 0.60") and said.endswith(end)
    for code in LANGUAGES[1:]:
        words = Language(code)
        assert sentence(said, words) not in (said, words("in_english", s=said))
