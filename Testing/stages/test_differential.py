"""The second voice: what is measured on a lesion, and what that can mean in the phases at hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.analysis.class_priors import AT_RISK
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.classify.differential import (
    ARTERIAL,
    BENIGN,
    CYST,
    DELAYED,
    FNH,
    HAEMANGIOMA,
    HCC,
    INDETERMINATE,
    METASTASIS,
    PORTAL,
    UNENHANCED,
    Context,
    DifferentialSettings,
    differential,
    table_logs,
)
from LiverLesionAILib.stages.classify.features import LesionFeatures, alike, measure_features
from LiverLesionAILib.stages.classify.second_voice import MeasuredPhase, network_voice
from LiverLesionAILib.stages.classify.signs import contrast_change, lumps_share

RULES = Rules().part(DifferentialSettings)
LIVER = {UNENHANCED: 57.0, ARTERIAL: 72.0, PORTAL: 112.0, DELAYED: 92.0}
VESSELS = {UNENHANCED: 62.0, ARTERIAL: 130.0, PORTAL: 165.0, DELAYED: 118.0}


def seen(phase: str, core_hu: float, **changes) -> LesionFeatures:
    made = LesionFeatures(
        core_hu=core_hu,
        core_error_hu=2.0,
        liver_hu=LIVER[phase],
        noise_hu=12.0,
        rim_hu=LIVER[phase],
        spread_hu=12.0,
        edge_mm=3.2,
        diameter_mm=18.0,
        whole_core=True,
    )
    return replace(made, **changes)


def say(phases: dict[str, LesionFeatures], **context):
    return differential(phases, Context(vessels_hu=VESSELS, **context), RULES)


@pytest.mark.parametrize(("phases", "name"), [
    ({PORTAL: seen(PORTAL, 8, edge_mm=1.5)}, CYST),
    ({PORTAL: seen(PORTAL, 65)}, METASTASIS),
    ({PORTAL: seen(PORTAL, 60, rim_hu=135, edge_mm=5)}, METASTASIS),
    ({DELAYED: seen(DELAYED, 60)}, METASTASIS),
    ({DELAYED: seen(DELAYED, 10, edge_mm=1.5)}, CYST),
    ({ARTERIAL: seen(ARTERIAL, 5, edge_mm=1.5)}, CYST),
    ({ARTERIAL: seen(ARTERIAL, 45)}, METASTASIS),
    ({UNENHANCED: seen(UNENHANCED, 6, edge_mm=1.5)}, CYST),
    ({ARTERIAL: seen(ARTERIAL, 95), PORTAL: seen(PORTAL, 150), DELAYED: seen(DELAYED, 116)}, HAEMANGIOMA),
])  # fmt: skip
def test_typical_lesions_are_named(phases, name):
    assert say(phases).name == name


def test_washout_is_an_hcc_in_a_patient_at_risk_and_may_be_a_metastasis_where_a_cancer_is_known() -> None:
    phases = {
        ARTERIAL: seen(ARTERIAL, 115),
        PORTAL: seen(PORTAL, 92),
        DELAYED: seen(DELAYED, 70, rim_hu=120),
    }
    at_risk = replace(RULES, priors=AT_RISK.shares)
    context = Context(vessels_hu=VESSELS, aorta_hu={ARTERIAL: 290.0, PORTAL: 155.0, DELAYED: 105.0})
    found = differential(phases, context, at_risk)
    assert found.name == HCC
    known = differential(phases, context, RULES).probabilities
    assert set(list(known)[:2]) == {HCC, METASTASIS}
    assert known[HCC] < found.probabilities[HCC]


@settings(deadline=None)
@given(st.floats(-20, 200), st.floats(0.5, 9), st.floats(3, 90), st.floats(-30, 60), st.booleans())
def test_without_an_arterial_phase_never_fnh_or_hcc(core, edge, diameter, rim, whole):
    for phase in (PORTAL, DELAYED, UNENHANCED):
        lesion = seen(
            phase, core, edge_mm=edge, diameter_mm=diameter, rim_hu=LIVER[phase] + rim, whole_core=whole
        )
        found = say({phase: lesion}, network={FNH: 0.9, HCC: 0.1}, network_weight=0.3)
        assert not {FNH, HCC} & set(found.probabilities)
        assert found.name not in (FNH, HCC)
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert list(found.probabilities.values()) == sorted(found.probabilities.values(), reverse=True)


@settings(deadline=None)
@given(st.floats(-20, 200), st.floats(0.5, 9), st.floats(3, 90))
def test_only_water_is_a_cyst(core, edge, diameter):
    for phase in (UNENHANCED, ARTERIAL, PORTAL, DELAYED):
        lesion = seen(phase, core, edge_mm=edge, diameter_mm=diameter)
        found = say({phase: lesion}, network={CYST: 1.0}, network_weight=1.0)
        if found.name == CYST:
            assert core - lesion.core_error_hu <= RULES.water_hu


@pytest.mark.parametrize("core", [-17.0, 0.0, 8.0, 20.0])
def test_a_tiny_lesion_like_water_is_a_cyst_and_never_too_dark_for_one(core):
    """Partial volume makes small cysts denser; one that shows water all the same is no less a cyst."""
    tiny = {"diameter_mm": 6.5, "whole_core": False, "edge_mm": math.nan, "core_error_hu": 8.0}
    found = say({PORTAL: seen(PORTAL, core, **tiny)}, others=2, alike=1)
    assert found.name == CYST
    denser = say({PORTAL: seen(PORTAL, 30.0, **tiny)}, others=2, alike=1)
    assert found.probabilities[CYST] > denser.probabilities[CYST]
    solid = say({PORTAL: seen(PORTAL, 70.0, **tiny)}, others=2, alike=1)
    assert solid.name == METASTASIS
    assert "2 other lesions, 1 of them alike" in found.reasons


def test_between_two_classes_none_is_named():
    found = say({PORTAL: seen(PORTAL, 26, edge_mm=2.0)})
    first, second = list(found.probabilities)[:2]
    assert {first, second} == {CYST, METASTASIS} or found.name == METASTASIS
    weak = say({PORTAL: seen(PORTAL, 95)})
    assert weak.name == INDETERMINATE or weak.probabilities[weak.name] >= RULES.sure
    bright = say({PORTAL: seen(PORTAL, 120)})
    assert bright.name == INDETERMINATE
    assert bright.probabilities[INDETERMINATE] > 0.1


def test_too_small_to_characterise():
    small = seen(PORTAL, 70, diameter_mm=4.0, whole_core=False, edge_mm=math.nan)
    alone = say({PORTAL: small})
    assert alone.name == INDETERMINATE
    assert alone.reasons.startswith("too small to characterise")
    water = seen(PORTAL, 12, diameter_mm=4.0, whole_core=False, edge_mm=math.nan)
    assert say({PORTAL: water}).name == CYST


def test_small_ones_lean_on_larger_ones_that_are_alike():
    small = seen(PORTAL, 70, diameter_mm=4.0, whole_core=False, edge_mm=math.nan)
    assert say({PORTAL: small}, others=3, alike=3, alike_metastasis=0.95).name == METASTASIS
    features = {1: seen(PORTAL, 60), 2: seen(PORTAL, 75), 3: seen(PORTAL, 5)}
    assert alike(features, RULES.alike_hu) == {1: (2,), 2: (1,), 3: ()}


def test_unenhanced_solid_lesions_are_not_told_apart():
    found = say({UNENHANCED: seen(UNENHANCED, 34)})
    assert found.name == INDETERMINATE
    assert "contrast" in found.reasons


def test_a_rim_speaks_against_water():
    plain, rimmed = seen(PORTAL, 24), seen(PORTAL, 24, rim_hu=140)
    assert say({PORTAL: rimmed}).probabilities[CYST] < say({PORTAL: plain}).probabilities[CYST]


def test_lumps_as_bright_as_blood() -> None:
    """The same dark core, with and without lumps: a haemangioma, and not."""
    aorta = {ARTERIAL: 290.0, PORTAL: 155.0}
    dark = seen(ARTERIAL, 52, bright_hu=60.0)
    lumps = replace(dark, bright_hu=230.0)
    calcium = replace(dark, bright_hu=520.0)
    said = [say({ARTERIAL: one}, aorta_hu=aorta).probabilities for one in (dark, lumps, calcium)]
    assert said[1][HAEMANGIOMA] > 3 * said[0][HAEMANGIOMA]
    assert said[2][METASTASIS] > said[0][METASTASIS]
    assert said[2][HAEMANGIOMA] < said[1][HAEMANGIOMA] / 3
    flash = replace(dark, core_hu=210.0, bright_hu=222.0, diameter_mm=10.0)
    assert next(iter(say({ARTERIAL: flash}, aorta_hu=aorta).probabilities)) == HAEMANGIOMA
    even = replace(dark, core_hu=220.0, bright_hu=232.0)
    assert lumps_share({ARTERIAL: even}, aorta) == 0.0, "bright throughout"
    assert math.isnan(lumps_share({ARTERIAL: dark}, {}))


def test_a_haemangioma_may_not_be_filled_in_the_delayed_phase() -> None:
    aorta = {ARTERIAL: 290.0, PORTAL: 155.0, DELAYED: 105.0}
    phases = {
        ARTERIAL: seen(ARTERIAL, 58, bright_hu=240.0),
        PORTAL: seen(PORTAL, 72, bright_hu=160.0),
        DELAYED: seen(DELAYED, 70, bright_hu=104.0),
    }
    assert say(phases, aorta_hu=aorta).name == HAEMANGIOMA


def test_a_contrast_that_stays() -> None:
    """20 HU darker than the liver in every phase is fat; enhancing less than the liver is a mass."""
    fat = {phase: seen(phase, LIVER[phase] - 20) for phase in (UNENHANCED, ARTERIAL, PORTAL)}
    mass = {**fat, PORTAL: seen(PORTAL, LIVER[PORTAL] - 55)}
    assert contrast_change(fat) == 0.0
    assert contrast_change(mass) == 35.0
    assert say(fat).probabilities[BENIGN] > 5 * say(mass).probabilities[BENIGN]
    assert say(mass).name == METASTASIS
    assert math.isnan(contrast_change({PORTAL: fat[PORTAL]}))


def test_spared_liver_and_perfusion_are_benign_too() -> None:
    spared = {phase: seen(phase, LIVER[phase] + 14) for phase in (UNENHANCED, ARTERIAL, PORTAL)}
    assert next(iter(say(spared).probabilities)) == BENIGN
    assert "sparing" not in say(spared).probabilities
    flash = {ARTERIAL: seen(ARTERIAL, LIVER[ARTERIAL] + 20), PORTAL: seen(PORTAL, LIVER[PORTAL] + 1)}
    assert say(flash).probabilities[BENIGN] > say({PORTAL: flash[PORTAL]}).probabilities[BENIGN] / 2


def test_texture():
    even, uneven = seen(PORTAL, 24), seen(PORTAL, 24, spread_hu=30)
    assert say({PORTAL: uneven}).probabilities[CYST] < say({PORTAL: even}).probabilities[CYST]
    assert "core heterogeneous" in say({PORTAL: uneven}).reasons


def test_the_network_counts_in_the_phase_it_learnt_in():
    lesion = seen(ARTERIAL, 140)
    alone = say({ARTERIAL: lesion})
    with_network = say(
        {ARTERIAL: lesion}, network={FNH: 0.96, HCC: 0.02, HAEMANGIOMA: 0.02}, network_weight=1.0
    )
    assert with_network.probabilities[FNH] > alone.probabilities[FNH] + 0.2
    assert with_network.name == FNH
    off = say({ARTERIAL: lesion}, network={FNH: 0.9, HCC: 0.1}, network_weight=0.0)
    assert off.probabilities == alone.probabilities


def test_voices_that_contradict_each_other_make_it_indeterminate():
    found = say({ARTERIAL: seen(ARTERIAL, 6, edge_mm=1.5)}, network={FNH: 0.9, CYST: 0.1}, network_weight=1.0)
    assert found.name == INDETERMINATE
    assert "disagree" in found.reasons


def test_the_reasons_are_figures():
    said = say({PORTAL: seen(PORTAL, 65)}, others=5, alike=4).reasons
    for part in (
        "portal: core 65 HU (liver 112, vessels 165)",
        "border moderately sharp (3.2 mm)",
        "5 other lesions, 4 of them alike",
    ):
        assert part in said.split("; ")
    assert "18 mm" not in said, "the diameter of a ball beside the measured axes is a third size"


def test_no_border_is_told_of_a_lesion_too_small_to_have_one():
    """An edge of 8.5 mm round a lesion of 7 mm: that is the picture's blur, and no sign counts it."""
    small = say({PORTAL: seen(PORTAL, 42, edge_mm=8.5, diameter_mm=7.0)}, others=3, alike=2).reasons
    assert "border" not in small and "core 42 HU" in small


