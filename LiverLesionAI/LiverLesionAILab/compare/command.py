"""`liverlesionai compare` segmenters, detectors, classifiers, follow-ups or cases: which, and its options."""

from __future__ import annotations

import argparse

from LiverLesionAILib.support.progress import Progress, silent

from ..evaluation.anatomy import add_anatomy_arguments, run_anatomy
from ..evaluation.anatomy_pictures import add_picture_arguments, run_pictures
from ..evaluation.anatomy_steady import add_steady_arguments, run_steady
from ..evaluation.followups import add_followup_arguments, run_followups
from ..evaluation.intervals import add_interval_arguments, run_intervals
from ..evaluation.lesion_class_command import add_lesion_class_arguments, run_lesion_classes
from ..evaluation.phase_table import add_phase_table_arguments, run_phase_table
from .attention import add_attention_arguments, run_attention_comparison
from .cases import add_case_arguments, run_compare_cases
from .classifiers import add_classifier_arguments, run_compare_classifiers
from .detectors import add_compare_arguments, run_compare
from .gates import add_gate_arguments, run_gates
from .remedies import add_remedy_arguments, run_remedies
from .segmenters import add_segmenter_arguments, run_compare_segmenters
from .transformed import add_transformed_arguments, run_transformed
from .tubes import add_tube_arguments, run_tubes

KINDS = {
    "segmenters": (add_segmenter_arguments, run_compare_segmenters, "SFAN, MSCD, VA Mask R-CNN, U-Nets"),
    "detectors": (add_compare_arguments, run_compare, "CS-Att, 3DCE and R-FCN on key slices"),
    "classifiers": (add_classifier_arguments, run_compare_classifiers, "DADRN and its eight variants"),
    "attention": (
        add_attention_arguments,
        run_attention_comparison,
        "a network with each of its attentions replaced, by its own metric",
    ),
    "gates": (add_gate_arguments, run_gates, "three remedies for SFAN's semantic gate, learnt alike"),
    "remedies": (
        add_remedy_arguments,
        run_remedies,
        "three remedies each for VA's and CS-Att's spatial attention",
    ),
    "anatomy": (add_anatomy_arguments, run_anatomy, "vessels and segments on SynthLiver-anatomy"),
    "tubes": (add_tube_arguments, run_tubes, "learn which tubes are of one tree, and what it gains"),
    "livers": (add_picture_arguments, run_pictures, "pictures of outlined livers' vessels and segments"),
    "steady": (add_steady_arguments, run_steady, "a liver on other grids: the same segments and landmarks"),
    "followups": (add_followup_arguments, run_followups, "simulated follow-ups with what is known of them"),
    "intervals": (add_interval_arguments, run_intervals, "intervals of long axes against true masks"),
    "classes": (add_lesion_class_arguments, run_lesion_classes, "lesions' classes by phase on SynthLiver-2"),
    "phases": (
        add_phase_table_arguments,
        run_phase_table,
        "the contrast phase of scans with an outlined liver",
    ),
    "cases": (add_case_arguments, run_compare_cases, "two runs over the same CTs: is anything different"),
    "transformed": (
        add_transformed_arguments,
        run_transformed,
        "a CT in another array, grid or file: does it find the same",
    ),
}


def add_comparison_arguments(parser: argparse.ArgumentParser) -> None:
    """A subcommand for each kind of comparison."""
    parser.description = (
        "Train networks alike, score them alike, print the table; or compare case folders or follow-ups."
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, (add, _, text) in KINDS.items():
        add(kinds.add_parser(name, help=text, description=text))


def run_comparison(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Run the comparison that was asked for.

    Raises:
        LiverLesionAIError: options or data that make no sense, or a training that failed.
    """
    _, run, _ = KINDS[args.kind]
    return run(args, progress)
