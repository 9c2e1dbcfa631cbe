"""Health of attention on toy weights: what is dead by construction is called dead, nothing stays changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks import cs_att
from LiverLesionAILib.networks.health import Effect, effect, examine, figures_of, judged, watched
from LiverLesionAILib.networks.mechanisms import mechanisms_of
from LiverLesionAILib.networks.volumetric_attention import bag_indices
from support.toy_attention import toy
from torch import nn


def asked(network: nn.Module) -> object:
    """What answers for the toy, as a function without arguments."""
    generator = torch.Generator().manual_seed(2)
    if isinstance(network, cs_att.CsAtt):
        x = torch.rand(2, 3, 12, 8, 8, generator=generator)
        return lambda: network.maps(network.attend(x.clone())[0]).sigmoid()
    if hasattr(network, "rpn"):
        images = torch.rand(4, 3, 64, 64, generator=generator)
        bags = bag_indices(torch.arange(4), 4, 3, 1)
        return lambda: network.attend(network.features(images), bags)[0][0].sigmoid()
    slices = network.config.backbone.in_slices if hasattr(network.config, "backbone") else 5
    images = torch.rand(2, slices, 32, 32, generator=generator)
    return lambda: network(images).logits.softmax(dim=1)


@pytest.mark.parametrize("name", ["sfan", "mscd", "dadrn", "cs_att", "va"])
def test_watching_changes_nothing(name: str) -> None:
    network = toy(name)
    answer = asked(network)
    mechanisms = mechanisms_of(network)
    assert mechanisms
    with torch.inference_mode():
        before = answer()
        for mechanism in mechanisms:
            found = examine(name, mechanism, answer)
            assert set(found.figures) == set(mechanism.kinds)
            with watched(mechanism, None, lambda kind, weights: None):
                torch.testing.assert_close(answer(), before, atol=1e-5, rtol=1e-4)
        assert torch.equal(answer(), before)


def test_switched_off_is_the_factor_at_zero() -> None:
    network = toy("mscd")
    answer = asked(network)
    mechanism = mechanisms_of(network)[0]
    with torch.inference_mode():
        with watched(mechanism, "off", lambda kind, weights: None):
            off = answer()
        mechanism.module.alpha.zero_()
        torch.testing.assert_close(answer(), off, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("pooling", "sees"), [("mean", False), ("mean_max", True)])
def test_a_mean_over_the_map_cannot_tell_who_gathered_what(pooling: str, sees: bool) -> None:
    """DADRN as published averages the map: which place gathers which others then decides no class."""
    network = toy("dadrn")
    network.config = replace(network.config, pooling=pooling)
    answer = asked(network)
    spatial = mechanisms_of(network)[0]
    assert spatial.name == "spatial attention"
    with torch.inference_mode():
        before = answer()
        for how in ("averaged", "elsewhere"):
            with watched(spatial, how, lambda kind, weights: None):
                assert (effect(before, answer()).largest > 1e-5) == sees
        with watched(spatial, "off", lambda kind, weights: None):
            assert effect(before, answer()).largest > 1e-4, "that something is gathered does"


def test_dead_by_a_factor_of_zero() -> None:
    """Weights may look well: an attention that is multiplied by 0 decides nothing."""
    network = toy("mscd")
    found = examine("mscd", mechanisms_of(network)[0], asked(network))
    assert found.effects["off"].largest > 0
    nn.init.zeros_(network.context["1"].spatial.alpha)
    dead = examine("mscd", mechanisms_of(network)[0], asked(network))
    assert not dead.alive
    assert "changes by less" in dead.why
    assert dead.effects["elsewhere"] == Effect(0.0, 0.0)


def test_one_hot_and_flat_are_dead() -> None:
    much = {how: Effect(0.3, 0.9) for how in ("off", "averaged", "elsewhere")}
    one_hot = figures_of("affinity", torch.eye(8)[None])
    flat = figures_of("affinity", torch.full((1, 8, 8), 1 / 8))
    between = figures_of("affinity", (2 * torch.eye(8)).softmax(dim=1)[None])
    assert one_hot["entropy"] == 0.0 and flat["entropy"] == pytest.approx(1.0)
    assert [judged({"affinity": one}, much)[0] for one in (one_hot, flat, between)] == [False, False, True]


def test_gates_that_are_shut_or_constant_are_dead() -> None:
    much = {how: Effect(0.3, 0.9) for how in ("off", "averaged", "elsewhere")}
    gate = torch.tensor([[0.01, 0.9, 0.5, 0.7], [0.02, 0.8, 0.6, 0.4]])
    assert figures_of("image gate", gate)["shut"] == 0.25
    assert judged({"image gate": figures_of("image gate", gate)}, much)[0]
    constant = gate[:1].expand(2, 4)
    assert "slices" in judged({"image gate": figures_of("image gate", constant)}, much)[1]
    shut = torch.tensor([[0.01, 0.0, 0.5, 0.7], [0.02, 0.0, 0.6, 0.4]])
    assert "shut 0.500" in judged({"image gate": figures_of("image gate", shut)}, much)[1]
    # A squeeze gate may be the same in every slice.
    assert judged({"squeeze gate": figures_of("squeeze gate", constant)}, much)[0]


def test_a_saturated_sigmoid_is_dead() -> None:
    much = {how: Effect(0.3, 0.9) for how in ("off", "averaged", "elsewhere")}
    generator = torch.Generator().manual_seed(0)
    steep = (40 * torch.randn(1, 50, 50, generator=generator)).sigmoid()
    assert not judged({"sigmoid affinity": figures_of("sigmoid affinity", steep)}, much)[0]
    soft = torch.randn(1, 50, 50, generator=generator).sigmoid()
    assert judged({"sigmoid affinity": figures_of("sigmoid affinity", soft)}, much)[0]


def test_effect_counts_where_there_is_something() -> None:
    before, after = torch.tensor([0.0, 0.5, 0.01]), torch.tensor([0.0, 0.3, 0.02])
    found = effect(before, after)
    assert (found.mean, found.largest) == (pytest.approx(0.2), pytest.approx(0.2))
    assert effect(torch.zeros(3), torch.zeros(3)) == Effect(0.0, 0.0)
