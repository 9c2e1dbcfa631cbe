"""A CaseResult from a volume that carries its own truth (see scripted_worker).

The networks' stand-in in panel tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from LiverLesionAILib.case.findings import (
    AttentionMap,
    CaseResult,
    LesionSource,
    PhaseEstimate,
    ProbabilityMap,
)
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.explain.names import STRIP, slice_label
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.masks import number_by_size
from LiverLesionAILib.volume.packed_mask import unpack_whole
from scipy import ndimage

CLASSES = ("HCC", "Cyst", "Metastasis")
LIVER_VALUE = 1000


def result_of(volume: CtVolume, name: str, faint: bool = True) -> CaseResult:
    """Voxels of 1000 and above are liver, 1000 + k lesion k; lesions get classes in turn.

    Lesions beyond the third score less, when `faint`.
    """
    array = np.asarray(volume.hu_zyx)
    liver = array >= LIVER_VALUE
    labels, _ = number_by_size(np.where(liver, array - LIVER_VALUE, 0).astype(np.uint16))
    tumour = np.where(labels > 0, 230, np.where(liver, 20, 0)).astype(np.uint8)
    scores = {k: 0.9 if k <= 3 or not faint else max(0.2, 0.9 - 0.1 * k) for k in range(1, 100)}
    lesions = []
    for lesion in measure_case(labels, liver, array, volume.geometry, scores):
        found = CLASSES[(lesion.number - 1) % 3]
        lesions.append(replace(lesion, model_class=found, class_probabilities={found: 0.8, "FNH": 0.2}))
    whole = measure_liver(labels, liver, array, volume.geometry)
    return CaseResult(
        name,
        volume.geometry,
        liver,
        labels,
        tuple(lesions),
        whole.volume_ml,
        whole.hu_mean,
        whole.tumour_burden_percent,
        probabilities={
            "liver": ProbabilityMap(liver.astype(np.uint8) * 255, volume.geometry),
            "tumour": ProbabilityMap(tumour, volume.geometry, 0.5),
        },
        attention=(
            AttentionMap(
                "Semantic gate",
                "Where the network let the deep features through.",
                (tumour / 255).astype(np.float32),
                volume.geometry,
                bars={"GCA gate, level 1": 0.25, "GCA gate, level 2": 0.5},
            ),
        ),
        messages=_messages(bool(liver.any()), bool(lesions)),
        models={
            entry.name: entry.sha256[:12]
            for entry in Manifest.read().entries
            if entry.network in ("mscd", "dadrn")
        },
    )


def attended(volume: CtVolume, request: Mapping[str, Any]) -> CaseResult:
    """Two maps on the slice of the point that is asked for: 1 there, 0.5 elsewhere in the liver.

    Of classes: one map, HCC where there is a lesion, with its slices as bars.
    """
    if request.get("question") == "classes":
        return _classes_asked(volume, request)
    z, y, x = np.round(volume.geometry.lps_to_index(request["point_lps"])).astype(int)
    array = np.asarray(volume.hu_zyx)
    plane = np.where(array[z : z + 1] >= LIVER_VALUE, 0.5, 0.0).astype(np.float32)
    plane[0, y, x] = 1.0
    grid = volume.geometry.cropped((z, 0, 0), (z + 1, *array.shape[1:]))
    maps = tuple(
        AttentionMap(
            f"MSCD point attention, level {level}",
            f"asked of {request['model']} at {request.get('level_hu', 0):.0f} HU",
            plane,
            grid,
            unit="relative",
        )
        for level in (4, 5)
    )
    nothing = np.zeros(array.shape, bool)
    return CaseResult(volume.name, volume.geometry, nothing, nothing.astype(np.uint16), attention=maps)


def clicked(volume: CtVolume, request: Mapping[str, Any]) -> CaseResult:
    """Pieces of one value, not the liver's, that clicks in the lesion are in; without 5 mm round others."""
    array, geometry = np.asarray(volume.hu_zyx), volume.geometry
    mask = np.zeros(array.shape, bool)
    for point in request["inside_lps"]:
        at = tuple(np.round(geometry.lps_to_index(point)).astype(int))
        pieces, _ = ndimage.label(array == array[at])
        if array[at] != LIVER_VALUE:
            mask |= pieces == pieces[at]
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in array.shape], indexing="ij"), axis=-1)
    for point in request["outside_lps"]:
        far = (grid - geometry.lps_to_index(point)) * np.array(geometry.spacing_zyx_mm)
        mask &= np.linalg.norm(far, axis=-1) > 5.0
    return CaseResult(volume.name, geometry, np.zeros(array.shape, bool), mask.astype(np.uint16))


