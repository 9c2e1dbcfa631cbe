"""`liverlesionai slices`: a mask network on single axial slices of patients that no training has seen.

The liver's outline is known there, and that what lies outside it is no tumour: liver Dice and false tumour
area are measured; how many tumours are found is not, since most of them are not outlined. One slice is shown
to the network as its own neighbours.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.overlap import dice

from ..data.axial_slices import AxialSlice, axial_slices
from ..data.cases import UNKNOWN, crop_to_liver, data_folder, decode_hu
from ..metrics.bootstrap import compare_paired
from ..training.trained_masks import TrainedMasks, bundled_model, run_model
from .tables import number, with_interval

MARGIN_MM = 25.0
"""Around the liver's box; more than the line has, so that what lies beside the liver is judged too."""


@dataclass(frozen=True)
class SliceRow:
    """What a network says of one slice.

    Attributes:
        name, patient: of the slice.
        group: "gallbladder seen", "no gallbladder" or "liver free of tumours".
        liver_dice: of liver and tumour together, from the threshold of the liver on.
        liver_mm2, predicted_mm2, common_mm2: the areas it is made of; a patient's slices are summed, so that
            a liver's tip of a few pixels counts for no more than it is.
        outside_mm2: tumour seen where there is no liver.
        gallbladder_mm2: the same within the outlined gallbladder.
        inside_mm2: tumour seen inside the liver; false only where the liver is known to be free.
    """

    name: str
    patient: int
    group: str
    liver_dice: float
    outside_mm2: float
    gallbladder_mm2: float
    inside_mm2: float
    liver_mm2: float = 0.0
    predicted_mm2: float = 0.0
    common_mm2: float = 0.0


def slice_row(model: TrainedMasks, one: AxialSlice) -> SliceRow:
    """The network's answer for one slice against its outlines."""
    spacing = model.spec.spacing_zyx_mm[1]
    # As the line does: inside the liver's box, with what lies near it.
    whole = one.case(spacing)
    case = crop_to_liver(whole, MARGIN_MM) if whole.labels_zyx.any() else whole
    hu, labels = decode_hu(case.grey_zyx), case.labels_zyx[0]
    liver, known = labels == 1, labels != UNKNOWN
    level = liver_level_hu(hu[0][liver]) if liver.any() else float("nan")
    shifted = hu + np.float32(model.spec.shift_hu(level))

    def seen(part: str) -> np.ndarray:
        pyramid = model.scales.get(part, (1.0,))
        return class_probabilities(model.network, model.spec, shifted, classes=3, pyramid=pyramid)[:, 0]

    coarse = seen("liver").astype(int)
    predicted = (coarse.sum(axis=0) >= round(model.liver_threshold * 255)) & known
    tumour = seen("lesions")[1] >= max(1, round(model.tumour_threshold * 255))
    area = spacing**2
    group = "liver free of tumours" if one.free else "gallbladder seen"
    if one.kind == "none" and not one.free:
        group = "no gallbladder"
    return SliceRow(
        case.name,
        one.patient,
        group,
        dice(liver, predicted) if liver.any() else float("nan"),
        float((tumour & known & ~liver).sum()) * area,
        float((tumour & (labels == 2)).sum()) * area,
        float((tumour & liver).sum()) * area,
        float(liver.sum()) * area,
        float(predicted.sum()) * area,
        float((predicted & liver).sum()) * area,
    )


def slice_rows(model: TrainedMasks, data: Path, progress: Progress = silent) -> Iterator[SliceRow]:
    """Rows of all validation patients' slices."""
    own = [one for one in axial_slices(data) if one.validation]
    for done, one in enumerate(own, start=1):
        yield slice_row(model, one)
        progress("slices", done / len(own))


def pooled_dice(rows: Sequence[SliceRow]) -> float:
    """Liver Dice of a patient's slices together; NaN where they show none."""
    liver = sum(row.liver_mm2 for row in rows)
    both = liver + sum(row.predicted_mm2 for row in rows)
    return 2 * sum(row.common_mm2 for row in rows) / both if liver else float("nan")


def called_tumour(rows: Sequence[SliceRow]) -> float:
    """Share of a patient's liver that is called tumour, true ones among it; NaN where no liver is shown.

    Where tumours are not outlined this tells a network that calls whole livers tumour.
    """
    liver = sum(row.liver_mm2 for row in rows)
    return sum(row.inside_mm2 for row in rows) / liver if liver else float("nan")


