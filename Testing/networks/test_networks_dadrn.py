"""DADRN against its steps written out with loops in float64, and its variants against each other."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.networks.dadrn import (
    SIZES,
    VARIANTS,
    ChannelAttention,
    Dadrn,
    DadrnConfig,
    SpatialAttention,
    channel_affinity,
    position_affinity,
    variant,
)
from LiverLesionAILib.networks.parts.drn import AttentionModule, DrnConfig, ResidualUnit

TINY = DadrnConfig(
    backbone=DrnConfig(
        in_slices=1, stem=3, stem_kernel=3, unit="basic", widths=(3, 4, 4, 5), depths=(1, 1, 1, 1)
    )
)


def features(channels: int = 3, height: int = 2, width: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, channels, height, width, dtype=torch.float64, generator=generator)


def convolved(conv: torch.nn.Conv2d, x: np.ndarray) -> list[list[float]]:
    """1 x 1 convolution by hand: [channel][position], positions row by row."""
    weight, bias = conv.weight.detach().numpy()[:, :, 0, 0], conv.bias.detach().numpy()
    flat = x.reshape(x.shape[0], -1)
    return [
        [bias[d] + sum(weight[d, c] * flat[c, n] for c in range(flat.shape[0])) for n in range(flat.shape[1])]
        for d in range(len(bias))
    ]


def affinities(rows: list[list[float]], how: str, mean: bool) -> list[list[float]]:
    """Steps 1 and 2 for vectors `rows`: alpha[j][i]."""
    terms = len(rows[0])
    alpha = []
    for one in rows:
        scores = [
            sum(a * b for a, b in zip(one, other, strict=True)) / (terms if mean else 1) for other in rows
        ]
        if how == "sigmoid":
            alpha.append([1 / (1 + math.exp(-s)) / (len(rows) if mean else 1) for s in scores])
        else:
            top = max(scores)
            shares = [math.exp(s - top) for s in scores]
            alpha.append([s / sum(shares) for s in shares])
    return alpha


@pytest.mark.parametrize("how", ["sigmoid", "softmax"])
@pytest.mark.parametrize("mean", [False, True])
class TestEquations:
    def test_spatial_block(self, how: str, mean: bool) -> None:
        torch.manual_seed(1)
        block = SpatialAttention(3, how, mean).double()
        torch.nn.init.constant_(block.beta, 0.7)
        x = features()
        out, _ = block(x)
        for image in range(2):
            a = x[image].numpy()
            b, d = convolved(block.embed, a), convolved(block.value, a)
            columns = [[row[n] for row in b] for n in range(6)]
            alpha = affinities(columns, how, mean)
            for c in range(3):
                expected = [
                    0.7 * sum(alpha[j][i] * d[c][i] for i in range(6)) + a[c].flat[j] for j in range(6)
                ]
                assert out[image, c].flatten().tolist() == pytest.approx(expected, abs=1e-10)

    def test_channel_block(self, how: str, mean: bool) -> None:
        torch.manual_seed(2)
        block = ChannelAttention(4, how, mean).double()
        torch.nn.init.constant_(block.beta, -0.4)
        x = features(channels=4)
        out, found = block(x)
        for image in range(2):
            a = x[image].numpy()
            b, d = convolved(block.embed, a), convolved(block.value, a)
            alpha = affinities(b, how, mean)
            assert np.allclose(found[image].detach().numpy(), alpha, atol=1e-10)
            for j in range(4):
                expected = [
                    -0.4 * sum(alpha[j][i] * d[i][n] for i in range(4)) + a[j].flat[n] for n in range(6)
                ]
                assert out[image, j].flatten().tolist() == pytest.approx(expected, abs=1e-10)


class TestNetwork:
    @pytest.mark.parametrize("fusion", ["sum", "concat"])
    @pytest.mark.parametrize("on", [(True, True), (True, False), (False, True)])
    def test_at_the_start_it_is_drn(self, fusion: str, on: tuple[bool, bool]) -> None:
        config = replace(TINY, spatial=on[0], channel=on[1], fusion=fusion)
        torch.manual_seed(3)
        network = Dadrn(config).eval()
        torch.manual_seed(3)
        plain = Dadrn(replace(config, spatial=False, channel=False)).eval()
        image = torch.randn(2, 1, 32, 32)
        assert torch.allclose(network(image).logits, plain(image).logits, atol=1e-5)
        for name, parameter in network.named_parameters():
            if name.endswith("beta"):
                torch.nn.init.constant_(parameter, 0.5)
        assert not torch.allclose(network(image).logits, plain(image).logits, atol=1e-3)

    def test_logits_are_a_linear_map_of_the_averaged_features(self) -> None:
        network = Dadrn(TINY).eval()
        output = network(torch.randn(2, 1, 32, 40))
        assert output.features.shape == (2, 10, 4, 5)
        expected = output.features.mean(dim=(2, 3)) @ network.classify.weight.T + network.classify.bias
        assert torch.allclose(output.logits, expected, atol=1e-6)

    def test_attention_is_what_the_network_used(self) -> None:
        torch.manual_seed(4)
        network = Dadrn(TINY).double().eval()
        seen = {}
        network.spatial.register_forward_pre_hook(lambda module, args: seen.update(a=args[0][0].detach()))
        image = torch.randn(1, 1, 32, 24, dtype=torch.float64)
        attention = network(image, return_attention=True).attention
        a = seen["a"].numpy()
        b = convolved(network.spatial.embed, a)
        alpha = affinities([[row[n] for row in b] for n in range(12)], "sigmoid", False)
        found = position_affinity(attention, (2, 1))
        assert found.shape == attention.size_yx == (4, 3)
        assert found.detach().flatten().tolist() == pytest.approx(alpha[2 * 3 + 1], abs=1e-10)
        expected = affinities(convolved(network.channel.embed, a), "sigmoid", False)
        assert np.allclose(channel_affinity(attention).detach().numpy(), expected, atol=1e-10)
        with pytest.raises(ValueError, match="outside"):
            position_affinity(attention, (4, 0))

    def test_attention_that_is_off_says_so(self) -> None:
        network = Dadrn(replace(TINY, spatial=False, channel=False)).eval()
        attention = network(torch.randn(1, 1, 32, 32), return_attention=True).attention
        for ask in (lambda: position_affinity(attention, (0, 0)), lambda: channel_affinity(attention)):
            with pytest.raises(ValueError, match="switched off"):
                ask()

    def test_asking_for_attention_changes_nothing(self) -> None:
        network = Dadrn(TINY).eval()
        image = torch.randn(2, 1, 32, 32)
        plain = network(image)
        assert plain.attention is None
        assert torch.equal(plain.logits, network(image, return_attention=True).logits)

    def test_every_parameter_learns_once_beta_has_moved(self) -> None:
        torch.manual_seed(5)
        small = replace(SIZES["compact"].backbone, stem=6, widths=(6, 8, 10, 12))
        network = Dadrn(replace(SIZES["compact"], backbone=small))
        for block in (network.spatial, network.channel):
            torch.nn.init.constant_(block.beta, 0.1)
        network(torch.randn(4, 3, 32, 32)).logits.square().sum().backward()
        dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert dead == []


class TestSizes:
    def test_the_papers_size(self) -> None:
        """DRN-50: 28 x 28 of 224 x 224, 2048 channels, as many parameters as ResNet-50."""
        backbone = SIZES["paper"].backbone
        assert (backbone.stride, backbone.channels) == (8, 2048)
        network = Dadrn(variant("DRN50"))
        count = sum(p.numel() for p in network.backbone.parameters())
        assert count == 23_508_032, "ResNet-50 without its classifier"
        with torch.inference_mode():
            assert network.eval()(torch.zeros(1, 3, 64, 64)).features.shape == (1, 2048, 8, 8)

    def test_the_compact_size_fits_in_4_mb_of_float16(self) -> None:
        network = Dadrn(SIZES["compact"])
        assert 2 * sum(v.numel() for v in network.state_dict().values()) < 4e6

    @pytest.mark.parametrize("name", sorted(VARIANTS))
    def test_every_variant_builds_from_the_manifests_plain_types(self, name: str) -> None:
        config = variant(name, replace(SIZES["compact"], backbone=TINY.backbone))
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
        plain["backbone"] = {k: list(v) if isinstance(v, tuple) else v for k, v in plain["backbone"].items()}
        network = build_network("dadrn", plain)
        assert network.config == config
        strided = name in ("SEResnet50", "RAResnet50")
        assert network.eval()(torch.zeros(1, 1, 64, 64)).features.shape[-1] == (2 if strided else 8)
        Dadrn(config).load_state_dict(network.state_dict(), strict=True)

    def test_the_variants_differ_as_their_names_say(self) -> None:
        for name in ("SADR50", "CADR50"):
            assert variant(f"{name}-A").normalisation == "sigmoid"
            assert variant(f"{name}-B").normalisation == "softmax"
        assert (variant("SADR50-A").channel, variant("CADR50-A").spatial) == (False, False)
        assert (variant("DADR50-A").fusion, variant("DADR50-B").fusion) == ("sum", "concat")
        with pytest.raises(KeyError):
            variant("DADR101")


class TestParts:
    def test_residual_attention_is_one_plus_the_mask(self) -> None:
        torch.manual_seed(6)
        module = AttentionModule(4, "basic", 2).eval()
        x = torch.randn(1, 4, 12, 10)
        gates = []
        module.gate.register_forward_hook(lambda part, args, out: gates.append(out))
        out = module(x)
        assert gates[0].min() > 0 and gates[0].max() < 1
        assert torch.allclose(out, (1 + gates[0]) * module.trunk(module.before(x)))

    def test_squeeze_and_excitation_scales_whole_channels(self) -> None:
        torch.manual_seed(7)
        unit = ResidualUnit(4, 4, "basic", squeeze=True).eval()
        x = torch.randn(1, 4, 6, 6)
        before = unit.body[:-1](x)
        ratio = unit.body(x) / before
        assert torch.allclose(ratio.amax(dim=(2, 3)), ratio.amin(dim=(2, 3)), atol=1e-4)
        assert ratio.min() > 0 and ratio.max() < 1
