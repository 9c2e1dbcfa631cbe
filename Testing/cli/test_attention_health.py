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

VA_LINE = "**Its channel attention does not attend, and the neighbours of its spatial one make no difference"

FIRST_LINES = {
    # What the card says does not attend, and what it says does; how many slices show it.
    "mscd": ((), ("spatial", "channel"), "**Its attention attends, but that of positions makes no", 4),
    "dadrn": ((), ("spatial", "channel"), "**Its attention attends, but which places it gathers makes no", 2),
    "sfan": (
        (),
        ("semantic gate", "global context gate"),
        "**Its attention attends, but the semantic gate (SAT) makes no difference",
        1,
    ),
    "cs_att": (
        ("contextual",),
        ("spatial",),
        "**Its contextual attention hardly attends, and neither attention makes a difference after three",
        1,
    ),
    "va_mask_rcnn": (("channel",), ("spatial",), VA_LINE + ", after three remedies each.**", 2),
    "va_faster_rcnn": (("channel",), ("spatial",), VA_LINE + "**", 2),
}
"""By network: the first line of its card, and of which attentions it says so."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST_LINES)
def test_a_cards_first_line_says_what_is_measured(slab: SampleCase, models: ModelStore, name: str) -> None:
    """The bundled weights' health decides what the line may say: a better training has to change it."""
    dead, alive, line, slices = FIRST_LINES[name]
    card = (models.manifest.folder / models.manifest.find(name).card).read_text(encoding="utf-8")
    assert card.splitlines()[2].startswith(line), "the first line below the title"
    found = attention_health(slab.volume, models, Device("cpu", "float32", "CPU", 4), (name,), slices)
    assert all(one.mechanism.startswith((*dead, *alive)) for one in found), "no attention is passed over"
    for start in dead:
        those = [one for one in found if one.mechanism.startswith(start)]
        assert those and not any(one.alive for one in those), f"{start}: {health_text(those)}"
    for start in alive:
        those = [one for one in found if one.mechanism.startswith(start)]
        # Of a pyramid's levels the cards name those that attend.
        enough = len(those) // 2 if "level 1" in those[0].mechanism and name.startswith("va") else len(those)
        assert sum(one.alive for one in those) >= enough > 0, f"{start}: {health_text(those)}"
    data = json.loads(health_json(found))
    assert len(data["mechanisms"]) == len(found)
    assert all({"alive", "figures", "effects", "why"} <= set(one) for one in data["mechanisms"])
    assert "reason" in data["bounds"]["affinity"]


def test_every_network_with_an_attention_has_its_first_line_tested(models: ModelStore) -> None:
    from LiverLesionAILib.networks.mechanisms import mechanisms_of

    entries = [entry for entry in models.manifest.entries if entry.file]
    attending = {e.name for e in entries if mechanisms_of(models.network(e.name, "cpu", "float32"))}
    assert attending == set(FIRST_LINES)


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--attention", str(tmp_path / "no.nii.gz")]) == 1
    assert "no.nii.gz" in capsys.readouterr().err
