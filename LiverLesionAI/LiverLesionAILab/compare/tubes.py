"""`liverlesionai compare tubes`: learn which tubes are of one tree, and what is named right by it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from ..evaluation.anatomy_methods import namer_of, network_of

PASSED_OVER, PATIENTS, MOST_VOXELS = 71, 96, 32000
"""Patients that the naming network has learnt from, those that follow, and the most tube voxels of one:
a scan full of grain has three times as many."""
VALIDATED = 6
"""Every so many a patient is not learnt from."""


def add_tube_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare tubes`."""
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="of the vessel network")
    parser.add_argument("--names", type=Path, required=True, metavar="FILE", help="of the naming network")
    parser.add_argument("--patients", type=int, default=PATIENTS, metavar="N", help=f"default {PATIENTS}")
    parser.add_argument("--epochs", type=int, default=5, help="default 5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache"), help="patients that were drawn and seen"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets tube_names.npz")


def run_tubes(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Learn the table, write it with its curve, and say what is right on patients left out.

    Raises:
        InputError: too few patients.
    """
    from ..training.tube_training import learn, right, save_table, tube_cases

    finder, namer = network_of(args.weights), namer_of(args.names)
    cases = tube_cases(args.cache, PASSED_OVER, args.patients, finder, namer, progress)
    cases = [case for case in cases if len(case.labels) < MOST_VOXELS]
    left, learnt = cases[::VALIDATED], [case for k, case in enumerate(cases) if k % VALIDATED]
    if not learnt:
        raise InputError("Too few patients: at least two are asked for.")
    field, losses = learn(learnt, args.epochs, args.seed, progress)
    args.out.mkdir(parents=True, exist_ok=True)
    save_table(field.table(), args.out / "tube_names.npz")
    rows: Mapping[str, Any] = {
        "learnt": [case.name for case in learnt],
        "left out": [case.name for case in left],
        "loss": losses,
        "right before": [right(None, case) for case in left],
        "right": [right(field, case) for case in left],
    }
    write_text(args.out / "tubes.json", json.dumps(rows, indent=1) + "\n")
    before, after = (np.mean(rows[key], axis=0) for key in ("right before", "right"))
    print(f"named right on {len(left)} patients left out: {before[0]:.3f} before, {after[0]:.3f} now; ")
    print(f"of thin tubes {before[1]:.3f} and {after[1]:.3f}")
    return 0
