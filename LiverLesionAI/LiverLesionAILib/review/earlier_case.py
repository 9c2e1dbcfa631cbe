"""A saved case folder brought into a scene, to be compared with: a coarse CT, and its findings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import slicer

from ..case.dicom_json import read_dicom
from ..case.findings import CaseResult
from ..case.store import load_result
from ..scene.ras import set_volume
from ..scene.study import keep_study, patient_digests
from ..support.errors import InputError
from ..support.steps import finish
from ..volume.masks import bounding_box
from ..volume.resampling import resample
from .result_steps import show_steps

MARGIN_MM = 25.0
WINDOW_HU, LEVEL_HU = 350.0, 50.0


def add_earlier_case(scene: slicer.vtkMRMLScene, folder: Path) -> slicer.vtkMRMLScalarVolumeNode:
    """A case folder as a CT with findings in the scene; the CT's node.

    The CT is the coarse one that the folder keeps, cut to the liver; the findings are on their own grid.

    Raises:
        InputError: it is no case folder, or a damaged one, or no liver was found in it.
    """
    result = load_result(folder)
    if not result.liver_zyx.any():
        raise InputError(f"{folder.name}: no liver was found in this case, so there is nothing to compare.")
    small = around_liver(result)
    source = read_dicom(folder)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", small.case_name)
    try:
        hu = np.zeros(small.geometry.shape_zyx, np.int16)
        if small.reduced_ct is not None:
            reduced = small.reduced_ct
            hu = resample(reduced.hu_zyx, reduced.geometry, small.geometry, dtype=np.int16)
        set_volume(volume, hu, small.geometry)
        volume.CreateDefaultDisplayNodes()
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevel(WINDOW_HU, LEVEL_HU)
        if source is not None:
            patient = patient_digests(source.patient_id, source.patient_birth_date, source.patient_sex)
            keep_study(volume, source.study_date, patient)
        finish(show_steps(scene, volume, small, threshold=0.0))
    except BaseException:
        scene.RemoveNode(volume)
        raise
    return volume


def around_liver(result: CaseResult) -> CaseResult:
    """A result cut to its liver and lesions with some millimetres round them; maps of attention are left."""
    box = bounding_box(result.liver_zyx | (result.lesion_labels_zyx > 0))
    if box is None:
        return result
    geometry = result.geometry
    margin = np.ceil(MARGIN_MM / np.array(geometry.spacing_zyx_mm)).astype(int)
    start = np.maximum(np.array([s.start for s in box]) - margin, 0)
    stop = np.minimum(np.array([s.stop for s in box]) + margin, geometry.shape_zyx)
    cut = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    organ = result.gallbladder_zyx
    # What a person has drawn is a lesion, whatever the networks think of it.
    lesions = [replace(x, score=1.0) if math.isnan(x.score) else x for x in result.lesions]
    return replace(
        result,
        geometry=geometry.cropped(start, stop),
        liver_zyx=result.liver_zyx[cut],
        lesion_labels_zyx=result.lesion_labels_zyx[cut],
        gallbladder_zyx=None if organ is None else organ[cut],
        lesions=tuple(lesions),
        attention=(),
    )
