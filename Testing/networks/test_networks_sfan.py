"""SFAN against its equations written out with loops in float64, and its parts as the paper has them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.models.weights import ModelStore, load_network
from LiverLesionAILib.networks.parts.blocks import ConvBlock, global_average, halved, parameter_count
from LiverLesionAILib.networks.parts.upsampled_convolution import _taps, add_convolved, pays
from LiverLesionAILib.networks.parts.upsampling import by_products, upsampled
from LiverLesionAILib.networks.sfan import SIZES, Gate, Sfan, SfanConfig
from LiverLesionAILib.networks.unet import Unet, UnetConfig
from torch._subclasses.fake_tensor import FakeTensorMode

TINY = SfanConfig(in_slices=1, classes=3, widths=(2, 3, 4), aligned_channels=2, head_channels=3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gate_by_hand(gate: Gate, features: np.ndarray) -> list[float]:
    """Equations 1 and 3 for one image: features (C, H, W)."""
    pooled = [sum(float(v) for v in channel.ravel()) / channel.size for channel in features]
    w1, b1 = gate.squeeze.weight.detach().numpy()[:, :, 0, 0], gate.squeeze.bias.detach().numpy()
    w2, b2 = gate.excite.weight.detach().numpy()[:, :, 0, 0], gate.excite.bias.detach().numpy()
    hidden = [max(0.0, b1[i] + sum(w1[i, c] * pooled[c] for c in range(len(pooled)))) for i in range(len(b1))]
    return [sigmoid(b2[o] + sum(w2[o, i] * hidden[i] for i in range(len(hidden)))) for o in range(len(b2))]


def bilinear_by_hand(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear upsampling with half-pixel centres, one pixel at a time."""
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            sy = min(max((y + 0.5) * image.shape[0] / size[0] - 0.5, 0), image.shape[0] - 1)
            sx = min(max((x + 0.5) * image.shape[1] / size[1] - 0.5, 0), image.shape[1] - 1)
            y0, x0 = int(sy), int(sx)
            y1, x1 = min(y0 + 1, image.shape[0] - 1), min(x0 + 1, image.shape[1] - 1)
            fy, fx = sy - y0, sx - x0
            out[y, x] = (1 - fy) * ((1 - fx) * image[y0, x0] + fx * image[y0, x1]) + fy * (
                (1 - fx) * image[y1, x0] + fx * image[y1, x1]
            )
    return out


