"""Calibration of a mask network: temperature, thresholds, and what a choice is worth on other patients."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.evaluation import calibrate
from LiverLesionAILab.evaluation.calibrate import (
    HeldOut,
    Outcome,
    add_calibrate_arguments,
    choose,
    expected_error,
    fit_temperature,
    held_out_probabilities,
    nested,
    outcomes,
    run_calibrate,
)
from LiverLesionAILib.case.findings import ProbabilityMap
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.segment.masks import tempered
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry

SPACING = (2.5, 1.5, 1.5)


def scan(name: str, patient: str, sharpen: float = 1.0, seed: int = 0) -> HeldOut:
    """A lesion that is seen well, one that is seen faintly, and a false spot between both."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-5, 0.3, (12, 60, 60))
    labels = np.ones(odds.shape, np.uint8)
    z, y, x = np.ogrid[:12, :60, :60]
    for row, column, level, real in ((15, 15, 4.0, True), (15, 45, 0.0, True), (45, 30, 1.2, False)):
        ball = ((z - 6) * 2.5) ** 2 + ((y - row) * 1.5) ** 2 + ((x - column) * 1.5) ** 2 <= 8**2
        odds[ball] = level + rng.normal(0, 0.2, int(ball.sum()))
        labels[ball] = 2 if real else 1
    values = np.round(255 / (1 + np.exp(-odds * sharpen))).astype(np.uint8)
    return HeldOut(name, patient, np.full(odds.shape, 255, np.uint8), values, labels, SPACING)


def test_temperature_undoes_an_overconfident_network() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(-1, 1.2, (10, 100, 100))
    labels = np.where(rng.random(odds.shape) < 1 / (1 + np.exp(-odds)), 2, 1).astype(np.uint8)
    values = np.round(255 / (1 + np.exp(-odds * 1.8))).astype(np.uint8)
    held_out = [HeldOut("a", "A", np.full(odds.shape, 255, np.uint8), values, labels, SPACING)]
    temperature = fit_temperature(held_out)
    assert temperature == pytest.approx(1.8, rel=0.06)
    assert expected_error(held_out, temperature) < 0.02 < 0.05 < expected_error(held_out, 1.0)
    again = [replace(held_out[0], tumour_zyx=tempered(values, temperature))]
    assert fit_temperature(again) == pytest.approx(1.0, abs=0.06)


def test_tempered_keeps_order_halves_and_ends() -> None:
    values = np.arange(256, dtype=np.uint8)
    for temperature in (0.5, 2.0):
        out = tempered(values, temperature).astype(int)
        assert (np.diff(out) >= 0).all() and (out[0], out[255]) == (0, 255)
        assert abs(out[127] - 127) <= 1 and abs(out[128] - 128) <= 1
    assert tempered(values, 2.0)[230] < 230 < tempered(values, 0.5)[230]
    assert tempered(values, 1.0) is values


def test_outcomes_of_every_choice() -> None:
    found = outcomes(scan("a", "A"), 1.0)
    sensitive, strict = found[0.25, 0.4], found[0.25, 0.9]
    assert (sensitive.found, sensitive.lesions, sensitive.false) == (2, 2, 1)
    assert (strict.found, strict.false) == (1, 0)
    assert 0.4 < strict.dice < sensitive.dice < 1


class TestChoice:
    """Two thresholds; patients with two scans count as one."""

    low, high = (0.2, 0.5), (0.4, 0.7)
    patients: ClassVar[dict[str, str]] = {"one": "P", "two": "P", "three": "Q"}

    def trials(self, q_low: float, q_high: float, false_low: int = 1) -> dict:
        p = {self.low: Outcome(0.6, 1, 1, false_low), self.high: Outcome(0.5, 1, 1, 0)}
        q = {self.low: Outcome(q_low, 1, 1, false_low), self.high: Outcome(q_high, 0, 1, 0)}
        return {"one": p, "two": p, "three": q}

    def test_patients_count_alike(self) -> None:
        # By scans 0.2 - 0.15 in favour of the low one; by patients 0.1 - 0.15 against it.
        assert choose(self.trials(0.4, 0.55), self.patients, 2.0) == self.high

    def test_the_limit_of_false_lesions_holds(self) -> None:
        trials = self.trials(0.6, 0.1, false_low=3)
        assert choose(trials, self.patients, 3.0) == self.low
        assert choose(trials, self.patients, 2.0) == self.high

    def test_nested_never_looks_at_the_patient_itself(self) -> None:
        trials = self.trials(0.1, 0.9)
        rows = nested(trials, self.patients, 2.0)
        assert rows["three"] == (self.low, trials["three"][self.low]), "chosen on P alone"
        assert rows["one"] == (self.high, trials["one"][self.high]), "chosen on Q alone"

    def test_one_patient_is_not_enough(self) -> None:
        with pytest.raises(InputError, match="only one"):
            nested({"one": self.trials(0.1, 0.9)["one"]}, {"one": "P"}, 2.0)


