"""APHE, washout and capsule from a lesion's densities over the phases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from LiverLesionAILib.stages.classify.differential import ARTERIAL, DELAYED, PORTAL, DifferentialSettings
from LiverLesionAILib.stages.classify.enhancement import MeasuredEnhancement, measure_enhancement
from LiverLesionAILib.stages.classify.features import LesionFeatures
from support.rules import of_page

RULES = of_page(DifferentialSettings)
LIVER = {ARTERIAL: 72.0, PORTAL: 112.0, DELAYED: 92.0}


def look(rims: dict[str, float] | None = None, **against_liver: float) -> MeasuredEnhancement:
    """Measured on cores that differ from the liver so much, with rims so much above core and liver."""
    phases = {}
    for phase, contrast in against_liver.items():
        liver = LIVER[phase]
        rim = max(liver, liver + contrast) + (rims or {}).get(phase, 0.0)
        phases[phase] = LesionFeatures(liver + contrast, 2.0, liver, 10.0, rim, 10.0, 3.0, 22.0, True)
    return measure_enhancement(phases, RULES)


@pytest.mark.parametrize(
    ("contrast", "rim", "aphe"),
    [(40.0, 0.0, True), (15.0, 0.0, True), (14.0, 0.0, False), (-30.0, 0.0, False), (20.0, 25.0, False)],
)
def test_aphe(contrast: float, rim: float, aphe: bool) -> None:
    found = look({ARTERIAL: rim}, arterial=contrast)
    assert found.aphe is aphe and found.rim is (rim > 0)
    assert found.washout is None and found.capsule is None
    assert ("rim-like" in found.text) is (rim > 0)
    assert f"{contrast:+.0f} HU" in found.text
    assert ("rim +45 HU, core +20 HU" in found.text) is (rim > 0)


@pytest.mark.parametrize(
    ("arterial", "portal", "delayed", "washout"),
    [
        (40.0, -5.0, -15.0, True),
        (40.0, -12.0, -5.0, True),
        (40.0, 5.0, -9.0, False),
        (60.0, 30.0, 10.0, False),
        (-30.0, -45.0, -50.0, False),
        (3.0, -14.0, -5.0, True),
        (-4.0, -8.0, -11.0, False),
    ],
)
def test_washout(arterial: float, portal: float, delayed: float, washout: bool) -> None:
    """The darkest later phase counts, with APHE or without; what never enhanced has nothing to wash out."""
    assert look(arterial=arterial, portal=portal, delayed=delayed).washout is washout


def test_a_rim_washes_nothing_out() -> None:
    found = look({ARTERIAL: 20.0}, arterial=5.0, delayed=-30.0)
    assert found.washout is False
    assert "washout not judged where a rim enhances (delayed -30 HU against liver)" in found.text


def test_why_there_is_no_washout_is_told() -> None:
    dark = look(arterial=-40.0, portal=-57.0).text
    assert "no washout, as it was dark from the start (portal -57 HU against liver)" in dark
    assert "no washout (portal +2 HU against liver)" in look(arterial=40.0, portal=2.0).text


def test_capsule() -> None:
    assert look({DELAYED: 20.0}, arterial=40.0, delayed=-15.0).capsule is True
    assert look(arterial=40.0, delayed=-15.0).capsule is False
    assert look({ARTERIAL: 20.0}, arterial=40.0, delayed=-15.0).capsule is False


def test_what_the_phases_cannot_show_is_not_said() -> None:
    found = look(portal=-40.0)
    assert found.aphe is None and found.washout is None and found.text == ""
    unknown = LesionFeatures(50.0, 2.0, math.nan, math.nan, math.nan, 8.0, math.nan, 12.0, True)
    assert measure_enhancement({ARTERIAL: unknown}, RULES) == MeasuredEnhancement(None, None, None, None, "")
    assert measure_enhancement({ARTERIAL: replace(unknown, liver_hu=70.0)}, RULES).aphe is False
