"""The `classes` of SynthLiver-1: arterial slices of five classes, as in the DADRN study.

    classes/classes.csv               name, patient, class, split_1, split_2, lesion_mm2
    classes/images/NAME.nii.gz        int16 HU, three slices: the one below, the slice, the one above
    classes/masks/NAME.nii.gz         of the same three: 0 background, 1 liver, 2 lesion

All slices of a patient have one class and lie in one part of each split. The number of slices of each class
is the study's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import LiverLesionAIError

from .case import LIVER, Case, digest, draw_case, fingerprint
from .images import write_nifti, write_rows
from .plan import PatientPlan

COLUMNS = ("name", "patient", "class", "split_1", "split_2", "lesion_mm2")
LEAST_LESION_MM2 = 30.0
LEAST_LIVER_MM2 = 3000.0
"""A lesion or a liver smaller than this in a slice makes no example of its class."""
ATTEMPTS = 8


def make_patient_slices(plan: PatientPlan, folder: Path) -> dict[str, Any]:
    """Draw a patient and write its slices under the set's `folder`.

    Returns:
        Its record: digest, fingerprint, files, and "rows" of the table.

    Raises:
        OutputError: no space or no permission.
        LiverLesionAIError: no drawn patient had enough slices of its class.
    """
    for attempt in range(ATTEMPTS):
        # Small lesions may not show in enough slices: then another patient is drawn, with larger ones.
        low, high = plan.diameter_mm
        larger = (min(low * 1.35**attempt, 0.5 * high), high)
        drawn = replace(plan, seed=(*plan.seed, attempt), diameter_mm=larger)
        case = draw_case(drawn)
        chosen = example_slices(case, plan.more["slices"])
        if len(chosen) == plan.more["slices"]:
            break
    else:
        raise LiverLesionAIError(
            f"{plan.name}: no patient drawn had enough slices of class {plan.more['class']}."
        )
    pixel_mm2 = float(np.prod(case.geometry.spacing_zyx_mm[1:]))
    masks = np.minimum(case.labels_zyx, 2)
    rows, files = [], []
    for z in chosen:
        name = f"{plan.name}_{z:03d}"
        for what, array in (("images", case.hu_zyx), ("masks", masks)):
            part = array[z - 1 : z + 2]
            geometry = case.geometry.cropped((z - 1, 0, 0), (z + 2, *array.shape[1:]))
            write_nifti(part, geometry, folder / "classes" / what / f"{name}.nii.gz")
            files.append(f"classes/{what}/{name}.nii.gz")
        rows.append(
            {
                "name": name,
                "patient": plan.name,
                "class": plan.more["class"],
                "split_1": plan.split,
                "split_2": plan.more["split_2"],
                "lesion_mm2": f"{float((masks[z] == 2).sum()) * pixel_mm2:.1f}",
            }
        )
    order = sorted({z + k for z in chosen for k in (-1, 0, 1)})
    return {
        "digest": digest(case.hu_zyx[order], masks[order]),
        "fingerprint": fingerprint(case),
        "files": files,
        "rows": rows,
    }


def example_slices(case: Case, count: int) -> list[int]:
    """At most `count` slices that show the patient's class, spread over those there are."""
    pixel_mm2 = float(np.prod(case.geometry.spacing_zyx_mm[1:]))
    lesion = np.count_nonzero(case.labels_zyx > LIVER, axis=(1, 2)) * pixel_mm2
    liver = np.count_nonzero(case.labels_zyx, axis=(1, 2)) * pixel_mm2
    fit = liver >= LEAST_LIVER_MM2
    if case.lesions:
        # Not the very ends of a lesion, where nobody could tell its class.
        fit &= (lesion >= LEAST_LESION_MM2) & (lesion >= 0.2 * lesion.max(initial=0.0))
    fit[[0, -1]] = False
    there = np.flatnonzero(fit)
    if len(there) <= count:
        return there.tolist()
    return there[np.round(np.linspace(0, len(there) - 1, count)).astype(int)].tolist()


def write_table(records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """classes.csv of all patients."""
    write_rows(records, COLUMNS, folder / "classes" / "classes.csv")