def conv3x3_by_hand(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((weight.shape[0], *image.shape[1:]))
    for o in range(weight.shape[0]):
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                out[o, y, x] = bias[o] + float((padded[:, y : y + 3, x : x + 3] * weight[o]).sum())
    return out


@pytest.fixture
def tiny() -> Sfan:
    torch.manual_seed(3)
    return Sfan(TINY).double().eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def encoder_levels(network: Sfan, image: torch.Tensor) -> list[np.ndarray]:
    levels, x = [], image
    for depth, block in enumerate(network.encoder):
        x = block(x if depth == 0 else torch.nn.functional.max_pool2d(x, 2))
        levels.append(x[0].detach().numpy())
    return levels


class TestEquations:
    def test_sat_gate_is_equation_1(self, tiny: Sfan, image: torch.Tensor) -> None:
        levels = encoder_levels(tiny, image)
        gates = tiny(image, return_attention=True).attention.sat_gates
        assert len(gates) == len(levels) - 1, "the deepest level passes unweighted"
        for t, gate in enumerate(gates):
            assert gate[0].tolist() == pytest.approx(gate_by_hand(tiny.sat[t], levels[t + 1]), abs=1e-12)

    def test_gca_gate_is_equation_3(self, tiny: Sfan, image: torch.Tensor) -> None:
        levels = encoder_levels(tiny, image)
        gates = tiny(image, return_attention=True).attention.gca_gates
        assert gates.shape == (1, 3, 2)
        assert gates.flatten().tolist() == pytest.approx(gate_by_hand(tiny.gca, levels[-1]), abs=1e-12)

    def test_output_is_equation_2_gated_and_classified(self, tiny: Sfan, image: torch.Tensor) -> None:
        levels = encoder_levels(tiny, image)
        aligned = []
        for level, features in enumerate(levels):
            gate = gate_by_hand(tiny.sat[level], levels[level + 1]) if level < 2 else [1.0] * len(features)
            weighted = features * np.array(gate)[:, None, None]
            weight = tiny.align[level].weight.detach().numpy()[:, :, 0, 0]
            bias = tiny.align[level].bias.detach().numpy()
            for out_channel in range(weight.shape[0]):
                mixed = bias[out_channel] + sum(
                    weight[out_channel, c] * weighted[c] for c in range(len(features))
                )
                aligned.append(bilinear_by_hand(mixed, (8, 8)))
        context = gate_by_hand(tiny.gca, levels[-1])
        fused = np.array(aligned) * np.array(context)[:, None, None]
        head = tiny.head[0]
        hidden = np.maximum(
            0, conv3x3_by_hand(fused, head.weight.detach().numpy(), head.bias.detach().numpy())
        )
        weight = tiny.classify.weight.detach().numpy()[:, :, 0, 0]
        expected = (
            np.einsum("kc,cyx->kyx", weight, hidden) + tiny.classify.bias.detach().numpy()[:, None, None]
        )
        assert np.allclose(tiny(image).logits[0].detach().numpy(), expected, atol=1e-10)


class TestStructure:
    def test_attention_does_not_change_the_prediction(self, tiny: Sfan, image: torch.Tensor) -> None:
        assert tiny(image).attention is None
        assert torch.equal(tiny(image).logits, tiny(image, return_attention=True).logits)

    @pytest.mark.parametrize("switch", ["sat", "gca"])
    def test_switched_off_means_ungated(self, switch: str, image: torch.Tensor) -> None:
        torch.manual_seed(1)
        network = Sfan(replace(TINY, **{switch: False})).double().eval()
        assert not any(name.startswith(f"{switch}.") for name in network.state_dict())
        attention = network(image, return_attention=True).attention
        assert (attention.sat_gates == ()) if switch == "sat" else (attention.gca_gates is None)

    def test_gates_of_one_equal_no_gates(self, image: torch.Tensor) -> None:
        torch.manual_seed(1)
        gated = Sfan(TINY).double().eval()
        plain = Sfan(replace(TINY, sat=False, gca=False)).double().eval()
        plain.load_state_dict({k: v for k, v in gated.state_dict().items() if k in plain.state_dict()})
        with torch.no_grad():
            for gate in [*gated.sat, gated.gca]:
                gate.excite.weight.zero_()
                gate.excite.bias.fill_(50.0)
        assert torch.allclose(gated(image).logits, plain(image).logits, atol=1e-9)

    @pytest.mark.parametrize("size", ["paper", "compact"])
    def test_sizes(self, size: str) -> None:
        config = SIZES[size]
        network = Sfan(config).eval()
        assert len(config.widths) == 5
        assert config.classes == 3
        out = network(torch.zeros(1, config.in_slices, 32, 48))
        assert out.logits.shape == (1, 3, 32, 48)
        assert network.multiple == 16
        assert (parameter_count(network) < 2e6) == (size == "compact")

    def test_every_parameter_learns(self, image: torch.Tensor) -> None:
        torch.manual_seed(0)
        network = Sfan(replace(SIZES["compact"], in_slices=1)).train()
        x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        labels = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(1))
        torch.nn.functional.cross_entropy(network(x).logits, labels).backward()
        assert all(bool(p.grad.any()) for p in network.parameters())


