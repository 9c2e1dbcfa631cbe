"""Boxes against brute force, one pair at a time, on random inputs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks.parts import boxes as bx

SEEDS = st.integers(0, 2**31 - 1)


def random_boxes(seed: int, count: int, size: float = 20.0, whole: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * size
    sides = torch.rand(count, 2, generator=generator, dtype=torch.float64) * size / 2 + 0.5
    boxes = torch.cat([corner, corner + sides], dim=1)
    return boxes.round() if whole else boxes


def iou_by_hand(a: list[float], b: list[float]) -> float:
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(height, 0.0) * max(width, 0.0)
    area = [max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) for box in (a, b)]
    union = area[0] + area[1] - shared
    return shared / union if union > 0 else 0.0


def nms_by_hand(boxes: list, scores: list, threshold: float, groups: list | None = None) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    for i in order:
        rivals = [j for j in kept if groups is None or groups[j] == groups[i]]
        if all(iou_by_hand(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(i)
    return kept


class TestOverlap:
    @given(SEEDS, st.integers(0, 7), st.integers(0, 7), st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_every_pair(self, seed: int, n: int, m: int, whole: bool) -> None:
        a, b = random_boxes(seed, n, whole=whole), random_boxes(seed + 1, m, whole=whole)
        found = bx.box_iou(a, b)
        assert found.shape == (n, m)
        for i in range(n):
            for j in range(m):
                assert found[i, j].item() == pytest.approx(iou_by_hand(a[i].tolist(), b[j].tolist()))

    def test_pixels_of_whole_boxes_are_counted(self) -> None:
        a, b = random_boxes(5, 6, 12, whole=True), random_boxes(6, 6, 12, whole=True)

        def painted(box: torch.Tensor) -> torch.Tensor:
            canvas = torch.zeros(40, 40, dtype=torch.bool)
            y0, x0, y1, x1 = (int(v) for v in box)
            canvas[y0:y1, x0:x1] = True
            return canvas

        for i in range(6):
            for j in range(6):
                one, other = painted(a[i]), painted(b[j])
                expected = (one & other).sum() / (one | other).sum().clamp_min(1)
                assert bx.box_iou(a[i : i + 1], b[j : j + 1]).item() == pytest.approx(float(expected))

    def test_empty_and_crossed_boxes_overlap_nothing(self) -> None:
        odd = torch.tensor([[3.0, 3.0, 3.0, 9.0], [5.0, 5.0, 2.0, 8.0]])
        assert bx.box_area(odd).tolist() == [0.0, 0.0]
        assert not bx.box_iou(odd, odd).any()

    def test_leading_dimensions(self) -> None:
        a, b = random_boxes(1, 6).reshape(2, 3, 4), random_boxes(2, 8).reshape(2, 4, 4)
        together = bx.box_iou(a, b)
        assert torch.equal(together[1], bx.box_iou(a[1], b[1]))


class TestSuppression:
    @given(SEEDS, st.integers(0, 40), st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.7]), st.booleans())
    @settings(max_examples=60, deadline=None)
    def test_is_the_greedy_walk(self, seed: int, n: int, threshold: float, grouped: bool) -> None:
        boxes = random_boxes(seed, n)
        generator = torch.Generator().manual_seed(seed)
        # Few values: ties happen.
        scores = torch.randint(0, 8, (n,), generator=generator).double() / 8
        groups = torch.randint(0, 3, (n,), generator=generator) if grouped else None
        kept = bx.nms(boxes, scores, threshold, groups)
        by_hand = nms_by_hand(
            boxes.tolist(), scores.tolist(), threshold, None if groups is None else groups.tolist()
        )
        assert kept.tolist() == by_hand
        assert bx.nms(boxes, scores, threshold, groups, limit=3).tolist() == by_hand[:3]

    def test_a_long_chain(self) -> None:
        # Each overlaps the next by more than the threshold: every second stays.
        start = torch.arange(200, dtype=torch.float64)
        boxes = torch.stack([start, start * 0, start + 2.5, start * 0 + 1], dim=1)
        kept = bx.nms(boxes, -start, 0.4)
        assert kept.tolist() == list(range(0, 200, 2))

    def test_images_do_not_touch_each_other(self) -> None:
        boxes = random_boxes(4, 30).reshape(2, 15, 4)
        valid = torch.rand(2, 15, generator=torch.Generator().manual_seed(0)) > 0.3
        kept = bx.nms_mask(boxes, 0.3, valid)
        for image in range(2):
            own = boxes[image][valid[image]]
            scores = -torch.arange(len(own), dtype=torch.float64)
            expected = nms_by_hand(own.tolist(), scores.tolist(), 0.3)
            positions = valid[image].nonzero()[:, 0]
            assert kept[image].nonzero()[:, 0].tolist() == positions[expected].tolist()


class TestCoding:
    @given(SEEDS, st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
    @settings(max_examples=25, deadline=None)
    def test_there_and_back_and_by_hand(self, seed: int, weights: tuple[float, ...]) -> None:
        boxes, references = random_boxes(seed, 6), random_boxes(seed + 9, 6)
        deltas = bx.encode_boxes(boxes, references, weights)
        assert torch.allclose(bx.decode_boxes(deltas, references, weights), boxes)
        for delta, b, r in zip(deltas.tolist(), boxes.tolist(), references.tolist(), strict=True):
            height, width = r[2] - r[0], r[3] - r[1]
            expected = (
                ((b[0] + b[2]) / 2 - (r[0] + r[2]) / 2) / height,
                ((b[1] + b[3]) / 2 - (r[1] + r[3]) / 2) / width,
                math.log((b[2] - b[0]) / height),
                math.log((b[3] - b[1]) / width),
            )
            assert delta == pytest.approx([e * w for e, w in zip(expected, weights, strict=True)])

    def test_growth_is_limited(self) -> None:
        box = bx.decode_boxes(torch.tensor([[0.0, 0.0, 50.0, 0.0]]), torch.tensor([[0.0, 0.0, 16.0, 16.0]]))
        assert box.tolist()[0] == pytest.approx([-492.0, 0.0, 508.0, 16.0])

    def test_clipping(self) -> None:
        boxes = torch.tensor([[-3.0, 2.0, 50.0, 9.0], [45.0, 41.0, 60.0, 70.0]])
        assert bx.clip_boxes(boxes, (30, 40)).tolist() == [[0, 2, 30, 9], [30, 40, 30, 40]]


class TestAnchors:
    def test_of_a_cell(self) -> None:
        cells = bx.cell_anchors((8, 16), (0.5, 1.0, 2.0))
        sides = bx.box_sides(cells)
        assert torch.allclose(bx.box_area(cells), torch.tensor([64.0] * 3 + [256.0] * 3))
        assert torch.allclose(sides[:, 0] / sides[:, 1], torch.tensor([0.5, 1.0, 2.0] * 2))
        assert torch.allclose(cells[:, :2] + cells[:, 2:], torch.zeros(6, 2), atol=1e-6)

    def test_on_a_map(self) -> None:
        cells = bx.cell_anchors((4, 8), (1.0, 2.0))
        anchors = bx.grid_anchors(cells, (3, 5), 8)
        assert anchors.shape == (3 * 5 * 4, 4)
        for y in range(3):
            for x in range(5):
                for a in range(4):
                    expected = cells[a] + torch.tensor([8 * y + 4, 8 * x + 4, 8 * y + 4, 8 * x + 4])
                    assert torch.equal(anchors[(y * 5 + x) * 4 + a], expected)

    @given(SEEDS, st.integers(1, 5))
    @settings(max_examples=25, deadline=None)
    def test_boxes_of_masks(self, seed: int, n: int) -> None:
        masks = torch.rand(n, 7, 9, generator=torch.Generator().manual_seed(seed)) > 0.9
        for mask, box in zip(masks, bx.mask_boxes(masks).tolist(), strict=True):
            points = mask.nonzero().tolist()
            ys, xs = [p[0] for p in points], [p[1] for p in points]
            assert box == ([min(ys), min(xs), max(ys) + 1, max(xs) + 1] if points else [0, 0, 0, 0])


class TestMatching:
    @given(SEEDS, st.integers(0, 4), st.integers(1, 30), st.booleans())
    @settings(max_examples=50, deadline=None)
    def test_by_hand(self, seed: int, truths: int, candidates: int, best_always: bool) -> None:
        overlap = bx.box_iou(random_boxes(seed, truths), random_boxes(seed + 1, candidates))
        matched = bx.match_boxes(overlap, 0.4, 0.2, best_always).tolist()
        for n in range(candidates):
            column = overlap[:, n].tolist()
            best = max(column, default=0.0)
            forced = best_always and any(
                v > 0 and v == max(overlap[g].tolist()) for g, v in enumerate(column)
            )
            if truths and (best >= 0.4 or forced):
                assert column[matched[n]] == best
            else:
                assert matched[n] == (bx.BACKGROUND if best < 0.2 else bx.IGNORED)

    @given(SEEDS, st.integers(0, 60), st.integers(1, 40), st.sampled_from([0.25, 0.5]))
    @settings(max_examples=40, deadline=None)
    def test_sampling(self, seed: int, n: int, count: int, share: float) -> None:
        matched = torch.randint(-2, 3, (n,), generator=torch.Generator().manual_seed(seed))
        generator = torch.Generator().manual_seed(seed)
        positives, negatives = bx.sample_matches(matched, count, share, generator)
        assert len(set(positives.tolist())) == len(positives)
        assert len(set(negatives.tolist())) == len(negatives)
        assert (matched[positives] >= 0).all() and (matched[negatives] == bx.BACKGROUND).all()
        there = int((matched >= 0).sum()), int((matched == bx.BACKGROUND).sum())
        assert len(positives) == min(there[0], int(count * share))
        assert len(negatives) == min(there[1], count - len(positives))
        again = bx.sample_matches(matched, count, share, torch.Generator().manual_seed(seed))
        assert torch.equal(positives, again[0]) and torch.equal(negatives, again[1])
