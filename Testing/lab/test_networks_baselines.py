"""The baselines of the comparisons against their equations, written out with loops in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.baselines.attention_unet import AttentionGate, AttentionUnet
from LiverLesionAILab.training.baselines.danet_unet import ChannelAttention, DanetUnet, PositionAttention
from LiverLesionAILab.training.baselines.se_unet import SeUnet, SqueezeExcitation
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.networks.unet import Unet, UnetConfig

TINY = UnetConfig(in_slices=1, widths=(2, 3, 4))


def features(channels: int, height: int, width: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, height, width, dtype=torch.float64, generator=generator)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def at_point(conv: torch.nn.Conv2d, values: np.ndarray) -> list[float]:
    """A 1 x 1 convolution of one position's channels."""
    weight = conv.weight.detach().numpy()[:, :, 0, 0]
    bias = np.zeros(len(weight)) if conv.bias is None else conv.bias.detach().numpy()
    return [bias[d] + sum(weight[d, c] * values[c] for c in range(len(values))) for d in range(len(weight))]


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    shares = [math.exp(v - top) for v in values]
    return [s / sum(shares) for s in shares]


def test_attention_gate() -> None:
    torch.manual_seed(0)
    gate = AttentionGate(3, 5).double()
    x, g = features(3, 4, 6), features(5, 2, 3, seed=4)
    coarse = torch.zeros(2, 1, 2, 3, dtype=torch.float64)
    for image in range(2):
        for i in range(2):
            for j in range(3):
                block = x[image, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].numpy().reshape(3, 4).mean(axis=1)
                both = [
                    max(0.0, a + b)
                    for a, b in zip(
                        at_point(gate.of_skip, block),
                        at_point(gate.of_gate, g[image, :, i, j].numpy()),
                        strict=True,
                    )
                ]
                coarse[image, 0, i, j] = sigmoid(at_point(gate.psi, np.array(both))[0])
    expected = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(gate(x, g), expected, atol=1e-12)


def test_squeeze_and_excitation() -> None:
    torch.manual_seed(0)
    part = SqueezeExcitation(4).double()
    x = features(4, 3, 5)
    out = part(x)
    for image in range(2):
        means = [sum(x[image, c].flatten().tolist()) / 15 for c in range(4)]
        hidden = np.array([max(0.0, v) for v in at_point(part.squeeze, np.array(means))])
        for c, weight in enumerate(at_point(part.excite, hidden)):
            assert torch.allclose(out[image, c], x[image, c] * sigmoid(weight), atol=1e-12)


def test_position_attention() -> None:
    torch.manual_seed(0)
    part = PositionAttention(3).double()
    torch.nn.init.constant_(part.alpha, 0.6)
    x = features(3, 2, 3)
    out = part(x).reshape(2, 3, 6)
    for image in range(2):
        points = [x[image, :, n // 3, n % 3].numpy() for n in range(6)]
        keys, queries = [at_point(part.key, p) for p in points], [at_point(part.query, p) for p in points]
        values = [at_point(part.value, p) for p in points]
        for j in range(6):
            share = softmax([sum(a * b for a, b in zip(keys[i], queries[j], strict=True)) for i in range(6)])
            for c in range(3):
                expected = 0.6 * sum(share[i] * values[i][c] for i in range(6)) + points[j][c]
                assert out[image, c, j].item() == pytest.approx(expected, abs=1e-12)


def test_channel_attention() -> None:
    part = ChannelAttention().double()
    torch.nn.init.constant_(part.beta, 0.4)
    x = features(3, 2, 2)
    out = part(x).reshape(2, 3, 4)
    for image in range(2):
        rows = x[image].reshape(3, 4).tolist()
        for j in range(3):
            share = softmax([sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / 4 for i in range(3)])
            for n in range(4):
                expected = 0.4 * sum(share[i] * rows[i][n] for i in range(3)) + rows[j][n]
                assert out[image, j, n].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("module", "kind"), [("attention_unet", AttentionUnet), ("se_unet", SeUnet), ("danet_unet", DanetUnet)]
)
def test_network_learns_in_every_part(module: str, kind: type[Unet]) -> None:
    torch.manual_seed(0)
    network = build_network(module, {"in_slices": 1, "widths": [2, 3, 4]})
    assert isinstance(network, kind)
    for factor in ("alpha", "beta"):
        for name, parameter in network.named_parameters():
            if name.endswith(factor):
                torch.nn.init.constant_(parameter, 0.5)
    logits = network(torch.randn(2, 1, 16, 24)).logits
    assert logits.shape == (2, 3, 16, 24)
    logits.square().mean().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_dual_attention_starts_as_twice_the_deepest_features() -> None:
    """Both factors start at zero, so each module hands its input on and the sum is twice it."""
    network = DanetUnet(TINY).double()
    x = features(4, 3, 3)
    assert torch.equal(network.encoded(2, x), 2 * x)
    assert torch.equal(network.encoded(1, x), x)
