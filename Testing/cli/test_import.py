"""`liverlesionai import`: a CT whose header contradicts itself, and the imported case as a prior."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (the extra dicom)")

import SimpleITK as sitk
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.cli.prior import add_prior_options, compare_with_priors, read_priors
from LiverLesionAILib.stages.followup.register import LiverTransform
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.structured_report import structured_report
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


def test_an_imported_seg_and_sr_is_a_prior_with_its_readers_decisions(tmp_path: Path, monkeypatch) -> None:
    """Exported by one program, imported, and compared with: what its reader rejected was no lesion."""
    volume, result = small_case(Geometry.make((24, 48, 52), (5, 3, 3), (-90, -80, 20)), lesions=4)
    words = LesionStatus.ACCEPTED, LesionStatus.REJECTED, LesionStatus.TREATED
    read = [replace(x, status=word) for x, word in zip(result.lesions, words, strict=True)]
    slices = tuple(DicomSlice("1.2.840.10008.5.1.4.1.1.2", f"1.2.{z + 1}") for z in range(24))
    source = DicomSource(slices, study_instance_uid="1.2.3", series_instance_uid="1.2.4")
    content = content_of(replace(result, lesions=tuple(read)), source)
    drawn = segmentation(content)
    for name, made in (("seg", drawn), ("sr", structured_report(content, drawn))):
        made.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    (tmp_path / "ct.nii").write_bytes(writers.nifti(volume.hu_zyx))
    files = [f"--{name}={tmp_path / f'{name}.dcm'}" for name in ("seg", "sr")]
    given = ["import", f"--ct={tmp_path / 'ct.nii'}", *files, "--grid", "qform", "--no-pictures"]
    assert main([*given, "--out", str(tmp_path / "prior")]) == 0

    still = LiverTransform(sitk.Transform(3, sitk.sitkIdentity), 1.0, 0.0, 1.0, 0.0)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", lambda *args: still)
    parser = argparse.ArgumentParser()
    add_prior_options(parser)
    priors = read_priors(parser.parse_args(["--prior", str(tmp_path / "prior")]), silent)
    assert priors is not None and priors.scans[0].result.reduced_ct is not None
    texts = compare_with_priors(priors, result, volume, lambda text: None, silent)
    pairs = json.loads(texts["followup.json"])["pairs"]
    states = {tuple(pair["current"]): (tuple(pair["prior"]), pair["state"]) for pair in pairs}
    assert states == {(1,): ((1,), "stable"), (2,): ((), "new"), (3,): ((2,), "treated")}
