"""Grad-CAM and its kin against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks.dadrn import Dadrn, DadrnConfig
from LiverLesionAILib.networks.parts.drn import DrnConfig
from LiverLesionAILib.networks.parts.gradients import (
    grad_cam,
    localise,
)
from LiverLesionAILib.stages.classify.liver_slices import Placement

CONFIG = DadrnConfig(
    backbone=DrnConfig(
        in_slices=1, stem=3, stem_kernel=3, unit="basic", widths=(3, 4, 4, 5), depths=(1, 1, 1, 1)
    )
)


@pytest.fixture
def network() -> Dadrn:
    torch.manual_seed(0)
    made = Dadrn(CONFIG).double().eval()
    for block in (made.spatial, made.channel):
        torch.nn.init.constant_(block.beta, 0.05)
    return made


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 1, 24, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_grad_cam_by_finite_differences(network: Dadrn, images: torch.Tensor) -> None:
    classes = torch.tensor([3, 1])
    with torch.inference_mode():
        features = network(images).features
        found = grad_cam(network, features, classes)
        step = 1e-5
        for image in range(2):
            weights = []
            for k in range(features.shape[1]):
                slopes = []
                for i in range(features.shape[2]):
                    for j in range(features.shape[3]):
                        moved = features.clone()
                        moved[image, k, i, j] += step
                        up = network.head(moved)[image, classes[image]]
                        moved[image, k, i, j] -= 2 * step
                        slopes.append(float(up - network.head(moved)[image, classes[image]]) / (2 * step))
                weights.append(sum(slopes) / len(slopes))
            expected = np.maximum(0, np.einsum("k,kij->ij", weights, features[image].numpy()))
            assert np.allclose(found[image].numpy(), expected, atol=1e-6)
    assert (found >= 0).all() and found.any()


def on_input(maps: torch.Tensor, size_yx: tuple[int, int], stride: int) -> torch.Tensor:
    """Maps of a network at the size of its input, bilinear; beyond the last cell its value.

    Cell i of a map made by odd kernels with `stride` looks at input pixel stride * i. `interpolate` takes it
    for the middle of stride pixels and puts everything half a stride too far down and right.

    Args:
        maps: (B, h, w); size_yx: of the input, pixels.

    Returns:
        (B, H, W).
    """
    axes = [
        torch.arange(size, device=maps.device, dtype=maps.dtype) * (2 / (stride * max(1, cells - 1))) - 1
        for size, cells in zip(size_yx, maps.shape[-2:], strict=True)
    ]
    y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(maps), -1, -1, -1)
    return torch.nn.functional.grid_sample(
        maps[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True
    )[:, 0]


def test_maps_lie_on_the_input_as_on_the_slice() -> None:
    """The same place as the pipeline's way from a map to the CT gives."""
    coarse = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3))
    where = Placement((31.5, 31.5), 1.0, edge=64)
    grid = where.inverse_grid((64, 64), 8)[None]
    there = torch.nn.functional.grid_sample(coarse[None], grid, padding_mode="border", align_corners=False)
    assert torch.allclose(on_input(coarse, (64, 64), 8), there[0], atol=1e-5)


class TestLocalise:
    def test_takes_the_part_with_the_peak(self) -> None:
        values = np.zeros((8, 10))
        values[1:3, 2:5], values[1, 3] = 0.7, 1.0
        values[6, 7:9] = 0.9
        found = localise(values, 0.5)
        assert found.peak_yx == (1, 3)
        assert found.box_yx == ((1, 2), (3, 5))
        assert found.mask_yx.sum() == 6

    def test_nothing_in_an_empty_map(self) -> None:
        assert localise(np.zeros((4, 4))) is None

    @pytest.mark.parametrize("threshold", [0.0, 1.5])
    def test_threshold_is_a_share(self, threshold: float) -> None:
        with pytest.raises(ValueError, match="share"):
            localise(np.ones((2, 2)), threshold)


class TestGuided:
    """Guided backpropagation against its definition, and its product with Grad-CAM."""

    class Small(torch.nn.Module):
        """relu(a x) -> relu(b h), summed: one ReLU's slopes of either sign."""

        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(1, 2, 1, bias=False)
            self.relu = torch.nn.ReLU()
            self.mix = torch.nn.Conv2d(2, 2, 1, bias=False)
            with torch.no_grad():
                self.first.weight.copy_(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1))
                self.mix.weight.copy_(torch.tensor([[3.0, -1.0], [-5.0, 1.0]]).reshape(2, 2, 1, 1))

        def head(self, features: torch.Tensor) -> torch.Tensor:
            return features.mean(dim=(2, 3))

        def forward(self, x: torch.Tensor) -> object:
            from types import SimpleNamespace

            features = self.mix(self.relu(self.first(x)))
            return SimpleNamespace(features=features, logits=self.head(features))

    def test_only_positive_slopes_pass(self) -> None:
        from LiverLesionAILib.networks.parts.gradients import guided_backpropagation

        network = self.Small()
        images = torch.tensor([[[[1.0, -1.0]]]])
        for wanted, (asked, least) in {0: (3.0, 1.0), 1: (2.0, -3.0)}.items():
            guided = guided_backpropagation(network, images, torch.tensor([wanted]))
            # Class 0: 3 * 1 passes, -1 * 2 does not; class 1: -5 * 1 does not, 1 * 2 passes. Half: the mean.
            torch.testing.assert_close(guided, torch.tensor([[[[asked / 2, 0.0]]]]))
            plain = images.clone().requires_grad_()
            (slope,) = torch.autograd.grad(network(plain).logits[0, wanted], plain)
            torch.testing.assert_close(slope, torch.tensor([[[[least / 2, 0.0]]]]))

    def test_product_with_grad_cam(self) -> None:
        from LiverLesionAILib.networks.parts.gradients import (
            grad_cam,
            guided_backpropagation,
            guided_grad_cam,
        )

        network, classes = self.Small(), torch.tensor([0])
        images = torch.rand(1, 1, 4, 4)
        cam = grad_cam(network, network(images).features, classes)
        wanted = cam[:, None] * guided_backpropagation(network, images, classes)
        torch.testing.assert_close(guided_grad_cam(network, images, classes), wanted)
