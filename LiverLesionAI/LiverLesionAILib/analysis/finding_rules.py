"""The first part of the page of clinical decisions: the liver and its lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..models.inputs import MOST_SHIFT_HU
from .input_rules import InputRules
from .page import rule

_STAGES = "Testing/stages/test_stages.py"
_LINK = "Testing/stages/test_stages_link.py"
_POINT = "Testing/stages/test_point.py::test_the_page_says_how"
_FINER = f"{_STAGES}::test_the_finest_scale_is_looked_at_where_others_suspect_something"
_NECKS = "Testing/stages/test_stages_necks.py"
_PLAUSIBLE = "Testing/stages/test_plausible.py"
_EDGES = "Testing/stages/test_edges.py"
_AGREE = "Testing/stages/test_agree.py"
_PIPELINE = "Testing/analysis/test_pipeline.py"
_POLICY = "Testing/analysis/test_pipeline_policy.py"
_CALIBRATE = "liverlesionai calibrate"
_FIGURES = "Resources/EVIDENCE.md"
_CARD = "LiverLesionAI/LiverLesionAILib/data/Models/cs_att.md"
_CHAINS = "Testing/lab/test_training_detection.py::test_finds_the_law"


@dataclass(frozen=True)
class FindingRules(InputRules):
    """Rules of the stages from locating the liver to what can hardly be true."""

    HEADINGS: ClassVar[Mapping[str, str]] = {
        "ct_fewest_slices": "Which CTs are analysed",
        "smallest_liver_ml": "Where the liver is",
        "tumour_reach_mm": "Which voxels are liver and tumour",
        "score_threshold": "Which spots are lesions",
        "link_least_score": "What a detector's boxes say",
        "plausible_side_share": "What can hardly be true",
        "phase_means_hu": "Contrast phase",
        "strict_score": "How sure a finding is",
        "gallbladder_below_mm": "What is gallbladder",
        "align_least_dice": "Which lesion of an earlier scan is which",
        "anatomy_contrast_hu": "Vessels and segments of the liver",
        "classes_said": "Classes",
    }

    smallest_liver_ml: float = rule(
        120.0,
        "mL",
        "Less is no liver, whole or after resection: future liver remnants start near 250 mL, and a "
        "scan may cut one.",
        f"{_STAGES}::test_too_little_is_no_liver",
    )
    cut_off_mm2: float = rule(
        2000.0,
        "mm2",
        "With more liver in the first and last slice, the reader is told that the scan cuts it.",
        f"{_STAGES}::test_a_liver_at_the_scans_end_is_cut_off",
    )
    margin_mm: float = rule(
        20.0,
        "mm",
        "Networks see the coarse liver's box with this margin: it misses parts of the liver's rim.",
        f"{_POLICY}::test_a_margin_changes_the_box_not_the_findings",
        setting="margin_mm",
    )
    level_shift_hu: float = rule(
        MOST_SHIFT_HU,
        "HU",
        "A CT is shifted by at most this so that its liver lies where networks learnt it: phase, "
        "dose, scanner.",
        f"{_PIPELINE}::test_the_network_sees_the_liver_at_its_reference_level",
        fixed=True,
    )
    tumour_reach_mm: float = rule(
        15.0,
        "mm",
        "Nothing is looked for farther from the coarse liver.",
        f"{_PIPELINE}::test_the_tumour_map_shows_nothing_far_from_the_liver",
    )
    liver_reach_mm: float = rule(
        6.0,
        "mm",
        "Farther from the coarse liver a voxel is liver only as part of a tumour: heart muscle is "
        "taken for liver.",
        f"{_PIPELINE}::test_far_from_the_coarse_liver_only_a_tumour_is_believed",
    )
    shown_reach_mm: float = rule(
        8.0,
        "mm",
        "The tumour's probability is kept this far from the liver: what a reader may add to its edge.",
        f"{_PIPELINE}::test_near_the_liver_means_within_a_box_round_one_of_its_voxels",
    )
    finer_suspicion: float = rule(
        0.05,
        "0..1",
        "Probability of tumour at the other scales from which a slice is looked at in the finest one too, "
        "which costs most: what only the finest sees is noise or far under the score.",
        f"{_FINER}; {_FIGURES}",
    )
    finer_reach_mm: float = rule(5.0, "mm", "Slices this near to such a one are looked at as well.", _FINER)
    temperature: float = rule(
        1.0,
        "",
        "Divides the log-odds of the tumour's probability: above 1 less sure of itself.",
        _CALIBRATE,
        calibrated="segment temperature",
        setting="temperature",
    )
    liver_threshold: float = rule(
        0.5,
        "0..1",
        "Voxels at or above it are liver.",
        f"liverlesionai slices --liver-threshold; {_FIGURES}",
        calibrated="segment liver_threshold",
        setting="liver_threshold",
    )
    tumour_threshold: float = rule(
        0.5,
        "0..1",
        "Voxels at or above it belong to a lesion.",
        _CALIBRATE,
        calibrated="segment tumour_threshold",
        setting="tumour_threshold",
    )
    neck_mm: float = rule(
        10.0,
        "mm",
        "What hangs on the liver by a narrower neck is another organ: the narrowest, of those tried, "
        "that parts a "
        "left-out patient's stomach. Of six true livers it takes less than 0.1 % each.",
        f"{_NECKS}::test_true_livers_stay_whole",
    )
    neck_lobe_share: float = rule(
        0.2,
        "of the whole",
        "A larger part is a left lobe on a thin isthmus rather than a stomach, and stays.",
        f"{_NECKS}::test_a_large_part_is_a_lobe_however_thin_its_neck",
    )
    neck_tip_share: float = rule(
        0.002,
        "of the whole",
        "Smaller parts are tips of the liver itself; they go only with what they hang on.",
        f"{_NECKS}::test_true_livers_stay_whole",
    )
    cut_message_ml: float = rule(
        5.0,
        "mL",
        "From here on the reader is told what was left out of the liver.",
        f"{_POLICY}::test_what_was_cut_off_the_liver_is_said",
    )
    noisy_hu: float = rule(
        14.5,
        "HU",
        "From this SD of the liver's fine texture, on the networks' voxels, a scan is said to be noisy. Nine "
        "real scans have up to 13.4; the six labelled ones with noise of 25 HU added have 15.1 and more, and "
        "had 14 false lesions for 3 when it was chosen.",
        f"{_POLICY}::test_a_noisy_scan_is_said_to_be_noisy",
    )
    score_threshold: float = rule(
        0.7,
        "0..1",
        "A lesion's score, the mean of the upper half of its probabilities, has to reach it.",
        _CALIBRATE,
        calibrated="segment score_threshold",
        setting="score_threshold",
    )
    faintest_score: float = rule(
        0.15,
        "0..1",
        "The panel analyses down to it and keeps what is fainter than the threshold aside: the slider then "
        "lists it without computing.",
        "Testing/panel/test_panel_findings_table.py::test_the_threshold_moves_lesions_in_and_out",
    )
    smallest_mm: float = rule(
        4.0,
        "mm",
        "Equivalent diameter of the smallest lesion: three voxels of the networks' grid across, below which "
        "fissures and vessels look alike.",
        f"{_STAGES}::test_score_threshold_and_smallest_size",
        setting="smallest_mm",
    )
    inside_share: float = rule(
        0.12,
        "of its voxels",
        "Of a lesion that must lie in the liver itself: one at the capsule is often half taken for what lies "
        "outside, one in ascites or stomach wholly.",
        f"{_STAGES}::test_what_lies_wholly_beside_the_liver_goes_though_it_is_near",
    )
    surrounded_share: float = rule(
        0.48,
        "of its surroundings",
        "Of what lies 1 to 4 mm round a lesion that must be liver or lesion: a stomach that was listed had "
        "0.35, true lesions of six real scans 0.65 and more, of 19 synthetic ones 0.56. What has less is "
        "pointed at, not listed, and no liver.",
        "Testing/stages/test_beside.py::test_a_stomach_that_leans_on_the_liver_is_no_lesion_and_no_liver",
    )
    edge_share: float = rule(
        0.4,
        "of a lesion's contrast",
        "What differs less from the liver lies beyond the lesion's edge, and is no lesion.",
        f"{_EDGES}::test_a_dark_lesion_drawn_too_large_ends_at_its_edge",
    )
    edge_noise: float = rule(
        3.0,
        "times the liver's spread",
        "Lesions that differ less from the liver keep the network's outline.",
        f"{_EDGES}::test_a_faint_lesion_keeps_the_networks_outline",
    )
    edge_depth_mm: float = rule(
        3.0, "mm", "Deeper inside an outline nothing is taken away.", f"{_EDGES}::test_nothing_deep_is_taken"
    )
    edge_piece_share: float = rule(
        0.15,
        "of the largest piece",
        "A piece that falls off is a lesion of its own from this share on; smaller ones are liver.",
        f"{_EDGES}::test_two_lesions_drawn_as_one_come_apart",
    )
    reach_mm: float = rule(
        4.0,
        "mm",
        "Lesions may lie this far outside the predicted liver.",
        f"{_STAGES}::test_lesions_at_the_capsule_stay_and_far_ones_go",
    )
    closing_mm: float = rule(
        8.0,
        "mm",
        "Notches of the liver up to twice this wide are closed before lesions are looked for: unseen "
        "ones at its rim.",
        f"{_STAGES}::test_lesions_at_the_capsule_stay_and_far_ones_go",
    )
    link_least_score: float = rule(
        0.1,
        "0..1",
        "Fainter boxes of single slices are left out.",
        f"{_LINK}::test_no_box",
        calibrated="detect link_least_score",
    )
    link_least_share: float = rule(
        0.25,
        "of the best",
        "Boxes far fainter than the best of a lesion do not prolong it.",
        f"{_LINK}::test_far_fainter_boxes_do_not_prolong_a_lesion",
    )
    link_overlap: float = rule(
        0.3,
        "IoU",
        "With the box one slice away from which a box goes on a lesion.",
        f"{_LINK}::test_lesions_touching_one_above_the_other_stay_two",
    )
    link_gap: int = rule(
        1,
        "slices",
        "That may be missing within a lesion.",
        f"{_LINK}::test_a_missing_slice_is_bridged_two_are_not",
    )
    link_inside: float = rule(
        0.65,
        "of a box",
        "From which a box inside another lesion's is the same lesion.",
        f"{_LINK}::test_the_same_lesion_twice_is_one",
    )
    link_bias: float = rule(0.0, "log-odds", "Of a lesion's score.", _CHAINS, calibrated="detect link_bias")
    link_top: float = rule(
        1.0, "", "Weight of its best box in that score.", _CHAINS, calibrated="detect link_top"
    )
    link_support: float = rule(
        0.0, "", "Weight of the sum over its slices in that score.", _CHAINS, calibrated="detect link_support"
    )
    box_liver_share: float = rule(
        0.5,
        "of its ellipsoid",
        "Of a box that must lie in the closed liver.",
        f"{_LINK}::test_only_in_or_at_the_liver",
    )
    match_share: float = rule(
        0.2,
        "of mask or ellipsoid",
        "Shared from which a box and a mask are one lesion: several boxes lie in a large one, one "
        "round small ones.",
        f"{_LINK}::test_a_corner_in_common_is_no_match",
    )
    without_box: float | None = rule(
        None,
        "0..1",
        "What a missing box counts as in the geometric mean of a mask's and its box's score; none: "
        "boxes do not doubt masks. On five patients left out of training it took four of nine false "
        "lesions and no true one; it was found on four of them.",
        f"{_AGREE}::test_masks_without_a_believable_box_are_dropped_and_the_liver_is_as_without_them; "
        f"{_FIGURES}",
        calibrated="detect agree_without",
    )
    judged_mm: float = rule(
        25.0,
        "mm",
        "A mask of a larger equivalent diameter keeps its score: false ones are smaller, and a large "
        "lesion of an unusual kind may have no good box. A precaution: on no scan so far did it change "
        "anything.",
        f"{_AGREE}::test_a_large_mask_keeps_its_score_whatever_the_box; {_CARD}",
    )
    judged_bright_hu: float = rule(
        10.0,
        "HU",
        "In an arterial scan a mask that is brighter than the liver by more keeps its score: the detector "
        "has learnt from next to no lesion that is. In other phases what is bright is mostly a vessel.",
        "Testing/stages/test_bright_masks.py::test_a_bright_mask_is_not_doubted_in_an_arterial_scan; "
        f"{_FIGURES}",
    )
    box_threshold: float = rule(
        0.9,
        "0..1",
        "Score from which a box without a mask is a finding: at most one false one in two scans.",
        "Testing/lab/test_training_detection.py::test_operating_point_counts_false_boxes",
        calibrated="detect score_threshold",
        setting="detector_threshold",
    )
    alone_largest_mm: float = rule(
        15.0,
        "mm",
        "No side of such a box may be longer: what a mask network misses wholly is small. On 14 test "
        "scans of SynthLiver-1 boxes of 15 to 40 mm brought no lesion and three false findings.",
        f"{_LINK}::test_score_and_size; {_CARD}",
        calibrated="detect largest_alone_mm",
    )
    alone_suspicion: float = rule(
        0.2,
        "0..1",
        "Probability of tumour that the segmenter has to give somewhere in such a box: two networks "
        "of different kinds seldom imagine the same thing. Chosen on the scans its figures are of.",
        f"{_LINK}::test_the_segmenter_has_to_suspect_something_too; {_CARD}",
        calibrated="detect least_suspicion",
    )
    contrast_hu: float = rule(
        8.0,
        "HU",
        "Difference from the liver round it from which a spot has an outline to be grown to.",
        f"{_LINK}::test_without_contrast_the_ellipsoid",
    )
    contrast_spread: float = rule(
        0.8,
        "SD",
        "The same in SDs of that liver: in noise an outline follows the noise.",
        f"{_LINK}::test_grown_to_the_lesion",
    )
    noise_mm: float = rule(
        1.2, "mm", "SD of the smoothing before a lesion is grown.", f"{_LINK}::test_grown_to_the_lesion"
    )
    point_reach_mm: float = rule(
        45.0, "mm", "From the point where a lesion is added: nothing farther belongs to it.", _POINT
    )
    point_seed_mm: float = rule(
        2.5, "mm", "Round that point: the probability of tumour there stands for the lesion.", _POINT
    )
    point_ball_mm: float = rule(4.0, "mm", "Radius of what is proposed where nothing can be told.", _POINT)
    point_suspicion: float = rule(
        0.7,
        "0..1",
        "Probability of tumour at the point from which the network's own outline is taken; below, what "
        "tells itself from the liver is.",
        f"{_POINT}; liverlesionai clicks",
    )
    point_share: float = rule(
        0.5,
        "of the highest",
        "Probability of tumour at which that outline is drawn.",
        f"{_POINT}; liverlesionai clicks",
    )
    proposal_share: float = rule(
        0.15,
        "of the ellipsoid",
        "A grown mask that fills less of its box is noise; the ellipsoid is proposed.",
        "none: chosen by eye",
    )
    plausible_side_share: float = rule(
        0.03,
        "of the body's width",
        "A liver farther left of the spine leads the findings with a warning: mirrored, or situs inversus.",
        f"{_PLAUSIBLE}::test_a_mirrored_body_leads_the_findings",
    )
    plausible_least_ml_per_cm2: float = rule(
        0.6,
        "mL per cm2 of the body's section",
        "A smaller liver is doubted; eight real CTs lie between 1.2 and 3.2. Where the scan cuts it, it may "
        "be all.",
        f"{_PLAUSIBLE}::test_a_size_that_no_body_has",
    )
    plausible_most_ml_per_cm2: float = rule(
        4.5,
        "mL per cm2 of the body's section",
        "A larger liver is doubted: a wrong slice distance, or another organ.",
        f"{_PLAUSIBLE}::test_a_size_that_no_body_has",
    )
    plausible_liver_hu: tuple[float, float] = rule(
        (0.0, 200.0),
        "HU",
        "A liver that is darker or brighter, without its lesions, leads the findings with a warning; eleven "
        "real CTs lie between 42 and 121. Fat alone makes few livers darker than water.",
        f"{_PLAUSIBLE}::test_a_density_that_hardly_a_liver_has",
    )
