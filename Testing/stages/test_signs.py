"""Signs beside the density: shape, place, vessels, centre, mosaic; and how far each speaks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.classify.differential import (
    ARTERIAL,
    DELAYED,
    PORTAL,
    UNENHANCED,
    DifferentialSettings,
)
from LiverLesionAILib.stages.classify.features import SURFACE_MM, LesionFeatures, measure_features
from LiverLesionAILib.stages.classify.signs import (
    MOST_FAT_HU,
    PERCENT,
    SAID,
    calcium_hu,
    lost_to_fat,
    measured_signs,
    membership,
    points_of,
    scar_fills,
    sign_text,
    speaking,
)
from LiverLesionAILib.writing.report.sentences import reasons
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language

SPACING = (2.0, 1.0, 1.0)
SHAPE = (40, 90, 90)
LESION = LesionFeatures(60.0, 2.0, 110.0, 10.0, 110.0, 10.0, 3.0, 24.0, True)


def scene(radii_mm: tuple[float, float, float], lesion_hu: float = 60.0, middle_y: float = 45.0):
    """An ellipsoid in liver with a grid of vessels: HU, liver, labels."""
    z, y, x = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    away = ((z - 40) / radii_mm[0]) ** 2 + ((y - middle_y) / radii_mm[1]) ** 2 + ((x - 45) / radii_mm[2]) ** 2
    labels = (away <= 1).astype(np.uint16)
    vessels = (np.minimum(x % 15, 15 - x % 15) <= 2) & (np.minimum(z % 14, 14 - z % 14) <= 2)
    rng = np.random.default_rng(3)
    liver = np.where(vessels, 165.0, 110.0)
    hu = np.where(labels > 0, lesion_hu, liver) + rng.normal(0, 8, SHAPE)
    return hu.astype(np.float32), liver, labels


def features(hu, labels, liver=None) -> LesionFeatures:
    whole = np.ones(SHAPE, bool) if liver is None else liver
    return measure_features(hu, whole, labels, SPACING)[1]


def test_vessels_run_through_fat_and_round_a_mass() -> None:
    hu, liver, labels = scene((14, 14, 14))
    mass = features(hu, labels)
    fat = features(np.where(labels > 0, liver - 25 + (hu - 60), hu).astype(np.float32), labels)
    assert mass.through < 0.45 < 0.8 < fat.through < 1.3
    assert math.isnan(replace(mass, liver_bright_hu=mass.liver_hu).through), "no vessels, nothing to run on"


def test_how_deep_it_lies() -> None:
    hu, _, labels = scene((8, 8, 8), middle_y=30.0)
    liver = np.ones(SHAPE, bool)
    assert features(hu, labels).surface_mm == SURFACE_MM
    liver[:, :20] = False
    assert features(hu, labels, liver).surface_mm == pytest.approx(11, abs=2)


def test_a_scar_dead_parts_and_a_mosaic() -> None:
    hu, _, labels = scene((18, 18, 18), 150.0)
    plain = features(hu, labels)
    z, y, x = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    scar = (z - 40) ** 2 + (y - 45) ** 2 + (x - 45) ** 2 <= 7**2
    scarred = features(np.where(scar, hu - 40, hu).astype(np.float32), labels)
    assert abs(plain.centre_hu) < 4
    assert scarred.centre_hu < -20
    assert scarred.core_hu - scarred.dark_hu > plain.core_hu - plain.dark_hu + 10
    patches = 25.0 * np.sign(np.sin(z / 4) * np.sin(y / 4) * np.sin(x / 4))
    assert features((hu + patches * (labels > 0)).astype(np.float32), labels).mosaic > 2 * plain.mosaic


def test_a_scar_is_found_where_an_outline_of_two_lobes_has_it() -> None:
    """Away from the deepest place, in a lesion as bright as a focal nodular hyperplasia."""
    z, y, x = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    large = (z - 40) ** 2 + (y - 34) ** 2 + (x - 45) ** 2 <= 17**2
    lobed = large | ((z - 40) ** 2 + (y - 60) ** 2 + (x - 45) ** 2 <= 14**2)
    noise = np.random.default_rng(4).normal(0, 12, SHAPE)
    hu = np.where(lobed, 150.0, 110.0) + noise
    # Three bands through a place in the smaller lobe.
    away = np.sqrt((z - 40) ** 2 + (y - 58) ** 2 + (x - 45) ** 2)
    bands = np.abs(x - 45) < 2
    for turn in (1.0, -1.0):
        bands |= np.abs((x - 45) * 0.5 + turn * (y - 58) * 0.87) < 2
    scarred = np.where(bands & (away < 10), hu - 60, hu).astype(np.float32)
    labels = lobed.astype(np.uint16)
    plain, found = features(hu.astype(np.float32), labels), features(scarred, labels)
    assert plain.scar_hu > -8
    assert found.scar_hu < -20
    assert abs(found.centre_hu) < 6, "the deepest place lies elsewhere"
    tiny = features(hu.astype(np.float32), (large & (away > 38)).astype(np.uint16))
    assert math.isnan(tiny.scar_hu)


def test_a_scar_fills_late_and_dead_tissue_never() -> None:
    early = replace(LESION, core_hu=140.0, liver_hu=80.0, scar_hu=-50.0)
    scar = {ARTERIAL: early, DELAYED: replace(LESION, scar_hu=-10.0)}
    dead = {ARTERIAL: early, DELAYED: replace(LESION, scar_hu=-45.0)}
    assert scar_fills(scar) == pytest.approx(0.8)
    assert scar_fills(dead) == pytest.approx(0.1)
    assert math.isnan(scar_fills({**scar, ARTERIAL: replace(early, scar_hu=-6.0)})), "nothing that could"
    assert math.isnan(scar_fills({ARTERIAL: early}))
    points = Rules().part(DifferentialSettings).signs
    fnh = [points_of(measured_signs(phases, {}), points)["FNH"] for phases in (scar, dead)]
    assert fnh[0] > fnh[1] + 0.5


def test_signs_of_phases_that_are_not_there_are_unknown() -> None:
    alone = measured_signs({PORTAL: LESION}, {})
    for name in ("rim_arterial_hu", "blood", "fall_hu", "fill_hu", "change_hu"):
        assert math.isnan(alone[name])
        assert membership(alone[name], 0.0, 1.0) == 0.0
    phases = {
        PORTAL: LESION,
        ARTERIAL: replace(LESION, core_hu=120.0, liver_hu=75.0),
        DELAYED: replace(LESION, core_hu=95.0, liver_hu=90.0),
    }
    both = measured_signs(phases, {ARTERIAL: 275.0})
    assert both["late_hu"] == -50.0
    assert both["fall_hu"] == 95.0
    assert both["fill_hu"] == 55.0
    assert both["blood"] == pytest.approx(0.225)
    assert set(both) == set(SAID)


def test_lumps_that_will_fill_it_leave_the_dark_between_them_unsaid() -> None:
    """A haemangioma's core is dark until it fills: neither darkness nor a missing rim speaks then."""
    dark = replace(LESION, core_hu=58.0, liver_hu=72.0, bright_hu=70.0, rim_hu=75.0)
    phases = {ARTERIAL: dark, PORTAL: LESION}
    plain = measured_signs(phases, {ARTERIAL: 290.0})
    assert all(math.isfinite(plain[name]) for name in ("blood", "rim_arterial_hu", "late_hu"))
    lumpy = measured_signs({**phases, ARTERIAL: replace(dark, bright_hu=230.0)}, {ARTERIAL: 290.0})
    assert lumpy["lumps"] > 0.6
    assert all(math.isnan(lumpy[name]) for name in ("blood", "rim_arterial_hu", "late_hu"))


