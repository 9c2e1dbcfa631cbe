"""Parts of Mask R-CNN against loops: RoIAlign, mask paste, pyramid, deformable convolution, RPN, losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch.nn.functional as F
from LiverLesionAILib.networks.parts import boxes as bx
from LiverLesionAILib.networks.parts.deformable import DeformableConv2d
from LiverLesionAILib.networks.parts.fpn import Fpn, with_coarsest
from LiverLesionAILib.networks.parts.rcnn import (
    Sampled,
    box_losses,
    mask_loss,
    pick_detections,
    sample_proposals,
)
from LiverLesionAILib.networks.parts.rcnn_pooling import paste_masks, pyramid_level, roi_align
from LiverLesionAILib.networks.parts.residual import ResidualEncoder
from LiverLesionAILib.networks.parts.rpn import Proposals, Rpn, Truth, propose, rpn_loss, unknown_share

SEEDS = st.integers(0, 2**31 - 1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bilinear(image: np.ndarray, y: float, x: float) -> float:
    """Between cell values; unchanged beyond the outermost, 0 more than a cell outside."""
    height, width = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
    bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
    return float(top * (1 - (y - y0)) + bottom * (y - y0))


def roi_align_by_hand(
    feature: np.ndarray, stride: float, box: list[float], size: int, samples: int
) -> np.ndarray:
    y0, x0, y1, x1 = (edge / stride for edge in box)
    out = np.zeros((feature.shape[0], size, size))
    for c in range(feature.shape[0]):
        for i in range(size):
            for j in range(size):
                total = 0.0
                for u in range(samples):
                    for v in range(samples):
                        y = y0 + (i + (u + 0.5) / samples) * (y1 - y0) / size - 0.5
                        x = x0 + (j + (v + 0.5) / samples) * (x1 - x0) / size - 0.5
                        total += bilinear(feature[c], y, x)
                out[c, i, j] = total / samples**2
    return out


class TestPooling:
    @given(SEEDS, st.integers(1, 3))
    @settings(max_examples=12, deadline=None)
    def test_roi_align_by_hand(self, seed: int, samples: int) -> None:
        generator = seeded(seed)
        levels = [torch.randn(2, 3, n, n + 2, generator=generator, dtype=torch.float64) for n in (9, 5)]
        strides = (2, 4)
        corner = torch.rand(5, 2, generator=generator, dtype=torch.float64) * 22 - 4
        boxes = torch.cat([corner, corner + torch.rand(5, 2, generator=generator).double() * 14 + 0.1], dim=1)
        images = torch.randint(0, 2, (5,), generator=generator)
        level_of = torch.randint(0, 2, (5,), generator=generator)
        found = roi_align(levels, strides, boxes, images, level_of, 3, samples)
        assert found.shape == (5, 3, 3, 3)
        for r in range(5):
            feature = levels[level_of[r]][images[r]].numpy()
            expected = roi_align_by_hand(feature, strides[level_of[r]], boxes[r].tolist(), 3, samples)
            assert np.allclose(found[r].numpy(), expected, atol=1e-12)

    def test_gradient_reaches_the_features(self) -> None:
        level = torch.randn(1, 2, 6, 6, dtype=torch.float64, generator=seeded(0), requires_grad=True)
        boxes, zero = (
            torch.tensor([[1.0, 2.0, 9.0, 11.0]], dtype=torch.float64),
            torch.zeros(1, dtype=torch.int64),
        )
        assert torch.autograd.gradcheck(lambda x: roi_align([x], (2,), boxes, zero, zero, 2), (level,))

    def test_no_boxes(self) -> None:
        level = torch.randn(1, 2, 6, 6, requires_grad=True)
        none = torch.zeros(0, dtype=torch.int64)
        found = roi_align([level], (2,), torch.zeros(0, 4), none, none, 7)
        assert found.shape == (0, 2, 7, 7)
        found.sum().backward()
        assert not level.grad.any()

    def test_levels_are_those_of_the_fpn_paper(self) -> None:
        sizes = [10.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 2000.0]
        boxes = torch.tensor([[0.0, 0.0, s, s] for s in sizes])
        # k = floor(4 + log2(size / 224)) within 2..5; strides 4, 8, 16, 32 are its levels 2 to 5.
        expected = [min(max(math.floor(4 + math.log2(s / 224)), 2), 5) - 2 for s in sizes]
        assert pyramid_level(boxes, (4, 8, 16, 32)).tolist() == expected

    @given(SEEDS)
    @settings(max_examples=12, deadline=None)
    def test_paste_by_hand(self, seed: int) -> None:
        generator = seeded(seed)
        mask = torch.rand(1, 4, 4, generator=generator, dtype=torch.float64)
        y0, x0 = (torch.rand(2, generator=generator) * 6).tolist()
        height, width = (torch.rand(2, generator=generator) * 8 + 1).tolist()
        box = torch.tensor([[y0, x0, y0 + height, x0 + width]], dtype=torch.float64)
        pasted = paste_masks(mask, box, (12, 11))[0]
        padded = np.pad(mask[0].numpy(), 1)
        for i in range(12):
            for j in range(11):
                y, x = (i + 0.5 - y0) / height * 4 - 0.5, (j + 0.5 - x0) / width * 4 - 0.5
                inside = -1 < y < 4 and -1 < x < 4
                expected = bilinear(padded, y + 1, x + 1) if inside else 0.0
                assert pasted[i, j].item() == pytest.approx(expected, abs=1e-9)

    def test_a_mask_cut_out_and_pasted_back_is_the_mask(self) -> None:
        y, x = torch.meshgrid(torch.arange(60.0), torch.arange(70.0), indexing="ij")
        disc = (((y - 30) / 14) ** 2 + ((x - 33) / 20) ** 2 < 1)[None]
        boxes = bx.mask_boxes(disc)
        zero = torch.zeros(1, dtype=torch.int64)
        small = roi_align([disc[:, None].float()], (1,), boxes, zero, zero, 28)[:, 0]
        back = paste_masks(small, boxes, (60, 70)) >= 0.5
        assert 2 * (back & disc).sum() / (back.sum() + disc.sum()) > 0.98


class TestFeatures:
    def test_pyramid_by_hand(self) -> None:
        torch.manual_seed(0)
        fpn = Fpn((3, 5), 4).double()
        fine, coarse = torch.randn(1, 3, 4, 4).double(), torch.randn(1, 5, 2, 2).double()
        top = fpn.lateral[1](coarse)
        merged = fpn.lateral[0](fine).clone()
        for y in range(4):
            for x in range(4):
                merged[:, :, y, x] += top[:, :, y // 2, x // 2]
        levels = fpn([fine, coarse])
        assert torch.allclose(levels[0], fpn.smooth[0](merged))
        assert torch.allclose(levels[1], fpn.smooth[1](top))
        assert torch.equal(with_coarsest(levels)[2], levels[1][:, :, ::2, ::2])

    def test_encoder_strides_and_channels(self) -> None:
        paper = ResidualEncoder(3, "bottleneck", (1, 1, 1, 1), (8, 16, 24, 32), True)
        assert paper.strides == (4, 8, 16, 32)
        assert [f.shape[1:] for f in paper(torch.zeros(1, 3, 64, 64))] == [
            (32, 16, 16),
            (64, 8, 8),
            (96, 4, 4),
            (128, 2, 2),
        ]
        compact = ResidualEncoder(3, "basic", (1, 2), (8, 16), False)
        assert [f.shape[1:] for f in compact(torch.zeros(1, 3, 32, 32))] == [(8, 16, 16), (16, 8, 8)]

    @pytest.mark.parametrize("stride", [1, 2])
    def test_deformable_convolution_by_hand(self, stride: int) -> None:
        torch.manual_seed(1)
        layer = DeformableConv2d(2, 3, stride).double()
        torch.nn.init.normal_(layer.offset.weight, std=0.3)
        torch.nn.init.normal_(layer.offset.bias, std=0.7)
        x = torch.randn(1, 2, 6, 7, dtype=torch.float64)
        with torch.no_grad():
            # Sampled in float32, as in training.
            found, offset = layer(x)[0].numpy(), layer.offset(x)[0].numpy()
        padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
        for o in range(3):
            for i in range(found.shape[1]):
                for j in range(found.shape[2]):
                    total = 0.0
                    for tap in range(9):
                        y = i * stride + tap // 3 - 1 + offset[2 * tap, i, j]
                        at = j * stride + tap % 3 - 1 + offset[2 * tap + 1, i, j]
                        for c in range(2):
                            inside = -1 < y < 6 and -1 < at < 7
                            value = bilinear(padded[c], y + 1, at + 1) if inside else 0.0
                            total += float(layer.weight[o, c, tap // 3, tap % 3].detach()) * value
                    assert found[o, i, j] == pytest.approx(total, abs=1e-5)

    def test_deformable_convolution_starts_plain(self) -> None:
        torch.manual_seed(1)
        layer = DeformableConv2d(4, 5, 2)
        x = torch.randn(2, 4, 9, 8)
        plain = F.conv2d(x, layer.weight, stride=2, padding=1)
        assert torch.allclose(layer(x), plain, atol=1e-5)


def truth(boxes: list[list[float]], classes: list[int], size: int = 32) -> Truth:
    edges = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for number, (y0, x0, y1, x1) in enumerate(edges.int().tolist()):
        masks[number, y0:y1, x0:x1] = True
    unknown = torch.zeros(size, size, dtype=torch.bool)
    return Truth(edges, torch.tensor(classes, dtype=torch.int64), masks, unknown)


class TestProposals:
    def test_order_of_anchors_and_predictions(self) -> None:
        torch.manual_seed(0)
        rpn = Rpn(4, (8, 16), (0.5, 1.0, 2.0)).double()
        levels = [torch.randn(2, 4, 3, 5).double(), torch.randn(2, 4, 2, 3).double()]
        found, anchors = rpn(levels), rpn.anchors(levels, (4, 8))
        for (objectness, deltas), level, own in zip(found, levels, anchors, strict=True):
            hidden = F.relu(rpn.shared(level))
            scores, moves = rpn.objectness(hidden), rpn.deltas(hidden)
            height, width = level.shape[2:]
            assert len(own) == height * width * 3 == objectness.shape[1]
            for y, x, a in [(0, 0, 0), (1, 2, 1), (height - 1, width - 1, 2)]:
                number = (y * width + x) * 3 + a
                assert torch.equal(objectness[:, number], scores[:, a, y, x])
                assert torch.equal(deltas[1, number], moves[1, 4 * a : 4 * a + 4, y, x])

    @given(SEEDS)
    @settings(max_examples=12, deadline=None)
    def test_are_the_best_boxes_by_hand(self, seed: int) -> None:
        generator = seeded(seed)
        anchors = [
            bx.grid_anchors(bx.cell_anchors((8,), (1.0, 2.0)), (4, 4), 8),
            bx.grid_anchors(bx.cell_anchors((20,), (1.0,)), (2, 2), 16),
        ]
        found = [
            (
                torch.randn(2, len(a), generator=generator),
                torch.randn(2, len(a), 4, generator=generator) * 0.4,
            )
            for a in anchors
        ]
        made = propose(found, anchors, (32, 32), before=10, after=7)
        for image in range(2):
            kept = []
            for (objectness, deltas), own in zip(found, anchors, strict=True):
                order = objectness[image].argsort(descending=True)[:10]
                boxes = bx.clip_boxes(bx.decode_boxes(deltas[image], own), (32, 32))[order]
                alive = (bx.box_sides(boxes) >= 1).all(dim=1)
                scores = objectness[image][order].sigmoid()[alive]
                boxes = boxes[alive]
                kept += [(float(scores[i]), boxes[i].tolist()) for i in bx.nms(boxes, scores, 0.7)]
            kept.sort(key=lambda pair: -pair[0])
            count = min(7, len(kept))
            assert made.valid[image].tolist() == [True] * count + [False] * (7 - count)
            for (score, box), s, b in zip(kept, made.scores[image], made.boxes[image], strict=False):
                assert float(s) == pytest.approx(score, abs=1e-6)
                assert b.tolist() == pytest.approx(box, abs=1e-4)

    def test_loss_is_small_for_the_right_answer_only(self) -> None:
        anchors = [bx.grid_anchors(bx.cell_anchors((8,), (1.0,)), (4, 4), 8)]
        real = truth([[8.0, 9.0, 17.0, 16.0]], [1])
        overlap = bx.box_iou(real.boxes, anchors[0])
        matched = bx.match_boxes(overlap, 0.7, 0.3, best_always=True)
        right = torch.where(matched >= 0, 9.0, -9.0)[None]
        deltas = bx.encode_boxes(real.boxes.expand(16, 4), anchors[0])[None]
        good = rpn_loss([(right, deltas)], anchors, [real], 16, seeded(0))
        assert float(sum(good)) < 1e-3
        bad = rpn_loss([(-right, deltas + 1)], anchors, [real], 16, seeded(0))
        # One positive anchor of 16 sampled: four coordinates off by one, smooth L1 with beta 1/9.
        assert float(bad[0]) > 5
        assert float(bad[1]) == pytest.approx(4 * (1 - 1 / 18) / len(matched[matched > -2]), rel=1e-3)

    def test_nothing_is_learnt_from_the_unknown(self) -> None:
        real = truth([], [])
        real.unknown[:, :16] = True
        shares = unknown_share(torch.tensor([[0.0, 8.0, 10.0, 24.0], [0.0, 0.0, 8.0, 8.0]]), real.unknown)
        assert shares.tolist() == pytest.approx([0.5, 1.0])
        anchors = [bx.grid_anchors(bx.cell_anchors((8,), (1.0,)), (4, 4), 8)]
        logits = torch.full((1, 16), -9.0)
        logits[0, [0, 1, 4, 5]] = 9.0
        loss, _ = rpn_loss([(logits, torch.zeros(1, 16, 4))], anchors, [real], 16, seeded(0))
        assert float(loss) < 1e-3, "wrong answers on the unknown half do not count"


class TestHeads:
    def test_sampled_proposals_stand_for_what_they_overlap(self) -> None:
        truths = [truth([[4, 4, 12, 12], [16, 16, 30, 30]], [1, 2]), truth([], [])]
        boxes = torch.tensor([[[4.0, 4, 12, 11], [20, 1, 28, 9], [15, 16, 30, 30]]] * 2)
        valid = torch.tensor([[True, True, True], [True, True, False]])
        made = sample_proposals(Proposals(boxes, valid.float(), valid), truths, 8, 0.75, seeded(0))
        rows = sorted(zip(made.images.tolist(), made.classes.tolist(), made.boxes.tolist(), strict=True))
        assert rows == sorted(
            [
                (0, 0, [20.0, 1.0, 28.0, 9.0]),
                (0, 1, [4.0, 4.0, 12.0, 11.0]),
                (0, 1, [4.0, 4.0, 12.0, 12.0]),
                (0, 2, [15.0, 16.0, 30.0, 30.0]),
                (0, 2, [16.0, 16.0, 30.0, 30.0]),
                (1, 0, [4.0, 4.0, 12.0, 11.0]),
                (1, 0, [20.0, 1.0, 28.0, 9.0]),
            ]
        )

    def test_losses_by_hand(self) -> None:
        truths = [truth([[4, 4, 12, 12]], [2]), truth([[8, 8, 24, 24]], [1])]
        sampled = Sampled(
            torch.tensor([[4.0, 4, 12, 11], [20, 1, 28, 9], [9, 8, 24, 24]]),
            torch.tensor([0, 0, 1]),
            torch.tensor([2, 0, 1]),
            torch.tensor([0, 0, 0]),
        )
        logits = torch.randn(3, 3, generator=seeded(0))
        deltas = torch.randn(3, 2, 4, generator=seeded(1))
        classes, boxes = box_losses(logits, deltas, sampled, truths)
        by_hand = -sum(float(logits[i].log_softmax(0)[c]) for i, c in enumerate((2, 0, 1))) / 3
        assert float(classes) == pytest.approx(by_hand, rel=1e-5)
        total = 0.0
        for row, image, kind in ((0, 0, 2), (2, 1, 1)):
            wanted = bx.encode_boxes(
                truths[image].boxes, sampled.boxes[row : row + 1], (10.0, 10.0, 5.0, 5.0)
            )[0]
            for p, w in zip(deltas[row, kind - 1].tolist(), wanted.tolist(), strict=True):
                total += 0.5 * (p - w) ** 2 if abs(p - w) < 1 else abs(p - w) - 0.5
        assert float(boxes) == pytest.approx(total / 3, rel=1e-5)

    def test_mask_loss_sees_the_true_mask_of_its_class(self) -> None:
        real = truth([[8, 8, 16, 16]], [2])
        real.masks[0, 8:16, 8:12] = False
        sampled = Sampled(real.boxes, torch.tensor([0]), torch.tensor([2]), torch.tensor([0]))
        rows = torch.tensor([0])
        logits = torch.zeros(1, 2, 8, 8)
        logits[0, 1, :, :4], logits[0, 1, :, 4:] = -9.0, 9.0
        assert float(mask_loss(logits, sampled, rows, [real])) < 1e-3
        assert float(mask_loss(logits.flip(1), sampled, rows, [real])) == pytest.approx(math.log(2), rel=1e-4)
        real.unknown[:, 8:12] = True
        logits[0, 1, :, :4] = 9.0
        assert float(mask_loss(logits, sampled, rows, [real])) < 1e-3, "wrong only where nobody knows"

    def test_detections_by_hand(self) -> None:
        generator = seeded(4)
        count, classes = 12, 3
        corner = torch.rand(2, count, 2, generator=generator) * 20
        boxes = torch.cat([corner, corner + 4 + torch.rand(2, count, 2, generator=generator) * 8], dim=2)
        valid = torch.rand(2, count, generator=generator) > 0.2
        logits = torch.randn(2 * count, classes, generator=generator)
        deltas = torch.randn(2 * count, classes - 1, 4, generator=generator)
        found = pick_detections(
            logits,
            deltas,
            Proposals(boxes, valid.float(), valid),
            (32, 32),
            score_threshold=0.2,
            nms_threshold=0.4,
            limit=3,
        )
        expected = set()
        for image in range(2):
            for kind in range(1, classes):
                rows = [
                    i
                    for i in range(count)
                    if valid[image, i] and float(logits[image * count + i].softmax(0)[kind]) >= 0.2
                ]
                own = torch.cat(
                    [
                        bx.decode_boxes(
                            deltas[image * count + i, kind - 1], boxes[image, i], (10.0, 10.0, 5.0, 5.0)
                        )[None]
                        for i in rows
                    ]
                    or [torch.zeros(0, 4)]
                )
                own = bx.clip_boxes(own, (32, 32))
                scores = torch.tensor([float(logits[image * count + i].softmax(0)[kind]) for i in rows])
                for i in bx.nms(own, scores, 0.4, limit=3).tolist():
                    expected.add((image, kind, round(float(scores[i]), 4), round(float(own[i, 0]), 3)))
        said = {
            (int(i), int(c), round(float(s), 4), round(float(b[0]), 3))
            for b, s, c, i in zip(found.boxes, found.scores, found.classes, found.images, strict=True)
        }
        assert said == expected
