"""`liverlesionai gallbladders`: how well the gallbladder is found, and what its rule costs.

Three parts: the validation patients' real slices; those without a gallbladder with synthetic gallbladders and
lesions beside the fossa; synthetic scans with gallbladders of all states and lesions beside them. What is
counted is what would become of a candidate that is exactly the gallbladder, or exactly the lesion.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.neighbours.gallbladder import (
    GallbladderSettings,
    gallbladder_mask,
    separate_gallbladder,
)
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.overlap import dice
from numpy.typing import NDArray

from ..data.axial_slices import axial_slices
from ..data.cases import UNKNOWN, data_folder, decode_hu
from ..training.gallbladder_cases import (
    GRID_MM,
    GallbladderMix,
    gallbladder_body,
    shows_lung,
    slice_with_lesions,
)
from .gallbladder_in_cases import case_rows, case_table
from .models import run_network

if TYPE_CHECKING:
    from torch import nn

NAME = "gallbladder_unet"
TEST_SEED = 71
"""Of the synthetic test scans; training's is another."""


@dataclass(frozen=True)
class GallbladderRow:
    """One gallbladder, one lesion beside it, or one slice that has none.

    Attributes:
        part: "slice" or "scan"; name: of it.
        what: "gallbladder", "lesion" or "none".
        state: the gallbladder's, where it was synthesised.
        dice: of the gallbladder's mask; NaN where there is none.
        size_mm2: of the true gallbladder (or lesion); for a scan mm3.
        false_mm2: gallbladder seen where there is none (for a scan mm3).
        share: how much of the true gallbladder or lesion is taken for gallbladder, 0..1.
        removed: whether a candidate of its outline would be left out of the list.
    """

    part: str
    name: str
    what: str
    state: str = ""
    dice: float = float("nan")
    size_mm2: float = 0.0
    false_mm2: float = 0.0
    share: float = 0.0
    removed: bool = False


def slice_rules(settings: GallbladderSettings) -> GallbladderSettings:
    """The rules for a slice alone: its volume says nothing."""
    return replace(settings, smallest_ml=0.0)


def predicted(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray[np.float32],
    settings: GallbladderSettings,
) -> NDArray[np.bool_]:
    """The gallbladder that the network and the rules see on the network's own grid."""
    probability = class_probabilities(network, spec, hu_zyx, classes=3)[1]
    return gallbladder_mask(probability, hu_zyx, spec.spacing_zyx_mm, settings)


def slice_rows(
    network: nn.Module, spec: InputSpec, data: Path, settings: GallbladderSettings, paintings: int
) -> Iterator[GallbladderRow]:
    """The validation patients' slices as they are, then with synthetic gallbladders and lesions."""
    mix = GallbladderMix(seed=TEST_SEED, lesions=1.0)
    own = slice_rules(settings)
    area = GRID_MM**2
    for one in axial_slices(data):
        if not one.validation:
            continue
        case = one.case(GRID_MM)
        found = predicted(network, spec, decode_hu(case.grey_zyx), own)
        yield from _candidates("slice", case.name, "", case.labels_zyx, None, found, area, own, case)
        if one.kind != "none" or shows_lung(one.hu_yx, one.pixel_mm):
            continue
        for number in range(paintings):
            made, lesions = slice_with_lesions(one, number, mix)
            if not lesions.any():
                continue
            found = predicted(network, spec, decode_hu(made.grey_zyx), own)
            yield from _candidates("painted", made.name, "", made.labels_zyx, lesions, found, area, own, made)


def scan_rows(
    network: nn.Module,
    spec: InputSpec,
    data: Path,
    settings: GallbladderSettings,
    numbers: Sequence[int],
    progress: Progress = silent,
) -> Iterator[GallbladderRow]:
    """Synthetic scans with gallbladders and lesions beside them."""
    mix = GallbladderMix(seed=TEST_SEED, lesions=1.0)
    for done, number in enumerate(numbers, start=1):
        body = gallbladder_body(number, mix, data / "shapes")
        hu = np.clip(body.hu_zyx, -160, 240)
        found = predicted(network, spec, hu, settings)
        yield from _candidates(
            "scan",
            f"scan{number:03d}",
            body.state,
            body.labels_zyx,
            body.lesions_zyx,
            found,
            float(np.prod(body.spacing_zyx_mm)),
            settings,
            body,
        )
        progress("synthetic scans", done / len(numbers))