def test_fine_and_coarse_texture_are_not_told_side_by_side():
    mottled = say({PORTAL: seen(PORTAL, 80, mosaic=3.4)}, others=2).reasons
    assert "patchy inside (coarse variation 3.4 times the liver's)" in mottled
    assert "homogeneous" not in mottled and "2 other lesions, none of them alike" in mottled
    assert "core homogeneous" in say({PORTAL: seen(PORTAL, 65)}).reasons


def ball(radius_mm: float, core: float, blur: float, spacing=(2.0, 0.8, 0.8)):
    """A lesion in even liver with noise: HU, liver, labels."""
    shape = (40, 100, 100)
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    middle = [n * s / 2 for n, s in zip(shape, spacing, strict=True)]
    distance = np.sqrt(
        (z[:, None, None] - middle[0]) ** 2 + (y[:, None] - middle[1]) ** 2 + (x - middle[2]) ** 2
    )
    share = 1 / (1 + np.exp((distance - radius_mm) / max(blur, 0.05)))
    rng = np.random.default_rng(0)
    hu = 110 + (core - 110) * share + rng.normal(0, 10, shape)
    return hu.astype(np.float32), np.ones(shape, bool), (distance <= radius_mm).astype(np.uint16), spacing


def test_edges_are_measured():
    sharp, soft = (measure_features(*ball(12, 20, blur))[1] for blur in (0.3, 2.2))
    assert sharp.edge_mm <= RULES.sharp_mm
    assert soft.edge_mm >= RULES.soft_mm
    assert sharp.liver_hu == pytest.approx(110, abs=2)
    assert sharp.noise_hu == pytest.approx(10, abs=1.5)
    assert sharp.core_hu == pytest.approx(20, abs=2)
    assert sharp.diameter_mm == pytest.approx(24, abs=1)


