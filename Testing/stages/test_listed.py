"""Which lesions count as others of the same liver, and are told to be so many."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from LiverLesionAILib.analysis.row import listing_score
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.classify.differential import (
    PORTAL,
    Context,
    DifferentialSettings,
    differential,
)
from LiverLesionAILib.stages.classify.second_voice import Company, MeasuredPhase, differentials
from stages.test_differential import seen

RULES = Rules().part(DifferentialSettings)


def test_fainter_candidates_are_no_company() -> None:
    """Six dark lesions and a seventh that is not listed: the reasons say of which they count how many."""
    features = {number: seen(PORTAL, 60 + number, diameter_mm=20.0 + number) for number in range(1, 8)}
    phase = MeasuredPhase(PORTAL, 165.0, 150.0, 0.0, features, {})
    said = differentials([phase], RULES, Company(frozenset(range(1, 7)), 0.6))
    assert "5 other lesions (score from 0.60), 5 of them alike" in said[1].reasons
    assert "6 other lesions (score from 0.60), 6 of them alike" in said[7].reasons, "listed by a slider"
    assert "6 other lesions, 6 of them alike" in differentials([phase], RULES)[1].reasons
    alone = differentials([phase], RULES, Company(frozenset({1}), 0.6))
    assert "other lesion" not in alone[1].reasons
    assert "one other lesion (score from 0.60), alike" in alone[2].reasons
    assert alone[1].probabilities["metastasis"] < said[1].probabilities["metastasis"]
    apart = {1: seen(PORTAL, 60), 2: seen(PORTAL, 110)}
    two = differentials([MeasuredPhase(PORTAL, 165.0, 150.0, 0.0, apart, {})], RULES)
    assert "one other lesion, not alike" in two[1].reasons


@pytest.mark.parametrize(("others", "alike"), [(1, 0), (1, 1), (4, 0), (4, 1), (4, 3)])
def test_company_is_told_in_every_language(others: int, alike: int) -> None:
    from LiverLesionAILib.writing.report.sentences import reasons
    from LiverLesionAILib.writing.report.strings import LANGUAGES, Language

    context = Context(others=others, alike=alike, least_score=0.6)
    line = differential({PORTAL: seen(PORTAL, 60)}, context, RULES).reasons
    assert line in (reasons(line, Language("en")),)
    for code in LANGUAGES[1:]:
        (told,) = [part for part in reasons(line, Language(code)).split("; ") if "0,60" in part]
        assert not re.search(r"other|lesions|\bnone\b|\bone\b|alike|score from", told)
        assert not alike or others == 1 or f" {alike} " in told


def test_who_counts_as_company_reaches_the_score() -> None:
    lesions = [SimpleNamespace(number=n, score=score) for n, score in ((1, 0.9), (2, 0.4), (3, 0.2))]
    assert Company.of(lesions, 0.4) == Company(frozenset({1, 2}), 0.4)


@pytest.mark.parametrize("threshold", [0.05, Rules().faintest_score, 0.3])
def test_the_panel_keeps_faint_ones_aside_because_it_says_so(threshold: float) -> None:
    """Not because of a low threshold: the command line's lists what it asks for."""
    entry = Manifest.read().find("sfan")
    usual = entry.calibration["score_threshold"]
    rules = Rules().changed({"score_threshold": threshold}, "the user")
    assert listing_score(rules, entry, faint_aside=True) == usual > threshold
    assert listing_score(rules, entry, faint_aside=False) == threshold


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
