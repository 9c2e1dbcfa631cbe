"""The part of the page of clinical decisions on vessels and segments of the liver."""

from __future__ import annotations

from dataclasses import dataclass

from .followup_rules import FollowUpRules
from .page import rule

_STAGE = "Testing/stages/test_anatomy.py"
_CAVA = "Testing/stages/test_anatomy_cava.py"
_BALANCE = "Testing/stages/test_anatomy_balance.py"
_FILLING = "Testing/stages/test_anatomy_filling.py"


@dataclass(frozen=True)
class AnatomyRules(FollowUpRules):
    """When vessels and segments can be told."""

    anatomy_contrast_hu: float = rule(
        7.0,
        "HU",
        "Veins have to be brighter than the liver by this; else vessels and segments are left out.",
        f"{_STAGE}::test_veins_as_dark_as_the_liver_are_not_told",
    )
    anatomy_cut_share: float = rule(
        0.35,
        "of its largest slice",
        "A liver with more of it on the scan's first or last slice is cut: its segments are left out. "
        "Scans of only the slices that show liver end on 3 to 33 %.",
        f"{_STAGE}::test_a_liver_that_the_scan_cuts_is_not_told",
    )
    anatomy_mirrored_mm: float = rule(
        5.0,
        "mm",
        "A liver whose middle lies farther left of the spine is a mirrored body's: left out, never flipped.",
        f"{_STAGE}::test_a_mirrored_body_is_told_and_never_flipped",
    )
    anatomy_cava_score: float = rule(
        0.15,
        "0..1",
        "How round, even and well placed the inferior vena cava has to look; all planes turn about it.",
        f"{_STAGE}::test_without_a_cava_there_are_no_segments",
    )
    anatomy_cava_uneven_hu: float = rule(
        12.0,
        "HU",
        "A vena cava whose discs differ more in density (median distance from their median) is none; those "
        "of simulated and real portal venous scans differ by 1 to 4 HU.",
        f"{_CAVA}::test_a_cava_of_changing_density_is_none",
    )
    anatomy_vessel_ml: float = rule(
        0.1,
        "mL",
        "Smaller bright tubes are texture.",
        "Testing/stages/test_tube_shape.py::test_tubes_are_found_and_specks_are_not",
    )
    anatomy_least_right: float = rule(
        0.4,
        "of the liver",
        "A smaller right hemiliver is resected or the planes are wrong: the segments are left out. Whole "
        "livers have 49 to 82 %.",
        f"{_STAGE}::test_implausible_halves_are_left_out",
    )
    anatomy_most_right: float = rule(
        0.9,
        "of the liver",
        "A larger one: the left one is resected, or the planes are wrong.",
        f"{_STAGE}::test_implausible_halves_are_left_out",
    )
    anatomy_least_lateral: float = rule(
        0.02,
        "of the liver",
        "With less left of the umbilical fissure the left part is resected, and planes go on through what is "
        "left of it: the segments are left out. Whole simulated livers have 4 to 18 % there, real ones 6 to "
        "21 %, simulated ones without their left half none to 1 %.",
        f"{_STAGE}::test_a_liver_without_its_left_part_is_left_out",
    )
    anatomy_probability: float = rule(
        0.3,
        "0..1",
        "A vessel network's voxels at or above it are vessel; on training bodies that it never saw 0.3 gave "
        "a clDice of 0.73, 0.5 of 0.68.",
        f"{_STAGE}::test_a_networks_vessels_come_beside_the_filters",
    )
    anatomy_filled_ml: float = rule(
        0.2,
        "mL",
        "Where fewer of the vessels than `anatomy_least_hepatic` are likelier hepatic, and thick ones (some "
        "7 mm) hold less than this round the upper vena cava, the hepatic veins are not filled yet. Drawn "
        "training bodies hold 0.5 to 2.8 mL, five real scans 0.3 to 0.9, an early one 0.02, five drawn "
        "bodies without filled veins up to 0.12.",
        f"{_FILLING}::test_hepatic_veins_as_dense_as_the_liver_are_not_told_and_nothing_else_is_taken_for_them",
    )
    anatomy_least_hepatic: float = rule(
        0.33,
        "of the vessels",
        "Where fewer of the tubes' voxels in the liver are likelier hepatic, whole branches are named "
        "wrongly, and no thin tube's name is sure. Drawn training bodies have 39 to 67 %, truly 40 to 67 %, "
        "six real scans 26 to 75 %. Chosen outside of what drawn ones have.",
        f"{_BALANCE}::test_twigs_of_a_lopsided_liver_are_of_either_tree_and_it_is_said",
    )
    anatomy_most_hepatic: float = rule(
        0.7,
        "of the vessels",
        "The same where more of them are.",
        f"{_BALANCE}::test_twigs_of_a_lopsided_liver_are_of_either_tree_and_it_is_said",
    )
    anatomy_touching_mm: float = rule(
        1.0,
        "mm",
        "A lesion and a vessel whose surfaces are as near touch.",
        "Testing/stages/test_anatomy_relations.py::test_a_vessel_that_is_touched_and_one_that_is_encased",
    )
    anatomy_possible: float = rule(
        0.3,
        "of the lesion",
        "A segment that it lies in only where the landmarks are moved by chance is named from this share on, "
        "with a question mark.",
        "Testing/analysis/test_case_anatomy.py::test_a_lesion_beside_a_doubtful_plane_may_lie_beyond_it",
    )
