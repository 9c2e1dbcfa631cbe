"""Lesions put into liver tissue: where, how many, which; the image and its truth.

The tissue's own noise stays: what changes is the low-frequency part under the lesion, and where a vessel ran
its structure is replaced by noise of the same autocovariance. The outline handed back lies where measured
annotations lie on the border's profile: a little inside the middle of the step from liver to lesion.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import ball_diameter_mm
from numpy.typing import NDArray
from scipy import ndimage

from .appearance import BODY_HU, Appearance, LesionType, Phase, estimate_phase
from .displacement import held_by_capsule, push_away
from .lesion_plan import LesionPlan, LiverScene, draw_plan, fitting_diameters
from .lesion_records import (
    LesionSettings,
    SliceBox,
    SyntheticLesion,
    SyntheticLesions,
    draw_count,
    draw_diameter_mm,
    slice_boxes,
)
from .rendering import blurred, coverage, halo, inner_hu
from .shapes import ShapeBank, placed_depth, random_rotation
from .texture import NoiseModel, Spacing, smooth_noise, split_texture
from .tissue import Box, LiverTissue

__all__ = [
    "LesionSettings",
    "LesionType",
    "Phase",
    "SliceBox",
    "SyntheticLesion",
    "SyntheticLesions",
    "add_lesions",
    "draw_count",
    "draw_diameter_mm",
    "slice_boxes",
]

#: Share of the border's step at which annotators draw the outline, below 15 mm and above 25 mm (measured on
#: annotated scans: about 0.5 and 0.7 to 0.8).
OUTLINE_LEVELS = (0.55, 0.67)


def add_lesions(
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    rng: np.random.Generator,
    settings: LesionSettings | None = None,
    occupied_zyx: NDArray[np.bool_] | None = None,
    vessels_zyx: NDArray[np.bool_] | None = None,
    shape_bank: ShapeBank | None = None,
    near_zyx: NDArray[np.bool_] | None = None,
) -> SyntheticLesions:
    """Put lesions into a liver.

    Args:
        hu_zyx: CT in HU, (z, y, x); not changed.
        liver_zyx: the liver (with its real lesions), same shape.
        spacing_zyx_mm: voxel spacing.
        rng: source of all chance; the same state gives the same result.
        settings: what to synthesise; defaults as documented there.
        occupied_zyx: existing lesions; new ones keep 2 voxels away from them.
        vessels_zyx: known vessels; their structure ends in a lesion (vessels are also found from the image).
        shape_bank: real outlines; procedural ones without it.
        near_zyx: where lesions' centres may lie; None for the whole liver.

    Returns:
        Image, labels, liver and the list of lesions. Fewer lesions than asked for where the liver has no
        room.

    Raises:
        InputError: shapes differ, or the liver is empty while lesions are wanted.
    """
    settings = settings or LesionSettings()
    if hu_zyx.shape != liver_zyx.shape or hu_zyx.ndim != 3:
        raise InputError(f"Image {hu_zyx.shape} and liver {liver_zyx.shape} must be the same 3D grid.")
    count = draw_count(rng) if settings.count is None else settings.count
    hu = np.array(hu_zyx, np.float32)
    liver = np.array(liver_zyx, bool)
    labels = np.zeros(hu.shape, np.uint16)
    if count == 0:
        return SyntheticLesions(hu, labels, liver, ())
    if not liver.any():
        raise InputError("The liver mask is empty: there is nowhere to put a lesion.")
    tissue = LiverTissue.measure(hu, liver, spacing_zyx_mm, rng, without=occupied_zyx)
    tissue.protected = None if occupied_zyx is None else np.array(occupied_zyx, bool)
    scene = LiverScene(
        tissue, labels, vessels_zyx, settings.phase or estimate_phase(tissue.level_hu), near=near_zyx
    )
    diameters = sorted((draw_diameter_mm(settings, rng) for _ in range(count)), reverse=True)
    diameters = fitting_diameters(diameters, tissue.volume_mm3, settings.diameter_mm[0])
    made = _put_all(scene, diameters, settings, shape_bank, rng)
    if settings.hu_range is not None:
        np.clip(hu, *settings.hu_range, out=hu)
    return SyntheticLesions(hu, labels, liver, tuple(made))


def _put_all(
    scene: LiverScene,
    diameters: list[float],
    settings: LesionSettings,
    bank: ShapeBank | None,
    rng: np.random.Generator,
) -> list[SyntheticLesion]:
    """Put lesions of these sizes into the scene, those that find room."""
    kinds = list(settings.type_weights)
    weights = np.array([settings.type_weights[k] for k in kinds], float)
    weights /= weights.sum()
    # A patient's lesions are mostly of one kind.
    main = kinds[int(rng.choice(len(kinds), p=weights))]
    made: list[SyntheticLesion] = []
    for diameter in diameters:
        kind = main if rng.random() < 0.7 else kinds[int(rng.choice(len(kinds), p=weights))]
        for _ in range(6):
            lesion = _try_one(scene, kind, diameter, len(made) + 1, settings, bank, rng)
            if lesion is not None:
                made.append(lesion)
                scene.placed.append((np.array(lesion.centre_zyx) * scene.tissue.spacing, lesion.diameter_mm))
                break
    return made


def _depth_in_liver(
    scene: LiverScene, plan: LesionPlan, box: Box, settings: LesionSettings, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Signed depth of a lesion within its box, held by the capsule; None where it does not fit.

    One with mass effect has pushed the image and the liver in the box away by then.
    """
    tissue, diameter, look = scene.tissue, plan.diameter, plan.look
    start = np.array([s.start for s in box])
    size = tuple(s.stop - s.start for s in box)
    turn = random_rotation(rng)
    depth = placed_depth(plan.shape, diameter, turn, plan.centre - start, size, tissue.spacing)
    if diameter > 20 and look.lesion_type is not LesionType.CYST:
        # Outlines are drawn from few samples per diameter: large ones get their fine irregularity here.
        depth += np.float32(rng.uniform(0.2, 1.2)) * smooth_noise(
            size, tissue.spacing, rng.uniform(5, 10), rng
        )
    bulge = float(rng.uniform(0.0, min(settings.bulge_mm, 0.25 * diameter))) if plan.at_surface else 0.0
    free = _free(tissue, box)
    if not free.all() and (ndimage.binary_dilation(depth > -1.5 * look.edge_mm, iterations=2) & ~free).any():
        return None
    limited = held_by_capsule(tissue, box, depth, bulge)
    if ((limited > 0) & ~tissue.liver[box]).sum() > 0.3 * (limited > 0).sum():
        # At a thin edge of the liver it would mostly lie outside.
        bulge = 0.0
        limited = held_by_capsule(tissue, box, depth, bulge)
    if (limited > 0).sum() < 0.3 * max((depth > 0).sum(), 1) or not (limited > 0).any():
        return None
    alone = not scene.labels[box].any()
    if plan.push and alone and push_away(tissue, box, depth, plan.push, 2.5 * plan.push):
        limited = held_by_capsule(tissue, box, depth, bulge)
    return limited


