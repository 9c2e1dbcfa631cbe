"""Real livers as they look while arteries fill, with lesions that are brighter than they are.

Every labelled scan at hand is a portal venous one, and a network that has learnt from those alone calls no
lesion brighter than the liver one. Here real tissue is turned: the liver's own level falls against what lies
around it, its vessels lose their contrast or turn dark, annotated lesions fade or turn bright; the scan's
noise stays as it is. Then come synthetic lesions of the arterial phase (:mod:`..synthesis.appearance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent
from scipy import ndimage

from ..data.axial_slices import axial_slices
from ..data.cases import LIVER_OR_TUMOUR, TrainingCase, data_folder, decode_hu, encode_hu
from ..synthesis.appearance import LesionType, Phase
from ..synthesis.texture import gaussian
from .bank import BankSettings, build_bank, load_mapped, load_shapes, make_variant, save_mapped
from .bodies import BodyMix, body_cases
from .kept_folders import is_whole, make_all, name_digits
from .slice_cases import segment_case, slice_variant

if TYPE_CHECKING:
    from .recipes import Recipe

ARTERIAL_TYPES: dict[LesionType, float] = {
    LesionType.HCC: 0.40,
    LesionType.METASTASIS: 0.22,
    LesionType.FNH: 0.15,
    LesionType.HAEMANGIOMA: 0.15,
    LesionType.CYST: 0.05,
    LesionType.TREATED: 0.03,
}
"""What is asked for in scans of this phase: mostly tumours that enhance."""

SEED = 5


def arterial_bank(bank: BankSettings, count: int) -> BankSettings:
    """A recipe's bank with `count` variants a patient as scans of this phase have them."""
    mistaken = bank.distractors
    if mistaken is not None:
        # Wedges of perfusion and arteries are what bright lesions are mistaken for.
        mistaken = replace(mistaken, bright_vessels=0.3, perfusion=0.25, turned_vessels=0.0)
    lesions = replace(bank.lesions, type_weights=ARTERIAL_TYPES, phase=Phase.ARTERIAL)
    return replace(bank, variants_per_patient=count, lesions=lesions, distractors=mistaken, seed=SEED)


def arterial_bodies(mix: BodyMix, bank: BankSettings) -> BodyMix:
    """A recipe's bodies in this phase, with lesions as faint as the bank's."""
    lesions = replace(
        mix.lesions, type_weights=ARTERIAL_TYPES, least_visibility=bank.lesions.least_visibility
    )
    return replace(mix, lesions=lesions, phase=Phase.ARTERIAL)


SMOOTH_MM = 1.2
"""SD of the Gaussian that parts structure (turned) from noise (kept)."""


