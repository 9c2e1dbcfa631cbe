"""One list of lesion classes and one of contrast phases."""

from __future__ import annotations

import pytest
from LiverLesionAILib.case.classes import LesionClass, Phase
from LiverLesionAILib.case.findings import PhaseEstimate
from LiverLesionAILib.case.terminology import lesion_terminology
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.phase.estimate import PHASES


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("CYST", LesionClass.CYST),
        ("Cyst", LesionClass.CYST),
        ("HEM", LesionClass.HAEMANGIOMA),
        ("Haemangioma", LesionClass.HAEMANGIOMA),
        ("hemangioma, atypical", LesionClass.HAEMANGIOMA),
        ("haematoma", None),
        ("FNH", LesionClass.FNH),
        ("HCC", LesionClass.HCC),
        ("Metastasis", LesionClass.METASTASIS),
        ("metastasis / other malignant", LesionClass.METASTASIS),
        ("MET", LesionClass.METASTASIS),
        ("method", None),
        ("benign other", LesionClass.BENIGN),
        ("indeterminate", LesionClass.INDETERMINATE),
        ("abscess", LesionClass.ABSCESS),
        ("treated", LesionClass.TREATED),
        ("cystic metastasis", None),
        ("=CYST", None),
        ("Normal", None),
        ("", None),
        (None, None),
    ],
)
def test_names_of_models_and_readers(name, known):
    assert LesionClass.of(name) is known


def test_every_class_is_read_back_by_its_code_and_title():
    for known in LesionClass:
        assert LesionClass.of(known.code) is known
        assert LesionClass.of(known.title) is known
        assert known.concept.scheme == "SCT" and known.concept.value.isdigit()
    assert len({known.code for known in LesionClass}) == len(LesionClass)


def test_the_bundled_classifiers_classes_are_known():
    names = {name for entry in Manifest.read().entries for name in _classes(entry.config)} - {"Normal"}
    assert names, "the bundled models name their classes"
    assert [name for name in names if LesionClass.of(name) is None] == []


def _classes(config) -> list[str]:
    classes = config.get("classes")
    return classes if isinstance(classes, list) else []


def test_segments_take_types_that_slicer_ships():
    """Held against what was looked up in Slicer's lists, which are not at hand here."""
    shipped = {"367643001", "4147007", "52988006", "108369006"}
    modifiers = {"86049000", "14799000"}
    for known in LesionClass:
        assert known.kind.value in shipped
        assert known.modifier is None or known.modifier.value in modifiers
        entry = lesion_terminology(known.code).split("~")
        assert entry[2] in (known.kind.text, "SCT^4147007^Mass")
    for name in ("something else", None, "HCC", "metastasis", "indeterminate"):
        assert lesion_terminology(name).split("~")[2] == "SCT^4147007^Mass"


def test_phases_have_one_list():
    assert [phase.value for phase in Phase] == ["unenhanced", "arterial", "portal", "delayed"]
    assert list(PHASES) == [phase.title for phase in Phase]
    for phase in Phase:
        assert Phase.of(phase.title) is phase and Phase.of(phase.value) is phase
        assert PhaseEstimate(phase.title, 0.9).phase is phase
    assert Phase.title_of("non-contrast") == "unenhanced", "as earlier versions kept it"
    assert Phase.title_of("late") == "late"
    assert Phase.of("late") is None and PhaseEstimate("late", 0.9).phase is None
