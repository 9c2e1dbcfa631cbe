"""A bank of synthetic variants: real livers with further, synthetic lesions and with what fools a network.

Made once, kept as memory-mapped 8-bit volumes that every training process shares. Variant k of a case is
decided by the bank's seed, the case's name and k alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import LITS_PATIENTS, TrainingCase, decode_hu, encode_hu
from ..synthesis.distractors import DistractorSettings
from ..synthesis.lesions import LesionSettings
from .kept_folders import is_whole, make_all, name_digits, settings_key, write_folder

if TYPE_CHECKING:
    from ..synthesis.shapes import ShapeBank

VERSION = 3


@dataclass(frozen=True)
class BankSettings:
    """What a bank holds.

    Attributes:
        lesions, distractors: how they are drawn; None for no distractors. Distractors at the liver's surface
            are rarer, and lesions there more common, than the synthesis' own defaults: with those, held-out
            subcapsular lesions were taken for what lies outside the liver. Lesions are fainter than the
            synthesis' own default: of real ones under 8 mm half are less than 20 HU darker than the liver.
        variants_per_patient: shared evenly among a patient's volumes.
        lesion_free_share: variants that get no further lesion (but distractors).
        seed: of everything.
    """

    variants_per_patient: int = 160
    lesion_free_share: float = 0.2
    lesions: LesionSettings = field(
        default_factory=lambda: LesionSettings(subcapsular_share=0.4, least_visibility=(1.5, 4.0))
    )
    distractors: DistractorSettings | None = field(
        default_factory=lambda: DistractorSettings(gallbladder=0.2, bowel=0.08, fluid=0.03)
    )
    seed: int = 0

    def key(self) -> str:
        """Names the folder of a bank made with these settings."""
        return settings_key(self, VERSION)


def save_mapped(case: TrainingCase, folder: Path) -> None:
    """Write a case as `data.npy` (2, z, y, x) uint8 and `case.json`, whole or not at all."""

    def write(beside: Path) -> None:
        np.save(beside / "data.npy", np.stack([case.grey_zyx, case.labels_zyx]))
        meta = {
            "name": case.name,
            "patient": case.patient,
            "kind": case.kind,
            "spacing": case.spacing_zyx_mm,
        }
        (beside / "case.json").write_text(json.dumps(meta))

    write_folder(folder, write, load_mapped)


def load_mapped(folder: Path) -> TrainingCase:
    """A case of :func:`save_mapped`, its arrays memory-mapped.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    meta = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    try:
        data = np.load(folder / "data.npy", mmap_mode="r", allow_pickle=False)
    except EOFError as error:
        raise ValueError(f"{folder} holds an empty data.npy") from error
    return TrainingCase(meta["name"], meta["patient"], data[0], data[1], tuple(meta["spacing"]), meta["kind"])


def make_variant(
    case: TrainingCase, rng: np.random.Generator, settings: BankSettings, shape_bank: object | None
) -> TrainingCase:
    """One synthetic variant of a real case (or of a synthetic body): distractors, then lesions."""
    from ..synthesis.lesions import add_lesions

    hu = decode_hu(case.grey_zyx)
    real = case.labels_zyx == 2
    liver = (case.labels_zyx == 1) | real
    if settings.distractors is not None:
        from ..synthesis.distractors import add_distractors

        changed = add_distractors(
            hu, liver, case.spacing_zyx_mm, rng, settings.distractors, protected_zyx=_grown(real)
        )
        hu, liver = changed.hu_zyx, changed.liver_zyx | real
    labels = np.where(liver, 1, 0).astype(np.uint8)
    if rng.random() >= settings.lesion_free_share:
        made = add_lesions(
            hu,
            liver,
            case.spacing_zyx_mm,
            rng,
            settings.lesions,
            occupied_zyx=_grown(real),
            **({"shape_bank": shape_bank} if shape_bank is not None else {}),
        )
        hu = made.hu_zyx
        labels[made.liver_zyx] = 1
        labels[made.labels_zyx > 0] = 2
    labels[real] = 2
    labels[(case.labels_zyx == 255) & (labels == 0)] = 255
    kind = "variant" if case.kind == "real" else case.kind
    return TrainingCase(case.name, case.patient, encode_hu(hu), labels, case.spacing_zyx_mm, kind)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ndimage.binary_dilation(mask, iterations=2) if mask.any() else mask


def load_shapes(path: Path) -> ShapeBank:
    """The bank of real outlines without those of the labelled training volumes.

    Variants are made once and serve every fold: an outline of a held-out patient's lesion in another liver
    would show a network what it is tested on.

    Raises:
        InputError: the file is missing or is no such bank.
    """
    from ..synthesis.shapes import ShapeBank

    return ShapeBank.load(path, exclude=tuple(f"{name}_" for name in LITS_PATIENTS))


def _make_one(task: tuple[Path, Path, int, int, BankSettings, Path | None]) -> None:
    source, target, number, seed, settings, shapes = task
    case = load_mapped(source)
    rng = np.random.default_rng((seed, number, name_digits(case.name)))
    bank = load_shapes(shapes) if shapes is not None else None
    variant = make_variant(case, rng, settings, bank)
    save_mapped(replace(variant, name=f"{case.name}-v{number:03d}"), target)


def build_bank(
    cases: Sequence[TrainingCase],
    folder: Path,
    settings: BankSettings,
    *,
    shapes: Path | None,
    workers: int,
    progress: Progress = silent,
    make: Callable[[tuple], object] = _make_one,
) -> list[Path]:
    """Make (or find) the variants of `cases` under `folder`; what is there and whole is kept.

    Returns:
        The folders of the variants, for :func:`load_mapped`.
    """
    tasks, targets = [], []
    per_patient = {p: [c for c in cases if c.patient == p] for p in {c.patient for c in cases}}
    for case in cases:
        source = folder / "sources" / case.name
        if not is_whole(source, load_mapped):
            save_mapped(case, source)
        own = per_patient[case.patient]
        share = settings.variants_per_patient // len(own)
        for number in range(share):
            target = folder / f"{case.name}-v{number:03d}"
            targets.append(target)
            if not is_whole(target, load_mapped):
                tasks.append((source, target, number, settings.seed, settings, shapes))
    make_all(make, tasks, workers, "synthesising", progress)
    return targets