@pytest.mark.parametrize(
    ("livers", "vessels", "aorta", "lost"),
    [
        ({UNENHANCED: 57.0}, {}, {}, 0.0),
        ({UNENHANCED: 17.0, PORTAL: 112.0}, {PORTAL: 150.0}, {}, 25.0),
        ({UNENHANCED: -40.0}, {}, {}, MOST_FAT_HU),
        ({PORTAL: 117.0}, {PORTAL: 150.0}, {}, 0.0),
        ({PORTAL: 80.0}, {PORTAL: 150.0}, {}, 21.4),
        ({PORTAL: 80.0}, {PORTAL: 90.0}, {}, 0.0),
        ({DELAYED: 60.0}, {}, {DELAYED: 120.0}, 36.6),
        ({ARTERIAL: 40.0, PORTAL: 80.0}, {ARTERIAL: 90.0, PORTAL: 150.0}, {ARTERIAL: 300.0}, 19.2),
        ({PORTAL: 80.0}, {}, {}, 0.0),
        ({PORTAL: math.nan}, {PORTAL: 150.0}, {}, 0.0),
    ],
)
def test_what_a_liver_has_lost_to_fat(livers, vessels, aorta, lost) -> None:
    """Pale beside its own blood; a scan with little contrast medium is no fatty liver."""
    phases = {phase: replace(LESION, liver_hu=hu) for phase, hu in livers.items()}
    assert lost_to_fat(phases, vessels, aorta) == pytest.approx(lost, abs=0.1)


