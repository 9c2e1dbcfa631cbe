"""`liverlesionai import` with a CT whose header contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (the extra dicom)")

from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from support.case_factory import small_case

# What the writer's qform says of an array of this shape, and a sform that stretches it by a fifth.
STRAIGHT = Geometry.make((12, 48, 52), (5, 3, 3), (-90, -80, 20))
STRETCHED = writers.AxialGrid().sform_ras * np.array([1.2, 1.0, 1.0, 1.0])


def test_grid_decides_which_reading_the_segmentation_is_laid_on(tmp_path: Path, capsys) -> None:
    volume, result = small_case(STRAIGHT)
    (tmp_path / "ct.nii").write_bytes(writers.nifti(volume.hu_zyx, srow=STRETCHED))
    slices = tuple(DicomSlice("1.2.840.10008.5.1.4.1.1.2", f"1.2.{z + 1}") for z in range(12))
    source = DicomSource(slices, study_instance_uid="1.2.3", series_instance_uid="1.2.4")
    segmentation(content_of(result, source)).save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    given = ["import", "--ct", str(tmp_path / "ct.nii"), "--seg", str(tmp_path / "seg.dcm"), "--no-pictures"]

    assert main([*given, "--out", str(tmp_path / "none")]) == 1
    assert "--grid sform or --grid qform" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()

    assert main([*given, "--grid", "qform", "--out", str(tmp_path / "q")]) == 0
    found = json.loads((tmp_path / "q" / "findings.json").read_text())
    assert found["liver"]["volume_ml"] == pytest.approx(result.liver_volume_ml, rel=1e-6)
    assert len(found["lesions"]) == len(result.lesions)
