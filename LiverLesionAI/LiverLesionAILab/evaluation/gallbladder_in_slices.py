"""What the gallbladder's stage takes of the tumour that a mask network sees in single real slices.

`liverlesionai slices` says what a mask network alone calls tumour in outlined gallbladders; the product then
asks the gallbladder's network and its rules. Here both are applied to the same slices; what is left counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.stages.neighbours.gallbladder import (
    GallbladderSettings,
    gallbladder_mask,
    separate_gallbladder,
)
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from ..data.axial_slices import AxialSlice, axial_slices
from ..data.cases import UNKNOWN, crop_to_liver, decode_hu
from ..training.gallbladder_cases import GRID_MM
from ..training.trained_masks import TrainedMasks, bundled_model
from .row_tables import read_csv
from .slices import MARGIN_MM


@dataclass(frozen=True)
class TakenRow:
    """Tumour in one slice before and after the gallbladder's stage, mm2.

    Attributes:
        name, patient: of the slice; gallbladder_mm2: of the outlined one, 0 where none is seen.
        found_mm2: of what is taken for gallbladder; found_right_mm2: of that in the outlined one.
        before_mm2, after_mm2: tumour in the outlined gallbladder.
        liver_before_mm2, liver_after_mm2: tumour in the outlined liver, most of it true.
        outside_before_mm2, outside_after_mm2: tumour elsewhere.
    """

    name: str
    patient: int
    gallbladder_mm2: float
    found_mm2: float
    found_right_mm2: float
    before_mm2: float
    after_mm2: float
    liver_before_mm2: float
    liver_after_mm2: float
    outside_before_mm2: float
    outside_after_mm2: float


def resized(mask_zyx: NDArray[np.bool_], shape_zyx: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask of one slice on another grid of the same slice."""
    factors = [a / b for a, b in zip(shape_zyx, mask_zyx.shape, strict=True)]
    return ndimage.zoom(mask_zyx.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest") >= 0.5


def taken_row(
    model: TrainedMasks, network: nn.Module, spec: InputSpec, one: AxialSlice, settings: GallbladderSettings
) -> TakenRow:
    """One slice.

    Args:
        network, spec: the gallbladder's; settings: for a slice alone.

    What lies too far from the liver is judged by its outline: there is no coarse one of a slice.
    """
    spacing = model.spec.spacing_zyx_mm[1]
    whole, own = one.case(spacing), one.case(GRID_MM)
    hu = decode_hu(own.grey_zyx)
    probability = class_probabilities(network, spec, hu, classes=3)[1]
    organ = gallbladder_mask(probability, hu, spec.spacing_zyx_mm, settings, own.labels_zyx == 1)
    shown = resized(organ, whole.labels_zyx.shape).astype(np.uint8)
    # Cut as the tumour is, so that both lie on one grid.
    case = crop_to_liver(whole, MARGIN_MM)
    found = crop_to_liver(replace(whole, grey_zyx=shown), MARGIN_MM).grey_zyx > 0
    hu = decode_hu(case.grey_zyx)
    labels = case.labels_zyx
    liver, known = labels == 1, labels != UNKNOWN
    level = liver_level_hu(hu[0][liver[0]]) if liver.any() else float("nan")
    shifted = hu + np.float32(model.spec.shift_hu(level))

    def seen(part: str) -> NDArray[np.uint8]:
        pyramid = model.scales.get(part, (1.0,))
        return class_probabilities(model.network, model.spec, shifted, classes=3, pyramid=pyramid)

    seen_liver = seen("liver").astype(int).sum(axis=0) >= 128
    tumour = seen("lesions")[1] >= max(1, round(model.tumour_threshold * 255))
    parts = components(tumour)[0].astype(np.uint16)
    apart = separate_gallbladder(seen_liver | tumour, parts, found, hu, case.spacing_zyx_mm, settings)
    left, area = apart.labels_zyx > 0, spacing**2
    true = labels == 2

    def mm2(mask: NDArray[np.bool_]) -> float:
        return float(mask.sum()) * area

    elsewhere = known & ~liver & ~true
    return TakenRow(
        case.name,
        one.patient,
        mm2(true),
        mm2(found & known),
        mm2(found & true),
        mm2(tumour & true),
        mm2(left & true),
        mm2(tumour & liver),
        mm2(left & liver),
        mm2(tumour & elsewhere),
        mm2(left & elsewhere),
    )


def taken_rows(
    network: nn.Module, spec: InputSpec, data: Path, settings: GallbladderSettings
) -> Iterator[TakenRow]:
    """Rows of the validation patients' slices that show liver, with the bundled SFAN."""
    model = bundled_model("sfan")
    for one in axial_slices(data):
        if one.validation and (one.labels_yx == 1).any():
            yield taken_row(model, network, spec, one, settings)


def taken_table(rows: Sequence[TakenRow]) -> str:
    """Sums over slices, those with an outlined gallbladder and those without."""
    lines = [
        "| slices | n | tumour in the gallbladder mm2, left | in the liver, left | elsewhere, left |",
        "|---|---|---|---|---|",
    ]
    seen = [row for row in rows if row.gallbladder_mm2]
    for name, own in (("gallbladder outlined", seen), ("none", [r for r in rows if not r.gallbladder_mm2])):
        parts = []
        for part in ("", "liver_", "outside_"):
            sums = [sum(getattr(row, f"{part}{when}_mm2") for row in own) for when in ("before", "after")]
            parts.append("{:.0f}, {:.0f}".format(*sums))
        lines.append(f"| {name} | {len(own)} | {' | '.join(parts)} |")
    return "\n".join(lines)


def read_taken(path: Path) -> list[TakenRow]:
    """Rows that were kept.

    Raises:
        InputError: it is no such table.
    """
    try:
        return read_csv(TakenRow, path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: no rows as `gallbladders --tumour --out` writes them ({error})."
        ) from error
