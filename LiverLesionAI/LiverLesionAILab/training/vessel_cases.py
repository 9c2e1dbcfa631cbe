"""Training cases of the vessel network: the training patients of SynthLiver-anatomy.

Labels 0 background, 1 liver with its lesions, 2 portal vein, 3 hepatic veins, 4 IVC, 255 unknown: twigs that
are thinner than a voxel are nobody's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import Geometry, resample, resample_labels
from numpy.typing import NDArray

from ..data.anatomy_set import AnatomyPatient
from ..data.cases import UNKNOWN, TrainingCase, crop_to_liver, encode_hu
from ..synthesis.known_trees.habit import Branch
from ..synthesis.known_trees.territory import FINE
from ..synthesis.synthliver.anatomy_plan import NAME, PART, plan_anatomy
from ..synthesis.synthliver.build import make_one, read_record
from .bank import load_mapped, save_mapped
from .kept_folders import is_whole

VERSION = 1
GRID_ZYX_MM = (2.5, 1.5, 1.5)
MARGIN_MM = 20.0
CLASSES = ("background", "liver", "portal vein", "hepatic veins", "IVC")


def vessel_cases(cache: Path, limit: int | None = None, progress: Progress = silent) -> list[TrainingCase]:
    """The training patients on the network's grid; held-out ones are never among them.

    Args:
        cache: patients that are missing are drawn there, as `synthesize SynthLiver-anatomy` draws them.
        limit: only so many.
    """
    plans = [plan for plan in plan_anatomy() if plan.split == "train"][:limit]
    folder, cases = cache / NAME, []
    for number, plan in enumerate(plans):
        progress("synthesising vessels", number / len(plans))
        kept = cache / f"vessels-{VERSION}" / plan.name
        if not is_whole(kept, load_mapped):
            if read_record(folder, PART, plan.name) is None:
                make_one(PART, plan, folder)
            save_mapped(vessel_case(AnatomyPatient.read(folder / PART / plan.name)), kept)
        cases.append(load_mapped(kept))
    return cases


def vessel_case(patient: AnatomyPatient) -> TrainingCase:
    """A patient of the set on the network's grid, cut to its liver."""
    ct = patient.ct()
    source: Geometry = ct.geometry
    target = source.with_spacing(GRID_ZYX_MM)
    labels = resample_labels(class_labels(patient.labels() > 0, patient.branches()), source, target)
    case = TrainingCase(
        patient.name,
        patient.name,
        encode_hu(resample(ct.hu_zyx, source, target)),
        labels.astype(np.uint8),
        target.spacing_zyx_mm,
        "anatomy",
    )
    return crop_to_liver(case, MARGIN_MM)


def class_labels(liver_zyx: NDArray[np.bool_], branches_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of the module from the set's branches."""
    out = liver_zyx.astype(np.uint8)
    branch = branches_zyx % FINE
    out[(branch > 0) & (branch < Branch.HEPATIC_RIGHT)] = 2
    out[(branch >= Branch.HEPATIC_RIGHT) & (branch < Branch.IVC)] = 3
    out[branch == Branch.IVC] = 4
    out[branches_zyx >= FINE] = UNKNOWN
    return out
