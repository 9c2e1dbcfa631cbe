"""The part of the page of clinical decisions about the contrast phase: densities, aorta, name and header."""

from __future__ import annotations

from dataclasses import dataclass

from ..case.findings import SURE_PHASE
from .finding_rules import FindingRules
from .page import rule

_HINTS = "Testing/stages/test_phase_hints.py"


@dataclass(frozen=True)
class PhaseRules(FindingRules):
    """Rules of the contrast phase."""

    phase_means_hu: tuple[tuple[float, float, float], ...] = rule(
        ((42.0, -8.0, 8.0), (285.0, 170.0, 35.0), (145.0, -3.0, 38.0), (100.0, -5.0, 16.0)),
        "HU",
        "Unenhanced, arterial, portal venous, delayed: aorta, aorta minus vessels in the liver, "
        "vessels minus liver, "
        "at 120 kV.",
        "Testing/stages/test_phase.py::test_synthetic_phases",
    )
    phase_sds_hu: tuple[tuple[float, float, float], ...] = rule(
        ((14.0, 14.0, 9.0), (75.0, 65.0, 22.0), (28.0, 22.0, 16.0), (15.0, 14.0, 9.0)),
        "HU",
        "How far patients scatter round these means.",
        "Testing/stages/test_phase.py::test_real_livers_are_none_of_them_arterial",
    )
    phase_bright_liver_hu: tuple[tuple[float, float], ...] = rule(
        ((60.0, 10.0), (79.0, 13.0)),
        "HU",
        "Mean and SD of a liver without contrast medium, and in the arterial phase (livers without fat of "
        "SynthLiver-2-other): one that is brighter has taken contrast medium up and is later. Fat makes "
        "livers darker, so that a dark one says nothing.",
        "Testing/stages/test_phase.py::test_a_bright_liver_is_not_surely_arterial",
    )
    phase_mixed_cava_hu: tuple[float, float] = rule(
        (5.0, 10.0),
        "HU",
        "Mean and SD of how much darker than the aorta the vena cava is without contrast medium and in the "
        "delayed phase, where blood is mixed: one that is darker still speaks against both. Drawn delayed "
        "bodies are measured at -10 HU, 98 of 100 below 20; wider here, as patients' are not known.",
        "Testing/stages/test_phase.py::test_a_dark_vena_cava_is_no_delayed_phase",
    )
    phase_mixed_sds: float = rule(
        2.5,
        "SD",
        "Counted as no farther away: other discs are taken for the vena cava at times.",
        "Testing/stages/test_phase.py::test_a_dark_vena_cava_is_no_delayed_phase",
    )
    phase_priors: tuple[float, ...] = rule(
        (0.1, 0.22, 0.54, 0.14), "0..1", "How often each phase is met in the liver's CT.", "none: no survey"
    )
    phase_sure: float = rule(
        SURE_PHASE,
        "0..1",
        "A phase less probable is called uncertain where lesions get a class.",
        "none: chosen by eye",
    )
    aorta_blood_hu: tuple[float, float] = rule(
        (20.0, 600.0),
        "HU",
        "Blood before contrast in anaemia, and the brightest early arterial phase; what lies outside is no "
        "aorta.",
        "Testing/stages/test_phase.py::test_no_aorta_in_a_block_of_water",
    )
    aorta_darker_hu: float = rule(
        25.0,
        "HU",
        "Fat, lung and crus round the aorta are darker by this, or by a quarter; a piece of an organ has its "
        "own kind round it.",
        "Testing/stages/test_phase.py::test_synthetic_phases",
    )
    aorta_step_mm: float = rule(
        7.0,
        "mm",
        "From slice to slice its middle moves less.",
        "Testing/stages/test_phase.py::test_synthetic_phases",
    )
    aorta_shortest_mm: float = rule(
        20.0,
        "mm",
        "A shorter stretch is not taken for the aorta; the phase is then read from the liver alone.",
        "Testing/stages/test_phase.py::test_no_aorta_in_a_block_of_water",
    )
    aorta_strength: float = rule(
        0.8,
        "sum of the slices' scores, each 0..0.75",
        "Nor is a fainter one.",
        "Testing/stages/test_phase.py::test_no_aorta_in_a_block_of_water",
    )
    hint_delays_s: tuple[tuple[float, float], ...] = rule(
        ((20.0, 50.0), (55.0, 110.0), (150.0, 1200.0)),
        "s",
        "After the start of an injection, by the header: arterial, portal venous, delayed. Protocols scan at "
        "30 to 45, 60 to 80 and 180 to 300 s; slow injections and bolus tracking widen that. In between "
        "nothing is claimed.",
        f"{_HINTS}::test_a_delay_names_a_phase_and_nothing_between_two",
    )
    hint_delay_odds: float = rule(
        12.0,
        "to 1",
        "For the phase that this delay names: it decides between phases that look alike, a sure picture "
        "outweighs it. Not fitted.",
        f"{_HINTS}::test_a_delay_decides_between_phases_that_look_alike",
    )
    hint_described_odds: float = rule(
        4.0,
        "to 1",
        "For the phase that the series' description names; descriptions are copied from protocol to "
        "protocol. Not fitted.",
        f"{_HINTS}::test_a_sure_picture_outweighs_a_description_and_that_is_told",
    )
    hint_agent_odds: float = rule(
        4.0,
        "to 1",
        "For the phases after contrast medium, or the one without, where the header says which. Not fitted.",
        f"{_HINTS}::test_contrast_medium_in_the_header_and_none_in_the_picture",
    )