def arterial_look(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """A portal venous case turned towards the arterial phase; labels stay.

    Args:
        case: labels 1 liver, 2 lesion, `LIVER_OR_TUMOUR`.
        rng: how far everything is turned; the same state gives the same result.

    Returns:
        The case with another image. One without a liver comes back as it is.
    """
    hu = decode_hu(case.grey_zyx)
    lesion = case.labels_zyx == 2
    liver = (case.labels_zyx == 1) | (case.labels_zyx == LIVER_OR_TUMOUR) | lesion
    if int(liver.sum()) < 100:
        return case
    plain = liver & ~ndimage.binary_dilation(lesion, iterations=2) if lesion.any() else liver
    level = float(np.median(hu[plain])) if plain.any() else float(np.median(hu[liver]))
    spacing = case.spacing_zyx_mm
    structure = gaussian(hu, SMOOTH_MM, spacing) - np.float32(level)
    # Hepatic veins fill last and may be darker than the liver; late in the phase vessels are bright already.
    vessels = float(rng.uniform(-0.4, 0.4) if rng.random() < 0.5 else rng.uniform(0.4, 1.3))
    change = (vessels - 1.0) * np.maximum(structure, 0.0)
    if lesion.any():
        # What is annotated is dark here: still dark but fainter, or as bright as it was dark.
        kept = float(rng.uniform(0.3, 1.0) if rng.random() < 0.4 else -rng.uniform(0.35, 1.2))
        share = np.clip(2.0 * gaussian(ndimage.binary_dilation(lesion), 1.5, spacing), 0.0, 1.0)
        change = (1.0 - share) * change + share * (kept - 1.0) * structure
    lower = float(rng.uniform(0.0, 35.0))
    inside = gaussian(liver, 1.0, spacing)
    out = hu + inside * (change - np.float32(lower))
    # Aorta, spleen and the kidneys' cortex.
    bright = np.maximum(hu - np.float32(level + 25.0), 0.0)
    out += (1.0 - inside) * float(rng.uniform(0.0, 1.5)) * np.minimum(bright, 120.0)
    return replace(case, grey_zyx=encode_hu(out))


def _make_variant(task: tuple[Path, Path, int, int, BankSettings, Path | None]) -> None:
    source, target, number, seed, settings, shapes = task
    case = load_mapped(source)
    rng = np.random.default_rng((seed, number, name_digits(case.name), 29))
    bank = load_shapes(shapes) if shapes is not None else None
    made = make_variant(arterial_look(case, rng), rng, settings, bank)
    save_mapped(replace(made, name=f"{case.name}-a{number:03d}", kind="arterial"), target)


def _make_slice(task: tuple[Path, Path, int, BankSettings, Path | None]) -> None:
    source, target, number, settings, shapes = task
    case = load_mapped(source)
    rng = np.random.default_rng((settings.seed, number, name_digits(case.name), 31))
    made = slice_variant(arterial_look(case, rng), number, settings, shapes)
    save_mapped(replace(made, kind="arterial slice"), target)


def arterial_cases(
    whole: Sequence[TrainingCase],
    chosen: Recipe,
    cache: Path,
    *,
    shapes: Path | None,
    workers: int = 1,
    progress: Progress = silent,
) -> list[TrainingCase]:
    """Kinds "arterial" (of whole livers), "arterial slice" and "arterial body".

    Args:
        whole: labelled and healthy livers on the training grid, to be turned.
        chosen: its `arterial` says how many variants of each patient among them, and how many bodies; every
            training slice gives one. A kind without a share is not made.
        cache: where all that is made is kept.
        shapes: bank of real outlines; None draws procedural ones.

    Raises:
        InputError: the slices are missing.
    """
    spacing, settings = chosen.spec.spacing_zyx_mm, arterial_bank(chosen.bank, chosen.arterial)
    grid = "x".join(f"{s:g}" for s in spacing)
    margin = "whole" if chosen.margin_mm is None else f"m{chosen.margin_mm:g}"
    cases: list[TrainingCase] = []
    if chosen.shares.get("arterial", 0):
        folder = cache / f"arterial-{grid}-{margin}-{settings.key()}"
        made = build_bank(
            whole, folder, settings, shapes=shapes, workers=workers, progress=progress, make=_make_variant
        )
        cases += [load_mapped(one) for one in made]
    if chosen.shares.get("arterial slice", 0):
        # Their number does not depend on how many variants a patient has.
        settings = replace(settings, variants_per_patient=1)
        folder = cache / f"arterial-slices-{grid}-{settings.key()}"
        cases += _slices(spacing, folder, settings, shapes, workers, progress)
    if chosen.shares.get("arterial body", 0):
        bodies = body_cases(
            spacing,
            chosen.margin_mm,
            chosen.arterial,
            cache,
            shapes,
            seed=SEED,
            mix=arterial_bodies(chosen.body_mix, chosen.bank),
            workers=workers,
            progress=progress,
        )
        cases += [replace(body, kind="arterial body") for body in bodies]
    return cases


def _slices(
    spacing_zyx_mm: tuple[float, float, float],
    folder: Path,
    settings: BankSettings,
    shapes: Path | None,
    workers: int,
    progress: Progress,
) -> list[TrainingCase]:
    tasks, targets = [], []
    for one in axial_slices(data_folder()):
        if one.validation:
            continue
        case = segment_case(one, spacing_zyx_mm)
        if np.count_nonzero(np.isin(case.labels_zyx, (1, LIVER_OR_TUMOUR))) < 600:
            continue
        source, target = folder / "sources" / case.name, folder / case.name
        if not is_whole(source, load_mapped):
            save_mapped(case, source)
        targets.append(target)
        if not is_whole(target, load_mapped):
            tasks.append((source, target, 0, settings, shapes))
    make_all(_make_slice, tasks, workers, "synthesising bright lesions in slices", progress)
    return [load_mapped(target) for target in targets]
