"""The one page of clinical decisions: every threshold and limit that decides what is reported.

Each line has its value, its unit, its reason and its evidence: a test or a command that shows what it does,
or "none" and what is known. Models override some by their calibration (the manifest), users some by their
settings; what was used is kept with every case. `liverlesionai rules` prints the page. No stage has a
number of its own: each takes its lines as a small dataclass, see :meth:`.page.Page.part`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..support.errors import InputError
from . import class_priors, class_tables
from .anatomy_rules import AnatomyRules
from .class_tables import Expected, SignRows
from .page import Part, rule
from .settings import OPERATING_POINTS, Settings

if TYPE_CHECKING:
    from .choice import Choice

_CLASSES = "Testing/stages/test_classify.py"
_DIFFERENTIAL = "Testing/stages/test_differential.py"
_ENHANCEMENT = "Testing/stages/test_enhancement.py"
_TREATED = "Testing/stages/test_treated.py"
_VOICE = f"{_DIFFERENTIAL}::test_typical_lesions_are_named"
_LOOKS = "What each class looks like in that phase: (class, what is compared, mean, SD)."
_POOL = "Testing/lab/test_class_pool.py"
_REGISTER = "Testing/stages/test_register.py"


@dataclass(frozen=True)
class Rules(AnatomyRules):
    """Every rule, stage by stage; the page it prints says what each means."""

    classes_said: str = rule(
        "clinical",
        "word",
        "clinical: what the phases at hand can show, by measurements and network together. paper: the "
        "network's five published classes alone.",
        "Testing/stages/test_case_classes.py::test_the_papers_classes_stay_available",
        setting="classes",
    )
    class_temperature: float = rule(
        1.0,
        "",
        "Divides the classifier's logits.",
        "Testing/lab/test_class_samples.py::test_the_temperature_undoes_overconfidence",
        calibrated="classify temperature",
    )
    class_outlier_threshold: float = rule(
        0.5,
        "0..1",
        "A lesion more unlike all classes is indeterminate.",
        "Testing/lab/test_class_samples.py::test_the_threshold_keeps_the_wanted_share",
        calibrated="classify outlier_threshold",
    )
    class_most_slices: int = rule(
        9,
        "slices",
        "Through one lesion that are looked at; of more an even selection with the largest.",
        f"{_CLASSES}::test_of_many_slices_an_even_selection_with_the_largest",
    )
    class_least_share: float = rule(
        0.3,
        "of its largest area",
        "A slice that shows less of a lesion tells nothing of it.",
        f"{_CLASSES}::test_weights_are_areas_of_the_slices_that_show_it",
    )
    class_others_mm: float = rule(
        2.0,
        "mm",
        "Round other lesions of a slice that is filled with liver as well.",
        f"{_CLASSES}::test_each_lesion_has_its_own_class_also_in_slices_it_shares",
    )
    class_least_weight: float = rule(
        0.1,
        "of 1",
        "Weight of a phase that is surely not arterial: classes were learnt in the arterial one.",
        f"{_CLASSES}::test_the_arterial_phase_counts_most",
    )
    differential_priors: tuple[tuple[str, float], ...] = rule(
        class_priors.STAGING.shares,
        "0..1",
        "How often a lesion is one where a cancer is known. Of 1983 focal lesions of cancer patients 58.2 % "
        "were metastases, 427 cysts, 216 haemangiomas, 62 focal fat (Bruneton, Eur Radiol 1995;5:387-390; "
        "sonography, primary liver cancers left out). Assumed, of no series: HCC, FNH, sparing, perfusion. "
        "Of lesions up to 15 mm fewer are metastases (21 and 22 % in two series).",
        "Testing/analysis/test_class_priors.py::test_shares_are_those_of_the_counts; Resources/EVIDENCE.md",
        setting="class_priors",
    )
    differential_unenhanced: Expected = rule(class_tables.UNENHANCED, "HU", _LOOKS, _VOICE)  # noqa: RUF009
    differential_arterial: Expected = rule(class_tables.ARTERIAL, "HU", _LOOKS, _VOICE)  # noqa: RUF009
    differential_portal: Expected = rule(class_tables.PORTAL, "HU", _LOOKS, _VOICE)  # noqa: RUF009
    differential_delayed: Expected = rule(class_tables.DELAYED, "HU", _LOOKS, _VOICE)  # noqa: RUF009
    differential_signs: SignRows = rule(  # noqa: RUF009
        class_tables.SIGNS,
        "log odds",
        'What else speaks for a class: (sign, from, to, points of each class): at or below "from" they count '
        '-1, at or above "to" +1, straight between; what was not measured counts nothing.',
        "Testing/lab/test_class_points.py::"
        "test_the_pages_points_speak_in_the_directions_that_a_reader_expects; Resources/EVIDENCE.md",
    )
    differential_phases_weight: tuple[float, ...] = rule(
        class_tables.PHASES_WEIGHT,
        "",
        "Exponent of those tables with one, two, three and four phases at hand: phases of one lesion are no "
        "independent evidence.",
        f"{_DIFFERENTIAL}::test_a_second_phase_counts_for_less_than_it_would_alone",
    )
    differential_water_hu: float = rule(
        20.0,
        "HU",
        "What is surely denser is no simple cyst.",
        f"{_DIFFERENTIAL}::test_only_water_is_a_cyst",
    )
    differential_sure: float = rule(
        0.6,
        "0..1",
        "A class less probable is not named: indeterminate.",
        f"{_DIFFERENTIAL}::test_between_two_classes_none_is_named",
    )
    differential_small_mm: float = rule(
        5.0,
        "mm",
        "Too small to characterise, unless it is water or like larger metastases of the same liver.",
        f"{_DIFFERENTIAL}::test_too_small_to_characterise",
    )
    differential_sharp_mm: float = rule(
        2.5,
        "mm",
        "Edges up to this width are sharp, as a cyst's.",
        f"{_DIFFERENTIAL}::test_edges_are_measured",
    )
    differential_soft_mm: float = rule(
        4.0,
        "mm",
        "From this width it is soft, as a metastasis's.",
        f"{_DIFFERENTIAL}::test_edges_are_measured",
    )
    differential_rim_hu: float = rule(
        12.0,
        "HU",
        "A rim brighter than core and liver by this enhances.",
        f"{_DIFFERENTIAL}::test_a_rim_speaks_against_water",
    )
    differential_uneven: float = rule(
        1.6, "of the liver's noise", "From this spread a core is uneven.", f"{_DIFFERENTIAL}::test_texture"
    )
    differential_aphe_hu: float = rule(
        15.0,
        "HU",
        "Brighter than the liver by this in the arterial phase, and not only at the rim, is "
        "hyperenhancement: beyond noise and the liver's own variation. Not fitted.",
        f"{_ENHANCEMENT}::test_aphe",
    )
    differential_washout_hu: float = rule(
        10.0,
        "HU",
        "Darker than the liver by this in a later phase, and fallen by as much against it since the arterial "
        "one, is washout of a lesion that was not darker by this then; LI-RADS counts it with APHE and "
        "without. Not fitted.",
        f"{_ENHANCEMENT}::test_washout",
    )
    differential_lipiodol_hu: float = rule(
        250.0,
        "HU",
        "A core this dense in every phase at hand is lipiodol or calcification, above what contrast gives a "
        "lesion: the reader is asked whether it was treated. Not fitted.",
        f"{_TREATED}::test_lipiodol",
    )
    differential_ablated_hu: float = rule(
        70.0,
        "HU",
        "A core that is denser has enhanced, whatever it does from phase to phase: no ablated zone. "
        "Coagulated tissue has 30 to 60 HU.",
        f"{_TREATED}::test_what_has_enhanced_is_no_ablated_zone",
    )
    differential_still_hu: float = rule(
        10.0,
        "HU",
        "A core, denser than water and sharp, that changes by at most this while the liver enhances by twice "
        "as much: the reader is asked whether it was ablated. Not fitted.",
        f"{_TREATED}::test_a_zone_that_does_not_enhance",
    )
    differential_lumps: float = rule(
        0.45,
        "of the way from liver to aorta",
        "From here the brightest tenth of an uneven lesion is as bright as blood, as a haemangioma's lumps "
        "are. Thin lumps share their voxels with what is dark.",
        f"{_DIFFERENTIAL}::test_lumps_as_bright_as_blood",
    )
    differential_alike_hu: float = rule(
        20.0,
        "HU",
        "Lesions whose contrast differs by at most this are alike: metastases come in numbers.",
        f"{_DIFFERENTIAL}::test_small_ones_lean_on_larger_ones_that_are_alike",
    )
    differential_contradiction: float = rule(
        0.7,
        "0..1",
        "Where network and measurements each give another class more than this, none is named.",
        f"{_DIFFERENTIAL}::test_a_class_that_the_phases_cannot_show_contradicts_nothing",
    )
    differential_measured_weight: float = rule(
        1.0,
        "",
        "Exponent of what is measured, against the priors' 1: below 1 less sure of itself.",
        f"{_POOL}::test_weights_are_those_that_made_the_labels",
        calibrated="classify measured_weight",
    )
    differential_network_unenhanced: float = rule(
        0.0,
        "",
        "Exponent of the network's answer in a scan without contrast; 0 leaves it out. The page's own values "
        "are those of a network that learnt classes in the arterial phase alone.",
        f"{_POOL}::test_weights_are_those_that_made_the_labels",
        calibrated="classify network_unenhanced",
    )
    differential_network_arterial: float = rule(
        1.0,
        "",
        "The same in the arterial phase.",
        f"{_POOL}::test_weights_are_those_that_made_the_labels",
        calibrated="classify network_arterial",
    )
    differential_network_portal: float = rule(
        0.0,
        "",
        "The same in the portal venous phase.",
        f"{_POOL}::test_weights_are_those_that_made_the_labels",
        calibrated="classify network_portal",
    )
    differential_network_delayed: float = rule(
        0.0,
        "",
        "The same in the delayed phase.",
        f"{_POOL}::test_weights_are_those_that_made_the_labels",
        calibrated="classify network_delayed",
    )
    differential_network_shared: float = rule(
        0.5,
        "0..1",
        "How far the network's answer in a further phase is taken for what it said before: phases show one "
        "lesion.",
        f"{_DIFFERENTIAL}::test_the_networks_answers_in_two_phases_are_no_independent_evidence",
        calibrated="classify network_shared",
    )
    second_breath_mm: float = rule(
        60.0, "mm", "A second phase's liver lies at most this far away: a deep breath.", "none: anatomy"
    )
    second_near_mm: float = rule(
        15.0,
        "mm",
        "Registration looks at the liver and what lies this near to it.",
        f"{_REGISTER}::test_another_breath_and_another_contrast",
    )
    second_knots_mm: float = rule(
        55.0,
        "mm",
        "Between the knots of its deformation: breathing bends a liver, it does not crumple it.",
        f"{_REGISTER}::test_another_breath_and_another_contrast",
    )
    second_covered_share: float = rule(
        0.9,
        "of the liver",
        "That has to lie on tissue of a liver's density in the second phase; else it is not used.",
        f"{_REGISTER}::test_a_scan_without_the_liver_is_not_used",
    )
    second_tissue_hu: tuple[float, float] = rule(
        (-20.0, 260.0), "HU", "That density, fatty to bright arterial.", "none: anatomy"
    )

    def at(self, settings: Settings) -> Rules:
        """The rules at the operating point that the user chose.

        Raises:
            InputError: there is no such point.
        """
        chosen = settings.operating_point
        if chosen not in OPERATING_POINTS:
            raise InputError(f"There is no setting {chosen!r}; choose {', '.join(OPERATING_POINTS)}.")
        if chosen == "default":
            return self
        score = self.strict_score if chosen == "strict" else self.sensitive_score
        return self.changed({"score_threshold": score}, f"the user: {chosen}")


def rules_of(choice: Choice) -> Rules:
    """The page as the chosen models' calibration and the user's settings change it."""
    rules = Rules()
    for entry in (choice.segmenter, choice.detector, choice.gallbladder, choice.classifier):
        if entry is not None:
            rules = rules.calibrated(entry)
    return rules.at(choice.settings).chosen(choice.settings)


def settings_from(calibration: Mapping[str, float], cls: type[Part]) -> Part:
    """A stage's lines of the page with the numbers that were fitted for a model; others' are passed over."""
    return Rules().fitted(calibration, cls).part(cls)
