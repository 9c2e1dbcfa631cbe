"""A model is one file, one entry of the manifest, one weight: it runs in command line and panel."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import SimpleITK as sitk
from LiverLesionAILib.analysis.worker import PipelineAnalysis
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.weights import Manifest
from support.threshold_models import phantom
from support.toy_models import TOYS, toy_folder


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Manifest.read(toy_folder(tmp_path / "toys", monkeypatch))
    yield made
    for name in TOYS:
        sys.modules.pop(f"LiverLesionAILib.networks.{name}", None)


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    volume, _ = phantom()
    image = sitk.GetImageFromArray(volume.hu_zyx)
    image.SetSpacing([float(s) for s in volume.geometry.spacing_zyx_mm[::-1]])
    image.SetOrigin([float(o) for o in volume.geometry.origin_lps])
    path = tmp_path / "phantom.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def findings(folder: Path) -> dict:
    return json.loads((folder / "findings.json").read_text(encoding="utf-8"))


def test_toys_run_from_the_command_line(toys: Manifest, ct: Path, tmp_path: Path) -> None:
    plain = ["analyze", str(ct), "--device", "cpu", "--no-pictures"]
    assert main([*plain, "--classes", "paper", "--class-strip", "--out", str(tmp_path / "all")]) == 0
    strip = (tmp_path / "all" / "classes_per_slice.csv").read_text(encoding="utf-8").splitlines()
    assert strip[0].endswith("Normal,BRIGHT,DARK") and len(strip) > 5
    assert (tmp_path / "all" / "classes_per_slice.png").stat().st_size > 1000
    made = findings(tmp_path / "all")
    assert set(made["computation"]["models"]) == set(TOYS)
    assert [lesion["found_by"] for lesion in made["lesions"]] == ["mask and box"] * 2
    result = load_result(tmp_path / "all")
    for lesion in result.lesions:
        assert set(lesion.class_probabilities) == {"Normal", "BRIGHT", "DARK"}
        assert lesion.model_class in ("BRIGHT", "DARK")
    none = ["--detector", "none", "--no-classify", "--class-strip"]
    assert main([*plain, *none, "--out", str(tmp_path / "masks")]) == 0
    assert not list((tmp_path / "masks").glob("classes_per_slice*"))
    masks = findings(tmp_path / "masks")
    assert set(masks["computation"]["models"]) == {"toy_locator", "toy_segmenter"}
    assert [lesion["found_by"] for lesion in masks["lesions"]] == ["mask"] * 2


def test_toys_are_chosen_in_the_panel_and_run_by_its_worker(toys: Manifest, ct: Path, tmp_path: Path) -> None:
    pytest.importorskip("PySide6")
    from support import slicer_desktop

    slicer_desktop.install()
    from LiverLesionAILib.analysis.handover import write_volume
    from support.desk import Desk

    desk = Desk("toys")
    try:
        ui = desk.ui
        ui.advancedSection.collapsed = False
        desk.turn()
        for box, title in (
            (ui.segmenterSelector, "Toy segmenter"),
            (ui.detectorSelector, "Toy detector"),
            (ui.classifierSelector, "Toy classifier"),
        ):
            assert [box.itemText(k) for k in range(box.count)] == [title]
        settings = {**desk.panel.settings(), "device": "cpu"}
    finally:
        desk.close()
    volume, truth = phantom()
    folder = tmp_path / "case"
    folder.mkdir()
    for _ in write_volume(folder, volume.hu_zyx, volume.geometry, "phantom"):
        pass
    PipelineAnalysis().run(folder, settings, lambda stage, fraction: None)
    result = load_result(folder / "result")
    assert set(result.models) == set(TOYS)
    assert [lesion.number for lesion in result.lesions] == [1, 2]
    assert np.mean(result.lesion_labels_zyx[truth > 0] > 0) > 0.7
