"""How often a lesion is of each class: counted in a series that is named, or marked as assumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from LiverLesionAILib.analysis.class_priors import (
    CLASSES_AND_LOOKS,
    SETTINGS,
    STAGING,
    sources_markdown,
)
from LiverLesionAILib.analysis.rules import Rules

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_share_was_counted_in_a_named_series_or_is_assumed_with_a_reason(name: str) -> None:
    priors = SETTINGS[name]
    assert set(priors.counted) | set(priors.assumed) == set(CLASSES_AND_LOOKS)
    assert not set(priors.counted) & set(priors.assumed), "counted or assumed, not both"
    assert bool(priors.counted) == bool(priors.series)
    for series in (*priors.series, *priors.checks):
        assert any(mark in series.place for mark in ("doi ", "PMID ", "ISSN ")), series.short
        assert any(letter.isdigit() for letter in series.counted), "its figures as published"
    assert all(len(why) > 3 for _, why in priors.assumed.values())
    for one in priors.assumed:
        assert one in priors.source or not priors.series
    assert sum(share for _, share in priors.shares) == pytest.approx(1.0, abs=1e-12)
    assert min(share for _, share in priors.shares) > 0, "what cannot be said is never found"


def test_shares_are_those_of_the_counts() -> None:
    shares = dict(STAGING.shares)
    # Bruneton 1995: 829 benign lesions are 41.8 % of all, 427 of them cysts, 216 haemangiomas.
    assert shares["metastasis"] / shares["cyst"] == pytest.approx(829 / 0.418 * 0.582 / 427, rel=0.01)
    assert shares["cyst"] / shares["haemangioma"] == pytest.approx(427 / 216, rel=0.01)
    assert shares["HCC"] == STAGING.assumed["HCC"][0]
    assert Rules().differential_priors == STAGING.shares
    incidental = dict(SETTINGS["incidental"].shares)
    assert incidental["cyst"] / incidental["haemangioma"] == pytest.approx(80 / 18, rel=0.01)
    at_risk = dict(SETTINGS["at risk"].shares)
    assert at_risk["HCC"] / at_risk["perfusion"] == pytest.approx(100 / 101, rel=0.02)


def test_the_page_of_evidence_has_every_series_and_share() -> None:
    assert sources_markdown() in (ROOT / "Resources" / "EVIDENCE.md").read_text(encoding="utf-8")
