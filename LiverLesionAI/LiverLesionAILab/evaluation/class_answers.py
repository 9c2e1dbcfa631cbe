"""Classes of several kept sets together, and against what was said of the same lesions before a change.

    python -m LiverLesionAILab.evaluation.class_answers KEPT [KEPT ...]
    python -m LiverLesionAILab.evaluation.class_answers KEPT [KEPT ...] --keep FILE
    python -m LiverLesionAILab.evaluation.class_answers KEPT [KEPT ...] --before FILE

KEPT are measurements of `compare classes --keep`. What the product says of them today can be kept as answers
(`--keep`), which a later version is held against (`--before`): the same lesions, differences with 95 %
bootstrap intervals over patients.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from numpy.typing import NDArray

from ..metrics.bootstrap import bootstrap
from ..metrics.classification import calibration_error, reliability_curve
from .kept_classes import KeptPatient, Measurements, chance_table, interval_table, read_kept
from .lesion_class_command import class_table
from .lesion_classes import (
    SETTINGS_OF,
    JudgedLesion,
    class_figures,
    judged_lesions,
    sayable,
    with_even_priors,
)

STATED, EVEN = "stated", "even"
PRIORS = (STATED, EVEN)
DRAWS = 2000

Figure = Callable[[NDArray[np.int64]], float]
"""Of some lesions, by their rows."""
Judged = dict[str, dict[str, list[JudgedLesion]]]
"""Priors -> setting -> lesions."""
Answers = dict[str, dict[str, dict[str, tuple[str, float]]]]
"""Priors -> setting -> "patient/number" -> most probable class and its probability."""


def read_all(paths: Sequence[Path]) -> tuple[list[KeptPatient], Measurements]:
    """Patients and measurements of several kept files as one.

    Raises:
        InputError: a damaged file, or a patient in two of them.
    """
    patients: list[KeptPatient] = []
    measurements: Measurements = {}
    for path in paths:
        own, measured = read_kept(path)
        if set(measured) & set(measurements):
            raise InputError(f"{path}: some of its patients are in another file as well.")
        patients += own
        measurements.update(measured)
    return patients, measurements


def judged_by_priors(patients: Sequence[KeptPatient], measurements: Measurements) -> Judged:
    """All lesions in all settings, as the product with its bundled network judges them."""
    stated = Rules().calibrated(ModelStore.bundled(None).manifest.find("dadrn")).part(DifferentialSettings)
    return {
        priors: {
            name: judged_lesions(patients, measurements, phases, settings)
            for name, phases in SETTINGS_OF.items()
        }
        for priors, settings in ((STATED, stated), (EVEN, with_even_priors(stated)))
    }


def answers_of(judged: Judged) -> Answers:
    """What is said, without what it was said from."""
    return {
        priors: {
            name: {f"{one.patient}/{one.number}": (one.guess, round(one.confidence, 4)) for one in lesions}
            for name, lesions in settings.items()
        }
        for priors, settings in judged.items()
    }


def write_answers(path: Path, answers: Answers) -> None:
    """Keep answers, compressed.

    Raises:
        OutputError: no space, no permission.
    """
    with replacing(path) as part:
        part.write_bytes(gzip.compress(json.dumps(answers, separators=(",", ":")).encode(), mtime=0))


def read_answers(path: Path) -> Answers:
    """The way back.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    try:
        kept = json.loads(gzip.decompress(path.read_bytes()))
        return {
            priors: {
                name: {lesion: (str(guess), float(p)) for lesion, (guess, p) in kept[priors][name].items()}
                for name in SETTINGS_OF
            }
            for priors in PRIORS
        }
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no answers of `class_answers --keep` ({error}).") from error


def paired_table(
    judged: Mapping[str, Sequence[JudgedLesion]], before: Mapping[str, Mapping[str, tuple[str, float]]]
) -> str:
    """A row per setting: balanced accuracy, share wrong and ECE before and now, Markdown.

    Raises:
        InputError: answers are missing of a lesion.
    """
    head = ("phases", "lesions", "balanced before", "now", "difference", "wrong before", "now", "difference")
    head += ("ECE before", "now", "difference")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, lesions in judged.items():
        known = before[name]
        missing = [one for one in lesions if f"{one.patient}/{one.number}" not in known]
        if missing:
            raise InputError(f"No answer of before for lesion {missing[0].number} of {missing[0].patient}.")
        truths = np.array([sayable(one.truth, SETTINGS_OF[name]) for one in lesions])
        old = [known[f"{one.patient}/{one.number}"] for one in lesions]
        was = truths == np.array([guess for guess, _ in old])
        right = truths == np.array([one.guess for one in lesions])
        were, sure = np.array([p for _, p in old]), np.array([one.confidence for one in lesions])
        patients = [one.patient for one in lesions]
        cells = [name, str(len(lesions))]
        for one, other in zip(_figures(truths, was, were), _figures(truths, right, sure), strict=True):
            cells += _compared(one, other, patients)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figures(
    truths: NDArray[np.str_], right: NDArray[np.bool_], sure: NDArray[np.float64]
) -> tuple[Figure, Figure, Figure]:
    """Balanced accuracy, share wrong and ECE; a draw's balance is over the classes that it has."""
    names, codes = np.unique(truths, return_inverse=True)

    def balanced(rows: NDArray[np.int64]) -> float:
        there = np.bincount(codes[rows], minlength=len(names))
        hit = np.bincount(codes[rows], weights=right[rows], minlength=len(names))
        return float((hit[there > 0] / there[there > 0]).mean())

    return (
        balanced,
        lambda rows: float(1 - right[rows].mean()),
        lambda rows: calibration_error(reliability_curve(sure[rows], right[rows], 10)),
    )


def _compared(one: Figure, other: Figure, patients: Sequence[str]) -> list[str]:
    every = np.arange(len(patients))
    change = bootstrap(lambda rows: other(rows) - one(rows), patients, seed=0, n_draws=DRAWS)
    said = f"{change.value:+.3f} [{change.low:.3f}, {change.high:.3f}]"
    return [f"{one(every):.3f}", f"{other(every):.3f}", said]


def tables(judged: Judged, before: Answers | None = None) -> list[str]:
    """Titles and tables in turn."""
    parts = []
    for priors, settings in judged.items():
        parts += [
            f"With {'the stated' if priors == STATED else 'even'} priors:",
            class_table({n: class_figures(one, SETTINGS_OF[n]) for n, one in settings.items() if one}),
            interval_table(settings, SETTINGS_OF),
            chance_table(settings),
        ]
        if before is not None:
            parts.append(paired_table(settings, before[priors]))
    return parts


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, and print or keep."""
    parser = argparse.ArgumentParser(prog="class_answers", description=__doc__.split("\n")[0])
    parser.add_argument("kept", type=Path, nargs="+", help="measurements of `compare classes --keep`")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep today's answers (.json.gz)")
    parser.add_argument("--before", type=Path, metavar="FILE", help="answers that are compared with today's")
    args = parser.parse_args(arguments)
    patients, measurements = read_all(args.kept)
    judged = judged_by_priors(patients, measurements)
    if args.keep is not None:
        write_answers(args.keep, answers_of(judged))
        return 0
    before = None if args.before is None else read_answers(args.before)
    print(f"{len(patients)} patients, true masks.\n")
    print("\n\n".join(tables(judged, before)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
