"""What `compare classes` measured, kept as one small file, from which its tables are printed again.

Numbers alone, of synthetic patients: per lesion its truth, per phase what was measured. Of real patients it
is never written.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.classify.differential import CLASSES, INDETERMINATE
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from numpy.typing import NDArray

from ..metrics.bootstrap import Interval, bootstrap
from ..metrics.classification import calibration_error, reliability_curve
from .lesion_classes import SETTINGS_OF, JudgedLesion, sayable

FACTS = ("number", "class", "habit", "rim", "contrast_hu")
NETWORK = ("network", "network_named")
"""Where a phase's record has what a network said."""
PACKED = ".gz"
Measurements = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class KeptPatient:
    """A patient without images.

    Attributes:
        lesions: truth by lesion number.
    """

    name: str
    lesions: Mapping[int, Mapping[str, Any]]


def write_kept(
    path: Path, patients: Sequence[Any], measurements: Measurements, figures: int | None = None
) -> None:
    """Keep truth and measurements of patients that have a name and lesions; compressed where it ends on gz.

    Args:
        figures: significant ones that are kept of every number. None: all, as fewer move lesions over a
            limit; few will do where points are fitted to what is kept.

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
    lines = (
        f"{json.dumps(name)}:{json.dumps(_shortened(one, figures), separators=(',', ':'))}"
        for name, one in data.items()
    )
    text = ("{" + ",\n".join(lines) + "}\n").encode("utf-8")
    # Without the hour: the same measurements are the same file.
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text, mtime=0) if path.suffix == PACKED else text)


def _shortened(value: Any, figures: int | None) -> Any:
    """The same with every fraction to so many significant figures."""
    if figures is None:
        return value
    if isinstance(value, float):
        return float(f"{value:.{figures}g}")
    if isinstance(value, Mapping):
        return {key: _shortened(one, figures) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(one, figures) for one in value]
    return value


def read_kept(path: Path) -> tuple[list[KeptPatient], Measurements]:
    """The way back.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    try:
        packed = path.read_bytes()
        data = json.loads(gzip.decompress(packed) if path.suffix == PACKED else packed)
        patients = [
            KeptPatient(name, {int(found["number"]): found for found in one["lesions"]})
            for name, one in data.items()
        ]
        measurements = {name: one["measured"] for name, one in data.items()}
        whole = all(set(FACTS) <= set(found) for one in patients for found in one.lesions.values())
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
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


DRAWS = 2000


def chance_table(judged: Mapping[str, Sequence[JudgedLesion]]) -> str:
    """How far calibration and abstention can be told from so few lesions, Markdown.

    Beside what was found stands what probabilities that are exactly right would have on lesions with the same
    probabilities: each is right by chance with its own. Mean, and 95 % of the draws.
    """
    head = ("phases", "lesions", "ECE", "if exactly calibrated", "wrong", "surest 80 %", "of wrong")
    lines = [f"| {' | '.join((*head, 'if exactly calibrated'))} |", "|---" * (len(head) + 1) + "|"]
    for name, lesions in judged.items():
        if not lesions:
            continue
        sure = np.array([one.confidence for one in lesions])
        right = np.array([one.guess == sayable(one.truth, SETTINGS_OF[name]) for one in lesions])
        rng = np.random.default_rng(0)
        drawn = np.array([_abstained(sure, rng.random(len(sure)) < sure) for _ in range(DRAWS)])
        ece, wrong, left = _abstained(sure, right)
        chance = [
            f"{column.mean():.3f} [{', '.join(f'{v:.3f}' for v in np.percentile(column, (2.5, 97.5)))}]"
            for column in (drawn[:, 0], drawn[:, 2] / np.maximum(drawn[:, 1], 1e-9))
        ]
        share = f"{left / wrong:.2f}" if wrong else ""
        cells = (f"{ece:.3f}", chance[0], f"{wrong:.3f}", f"{left:.3f}", share, chance[1])
        lines.append(f"| {name} | {len(sure)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _abstained(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """ECE, and the share wrong of all and of the surest 80 %."""
    order = np.argsort(-sure, kind="stable")[: max(1, round(0.8 * len(sure)))]
    error = calibration_error(reliability_curve(sure, right, 10))
    return error, float(1 - right.mean()), float(1 - right[order].mean())
