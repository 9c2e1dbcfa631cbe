"""Points of the signs by which lesions are told apart, fitted to measurements of SynthLiver-2-other.

    liverlesionai synthesize SynthLiver-2-other --out DIR
    liverlesionai compare classes DIR --out OUT --keep FILE.json.gz --figures 5
    python -m LiverLesionAILab.evaluation.class_points FILE

A multinomial regression beside the tables of densities, which stay as textbooks have them: each sign speaks
for or against a class in one direction only, the one that a reader expects (:mod:`.class_directions`), and
by how much is fitted, with one exponent of the tables for each number of phases. Printed are the rows of the
page of rules, and what they do on bodies that were left out. SynthLiver-2 is not read.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.classify.differential import (
    BENIGN,
    FNH,
    HCC,
    INDETERMINATE,
    NO_MASS,
    Context,
    DifferentialSettings,
    table_logs,
)
from LiverLesionAILib.stages.classify.signs import SignRows, measured_signs, membership
from numpy.typing import NDArray
from scipy import optimize

from .class_directions import AT_MOST, DIRECTIONS, INSIDE, LOOK_OF_HABIT, LOOKS
from .kept_classes import read_kept
from .lesion_classes import (
    SETTINGS_OF,
    JudgedLesion,
    class_figures,
    judged_lesions,
    read_phase,
    sayable,
    seen_in,
    with_even_priors,
)

AT_HAND = {
    **SETTINGS_OF,
    "delayed": (Phase.DELAYED,),
    "enhanced phases": (Phase.PORTAL, Phase.ARTERIAL, Phase.DELAYED),
}
"""What a reader has; all count alike."""

PENALTY = 0.005
"""On squared points: chosen by :func:`left_out` on SynthLiver-2-other."""
MOST_POINTS = 2.0
"""A sign alone multiplies no odds by more than exp(2 * 2) from one end to the other."""
LEAST_EXPONENTS = (0.85, 0.7, 0.55, 0.55)
"""Densities count at least so far: real lesions show fewer signs than drawn ones."""
UNSEEN = 0.25
"""Share of the weight of lesions that are fitted without what :data:`INSIDE` names."""


@dataclass(frozen=True, eq=False)
class Example:
    """A lesion in the phases at hand.

    Attributes:
        setting: of :data:`AT_HAND`; phases: how many of it there are.
        answers: (looks,) bool, those that are right.
        logs: (looks,) of the tables.
        signs: :func:`~.measured_signs`.
    """

    patient: str
    setting: str
    phases: int
    look: str
    answers: NDArray[np.bool_]
    logs: NDArray[np.float64]
    signs: Mapping[str, float]


def examples(
    patients: Sequence[Any], measurements: Mapping[str, Mapping[str, Any]], settings: DifferentialSettings
) -> list[Example]:
    """Every lesion that can be seen, in every setting; one phase alone as it looks, several as named."""
    found = []
    for patient in patients:
        records = measurements[patient.name]
        for setting, phases in AT_HAND.items():
            there = [phase for phase in phases if phase.value in records]
            if not there or there[0] is not phases[0]:
                continue
            views = [read_phase(records[p.value], p if len(phases) > 1 else None) for p in there]
            context = Context(
                vessels_hu={one.phase: one.vessels_hu for one in views},
                aorta_hu={one.phase: one.aorta_hu for one in views},
            )
            for number, facts in patient.lesions.items():
                own = {one.phase: one.features[number] for one in views if number in one.features}
                if views[0].phase not in own or not seen_in(facts, there):
                    continue
                logs = table_logs(own, context, settings)
                truth = sayable(facts["class"], there)
                look = LOOK_OF_HABIT.get(facts["habit"], facts["class"])
                right = {
                    INDETERMINATE: (HCC, FNH),
                    BENIGN: NO_MASS,
                }.get(truth, (truth,))
                found.append(
                    Example(
                        patient.name,
                        setting,
                        len(own),
                        look,
                        np.array([one in right for one in LOOKS]),
                        np.array([logs[one] for one in LOOKS]),
                        measured_signs(own, context.aorta_hu),
                    )
                )
    return found


def fit_points(
    lesions: Sequence[Example], prior: Mapping[str, float], penalty: float = PENALTY
) -> tuple[SignRows, tuple[float, ...]]:
    """Points of all signs, and the tables' exponents for 1 to 4 phases, of the least cross entropy.

    Every look counts by its prior in every setting, however many lesions there are of it.
    """
    seen = np.array(
        [[membership(one.signs[s], low, high) for s, low, high, *_ in DIRECTIONS] for one in lesions]
    )
    # Every lesion once more as if too small to show its inside: its class has to follow from what is left.
    blind = np.where([s in INSIDE for s, *_ in DIRECTIONS], 0.0, seen)
    shown = np.concatenate([seen, blind])
    logs, answers = (
        np.concatenate([values, values])
        for values in (np.stack([one.logs for one in lesions]), np.stack([one.answers for one in lesions]))
    )
    count = np.array([one.phases - 1 for one in lesions] * 2)
    start = np.log([prior[look] for look in LOOKS])
    kinds = [(one.setting, one.look) for one in lesions]
    many = {kind: kinds.count(kind) for kind in set(kinds)}
    whole = np.array([prior[look] / many[setting, look] for setting, look in kinds])
    weights = np.concatenate([(1 - UNSEEN) * whole, UNSEEN * whole]) / whole.sum()
    size = (len(DIRECTIONS), len(LOOKS))
    before = np.array([[known.get(look, 0.0) for look in LOOKS] for *_, known in DIRECTIONS])

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        points, exponents = values[: size[0] * size[1]].reshape(size), values[size[0] * size[1] :]
        scores = start + exponents[count][:, None] * logs + shown @ points
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        right = (shares * answers).sum(axis=1)
        # A few lesions that look like another class do not decide.
        kept = right + LEAST
        slope = weights[:, None] * (shares * right[:, None] - shares * answers) / kept[:, None]
        by_count = np.array([(slope * logs)[count == n].sum() for n in range(len(exponents))])
        by_count += 2 * penalty * (exponents - 1)
        moved = points - before
        value = -(weights * np.log(kept)).sum() + penalty * (
            (moved**2).sum() / 8 + ((exponents - 1) ** 2).sum()
        )
        return float(value), np.concatenate([(shown.T @ slope + penalty * moved / 4).ravel(), by_count])

    bounds: list[tuple[float, float]] = []
    for name, *_, directions, known in DIRECTIONS:
        for look in LOOKS:
            least, most = known.get(look, 0.0), AT_MOST.get((name, look), MOST_POINTS)
            ends = {1: (least, most), -1: (-most, least), 0: (0.0, 0.0)}
            bounds.append(ends[directions.get(look, 0)])
    bounds += [(least, 1.0) for least in LEAST_EXPONENTS]
    first = np.concatenate([before.ravel(), np.ones(4)])
    found = optimize.minimize(
        loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 400}
    )
    points = found.x[: size[0] * size[1]].reshape(size)
    exponents = tuple(round(float(value), 2) for value in found.x[size[0] * size[1] :])
    return _rows(points), exponents


def _rows(points: NDArray[np.float64]) -> SignRows:
    """(signs, looks) as rows of the page; what hardly speaks is left out."""
    rows = tuple(
        (
            name,
            low,
            high,
            tuple((look, round(float(p), 2)) for look, p in zip(LOOKS, own, strict=True) if abs(p) >= 0.05),
        )
        for (name, low, high, *_), own in zip(DIRECTIONS, points, strict=True)
    )
    return tuple(row for row in rows if row[3])


LEAST = 0.01
"""Added to every probability: what a lesion that looks like another class may cost at most."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Bodies that points were not fitted to.

    Attributes:
        patients: the bodies; signs, exponents: :func:`fit_points` of the others.
    """

    patients: Sequence[Any]
    signs: SignRows
    exponents: tuple[float, ...]


def held_out(
    patients: Sequence[Any],
    measurements: Mapping[str, Mapping[str, Any]],
    settings: DifferentialSettings,
    penalty: float,
    folds: int = 4,
) -> list[HeldOut]:
    """Every body once, in `folds` parts."""
    lesions = examples(patients, measurements, settings)
    parts = []
    for fold in range(folds):
        held = [one for place, one in enumerate(patients) if place % folds == fold]
        names = {one.name for one in held}
        kept = [one for one in lesions if one.patient not in names]
        parts.append(HeldOut(held, *fit_points(kept, dict(settings.priors), penalty)))
    return parts


def left_out(
    measurements: Mapping[str, Mapping[str, Any]], settings: DifferentialSettings, parts: Sequence[HeldOut]
) -> str:
    """Figures by setting of bodies that the points were not fitted to, Markdown."""
    from .lesion_class_command import class_table

    judged = judged_apart(measurements, settings, parts)
    return class_table({name: class_figures(one, SETTINGS_OF[name]) for name, one in judged.items() if one})


def judged_apart(
    measurements: Mapping[str, Mapping[str, Any]], settings: DifferentialSettings, parts: Sequence[HeldOut]
) -> dict[str, list[JudgedLesion]]:
    """Setting -> lesions of all bodies, each judged by points of the others."""
    judged: dict[str, list[JudgedLesion]] = {name: [] for name in SETTINGS_OF}
    for part in parts:
        tried = replace(settings, signs=part.signs, phases_weight=part.exponents)
        for name, phases in SETTINGS_OF.items():
            judged[name] += judged_lesions(part.patients, measurements, phases, tried)
    return judged


NETWORK_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Exponents of the network's answer in an arterial scan that are compared; 1 takes its shares as they are."""


