"""Lesions that look treated are suggested, with figures; others are not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from LiverLesionAILib.stages.classify.differential import ARTERIAL, PORTAL, UNENHANCED, DifferentialSettings
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.stages.classify.treated import treated_suggestion
from support.rules import of_page

RULES = of_page(DifferentialSettings)
LIVER = {UNENHANCED: 57.0, ARTERIAL: 72.0, PORTAL: 112.0}


def seen(phase: str, core_hu: float, edge_mm: float = 2.0) -> LesionFeatures:
    return LesionFeatures(core_hu, 2.0, LIVER[phase], 10.0, LIVER[phase], 10.0, edge_mm, 30.0, True)


@pytest.mark.parametrize(("core_hu", "dense"), [(900.0, True), (250.0, True), (249.0, False), (160.0, False)])
def test_lipiodol(core_hu: float, dense: bool) -> None:
    text = treated_suggestion({PORTAL: seen(PORTAL, core_hu)}, RULES)
    assert ("lipiodol" in text and f"{core_hu:.0f} HU (portal)" in text) is dense
    assert bool(text) is dense


def test_what_fades_with_the_blood_is_no_lipiodol() -> None:
    """A small haemangioma may be as dense as the aorta in the arterial phase; lipiodol stays."""
    flash = {PORTAL: seen(PORTAL, 175.0), ARTERIAL: seen(ARTERIAL, 261.0)}
    assert treated_suggestion(flash, RULES) == ""
    oil = {PORTAL: seen(PORTAL, 420.0), ARTERIAL: seen(ARTERIAL, 405.0)}
    assert "405 HU (arterial) is lipiodol" in treated_suggestion(oil, RULES)


def test_a_zone_that_does_not_enhance() -> None:
    zone = {UNENHANCED: seen(UNENHANCED, 40), PORTAL: seen(PORTAL, 46)}
    assert "ablated" in treated_suggestion(zone, RULES) and "6 HU of change" in treated_suggestion(
        zone, RULES
    )


@pytest.mark.parametrize(
    "phases",
    [
        {PORTAL: seen(PORTAL, 46)},
        {UNENHANCED: seen(UNENHANCED, 40), PORTAL: seen(PORTAL, 70)},
        {UNENHANCED: seen(UNENHANCED, 40), PORTAL: seen(PORTAL, 46, edge_mm=6.0)},
        {UNENHANCED: seen(UNENHANCED, 40), PORTAL: seen(PORTAL, 46, edge_mm=math.nan)},
        {UNENHANCED: seen(UNENHANCED, 8), PORTAL: seen(PORTAL, 9)},
        {UNENHANCED: seen(UNENHANCED, 40), ARTERIAL: seen(ARTERIAL, 46)},
        {p: replace(seen(p, 42), whole_core=False) for p in (UNENHANCED, PORTAL)},
    ],
    ids=["one phase", "enhances", "soft", "no edge", "cyst", "liver did not enhance either", "too small"],
)
def test_others_are_not_suggested(phases: dict[str, LesionFeatures]) -> None:
    assert treated_suggestion(phases, RULES) == ""


def test_what_has_enhanced_is_no_ablated_zone() -> None:
    """As dense as a tumour that washes out from one phase to the next."""
    bright = {ARTERIAL: seen(ARTERIAL, 105), PORTAL: seen(PORTAL, 101)}
    assert treated_suggestion(bright, RULES) == ""
    dead = {ARTERIAL: seen(ARTERIAL, 45), PORTAL: seen(PORTAL, 41)}
    assert "ablated" in treated_suggestion(dead, RULES)
