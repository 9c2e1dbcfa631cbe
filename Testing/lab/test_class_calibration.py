"""Calibration of the slice classifier: temperature, threshold of outliers, the command over small slices."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import encode_hu
from LiverLesionAILab.training import class_calibration as calibration
from LiverLesionAILab.training.class_calibration import (
    Answers,
    fit_temperature,
    fit_threshold,
    lesion_answers,
    named_outliers,
    report,
    softmax,
)
from LiverLesionAILab.training.classes import LESION_BIT, LIVER_BIT, OUTLIER, ClassSlices
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.models.weights import save_weights
from LiverLesionAILib.networks.dadrn import CLASSES, SIZES, Dadrn

SMALL = replace(SIZES["compact"], backbone=replace(SIZES["compact"].backbone, stem=8, widths=(8, 8, 12, 16)))


def _slices(seed: int, kind: str = "body", patient: str = "") -> ClassSlices:
    """Livers with a dark lesion, small ones cysts and large ones of no class; every sixth has none."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((96, 96))
    liver = np.hypot(y - 48, x - 48) < 32
    labels = np.array([1, OUTLIER, 2, OUTLIER, 1, 0] * 3)
    data = np.zeros((len(labels), 4, 96, 96), np.uint8)
    for stored, label in zip(data, labels, strict=True):
        hu = np.where(liver, 80, -100) + rng.normal(0, 3, liver.shape)
        stored[3] = liver * LIVER_BIT
        if label:
            lesion = np.hypot(y - rng.uniform(38, 58), x - 45) < (14 if label == OUTLIER else 5)
            hu[lesion] = 10 if label == 1 else 60
            stored[3] |= (lesion * LESION_BIT).astype(np.uint8)
        stored[:3] = encode_hu(hu)
    phases = ("arterial", "portal") * (len(labels) // 2)
    return ClassSlices(data, labels, np.arange(len(labels)), phases, f"s{seed}", kind, patient)


def _said(labels: list[int], right: float, groups: list[int] | None = None) -> Answers:
    """Answers that give the true class `right`, and the others the rest in equal parts."""
    truth = np.array(labels)
    shares = np.full((len(labels), len(CLASSES)), (1 - right) / (len(CLASSES) - 1))
    shares[np.arange(len(labels)), np.where(truth == OUTLIER, 1, truth)] = right
    numbers = np.arange(len(labels)) if groups is None else np.array(groups)
    return Answers(np.log(shares).astype(np.float32), truth, numbers, np.zeros(len(labels), bool))


def test_temperature_undoes_confidence_that_is_not_earned() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (4000, 4))
    # Labels drawn from the honest probabilities themselves.
    shares = softmax(honest)
    labels = np.array([rng.choice(4, p=p) for p in shares])
    assert fit_temperature(honest, labels) == pytest.approx(1.0, abs=0.1)
    assert fit_temperature(3.0 * honest, labels) == pytest.approx(3.0, abs=0.3)


def test_a_lesion_is_the_mean_of_its_slices_and_normal_slices_are_none() -> None:
    found = _said([1, 1, 2, 0], 0.7, groups=[0, 0, 1, 2])
    means, labels = lesion_answers(found, 1.0)
    assert labels.tolist() == [1, 2]
    assert means[0][1] == pytest.approx(0.7) and means.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_threshold_lets_the_share_through_that_was_asked_for() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(len(CLASSES)), 200)
    labels = np.array([1, 2] * 80 + [OUTLIER] * 40)
    threshold = fit_threshold(shares, labels, 0.85)
    from LiverLesionAILib.stages.classify.lesions import outlier_score

    passed = outlier_score(shares, None)[labels != OUTLIER] <= threshold
    assert passed.mean() == pytest.approx(0.85, abs=0.01)


def test_outliers_that_are_named_are_counted_at_the_share_of_the_others() -> None:
    rest = 0.1 / (len(CLASSES) - 1)
    sure = np.full(len(CLASSES), rest)
    sure[1] = 0.9
    flat = np.full(len(CLASSES), 1 / len(CLASSES))
    flat[1] += 0.01
    labels = np.array([1] * 10 + [OUTLIER] * 4)
    assert named_outliers(np.array([sure] * 10 + [flat] * 4), labels, 0.8) == 0.0
    assert named_outliers(np.array([sure] * 14), labels, 0.8) == 1.0
    # A network that calls all of the others normal names none of them at any threshold.
    normal = np.roll(sure, -1)
    assert named_outliers(np.array([normal] * 10 + [sure] * 4), labels, 0.8) is None


def test_report_counts_slices_and_lesions() -> None:
    figures = report(_said([1, 2, 3, 0, OUTLIER], 0.97), {"temperature": 1.0, "outlier_threshold": 0.5})
    assert "arterial" not in figures
    assert figures["all"]["slices"] == 4 and figures["all"]["accuracy"] == 1.0
    assert figures["all"]["calibration_error"] == pytest.approx(0.03, abs=1e-3)
    assert figures["lesions"]["of_a_class"] == 3 and figures["lesions"]["of_none"] == 1
    assert figures["lesions"]["right_of_named"] == 1.0


def test_the_command_fits_reports_and_keeps(tmp_path: Path, monkeypatch, capsys) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    run, asked = tmp_path / "run", []
    run.mkdir()
    save_weights(Dadrn(SMALL).eval(), run / "weights.pt")
    (run / "curve.csv").write_text("step,loss\n")

    def bank(settings: object, *_: object, real: object = (), **__: object) -> list[ClassSlices]:
        asked.append(settings)
        return [_slices(9, "real", "D")] if real else [_slices(len(asked))]

    monkeypatch.setattr(calibration, "class_bank", bank)
    monkeypatch.setattr(calibration, "_real_livers", lambda *_: (["a liver"], None))
    chosen = replace(recipe("dadrn"), config=SMALL)
    monkeypatch.setattr(calibration, "recipe", lambda _: chosen)
    assert calibration.main([str(run), "--cache", str(tmp_path)]) == 0
    kept = json.loads((run / "calibration.json").read_text())
    assert json.loads(capsys.readouterr().out) == kept
    assert set(kept["calibration"]) == {"temperature", "outlier_threshold"}
    assert 0.3 <= kept["calibration"]["temperature"] <= 5.0
    assert kept["synthetic"]["lesions"]["of_none"] == 6 and kept["s9"]["normal_slices"] == 3
    assert (run / "calibrated.pt").is_file()
    # What is fitted, what is tested and what the layer learnt from are different bodies.
    assert len({settings.seed for settings in asked}) >= 3


def test_a_run_that_was_not_trained_is_told(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        calibration.main([str(tmp_path)])
    assert "train the run first" in capsys.readouterr().err


def test_without_a_data_folder_no_real_liver_is_asked(tmp_path: Path, monkeypatch, capsys) -> None:
    import argparse

    monkeypatch.setenv("LIVERLESIONAI_DATA", str(tmp_path / "none"))
    args = argparse.Namespace(cache=tmp_path, hold_out="D")
    assert calibration._real_livers(args, recipe("dadrn")) == ([], None)
    assert "No real livers" in capsys.readouterr().err


def test_a_run_is_calibrated_as_what_it_was_trained_as(tmp_path: Path) -> None:
    """Classes and phases are those that the run kept; without that they are the bundled network's."""
    from dataclasses import asdict

    assert calibration._trained(tmp_path).config == recipe("dadrn").config
    kept = json.dumps({"config": asdict(SIZES["phased"])})
    (tmp_path / "run.json").write_text(kept)
    assert calibration._trained(tmp_path).config == SIZES["phased"]
