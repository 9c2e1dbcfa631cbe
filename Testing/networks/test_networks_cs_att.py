"""CS-Att against its equations written out with loops; position-sensitive pooling against brute force."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt, CsAttConfig, DetectSettings, peak_softmax
from LiverLesionAILib.networks.parts.blocks import parameter_count
from LiverLesionAILib.networks.parts.boxes import clip_boxes, decode_boxes
from LiverLesionAILib.networks.parts.ps_roi import ps_roi_align, ps_roi_pool

TINY = CsAttConfig(
    images=3,
    widths=(3, 4),
    convolutions=(1, 1),
    pooled=(False, True),
    proposal_width=4,
    anchor_sizes=(4.0, 8.0),
    anchor_ratios=(1.0,),
    roi_bins=2,
    roi_channels=2,
    head_width=6,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(count: int, size: float, seed: int) -> torch.Tensor:
    """Boxes of all sizes, some without area, some beyond the image."""
    draw = torch.rand(count, 4, dtype=torch.float64, generator=generator(seed))
    middle = draw[:, :2] * size * 1.2 - 0.1 * size
    half = draw[:, 2:] ** 3 * size / 2
    return torch.cat([middle - half, middle + half], dim=1)


def pooled_by_hand(maps: np.ndarray, box: np.ndarray, bins: int, stride: float) -> np.ndarray:
    """R-FCN's pooling, one cell at a time: maps (C, H, W)."""
    depth = maps.shape[0] // bins**2
    out = np.zeros((depth, bins, bins))
    low, high = box[:2] / stride, box[2:] / stride
    side = np.maximum(high - low, 0.1)
    for d in range(depth):
        for i in range(bins):
            for j in range(bins):
                values = []
                for y in range(maps.shape[1]):
                    for x in range(maps.shape[2]):
                        in_y = (
                            math.floor(low[0] + i / bins * side[0])
                            <= y
                            < math.ceil(low[0] + (i + 1) / bins * side[0])
                        )
                        in_x = (
                            math.floor(low[1] + j / bins * side[1])
                            <= x
                            < math.ceil(low[1] + (j + 1) / bins * side[1])
                        )
                        if in_y and in_x:
                            values.append(maps[(i * bins + j) * depth + d, y, x])
                out[d, i, j] = sum(values) / len(values) if values else 0.0
    return out


def read_by_hand(plane: np.ndarray, y: float, x: float) -> float:
    """Bilinear at cell coordinates (centres at whole numbers); the border goes on."""
    y, x = min(max(y, 0), plane.shape[0] - 1), min(max(x, 0), plane.shape[1] - 1)
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = min(y0 + 1, plane.shape[0] - 1), min(x0 + 1, plane.shape[1] - 1)
    fy, fx = y - y0, x - x0
    return (1 - fy) * ((1 - fx) * plane[y0, x0] + fx * plane[y0, x1]) + fy * (
        (1 - fx) * plane[y1, x0] + fx * plane[y1, x1]
    )


