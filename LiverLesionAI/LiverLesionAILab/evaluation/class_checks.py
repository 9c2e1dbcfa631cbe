"""What the points of the signs leave on the table: a model without their rules, and a temperature.

    python -m LiverLesionAILab.evaluation.class_checks Resources/results/classes_other.json.gz

On the bodies that :mod:`.class_points` fits to, each quarter judged by what was learnt from the others:

- Boosted trees on everything that is measured, free in direction and combination, beside the points. Where
  they are no better, what is measured tells no more. A lesion's size is kept from them, as the synthesis
  draws each kind from its own range.
- A temperature on the probabilities of each setting (Guo C et al., On calibration of modern neural networks,
  ICML 2017): what it would do to the expected calibration error.

Needs scikit-learn. SynthLiver-2 is not read.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.classify.differential import (
    CLASSES,
    INDETERMINATE,
    Context,
    DifferentialSettings,
    table_logs,
)
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.stages.classify.signs import lost_to_fat, measured_signs
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import optimize

from ..metrics.bootstrap import bootstrap
from ..metrics.classification import calibration_error, reliability_curve
from .class_points import PENALTY, HeldOut, held_out, judged_apart
from .kept_classes import Measurements, read_kept
from .lesion_classes import SETTINGS_OF, JudgedLesion, read_phase, sayable, with_even_priors
from .tables import number

SIZES = ("diameter_mm", "core_error_hu", "surface_mm", "whole_core")
"""Not shown to the trees: size, and what follows from it."""
KINDS = (*CLASSES, INDETERMINATE)


@dataclass(frozen=True, eq=False)
class Shown:
    """Lesions of a setting as trees see them.

    Attributes:
        values: (lesions, figures), NaN where not measured.
        truths: what can be said; guesses: by the points of other bodies; bodies: of each.
    """

    values: NDArray[np.float64]
    truths: NDArray[np.str_]
    guesses: NDArray[np.str_]
    bodies: NDArray[np.str_]


def shown(
    judged: Sequence[JudgedLesion],
    measurements: Measurements,
    phases: Sequence[Phase],
    settings: DifferentialSettings,
) -> Shown:
    """Everything that is measured on these lesions in these phases."""
    rows = []
    for one in judged:
        records = measurements[one.patient]
        there = [phase for phase in phases if phase.value in records]
        views = [read_phase(records[p.value], p if len(phases) > 1 else None) for p in there]
        context = Context(
            vessels_hu={view.phase: view.vessels_hu for view in views},
            aorta_hu={view.phase: view.aorta_hu for view in views},
        )
        rows.append(_figures(one.phases, context, settings, len(phases) == 1))
    names = sorted({name for row in rows for name in row})
    values = np.array([[row.get(name, math.nan) for name in names] for row in rows])
    told = [len(np.unique(column[np.isfinite(column)])) > 3 for column in values.T]
    return Shown(
        values[:, told],
        np.array([sayable(one.truth, phases) for one in judged]),
        np.array([one.guess for one in judged]),
        np.array([one.patient for one in judged]),
    )


def _figures(
    seen: Mapping[str, LesionFeatures], context: Context, settings: DifferentialSettings, alone: bool
) -> dict[str, float]:
    """By name; of one phase alone by what they are, as some are taken for another phase."""
    found = {"fat": lost_to_fat(seen, context.vessels_hu, context.aorta_hu)}
    signs = measured_signs(seen, context.aorta_hu)
    found |= {f"sign {name}": value for name, value in signs.items() if name not in SIZES}
    found |= {f"table {look}": value for look, value in table_logs(seen, context, settings).items()}
    for phase, one in seen.items():
        aorta = context.aorta_hu.get(phase, math.nan)
        own = {name: float(value) for name, value in asdict(one).items() if name not in SIZES}
        own |= {
            "contrast": one.contrast_hu,
            "rim": one.rim_contrast_hu,
            "texture": one.texture,
            "through": one.through,
            "aorta": aorta,
            "vessels": context.vessels_hu.get(phase, math.nan),
            "bright": one.bright_hu - one.liver_hu,
            "dark": one.dark_hu - one.liver_hu,
            "share": one.contrast_hu / max(8.0, aorta - one.liver_hu),
        }
        found |= {name if alone else f"{phase} {name}": value for name, value in own.items()}
    return found


def by_trees(lesions: Shown, parts: Sequence[HeldOut]) -> NDArray[np.str_]:
    """What boosted trees say of each lesion, grown on the other parts' bodies, every class alike.

    Raises:
        InputError: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("The trees need scikit-learn: pip install scikit-learn.")
    from sklearn.ensemble import HistGradientBoostingClassifier

    said = np.empty(len(lesions.truths), lesions.truths.dtype)
    # A value of its own: the trees' bins take no column that is unknown in most rows.
    values = np.nan_to_num(lesions.values, nan=-999.0)
    for part in parts:
        held = np.isin(lesions.bodies, [one.name for one in part.patients])
        truths = lesions.truths[~held]
        many = {kind: int((truths == kind).sum()) for kind in np.unique(truths)}
        model = HistGradientBoostingClassifier(
            max_iter=120,
            learning_rate=0.08,
            max_leaf_nodes=6,
            min_samples_leaf=5,
            l2_regularization=1.0,
            random_state=0,
        )
        weights = np.array([len(truths) / many[kind] for kind in truths])
        model.fit(values[~held], truths, sample_weight=weights / weights.mean())
        said[held] = model.predict(values[held])
    return said