@settings(max_examples=15, deadline=None)
@given(st.floats(4, 15), st.floats(-10, 90))
def test_the_core_is_measured_whatever_the_size(radius, core):
    found = measure_features(*ball(radius, core, 0.3))[1]
    assert found.core_hu == pytest.approx(core, abs=8)


def test_tiny_and_liverless_lesions_give_numbers_or_nan():
    hu, liver, labels, spacing = ball(1.0, 60, 0.3)
    tiny = measure_features(hu, liver, labels, spacing)[1]
    assert math.isfinite(tiny.core_hu)
    assert not tiny.whole_core
    alone = measure_features(hu, labels > 0, labels, spacing)[1]
    assert math.isnan(alone.liver_hu)
    assert differential({PORTAL: alone}, Context(), RULES).name in (INDETERMINATE, CYST, METASTASIS, BENIGN)


def _heard(phase: str, shares: tuple[float, ...], network: dict[str, float]) -> MeasuredPhase:
    return MeasuredPhase(phase, 150.0, 200.0, shares[1], {1: seen(phase, 80)}, {1: network}, 140.0, shares)


def test_the_networks_answers_in_two_phases_are_no_independent_evidence():
    rules = replace(RULES, network_arterial=0.8, network_portal=0.4, network_shared=0.5)
    arterial = _heard(ARTERIAL, (0, 1, 0, 0), {HCC: 0.8, FNH: 0.2})
    portal = _heard(PORTAL, (0, 0, 1, 0), {HCC: 0.5, FNH: 0.5})
    shares, weight = network_voice([arterial], 1, rules)
    assert shares[HCC] == pytest.approx(0.8) and weight == pytest.approx(0.8)
    shares, weight = network_voice([portal, arterial], 1, rules)
    # Two thirds of the weight are the arterial phase's: (0.8 / 0.2) to the power of 2/3.
    assert shares[HCC] / shares[FNH] == pytest.approx(4 ** (2 / 3))
    assert weight == pytest.approx(0.8 + 0.5 * 0.4)
    assert network_voice([portal, arterial], 1, replace(rules, network_shared=0.0))[1] == pytest.approx(1.2)
    # Of a phase that is uncertain the answer counts by the probabilities.
    unsure = replace(arterial, shares=(0, 0.5, 0.5, 0))
    assert network_voice([unsure], 1, rules)[1] == pytest.approx(0.6)
    assert network_voice([replace(arterial, network={})], 1, rules) == ({}, 0.0)


