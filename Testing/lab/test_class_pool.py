"""Weights of both voices: made lesions whose labels follow from known weights, and what is kept of them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.evaluation.lesion_classes import with_even_priors
from LiverLesionAILab.training import class_weights
from LiverLesionAILab.training.class_heard import Heard, heard
from LiverLesionAILab.training.class_pool import PhaseOfLesion, PoolLesion, load_lesions, save_lesions
from LiverLesionAILab.training.class_weights import balanced_accuracy, cross_entropy, fit_weights, sayable
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.classify.differential import CLASSES, DifferentialSettings
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.stages.classify.lesions import ClassifySettings, LesionInputs
from LiverLesionAILib.stages.classify.second_voice import MeasuredPhase
from support.rules import of_page
from support.toy_phased import ToldPhase

EVEN = with_even_priors(Rules().part(DifferentialSettings))
SHARES = {Phase.ARTERIAL: (0.0, 1.0, 0.0, 0.0), Phase.PORTAL: (0.0, 0.0, 1.0, 0.0)}
FEATURES = LesionFeatures(
    core_hu=80.0,
    core_error_hu=2.0,
    liver_hu=90.0,
    noise_hu=10.0,
    rim_hu=90.0,
    spread_hu=10.0,
    edge_mm=3.0,
    diameter_mm=20.0,
    whole_core=True,
    bright_hu=100.0,
)


def said(truth: str, phase: Phase, right: float) -> MeasuredPhase:
    """The measurement tells nothing; the network gives the true class `right`, another the rest."""
    other = CLASSES[(CLASSES.index(truth) + 1) % len(CLASSES)]
    network = {1: {truth: right, other: 1 - right}}
    shares = SHARES[phase]
    return MeasuredPhase(phase.value, 150.0, 200.0, shares[1], {1: FEATURES}, network, 140.0, shares)


def lesions(arterial: float, portal: float) -> list[Heard]:
    """So often the network is right in that phase, always as sure of itself."""
    found = []
    for truth in CLASSES:
        for number in range(4):
            by = {
                phase: said(truth, phase, 0.9 if number < 4 * share else 0.1)
                for phase, share in ((Phase.ARTERIAL, arterial), (Phase.PORTAL, portal))
            }
            found.append(Heard(truth, by, by))
    return found


def test_weights_are_those_that_made_the_labels(monkeypatch) -> None:
    """A network that is right in the arterial phase, and guesses in the portal venous one, counts there."""
    monkeypatch.setattr(class_weights, "AT_HAND", ((Phase.ARTERIAL,), (Phase.PORTAL,)))
    cases = lesions(1.0, 0.5)
    weights = fit_weights(cases, EVEN)
    assert tuple(weights) == class_weights.WEIGHTS
    assert weights["network_arterial"] > 0.7 and weights["network_portal"] < 0.25
    for value, (low, high) in zip(weights.values(), class_weights.BOUNDS, strict=True):
        assert low <= value <= high
    fitted = replace(EVEN, **weights)
    assert cross_entropy(cases, fitted) < cross_entropy(cases, EVEN)
    deaf = replace(fitted, network_arterial=0.0)
    assert balanced_accuracy(cases, fitted)["arterial"] > balanced_accuracy(cases, deaf)["arterial"]
    # The page of rules takes them from a calibration under the same names.
    assert Rules().fitted(weights, DifferentialSettings).part(DifferentialSettings) == replace(
        Rules().part(DifferentialSettings), **weights
    )


def test_what_a_phase_cannot_show_is_no_fault() -> None:
    assert sayable("HCC", (Phase.PORTAL,)) == "indeterminate"
    assert sayable("HCC", (Phase.PORTAL, Phase.ARTERIAL)) == "HCC"
    assert sayable("cyst", (Phase.PORTAL,)) == "cyst"


def test_lesions_are_kept_and_asked(tmp_path: Path) -> None:
    """What is written is read again, and a network is told what the picture looks like, then its phase."""
    images = torch.full((2, 3, 32, 32), -0.8)
    asked = LesionInputs(images, (), np.arange(2), np.array([0.25, 0.75]))
    looks = [0.0, 0.3, 0.7, 0.0]
    measures = {"vessels_hu": 150.0, "aorta_hu": 200.0, "cava_hu": 140.0, "shares": looks}
    made = [PoolLesion("metastasis", (PhaseOfLesion(Phase.ARTERIAL, measures, FEATURES, asked),))]
    save_lesions(made, tmp_path)
    (again,) = load_lesions(tmp_path)
    (phase,) = again.phases
    assert (again.truth, phase.phase) == ("metastasis", Phase.ARTERIAL)
    # What is not known is NaN, which equals nothing.
    np.testing.assert_equal(asdict(phase.features), asdict(FEATURES))
    assert torch.allclose(phase.asked.images, images, atol=1e-3)
    network = ToldPhase()
    (one,) = heard([again], network, of_page(ClassifySettings))
    assert [told[0].tolist() for told in network.told] == [pytest.approx(looks), [0.0, 1.0, 0.0, 0.0]]
    assert one.alone[Phase.ARTERIAL].phase == "portal" and one.named[Phase.ARTERIAL].phase == "arterial"
    assert one.alone[Phase.ARTERIAL].network[1]["metastasis"] > 0.9
