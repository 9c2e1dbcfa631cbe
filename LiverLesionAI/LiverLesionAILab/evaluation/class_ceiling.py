"""How well lesions of SynthLiver-2 could be told apart by somebody who saw every density without noise.

    python -m LiverLesionAILab.evaluation.class_ceiling

Lesions are drawn as the sets draw them (:mod:`..synthesis.synthliver.habits`), by the thousand and without an
image: injection, liver, flow and volume of each part. An ideal reader is shown what each part's density is in
each phase, blood and liver beside it, which parts there are, how soft the border is and whether vessels run
through. Boosted trees learn classes from that, and are judged on other patients. What they miss no
measurement on a picture is likely to find: the classes' ranges overlap there. Needs scikit-learn. No set is
read.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from ..synthesis.appearance import Phase
from ..synthesis.organs import Organ
from ..synthesis.patient import LiverKind
from ..synthesis.synthliver.habits import HABITS, Make, Part, draw_make
from ..synthesis.synthliver.kinetics import (
    FROZEN,
    Bolus,
    BolusRanges,
    Tissue,
    draw_bolus,
    draw_liver,
    draw_tables,
)
from ..synthesis.synthliver.multiphase_other import OTHER_BOLUS, draw_other

PATIENTS = 3000
FAT_HU = (18.0, 45.0)
"""What a fatty liver has lost."""
ERRORS_HU = (0.0, 4.0)
"""SD of what a part's density is misread by."""
PHASES_OF = {
    "arterial": (Phase.ARTERIAL,),
    "arterial and portal": (Phase.ARTERIAL, Phase.PORTAL_VENOUS),
    "all enhanced phases": (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED),
}
SEEN_HU = 8.0
"""As :data:`.lesion_classes.SEEN_HU`: what differs by less, and has no other part, is not judged."""
RANGES = {"SynthLiver-2": (FROZEN, draw_make), "SynthLiver-2-other": (OTHER_BOLUS, draw_other)}


def part_hu(part: Part, bolus: Bolus, liver_plain_hu: float, phase: Phase) -> float:
    """Density of a lesion's part, HU; `liver_plain_hu`: of the liver without contrast medium in this scan."""
    base = part.base_hu + (liver_plain_hu if part.beside_liver else 0.0)
    return base if part.tissue is None else base + bolus.at(bolus.uptake(part.tissue), phase)


def _size(habit: str, rng: np.random.Generator) -> float:
    """As the sets draw it where the liver is deep enough, mm."""
    low, median, high = HABITS[habit].diameter_mm
    return float(np.clip(median * np.exp(rng.normal(0, 0.42)), low, high))


def _shown(
    make: Make, bolus: Bolus, tissue: Tissue, levels: dict[Phase, tuple[float, float, float]]
) -> dict[Phase, list[float]]:
    """Phase -> liver, aorta and portal vein, bulk against liver, other parts against bulk; 0 of none, HU."""
    found = {}
    for phase, (liver, aorta, portal) in levels.items():
        plain = liver - bolus.at(bolus.uptake(tissue), phase)
        bulk = part_hu(make.bulk, bolus, plain, phase)
        own = [liver, aorta, portal, bulk - liver, (bulk - liver) / max(20.0, aorta - liver)]
        for part in (make.core, make.rim, make.nodules):
            own.append(0.0 if part is None else part_hu(part, bolus, plain, phase) - bulk)
        found[phase] = own
    return found


