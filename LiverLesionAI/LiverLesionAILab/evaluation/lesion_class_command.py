"""Tables of `liverlesionai compare classes`, and its page of twelve lesions."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.classify.differential import CLASSES, DifferentialSettings
from LiverLesionAILib.stages.classify.families import SliceClassifier
from LiverLesionAILib.stages.classify.lesions import ClassifySettings
from LiverLesionAILib.stages.classify.second_phase import RegisterSettings
from LiverLesionAILib.stages.classify.stage import ClassStageSettings
from LiverLesionAILib.stages.phase.estimate import PhaseSettings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from ..data.synthliver2 import find_phases
from .kept_classes import Measurements, chance_table, interval_table, read_kept, without_network, write_kept
from .lesion_classes import (
    SETTINGS_OF,
    ClassFigures,
    JudgedLesion,
    class_figures,
    judged_lesions,
    kept_measurements,
    with_even_priors,
)

APHE_BAND_HU = 5.0
"""Lesions whose true arterial contrast lies nearer to the limit are left out: no measurement could tell."""


def add_lesion_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare classes`."""
    parser.add_argument(
        "data", type=Path, help="folder of SynthLiver-2, or a file of kept measurements: nothing is measured"
    )
    parser.add_argument("--out", type=Path, help="measurements, table and page; needed for a folder")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the measurements as one small file")
    parser.add_argument(
        "--figures", type=int, metavar="N", help="keep numbers to so many significant figures"
    )
    parser.add_argument("--intervals", action="store_true", help="95 %% bootstrap intervals over patients")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N patients")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="leave the first N patients out")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="models folder in place of the bundled one"
    )
    parser.add_argument("--no-network", action="store_true", help="measurements alone")
    parser.add_argument("--page", action="store_true", help="a page of six right and six wrong lesions")