class TestPooling:
    @pytest.mark.parametrize("bins", [1, 2, 3])
    def test_pool_is_the_mean_over_touched_cells(self, bins: int) -> None:
        maps = torch.randn(2, 2 * bins**2, 7, 9, dtype=torch.float64, generator=generator())
        boxes, images = random_boxes(30, 30.0, bins), torch.arange(30) % 2
        got = ps_roi_pool(maps, boxes, images, bins, 4.0)
        assert got.shape == (30, 2, bins, bins)
        for number in range(30):
            expected = pooled_by_hand(maps[images[number]].numpy(), boxes[number].numpy(), bins, 4.0)
            assert np.allclose(got[number].numpy(), expected, atol=1e-10)

    @pytest.mark.parametrize("bins", [1, 3])
    def test_align_reads_between_cells(self, bins: int) -> None:
        maps = torch.randn(2, 2 * bins**2, 6, 5, dtype=torch.float64, generator=generator())
        boxes, images = random_boxes(20, 22.0, 7), torch.arange(20) % 2
        got = ps_roi_align(maps, boxes, images, bins, 4.0, points=2)
        for number in range(20):
            low = boxes[number, :2].numpy() / 4
            side = np.maximum(boxes[number, 2:].numpy() / 4 - low, 0.1)
            for d in range(2):
                for i in range(bins):
                    for j in range(bins):
                        plane = maps[images[number], (i * bins + j) * 2 + d].numpy()
                        values = [
                            read_by_hand(
                                plane,
                                low[0] + (i + (a + 0.5) / 2) / bins * side[0] - 0.5,
                                low[1] + (j + (b + 0.5) / 2) / bins * side[1] - 0.5,
                            )
                            for a in range(2)
                            for b in range(2)
                        ]
                        assert float(got[number, d, i, j]) == pytest.approx(np.mean(values), abs=1e-10)

    @pytest.mark.parametrize("pool", [ps_roi_pool, ps_roi_align])
    def test_gradients(self, pool: object) -> None:
        maps = torch.randn(1, 4, 4, 4, dtype=torch.float64, requires_grad=True, generator=generator())
        boxes = torch.tensor([[1.0, 2.0, 11.0, 9.0], [4.0, 4.0, 7.0, 15.0]], dtype=torch.float64)
        images = torch.zeros(2, dtype=torch.long)
        assert torch.autograd.gradcheck(lambda m: pool(m, boxes, images, 2, 4.0), maps)

    def test_no_box(self) -> None:
        maps = torch.zeros(1, 8, 4, 4)
        for pool in (ps_roi_pool, ps_roi_align):
            assert pool(maps, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), 2, 4.0).shape == (
                0,
                2,
                2,
                2,
            )


@pytest.fixture
def tiny() -> CsAtt:
    torch.manual_seed(3)
    network = CsAtt(TINY).double().eval()
    with torch.no_grad():
        for phi in (network.phi_contextual, network.phi_spatial):
            phi.weight.normal_()
            phi.bias.normal_()
    return network


def conv1x1_by_hand(layer: torch.nn.Conv2d, image: np.ndarray) -> np.ndarray:
    weight, bias = layer.weight.detach().numpy()[:, :, 0, 0], layer.bias.detach().numpy()
    out = np.zeros((len(bias), *image.shape[1:]))
    for d in range(len(bias)):
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                out[d, y, x] = bias[d] + sum(weight[d, c] * image[c, y, x] for c in range(image.shape[0]))
    return out


