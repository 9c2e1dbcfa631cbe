"""The second part of the page of clinical decisions: organs beside the liver."""

from __future__ import annotations

from dataclasses import dataclass

from .operating_rules import OperatingRules
from .page import rule

_GALLBLADDER = "Testing/stages/test_gallbladder.py"
_ENDS = "Testing/stages/test_gallbladder_ends.py"
_MEASURED = "liverlesionai gallbladders"


@dataclass(frozen=True)
class NeighbourRules(OperatingRules):
    """What is gallbladder, and what of the liver and its lesions it takes."""

    gallbladder_below_mm: float = rule(
        45.0,
        "mm",
        "It is looked for so far below the liver's box: a long one hangs out of it.",
        "none: anatomy",
    )
    gallbladder_leftmost: float = rule(
        0.75,
        "of the liver's width",
        "It lies no farther to the left: of 64 outlined ones none lies left of the body's middle.",
        f"{_GALLBLADDER}::test_it_is_looked_for_where_gallbladders_lie",
    )
    gallbladder_highest: float = rule(
        0.85,
        "of the liver's height",
        "It lies no higher: above are dome and heart.",
        f"{_GALLBLADDER}::test_it_is_looked_for_where_gallbladders_lie",
    )
    gallbladder_threshold: float = rule(
        0.5,
        "0..1",
        "Voxels at or above it are gallbladder.",
        _MEASURED,
        calibrated="neighbour threshold",
    )
    gallbladder_peak: float = rule(
        0.8,
        "0..1",
        "The mean of its surest tenth has to reach it; else none is seen.",
        _MEASURED,
        calibrated="neighbour peak",
    )
    gallbladder_smallest_ml: float = rule(
        0.7,
        "mL",
        "A smaller one is none: collapsed ones hold 2 mL and more with their wall.",
        f"{_GALLBLADDER}::test_doubtful_probability_is_no_gallbladder",
    )
    gallbladder_from_liver_mm: float = rule(
        6.0,
        "mm",
        "A part that comes nowhere so near the coarse liver, a grid of 3 mm, is bowel: a gallbladder's neck "
        "or body does, wherever its fundus hangs.",
        f"{_GALLBLADDER}::test_bowel_away_from_the_liver_is_no_gallbladder",
    )
    gallbladder_fragment_mm: float = rule(
        8.0,
        "mm",
        "Parts farther from its largest part do not belong to it.",
        f"{_GALLBLADDER}::test_mask_is_one_gallbladder_without_fat_and_specks",
    )
    gallbladder_neck_mm: float = rule(
        6.0,
        "mm",
        "Lobes of what looks like bile that are joined by less than this width are told apart: bowel and "
        "free fluid hang on a gallbladder by a neck.",
        f"{_GALLBLADDER}::test_a_loop_of_bowel_that_hangs_on_it_by_a_neck_is_left_out",
    )
    gallbladder_contact: float = rule(
        0.12,
        "of its surface",
        "A lobe of whose surface less lies at the liver lies away from it: loops of bowel and free fluid in "
        "real scans had 0 to 0.09, gallbladders 0.23 and more.",
        f"{_GALLBLADDER}::test_a_loop_of_bowel_that_hangs_on_it_by_a_neck_is_left_out",
    )
    gallbladder_whole_ml: float = rule(
        70.0,
        "mL",
        "Beside the lobe that is most gallbladder at the liver further ones count while all together hold no "
        "more: fasting gallbladders hold 20 to 60. One lobe by itself may hold more.",
        f"{_GALLBLADDER}::test_of_two_large_lobes_at_the_liver_one_is_the_gallbladder",
    )
    gallbladder_away_ml: float = rule(
        30.0,
        "mL",
        "And one away from the liver while all hold no more: a folded fundus (phrygian cap) hangs there too.",
        f"{_GALLBLADDER}::test_a_folded_fundus_belongs_to_it",
    )
    gallbladder_fat_hu: float = rule(
        -25.0,
        "HU",
        "Smoothed voxels below are fat or gas, never gallbladder.",
        f"{_GALLBLADDER}::test_mask_is_one_gallbladder_without_fat_and_specks",
    )
    gallbladder_lesion_share: float = rule(
        0.5,
        "of its voxels",
        "A lesion of which so much is gallbladder is not one.",
        _MEASURED,
        calibrated="neighbour lesion_share",
    )
    gallbladder_enclosed: float = rule(
        0.75,
        "of its surroundings",
        "A lesion that liver surrounds by more stays, whole, and is doubtful: no one of 64 gallbladders "
        "is, of cysts and metastases in the bed most are.",
        f"{_GALLBLADDER}::test_a_lesion_that_liver_surrounds_stays_whatever_it_looks_like",
    )
    gallbladder_end_part: float = rule(
        0.33,
        "of its volume",
        "Unless it is the end of a gallbladder that goes on beyond it, a third of it at most: a deep one's "
        "upper end has liver on all sides but that.",
        f"{_ENDS}::test_the_end_of_a_deep_gallbladder_is_no_lesion",
    )
    gallbladder_end_contact: float = rule(
        0.4,
        "of its border",
        "An end meets what it goes on into with at least so much of its border, within a voxel; lesions at "
        "the bed that the mask runs into mostly meet it with less.",
        f"{_ENDS}::test_what_meets_it_with_little_of_its_border_stays",
    )
    gallbladder_end_hu: float = rule(
        12.0,
        "HU",
        "An end is about as dense as the gallbladder near it; what is denser or less dense is a lesion.",
        f"{_ENDS}::test_what_is_of_another_density_stays",
    )
    gallbladder_end_wall: float = rule(
        0.5,
        "of the way to the liver's HU",
        "And what lies between both is no wall: it is less dense than this.",
        f"{_ENDS}::test_what_a_wall_parts_from_it_stays",
    )
    gallbladder_doubt_share: float = rule(
        0.15,
        "of its voxels",
        "A lesion with so much of it is doubtful and loses that part; one with less keeps it: "
        "necrosis is fluid too.",
        f"{_GALLBLADDER}::test_growth_from_gallbladder_into_liver_keeps_its_liver_part",
    )
    gallbladder_beside_mm: float = rule(
        2.5,
        "mm",
        "A lesion's border this near to it touches it: a voxel of the networks' grid.",
        f"{_GALLBLADDER}::test_lesion_beside_the_gallbladder_stays_and_is_reported",
    )
    gallbladder_beside_share: float = rule(
        0.05,
        "of its border",
        "A lesion that touches it with so much is listed as doubtful.",
        f"{_GALLBLADDER}::test_lesion_beside_the_gallbladder_stays_and_is_reported",
    )
    gallbladder_solid_mm: float = rule(
        10.0,
        "mm",
        "A part of it as dense as tissue over such a width is reported: a mass in its wall, or dense bile.",
        f"{_GALLBLADDER}::test_mass_in_the_wall_is_reported",
    )
    gallbladder_solid_level: float = rule(
        0.55,
        "of the liver's HU",
        "As dense as tissue is nearer to the liver than to water.",
        f"{_GALLBLADDER}::test_plain_bile_is_not_reported_as_a_mass",
    )
    gallbladder_bright_hu: float = rule(
        60.0,
        "HU",
        "What is brighter than the liver by more is stone or contrast medium, not tissue.",
        "none: stones and contrast medium lie above",
    )
