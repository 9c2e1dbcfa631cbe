"""What the gallbladder's rule takes from the lists of cases that were analysed without it.

The stage is run on the case as it was kept: the same CT, the same liver and lesions, nothing segmented again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.locate.coarse import LiverLocation
from LiverLesionAILib.stages.neighbours.families import SliceNeighbour
from LiverLesionAILib.stages.neighbours.gallbladder import GallbladderSettings, separate_gallbladder
from LiverLesionAILib.stages.neighbours.stage import find_gallbladder
from LiverLesionAILib.volume.crops import bounding_box
from LiverLesionAILib.volume.ct import permuted, reorient
from torch import nn

from ..data.cases import read_unchecked

MARGIN_MM = 20.0
"""Round the liver, as the pipeline takes it."""


@dataclass(frozen=True)
class CaseRow:
    """One case.

    Attributes:
        name: of the CT.
        listed: lesions before; removed, doubtful: their numbers.
        true_removed: how many of the removed overlap a true tumour; -1 where no truth is known.
        gallbladder_ml: its volume; true_tumour_ml: true tumour in it (-1 where not known).
        liver_ml: what leaves the liver.
    """

    name: str
    listed: int
    removed: tuple[int, ...]
    doubtful: tuple[int, ...]
    true_removed: int
    gallbladder_ml: float
    true_tumour_ml: float
    liver_ml: float


def case_rows(
    network: nn.Module, spec: InputSpec, cts: Sequence[Path], cases: Path, settings: GallbladderSettings
) -> Iterator[CaseRow]:
    """A row for every CT whose case folder lies under `cases`, named as the CT is.

    Args:
        cts: NAME_ct.nii.gz; NAME_mask.nii.gz beside it is the truth (2 is tumour) where it is there.
    """
    entry = ModelEntry("gallbladder", "neighbour", "unet", {}, spec, "", "")
    finder = SliceNeighbour(entry, network)
    for path in cts:
        name = path.name.removesuffix(".nii.gz")
        if not (cases / name / "case.json").is_file():
            continue
        result, ct = load_result(cases / name), read_unchecked(path)
        oriented = reorient(ct)
        liver = np.ascontiguousarray(permuted(result.liver_zyx, ct.geometry, oriented.geometry))
        labels = np.ascontiguousarray(permuted(result.lesion_labels_zyx, ct.geometry, oriented.geometry))
        box = bounding_box(liver)
        if box is None:
            continue
        margin = [int(np.ceil(MARGIN_MM / s)) for s in oriented.geometry.spacing_zyx_mm]
        start = tuple(max(0, b.start - m) for b, m in zip(box, margin, strict=True))
        sizes = oriented.geometry.shape_zyx
        stop = tuple(min(n, b.stop + m) for b, m, n in zip(box, margin, sizes, strict=True))
        where = LiverLocation(liver, oriented.geometry, start, stop, 0.0, False)  # type: ignore[arg-type]
        found = find_gallbladder(finder, oriented, where, settings)
        cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        apart = separate_gallbladder(
            liver[cut],
            labels[cut],
            found.within(cut),
            oriented.hu_zyx[cut],
            oriented.geometry.spacing_zyx_mm,
            settings,
        )
        voxel_ml = oriented.geometry.voxel_volume_mm3 / 1000.0
        true_removed, tumour_ml = -1, -1.0
        truth_path = path.with_name(path.name.replace("_ct", "_mask"))
        if truth_path.is_file() and truth_path != path:
            tumour = reorient(read_unchecked(truth_path)).hu_zyx == 2
            true_removed = sum(bool(tumour[labels == number].any()) for number in apart.removed)
            tumour_ml = float((tumour[cut] & apart.gallbladder_zyx).sum()) * voxel_ml
        yield CaseRow(
            name,
            len(result.lesions),
            apart.removed,
            apart.doubtful,
            true_removed,
            found.volume_ml,
            tumour_ml,
            float((liver[cut] & ~apart.liver_zyx).sum()) * voxel_ml,
        )


def case_table(rows: Sequence[CaseRow]) -> str:
    """The table that is printed."""
    lines = [
        "| case | listed | taken out | of these true | doubtful | gallbladder mL | true tumour in it mL | "
        "out of the liver mL |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = ", ".join(map(str, row.removed)) or "none"
        doubtful = ", ".join(map(str, row.doubtful)) or "none"
        true = "not known" if row.true_removed < 0 else str(row.true_removed)
        tumour = "not known" if row.true_tumour_ml < 0 else f"{row.true_tumour_ml:.2f}"
        lines.append(
            f"| {row.name} | {row.listed} | {numbers} | {true} | {doubtful} | {row.gallbladder_ml:.1f} | "
            f"{tumour} | {row.liver_ml:.1f} |"
        )
    return "\n".join(lines)
