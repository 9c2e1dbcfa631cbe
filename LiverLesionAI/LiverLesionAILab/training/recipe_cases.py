"""What a recipe learns from: real cases, their synthetic variants, synthetic bodies, healthy livers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import LITS_PATIENTS, TrainingCase, crop_to_liver, data_folder, lits_cases
from .arterial_cases import arterial_cases
from .bank import BankSettings, build_bank, load_mapped
from .bodies import background_cases, body_cases
from .gallbladder_cases import gallbladder_cases
from .healthy import healthy_cases
from .recipes import Recipe
from .slice_cases import slice_cases
from .told_slices import as_told, told_slices
from .vessel_cases import vessel_cases


def training_cases(
    chosen: Recipe, hold_out: str, cache: Path, workers: int, progress: Progress = silent
) -> list[TrainingCase]:
    """Real cases, their variants and synthetic bodies for a recipe, without the held-out patients."""
    unknown = set(hold_out) - set(LITS_PATIENTS.values())
    if unknown:
        raise InputError(f"There is no patient {', '.join(sorted(unknown))}; patients are A to E.")
    if chosen.anatomy:
        return vessel_cases(cache, chosen.anatomy, progress)
    data, spacing = data_folder(), chosen.spec.spacing_zyx_mm
    if chosen.gallbladders is not None:
        # Whole slices: a gallbladder's place is told by the body around it.
        whole = [c for c in lits_cases(data, cache / "cases", spacing) if c.patient not in set(hold_out)]
        mix = chosen.gallbladders
        return gallbladder_cases(data, whole, cache, mix, workers=workers, progress=progress)
    grid = "x".join(f"{s:g}" for s in spacing)
    margin = "whole" if chosen.margin_mm is None else f"m{chosen.margin_mm:g}"
    file = data / "shapes" / "lesion_masks.npz"
    shapes = file if file.is_file() else None

    def variants(of: list[TrainingCase], name: str, settings: BankSettings) -> list[TrainingCase]:
        folder = cache / f"{name}-{grid}-{margin}-{settings.key()}"
        made = build_bank(of, folder, settings, shapes=shapes, workers=workers, progress=progress)
        return [load_mapped(variant) for variant in made]

    real = _real_cases(chosen, cache)
    cases, healthy = list(real), []
    if chosen.shares.get("variant", 0):
        cases += variants(real, "bank", chosen.bank)
    if chosen.shares.get("body", 0):
        cases += body_cases(
            spacing,
            chosen.margin_mm,
            chosen.bodies,
            cache,
            shapes,
            seed=chosen.bank.seed,
            mix=chosen.body_mix,
            workers=workers,
            progress=progress,
        )
    if chosen.shares.get("background", 0):
        cases += background_cases(data, spacing)
    if chosen.shares.get("healthy", 0):
        healthy = _healthy_cases(chosen)
        cases += healthy
        if chosen.healthy_variants and healthy:
            # Half of them without a lesion: what these livers teach first is that they are free.
            free = replace(chosen.bank, variants_per_patient=chosen.healthy_variants, lesion_free_share=0.5)
            cases += variants(healthy, "healthy", free)
    if chosen.shares.get("slice", 0) or chosen.shares.get("slice variant", 0):
        count = chosen.slice_variants if chosen.shares.get("slice variant", 0) else 0
        cases += slice_cases(
            data, spacing, cache, chosen.bank, count, shapes=shapes, workers=workers, progress=progress
        )
    if chosen.arterial:
        real += healthy
        cases += arterial_cases(real, chosen, cache, shapes=shapes, workers=workers, progress=progress)
    cases = as_told(cases, told_slices(data, spacing, chosen.teachers, cache, progress))
    return [case for case in cases if case.patient not in set(hold_out)]


def held_out_cases(chosen: Recipe, hold_out: str, cache: Path) -> list[TrainingCase]:
    """The labelled scans that a run has left out."""
    return _real_cases(chosen, cache, tuple(n for n, patient in LITS_PATIENTS.items() if patient in hold_out))


def _healthy_cases(chosen: Recipe) -> list[TrainingCase]:
    healthy = healthy_cases(data_folder(), chosen.spec.spacing_zyx_mm)
    return [crop_to_liver(case, chosen.margin_mm or 45.0) for case in healthy]


def _real_cases(chosen: Recipe, cache: Path, names: tuple[str, ...] | None = None) -> list[TrainingCase]:
    cases = lits_cases(data_folder(), cache / "cases", chosen.spec.spacing_zyx_mm, names)
    return [crop_to_liver(c, chosen.margin_mm) if chosen.margin_mm is not None else c for c in cases]
