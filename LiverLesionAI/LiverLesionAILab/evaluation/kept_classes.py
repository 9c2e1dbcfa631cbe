"""What `compare classes` measured, kept as one small file, from which its tables are printed again.

Numbers alone, of synthetic patients: per lesion its truth, per phase what was measured. Of real patients it
is never written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.classify.differential import CLASSES, INDETERMINATE
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from numpy.typing import NDArray

from ..metrics.bootstrap import Interval, bootstrap
from .lesion_classes import JudgedLesion, sayable

FACTS = ("number", "class", "habit", "rim", "contrast_hu")
NETWORK = ("network", "network_named")
"""Where a phase's record has what a network said."""
Measurements = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class KeptPatient:
    """A patient without images.

    Attributes:
        lesions: truth by lesion number.
    """

    name: str
    lesions: Mapping[int, Mapping[str, Any]]


def write_kept(path: Path, patients: Sequence[Any], measurements: Measurements) -> None:
    """Keep truth and measurements of patients that have a name and lesions, to the last digit.

    Fewer digits move lesions over a limit.

    Raises:
        OutputError: no space, no permission.
    """
    data = {
        one.name: {
            "lesions": [{fact: found[fact] for fact in FACTS} for found in one.lesions.values()],
            "measured": measurements[one.name],
        }
        for one in patients
    }
    lines = (f"{json.dumps(name)}:{json.dumps(one, separators=(',', ':'))}" for name, one in data.items())
    write_text(path, "{" + ",\n".join(lines) + "}\n")


def read_kept(path: Path) -> tuple[list[KeptPatient], Measurements]:
    """The way back.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        patients = [
            KeptPatient(name, {int(found["number"]): found for found in one["lesions"]})
            for name, one in data.items()
        ]
        measurements = {name: one["measured"] for name, one in data.items()}
        whole = all(set(FACTS) <= set(found) for one in patients for found in one.lesions.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no measurements of `compare classes` ({error}).") from error
    if not patients or not whole:
        raise InputError(f"{path} holds no measurements of `compare classes`.")
    return patients, measurements


def without_network(measurements: Measurements) -> Measurements:
    """The same measurements, as if no network had been asked."""
    return {
        name: {
            phase: {key: {} if key in NETWORK else value for key, value in record.items()}
            for phase, record in phases.items()
        }
        for name, phases in measurements.items()
    }


def interval_table(
    judged: Mapping[str, Sequence[JudgedLesion]], phases: Mapping[str, Sequence[Phase]]
) -> str:
    """Balanced accuracy and share wrong with 95 % bootstrap intervals over patients, Markdown."""
    lines = ["| phases | patients | balanced | wrong |", "|---|---|---|---|"]
    for name, lesions in judged.items():
        if lesions:
            balanced, wrong = class_intervals(lesions, phases[name])
            lines.append(f"| {name} | {wrong.n_patients} | {_said(balanced)} | {_said(wrong)} |")
    return "\n".join(lines)


def class_intervals(judged: Sequence[JudgedLesion], phases: Sequence[Phase]) -> tuple[Interval, Interval]:
    """Balanced accuracy and share wrong; a draw's balance is over the classes that it has."""
    truths = np.array([sayable(one.truth, phases) for one in judged])
    right = truths == np.array([one.guess for one in judged])
    known = [c for c in (*CLASSES, INDETERMINATE) if (truths == c).any()]
    codes = np.array([known.index(c) for c in truths])

    def balanced(rows: NDArray[np.int64]) -> float:
        there = np.bincount(codes[rows], minlength=len(known))
        hit = np.bincount(codes[rows], weights=right[rows], minlength=len(known))
        return float((hit[there > 0] / there[there > 0]).mean())

    patients = [one.patient for one in judged]
    return (
        bootstrap(balanced, patients, seed=0),
        bootstrap(lambda rows: float(1 - right[rows].mean()), patients, seed=0),
    )


def _said(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