def test_a_network_of_the_arterial_phase_alone_is_heard_there_alone():
    arterial = _heard(ARTERIAL, (0, 1, 0, 0), {HCC: 0.8, FNH: 0.2})
    portal = _heard(PORTAL, (0, 0, 1, 0), {HCC: 0.1, FNH: 0.9})
    shares, weight = network_voice([portal, arterial], 1, RULES)
    assert shares[HCC] == pytest.approx(0.8) and weight == 1.0
    assert network_voice([portal], 1, RULES) == ({}, 0.0)


def test_what_is_measured_can_count_for_less_and_still_says_the_same():
    phases = {PORTAL: seen(PORTAL, 65)}
    context = Context(vessels_hu=VESSELS)
    whole = differential(phases, context, RULES)
    half = differential(phases, context, replace(RULES, measured_weight=0.5))
    assert next(iter(half.probabilities)) == next(iter(whole.probabilities)) == METASTASIS
    assert half.probabilities[METASTASIS] < whole.probabilities[METASTASIS]


def test_a_second_phase_counts_for_less_than_it_would_alone() -> None:
    """The same dark lesion in two phases is one lesion: odds grow by less than both tables say."""
    phases = {PORTAL: seen(PORTAL, 65), ARTERIAL: seen(ARTERIAL, 45)}
    context = Context(vessels_hu=VESSELS | {PORTAL: 145.0})
    logs = table_logs(phases, context, RULES)
    alone = [table_logs({name: one}, context, RULES) for name, one in phases.items()]
    for c in (METASTASIS, CYST, FNH):
        assert logs[c] == pytest.approx(sum(one[c] for one in alone))
    weights = RULES.phases_weight
    assert len(weights) == 4 and max(weights) <= 1
    assert weights[1] < weights[0]
    bare = replace(RULES, signs=())
    told = differential(phases, context, bare).probabilities
    whole = differential(phases, context, replace(bare, phases_weight=(1.0,))).probabilities
    assert told[METASTASIS] / told[FNH] < whole[METASTASIS] / whole[FNH]