def _classes_asked(volume: CtVolume, request: Mapping[str, Any]) -> CaseResult:
    array = np.asarray(volume.hu_zyx)
    liver = unpack_whole(request["liver"], volume.geometry)
    assert liver is not None
    lesion = liver & (array > LIVER_VALUE)
    bars = {}
    for z in np.flatnonzero(liver.any(axis=(1, 2))):
        height = volume.geometry.index_to_lps((int(z), 0, 0))[2]
        bars[slice_label(height, "HCC" if lesion[z].any() else "Normal")] = 0.9
    said, values = f"asked of {request['model']}", lesion.astype(np.float32)
    shown = AttentionMap(f"{STRIP}: Grad-CAM", said, values, volume.geometry, bars=bars)
    nothing = np.zeros(array.shape, bool)
    return CaseResult(volume.name, volume.geometry, nothing, nothing.astype(np.uint16), attention=(shown,))


def with_boxes(result: CaseResult) -> CaseResult:
    """The result as all networks together would give it.

    The last lesion has only a box, the one before it is of no known class; a map for each lesion, and a
    contrast phase with its warning.
    """
    *_, odd, boxed = result.lesions
    changed = {
        odd.number: replace(
            odd,
            model_class="indeterminate",
            class_probabilities={"HCC": 0.35, "HEM": 0.33, "FNH": 0.2, "CYST": 0.1, "Normal": 0.02},
            source=LesionSource.BOTH,
        ),
        boxed.number: replace(boxed, source=LesionSource.BOX, measurement=None),
    }
    labels = result.lesion_labels_zyx.copy()
    labels[labels == boxed.number] = 0
    maps = tuple(
        AttentionMap(
            f"Grad-CAM, lesion {lesion.number}",
            "Where the classifier looked.",
            (result.lesion_labels_zyx == lesion.number).astype(np.float32) * 3,
            result.geometry,
            (0.0, 3.0),
            "logit",
            lesion.number,
        )
        for lesion in result.lesions
        if lesion is not odd
    )
    return replace(
        result,
        lesions=tuple(changed.get(lesion.number, lesion) for lesion in result.lesions),
        lesion_labels_zyx=labels,
        attention=(*result.attention, *maps),
        phase=PhaseEstimate("portal venous", 0.83, "The classes were learned in the arterial phase."),
    )


def graded(result: CaseResult, faint_below_voxels: int = 50) -> CaseResult:
    """Any number of lesions: large ones score 0.9, small ones 0.3; each has a map, and its class a box."""
    voxel_ml = result.geometry.voxel_volume_mm3 / 1000
    lesions = tuple(
        replace(
            lesion,
            score=0.9 if lesion.measurement.volume_ml > faint_below_voxels * voxel_ml else 0.3,
            class_box=lesion.box,
        )
        for lesion in result.lesions
    )
    maps = tuple(
        AttentionMap(
            f"Grad-CAM, lesion {lesion.number}",
            "Where the classifier looked.",
            (result.lesion_labels_zyx[:4] == lesion.number).astype(np.float32),
            result.geometry.cropped((0, 0, 0), (4, *result.geometry.shape_zyx[1:])),
            lesion_number=lesion.number,
        )
        for lesion in lesions
    )
    return replace(result, lesions=lesions, attention=(*result.attention, *maps))


def _messages(liver: bool, lesions: bool) -> tuple[str, ...]:
    if not liver:
        return ("No liver was found. Check that it is a CT of the abdomen.",)
    return () if lesions else ("No lesion above the threshold.",)
