"""What a free model and a temperature would add to the points: on lesions whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation.class_checks import (
    Shown,
    best_temperature,
    by_trees,
    confusion_table,
    temperature_table,
    trees_table,
)
from LiverLesionAILab.evaluation.class_points import PENALTY, HeldOut, held_out, judged_apart
from LiverLesionAILab.evaluation.kept_classes import KeptPatient, read_kept
from LiverLesionAILab.evaluation.lesion_classes import with_even_priors
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.classify.differential import DifferentialSettings

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"


def halves(bodies: int) -> list[HeldOut]:
    patients = [KeptPatient(f"body{n}", {}) for n in range(bodies)]
    return [HeldOut(patients[k::2], (), ()) for k in range(2)]


def test_trees_find_what_a_figure_tells_of_bodies_they_have_not_seen() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    truths = np.array(["cyst", "metastasis"] * 30)
    told = np.where(truths == "cyst", 0.0, 50.0) + rng.normal(0, 5, 60)
    values = np.column_stack([told, rng.normal(0, 5, 60)])
    values[::7, 1] = np.nan
    bodies = np.array([f"body{n // 6}" for n in range(60)])
    lesions = Shown(values, truths, np.array(["cyst"] * 60), bodies)
    said = by_trees(lesions, halves(10))
    assert (said == truths).mean() > 0.9
    noise = replace(lesions, values=values[:, 1:])
    assert (by_trees(noise, halves(10)) == truths).mean() < 0.75
    row = trees_table({"arterial": (lesions, truths)}).splitlines()[-1]
    assert row == "| arterial | 60 | 0.500 | 1.000 | +0.500 [0.500, 0.500] | 0.500 | 0.000 |"
    table = confusion_table(truths, lesions.guesses, truths).splitlines()
    assert table[2:] == ["| cyst | 30 / 30 | 0 / 0 |", "| metastasis | 30 / 0 | 0 / 30 |"]


def test_a_temperature_is_that_of_what_is_too_sure() -> None:
    shares = [{"cyst": 0.95, "metastasis": 0.05}] * 100
    right = ["cyst"] * 95 + ["metastasis"] * 5
    assert best_temperature(shares, right) == pytest.approx(1.0, abs=0.1)
    assert best_temperature(shares, ["cyst"] * 75 + ["metastasis"] * 25) > 2.0


def test_the_temperatures_are_those_of_the_kept_bodies() -> None:
    bodies, measured = read_kept(RESOURCES / "results" / "classes_other.json.gz")
    settings = replace(with_even_priors(Rules().part(DifferentialSettings)), network_arterial=0.0)
    parts = held_out(bodies, measured, settings, PENALTY)
    table = temperature_table(judged_apart(measured, settings, parts), parts)
    assert table in (RESOURCES / "EVIDENCE.md").read_text(encoding="utf-8")