def _free(tissue: LiverTissue, box: Box) -> NDArray[np.bool_]:
    """Where no real lesion lies."""
    if tissue.protected is None:
        return np.ones(tissue.liver[box].shape, bool)
    return ~tissue.protected[box]


def _try_one(
    scene: LiverScene,
    kind: LesionType,
    diameter: float,
    number: int,
    settings: LesionSettings,
    bank: ShapeBank | None,
    rng: np.random.Generator,
) -> SyntheticLesion | None:
    """Place, render and paint one lesion into the scene; None (no label set) when it does not fit."""
    tissue = scene.tissue
    plan = draw_plan(scene, kind, diameter, settings, bank, rng)
    box = None if plan is None else tissue.box_around(plan.centre, plan.reach)
    if plan is None or box is None:
        return None
    limited = _depth_in_liver(scene, plan, box, settings, rng)
    if limited is None:
        return None
    look, psf = plan.look, 0.6 if settings.psf_mm is None else settings.psf_mm
    soft = blurred(coverage(limited, look.edge_mm), tissue.spacing, psf)
    # The outline is drawn on what is seen: where a small lesion never reaches full coverage, on its own peak.
    level = float(np.interp(diameter, (15.0, 25.0), OUTLINE_LEVELS)) * min(1.0, float(soft.max()))
    mask = (soft >= level) & (scene.labels[box] == 0) & _free(tissue, box)
    if int(mask.sum()) < 2:
        return None
    inner = inner_hu(look, limited, diameter, tissue.spacing, rng)
    fine = blurred(coverage(limited, look.edge_mm) * inner, tissue.spacing, psf)
    faint = float(np.interp(diameter, settings.small_mm, (settings.small_contrast, 1.0)))
    fine *= np.float32(faint)
    look = replace(look, body_hu=look.body_hu * faint)
    factor = _strengthened(fine, mask, look, tissue.noise, float(rng.uniform(*settings.least_visibility)))
    if factor is None:
        return None
    fine *= np.float32(factor)
    look = replace(look, body_hu=look.body_hu * factor)
    _blend(scene, box, limited, soft, fine, look, rng)
    scene.labels[box][mask] = number
    tissue.liver[box] |= mask
    return _describe(tissue.spacing, box, mask, number, look, float(fine[mask].mean()))


