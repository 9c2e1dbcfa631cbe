"""The network that names tubes: its shapes, and how a view is brought to it and back."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.anatomy.tree_view import CHANNELS, TreeView

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.networks.tree_unet import SIZES, TreeUnet, TreeUnetConfig

TOY = TreeUnetConfig(channels=CHANNELS, widths=(4, 6))


def toy() -> TreeUnet:
    torch.manual_seed(0)
    return TreeUnet(TOY)


def test_it_answers_for_every_voxel_whatever_the_depth() -> None:
    network = toy().eval()
    assert network.multiple == 4 and SIZES["compact"].channels == CHANNELS
    views = torch.randn(2, CHANNELS * 8, 12, 16)
    with torch.inference_mode():
        plain = network(views).logits
        assert plain.shape == (2, 8, 12, 16)
        torch.testing.assert_close(network(views[1:]).logits, plain[1:], rtol=1e-4, atol=1e-5)
        folded = fold_batch_norm(network)(views).logits
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=1e-5)


def test_each_of_a_voxels_eight_is_where_it_belongs() -> None:
    network = toy().eval()
    with torch.no_grad():
        network.classify.weight.zero_()
        network.classify.bias.copy_(torch.arange(8.0))
        logits = network(torch.randn(1, CHANNELS * 4, 8, 12)).logits[0]
    z, y, x = torch.meshgrid(torch.arange(4), torch.arange(8), torch.arange(12), indexing="ij")
    assert torch.equal(logits, (4 * (z % 2) + 2 * (y % 2) + x % 2).float())


def test_what_lies_where_reaches_the_answer_there() -> None:
    network = toy().eval()
    views = torch.zeros(1, CHANNELS * 16, 32, 32)
    marked = views.clone()
    marked[0, 4, 20, 8] = 50.0
    with torch.inference_mode():
        change = (network(marked).logits - network(views).logits)[0].abs()
    z, y, x = (int(k) for k in torch.unravel_index(change.argmax(), change.shape))
    assert abs(z - 4) <= 3 and abs(y - 20) <= 5 and abs(x - 8) <= 5


def test_a_view_of_any_size_is_answered_on_its_own_grid() -> None:
    from LiverLesionAILib.stages.anatomy.families import TreeNetwork

    class Density(torch.nn.Module):
        multiple = 4

        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, views):
            assert views.shape[2] % 4 == views.shape[3] % 4 == 0
            depth = views.shape[1] // CHANNELS
            assert depth % 4 == 0
            return type("Answer", (), {"logits": views[:, :depth] * self.scale})

    spec = InputSpec((2.0, 2.0, 2.0), (0.0, 200.0), 1)
    namer = TreeNetwork(ModelEntry("t", "trees", "tree_unet", {}, spec, "", ""), Density())
    volumes = np.random.default_rng(0).normal(size=(CHANNELS, 5, 6, 7)).astype(np.float32)
    box = (slice(0, 5), slice(0, 6), slice(0, 7))
    np.testing.assert_array_equal(namer.hepatic_log_odds(TreeView(volumes, box)), volumes[0])
