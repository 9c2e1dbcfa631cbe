"""`rules`, and `analyze --like`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.cli.main import main

pytest.importorskip("torch", reason="PyTorch is not installed")

import SimpleITK as sitk
from support.threshold_models import phantom
from support.toy_models import toy_folder


def test_every_rule_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    text = capsys.readouterr().out
    for line in Rules().lines:
        assert f"\n{line.name}: " in f"\n{text}"
        assert f"Evidence: {line.evidence}" in text
    assert "tumour_threshold: 0.25 (0..1)  [calibration of sfan]" in text


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--json", "--segmenter", "va_mask_rcnn", "--detector", "none"]) == 0
    page = {line["name"]: line for line in json.loads(capsys.readouterr().out)["rules"]}
    assert set(page) == {line.name for line in Rules().lines}
    assert page["score_threshold"]["value"] == 0.52
    assert page["score_threshold"]["set_by"] == "calibration of va_mask_rcnn"
    assert page["without_box"]["value"] is None and page["without_box"]["set_by"] == ""
    assert all(line["reason"] and line["evidence"] for line in page.values())


def test_unknown_models_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--segmenter", "nnunet"]) == 1
    assert "no model 'nnunet' to segment" in capsys.readouterr().err


def test_another_ct_by_the_rules_of_a_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    models = toy_folder(tmp_path / "toys", monkeypatch)
    paths = []
    for seed in (0, 1):
        image = sitk.GetImageFromArray(phantom(seed)[0].hu_zyx)
        image.SetSpacing((3.0, 3.0, 4.0))
        paths.append(tmp_path / f"ct{seed}.nii.gz")
        sitk.WriteImage(image, str(paths[-1]))
    plain = ["--device", "cpu", "--no-pictures", "--out"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["analyze", str(paths[0]), "--smallest-mm", "28", *plain, str(first)]) == 0
    case = str(first / "case.json")
    assert main(["analyze", str(paths[1]), "--like", case, *plain, str(second)]) == 0
    runs = [json.loads((folder / "case.json").read_text())["run"] for folder in (first, second)]
    assert runs[0]["rules"] == runs[1]["rules"] and runs[0]["rules"]["smallest_mm"] == 28
    assert runs[0]["settings"] == runs[1]["settings"] and runs[0]["ct"] != runs[1]["ct"]
    findings = [json.loads((folder / "findings.json").read_text()) for folder in (first, second)]
    assert [len(one["lesions"]) for one in findings] == [1, 1], "the smaller lesion is left out of both"
    capsys.readouterr()
    again = ["analyze", str(paths[1]), "--like", case, "--smallest-mm", "3", *plain, str(second)]
    assert main(again) == 1
    assert "leave out --smallest-mm" in capsys.readouterr().err
    assert main(["analyze", str(paths[1]), "--like", case, "--classes", "paper", *plain, str(second)]) == 1
    assert "leave out --classes" in capsys.readouterr().err
    scans = tmp_path / "scans"
    scans.mkdir()
    paths[0].rename(scans / "ct0.nii.gz")
    assert main(["batch", str(scans), "--like", case, *plain, str(tmp_path / "many")]) == 0
    batched = json.loads((tmp_path / "many" / "ct0" / "case.json").read_text())["run"]
    assert batched["rules"] == runs[0]["rules"] and batched["ct"] == runs[0]["ct"]
    manifest = json.loads((models / "manifest.json").read_text())
    manifest["models"][1]["sha256"] = "0" * 64
    (models / "manifest.json").write_text(json.dumps(manifest))
    assert main(["analyze", str(paths[1]), "--like", case, *plain, str(tmp_path / "third")]) == 1
    assert "the weights of toy_segmenter were" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()