def test_points_are_straight_between_their_ends() -> None:
    rows = (("mosaic", 0.5, 0.9, (("cyst", 1.0), ("benign", -2.0))),)
    assert points_of({"mosaic": 0.2}, rows) == {"cyst": -1.0, "benign": 2.0}
    assert points_of({"mosaic": 0.7}, rows) == pytest.approx({"cyst": 0.0, "benign": 0.0})
    assert points_of({"mosaic": 5.0}, rows) == {"cyst": 1.0, "benign": -2.0}
    assert points_of({"mosaic": math.nan}, rows) == {"cyst": 0.0, "benign": 0.0}


def test_the_signs_that_speak_for_a_class_are_told_in_figures() -> None:
    rows = (
        ("vessels_through", 0.4, 0.9, (("benign", 1.0), ("metastasis", -1.0))),
        ("mosaic", 0.55, 0.85, (("metastasis", 0.5),)),
        ("edge_mm", 1.0, 4.0, (("benign", 2.0),)),
    )
    signs = dict.fromkeys(SAID, math.nan) | {"vessels_through": 0.93, "mosaic": 0.9, "edge_mm": 5.0}
    assert speaking(signs, rows, "benign") == [
        "vessels run through it (contrast inside 93 % of the vessels' in the liver)"
    ]
    assert speaking(signs, rows, "metastasis") == [
        "homogeneous inside (coarse variation 0.9 times the liver's)"
    ]
    assert speaking(signs, rows, "cyst") == []


def test_every_sign_of_the_page_is_measured_and_its_words_are_translated() -> None:
    rows = Rules().part(DifferentialSettings).signs
    assert {name for name, *_ in rows} <= set(SAID)
    assert all(low < high for _, low, high, _ in rows)
    for name, words in SAID.items():
        assert [most for most, _ in words] == sorted({most for most, _ in words})
        assert not words or words[-1][0] == math.inf
        for most, _ in words:
            for value in (min(most, 90.0), -0.4 if most >= -0.4 else most):
                said = sign_text(name, {name: value, "diameter_mm": 30.0})
                for code in LANGUAGES[1:]:
                    assert reasons(said, Language(code)) != said


def test_the_brightest_part_counts_whatever_the_rest_of_it_is() -> None:
    """A haemangioma whose core is bright already has lumps as bright as blood; fat has nothing bright."""
    bright = replace(LESION, core_hu=120.0, liver_hu=75.0, bright_hu=235.0, core_bright_hu=180.0)
    seen = measured_signs({ARTERIAL: bright, PORTAL: LESION}, {ARTERIAL: 275.0, PORTAL: 160.0})
    assert seen["lumps"] == 0.0 and seen["brightest"] == pytest.approx(0.8)
    assert math.isnan(seen["brightest_portal"]), "too small to have one there"
    assert seen["dense_part_hu"] == 180.0, "the densest of all phases that show one"
    fat = measured_signs({ARTERIAL: replace(LESION, liver_hu=75.0, bright_hu=70.0)}, {ARTERIAL: 275.0})
    assert fat["brightest"] < 0
    assert math.isnan(fat["dense_part_hu"])
    assert math.isnan(measured_signs({ARTERIAL: bright}, {})["brightest"])


def test_what_is_wider_than_half_a_liver_reaches_its_surface_anyway() -> None:
    near = replace(LESION, surface_mm=6.0)
    assert measured_signs({PORTAL: near}, {})["surface"] == 0.25
    assert math.isnan(measured_signs({PORTAL: replace(near, diameter_mm=123.0)}, {})["surface"])


