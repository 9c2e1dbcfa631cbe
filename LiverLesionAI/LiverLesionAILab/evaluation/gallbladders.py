"""`liverlesionai gallbladders`: how well the gallbladder is found, and what its rule costs.

Three parts: the validation patients' real slices; those without a gallbladder with synthetic gallbladders and
lesions beside the fossa; synthetic scans with gallbladders of all states and lesions beside them. What is
counted is what would become of a candidate that is exactly the gallbladder, or exactly the lesion.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry, ModelStore
from LiverLesionAILib.stages.locate.coarse import LocateSettings, locate
from LiverLesionAILib.stages.locate.families import SliceLocator
from LiverLesionAILib.stages.neighbours.families import SliceNeighbour
from LiverLesionAILib.stages.neighbours.gallbladder import (
    GallbladderSettings,
    gallbladder_mask,
    separate_gallbladder,
)
from LiverLesionAILib.stages.neighbours.stage import find_gallbladder
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry, resample_labels
from LiverLesionAILib.volume.overlap import dice
from numpy.typing import NDArray

from ..data.axial_slices import axial_slices
from ..data.cases import UNKNOWN, TrainingCase, data_folder, decode_hu
from ..training.gallbladder_cases import (
    GRID_MM,
    GallbladderBody,
    GallbladderMix,
    gallbladder_body,
    shows_lung,
    slice_with_lesions,
)
from ..training.trained_masks import run_network
from .gallbladder_in_cases import case_rows, case_table
from .gallbladder_in_slices import TakenRow, read_taken, taken_rows, taken_table
from .gallbladder_line import line_rows, line_table, read_line
from .row_tables import read_csv, share_lines, write_csv

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
        liver_mm3: of a scan's true gallbladder, what the coarse network takes for liver and the rule leaves.
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
    liver_mm3: float = float("nan")


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
    """Synthetic scans with gallbladders and lesions beside them, searched as the product does.

    The coarse network says where the liver is; the gallbladder is looked for in its box and below it. What
    counts as liver is the coarse one too: the segmenter would take minutes for every scan.
    """
    mix = GallbladderMix(seed=TEST_SEED, lesions=1.0)
    store = ModelStore.bundled()
    coarse = store.manifest.find("coarse_unet")
    locator = SliceLocator(coarse, store.network("coarse_unet", "cpu", "float32"))
    neighbour = SliceNeighbour(ModelEntry(NAME, "neighbour", "unet", {}, spec, "", ""), network)
    for done, number in enumerate(numbers, start=1):
        body = gallbladder_body(number, mix, data / "shapes")
        ct = CtVolume(np.clip(body.hu_zyx, -160, 240), _grid(body))
        found, liver = np.zeros(body.labels_zyx.shape, bool), np.zeros(body.labels_zyx.shape, bool)
        where = locate(ct, locator.probability, coarse.input, Rules().part(LocateSettings))
        if where is not None:
            seen = find_gallbladder(neighbour, ct, where, settings)
            found[seen.cut] = seen.mask_zyx
            liver = resample_labels(where.mask_zyx.astype(np.uint8), where.geometry, ct.geometry) > 0
        counted = float((liver & (body.labels_zyx == 2) & ~found).sum()) * ct.geometry.voxel_volume_mm3
        for row in _candidates(
            "scan",
            f"scan{number:03d}",
            body.state,
            body.labels_zyx,
            body.lesions_zyx,
            found,
            ct.geometry.voxel_volume_mm3,
            settings,
            body,
        ):
            yield replace(row, liver_mm3=counted) if row.what == "gallbladder" else row
        progress("synthetic scans", done / len(numbers))


def _grid(body: GallbladderBody) -> Geometry:
    """Where a body lies: its axes are left, posterior and superior."""
    shape = tuple(int(n) for n in body.labels_zyx.shape)
    return Geometry(shape, body.spacing_zyx_mm, (0.0, 0.0, 0.0), np.eye(3))  # type: ignore[arg-type]


def _candidates(
    part: str,
    name: str,
    state: str,
    labels: NDArray[np.uint8],
    lesions: NDArray[np.uint16] | None,
    found: NDArray[np.bool_],
    voxel: float,
    settings: GallbladderSettings,
    source: GallbladderBody | TrainingCase,
) -> Iterator[GallbladderRow]:
    """What would become of candidates that are exactly the gallbladder, or exactly a lesion."""
    truth = labels == 2
    spacing = source.spacing_zyx_mm
    candidates = np.zeros(labels.shape, np.uint16)
    if lesions is not None:
        candidates[:] = lesions
    own = int(candidates.max()) + 1
    candidates[truth] = own
    hu = source.hu_zyx if isinstance(source, GallbladderBody) else decode_hu(source.grey_zyx)
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
    lines += ["", *_shares(rows)]
    return "\n".join(lines)


def _shares(rows: Sequence[GallbladderRow]) -> list[str]:
    """What the scans say of the three aims, each with its 95 % interval (Wilson), and a line per state."""
    scans = [row for row in rows if row.part == "scan"]
    own = [row for row in scans if row.what == "gallbladder"]
    if not own:
        return []
    lesions = [row for row in scans if row.what == "lesion"]
    shares = (
        ("less than 1 mL counted as liver", sum(row.liver_mm3 < 1000.0 for row in own), len(own)),
        ("not listed, should all of it be taken for a lesion", sum(row.removed for row in own), len(own)),
        ("lesion at the fossa stays listed", sum(not row.removed for row in lesions), len(lesions)),
    )
    lines = share_lines("synthetic scans", shares)
    lines += [
        "",
        "| gallbladder | n | Dice | not listed | mL counted as liver (median) |",
        "|---|---|---|---|---|",
    ]
    for state in sorted({row.state for row in own}):
        some = [row for row in own if row.state == state]
        out, mean = sum(row.removed for row in some), np.mean([row.dice for row in some])
        wrong = np.median([row.liver_mm3 for row in some]) / 1000.0
        lines.append(f"| {state} | {len(some)} | {mean:.3f} | {out} | {wrong:.1f} |")
    return lines


def write_rows(rows: Sequence[GallbladderRow], path: Path) -> None:
    """One line a row, beside and renamed."""
    write_csv(rows, GallbladderRow, path)


def read_rows(path: Path) -> list[GallbladderRow]:
    """What :func:`write_rows` wrote.

    Raises:
        InputError: it is no such table.
    """
    try:
        return read_csv(GallbladderRow, path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no rows as `gallbladders --out` writes them ({error}).") from error


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
    parser.add_argument(
        "--line",
        action="store_true",
        help="the synthetic scans through the whole line instead; goes on from the rows in --out",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=TEST_SEED,
        help=f"of the bodies of --line (default {TEST_SEED}; training's is {GallbladderMix().seed})",
    )
    parser.add_argument(
        "--tumour",
        action="store_true",
        help="what the stage takes of the tumour that SFAN sees in the validation patients' slices, instead",
    )
    parser.add_argument(
        "--rows", type=Path, metavar="CSV", help="print the tables of rows that --out wrote; nothing is run"
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

    if args.rows:
        if args.tumour:
            print(taken_table(read_taken(args.rows)))
        else:
            print(line_table(read_line(args.rows)) if args.line else summary(read_rows(args.rows)))
        return 0
    torch.set_num_threads(args.threads)
    data = data_folder()
    if args.line:
        mix = GallbladderMix(seed=args.seed, lesions=1.0)
        first = "scan" if args.seed == TEST_SEED else f"scan{args.seed}-"
        bodies = {
            f"{first}{n:03d}": partial(gallbladder_body, n, mix, data / "shapes") for n in range(args.scans)
        }
        print(line_table(list(line_rows(bodies, args.out, progress))))
        return 0
    network, spec = trained_network(args.run)
    settings = Rules().part(GallbladderSettings)
    if args.tumour:
        taken = list(taken_rows(network, spec, data, slice_rules(settings)))
        print(taken_table(taken))
        if args.out:
            write_csv(taken, TakenRow, args.out)
        return 0
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
