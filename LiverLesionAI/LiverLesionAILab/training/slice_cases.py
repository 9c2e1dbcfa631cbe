"""Training cases of the mask networks from single axial slices of many more patients.

Their liver's outline is known, and that what lies outside is no tumour (gallbladder, bowel, vessels ...);
inside it tumour is mostly unknown: label 254 asks only that the pixel is liver or tumour. Variants get
synthetic lesions, whose label is sure, and what fools a network.

Kinds: "slice" as they are; "slice variant" with synthesis. The validation patients' are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent

from ..data.axial_slices import AxialSlice, axial_slices
from ..data.cases import LIVER_OR_TUMOUR, TrainingCase
from .bank import BankSettings, load_mapped, load_shapes, make_variant, save_mapped
from .kept_folders import is_whole, make_all

SLAB = 13
"""A slice is repeated so often for synthesis; at 2.5 mm that holds lesions of 30 mm."""

KEPT = 5
"""Slices of the slab that are kept, around the one with most lesion."""


def segment_case(one: AxialSlice, spacing_zyx_mm: Sequence[float], kind: str = "slice") -> TrainingCase:
    """The slice for a mask network: gallbladders are background, livers 254 unless known to be free."""
    plain = one.case(spacing_zyx_mm[1], kind)
    labels = plain.labels_zyx.copy()
    labels[labels == 2] = 0
    if not one.free:
        labels[labels == 1] = LIVER_OR_TUMOUR
    return replace(
        plain,
        labels_zyx=labels,
        spacing_zyx_mm=(spacing_zyx_mm[0], plain.spacing_zyx_mm[1], plain.spacing_zyx_mm[2]),
    )


def slice_variant(
    plain: TrainingCase, number: int, settings: BankSettings, shapes: Path | None
) -> TrainingCase:
    """Variant `number` of a case of :func:`segment_case`: lesions and distractors, `KEPT` slices."""
    rng = np.random.default_rng((settings.seed, number, int(plain.name.removeprefix("slice")), 17))
    free = not bool((plain.labels_zyx == LIVER_OR_TUMOUR).any())
    labels = np.where(plain.labels_zyx == LIVER_OR_TUMOUR, 1, plain.labels_zyx).astype(np.uint8)
    slab = replace(
        plain,
        grey_zyx=np.repeat(plain.grey_zyx, SLAB, axis=0),
        labels_zyx=np.repeat(labels, SLAB, axis=0),
    )
    bank = load_shapes(shapes) if shapes is not None else None
    made = make_variant(slab, rng, settings, bank)
    area = (made.labels_zyx == 2).sum(axis=(1, 2))
    middle = int(area.argmax()) if area.any() else SLAB // 2
    first = min(max(0, middle - KEPT // 2), SLAB - KEPT)
    labels = made.labels_zyx[first : first + KEPT].copy()
    if not free:
        labels[labels == 1] = LIVER_OR_TUMOUR
    return replace(
        made,
        name=f"{plain.name}-{number}",
        grey_zyx=made.grey_zyx[first : first + KEPT],
        labels_zyx=labels,
        kind="slice variant",
    )


def _make(task: tuple[Path, Path, int, BankSettings, Path | None]) -> None:
    source, target, number, settings, shapes = task
    save_mapped(slice_variant(load_mapped(source), number, settings, shapes), target)


def slice_cases(
    data: Path,
    spacing_zyx_mm: tuple[float, float, float],
    cache: Path,
    settings: BankSettings,
    variants: int,
    *,
    shapes: Path | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> list[TrainingCase]:
    """The training patients' slices, and `variants` synthetic variants of each that shows enough liver.

    Raises:
        InputError: the slices are missing.
    """
    plain = [segment_case(one, spacing_zyx_mm) for one in axial_slices(data) if not one.validation]
    if not variants:
        return plain
    grid = "x".join(f"{s:g}" for s in spacing_zyx_mm)
    folder = cache / f"slices-{grid}-{settings.key()}"
    tasks, targets = [], []
    for case in plain:
        if np.count_nonzero(np.isin(case.labels_zyx, (1, LIVER_OR_TUMOUR))) < 600:
            continue
        source = folder / "sources" / case.name
        if not is_whole(source, load_mapped):
            save_mapped(case, source)
        for number in range(variants):
            target = folder / f"{case.name}-{number}"
            targets.append(target)
            if not is_whole(target, load_mapped):
                tasks.append((source, target, number, settings, shapes))
    make_all(_make, tasks, workers, "synthesising lesions in slices", progress)
    return plain + [load_mapped(target) for target in targets]
