"""Volumetric attention against its equations written out with loops in float64; VA Mask and Faster R-CNN."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.networks import va_faster_rcnn, va_mask_rcnn
from LiverLesionAILib.networks.parts.blocks import parameter_count
from LiverLesionAILib.networks.parts.boxes import box_iou
from LiverLesionAILib.networks.va_rcnn import VaRcnn, truths_of
from LiverLesionAILib.networks.va_rcnn_config import VaRcnnConfig
from LiverLesionAILib.networks.volumetric_attention import VolumetricAttention, bag_indices, slice_attention

TINY = VaRcnnConfig(
    bag=3,
    block="basic",
    depths=(1, 1),
    widths=(8, 12),
    pooled_stem=False,
    pyramid_channels=8,
    anchor_sizes=(8, 16, 32),
    mean_affinity=True,
    mask_width=6,
    mask_depth=1,
    head_width=16,
    proposals_before=20,
    proposals=12,
    rpn_samples=32,
    head_samples=16,
    dense=True,
    score_threshold=0.3,
    detections=5,
)


def leaky(x: float) -> float:
    return x if x > 0 else 0.1 * x


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    powers = [math.exp(v - top) for v in values]
    return [p / sum(powers) for p in powers]


def channel_by_hand(branch: torch.nn.Module, features: np.ndarray, bag: list[int]) -> tuple[list, list]:
    """(S, gate) of the channel branch for one bag of features (M, C, H, W)."""
    w, b = (p.detach().numpy() for p in (branch.embedding.weight, branch.embedding.bias))
    w2, b2 = (p.detach().numpy() for p in (branch.excite.weight, branch.excite.bias))
    embedded = []
    for image in features:
        pooled = [max(c.ravel().tolist()) for c in image] + [sum(c.ravel().tolist()) / c.size for c in image]
        embedded.append([b[d] + sum(w[d, k] * v for k, v in enumerate(pooled)) for d in range(len(b))])
    target = embedded[bag[len(bag) // 2]]
    products = [sum(t * v for t, v in zip(target, embedded[n], strict=True)) for n in bag]
    if branch.mean_affinity:
        products = [p / len(target) for p in products]
    weights = softmax(products)
    mixed = [sum(s * embedded[n][d] for s, n in zip(weights, bag, strict=True)) for d in range(len(b))]
    gate = [
        1 / (1 + math.exp(-(b2[c] + sum(w2[c, d] * leaky(v) for d, v in enumerate(mixed)))))
        for c in range(len(b2))
    ]
    return weights, gate


def convolved(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """7 x 7 convolution with padding 3, one pixel at a time."""
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3)))
    out = np.zeros((len(weight), *image.shape[1:]))
    for o in range(len(weight)):
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                out[o, y, x] = bias[o] + float((padded[:, y : y + 7, x : x + 7] * weight[o]).sum())
    return out


def spatial_by_hand(
    branch: torch.nn.Module, target: np.ndarray, features: np.ndarray, bag: list[int]
) -> tuple[list, np.ndarray]:
    """(S, gate (H, W)) of the spatial branch; `target` is the channel branch's result."""
    w, b = (p.detach().numpy() for p in (branch.embedding.weight, branch.embedding.bias))
    w2, b2 = (p.detach().numpy() for p in (branch.excite.weight, branch.excite.bias))

    def embed(image: np.ndarray) -> np.ndarray:
        return convolved(np.stack([image.max(axis=0), image.mean(axis=0)]), w, b)

    own, embedded = embed(target), [embed(features[n]) for n in bag]
    products = [float((own * e).sum()) / (own.size if branch.mean_affinity else 1) for e in embedded]
    weights = softmax(products)
    mixed = sum(s * e for s, e in zip(weights, embedded, strict=True))
    return weights, 1 / (1 + np.exp(-convolved(np.where(mixed > 0, mixed, 0.1 * mixed), w2, b2)[0]))


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(5, 6, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


class TestEquations:
    @pytest.mark.parametrize("mean", [False, True])
    def test_both_branches_by_hand(self, features: torch.Tensor, mean: bool) -> None:
        torch.manual_seed(0)
        part = VolumetricAttention(6, reduction=2, mean_affinity=mean, maps=3).double()
        bags = torch.tensor([[0, 1, 2], [2, 3, 4], [4, 4, 4]])
        found, seen = part(features, bags)
        values = features.numpy()
        for t, bag in enumerate(bags.tolist()):
            weights, gate = channel_by_hand(part.channel, values, bag)
            assert seen.channel_slices[t].tolist() == pytest.approx(weights, abs=1e-12)
            assert seen.channel_gate[t].tolist() == pytest.approx(gate, abs=1e-12)
            gated = values[bag[1]] * np.array(gate)[:, None, None]
            weights, spatial = spatial_by_hand(part.spatial, gated, values, bag)
            assert seen.spatial_slices[t].tolist() == pytest.approx(weights, abs=1e-12)
            assert np.allclose(seen.spatial_gate[t].detach().numpy(), spatial, atol=1e-12)
            assert np.allclose(found[t].detach().numpy(), gated * spatial, atol=1e-12)

    def test_slice_weights_add_up_and_prefer_what_is_alike(self) -> None:
        target = torch.tensor([[1.0, 0.0]])
        weights = slice_attention(target, torch.tensor([[[2.0, 0.0], [0.0, 5.0], [1.0, 1.0]]]), mean=False)
        assert weights[0].tolist() == pytest.approx(softmax([2.0, 0.0, 1.0]))
        assert float(weights.sum()) == pytest.approx(1.0)

    @pytest.mark.parametrize("off", ["channel", "spatial"])
    def test_each_branch_can_be_left_out(self, features: torch.Tensor, off: str) -> None:
        torch.manual_seed(0)
        part = VolumetricAttention(6, **{off: False}).double()
        found, seen = part(features, torch.tensor([[0, 1, 2]]))
        assert getattr(seen, f"{off}_slices") is None and getattr(seen, f"{off}_gate") is None
        other = "spatial" if off == "channel" else "channel"
        gate = getattr(seen, f"{other}_gate")
        gate = gate[0, :, None, None] if other == "channel" else gate[0]
        assert torch.allclose(found[0], features[1] * gate)

    def test_bags_repeat_the_ends(self) -> None:
        bags = bag_indices(torch.tensor([0, 5, 9]), 10, 5, 3)
        assert bags.tolist() == [[0, 0, 0, 3, 6], [0, 2, 5, 8, 9], [3, 6, 9, 9, 9]]


def make(config: VaRcnnConfig = TINY) -> VaRcnn:
    torch.manual_seed(0)
    return VaRcnn(config)


def images(count: int, size: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(7))


def labels(count: int, size: int = 32) -> torch.Tensor:
    made = torch.zeros(count, 2, size, size, dtype=torch.int64)
    made[:, 0, 4:28, 6:30] = 1
    made[:, :, 10:20, 12:20] = torch.tensor([2, 1])[:, None, None]
    return made


SWITCHES = [
    {},
    {"channel": False},
    {"spatial": False},
    {"channel": False, "spatial": False},
    {"attend_before": "head"},
    {"attend_before": "head", "mask": False},
    {"bag": 1},
    {"bag": 7, "bag_step": 1},
    {"deformable": (1,)},
    {"classes": 2, "mask": False},
    {"dense": False},
    {"block": "bottleneck", "pooled_stem": True, "mean_affinity": False},
]


class TestNetwork:
    @pytest.mark.parametrize("changes", SWITCHES, ids=lambda c: " ".join(f"{k}={v}" for k, v in c.items()))
    def test_every_parameter_learns_whatever_is_switched(self, changes: dict) -> None:
        network = make(replace(TINY, **changes)).train()
        slabs, targets = 2, 2
        per_slab = targets + network.config.bag - 1
        size = 64
        got: set[str] = set()
        for step in range(3):
            network.zero_grad()
            network.training_loss(
                images(slabs * per_slab, size), labels(slabs * targets, size), step
            ).backward()
            got |= {n for n, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
        assert got == {n for n, _ in network.named_parameters()}

    def test_without_attention_it_is_plain_mask_rcnn(self) -> None:
        plain = make(replace(TINY, channel=False, spatial=False))
        assert not [n for n in plain.state_dict() if n.startswith("attention")]
        plain.eval()
        x = images(4)
        alone = plain(x, torch.tensor([[2, 2, 2]])).detections
        with_bag = plain(x, torch.tensor([[0, 2, 3]])).detections
        assert all(torch.equal(a, b) for a, b in zip(alone, with_bag, strict=True))

    def test_open_gates_are_plain_mask_rcnn(self) -> None:
        network = make().eval()
        plain = make(replace(TINY, channel=False, spatial=False)).eval()
        plain.load_state_dict({k: v for k, v in network.state_dict().items() if k in plain.state_dict()})
        with torch.no_grad():
            for part in network.attention:
                for branch in (part.channel, part.spatial):
                    branch.excite.weight.zero_()
                    branch.excite.bias.fill_(60.0)
        found, expected = network(images(5)).detections, plain(images(5)).detections
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))

    @pytest.mark.parametrize("place", ["rpn", "head"])
    def test_the_bag_matters(self, place: str) -> None:
        network = make(replace(TINY, attend_before=place)).eval()
        x = images(4)
        one = network(x, torch.tensor([[0, 2, 3]])).detections
        other = network(x, torch.tensor([[1, 2, 2]])).detections
        assert not (len(one.scores) == len(other.scores) and torch.equal(one.scores, other.scores))

    def test_attention_is_handed_back_only_when_asked_for(self) -> None:
        network = make().eval()
        assert network(images(4)).attention is None
        seen = network(images(4), return_attention=True).attention
        assert len(seen) == 2
        assert seen[0].spatial_gate.shape == (4, 16, 16)
        assert torch.allclose(seen[1].channel_slices.sum(dim=1), torch.ones(4))

    def test_folding_batch_norm_keeps_the_detections(self) -> None:
        network = make().train()
        for step in range(3):
            network.training_loss(images(4) + 1, labels(2), step)
        network.eval()
        before = network(images(4)).detections
        after = fold_batch_norm(network)(images(4)).detections
        assert len(before.scores) and len(before.scores) == len(after.scores)
        assert torch.allclose(before.scores, after.scores, atol=1e-4)
        assert torch.allclose(before.boxes, after.boxes, atol=1e-3)

    def test_truths_of_labels(self) -> None:
        both = truths_of(labels(1), 3)[0]
        assert both.boxes.tolist() == [[4, 6, 28, 30], [10, 12, 20, 20]]
        assert both.classes.tolist() == [1, 2]
        assert both.masks[0, 12, 14], "the liver holds its lesions"
        lesions = truths_of(labels(1), 2)[0]
        assert lesions.classes.tolist() == [1] and len(lesions.masks) == 1
        nothing = truths_of(torch.zeros(1, 2, 8, 8, dtype=torch.int64), 3)[0]
        assert nothing.boxes.shape == (0, 4) and nothing.masks.shape == (0, 8, 8)

    def test_learns_a_square(self) -> None:
        network = make(replace(TINY, classes=2)).train()
        optimiser = torch.optim.Adam(network.parameters(), 4e-3)
        generator = torch.Generator().manual_seed(0)
        losses = []
        for step in range(70):
            x = torch.randn(8, 3, 32, 32, generator=generator) * 0.3
            y = torch.zeros(4, 2, 32, 32, dtype=torch.int64)
            corners = torch.randint(2, 18, (2, 2), generator=generator).tolist()
            for slab, (top, left) in enumerate(corners):
                x[4 * slab : 4 * slab + 4, :, top : top + 11, left : left + 10] += 2
                y[2 * slab : 2 * slab + 2, :, top : top + 11, left : left + 10] = torch.tensor([2, 1])[
                    :, None, None
                ]
            loss = network.training_loss(x, y, step)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:3])
        network.eval()
        with torch.no_grad():
            found = network(x, torch.tensor([[0, 1, 2], [4, 5, 6]])).detections
        lesion = found.images == 1
        best = found.boxes[lesion][found.scores[lesion].argmax()]
        top, left = corners[1]
        real = torch.tensor([[top, left, top + 11.0, left + 10.0]])
        assert float(box_iou(best[None], real)) > 0.5


class TestSizes:
    @pytest.mark.parametrize("module", [va_mask_rcnn, va_faster_rcnn])
    def test_paper_and_compact(self, module: object) -> None:
        paper, compact = module.SIZES["paper"], module.SIZES["compact"]
        assert paper.bag == (9 if paper.mask else 3) and paper.reduction == 16
        with torch.device("meta"):
            large = module.build(paper)
        assert large.strides == (4, 8, 16, 32)
        # ResNet-50 without its classifier, pyramid, RPN and heads: 44 and 41 million in the literature.
        assert 39e6 < parameter_count(large) < 46e6
        small = module.build(compact).eval()
        assert parameter_count(small) < 2e6
        with torch.inference_mode():
            assert small(torch.zeros(2, 3, 64, 80)).detections.boxes.shape[1] == 4

    def test_weights_of_another_bag_size_fit(self) -> None:
        make(replace(TINY, bag=9)).load_state_dict(make(TINY).state_dict())
