"""Remedies for SFAN's semantic gate: they start as the network does, what is frozen stays, rows are means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.attention_kept import recomputed
from LiverLesionAILab.compare.gate_remedies import (
    KINDS,
    SPREAD,
    Budget,
    Judged,
    Levels,
    Remedied,
    before,
    learnt,
    levels_of,
    rows_of,
    told_loss,
)
from LiverLesionAILab.data.cases import TrainingCase
from LiverLesionAILab.training.recipes import RECIPES
from LiverLesionAILab.training.sampling import CropSampler
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.networks.sfan import SIZES, Sfan

FEW = Budget(steps=2, batch=2, edge=64, first=4)


def network_of(seed: int = 0) -> Sfan:
    torch.manual_seed(seed)
    return Sfan(SIZES["compact"]).eval().requires_grad_(False)


def crops_of(network: Sfan, count: int = 6) -> tuple[torch.Tensor, Levels]:
    images = torch.randn(count, 5, 64, 64, generator=torch.Generator().manual_seed(1))
    return images, levels_of(network, images)


def gates_of(network: Sfan, crops: Levels) -> list[torch.Tensor]:
    return [
        gate(above).mean(dim=(0, 2, 3)) for gate, above in zip(network.sat, crops.features[1:], strict=True)
    ]


def sampler() -> CropSampler:
    rng = np.random.default_rng(0)
    labels = np.zeros((7, 90, 90), np.uint8)
    labels[1:6, 20:70, 20:70], labels[3, 40:50, 40:50] = 1, 2
    case = TrainingCase("one", "A", rng.integers(90, 160, labels.shape, np.uint8), labels, (2.5, 1.25, 1.25))
    recipe = RECIPES["sfan_finish"]
    return CropSampler([replace(case, kind="real")], {"real": 1.0}, recipe.spec, 64, 0, recipe.augment)


def test_one_weight_a_channel_is_the_network_where_its_gates_are_constant() -> None:
    network = network_of()
    for gate in network.sat:
        gate.excite.weight.zero_()
        gate.excite.bias.copy_(torch.linspace(-2, 2, len(gate.excite.bias)))
    images, crops = crops_of(network)
    remedied = Remedied(network, "constant", gates_of(network, crops), crops)
    with torch.no_grad():
        torch.testing.assert_close(remedied(images).logits, network(images).logits, atol=1e-4, rtol=1e-4)


def test_places_without_a_gain_are_one_weight_a_channel() -> None:
    network = network_of()
    images, crops = crops_of(network)
    gates = gates_of(network, crops)
    placed, constant = (Remedied(network, kind, gates, crops) for kind in ("placed", "constant"))
    with torch.no_grad():
        assert not torch.allclose(placed(images).logits, constant(images).logits)
        for gate in list(placed.gates)[:2]:
            gate.gain.zero_()
        torch.testing.assert_close(placed(images).logits, constant(images).logits)


@pytest.mark.parametrize("kind", ["standardised", "told"])
def test_a_new_gate_starts_with_the_spread_that_it_should_have(kind: str) -> None:
    network = network_of()
    _, crops = crops_of(network)
    remedied = Remedied(network, kind, gates_of(network, crops), crops)
    with torch.no_grad():
        for gate, low, above in zip(remedied.gates, crops.features, crops.features[1:], strict=False):
            _, made = gate(above, low.shape[-2:])
            torch.testing.assert_close(
                made.std(dim=0), torch.full_like(made[0], SPREAD), rtol=0.02, atol=0.01
            )
            torch.testing.assert_close(made.mean(dim=0), torch.zeros_like(made[0]), rtol=0, atol=1e-4)
            own = gate(above, low.shape[-2:])[0]
            averaged = gate(above, low.shape[-2:], "averaged")[0]
            torch.testing.assert_close(averaged[0], own.mean(dim=0))
            elsewhere = gate(above, low.shape[-2:], "elsewhere")[0]
            torch.testing.assert_close(elsewhere[3], own[0])


def test_what_it_is_told_is_learnt_by_what_it_makes() -> None:
    network = network_of()
    _, crops = crops_of(network, 4)
    remedied = Remedied(network, "told", gates_of(network, crops), crops)
    labels = torch.zeros(4, 64, 64, dtype=torch.int64)
    labels[:2, 20:40, 20:40] = 2
    told_loss(remedied.answer(crops).made, remedied.gates, labels).backward()
    assert all(float(gate.excite.weight.grad.abs().sum()) > 0 for gate in remedied.gates)
    assert all(gate.logit.grad is None for gate in remedied.gates), "the mean weight is not told anything"


def test_gates_and_alignment_learn_and_nothing_else() -> None:
    network = network_of()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    nets, losses = learnt(network, sampler(), RECIPES["sfan_finish"], FEW, 0, lambda *_: None)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert set(nets) == set(KINDS) and all(len(each) == 2 for each in losses.values())
    gates, _ = before(network, sampler(), 1_000_000, FEW)
    for net in nets.values():
        assert not torch.equal(net.align[0].weight, network.align[0].weight)
        assert not torch.equal(torch.sigmoid(net.gates[0].logit), gates[0])


def test_rows_are_means_over_seeds_and_come_back_from_what_is_kept() -> None:
    found = {Judged("", None, 0): {"a": 0.5, "b": 0.6}}
    for seed in range(2):
        for k, kind in enumerate(KINDS):
            for how in (None, "averaged", "elsewhere"):
                found[Judged(kind, how, seed)] = {"a": 0.1 * seed + 0.01 * k, "b": 0.2}
    rows = rows_of(found, {"a": "a", "b": "b"})
    assert len(rows) == 2 + 3 * 4
    assert rows[1]["cases"] == pytest.approx({"a": 0.05, "b": 0.2}) and rows[1]["seeds"]["a"] == [0.0, 0.1]
    assert rows[3]["against"] == 1 and rows[3]["difference"]["value"] == pytest.approx(0.005)
    value, change = recomputed(rows[3], rows[1])
    assert value == pytest.approx(rows[3]["value"]) and change.value == pytest.approx(0.005)


def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "gates", str(tmp_path), "--steps", "0"]) == 1
    assert "from 1 on" in capsys.readouterr().err