def _balanced(truths: NDArray[np.str_], said: NDArray[np.str_]) -> float:
    return float(np.mean([(said[truths == kind] == kind).mean() for kind in np.unique(truths)]))


def trees_table(settings: Mapping[str, tuple[Shown, NDArray[np.str_]]]) -> str:
    """Points against trees, 95 % bootstrap intervals over bodies, Markdown."""
    lines = [
        "| phases | lesions | points | trees | difference | points wrong | trees wrong |",
        "|" + "---|" * 7,
    ]
    for name, (lesions, trees) in settings.items():
        truths, guesses = lesions.truths, lesions.guesses

        def gain(
            rows: NDArray[np.int64], truths: Any = truths, guesses: Any = guesses, trees: Any = trees
        ) -> float:
            return _balanced(truths[rows], trees[rows]) - _balanced(truths[rows], guesses[rows])

        change = bootstrap(gain, lesions.bodies.tolist(), seed=0, n_draws=1000)
        wrong = [float((said != truths).mean()) for said in (guesses, trees)]
        lines.append(
            f"| {name} | {len(truths)} | {_balanced(truths, guesses):.3f} | {_balanced(truths, trees):.3f} "
            f"| {change.value:+.3f} [{number(change.low)}, {number(change.high)}] "
            f"| {wrong[0]:.3f} | {wrong[1]:.3f} |"
        )
    return "\n".join(lines)


def confusion_table(truths: NDArray[np.str_], points: NDArray[np.str_], trees: NDArray[np.str_]) -> str:
    """How many lesions of each class are called what, by points / by trees, Markdown."""
    kinds = [kind for kind in KINDS if (truths == kind).any()]
    said = [kind for kind in KINDS if np.isin(kind, np.concatenate([points, trees]))]
    lines = [f"| is | {' | '.join(f'said {kind}' for kind in said)} |", "|---|" + "---|" * len(said)]
    for kind in kinds:
        own = truths == kind
        cells = [f"{int((points[own] == one).sum())} / {int((trees[own] == one).sum())}" for one in said]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


Shares = list[Mapping[str, float]]


def _warmed(shares: Mapping[str, float], temperature: float) -> dict[str, float]:
    logs = {kind: math.log(max(p, 1e-9)) / temperature for kind, p in shares.items()}
    top = max(logs.values())
    found = {kind: math.exp(value - top) for kind, value in logs.items()}
    total = sum(found.values())
    return {kind: value / total for kind, value in found.items()}