def summary(rows: Sequence[SliceRow]) -> str:
    """The table that is printed: means over patients, so that one with many slices does not decide."""
    lines = [
        "| slices | n (patients) | liver Dice | tumour outside the liver mm2 | of it gallbladder mm2 | "
        "tumour inside mm2 | % of the liver called tumour |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in ("gallbladder seen", "no gallbladder", "liver free of tumours", "all"):
        own = [row for row in rows if group in ("all", row.group)]
        if not own:
            continue
        patients = sorted({row.patient for row in own})

        def mean(name: str, own: Sequence[SliceRow] = own, patients: Sequence[int] = patients) -> float:
            each = [[getattr(r, name) for r in own if r.patient == p] for p in patients]
            values = [np.nanmean(v) for v in each if np.isfinite(v).any()]
            return float(np.mean(values)) if values else float("nan")

        livers = [pooled_dice([row for row in own if row.patient == p]) for p in patients]
        shares = [called_tumour([row for row in own if row.patient == p]) for p in patients]
        inside = f"{mean('inside_mm2'):.0f}" if group == "liver free of tumours" else "-"
        lines.append(
            f"| {group} | {len(own)} ({len(patients)}) | {np.nanmean(livers):.4f} "
            f"| {mean('outside_mm2'):.1f} | {mean('gallbladder_mm2'):.1f} | {inside} "
            f"| {100 * np.nanmean(shares):.1f} |"
        )
    return "\n".join(lines)


def by_patient(rows: Sequence[SliceRow]) -> dict[str, dict[str, float]]:
    """Figure -> patient -> value: the liver's pooled Dice, and the mean area of tumour outside the liver."""
    patients = {str(row.patient): [r for r in rows if r.patient == row.patient] for row in rows}
    return {
        "% of the liver called tumour": {
            patient: 100 * called_tumour(own) for patient, own in patients.items()
        },
        "liver Dice": {patient: pooled_dice(own) for patient, own in patients.items()},
        "tumour outside the liver mm2": {
            patient: float(np.mean([row.outside_mm2 for row in own])) for patient, own in patients.items()
        },
    }


def comparison(first: Sequence[SliceRow], second: Sequence[SliceRow]) -> str:
    """The table of two networks' figures and their differences, patient by patient.

    Raises:
        InputError: they are of other patients.
    """
    lines = [
        "| mean over patients | first | second | difference [95 %] | patients with more, with less | p |",
        "|---|---|---|---|---|---|",
    ]
    before, after = by_patient(first), by_patient(second)
    digits_of = {"% of the liver called tumour": 1, "liver Dice": 3, "tumour outside the liver mm2": 0}
    for figure, digits in digits_of.items():
        own = {patient: patient for patient in before[figure]}
        seen = compare_paired(before[figure], after[figure], own, seed=0)
        lines.append(
            f"| {figure} | {number(seen.a, digits)} | {number(seen.b, digits)} | "
            f"{with_interval(seen.difference, digits)} | {seen.wins}, {seen.losses} | {seen.p_value:.4f} |"
        )
    return "\n".join(lines)


def read_rows(path: Path) -> dict[str, list[SliceRow]]:
    """What `--out` wrote: network -> its rows.

    Raises:
        InputError: it is no such table.
    """
    kinds = {f.name: {"str": str, "int": int}.get(str(f.type), float) for f in fields(SliceRow)}
    kept: dict[str, list[SliceRow]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                row = SliceRow(**{name: kind(line[name]) for name, kind in kinds.items()})
                kept.setdefault(line["network"], []).append(row)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no rows as `slices --out` writes them ({error}).") from error
    return kept


def print_tables(kept: Mapping[str, Sequence[SliceRow]]) -> None:
    """A table for each network, and of how each differs from the first."""
    for name, rows in kept.items():
        print(f"{name}\n\n{summary(rows)}\n", flush=True)
    first, *others = kept
    for name in others:
        print(f"{first}, then {name}\n\n{comparison(kept[first], kept[name])}\n")


def add_slice_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `slices`."""
    parser.description = "Score mask networks on single axial slices of patients kept for validation."
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="a bundled mask network (default sfan)"
    )
    parser.add_argument(
        "--run", action="append", default=[], type=Path, metavar="DIR", help="a training run beside it"
    )
    parser.add_argument(
        "--liver-threshold",
        action="append",
        default=[],
        type=float,
        metavar="PROBABILITY",
        help="of each network, instead of its own; may be given several times",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--out", type=Path, metavar="CSV", help="write one line a slice and network")
    parser.add_argument(
        "--rows", type=Path, metavar="CSV", help="print the tables of rows that --out wrote; nothing is run"
    )


def run_slices(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Score as asked; prints a table for each network, and of how each differs from the first."""
    import torch

    if args.rows:
        print_tables(read_rows(args.rows))
        return 0
    torch.set_num_threads(args.threads)
    data = data_folder()
    names = args.model or ([] if args.run else ["sfan"])
    kept: dict[str, list[SliceRow]] = {}
    for name in [*names, *args.run]:
        model = bundled_model(name) if isinstance(name, str) else run_model(name)
        for threshold in args.liver_threshold or [None]:
            asked = model if threshold is None else replace(model, liver_threshold=threshold)
            known_as = str(name) if threshold is None else f"{name}, liver from {threshold:g}"
            kept[known_as] = list(slice_rows(asked, data, progress))
    print_tables(kept)
    if args.out:
        with replacing(args.out) as beside, beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["network", *(f.name for f in fields(SliceRow))])
            writer.writeheader()
            writer.writerows({"network": name, **asdict(row)} for name, rows in kept.items() for row in rows)
    return 0