def _strengthened(
    fine: NDArray[np.float32], mask: NDArray[np.bool_], look: Appearance, noise: NoiseModel, least: float
) -> float | None:
    """Factor (1 and more) on a lesion's HU that lets a reader outline it; None where its type has less.

    Rose's criterion on its largest slice: mean contrast over the SD of the noise's mean on that area.
    """
    z = int(mask.sum(axis=(1, 2)).argmax())
    contrast = float(np.abs(fine[z][mask[z]]).mean())
    needed = least * noise.sd_of_mean(float(mask[z].sum()))
    if contrast >= needed:
        return 1.0
    factor = needed / max(contrast, 1e-3)
    ranges = BODY_HU.get(look.lesion_type)
    if factor > 2.0 or ranges is None:
        return None
    low, high = ranges[look.phase]
    return factor if low <= look.body_hu * factor <= high else None


def _blend(
    scene: LiverScene,
    box: Box,
    depth: NDArray[np.float32],
    soft: NDArray[np.float32],
    fine: NDArray[np.float32],
    look: Appearance,
    rng: np.random.Generator,
) -> None:
    """Change the image in the box: plain liver, plus the lesion (`fine`, blurred), plus the scan's noise."""
    tissue = scene.tissue
    hu = tissue.hu[box]
    plain = tissue.liver[box] & (scene.labels[box] == 0)
    if tissue.protected is not None:
        plain &= ~tissue.protected[box]
    residual, structure = split_texture(hu, plain, tissue.spacing)
    if scene.vessels is not None:
        structure = np.maximum(structure, scene.vessels[box])
    around = plain & (soft < 0.05) & (structure < 0.5)
    base = float(np.median(hu[around])) if int(around.sum()) > 50 else tissue.level_hu
    # Beside a bright vessel or another lesion the ring can mislead: hold it near the liver's own level.
    base = float(np.clip(base, tissue.level_hu - 12, tissue.level_hu + 12))
    grain = np.sqrt(1 - structure) * residual + np.sqrt(structure) * tissue.noise.draw(hu.shape, rng)
    # The border's far tails (under 0.5 %) are cut, and existing lesions stay as they are to the last digit.
    reached = soft > 0.005
    if tissue.protected is not None:
        reached &= ~tissue.protected[box]
    hu += np.where(reached, soft * (np.float32(base) + grain - hu) + fine, np.float32(0))
    if look.halo_hu:
        hu += (1 - soft) * halo(look, depth) * plain


def _describe(
    spacing: Spacing,
    box: Box,
    mask: NDArray[np.bool_],
    number: int,
    look: Appearance,
    contrast: float,
) -> SyntheticLesion:
    start = np.array([s.start for s in box])
    where = np.nonzero(mask)
    low = start + [int(w.min()) for w in where]
    high = start + [int(w.max()) + 1 for w in where]
    volume = float(mask.sum() * np.prod(spacing))
    return SyntheticLesion(
        number,
        look.lesion_type,
        look.phase,
        look.subtype,
        ball_diameter_mm(volume),
        contrast,
        tuple(float(a + w.mean()) for a, w in zip(start, where, strict=True)),
        (tuple(int(v) for v in low), tuple(int(v) for v in high)),
        look,
    )