def test_signs_are_told_in_a_readers_words_with_figure_and_unit() -> None:
    """No "brightest part -0.27 of the way", no "falls by -1 HU"."""

    def told(name: str, value: float) -> str:
        return sign_text(name, {name: value, "diameter_mm": 16.0})

    assert told("brightest", -0.27) == "no part brighter than the liver in the arterial phase"
    assert told("brightest", 0.27).startswith("brightest part at 27 % of the way from liver to aorta")
    assert told("blood", -0.27) == "core darker than the liver in the arterial phase"
    assert (
        told("blood", -0.02)
        == told("blood", 0.06)
        == ("core about as bright as the liver in the arterial phase")
    )
    assert told("lumps", 0.0) == "no bright lumps inside"
    assert told("scar_fills", 0.8) == "its dark part fills late (80 % of it gone in the delayed phase)"
    for value in (-0.3, 0.02):
        assert told("scar_fills", value) == "its dark part stays dark in the delayed phase"
    assert told("mosaic", 3.4) == "patchy inside (coarse variation 3.4 times the liver's)"
    assert told("centre_hu", -42.0) == "dark centre (-42 HU against the rest of it)"
    assert told("centre_hu", -3.0) == "no dark centre (-3 HU against the rest of it)"
    assert told("fall_hu", -1.0) == "no fall against the liver after the arterial phase (+1 HU)"
    assert told("fall_hu", 39.0) == "falls by 39 HU against the liver after the arterial phase"
    assert told("surface", 1.0) == "its middle deep in the liver (16 mm below the surface or more)"
    assert told("edge_mm", 2.0) == told("blood", math.nan) == ""


@pytest.mark.parametrize("name", PERCENT)
def test_a_share_near_nothing_is_told_without_its_figure(name: str) -> None:
    """ "Brightest part at 1 % of the way from liver to aorta" is a few HU: it says nothing."""
    for value in (-0.05, 0.01, 0.04):
        assert "%" not in sign_text(name, {name: value, "diameter_mm": 16.0})
    assert "60 %" in sign_text(name, {name: 0.6, "diameter_mm": 16.0})


CALCIFIED = {
    UNENHANCED: replace(LESION, core_hu=45.0, liver_hu=57.0, bright_hu=150.0, liver_bright_hu=68.0),
    ARTERIAL: replace(LESION, core_hu=55.0, liver_hu=72.0, bright_hu=165.0, liver_bright_hu=90.0),
    PORTAL: replace(LESION, core_hu=70.0, liver_hu=110.0, bright_hu=178.0, liver_bright_hu=155.0),
    DELAYED: replace(LESION, core_hu=65.0, liver_hu=90.0, bright_hu=172.0, liver_bright_hu=112.0),
}
BLOOD = {UNENHANCED: 42.0, ARTERIAL: 290.0, PORTAL: 160.0, DELAYED: 110.0}


@pytest.mark.parametrize("phases", [
    (UNENHANCED,), (DELAYED,), (PORTAL, ARTERIAL), (PORTAL, ARTERIAL, DELAYED), tuple(CALCIFIED),
])  # fmt: skip
def test_what_stays_bright_when_the_blood_pales_is_calcium(phases: tuple[str, ...]) -> None:
    """The lumps of a haemangioma are as bright as blood in every phase, those of calcium always alike."""
    calcified = {phase: CALCIFIED[phase] for phase in phases}
    assert calcium_hu(calcified, BLOOD) > 90
    seen = measured_signs(calcified, BLOOD)
    for name in ("lumps", "brightest", "brightest_portal", "vessels_through"):
        assert math.isnan(seen[name]), "it is neither blood nor a vessel"
    # As blood is: none without contrast medium, pale in the portal venous phase, spread by the delayed one.
    bright = {UNENHANCED: 52.0, ARTERIAL: 240.0, PORTAL: 152.0, DELAYED: 108.0}
    filling = {phase: replace(calcified[phase], bright_hu=bright[phase]) for phase in phases}
    assert math.isnan(calcium_hu(filling, BLOOD))
    if ARTERIAL in phases:
        assert measured_signs(filling, BLOOD)["lumps"] > 0.6


def test_calcium_is_not_said_of_one_phase_that_cannot_tell_it() -> None:
    assert math.isnan(calcium_hu({ARTERIAL: CALCIFIED[ARTERIAL]}, BLOOD)), "lumps of a haemangioma look so"
    assert calcium_hu({ARTERIAL: replace(CALCIFIED[ARTERIAL], bright_hu=520.0)}, BLOOD) > 400, "no blood does"
    plain = replace(CALCIFIED[UNENHANCED], bright_hu=60.0)
    assert math.isnan(calcium_hu({**CALCIFIED, UNENHANCED: plain, DELAYED: plain}, BLOOD))
    spared = replace(LESION, core_hu=60.0, liver_hu=20.0, bright_hu=72.0, liver_bright_hu=35.0)
    assert math.isnan(calcium_hu({UNENHANCED: spared}, BLOOD)), "liver that fat has spared"
