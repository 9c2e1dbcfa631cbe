"""Scans that the network for clicks learns from, at their own resolution and at others'.

Real lesions; synthetic lesions in real livers, whose slices are made as thick and fine as scans have them;
the training scans of SynthLiver-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import (
    LITS_PATIENTS,
    UNKNOWN,
    TrainingCase,
    crop_to_liver,
    data_folder,
    encode_hu,
    prepare,
    read_unchecked,
)
from ..data.synthliver import find_synthliver
from .bank import BankSettings, load_shapes, make_variant
from .click_crops import CropCounts, TrainingCrop, crops_of, load_crops, save_crops
from .healthy import healthy_cases
from .kept_folders import is_whole, make_all, name_digits, settings_key

VERSION = 1

THICK = ("lits000", "lits001")
"""Their slices are 5 mm: thinner ones can't be made of them."""

SLICES_MM = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
PIXELS_MM = (0.62, 0.95)
"""Of scans as they come: thickness of a slice, range of a pixel's edge."""

MARGIN_MM = 30.0
"""Of the body so much round the liver is kept."""

HEALTHY = ("smooth", "fatty")


@dataclass(frozen=True)
class ClickBank:
    """What is made.

    Attributes:
        variants: of each real volume.
        real, variant, body: crops of a scan of each kind.
        seed: of everything.
    """

    variants: int = 10
    real: CropCounts = field(default_factory=lambda: CropCounts(99, 3, 3))
    variant: CropCounts = field(default_factory=lambda: CropCounts(10, 3, 2))
    body: CropCounts = field(default_factory=lambda: CropCounts(8, 2, 2))
    seed: int = 7


@dataclass(frozen=True)
class _Task:
    kind: str
    name: str
    number: int
    bank: ClickBank
    target: Path
    synthliver: Path | None = None


def click_crops(
    bank: ClickBank,
    hold_out: str,
    cache: Path,
    synthliver: Path | None,
    workers: int,
    progress: Progress = silent,
) -> list[TrainingCrop]:
    """The crops of all scans but those of held-out patients; made once under `cache`.

    Args:
        hold_out: letters of patients.
        synthliver: folder of SynthLiver-1; without it no body is among the scans.
    """
    folder = cache / f"clicks-{settings_key(bank, VERSION, 'variants')}"
    tasks = [task for task in _tasks(bank, folder, synthliver) if _patient(task) not in set(hold_out)]
    missing = [task for task in tasks if not is_whole(task.target, load_crops)]
    make_all(_make, missing, workers, "outlining lesions by surfaces", progress)
    return [crop for task in tasks for crop in load_crops(task.target)]


def _patient(task: _Task) -> str:
    return LITS_PATIENTS.get(task.name, "")


def _tasks(bank: ClickBank, folder: Path, synthliver: Path | None) -> list[_Task]:
    found = []
    for name in sorted(LITS_PATIENTS):
        for number in range(1 if name in THICK else 3):
            found.append(_Task("real", name, number, bank, folder / f"real-{name}-{number:02d}"))
    for number in range(bank.variants):
        for name in (*sorted(LITS_PATIENTS), *HEALTHY):
            found.append(_Task("variant", name, number, bank, folder / f"variant-{name}-{number:02d}"))
    if synthliver is not None:
        for scan in find_synthliver(synthliver, "train"):
            found.append(_Task("body", scan.name, 0, bank, folder / f"body-{scan.name}", synthliver))
    return found


def _make(task: _Task) -> None:
    """Write the crops of one scan."""
    kind = ("real", "variant", "body").index(task.kind)
    rng = np.random.default_rng((task.bank.seed, kind, task.number, name_digits(task.name)))
    save_crops(crops_of(_case(task, rng), rng, getattr(task.bank, task.kind)), task.target)


def _case(task: _Task, rng: np.random.Generator) -> TrainingCase:
    if task.synthliver is not None:
        (scan,) = [s for s in find_synthliver(task.synthliver, "train") if s.name == task.name]
        read = scan.read()
        spacing = read.ct.geometry.spacing_zyx_mm
        return TrainingCase(scan.name, "", encode_hu(read.ct.hu_zyx), read.labels_zyx, spacing, "body")
    if task.kind == "real":
        return _real(task.name, None if task.number == 0 else _grid(task.name, rng))
    if task.name in HEALTHY:
        (case,) = [c for c in healthy_cases(data_folder(), _grid(task.name, rng)) if c.name == task.name]
        case = crop_to_liver(case, MARGIN_MM)
    else:
        case = _real(task.name, _grid(task.name, rng))
    shapes = data_folder() / "shapes" / "lesion_masks.npz"
    settings = replace(BankSettings(), lesion_free_share=0.0)
    made = make_variant(case, rng, settings, load_shapes(shapes) if shapes.is_file() else None)
    labels = np.array(made.labels_zyx)
    # Real lesions are another kind's: here they are nobody's business.
    labels[np.asarray(case.labels_zyx) == 2] = UNKNOWN
    return replace(made, labels_zyx=labels, kind="variant")


def _grid(name: str, rng: np.random.Generator) -> tuple[float, float, float]:
    pixel = float(rng.uniform(*PIXELS_MM))
    return 5.0 if name in THICK else float(rng.choice(SLICES_MM)), pixel, pixel


def _real(name: str, spacing_zyx_mm: Sequence[float] | None) -> TrainingCase:
    ct, mask = (read_unchecked(data_folder() / "lits" / f"{name}_{kind}.nii.gz") for kind in ("ct", "mask"))
    z, y, x = ct.geometry.spacing_zyx_mm if spacing_zyx_mm is None else spacing_zyx_mm
    return crop_to_liver(prepare(ct, mask.hu_zyx, (z, y, x), name, LITS_PATIENTS[name]), MARGIN_MM)