def best_temperature(shares: Shares, truths: Sequence[str]) -> float:
    """The one of the least cross entropy; above 1 the probabilities are too sure."""

    def loss(value: float) -> float:
        right = [_warmed(one, math.exp(value)).get(t, 0.0) for one, t in zip(shares, truths, strict=True)]
        # A few lesions that look like another class do not decide.
        return -float(np.mean(np.log(np.array(right) + 0.01)))

    found = optimize.minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded", options={"xatol": 0.01})
    return math.exp(float(found.x))


def temperature_table(
    judged: Mapping[str, Sequence[JudgedLesion]], parts: Sequence[HeldOut], draws: int = 1000
) -> str:
    """Each setting's temperature, and its calibration error with that of the other bodies, Markdown.

    Intervals: 95 %, bootstrap over bodies.
    """
    lines = [
        "| phases | temperature of each quarter left out | ECE | ECE with it | difference |",
        "|" + "---|" * 5,
    ]
    for name, lesions in judged.items():
        if not lesions:
            continue
        truths = [sayable(one.truth, SETTINGS_OF[name]) for one in lesions]
        shares: Shares = [one.said.probabilities for one in lesions]
        right = np.array([one.guess == truth for one, truth in zip(lesions, truths, strict=True)])
        plain = np.array([one.confidence for one in lesions])
        warmed, found = plain.copy(), []
        for part in parts:
            own = {one.name for one in part.patients}
            others = [k for k, one in enumerate(lesions) if one.patient not in own]
            value = best_temperature([shares[k] for k in others], [truths[k] for k in others])
            found.append(value)
            for k, one in enumerate(lesions):
                if one.patient in own:
                    warmed[k] = max(_warmed(shares[k], value).values())
        error = _error_of(right)
        change = bootstrap(
            lambda rows, error=error, plain=plain, warmed=warmed: error(warmed, rows) - error(plain, rows),
            [one.patient for one in lesions],
            seed=0,
            n_draws=draws,
        )
        rows = np.arange(len(right))
        lines.append(
            f"| {name} | {', '.join(f'{value:.2f}' for value in found)} | {error(plain, rows):.3f} "
            f"| {error(warmed, rows):.3f} "
            f"| {change.value:+.3f} [{number(change.low)}, {number(change.high)}] |"
        )
    return "\n".join(lines)


def _error_of(right: NDArray[np.bool_]) -> Callable[[NDArray[np.float64], NDArray[np.int64]], float]:
    def error(sure: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
        return calibration_error(reliability_curve(sure[rows], right[rows], 10))

    return error


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, and print the tables."""
    parser = argparse.ArgumentParser(prog="class_checks", description=__doc__.split("\n")[0])
    parser.add_argument(
        "kept", type=Path, help="measurements of SynthLiver-2-other (`compare classes --keep`)"
    )
    args = parser.parse_args(arguments)
    bodies, measurements = read_kept(args.kept)
    settings = replace(with_even_priors(Rules().part(DifferentialSettings)), network_arterial=0.0)
    parts = held_out(bodies, measurements, settings, PENALTY)
    judged = judged_apart(measurements, settings, parts)
    seen = {
        name: shown(one, measurements, SETTINGS_OF[name], settings) for name, one in judged.items() if one
    }
    told = {name: (one, by_trees(one, parts)) for name, one in seen.items()}
    print(
        f"{len(bodies)} bodies in {len(parts)} parts, even priors, measurements alone, balanced accuracy:\n"
    )
    print(trees_table(told))
    for name, (one, trees) in told.items():
        if name == "arterial":
            print(f"\n{name}, by points / by trees:\n")
            print(confusion_table(one.truths, one.guesses, trees))
    print("\nA temperature on each setting's probabilities:\n")
    print(temperature_table(judged, parts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
