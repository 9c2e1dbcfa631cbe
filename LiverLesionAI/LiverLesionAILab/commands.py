"""The laboratory's commands, as the command line finds them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module

from LiverLesionAILib.cli.tools import Tool

Parts = tuple[Callable[[argparse.ArgumentParser], None], Callable[..., int]]


def _tool(module: str, add: str, run: str, text: str) -> Tool:
    def load() -> Parts:
        loaded = import_module(f"LiverLesionAILab.{module}")
        return getattr(loaded, add), getattr(loaded, run)

    return Tool(text, load)


SYNTHESIZE = _tool(
    "synthesis.synthliver.command",
    "add_synthesize_arguments",
    "run_synthesize",
    "make a benchmark set (SynthLiver-1, -2, -anatomy) and check it, or the sample case",
)
TRAIN = _tool("training.command", "add_train_arguments", "run_train", "train a bundled network again")
EVALUATE = _tool(
    "evaluation.command",
    "add_evaluate_arguments",
    "run_evaluate",
    "score masks or the bundled models against truth",
)
CALIBRATE = _tool(
    "evaluation.calibrate",
    "add_calibrate_arguments",
    "run_calibrate",
    "temperature and thresholds from patients a network has not seen",
)
ABLATION = _tool(
    "compare.ablation",
    "add_ablation_arguments",
    "run_ablation",
    "compare evaluations of runs that left out a part",
)
COMPARE = _tool(
    "compare.command",
    "add_comparison_arguments",
    "run_comparison",
    "train networks and their variants alike and score them alike",
)
KILLS = _tool(
    "fuzz.kills",
    "add_kills_arguments",
    "run_kills",
    "kill analyze and batch at random moments and look at what is left",
)
GALLBLADDERS = _tool(
    "evaluation.gallbladders",
    "add_gallbladder_arguments",
    "run_gallbladders",
    "score the gallbladder's network and rule on slices and synthetic scans",
)
SLICES = _tool(
    "evaluation.slices",
    "add_slice_arguments",
    "run_slices",
    "liver and false tumours on single slices of patients that no training has seen",
)
OPERATING = _tool(
    "evaluation.operating",
    "add_operating_arguments",
    "run_operating",
    "strict and sensitive settings, and the probability of a finding, from an evaluation",
)
FUZZ = _tool(
    "fuzz.command", "add_fuzz_arguments", "run_fuzz", "throw damaged and contradicting inputs at the reader"
)
CLICKS = _tool(
    "evaluation.clicks",
    "add_click_arguments",
    "run_clicks",
    "what one click gives for lesions that are not listed",
)
CANDIDATES = _tool(
    "evaluation.second_look",
    "add_candidate_arguments",
    "run_candidates",
    "judge the default line's candidates by a trained second look, and compare",
)
