"""Phases that the reader names, through the whole row of stages and into the run's manifest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.manifest import RunManifest
from LiverLesionAILib.case.phases import NamedPhases

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
