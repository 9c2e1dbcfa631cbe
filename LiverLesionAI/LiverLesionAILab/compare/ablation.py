"""`liverlesionai ablation`: evaluations of runs that left out a part, beside that of the run that did not."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text

from ..evaluation.tables import align, number, with_interval
from ..metrics.bootstrap import Interval, compare_paired, mean_interval


@dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
        name: of the run.
        patients, liver, tumour: case -> patient, Dice of liver and of tumour (NaN where undefined).
        found, lesions, false: case -> count.
    """

    name: str
    patients: Mapping[str, str]
    liver: Mapping[str, float]
    tumour: Mapping[str, float]
    found: Mapping[str, int]
    lesions: Mapping[str, int]
    false: Mapping[str, int]


def add_ablation_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `ablation`."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="[NAME=]evaluation.json",
        help="written by `evaluate`; the first is what the others are compared with",
    )
    parser.add_argument("--method", default="", help="which method of the files, where they hold several")
    parser.add_argument("--seed", type=int, default=0, help="of bootstrap and permutations")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the table to this file")


def run_ablation(
    args: argparse.Namespace,
    say: Callable[[str], None] = print,
    progress: object = None,  # noqa: ARG001 (every command gets one)
) -> int:
    """Print the table.

    Returns:
        0.

    Raises:
        InputError: a file is missing, damaged, or of other cases. OutputError: `--out` cannot be written.
    """
    runs = []
    for text in args.runs:
        name, _, file = text.rpartition("=")
        path = Path(file)
        runs.append(read_run(path, name or path.resolve().parent.name, args.method))
    table = ablation_table(runs, seed=args.seed)
    say(table)
    if args.out is not None:
        write_text(args.out, table + "\n")
    return 0


def read_run(path: Path, name: str, method: str = "") -> Run:
    """One method of an `evaluation.json`.

    Raises:
        InputError: the file is missing or damaged, or the method is not in it or not said.
    """
    try:
        methods: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["methods"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no evaluation of `liverlesionai evaluate` ({error}).") from error
    if method and method not in methods:
        raise InputError(f"{path}: no method {method}; there are {', '.join(methods)}.")
    if not method and len(methods) != 1:
        raise InputError(f"{path} holds {', '.join(methods)}: say which with --method.")
    try:
        cases = methods[method or next(iter(methods))]["cases"]
        by_name = {case["name"]: case for case in cases}
        return Run(
            name,
            {n: c["patient"] for n, c in by_name.items()},
            {n: _dice(c["liver"]) for n, c in by_name.items()},
            {n: _dice(c["tumour"]) for n, c in by_name.items()},
            *({n: int(c["lesions"][key]) for n, c in by_name.items()} for key in ("found", "total", "false")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged, or evaluates no scans ({error}).") from error


def ablation_table(runs: Sequence[Run], *, seed: int = 0) -> str:
    """One line per run, with the paired difference of the tumour Dice from the first one.

    Raises:
        InputError: the runs are not of the same cases.
    """
    first = runs[0]
    healthy = [n for n, total in first.lesions.items() if total == 0]
    heading = ["", "liver Dice", "tumour Dice", "difference", "p", "found", "false per scan"]
    lines = [[*heading, *(["false per healthy liver"] if healthy else [])]]
    for run in runs:
        if set(run.patients) != set(first.patients):
            raise InputError(f"{run.name} is not an evaluation of the same scans as {first.name}.")
        line = [run.name]
        for values in (run.liver, run.tumour):
            line.append(with_interval(_mean(values, run.patients, seed)))
        if run is first:
            line += ["", ""]
        else:
            paired = compare_paired(first.tumour, run.tumour, first.patients, seed=seed)
            line += [with_interval(paired.difference), number(paired.p_value)]
        line.append(f"{sum(run.found.values())}/{sum(run.lesions.values())}")
        line.append(f"{sum(run.false.values()) / len(run.false):.2f}")
        if healthy:
            line.append(f"{sum(run.false[n] for n in healthy) / len(healthy):.2f}")
        lines.append(line)
    n_patients = len(set(first.patients.values()))
    return (
        f"{align(lines)}\n{len(first.patients)} scans of {n_patients} patients; 95 % bootstrap intervals "
        "over patients in brackets; p: two-sided permutation test over patients."
    )


def _mean(values: Mapping[str, float], patients: Mapping[str, str], seed: int) -> Interval:
    return mean_interval(list(values.values()), [patients[n] for n in values], seed=seed)


def _dice(scores: Mapping[str, Any] | None) -> float:
    value = None if scores is None else scores["dice"]
    return math.nan if value is None else float(value)
