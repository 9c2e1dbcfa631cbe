"""MSCD against its steps written out with loops in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.networks.mscd import (
    SIZES,
    ChannelContext,
    ContextBlock,
    Mscd,
    MscdConfig,
    SpatialContext,
    point_affinity,
)
from LiverLesionAILib.networks.unet import Unet, UnetConfig

TINY = MscdConfig(in_slices=1, widths=(2, 3, 4), context_levels=(1, 2))


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    shares = [math.exp(v - top) for v in values]
    return [s / sum(shares) for s in shares]


def features(channels: int = 3, height: int = 3, width: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, channels, height, width, dtype=torch.float64, generator=generator)


def embedded(conv: torch.nn.Conv2d, x: np.ndarray) -> list[list[float]]:
    """f(w x + b) of every position, row by row."""
    weight, bias = conv.weight.detach().numpy()[:, :, 0, 0], conv.bias.detach().numpy()
    return [
        [
            max(0.0, bias[d] + sum(weight[d, c] * x[c, i, j] for c in range(x.shape[0])))
            for d in range(len(bias))
        ]
        for i in range(x.shape[1])
        for j in range(x.shape[2])
    ]


def spatial_matrix(part: SpatialContext, x: np.ndarray) -> list[list[float]]:
    """Steps 1 to 3 of the spatial extractor."""
    queries, keys = embedded(part.query, x), embedded(part.key, x)
    return [softmax([sum(a * b for a, b in zip(k, q, strict=True)) for q in queries]) for k in keys]


def channel_matrix(x: np.ndarray) -> list[list[float]]:
    """Steps 1 to 3 of the channel extractor."""
    flat = x.reshape(x.shape[0], -1)
    count, positions = flat.shape
    return [
        softmax([sum(flat[i, n] * flat[j, n] for n in range(positions)) for j in range(count)])
        for i in range(count)
    ]


class TestEquations:
    def test_spatial_extractor(self) -> None:
        torch.manual_seed(1)
        part = SpatialContext(3).double()
        torch.nn.init.constant_(part.alpha, 0.7)
        x = features()
        out = part(x)
        for image in range(2):
            values = x[image].numpy()
            matrix, flat = spatial_matrix(part, values), values.reshape(3, -1)
            for c in range(3):
                expected = [
                    0.7 * sum(matrix[i][j] * flat[c, j] for j in range(12)) + flat[c, i] for i in range(12)
                ]
                assert out[image, c].flatten().tolist() == pytest.approx(expected, abs=1e-10)

    def test_channel_extractor(self) -> None:
        part = ChannelContext(mean=False).double()
        torch.nn.init.constant_(part.beta, -0.4)
        x = features()
        out = part(x)
        for image in range(2):
            flat = x[image].numpy().reshape(3, -1)
            matrix = channel_matrix(x[image].numpy())
            for c in range(3):
                expected = [
                    -0.4 * sum(flat[i, n] * matrix[i][c] for i in range(3)) + flat[c, n] for n in range(12)
                ]
                assert out[image, c].flatten().tolist() == pytest.approx(expected, abs=1e-10)

    def test_a_block_is_the_sum_of_both(self) -> None:
        torch.manual_seed(2)
        block = ContextBlock(3, TINY).double()
        torch.nn.init.constant_(block.spatial.alpha, 0.3)
        torch.nn.init.constant_(block.channel.beta, 0.2)
        x = features()
        assert torch.allclose(block(x), block.spatial(x) + block.channel(x))

    def test_the_mean_channel_affinity_does_not_depend_on_the_size(self) -> None:
        x = features()
        tiled = x.repeat(1, 1, 3, 2)
        part = ChannelContext(mean=True)
        assert torch.allclose(part.affinity(x), part.affinity(tiled))
        paper = ChannelContext(mean=False)
        assert not torch.allclose(paper.affinity(x), paper.affinity(tiled), atol=1e-3)


class TestNetwork:
    def test_attention_is_what_the_network_used(self) -> None:
        torch.manual_seed(3)
        network = Mscd(TINY).double().eval()
        image = torch.randn(1, 1, 8, 12, dtype=torch.float64)
        seen: dict[int, np.ndarray] = {}
        for level, block in network.context.items():
            block.register_forward_pre_hook(
                lambda module, args, level=int(level): seen.__setitem__(level, args[0][0].detach().numpy())
            )
        output = network(image, return_attention=True)
        assert [a.level for a in output.attention] == [1, 2]
        for attention in output.attention:
            part = network.context[str(attention.level)].spatial
            matrix = np.array(spatial_matrix(part, seen[attention.level]))
            height, width = attention.size_yx
            found = point_affinity(attention, (1, 2))
            assert found.shape == (height, width)
            assert float(found.detach().sum()) == pytest.approx(1.0, abs=1e-6)
            assert np.allclose(found.detach().numpy().ravel(), matrix[width + 2], atol=1e-6)
            assert np.allclose(
                attention.channel[0].detach().numpy(), channel_matrix(seen[attention.level]), atol=1e-10
            )
        with pytest.raises(ValueError, match="outside"):
            point_affinity(output.attention[0], (4, 0))

    def test_attention_costs_nothing_when_not_asked_for_and_changes_nothing(self) -> None:
        network = Mscd(TINY).eval()
        image = torch.randn(2, 1, 8, 8)
        plain = network(image)
        assert plain.attention is None
        assert torch.equal(plain.logits, network(image, return_attention=True).logits)

    def test_without_context_it_is_the_unet(self) -> None:
        config = replace(TINY, spatial=False, channel=False)
        torch.manual_seed(4)
        network = Mscd(config).eval()
        unet = Unet(UnetConfig(in_slices=1, widths=TINY.widths)).eval()
        unet.load_state_dict(network.state_dict())
        image = torch.randn(1, 1, 16, 8)
        assert torch.equal(network(image).logits, unet(image).logits)

    def test_at_the_start_context_doubles_a_level_and_no_more(self) -> None:
        block = ContextBlock(4, TINY)
        x = torch.randn(1, 4, 3, 3)
        assert torch.allclose(block(x), 2 * x), "alpha and beta start at 0, so X^s + X^c = 2 X"

    @pytest.mark.parametrize("size", ["compact", "paper"])
    def test_every_parameter_learns_once_alpha_has_moved(self, size: str) -> None:
        torch.manual_seed(5)
        small = replace(SIZES[size], widths=(4, 6, 8, 10, 12))
        network = Mscd(small)
        for block in network.context.values():
            torch.nn.init.constant_(block.spatial.alpha, 0.1)
        network(torch.randn(2, small.in_slices, 32, 32)).logits.square().mean().backward()
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())

    def test_the_papers_worked_example(self) -> None:
        """C3 is 28 x 28 x 256 for an input of 224 x 224."""
        assert SIZES["paper"].widths[3] == 256
        assert 3 in SIZES["paper"].context_levels
        assert 224 // 2**3 == 28

    def test_builds_by_name_and_loads_strictly(self) -> None:
        network = build_network("mscd", {"in_slices": 1, "widths": [2, 3, 4], "context_levels": [2]})
        other = Mscd(MscdConfig(in_slices=1, widths=(2, 3, 4), context_levels=(2,)))
        other.load_state_dict(network.state_dict(), strict=True)
        with pytest.raises(RuntimeError, match="context"):
            Mscd(replace(TINY, context_levels=(1, 2))).load_state_dict(network.state_dict())