class TestInference:
    """Without gradients gates are folded into the alignment and maps are enlarged as products."""

    @pytest.mark.parametrize("changed", [{}, {"sat": False}, {"gca": False}])
    def test_it_says_what_the_plain_network_says(self, changed: dict) -> None:
        torch.manual_seed(2)
        network = Sfan(replace(SIZES["compact"], **changed)).eval()
        x = torch.randn(3, 5, 32, 48)
        plain = network(x, return_attention=True)
        with torch.inference_mode():
            folded, bare = network(x, return_attention=True), network(x)
        assert torch.allclose(
            folded.logits, plain.logits, atol=1e-5 * float(plain.logits.detach().abs().max())
        )
        assert torch.equal(bare.logits, folded.logits)
        for mine, theirs in zip(folded.attention.sat_maps, plain.attention.sat_maps, strict=True):
            assert torch.equal(mine, theirs)

    def test_the_bundled_network_gives_the_plain_ones_probabilities(self) -> None:
        store = ModelStore.bundled()
        plain = load_network(store.manifest.find("sfan"), store.manifest.folder)
        x = torch.rand(2, 5, 64, 48, generator=torch.Generator().manual_seed(7)) * 2 - 1
        with torch.enable_grad():
            expected = plain(x).logits.softmax(dim=1).detach()
        with torch.inference_mode():
            found = store.network("sfan", "cpu", "float32")(x).logits.softmax(dim=1)
        assert float(expected[:, 1:].max() - expected[:, 1:].min()) > 0.1, "an answer, not a constant"
        assert float((found - expected).abs().max()) < 1e-5

    def test_counting_on_stand_ins_leaves_nothing_behind(self) -> None:
        _taps.cache_clear()
        with FakeTensorMode(), torch.no_grad():
            assert not pays(torch.zeros(1, 8, 32, 48))
            Sfan(SIZES["compact"]).eval()(torch.zeros(1, 5, 32, 48))
        assert _taps.cache_info().currsize == 0
        with torch.no_grad():
            assert pays(torch.zeros(1, 8, 32, 48))
            assert Sfan(SIZES["compact"]).eval()(torch.zeros(1, 5, 32, 48)).logits.isfinite().all()

    @pytest.mark.parametrize("factor", [2, 4, 8, 16])
    def test_convolved_before_enlarged_is_convolved_after_also_at_the_border(self, factor: int) -> None:
        draw = torch.Generator().manual_seed(factor)
        x = torch.randn(2, 3, 32 // factor, 48 // factor, dtype=torch.float64, generator=draw)
        weight = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=draw)
        large = torch.nn.functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
        expected = torch.nn.functional.conv2d(large, weight, padding=1).permute(0, 2, 3, 1)
        found = torch.ones(expected.shape, dtype=torch.float64)
        add_convolved(found, x.permute(0, 2, 3, 1), weight, factor)
        assert torch.allclose(found - 1, expected, atol=1e-12)

    def test_bfloat16_stays_near_float32(self) -> None:
        torch.manual_seed(2)
        network = fold_batch_norm(Sfan(SIZES["compact"]))
        x = torch.randn(1, 5, 32, 48)
        with torch.inference_mode():
            wide = network(x).logits
            narrow = network.bfloat16()(x.bfloat16()).logits.float()
        assert float((narrow - wide).abs().mean()) < 0.01 * float(wide.abs().max())

    @pytest.mark.parametrize("factor", [2, 4, 8, 16])
    def test_enlarging_by_products_is_bilinear(self, factor: int) -> None:
        x = torch.randn(2, 3 * 16 // factor, 2 * 16 // factor, 8)
        expected = torch.nn.functional.interpolate(
            x.permute(0, 3, 1, 2), scale_factor=factor, mode="bilinear", align_corners=False
        ).permute(0, 2, 3, 1)
        assert torch.allclose(by_products(x, factor), expected, atol=1e-6)
        narrow = x.bfloat16()
        rounded = upsampled(narrow, factor)
        assert rounded.dtype is torch.bfloat16
        assert torch.equal(rounded, by_products(narrow, factor))
        assert torch.allclose(rounded.float(), expected, atol=0.05)


class TestBlocks:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    def test_halving_is_max_pooling(self, dtype: torch.dtype) -> None:
        x = torch.randn(2, 3, 6, 10).to(dtype).contiguous(memory_format=torch.channels_last)
        expected = torch.nn.functional.max_pool2d(x, 2)
        with torch.inference_mode():
            assert torch.equal(halved(x), expected)
            assert torch.equal(halved(x.contiguous()), expected)
            assert halved(x).is_contiguous(memory_format=torch.channels_last)

    def test_folding_batch_norm_keeps_the_function(self) -> None:
        torch.manual_seed(0)
        network = Sfan(replace(SIZES["compact"], widths=(8, 16, 16)))
        network.train()
        for _ in range(3):
            network(torch.randn(4, 5, 16, 16) + 1)
        network.eval()
        x = torch.randn(1, 5, 16, 16)
        before = network(x).logits
        folded = fold_batch_norm(network)
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
        assert torch.allclose(folded(x).logits, before, atol=1e-4)

    def test_block_is_two_convolutions(self) -> None:
        convolutions = [m for m in ConvBlock(3, 7).modules() if isinstance(m, torch.nn.Conv2d)]
        assert [c.kernel_size for c in convolutions] == [(3, 3), (3, 3)]

    def test_global_average_is_summed_in_float32(self) -> None:
        x = torch.full((1, 1, 64, 64), 1.0, dtype=torch.bfloat16)
        assert global_average(x).item() == 1.0


def test_unet_shape_and_skip() -> None:
    network = Unet(UnetConfig(in_slices=3, widths=(4, 8, 8))).eval()
    assert network(torch.zeros(2, 3, 16, 24)).logits.shape == (2, 3, 16, 24)
    # The top level's features reach the output past every pooling: one pixel changes its own logits.
    x = torch.zeros(1, 3, 16, 16)
    y = x.clone()
    y[0, :, 7, 7] = 5.0
    difference = (network(y).logits - network(x).logits).abs().sum(dim=1)[0]
    assert difference[7, 7] > 0
