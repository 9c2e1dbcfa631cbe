"""The page's lines on earlier scans: when two livers lie on each other, and which lesions are one."""

from __future__ import annotations

from dataclasses import dataclass

from .neighbour_rules import NeighbourRules
from .page import rule

_TESTS = "Testing/analysis/test_followup"


@dataclass(frozen=True)
class FollowUpRules(NeighbourRules):
    """Which lesion of an earlier scan is which of the current one."""

    align_least_dice: float = rule(
        0.80,
        "Dice",
        "Livers that agree less after registration, where both scans cover them, are not compared.",
        f"{_TESTS}_doubts.py::test_another_patient_is_told",
    )
    align_most_gap_mm: float = rule(
        6.0,
        "mm",
        "Nor are those whose outlines lie farther apart, median.",
        f"{_TESTS}_doubts.py::test_another_patient_is_told",
    )
    align_unlike_dice: float = rule(
        0.84,
        "Dice",
        "Livers that agree less before they are bent are doubted: another patient, a resection, or much has "
        "changed.",
        f"{_TESTS}_doubts.py::test_another_patient_is_told",
    )
    pair_reach_mm: float = rule(
        8.0,
        "mm",
        "Beside its expected place a lesion may lie this far away; its radius comes on top.",
        f"{_TESTS}.py::test_lesions_are_paired_across_a_breath",
    )
    pair_unlike: float = rule(
        0.5,
        "of the distance in reaches",
        "Weight of two lesions' log ratio of diameters: of two in reach the more alike one is the same.",
        "none: chosen by eye",
    )
    pair_nothing: float = rule(
        1.5,
        "of the distance in reaches",
        "A pair that costs more is none: the one is gone, the other new.",
        "none: at its very place a factor of 20 in diameter, at the end of its reach one of 2.7",
    )
    pair_inside_mm: float = rule(
        3.0,
        "mm",
        "What is nearer to another lesion's voxels lies in it.",
        f"{_TESTS}_states.py::test_lesions_that_merge_and_split",
    )
    pair_part: float = rule(
        0.5,
        "of the lesion",
        "So much of it has to lie in another for a merge or a split.",
        f"{_TESTS}_states.py::test_lesions_that_merge_and_split",
    )
    cut_seed: float = rule(
        0.6,
        "of the lesion's radius",
        "Where one outline lies round several lesions of the other scan, so much round the middle of each is "
        "sure to be its part.",
        "none: chosen by eye",
    )
    cut_least_ml: float = rule(
        0.05,
        "mL",
        "A smaller part is a chip of the outline's edge: then the outline is not proposed to be split.",
        "Testing/stages/test_followup_parts.py::test_what_is_not_in_the_outline_is_no_seed_of_it",
    )
    cut_neck: float = rule(
        2.0,
        "radii",
        "So much the outline's depth counts against the distance from the lesions: the seam runs along a "
        "neck where there is one.",
        "Testing/stages/test_followup_parts.py::test_touching_lesions_are_parted_at_their_neck",
    )
    faint_least: float = rule(
        0.25,
        "probability",
        "Where one scan lists a lesion and the other none, half of its volume has to reach this in the other "
        "to be called faint in one scan, and not new or gone.",
        "Resources/Benchmarks/followups.md",
    )
    faint_reach_mm: float = rule(
        5.0,
        "mm",
        "So far beside its expected place it is looked for.",
        f"{_TESTS}_faint.py::test_what_one_scan_does_not_list_is_looked_for_in_its_probability",
    )
    pair_edge_mm: float = rule(
        2.0,
        "mm",
        "A place nearer to a scan's end is not covered by it: a lesion there is neither new nor gone.",
        f"{_TESTS}.py::test_what_a_scan_does_not_show_is_not_covered",
    )
