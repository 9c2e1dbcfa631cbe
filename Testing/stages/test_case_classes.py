"""Phase and classes added to a result, with and without a second phase; a network that reads densities."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.handover import read_volume, write_volume
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.phases import NamedPhases
from LiverLesionAILib.case.store_json import describe_lesion, read_lesion
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.stages.classify.families import SliceClassifier
from LiverLesionAILib.stages.classify.lesions import ClassifySettings
from LiverLesionAILib.stages.classify.second_phase import RegisterSettings
from LiverLesionAILib.stages.classify.stage import CaseClassifier, ClassStageSettings
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.stages.phase.estimate import PhaseSettings
from LiverLesionAILib.volume.contrast import ContrastHeader
from LiverLesionAILib.volume.ct import CtVolume, Geometry, crop, permuted, reorient
from LiverLesionAILib.writing.boxes_file import boxes_document
from LiverLesionAILib.writing.tables import findings_json, findings_text
from support.dicom_writer import axial_positions, write_series
from support.rules import of_page
from support.toy_classifier import BrightOrDark

ENTRY = ModelEntry(
    "dadrn",
    "classify",
    "dadrn",
    {},
    InputSpec((3.0, 1.5, 1.5), (-40.0, 220.0), 3),
    "",
    "",
    {"outlier_threshold": 0.5},
)
SETTINGS = ClassStageSettings(
    of_page(ClassifySettings), of_page(PhaseSettings), of_page(RegisterSettings), differential=None
)
CLINICAL = replace(SETTINGS, differential=of_page(DifferentialSettings))
BOTH = CaseClassifier(SliceClassifier(ENTRY, BrightOrDark()), SETTINGS)
GEOMETRY = Geometry.make((24, 70, 70), (4.0, 3.0, 3.0), (-105.0, -105.0, 300.0))


def scan(lesion_hu: float, seed: int = 0) -> tuple[CtVolume, np.ndarray, np.ndarray]:
    """A trunk whose liver holds one lesion; a liver, spine and aorta of the portal venous phase."""
    z, y, x = np.indices(GEOMETRY.shape_zyx)
    hu = np.where(((y - 35) / 30) ** 2 + ((x - 35) / 33) ** 2 <= 1, -90.0, -1000.0)
    hu[np.hypot(y - 52, x - 35) < 7] = 260
    hu[np.hypot(y - 39, x - 40) < 3.5] = 150
    liver = ((z - 12) / 9) ** 2 + ((y - 27) / 14) ** 2 + ((x - 20) / 14) ** 2 <= 1
    lesion = ((z - 12) / 3) ** 2 + ((y - 25) / 4.5) ** 2 + ((x - 20) / 4.5) ** 2 <= 1
    hu[liver] = 110
    hu[liver & (np.hypot(y - 33, x - 20) < 1.6)] = 165
    hu[lesion] = lesion_hu
    hu = hu + np.random.default_rng(seed).normal(0, 4, hu.shape)
    return CtVolume(hu.astype(np.float32), GEOMETRY, "scan"), liver, lesion


def result_of(volume: CtVolume, liver: np.ndarray, lesion: np.ndarray) -> CaseResult:
    labels = lesion.astype(np.uint16)
    lesions = measure_case(labels, liver, volume.hu_zyx, volume.geometry, {1: 0.9})
    return CaseResult(volume.name, volume.geometry, liver, labels, lesions)


def test_class_probabilities_map_box_and_phase() -> None:
    volume, liver, lesion = scan(10.0)
    result = result_of(volume, liver, lesion)
    found = BOTH.run(result, volume)
    (one,) = found.lesions
    assert one.model_class == "CYST"
    assert found.phase.name == "portal venous" and found.phase.warning
    (shown,) = found.attention
    assert shown.lesion_number == 1
    assert np.linalg.norm(np.array(one.class_box.centre_lps) - one.centre_lps) < 8
    assert any("simulated" in text for text in found.messages)
    assert read_lesion(describe_lesion(one)).class_box.centre_lps == pytest.approx(
        one.class_box.centre_lps, abs=1e-3
    )
    whole = replace(result, lesions=found.lesions)
    assert findings_json(whole)["lesions"][0]["class_box"]["size_mm"] is not None
    boxes = boxes_document(whole)["markups"]
    assert len(boxes) == 2
    assert [box["display"]["visibility"] for box in boxes] == [True, False]
    assert boxes[1]["center"] == pytest.approx(one.class_box.centre_lps)


def test_the_arrays_order_does_not_matter() -> None:
    volume, liver, lesion = scan(10.0)
    straight = BOTH.run(result_of(volume, liver, lesion), volume)
    turned = Geometry.make(
        (70, 24, 70),
        (3.0, 4.0, 3.0),
        GEOMETRY.index_to_lps((23, 0, 0)),
        np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    )
    arrays = [np.ascontiguousarray(permuted(a, GEOMETRY, turned)) for a in (volume.hu_zyx, liver, lesion)]
    other = CtVolume(arrays[0], turned, "turned")
    found = BOTH.run(result_of(other, arrays[1], arrays[2]), other)
    assert found.lesions[0].model_class == "CYST"
    assert found.lesions[0].class_box.centre_lps == pytest.approx(
        straight.lesions[0].class_box.centre_lps, abs=1.5
    )
    assert found.phase.name == straight.phase.name


def test_without_a_network_the_phase_alone() -> None:
    volume, liver, lesion = scan(10.0)
    found = CaseClassifier(None, SETTINGS).run(result_of(volume, liver, lesion), volume)
    assert found.phase.name == "portal venous" and found.phase.warning == ""
    assert found.lesions[0].model_class is None and found.attention == ()


def test_a_second_phase_is_registered_and_counts() -> None:
    volume, liver, lesion = scan(10.0)
    second, _, _ = scan(210.0, seed=1)
    moved = replace(second, hu_zyx=np.roll(second.hu_zyx, (1, 2), axis=(0, 1)), name="second")
    found = BOTH.run(result_of(volume, liver, lesion), volume, moved)
    assert any("second" in text and "moved by" in text for text in found.messages)
    probabilities = found.lesions[0].class_probabilities
    # Both are portal venous, so both count alike: one says water, the other a bright tumour.
    assert probabilities["CYST"] > 0.3 and probabilities["HCC"] > 0.3
    assert probabilities["CYST"] + probabilities["HCC"] > 0.9


def test_a_second_phase_of_somebody_else_is_left_out() -> None:
    volume, liver, lesion = scan(10.0)
    lungs = replace(volume, hu_zyx=np.full(GEOMETRY.shape_zyx, -850, np.float32), name="chest")
    found = BOTH.run(result_of(volume, liver, lesion), volume, lungs)
    assert found.lesions[0].model_class == "CYST"
    assert any("chest" in text and "not used" in text for text in found.messages)


@pytest.mark.parametrize(("lesion_hu", "name"), [(8.0, "cyst"), (58.0, "metastasis")])
def test_in_the_portal_venous_phase_densities_decide(lesion_hu: float, name: str) -> None:
    """The network, made for the arterial phase, calls every dark lesion a cyst."""
    volume, liver, lesion = scan(lesion_hu)
    result = result_of(volume, liver, lesion)
    found = CaseClassifier(SliceClassifier(ENTRY, BrightOrDark()), CLINICAL).run(result, volume)
    (one,) = found.lesions
    assert one.model_class == name
    assert not {"FNH", "HCC"} & set(one.class_probabilities)
    assert re.match(r"portal: core \d+ HU \(liver 1\d\d, vessels 1\d\d\); border", one.class_reasons)
    assert "arterial phase" in found.phase.warning
    assert found.attention, "the network's map is shown all the same"
    assert read_lesion(describe_lesion(one)).class_reasons == one.class_reasons


def test_the_papers_classes_stay_available() -> None:
    volume, liver, lesion = scan(58.0)
    (one,) = BOTH.run(result_of(volume, liver, lesion), volume).lesions
    assert one.model_class in ("CYST", "indeterminate")
    assert one.class_reasons == ""


def test_named_phases_give_enhancement_and_a_contradiction_is_said() -> None:
    """The reader names two phases; the arterial one is a portal venous picture, which is said."""
    volume, liver, lesion = scan(70.0)
    arterial, _, _ = scan(170.0, seed=1)
    named = NamedPhases(Phase.PORTAL, ((Phase.ARTERIAL, replace(arterial, name="early")),))
    classifier = CaseClassifier(SliceClassifier(ENTRY, BrightOrDark()), CLINICAL)
    found = classifier.run(result_of(volume, liver, lesion), volume, named=named)
    (one,) = found.lesions
    assert re.search(r"portal: core (6|7)\d HU .*; arterial: core 1[67]\d HU", one.class_reasons)
    assert "; APHE (+" in one.class_reasons
    assert "; washout (portal -" in one.class_reasons
    assert found.phase.name == "portal venous" and found.phase.warning == ""
    assert any("early: arterial as named, moved by" in text for text in found.messages)
    assert any("early was named arterial but looks portal venous" in text for text in found.messages)
    assert "HCC" in one.class_probabilities


def test_from_dicom_files_to_what_the_reader_sees(tmp_path: Path) -> None:
    """A portal venous picture whose header says 35 s: read, handed over, classified, and in every result."""
    picture, liver, lesion = scan(60.0)
    spacing = picture.geometry.spacing_zyx_mm
    first = tuple(float(v) for v in picture.geometry.origin_lps)
    write_series(
        tmp_path / "series",
        np.rint(picture.hu_zyx).astype(np.int16),
        axial_positions(len(picture.hu_zyx), spacing[0], first),
        spacing_yx_mm=spacing[1:],
        description="ABDOMEN",
        ContrastBolusAgent="Iomeron 400",
        ContrastBolusStartTime="101500",
        AcquisitionTime="101535.2",
        ContentTime="101900",
    )
    read = read_ct(tmp_path / "series")
    assert read.contrast == ContrastHeader(pytest.approx(35.2), True)
    assert crop(reorient(read), (2, 2, 2), (20, 60, 60)).contrast == read.contrast
    (tmp_path / "handed").mkdir()
    list(write_volume(tmp_path / "handed", read.hu_zyx, read.geometry, read.name, contrast=read.contrast))
    handed = read_volume(tmp_path / "handed")
    assert handed.contrast == read.contrast
    result = result_of(handed, liver, lesion)
    found = CaseClassifier(None, SETTINGS).run(result, handed)
    [said] = [text for text in found.messages if "header" in text]
    assert said.startswith(
        "The CT by its header was taken 35 s after the injection began (arterial) but looks portal venous ("
    )
    assert found.phase is not None and found.phase.name == "portal venous"
    whole = replace(result, phase=found.phase, messages=found.messages)
    assert said in json.dumps(findings_json(whole)) and said in " ".join(findings_text(whole).split())