def _candidates(
    part: str,
    name: str,
    state: str,
    labels: NDArray[np.uint8],
    lesions: NDArray[np.uint16] | None,
    found: NDArray[np.bool_],
    voxel: float,
    settings: GallbladderSettings,
    source: object,
) -> Iterator[GallbladderRow]:
    """What would become of candidates that are exactly the gallbladder, or exactly a lesion."""
    truth = labels == 2
    spacing = source.spacing_zyx_mm  # type: ignore[attr-defined]
    candidates = np.zeros(labels.shape, np.uint16)
    if lesions is not None:
        candidates[:] = lesions
    own = int(candidates.max()) + 1
    candidates[truth] = own
    hu = np.zeros(labels.shape, np.float32)
    apart = separate_gallbladder(np.isin(labels, (1, 2)), candidates, found, hu, spacing, settings)
    if truth.any():
        yield GallbladderRow(
            part,
            name,
            "gallbladder",
            state,
            dice(truth, found),
            float(truth.sum()) * voxel,
            float((found & (labels == 0)).sum()) * voxel,
            apart.shares.get(own, 0.0),
            own in apart.removed,
        )
    else:
        false = float((found & (labels != UNKNOWN)).sum()) * voxel
        yield GallbladderRow(part, name, "none", state, false_mm2=false)
    for number in range(1, own):
        size = float((candidates == number).sum()) * voxel
        if size:
            yield GallbladderRow(
                part,
                name,
                "lesion",
                state,
                size_mm2=size,
                share=apart.shares.get(number, 0.0),
                removed=number in apart.removed,
            )


def summary(rows: Sequence[GallbladderRow]) -> str:
    """The table that is printed."""
    lines = [
        "| part | what | n | Dice | seen | taken out of the list | false |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in ("slice", "painted", "scan"):
        unit = "mL" if part == "scan" else "mm2"
        scale = 1000.0 if part == "scan" else 1.0
        for what in ("gallbladder", "none", "lesion"):
            own = [row for row in rows if row.part == part and row.what == what]
            if not own:
                continue
            scores = [row.dice for row in own]
            shown = {
                "gallbladder": f"{np.mean(scores):.3f} (median {np.median(scores):.3f})",
                "none": "-",
                "lesion": "-",
            }[what]
            seen = f"{sum(d >= 0.3 for d in scores)}" if what == "gallbladder" else "-"
            out = f"{sum(row.removed for row in own)}" if what != "none" else "-"
            false = [row.false_mm2 / scale for row in own]
            wrong = f"{np.mean(false):.1f} {unit} mean, {sum(f > 0 for f in false)} with any"
            lines.append(
                f"| {part} | {what} | {len(own)} | {shown} | {seen} | {out} | "
                f"{wrong if what != 'lesion' else '-'} |"
            )
    for state in sorted({row.state for row in rows if row.state}):
        own = [row for row in rows if row.state == state and row.what == "gallbladder"]
        if own:
            out = sum(row.removed for row in own)
            mean = np.mean([row.dice for row in own])
            lines.append(f"| scan | {state} | {len(own)} | {mean:.3f} | - | {out} | - |")
    return "\n".join(lines)


def write_rows(rows: Sequence[GallbladderRow], path: Path) -> None:
    """One line a row, beside and renamed."""
    with replacing(path) as beside, beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(GallbladderRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def add_gallbladder_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gallbladders`."""
    parser.description = "Score the gallbladder's network and rule on slices and synthetic scans."
    parser.add_argument("--scans", type=int, default=50, help="synthetic scans (default 50)")
    parser.add_argument(
        "--paintings", type=int, default=2, help="synthetic gallbladders per validation slice"
    )
    parser.add_argument("--run", type=Path, help="folder of a training run instead of the bundled weights")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="DIR",
        help="also: case folders of the real CTs, analysed without the rule",
    )
    parser.add_argument(
        "--out", type=Path, help="write one line per gallbladder, lesion and slice to this CSV"
    )


def trained_network(run: Path | None) -> tuple[nn.Module, InputSpec]:
    """The bundled network, or the averaged weights of a run.

    Raises:
        InputError: the run's folder holds no weights.
    """
    from ..training.recipes import recipe

    if run is None:
        store = ModelStore.bundled()
        return store.network(NAME, "cpu", "float32"), store.manifest.find(NAME).input
    chosen = recipe(NAME)
    return run_network(run, chosen.network, asdict(chosen.config)), chosen.spec


def run_gallbladders(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Score as asked; prints the table."""
    import torch

    torch.set_num_threads(args.threads)
    data = data_folder()
    network, spec = trained_network(args.run)
    settings = Rules().part(GallbladderSettings)
    rows = list(slice_rows(network, spec, data, settings, args.paintings))
    rows += scan_rows(network, spec, data, settings, range(args.scans), progress)
    print(summary(rows))
    if args.cases:
        cts = sorted(p for room in ("lits", "unlabelled", "tiny") for p in (data / room).glob("*_ct.nii.gz"))
        print(case_table(list(case_rows(network, spec, cts, args.cases, settings))))
    if args.out:
        write_rows(rows, args.out)
        print(args.out)
    return 0