def network_weights(
    measurements: Mapping[str, Mapping[str, Any]], settings: DifferentialSettings, parts: Sequence[HeldOut]
) -> str:
    """How far the network should count beside points that were not fitted to a body, Markdown.

    Balanced accuracy and share wrong by setting; settings without an arterial phase do not ask it.
    """
    named = [name for name, phases in SETTINGS_OF.items() if Phase.ARTERIAL in phases]
    lines = [f"| network's weight | {' | '.join(named)} |", "|---|" + "---|" * len(named)]
    for weight in NETWORK_WEIGHTS:
        judged = judged_apart(measurements, replace(settings, network_arterial=weight), parts)
        found = [class_figures(judged[name], SETTINGS_OF[name]) for name in named]
        cells = [f"{one.balanced:.3f}, wrong {one.error:.3f}" for one in found]
        lines.append(f"| {weight:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rows_text(signs: SignRows) -> str:
    """The rows as `class_tables` has them."""
    lines = []
    for name, low, high, points in signs:
        said = ", ".join(f'("{c}", {p})' for c, p in points)
        lines.append(f'    ("{name}", {low}, {high}, ({said}{"," * (len(points) == 1)})),')
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, and print rows and figures."""
    parser = argparse.ArgumentParser(prog="class_points", description=__doc__.split("\n")[0])
    parser.add_argument(
        "kept", type=Path, help="measurements of SynthLiver-2-other (`compare classes --keep`)"
    )
    parser.add_argument("--penalty", type=float, default=PENALTY, help="on squared points")
    args = parser.parse_args(arguments)
    patients, measurements = read_kept(args.kept)
    # The network is weighed by itself: points are those of what is measured.
    settings = replace(with_even_priors(Rules().part(DifferentialSettings)), network_arterial=0.0)
    signs, exponents = fit_points(
        examples(patients, measurements, settings), dict(settings.priors), args.penalty
    )
    print(rows_text(signs))
    print(f"PHASES_WEIGHT = {exponents}\n")
    print(f"Bodies left out ({len(patients)} in 4 parts), even priors, measurements alone:\n")
    parts = held_out(patients, measurements, settings, args.penalty)
    print(left_out(measurements, settings, parts))
    if any(record.get("network") for phases in measurements.values() for record in phases.values()):
        print("\nThe same with the network in the arterial phase, balanced accuracy and share wrong:\n")
        print(network_weights(measurements, settings, parts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
