"""How a case was made is kept with it, without anything of the patient; another CT by the same rules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis import like
from LiverLesionAILib.analysis.like import like_case
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.manifest import RunManifest, ct_digest, read_run
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from support.threshold_models import ThresholdModels, phantom

CHOSEN = Settings(device="cpu", precision="float32", attention=False, smallest_mm=6.0)


@pytest.fixture(scope="module")
def volume() -> CtVolume:
    return replace(phantom()[0], name="Doe^Jane")


@pytest.fixture(scope="module")
def result(volume: CtVolume) -> CaseResult:
    return analyze(volume, CHOSEN, ThresholdModels())


@pytest.fixture
def folder(result: CaseResult, tmp_path: Path) -> Path:
    save_result(result, tmp_path)
    return tmp_path


def changed(folder: Path, **values: object) -> Path:
    path = folder / "case.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["run"] = {**described["run"], **values}
    path.write_text(json.dumps(described), encoding="utf-8")
    return path


def test_the_manifest_is_kept_whole_and_names_no_patient(result: CaseResult, folder: Path) -> None:
    run = load_result(folder).run
    assert replace(run, seconds={}) == replace(result.run, seconds={})
    assert run.seconds == pytest.approx(result.run.seconds, abs=1e-3)
    assert run.rules["smallest_mm"] == 6.0 and run.set_by == {"smallest_mm": "the user"}
    assert run.settings["segmenter"] == "sfan" and run.settings["detector"] == "none"
    assert set(run.models) == {"coarse", "sfan"} and run.models["sfan"].weights == "b" * 64
    assert {"python", "torch", "numpy", "scipy", "SimpleITK"} == set(run.versions)
    assert run.device.startswith("CPU") and {"locate", "segment", "measure"} <= set(run.seconds)
    text = json.dumps(run.to_json())
    assert "Jane" not in text and str(folder) not in text and "/" not in text


def test_a_ct_is_known_by_its_voxels_and_its_grid(volume: CtVolume, result: CaseResult) -> None:
    assert result.run.ct == ct_digest(replace(volume, name="another name"))
    other = volume.hu_zyx.copy()
    other[0, 0, 0] += 1
    assert ct_digest(replace(volume, hu_zyx=other)) != result.run.ct
    moved = replace(volume.geometry, origin_lps=(0.0, 0.0, 0.0))
    assert ct_digest(replace(volume, geometry=moved)) != result.run.ct
    assert ct_digest(replace(volume, hu_zyx=np.asfortranarray(volume.hu_zyx))) == result.run.ct


def test_the_same_rules_give_the_same_findings(volume: CtVolume, result: CaseResult, folder: Path) -> None:
    models = ThresholdModels()
    for path in (folder, folder / "case.json"):
        settings, rules = like_case(path, models.manifest)
        assert settings == Settings.from_json(result.run.settings)
        again = analyze(volume, settings, models, rules=rules)
        assert again.lesions == result.lesions
        assert np.array_equal(again.lesion_labels_zyx, result.lesion_labels_zyx)
        assert again.run.rules == result.run.rules and again.run.set_by == result.run.set_by


def test_a_case_without_rules_is_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "case.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    del described["run"]
    path.write_text(json.dumps(described), encoding="utf-8")
    assert load_result(folder).run is None, "it still opens"
    with pytest.raises(InputError, match="does not say by which rules"):
        read_run(folder)
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="damaged"):
        read_run(changed_run(path, {"version": "1"}))


def changed_run(path: Path, run: dict) -> Path:
    described = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**described, "run": run}), encoding="utf-8")
    return path


def test_another_version_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    was = read_run(folder).version
    monkeypatch.setattr(like, "__version__", "99.0")
    with pytest.raises(InputError, match=rf"LiverLesionAI was {was} and is 99\.0"):
        like_case(folder, ThresholdModels().manifest)


def test_other_weights_and_other_inputs_are_refused_by_name(folder: Path) -> None:
    manifest = ThresholdModels().manifest
    sfan = manifest.find("sfan")
    retrained = manifest.with_entry(replace(sfan, sha256="c" * 64))
    with pytest.raises(InputError, match="weights of sfan were bbbbbbbbbbbb and are cccccccccccc"):
        like_case(folder, retrained)
    wider = manifest.with_entry(replace(sfan, scales={"lesions": (1.5,)}))
    with pytest.raises(InputError, match="configuration, input or scales of sfan"):
        like_case(folder, wider)
    with pytest.raises(InputError, match="the model sfan is not here"):
        like_case(folder, Manifest(manifest.folder, manifest.entries[:1]))
    calibrated = manifest.with_entry(replace(sfan, calibration={"score_threshold": 0.2}))
    _, rules = like_case(folder, calibrated)
    assert rules.score_threshold == 0.7, "the case's rules hold, whatever was calibrated since"


def test_unknown_settings_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="settings are not known here"):
        like_case(
            changed(folder, settings={"segmenter": "sfan", "colour": "red"}), ThresholdModels().manifest
        )


def test_damaged_entries(result: CaseResult) -> None:
    told = result.run.to_json()
    for key in ("version", "rules", "models", "ct"):
        with pytest.raises(KeyError):
            RunManifest.from_json({k: v for k, v in told.items() if k != key})
