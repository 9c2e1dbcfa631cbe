"""What `info --attention` prints: which attention is alive, and why one is not."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks.health import BOUNDS, Effect, Health
from LiverLesionAILib.stages.explain.health import health_json, health_text

HOW = ("off", "averaged", "elsewhere")
ALIVE = Health(
    "dadrn", "slices", {"affinity": {"entropy": 0.41}}, {h: Effect(0.12, 0.5) for h in HOW}, True, ""
)
DEAD = Health(
    "mscd",
    "gate",
    {"affinity": {"entropy": 0.97}},
    {h: Effect(0.0004, 0.001) for h in HOW},
    False,
    "entropy 0.970 is above 0.95",
)


def test_a_dead_attention_stands_out_with_its_reason() -> None:
    lines = health_text([ALIVE, DEAD]).splitlines()
    alive = next(line for line in lines if line.startswith("dadrn"))
    dead = next(k for k, line in enumerate(lines) if line.startswith("mscd"))
    assert alive.split() == ["dadrn", "slices", "0.120", "0.120", "0.120", "yes"]
    assert lines[dead].endswith("NO") and lines[dead + 1].strip() == "affinity: entropy 0.970"
    assert lines[dead + 2].strip() == "NO: entropy 0.970 is above 0.95"
    assert sum("NO" in line for line in lines) == 2
    for kind, bound in BOUNDS.items():
        assert any(line.startswith(f"  {kind}: ") and line.endswith(f"{bound.reason}.") for line in lines)


def test_programs_get_the_same_figures() -> None:
    told = json.loads(health_json([ALIVE, DEAD]))
    assert [one["alive"] for one in told["mechanisms"]] == [True, False]
    assert told["mechanisms"][1]["effects"]["off"] == {"mean": 0.0004, "largest": 0.001}
    assert told["bounds"]["affinity"]["figures"]["entropy"] == [0.1, 0.95]
