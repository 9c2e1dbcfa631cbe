"""Cases beyond the labelled livers: wholly synthetic bodies, and real slices known to hold no liver.

The labelled real volumes end where the liver ends; without these a network has never seen lungs, pelvis or
the slices next to the dome, and paints liver there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient, reoriented_geometry, resample

from ..data.cases import UNKNOWN, TrainingCase, crop_to_liver, encode_hu, read_unchecked, resample_by_majority
from ..synthesis.appearance import Phase
from ..synthesis.lesions import LesionSettings
from .bank import load_mapped, load_shapes, save_mapped
from .kept_folders import is_whole, make_all, settings_key

VERSION = 2
BODY_SPACING_ZYX_MM = (2.5, 1.25, 1.25)
"""Bodies are made once on this grid and resampled for the networks that work on another."""

NO_LIVER_SLICES: dict[str, tuple[int, int]] = {
    # Read by eye: slices [first, last) from below, axes L, P, S; the rest of these scans is left unknown.
    "unlabelled/tcga_09_2043_ct.nii.gz": (0, 76),
    "tiny/torso_3mm_ct.nii.gz": (0, 40),
}
ORGAN_CROP = ("tiny/torso_3mm_crop_ct.nii.gz", "tiny/torso_3mm_crop_organs.nii.gz", 5)
"""CT, organ labels and the label of the liver; lesion-free as far as 3 mm slices show."""


@dataclass(frozen=True)
class BodyMix:
    """What the synthetic bodies are.

    Attributes:
        lesions: how they are drawn; the phase is the body's.
        distractors: whether what fools a network is put in.
        lesion_free_every: one body in so many has no lesion; 0 for none.
        phantom_every: one body in so many is deformed from the ICRP label maps, where those are present; 0
            for none.
        isodense_stomach: chance of a stomach as bright as the liver, which is often taken for liver.
        phase: of all bodies; None draws each one's.
    """

    lesions: LesionSettings = field(default_factory=LesionSettings)
    distractors: bool = True
    lesion_free_every: int = 5
    phantom_every: int = 4
    isodense_stomach: float = 0.0
    phase: Phase | None = None

    def key(self) -> str:
        """Names the folder of bodies made with these settings."""
        # Bodies of all phases keep the name they had before there was a choice.
        whole = settings_key(self, VERSION, without="phase")
        return whole if self.phase is None else f"{whole}-{self.phase.value.replace(' ', '-')}"


def make_body_case(number: int, seed: int, shapes: Path | None, mix: BodyMix | None = None) -> TrainingCase:
    """Body `number` of `seed` with lesions and distractors, whole, labels 0, 1, 2.

    Args:
        shapes: bank of real outlines; None draws procedural ones.
        mix: what the bodies are. The label maps of phantoms lie beside the shapes.
    """
    from ..synthesis.body import BodySettings, make_body
    from ..synthesis.distractors import DistractorSettings, add_distractors
    from ..synthesis.lesions import add_lesions
    from ..synthesis.phantom_body import find_phantoms, load_phantom, make_phantom_body

    mix = mix or BodyMix()
    rng = np.random.default_rng((seed, number, 7))
    wanted = BodySettings(
        spacing_zyx_mm=BODY_SPACING_ZYX_MM, isodense_stomach=mix.isodense_stomach, phase=mix.phase
    )
    phantoms = find_phantoms(shapes.parent) if shapes is not None else []
    if phantoms and mix.phantom_every and number % mix.phantom_every == 2 % mix.phantom_every:
        # The two maps take turns.
        phantom = phantoms[number // mix.phantom_every % len(phantoms)]
        body = make_phantom_body(rng, wanted, load_phantom(phantom))
    else:
        body = make_body(rng, wanted)
    spacing = body.geometry.spacing_zyx_mm
    # The body has its own gallbladder, fissures and vessels.
    settings = DistractorSettings(gallbladder=0.0, fissure=0.1, dark_vessels=0.1, bowel=0.1)
    hu, liver = body.hu_zyx.astype(np.float32), body.liver_zyx
    if mix.distractors:
        distracted = add_distractors(hu, liver, spacing, rng, settings)
        hu, liver = distracted.hu_zyx, distracted.liver_zyx
    labels = liver.astype(np.uint8)
    if liver.any() and (not mix.lesion_free_every or number % mix.lesion_free_every):
        bank = load_shapes(shapes) if shapes is not None else None
        lesions = replace(mix.lesions, phase=Phase(body.phase.value))
        made = add_lesions(hu, liver, spacing, rng, lesions, shape_bank=bank)
        hu = made.hu_zyx
        labels[made.liver_zyx] = 1
        labels[made.labels_zyx > 0] = 2
    return TrainingCase(f"body{number:04d}", "", encode_hu(hu), labels, spacing, "body")


def _make_and_save(task: tuple[int, int, Path | None, Path, BodyMix]) -> Path:
    number, seed, shapes, target, mix = task
    save_mapped(make_body_case(number, seed, shapes, mix), target)
    return target


def case_on_grid(case: TrainingCase, spacing_zyx_mm: tuple[float, float, float]) -> TrainingCase:
    """A case resampled to another spacing."""
    source = Geometry.make(case.grey_zyx.shape, case.spacing_zyx_mm)
    target = source.with_spacing(spacing_zyx_mm)
    grey = np.clip(np.rint(resample(case.grey_zyx, source, target)), 0, 255).astype(np.uint8)
    return replace(
        case,
        grey_zyx=grey,
        labels_zyx=resample_by_majority(np.asarray(case.labels_zyx), source, target),
        spacing_zyx_mm=target.spacing_zyx_mm,
    )


def body_cases(
    spacing_zyx_mm: tuple[float, float, float],
    margin_mm: float | None,
    count: int,
    cache: Path,
    shapes: Path | None,
    *,
    seed: int = 0,
    mix: BodyMix | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> list[TrainingCase]:
    """`count` synthetic bodies on a training grid, through the cache."""
    mix = mix or BodyMix()
    name = f"bodies-s{seed}-{mix.key()}"
    made = cache / name
    tasks = []
    for number in range(count):
        target = made / f"body{number:04d}"
        if not is_whole(target, load_mapped):
            tasks.append((number, seed, shapes, target, mix))
    make_all(_make_and_save, tasks, workers, "synthesising bodies", progress)
    grid = "x".join(f"{s:g}" for s in spacing_zyx_mm)
    margin = "whole" if margin_mm is None else f"m{margin_mm:g}"
    cases = []
    for number in range(count):
        target = cache / f"{name}-{grid}-{margin}" / f"body{number:04d}"
        if not is_whole(target, load_mapped):
            case = load_mapped(made / f"body{number:04d}")
            if spacing_zyx_mm != BODY_SPACING_ZYX_MM:
                case = case_on_grid(case, spacing_zyx_mm)
            if margin_mm is not None:
                case = crop_to_liver(case, margin_mm)
            save_mapped(case, target)
        cases.append(load_mapped(target))
    return cases


def background_cases(data: Path, spacing_zyx_mm: tuple[float, float, float]) -> list[TrainingCase]:
    """Real slices without liver, and the organ-labelled crop, whole slices on a training grid.

    Their kind is "background". Files that are missing are left out.
    """
    cases: list[TrainingCase] = []
    for name, (first, last) in NO_LIVER_SLICES.items():
        try:
            volume = reorient(read_unchecked(data / name))
        except InputError:
            continue
        cut = volume.geometry.cropped((first, 0, 0), (last, *volume.geometry.shape_zyx[1:]))
        cases.append(_background(name, CtVolume(volume.hu_zyx[first:last], cut), None, spacing_zyx_mm))
    try:
        ct, organs = read_unchecked(data / ORGAN_CROP[0]), read_unchecked(data / ORGAN_CROP[1])
    except InputError:
        return cases
    cases.append(_background(ORGAN_CROP[0], ct, organs.hu_zyx == ORGAN_CROP[2], spacing_zyx_mm))
    return cases


def _background(
    name: str, ct: CtVolume, liver_zyx: np.ndarray | None, spacing_zyx_mm: tuple[float, float, float]
) -> TrainingCase:
    source = reoriented_geometry(ct.geometry)
    target = source.with_spacing(spacing_zyx_mm)
    grey = encode_hu(resample(reorient(ct).hu_zyx, source, target))
    labels = np.zeros(grey.shape, np.uint8)
    if liver_zyx is not None:
        share = resample(reorient(CtVolume(liver_zyx.astype(np.uint8), ct.geometry)).hu_zyx, source, target)
        labels[share > 0.5] = 1
        # Half-covered voxels at the border of 3 mm labels are nobody's.
        labels[(share > 0.3) & (share <= 0.5)] = UNKNOWN
    return TrainingCase(
        Path(name).name, f"background:{name}", grey, labels, target.spacing_zyx_mm, "background"
    )


__all__: Sequence[str] = ("BodyMix", "background_cases", "body_cases", "case_on_grid", "make_body_case")
