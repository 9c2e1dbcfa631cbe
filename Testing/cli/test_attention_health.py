"""`info --attention`: figures of bundled networks on a part of the sample, and what their cards say of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.cli.attention import attention_health
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.device import Device
from LiverLesionAILib.stages.explain.health import health_json, health_text

if TYPE_CHECKING:
    from pathlib import Path

    from LiverLesionAILib.case.sample import SampleCase
    from LiverLesionAILib.models.weights import ModelStore

DOES_NOT = "does not attend"
"""In the first lines of a card whose attention is dead in the bundled weights."""


@pytest.mark.slow
def test_cards_say_what_is_measured(slab: SampleCase, models: ModelStore) -> None:
    """Mechanisms that a paper lives by: where the weights' are dead, the card has to begin with it."""
    device = Device("cpu", "float32", "CPU", 4)
    found = attention_health(slab.volume, models, device, names=("mscd", "dadrn"), slices=2)
    spatial = {
        name: [one for one in found if one.network == name and one.mechanism.startswith("spatial")]
        for name in ("mscd", "dadrn")
    }
    for name, mechanisms in spatial.items():
        assert mechanisms
        card = (models.manifest.folder / models.manifest.find(name).card).read_text(encoding="utf-8")
        said = DOES_NOT in " ".join(card[:900].split())
        assert said != any(one.alive for one in mechanisms), f"{name}: the card and the measurement differ"
    data = json.loads(health_json(found))
    assert len(data["mechanisms"]) == len(found)
    assert all({"alive", "figures", "effects", "why"} <= set(one) for one in data["mechanisms"])
    assert "reason" in data["bounds"]["affinity"]
    text = health_text(found)
    assert all(one.mechanism in text for one in found)


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--attention", str(tmp_path / "no.nii.gz")]) == 1
    assert "no.nii.gz" in capsys.readouterr().err
