"""The `slices` of SynthLiver-1: key slices with boxes and their neighbours, in DeepLesion's layout.

    slices/DL_info.csv
    slices/Images_png/PPPPPP_01_01/KKK.png     16 bits, HU + 32768; slice numbers rise towards the head

As in DeepLesion: a row per lesion on a key slice, coordinates from 1, neighbours within 30 mm; every lesion
is of the type liver (4). Other than there: every lesion on a key slice has its row, the boxes are tight
(there they are padded by 5 pixels), and none is noisy. A box's x2 and y2 lie behind its last pixel.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.stages.measure.calipers import measure_calipers
from numpy.typing import NDArray

from .case import Case, digest, draw_case, fingerprint
from .images import write_png16, write_rows
from .plan import PatientPlan

REACH_MM = 30.0
LIVER_TYPE = 4
SMALLEST_PX = 2
SPLIT_NUMBERS = {"train": 1, "validation": 2, "test": 3}
COLUMNS = (
    "File_name",
    "Patient_index",
    "Study_index",
    "Series_ID",
    "Key_slice_index",
    "Measurement_coordinates",
    "Bounding_boxes",
    "Lesion_diameters_Pixel_",
    "Normalized_lesion_location",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Slice_range",
    "Spacing_mm_px_",
    "Image_size",
    "DICOM_windows",
    "Patient_gender",
    "Patient_age",
    "Train_Val_Test",
)


def make_series(plan: PatientPlan, folder: Path) -> dict[str, Any]:
    """Draw a patient and write the slices around its key slices under the set's `folder`.

    Returns:
        Its record: digest, fingerprint, files, and "rows" of the table.

    Raises:
        OutputError: no space or no permission.
    """
    case = draw_case(plan)
    numbers = case.lesion_labels_zyx
    keys = key_slices(case, plan.more["key_slices"])
    spacing = case.geometry.spacing_zyx_mm
    series = f"{plan.name}_01_01"
    where = folder / "slices" / "Images_png" / series
    shutil.rmtree(where, ignore_errors=True)
    reach = round(REACH_MM / spacing[0])
    rows, written = [], set()
    for key in keys:
        near = range(max(0, key - reach), min(len(numbers), key + reach + 1))
        written.update(near)
        for number in np.unique(numbers[key]):
            mask = numbers[key] == number
            if number and mask.sum() >= SMALLEST_PX:
                rows.append(_row(plan, case, key, mask, near))
    for z in sorted(written):
        write_png16(case.hu_zyx[z], where / f"{z + 1:03d}.png")
    order = sorted(written)
    return {
        "digest": digest(case.hu_zyx[order], case.labels_zyx[keys]),
        "fingerprint": fingerprint(case),
        "files": [f"slices/Images_png/{series}/{z + 1:03d}.png" for z in order],
        "rows": rows,
    }


def key_slices(case: Case, count: int) -> list[int]:
    """Up to `count` slices, each the one that shows some lesion largest; the larger lesions' come first."""
    chosen: list[int] = []
    for lesion in sorted(case.lesions, key=lambda one: -one["volume_ml"]):
        (z0, y0, x0), (z1, y1, x1) = lesion["box_zyx"]
        mask = case.labels_zyx[z0:z1, y0:y1, x0:x1] == lesion["label"]
        areas = np.count_nonzero(mask, axis=(1, 2))
        best = z0 + int(areas.argmax())
        if areas.max() >= SMALLEST_PX and all(abs(best - z) > 1 for z in chosen):
            chosen.append(best)
    return sorted(chosen[:count])


def write_table(records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """DL_info.csv of all patients."""
    write_rows(records, COLUMNS, folder / "slices" / "DL_info.csv")


def _row(plan: PatientPlan, case: Case, key: int, mask: NDArray[np.bool_], near: range) -> dict[str, str]:
    """A row of DL_info.csv as texts."""
    spacing = case.geometry.spacing_zyx_mm
    ys, xs = np.nonzero(mask)
    box = (xs.min() + 1, ys.min() + 1, xs.max() + 2, ys.max() + 2)
    axes = measure_calipers(mask[None], spacing[1:])
    ends = np.concatenate([axes.long_yx[:, ::-1].ravel(), axes.short_yx[:, ::-1].ravel()]) + 1
    height, width = mask.shape
    centre = (xs.mean() / width, ys.mean() / height, key / max(1, len(case.labels_zyx) - 1))
    return {
        "File_name": f"{plan.name}_01_01_{key + 1:03d}.png",
        "Patient_index": str(int(plan.name)),
        "Study_index": "1",
        "Series_ID": "1",
        "Key_slice_index": str(key + 1),
        "Measurement_coordinates": ", ".join(f"{v:.3f}" for v in ends),
        "Bounding_boxes": ", ".join(f"{v:.3f}" for v in box),
        "Lesion_diameters_Pixel_": f"{axes.long_mm / spacing[2]:.4f}, {axes.short_mm / spacing[2]:.4f}",
        "Normalized_lesion_location": ", ".join(f"{v:.5f}" for v in centre),
        "Coarse_lesion_type": str(LIVER_TYPE),
        "Possibly_noisy": "0",
        "Slice_range": f"{near.start + 1}, {near.stop}",
        "Spacing_mm_px_": ", ".join(f"{v:g}" for v in (spacing[2], spacing[1], spacing[0])),
        "Image_size": f"{width}, {height}",
        "DICOM_windows": "-175, 275",
        "Patient_gender": case.facts["sex"],
        "Patient_age": "",
        "Train_Val_Test": str(SPLIT_NUMBERS[plan.split]),
    }
