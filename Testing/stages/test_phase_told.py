"""A network that is told the phase and knows metastases: what it is told, and what becomes of its answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import PhaseEstimate
from LiverLesionAILib.case.phases import NamedPhases
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.networks.dadrn import CLASSES, PHASED_CLASSES
from LiverLesionAILib.stages.classify.families import SliceClassifier
from LiverLesionAILib.stages.classify.lesions import INDETERMINATE, answered_among, classify_lesions
from LiverLesionAILib.stages.classify.liver_box import LiverCrop, liver_box
from LiverLesionAILib.stages.classify.stage import CaseClassifier, measured
from LiverLesionAILib.stages.explain.strip import class_strip
from LiverLesionAILib.stages.phase.estimate import phase_probabilities
from stages.test_case_classes import CLINICAL, SETTINGS, result_of, scan
from stages.test_classify import CLASSIFY, GEOMETRY, SPEC, case
from support.toy_phased import ToldPhase

ENTRY = ModelEntry(
    "dadrn",
    "classify",
    "dadrn",
    {"phases": 4, "classes": list(PHASED_CLASSES)},
    InputSpec((3.0, 1.5, 1.5), (-40.0, 220.0), 3),
    "",
    "",
)


@pytest.fixture(scope="module")
def portal():
    """A scan that looks portal venous, with one dark lesion, and its result."""
    volume, liver, lesion = scan(60.0)
    return volume, result_of(volume, liver, lesion)


def test_the_estimated_probabilities_are_told(portal) -> None:
    volume, result = portal
    network = ToldPhase()
    found = CaseClassifier(SliceClassifier(ENTRY, network), CLINICAL).run(result, volume)
    wanted = phase_probabilities(measured(liver_box(result, volume), CLINICAL.phase), CLINICAL.phase)
    (told,) = network.told
    assert told.numpy() == pytest.approx(np.tile(wanted, (len(told), 1)), abs=1e-6)
    (lesion,) = found.lesions
    assert lesion.model_class == "metastasis"
    # It learnt in every phase: what follows from this one is what a scan without an arterial phase hides.
    assert found.phase.warning == (
        "The scan looks portal venous: FNH and HCC cannot be told without an arterial phase."
    )


def test_the_readers_phase_is_told_as_it_is_named(portal) -> None:
    volume, result = portal
    network = ToldPhase()
    classifier = CaseClassifier(SliceClassifier(ENTRY, network), CLINICAL)
    classifier.run(result, volume, named=NamedPhases(Phase.DELAYED, ()))
    assert network.told[0][0].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_papers_five_classes_stay_what_they_were(portal) -> None:
    """What is called a metastasis is none of the five; shares and map are of the five alone."""
    volume, result = portal
    dark = replace(volume, hu_zyx=np.where(result.lesion_labels_zyx > 0, 10, volume.hu_zyx))
    found = CaseClassifier(SliceClassifier(ENTRY, ToldPhase()), SETTINGS).run(result, dark)
    (lesion,) = found.lesions
    assert lesion.model_class == INDETERMINATE
    assert tuple(lesion.class_probabilities) == CLASSES
    assert sum(lesion.class_probabilities.values()) == pytest.approx(1.0)
    (shown,) = found.attention
    assert "CYST, its most probable class" in shown.meaning


@pytest.mark.parametrize(("name", "shares", "wanted", "explained"), [
    ("CYST", (0.1, 0.6, 0, 0.1, 0, 0.2, 0), "CYST", "CYST"),
    ("MET", (0.1, 0.1, 0, 0.2, 0, 0.6, 0), INDETERMINATE, "HCC"),
    (INDETERMINATE, (0.6, 0.1, 0, 0.2, 0, 0.1, 0), INDETERMINATE, "HCC"),
    ("BENIGN", (0, 0.1, 0, 0.1, 0.3, 0, 0.5), INDETERMINATE, "HEM"),
])  # fmt: skip
def test_other_classes_are_folded_away(name, shares, wanted, explained) -> None:
    said = answered_among(CLASSES, name, dict(zip(PHASED_CLASSES, shares, strict=True)))
    assert said[:2] == (wanted, explained)
    assert tuple(said[2]) == CLASSES and sum(said[2].values()) == pytest.approx(1.0)


def test_a_network_of_other_classes_is_not_folded() -> None:
    network = ToldPhase()
    crop = LiverCrop(*case(), GEOMETRY)
    found = classify_lesions(network, SPEC, crop, CLASSIFY, only=("Normal", "DARK"), maps=False)
    assert tuple(found[2].probabilities) == PHASED_CLASSES
    assert network.told == [None, None], "no phase was given"
    told = classify_lesions(network, SPEC, crop, CLASSIFY, phase=(0, 1, 0, 0), maps=True)
    assert {n: one.name for n, one in told.items()} == {1: "HCC", 2: "MET"}
    assert all(one.map.values_zyx.max() == 1 for one in told.values()), "Grad-CAM of either class"


def test_the_strip_is_told_as_well() -> None:
    network = ToldPhase()
    hu, liver, labels = case()
    entry = replace(ENTRY, input=SPEC)
    crop = LiverCrop(np.where(labels == 1, hu, np.clip(hu, 70, 90)), liver, labels, GEOMETRY)
    phase = PhaseEstimate("arterial", 0.94).shares
    assert phase == pytest.approx((0.02, 0.94, 0.02, 0.02))
    strip = class_strip(network, entry, crop, phase=phase, explain=False)
    assert strip.classes == PHASED_CLASSES and "HCC" in strip.counts()
    assert all(told[0].tolist() == pytest.approx(list(phase)) for told in network.told)
    assert "HCC" not in class_strip(network, entry, crop, phase=(0, 0, 1, 0), explain=False).counts()