class TestEquations:
    def test_attention_is_equations_1_to_8(self, tiny: CsAtt) -> None:
        x = torch.randn(1, 3, 4, 3, 5, dtype=torch.float64, generator=generator(1))
        attended, attention = tiny.attend(x)
        images = x[0].numpy()
        scores = np.stack([conv1x1_by_hand(tiny.phi_contextual, image) for image in images])
        contextual = np.zeros_like(scores)
        for d, y, column in np.ndindex(scores.shape[1:]):
            powers = [math.exp(scores[i, d, y, column] / 2) for i in range(3)]
            shares = [p / sum(powers) for p in powers]
            assert sum(shares) == pytest.approx(1.0)
            contextual[:, d, y, column] = [share / max(shares) for share in shares]
        assert np.allclose(attention.contextual[0].detach().numpy(), contextual, atol=1e-12)
        weighted = contextual * images
        scores = np.stack([conv1x1_by_hand(tiny.phi_spatial, image) for image in weighted])
        spatial = np.zeros_like(scores)
        for i, d in np.ndindex(scores.shape[:2]):
            powers = np.exp(scores[i, d] / 3)
            shares = powers / powers.sum()
            spatial[i, d] = shares / shares.max()
        assert np.allclose(attention.spatial[0].detach().numpy(), spatial, atol=1e-12)
        assert np.allclose(attended[0].detach().numpy(), spatial * weighted, atol=1e-12)

    @pytest.mark.parametrize(("dim", "temperature"), [(1, 2.0), ((3, 4), 3.0), ((3, 4), 0.01)])
    def test_weights_peak_at_one(self, dim: int | tuple[int, ...], temperature: float) -> None:
        x = 30 * torch.randn(2, 3, 4, 6, 5, dtype=torch.float64, generator=generator(2))
        weights = peak_softmax((x / temperature).requires_grad_(), dim)
        with torch.no_grad():
            assert torch.equal(peak_softmax(x / temperature, dim), weights)
        weights = weights.detach()
        assert torch.equal(weights.amax(dim=dim), torch.ones_like(weights.amax(dim=dim)))
        assert bool((weights >= 0).all())
        # Dividing by the sum gives the softmax back, which sums to one.
        flat = x.flatten(3) if dim != 1 else x
        softmax = (flat / temperature).softmax(dim=3 if dim != 1 else 1).reshape(x.shape)
        assert torch.allclose(weights / weights.sum(dim=dim, keepdim=True), softmax, atol=1e-12)

    def test_switched_off_it_is_3dce(self, tiny: CsAtt) -> None:
        """3DCE: features of every image, a 1 x 1 convolution each, concatenated, pooled, one hidden layer."""
        plain = CsAtt(replace(TINY, contextual=False, spatial=False)).double().eval()
        plain.load_state_dict({k: v for k, v in tiny.state_dict().items() if k in plain.state_dict()})
        images = torch.randn(2, 9, 16, 20, dtype=torch.float64, generator=generator(4))
        how = DetectSettings(before=40, after=12, least_score=0.0, most=12)
        conv = torch.nn.functional
        features = []
        for i in range(3):
            x = images[:, 3 * i : 3 * i + 3]
            for layer in plain.backbone:
                x = layer(x)
            features.append(x)
        scores, deltas, anchors = plain.propose(features[1])
        boxes, owner = plain.regions(scores, deltas, anchors, (16, 20), how)
        weight, bias = plain.position_maps.weight, plain.position_maps.bias
        maps = [conv.conv2d(x, weight, bias).detach().numpy() for x in features]
        pooled = [
            np.concatenate([pooled_by_hand(m[owner[n]], boxes[n].detach().numpy(), 2, 2.0) for m in maps])
            for n in range(len(boxes))
        ]
        hidden = conv.relu(
            conv.linear(torch.tensor(np.array(pooled)).flatten(1), plain.hidden.weight, plain.hidden.bias)
        )
        probability = conv.linear(hidden, plain.score.weight, plain.score.bias).softmax(dim=1)[:, 1]
        moved = clip_boxes(
            decode_boxes(conv.linear(hidden, plain.box.weight, plain.box.bias), boxes), (16, 20)
        )
        found, attention = plain.detect(plain.window(images), (16, 20), how)
        assert attention == (None, None)
        for image in range(2):
            mine = (owner == image).nonzero()[:, 0]
            best = mine[probability[mine].argmax()]
            assert found[image].scores[0].item() == pytest.approx(probability[best].item(), abs=1e-9)
            assert torch.allclose(found[image].boxes[0], moved[best], atol=1e-9)

    def test_even_attention_is_no_attention(self, tiny: CsAtt) -> None:
        plain = CsAtt(replace(TINY, contextual=False, spatial=False)).double().eval()
        plain.load_state_dict({k: v for k, v in tiny.state_dict().items() if k in plain.state_dict()})
        with torch.no_grad():
            for phi in (tiny.phi_contextual, tiny.phi_spatial):
                phi.weight.zero_()
        images = torch.randn(1, 9, 16, 16, dtype=torch.float64, generator=generator(6))
        one, other = tiny(images).detections[0], plain(images).detections[0]
        assert torch.allclose(one.boxes, other.boxes)
        assert torch.allclose(one.scores, other.scores)

    @pytest.mark.parametrize("images", [1, 3, 5, 7])
    def test_key_image_decides_where_to_look(self, images: int) -> None:
        torch.manual_seed(0)
        network = CsAtt(replace(TINY, images=images)).eval()
        assert network.offsets[len(network.offsets) // 2] == 0
        assert network.offsets == tuple(3 * (i - images // 2) for i in range(images))
        slices = torch.randn(1, 3 * images, 16, 16, generator=generator(images))
        window = network.window(slices)
        assert window.shape[:2] == (1, images)
        for i in range(images):
            assert torch.allclose(window[:, i], network.features(slices[:, 3 * i : 3 * i + 3]), atol=1e-6)
        assert len(network(slices).detections) == 1


class TestStructure:
    def test_sizes(self) -> None:
        paper, compact = CsAtt(SIZES["paper"]), CsAtt(SIZES["compact"]).eval()
        convolutions = [m for m in paper.backbone if isinstance(m, torch.nn.Conv2d)]
        assert len(convolutions) == 13, "VGG-16"
        assert paper.multiple == 8
        assert paper.features(torch.zeros(1, 3, 32, 40)).shape == (1, 512, 4, 5)
        assert paper.position_maps.out_channels == 490
        assert paper.hidden.out_features == 2048
        assert parameter_count(compact) < 1.7e6 < parameter_count(paper)
        assert len(compact(torch.zeros(2, 9, 32, 48)).detections) == 2

    def test_no_middle_image_is_refused(self) -> None:
        with pytest.raises(TypeError, match="middle"):
            CsAttConfig(images=4)

    def test_folding_batch_norm_keeps_the_boxes(self) -> None:
        torch.manual_seed(0)
        network = CsAtt(replace(SIZES["compact"], widths=(8, 8, 8, 8)))
        network.train()
        for _ in range(3):
            network.window(torch.randn(2, 9, 32, 32) + 1)
        network.eval()
        x = torch.randn(1, 9, 32, 32)
        before = network.window(x)
        assert torch.allclose(fold_batch_norm(network).window(x), before, atol=1e-4)

    def test_attention_is_handed_back_only_when_asked(self, tiny: CsAtt) -> None:
        x = torch.randn(1, 9, 16, 16, dtype=torch.float64)
        assert tiny(x).attention is None
        assert tiny(x, return_attention=True).attention.contextual.shape == (1, 3, 4, 8, 8)


class TestLosses:
    def batch(self) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        images = torch.randn(2, 9, 32, 32, generator=generator(1))
        truths = [torch.tensor([[4.0, 6.0, 12.0, 15.0]]), torch.zeros(0, 4)]
        return images, truths, torch.zeros(2, 32, 32, dtype=torch.bool)

    def test_every_parameter_learns(self) -> None:
        torch.manual_seed(0)
        network = CsAtt(replace(SIZES["compact"], widths=(8, 8, 8, 8))).train()
        losses = network.losses(*self.batch(), generator())
        assert set(losses) == {"proposal score", "proposal box", "score", "box"}
        torch.stack(list(losses.values())).sum().backward()
        dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert dead == []

    def test_choice_depends_on_the_generator_alone(self) -> None:
        torch.manual_seed(0)
        network = CsAtt(TINY).eval()
        one, again, other = (network.losses(*self.batch(), generator(seed)) for seed in (5, 5, 6))
        assert all(torch.equal(one[name], again[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)

    def test_nothing_is_learnt_from_unknown_places(self) -> None:
        torch.manual_seed(0)
        network = CsAtt(TINY).eval()
        images, _, unknown = self.batch()
        nothing = [torch.zeros(0, 4), torch.zeros(0, 4)]
        known = network.losses(images, nothing, unknown, generator())
        assert known["score"].item() > 0
        assert known["proposal score"].item() > 0
        blind = network.losses(images, nothing, torch.ones_like(unknown), generator())
        assert all(value.item() == 0 for value in blind.values())

    def test_learns_bright_squares(self) -> None:
        torch.manual_seed(0)
        config = replace(
            TINY, images=1, widths=(8, 12), norm="batch", roi_bins=3, head_width=32, aligned=True
        )
        network = CsAtt(config).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=8e-3)
        draw = generator(9)

        def batch(size: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
            images = 0.3 * torch.randn(size, 3, 32, 32, generator=draw)
            truths = []
            for image in images:
                y, x, h, w = (int(v) for v in torch.randint(4, 10, (4,), generator=draw))
                y, x = 2 * y - 6, 2 * x - 6
                image[:, y : y + h, x : x + w] += 2.0
                truths.append(torch.tensor([[y, x, min(y + h, 32), min(x + w, 32)]], dtype=torch.float32))
            return images, truths

        for step in range(90):
            images, truths = batch(6)
            losses = network.losses(images, truths, torch.zeros(6, 32, 32, dtype=torch.bool), generator(step))
            optimiser.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimiser.step()
        network.eval()
        images, truths = batch(12)
        with torch.inference_mode():
            found = network(images).detections
        from LiverLesionAILib.networks.parts.boxes import box_iou

        overlap = [
            float(box_iou(t, d.boxes[:1])) if len(d.boxes) else 0.0
            for t, d in zip(truths, found, strict=True)
        ]
        assert np.mean(np.array(overlap) > 0.5) >= 0.8