def test_the_manifest_gets_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = Manifest.read()
    Manifest(tmp_path, (bundled.find("sfan"), bundled.find("mscd"))).write()
    held_out = [scan("a", "A", 1.5, 0), scan("b", "B", 1.5, 1), scan("c", "C", 1.5, 2)]
    monkeypatch.setattr(calibrate, "held_out_probabilities", lambda *args: held_out)
    monkeypatch.setattr(calibrate, "find_scans", lambda *args: [])
    monkeypatch.setattr(calibrate, "layout_of", lambda *args: "lits")
    parser = argparse.ArgumentParser()
    add_calibrate_arguments(parser)
    said: list[str] = []
    args = parser.parse_args(
        ["sfan", "data", "--folds", "folds", "--write", str(tmp_path), "--most-false", "0"]
    )
    assert run_calibrate(args, say=said.append) == 0
    entry = Manifest.read(tmp_path).find("sfan")
    assert set(entry.calibration) >= {"temperature", "tumour_threshold", "score_threshold"}
    assert Manifest.read(tmp_path).find("mscd").calibration == bundled.find("mscd").calibration
    assert "on the other patients" in said[0] and "0.00" in said[0]
    for each in held_out:
        choice = entry.calibration["tumour_threshold"], entry.calibration["score_threshold"]
        assert outcomes(each, entry.calibration["temperature"])[choice].false == 0


class TestHeldOut:
    """Every scan is seen by its patient's fold, with that fold's temperature left out."""

    GEOMETRY = Geometry.make((6, 20, 20), SPACING)

    def scan(self) -> SimpleNamespace:
        """Its labels are stored from right to left."""
        labels = np.ones(self.GEOMETRY.shape_zyx, np.uint8)
        labels[2:4, 5:9, 3:6] = 2
        turned = Geometry.make(labels.shape, SPACING, (SPACING[2] * 19, 0.0, 0.0), np.diag([-1.0, 1.0, 1.0]))
        ct = CtVolume(np.zeros(labels.shape, np.int16), self.GEOMETRY, "a")
        stored = np.ascontiguousarray(labels[..., ::-1])
        return SimpleNamespace(
            name="a", patient="A", read_ct=lambda: ct, read_labels=lambda: (stored, turned)
        )

    def probabilities(self, monkeypatch: pytest.MonkeyPatch, maps: dict) -> list[HeldOut]:
        def pipeline(settings, folds):
            assert (settings.segmenter, settings.temperature, folds) == ("sfan", 1.0, Path("folds"))
            return lambda scan, ct: SimpleNamespace(probabilities=maps, messages=("Nothing is seen.",))

        monkeypatch.setattr(calibrate, "pipeline_method", pipeline)
        return held_out_probabilities([self.scan()], "sfan", Path("folds"), "cpu")

    def test_labels_lie_where_the_probability_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.full(self.GEOMETRY.shape_zyx, 9, np.uint8)
        maps = {name: ProbabilityMap(values, self.GEOMETRY) for name in ("liver", "tumour")}
        (found,) = self.probabilities(monkeypatch, maps)
        assert (found.name, found.patient, found.spacing_zyx_mm) == ("a", "A", SPACING)
        assert np.argwhere(found.labels_zyx == 2).min(axis=0).tolist() == [2, 5, 3]
        assert np.count_nonzero(found.labels_zyx == 2) == 2 * 4 * 3

    def test_a_scan_without_a_liver_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InputError, match=r"No liver was found in a: Nothing is seen\."):
            self.probabilities(monkeypatch, {})
