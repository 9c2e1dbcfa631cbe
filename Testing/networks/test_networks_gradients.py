"""Grad-CAM and its kin against finite differences."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks.dadrn import Dadrn, DadrnConfig
from LiverLesionAILib.networks.parts.drn import DrnConfig
from LiverLesionAILib.networks.parts.gradients import (
    grad_cam,
    guided_backpropagation,
    guided_grad_cam,
    guided_rectifiers,
    localise,
    on_input,
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


def test_guided_backpropagation_is_the_gradient_but_for_the_rectifiers(
    network: Dadrn, images: torch.Tensor
) -> None:
    classes = torch.tensor([2, 0])
    # Without rectifiers nothing is cut, and what is left is the plain gradient.
    plain = Dadrn(CONFIG).double().eval()
    for part in plain.modules():
        for name, child in part.named_children():
            if isinstance(child, torch.nn.ReLU):
                setattr(part, name, torch.nn.Softplus())
    found = guided_backpropagation(plain, images, classes)
    for place in ((0, 0, 3, 4), (0, 0, 12, 20), (1, 0, 20, 30)):
        moved = images.clone()
        moved[place] += 1e-5
        with torch.no_grad():
            up = plain(moved).logits[place[0], classes[place[0]]]
            moved[place] -= 2e-5
            slope = float(up - plain(moved).logits[place[0], classes[place[0]]]) / 2e-5
        assert float(found[place]) == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_a_guided_rectifier_passes_positive_gradients_of_positive_inputs_only() -> None:
    part = torch.nn.Sequential(torch.nn.ReLU())
    x = torch.tensor([[1.0, 2.0, -1.0, -2.0]], requires_grad=True)
    with guided_rectifiers(part):
        (part(x) * torch.tensor([[3.0, -3.0, 3.0, -3.0]])).sum().backward()
    assert x.grad.tolist() == [[3.0, 0.0, 0.0, 0.0]]
    x.grad = None
    (part(x) * torch.tensor([[3.0, -3.0, 3.0, -3.0]])).sum().backward()
    assert x.grad.tolist() == [[3.0, -3.0, 0.0, 0.0]], "hooks are gone again"


def test_guided_grad_cam_is_the_product(network: Dadrn, images: torch.Tensor) -> None:
    classes = torch.tensor([4, 4])
    with torch.inference_mode():
        found = guided_grad_cam(network, images, classes)
        coarse = grad_cam(network, network(images).features, classes)
    fine = on_input(coarse, (24, 32), network.multiple)[:, None]
    assert fine[:, 0, ::8, ::8].equal(coarse), "cell i looks at pixel 8 i"
    assert torch.allclose(found, guided_backpropagation(network, images, classes) * fine, atol=1e-6)
    assert all(p.grad is None for p in network.parameters()), "the network's own gradients stay untouched"


class Stepwise(torch.nn.Module):
    """Three halvings by odd kernels that only smooth: where it looks is known without running it."""

    multiple = 8

    def __init__(self) -> None:
        super().__init__()
        steps = [torch.nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False) for _ in range(3)]
        taps = torch.tensor([0.25, 0.5, 0.25])
        for step in steps:
            torch.nn.init.zeros_(step.weight)
            step.weight.data += taps[:, None] * taps
        self.body = torch.nn.Sequential(*steps)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        features = self.body(x)
        return SimpleNamespace(features=features, logits=self.head(features))


def test_guided_grad_cam_lies_on_what_was_seen() -> None:
    """Around a spot in the middle of a cell's field the answer is the same on all sides."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    spot = torch.exp(-((y - 24) ** 2 + (x - 40) ** 2) / (2 * 9**2))[None, None]
    network, classes = Stepwise(), torch.tensor([0])
    coarse = grad_cam(network, network(spot).features, classes)
    fine = on_input(coarse, (64, 80), 8)[0]
    assert divmod(int(fine.argmax()), 80) == (24, 40)
    found = guided_grad_cam(network, spot, classes)[0, 0]
    for image in (fine, found):
        around = image[24 - 14 : 24 + 15, 40 - 14 : 40 + 15]
        assert around.max() > 0
        assert torch.allclose(around, around.flip(0), atol=1e-3 * float(around.max()))
        assert torch.allclose(around, around.flip(1), atol=1e-3 * float(around.max()))


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
