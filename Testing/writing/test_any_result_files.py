"""Masks, boxes and the whole folder of any result: as full or as empty as it can be."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.writing.boxes_file import boxes_document
from LiverLesionAILib.writing.case_folder import write_case_folder
from LiverLesionAILib.writing.mask_file import write_masks
from support.results import results


@settings(max_examples=40, deadline=None)
@given(results())
def test_masks(result: CaseResult):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.seg.nrrd"
        write_masks(path, result)
        image = sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(image).reshape(*result.geometry.shape_zyx, -1)
    named = [key for key in image.GetMetaDataKeys() if key.endswith("_ID")]
    listed = {}
    for k in range(len(named)):
        layer, label = (int(image.GetMetaData(f"Segment{k}_{name}")) for name in ("Layer", "LabelValue"))
        listed[image.GetMetaData(f"Segment{k}_ID")] = voxels[..., layer] == label
    expected = {
        f"lesion_{x.number}": result.lesion_labels_zyx == x.number
        for x in result.lesions
        if (result.lesion_labels_zyx == x.number).any()
    }
    if result.liver_zyx.any():
        expected["liver"] = result.liver_zyx
    if result.gallbladder_ml:
        expected["gallbladder"] = result.gallbladder_zyx
    assert listed.keys() == expected.keys()
    for name, mask in expected.items():
        assert np.array_equal(listed[name], mask), name


@settings(max_examples=40, deadline=None)
@given(results())
def test_boxes(result: CaseResult):
    document = json.loads(json.dumps(boxes_document(result), allow_nan=False))
    shown = [box["display"]["visibility"] for box in document["markups"]]
    seen = sum(lesion.class_box is not None for lesion in result.lesions)
    assert shown == [True] * len(result.lesions) + [False] * seen
    for box in document["markups"]:
        assert np.linalg.det(np.reshape(box["orientation"], (3, 3))) >= 0


@settings(max_examples=12, deadline=None)
@given(results())
def test_the_whole_folder(result: CaseResult):
    volume = CtVolume(np.zeros(result.geometry.shape_zyx, np.int16), result.geometry, "any")
    with tempfile.TemporaryDirectory() as folder:
        written = write_case_folder(result, volume, Path(folder) / "case", pictures=False)
        loaded = load_result(Path(folder) / "case")
        assert all(path.is_file() for path in written.values())
    assert [x.number for x in loaded.lesions] == [x.number for x in result.lesions]