def test_a_mass_in_a_fatty_liver_is_compared_with_a_liver_without_fat() -> None:
    """As dense as the fatty liver around it, brighter than it without contrast: no fat, and no liver."""
    lean = {UNENHANCED: 57.0, PORTAL: 112.0}
    contrasts = {UNENHANCED: -20.0, PORTAL: -45.0}

    def named(fat_hu: float, c: str) -> float:
        phases = {
            phase: seen(phase, lean[phase] + contrasts[phase], liver_hu=lean[phase] - fat_hu)
            for phase in (PORTAL, UNENHANCED)
        }
        return table_logs(phases, Context(vessels_hu=VESSELS), RULES)[c]

    assert named(45, METASTASIS) == pytest.approx(named(0, METASTASIS), abs=1.3)
    assert named(45, METASTASIS) > named(45, BENIGN) + 2
    spared = {PORTAL: seen(PORTAL, 108, liver_hu=72.0), UNENHANCED: seen(UNENHANCED, 50, liver_hu=12.0)}
    said = table_logs(spared, Context(vessels_hu=VESSELS), RULES)
    lean_too = {PORTAL: seen(PORTAL, 148, liver_hu=112.0), UNENHANCED: seen(UNENHANCED, 95, liver_hu=57.0)}
    assert said["sparing"] > table_logs(lean_too, Context(vessels_hu=VESSELS), RULES)["sparing"] + 1
    assert said["sparing"] > max(said[BENIGN], said["perfusion"])


def test_a_class_that_the_phases_cannot_show_contradicts_nothing():
    context = {"network": {HCC: 0.95, METASTASIS: 0.05}, "network_weight": 0.6}
    assert "disagree" not in say({PORTAL: seen(PORTAL, 65)}, **context).reasons
    cyst = {"network": {CYST: 0.95, METASTASIS: 0.05}, "network_weight": 0.6}
    found = say({PORTAL: seen(PORTAL, 65)}, **cyst)
    assert found.name == INDETERMINATE
