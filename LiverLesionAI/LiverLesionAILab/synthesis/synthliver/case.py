"""One patient of SynthLiver-1: CT, labels, and what is known of every lesion."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from LiverLesionAILib.stages.measure.calipers import measure_calipers
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

from ..appearance import LesionType
from ..body import make_body
from ..distractors import DistractorSettings, add_distractors
from ..lesions import LesionSettings, SyntheticLesion, add_lesions, draw_count, slice_boxes
from ..organs import Organ
from .plan import CLASS_OF_TYPE, PatientPlan

LIVER = 1
MOST_LESIONS = 60
ATTEMPTS = 6
DISTRACTORS = DistractorSettings(gallbladder=0.0, fissure=0.1, dark_vessels=0.1, bowel=0.1)
"""A body has its own gallbladder, fissures and vessels."""


@dataclass(frozen=True, eq=False)
class Case:
    """A synthetic patient.

    Attributes:
        hu_zyx: int16 HU.
        labels_zyx: uint8; 0 background, 1 liver, 1 + k lesion number k.
        geometry: grid, axes L, P, S.
        lesions: :func:`lesion_facts` of each, in order of number, the largest drawn first.
        facts: phase, kind of liver, scanner and what else decides how hard the case is.
    """

    hu_zyx: NDArray[np.int16]
    labels_zyx: NDArray[np.uint8]
    geometry: Geometry
    lesions: tuple[dict[str, Any], ...]
    facts: dict[str, Any]

    @property
    def lesion_labels_zyx(self) -> NDArray[np.uint16]:
        """uint16; 0 none, k lesion number k."""
        labels = self.labels_zyx.astype(np.uint16)
        return np.where(labels > LIVER, labels - LIVER, 0).astype(np.uint16)


def draw_case(plan: PatientPlan) -> Case:
    """Draw the patient of a plan; the same for the same plan.

    A patient that should have a lesion has one: where the first one drawn finds no place, others are drawn.

    Raises:
        LiverLesionAIError: no lesion found a place in :data:`ATTEMPTS` attempts.
    """
    rng = np.random.default_rng(plan.seed)
    body = make_body(rng, plan.body)
    spacing = body.geometry.spacing_zyx_mm
    distracted = add_distractors(body.hu_zyx.astype(np.float32), body.liver_zyx, spacing, rng, DISTRACTORS)
    hu, liver = distracted.hu_zyx, distracted.liver_zyx
    vessels = np.isin(body.labels_zyx, (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN))
    numbers = np.zeros(hu.shape, np.uint16)
    lesions: list[SyntheticLesion] = []
    for settings in _rounds(plan, rng):
        if len(lesions) and settings.count and len(lesions) + settings.count > MOST_LESIONS:
            settings = replace(settings, count=MOST_LESIONS - len(lesions))
        settings = replace(settings, phase=body.phase, psf_mm=body.scanner.psf_mm / 2.355)
        for _ in range(1 if lesions else ATTEMPTS):
            made = add_lesions(
                hu, liver, spacing, rng, settings, occupied_zyx=numbers > 0, vessels_zyx=vessels
            )
            if made.lesions:
                break
        for lesion in made.lesions:
            number = len(lesions) + 1
            numbers[made.labels_zyx == lesion.number] = number
            lesions.append(replace(lesion, number=number))
        hu, liver = made.hu_zyx, made.liver_zyx
    if plan.main_type is not None and not lesions:
        raise LiverLesionAIError(f"{plan.name}: no lesion found a place in this liver.")
    labels = (liver | (numbers > 0)).astype(np.uint8)
    labels[numbers > 0] = (numbers[numbers > 0] + LIVER).astype(np.uint8)
    hu16 = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    facts = {
        "name": plan.name,
        "split": plan.split,
        "phase": body.phase.value,
        "liver": body.patient.liver_kind.value,
        "liver_ml": round(float((labels > 0).sum() * np.prod(spacing) / 1000), 1),
        "sex": "F" if body.patient.female else "M",
        "spacing_zyx_mm": [round(float(s), 4) for s in spacing],
        "noise_hu": round(body.scanner.noise_hu, 1),
        "distractors": list(distracted.description),
    }
    return Case(
        hu16,
        labels,
        body.geometry,
        tuple(lesion_facts(lesion, numbers, spacing) for lesion in lesions),
        facts,
    )


def _rounds(plan: PatientPlan, rng: np.random.Generator) -> list[LesionSettings]:
    """One call of the lesion synthesis each: the large lesion first, then the others."""
    if plan.main_type is None:
        return []
    main = {plan.main_type: 1.0}
    others = main if plan.only_main else {**dict.fromkeys(LesionType, 0.05), plan.main_type: 0.75}
    count = int(rng.integers(1, 4)) if plan.only_main else draw_count(rng)
    if plan.only_main and plan.main_type is LesionType.CYST:
        count += int(rng.integers(0, 4))
    small = LesionSettings(
        count=count,
        type_weights=others,
        diameter_mm=plan.diameter_mm,
        median_mm=plan.median_mm,
        large_share=0.0,
        hard_share=0.05 if plan.only_main else 0.15,
        # A class has to be seen; elsewhere as faint as real ones are (see `LesionSettings.small_mm`).
        least_visibility=(2.5, 5.0) if plan.only_main else (1.5, 4.0),
    )
    if not plan.large:
        return [small]
    large = LesionSettings(count=1, type_weights=main, diameter_mm=(45.0, 120.0), large_share=1.0)
    return [large, replace(small, count=max(1, count - 1))]


def lesion_facts(
    lesion: SyntheticLesion, numbers_zyx: NDArray[np.uint16], spacing_zyx_mm: tuple[float, float, float]
) -> dict[str, Any]:
    """A lesion for `lesions.json`.

    Boxes are voxel indices of the scan, the last ones behind the lesion: "box_zyx" [[z, y, x], [z, y, x]]
    and, per slice, "boxes_zyxyx" [z, y0, x0, y1, x1] (parts of one voxel left out). Lengths are mm, volumes
    mL.
    """
    low, high = (np.array(corner) for corner in lesion.box_zyx)
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    mask = numbers_zyx[window] == lesion.number
    axes = measure_calipers(mask, spacing_zyx_mm[1:])
    single = mask.astype(np.uint16)
    boxes = [
        [
            int(low[0]) + z,
            b.y0 + int(low[1]),
            b.x0 + int(low[2]),
            b.y1 + int(low[1]),
            b.x1 + int(low[2]),
        ]
        for z in range(mask.shape[0])
        for b in slice_boxes(single, z)
    ]
    return {
        "number": lesion.number,
        "label": lesion.number + LIVER,
        "class": CLASS_OF_TYPE[lesion.lesion_type],
        "type": lesion.lesion_type.value,
        "subtype": lesion.subtype,
        "diameter_mm": round(lesion.diameter_mm, 2),
        "long_axis_mm": round(axes.long_mm, 2),
        "short_axis_mm": round(axes.short_mm, 2),
        "volume_ml": round(float(mask.sum() * np.prod(spacing_zyx_mm) / 1000), 4),
        "contrast_hu": round(lesion.contrast_hu, 1),
        "box_zyx": [low.tolist(), high.tolist()],
        "boxes_zyxyx": boxes,
    }


def digest(*arrays: NDArray) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of arrays' shapes, types and bytes."""
    total = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        total.update(f"{little.dtype.str} {little.shape}".encode())
        total.update(little.tobytes())
    return total.hexdigest()[:16]


def fingerprint(case: Case) -> list[float]:
    """[lesions, liver mL, lesion mL, mean HU of the liver, mean HU of the lesions].

    Tells the same patient drawn with other rounding from another one.
    """
    lesions = case.labels_zyx > LIVER
    liver = case.labels_zyx == LIVER
    voxel_ml = case.geometry.voxel_volume_mm3 / 1000
    return [
        len(case.lesions),
        round(float(liver.sum()) * voxel_ml, 2),
        round(float(lesions.sum()) * voxel_ml, 3),
        round(float(case.hu_zyx[liver].mean(dtype=np.float64)), 2) if liver.any() else 0.0,
        round(float(case.hu_zyx[lesions].mean(dtype=np.float64)), 2) if lesions.any() else 0.0,
    ]