def run_lesion_classes(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Measure, judge, print and keep the tables.

    Raises:
        InputError: no patients, or damaged ones.
    """
    rules, patients, measurements = _measurements(args, progress)
    differential = rules.part(DifferentialSettings)
    judged = {
        name: judged_lesions(patients, measurements, phases, differential)
        for name, phases in SETTINGS_OF.items()
    }
    # Balanced accuracy asks all classes alike, so the priors of a western population stand in its way.
    even = {
        name: judged_lesions(patients, measurements, phases, with_even_priors(differential))
        for name, phases in SETTINGS_OF.items()
    }
    parts = [
        f"{len(patients)} synthetic patients in several phases, true masks.",
        "With the stated priors:",
        class_table({n: class_figures(j, SETTINGS_OF[n]) for n, j in judged.items() if j}),
        "With even priors, as balanced accuracy asks:",
        class_table({n: class_figures(j, SETTINGS_OF[n]) for n, j in even.items() if j}),
        enhancement_table(judged["all phases"], differential.aphe_hu, differential.washout_hu),
        phase_table(measurements),
    ]
    if args.intervals:
        parts += [
            "With the stated priors, 95 % intervals over patients:",
            interval_table(judged, SETTINGS_OF),
        ]
        parts += ["With even priors:", interval_table(even, SETTINGS_OF)]
        parts += [
            "Calibration and abstention against what chance would do, with the stated priors:",
            chance_table(judged),
        ]
        parts += ["With even priors:", chance_table(even)]
    text = "\n\n".join(parts)
    if args.keep is not None:
        write_kept(args.keep, patients, measurements, args.figures)
    if args.out is not None:
        write_text(args.out / "classes.md", text + "\n")
    print(text)
    if args.page:
        from .lesion_page import write_lesion_page

        path = write_lesion_page(patients, judged["arterial and portal"], args.out)
        print(f"page: {path}")
    return 0


def _measurements(args: argparse.Namespace, progress: Progress) -> tuple[Rules, list[Any], Measurements]:
    """Rules, patients and what is measured on them: kept, or made now.

    Raises:
        InputError: no patients, damaged ones, or a folder without a place for what is measured.
    """
    if args.data.is_file():
        if args.page:
            raise InputError("--page needs the images: give the folder of SynthLiver-2.")
        kept, measured = read_kept(args.data)
        kept = kept[: args.limit][args.after :]
        if args.no_network:
            return Rules(), kept, without_network(measured)
        return Rules().calibrated(ModelStore.bundled(args.models).manifest.find("dadrn")), kept, measured
    if args.out is None:
        raise InputError("--out DIR is needed: measurements of a folder are kept there.")
    patients = find_phases(args.data)[: args.limit][args.after :]
    if not patients:
        raise InputError(f"--after {args.after}: no patient is left.")
    store = ModelStore.bundled(args.models)
    entry = None if args.no_network else store.manifest.find("dadrn")
    rules = Rules() if entry is None else Rules().calibrated(entry)
    settings = ClassStageSettings(
        rules.part(ClassifySettings), rules.part(PhaseSettings), rules.part(RegisterSettings), None
    )
    classifier = (
        None
        if entry is None
        else SliceClassifier(entry, store.network(entry.name, "cpu", "float32"), explain=False)
    )
    measurements = kept_measurements(patients, args.out, settings, classifier, progress)
    return rules, patients, measurements


def class_table(figures: Mapping[str, ClassFigures]) -> str:
    """A row per setting, Markdown."""
    kinds = [*CLASSES, "indeterminate"]
    head = ["phases", "lesions", "balanced", *kinds, "ECE", "wrong", "surest 80 %", "named", "named right"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, one in figures.items():
        cells = [name, str(one.lesions), f"{one.balanced:.3f}"]
        cells += [f"{one.recall[c]:.2f}" if c in one.recall else "" for c in kinds]
        cells += [
            f"{v:.3f}" for v in (one.calibration_error, one.error, one.error_80, one.named, one.named_right)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def enhancement_table(judged: Sequence[JudgedLesion], aphe_hu: float, washout_hu: float) -> str:
    """How often APHE and washout are measured as they are.

    Truth is the noise-free bulk's density at the product's own limits; lesions within
    :data:`APHE_BAND_HU` of a limit are left out.
    """
    rows = []
    for what in ("APHE", "washout"):
        told = []
        for one in judged:
            seen = one.facts["contrast_hu"]
            late = min(seen["portal"], seen.get("delayed", np.inf))
            fall, rim = seen["arterial"] - late, one.facts["rim"]
            edge = abs(seen["arterial"] - aphe_hu) < APHE_BAND_HU
            truth = seen["arterial"] >= aphe_hu and not rim
            if what == "washout":
                bright = seen["arterial"] > -washout_hu and not rim
                edge = abs(seen["arterial"] + washout_hu) < APHE_BAND_HU
                edge |= bright and min(abs(late + washout_hu), abs(fall - washout_hu)) < APHE_BAND_HU
                truth = bright and late <= -washout_hu and fall >= washout_hu
            if edge or one.enhancement.aphe is None:
                continue
            said = one.enhancement.aphe if what == "APHE" else bool(one.enhancement.washout)
            told.append((truth, said))
        table = np.array(told, bool).reshape(-1, 2)
        right = float((table[:, 0] == table[:, 1]).mean()) if len(table) else float("nan")
        yes = table[:, 0]
        parts = [f"{int((table[own, 1] == yes[own]).sum())} of {int(own.sum())}" for own in (yes, ~yes)]
        rows.append(f"| {what} | {len(table)} | {right:.3f} | {parts[0]} | {parts[1]} |")
    head = "| property | lesions | right | of those that have it | of those that have not |"
    return "\n".join((head, "|---|---|---|---|---|", *rows))


def phase_table(measurements: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Scanned phase against what it looks like."""
    names = [phase.value for phase in Phase]
    lines = ["| scanned | " + " | ".join(f"looks {n}" for n in names) + " |", "|" + "---|" * (len(names) + 1)]
    for scanned in names:
        looks = [record[scanned]["looks"] for record in measurements.values() if scanned in record]
        if looks:
            lines.append(f"| {scanned} | " + " | ".join(str(looks.count(n)) for n in names) + " |")
    return "\n".join(lines)