def draw_lesions(
    name: str, patients: int, seed: int
) -> tuple[dict[Phase, NDArray[np.float64]], NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
    """One lesion of every habit in each of so many patients.

    Args:
        name: of :data:`RANGES`.

    Returns:
        phase -> (lesions, figures) of :func:`_shown`; (lesions, 6) of structure and border; classes' codes;
        weights, so that a class's habits are as frequent as in the set and all classes alike.
    """
    ranges: BolusRanges
    ranges, draw = RANGES[name]
    often = {habit: one.patients * sum(one.counts) / 2 for habit, one in HABITS.items()}
    whole: dict[str, float] = {}
    for habit, share in often.items():
        whole[HABITS[habit].code] = whole.get(HABITS[habit].code, 0.0) + share
    shown: dict[Phase, list[list[float]]] = {phase: [] for phase in PHASES_OF["all enhanced phases"]}
    structure, codes, weights = [], [], []
    for number in range(patients):
        rng = np.random.default_rng((seed, number))
        for habit, one in HABITS.items():
            kinds, shares = list(one.livers), list(one.livers.values())
            kind = kinds[int(rng.choice(len(kinds), p=np.array(shares) / sum(shares)))]
            fat = float(rng.uniform(*FAT_HU)) if kind is LiverKind.FATTY else 0.0
            bolus, tissue = draw_bolus(rng, ranges), draw_liver(rng, kind is LiverKind.CIRRHOTIC)
            tables = draw_tables(rng, bolus, tissue, fat)
            diameter = _size(habit, rng)
            make = draw(habit, diameter, tissue, fat, rng)
            levels = {
                phase: (
                    tables[phase][Organ.LIVER],
                    tables[phase][Organ.AORTA],
                    tables[phase][Organ.PORTAL_VEIN],
                )
                for phase in shown
            }
            for phase, own in _shown(make, bolus, tissue, levels).items():
                shown[phase].append(own)
            parts = [make.core, make.rim, make.nodules]
            structure.append(
                [
                    *(float(part is not None) for part in parts),
                    float(make.scar),
                    float(make.adds),
                    float(make.calcium_hu > 0),
                    make.edge_mm,
                ]
            )
            codes.append(one.code)
            weights.append(often[habit] / whole[one.code])
    return (
        {phase: np.array(rows) for phase, rows in shown.items()},
        np.array(structure),
        np.array(codes),
        np.array(weights),
    )


def ceiling(
    shown: dict[Phase, NDArray[np.float64]],
    structure: NDArray[np.float64],
    codes: NDArray[np.str_],
    weights: NDArray[np.float64],
    phases: Sequence[Phase],
    error_hu: float,
) -> tuple[float, dict[str, dict[str, float]]]:
    """Balanced accuracy of trees grown on half of the lesions on the other half; what classes are called.

    Returns:
        the accuracy; class -> said -> share.

    Raises:
        InputError: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("The trees need scikit-learn: pip install scikit-learn.")
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    values = np.concatenate([shown[phase] for phase in phases], axis=1)
    values = np.concatenate([values + error_hu * rng.normal(size=values.shape), structure], axis=1)
    contrasts = np.abs(np.stack([shown[phase][:, 3] for phase in phases]))
    seen = (contrasts.max(axis=0) >= SEEN_HU) | (structure[:, :3].sum(axis=1) > 0) | (structure[:, 5] > 0)
    half = np.arange(len(codes)) < len(codes) // 2
    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=20, random_state=0
    )
    model.fit(values[half & seen], codes[half & seen], sample_weight=weights[half & seen])
    last = ~half & seen
    said = model.predict(values[last])
    table: dict[str, dict[str, float]] = {}
    for code in dict.fromkeys(codes):
        own = codes[last] == code
        whole = weights[last][own].sum()
        table[code] = {
            other: float(weights[last][own & (said == other)].sum() / whole) for other in dict.fromkeys(codes)
        }
    return float(np.mean([table[code][code] for code in table])), table


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, learn, and print the tables."""
    parser = argparse.ArgumentParser(prog="class_ceiling", description=__doc__.split("\n")[0])
    parser.add_argument("--patients", type=int, default=PATIENTS, help="drawn, with a lesion of every habit")
    args = parser.parse_args(arguments)
    print(f"| ranges of | phases | {' | '.join(f'misread by {e:.0f} HU' for e in ERRORS_HU)} |")
    print("|---|---|" + "---|" * len(ERRORS_HU))
    tables = {}
    for name in RANGES:
        lesions = draw_lesions(name, args.patients, 5)
        for what, phases in PHASES_OF.items():
            found = [ceiling(*lesions, phases, error) for error in ERRORS_HU]
            print(f"| {name} | {what} | {' | '.join(f'{balanced:.3f}' for balanced, _ in found)} |")
            if what == "arterial":
                tables[name] = found[-1][1]
    for name, table in tables.items():
        print(f"\n{name}, arterial, misread by {ERRORS_HU[-1]:.0f} HU:\n")
        print("| is | " + " | ".join(f"said {code}" for code in table) + " |")
        print("|---|" + "---|" * len(table))
        for code, row in table.items():
            print(f"| {code} | " + " | ".join(f"{share:.2f}" for share in row.values()) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
