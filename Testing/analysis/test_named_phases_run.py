"""Phases that the reader names, through the whole row of stages and into the run's manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.analysis.handover import name_phases, read_named_phases, write_volume
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.manifest import RunManifest
from LiverLesionAILib.case.phases import NamedPhases
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry

pytest.importorskip("torch", reason="PyTorch is not installed")


def test_what_was_named_is_in_the_findings_and_in_the_manifest() -> None:
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings
    from support.threshold_models import ThresholdModels, phantom

    volume, _ = phantom()
    later = replace(volume, hu_zyx=volume.hu_zyx + 20)
    named = NamedPhases(Phase.PORTAL, ((Phase.DELAYED, later),))
    settings = Settings(device="cpu", precision="float32", attention=False)
    found = analyze(volume, settings, ThresholdModels(), phases=named)
    assert found.phase is not None and found.phase.phase is Phase.PORTAL
    kept = RunManifest.from_json(found.run.to_json())
    assert kept.ct_phase == "portal" and set(kept.phases) == {"delayed"}
    assert kept.phases["delayed"] != kept.ct


def test_a_name_that_the_picture_contradicts_is_told_and_so_is_a_scan_between_phases() -> None:
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings
    from LiverLesionAILib.stages.classify.stage import CaseClassifier
    from LiverLesionAILib.stages.phase.estimate import PhaseMeasures, PhaseSettings
    from LiverLesionAILib.stages.phase.hints import hints_of
    from support.rules import of_page
    from support.threshold_models import ThresholdModels, phantom

    volume, _ = phantom()
    page = of_page(PhaseSettings)
    stage = CaseClassifier(None, SimpleNamespace(phase=page))  # type: ignore[arg-type]

    def told(name: str) -> list[str]:
        portal = PhaseMeasures(150.0, 150.0, 120.0)
        return stage._hinted("The CT", portal, hints_of(replace(volume, name=name), page.hints))

    [said] = told("7: Abdomen arteriell 3.0")
    assert said.startswith("The CT is called arterial but looks portal venous (")
    assert told("Abdomen venös") == [] and told("Abdomen") == []
    # The phantom's own phase is uncertain, and that is told.
    settings = Settings(device="cpu", precision="float32", attention=False)
    found = analyze(volume, settings, ThresholdModels()).messages
    assert len([text for text in found if text.startswith("The scan lies between two phases: ")]) == 1


def test_phases_come_through_the_handover_and_damage_is_told(tmp_path: Path) -> None:
    assert read_named_phases(tmp_path) is None
    hu_zyx = np.full((4, 5, 6), 40, np.int16)
    geometry = Geometry.make(hu_zyx.shape, (5.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    places = name_phases(tmp_path, Phase.PORTAL, [Phase.ARTERIAL, Phase.DELAYED])
    for number, place in enumerate(places):
        list(write_volume(place, hu_zyx + np.int16(number), geometry, f"CT {number}"))
    found = read_named_phases(tmp_path)
    assert found is not None and found.own is Phase.PORTAL
    assert [(phase, ct.name, int(ct.hu_zyx.max())) for phase, ct in found.others] == [
        (Phase.ARTERIAL, "CT 0", 40),
        (Phase.DELAYED, "CT 1", 41),
    ]
    seen: list[Path] = []
    read_named_phases(tmp_path, lambda place: seen.append(place) or CtVolume(hu_zyx, geometry))
    assert seen == places, "the worker checks each as a CT"
    (places[1] / "volume.json").unlink()
    with pytest.raises(InputError, match="Analyze again"):
        read_named_phases(tmp_path)
    (tmp_path / "phases.json").write_text('{"own": "venous", "others": {}}')
    with pytest.raises(InputError, match="Analyze again"):
        read_named_phases(tmp_path)


@pytest.mark.parametrize(("phase", "told"), [(Phase.ARTERIAL, True), (Phase.PORTAL, False)])
def test_an_arterial_scan_says_that_bright_lesions_are_missed_more_often(phase: Phase, told: bool) -> None:
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings
    from LiverLesionAILib.writing.report.sentences import sentence
    from LiverLesionAILib.writing.report.strings import Language
    from support.threshold_models import ThresholdModels, phantom

    settings = Settings(device="cpu", precision="float32", attention=False)
    found = analyze(phantom()[0], settings, ThresholdModels(), phases=NamedPhases(phase, ()))
    said = [text for text in found.messages if text.startswith("This scan is arterial: ")]
    assert len(said) == told and all("brighter than the liver were missed" in text for text in said)
    assert all("heller als die Leber" in sentence(text, Language("de")) for text in said)
