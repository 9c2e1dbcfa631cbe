"""Boxes in an image: overlap, suppression, coding, anchors, matching and sampling, in plain torch.

A box is four numbers (y0, x0, y1, x1) in pixels, its outer edges: pixel (i, j) alone is the box
(i, j, i + 1, j + 1), its centre is (i + 0.5, j + 0.5). Lists of boxes are (N, 4), any N from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LARGEST_LOG_SCALE = math.log(1000.0 / 16.0)
"""A box may grow by this factor at most when decoded; more is a number that ran away."""

BACKGROUND, IGNORED = -1, -2


def box_area(boxes: Tensor) -> Tensor:
    """Area in square pixels, (..., 4) -> (...); 0 for a box whose edges are crossed."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)
    return sides[..., 0] * sides[..., 1]


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of every pair, (..., N, 4) and (..., M, 4) -> (..., N, M); 0 where both are empty."""
    # Edge by edge: pairs whose edges lie side by side in memory take a fifth of the time.
    top, left, bottom, right = first.movedim(-1, 0).contiguous()[..., :, None]
    other_top, other_left, other_bottom, other_right = second.movedim(-1, 0).contiguous()[..., None, :]
    height = (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp_min(0)
    width = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp_min(0)
    shared = height * width
    union = box_area(first)[..., :, None] + box_area(second)[..., None, :] - shared
    return torch.where(union > 0, shared / union.clamp_min(torch.finfo(shared.dtype).tiny), 0.0)


def nms_mask(boxes: Tensor, threshold: float, valid: Tensor | None = None) -> Tensor:
    """Greedy non-maximum suppression of boxes that are sorted by falling score.

    Args:
        boxes: (..., N, 4), best first; each leading index is an image of its own.
        threshold: a box is dropped when it overlaps a kept, better one by more than this (IoU).
        valid: (..., N) bool, boxes that take part at all.

    Returns:
        (..., N) bool, the boxes kept.
    """
    count = boxes.shape[-2]
    over = box_iou(boxes, boxes) > threshold
    # over[i, j]: i is better than j and would drop it.
    over &= torch.ones(count, count, dtype=torch.bool, device=boxes.device).triu(1)
    alive = torch.ones_like(boxes[..., 0], dtype=torch.bool) if valid is None else valid
    kept = alive
    # What the greedy walk keeps is the one fixed point of "kept unless a kept, better one drops it"; each
    # round settles at least the next box of the list, in practice all after two or three.
    for _ in range(count + 1):
        dropped = (over & kept[..., :, None]).any(dim=-2)
        after = alive & ~dropped
        if torch.equal(after, kept):
            break
        kept = after
    return kept


def nms(
    boxes: Tensor,
    scores: Tensor,
    threshold: float,
    groups: Tensor | None = None,
    limit: int | None = None,
) -> Tensor:
    """Non-maximum suppression.

    Args:
        boxes: (N, 4).
        scores: (N,); of equal ones the earlier counts as better.
        threshold: IoU above which the lower-scored box is dropped.
        groups: (N,) int; only boxes of one group (a class, an image) drop each other. None: all do.
        limit: keep at most so many.

    Returns:
        Indices of the boxes kept, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order].to(torch.promote_types(boxes.dtype, torch.float32))
    if groups is not None and len(boxes):
        # Groups are moved so far apart that they cannot meet.
        span = ordered.max() - ordered.min() + 1
        ordered = ordered + (groups[order].to(ordered.dtype) * span)[:, None]
    kept = order[nms_mask(ordered, threshold)]
    return kept if limit is None else kept[:limit]


def encode_boxes(
    boxes: Tensor, references: Tensor, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> Tensor:
    """Boxes as offsets from references (R-CNN's coding), (..., 4) each, sides larger than 0.

    (dy, dx) in the reference's sides, (dh, dw) logarithmic, times `weights`.
    """
    sides, centres = _sides_and_centres(boxes)
    reference_sides, reference_centres = _sides_and_centres(references)
    moved = (centres - reference_centres) / reference_sides
    scaled = (sides / reference_sides).log()
    return torch.cat([moved, scaled], dim=-1) * boxes.new_tensor(weights)


def decode_boxes(
    deltas: Tensor, references: Tensor, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> Tensor:
    """Inverse of :func:`encode_boxes`; growth is limited to :data:`LARGEST_LOG_SCALE`."""
    sides, centres = _sides_and_centres(references)
    deltas = deltas / deltas.new_tensor(weights)
    centres = deltas[..., :2] * sides + centres
    half = deltas[..., 2:].clamp_max(LARGEST_LOG_SCALE).exp() * sides / 2
    return torch.cat([centres - half, centres + half], dim=-1)


def _sides_and_centres(boxes: Tensor) -> tuple[Tensor, Tensor]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides, boxes[..., :2] + sides / 2


def clip_boxes(boxes: Tensor, size_yx: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut at the image's edges, 0..height and 0..width."""
    limits = boxes.new_tensor([size_yx[0], size_yx[1], size_yx[0], size_yx[1]])
    return torch.minimum(boxes.clamp_min(0), limits)


def box_sides(boxes: Tensor) -> Tensor:
    """Height and width, (..., 4) -> (..., 2)."""
    return boxes[..., 2:] - boxes[..., :2]


def mask_boxes(masks: Tensor) -> Tensor:
    """The tight box around every mask, (N, H, W) bool -> (N, 4) float32; zeros for an empty mask."""
    count, height, width = masks.shape
    rows, columns = masks.any(dim=2), masks.any(dim=1)
    found = rows.any(dim=1)
    edges = []
    for used, length in ((rows, height), (columns, width)):
        first = used.int().argmax(dim=1)
        last = length - used.flip(1).int().argmax(dim=1)
        edges.append((first, last))
    boxes = torch.stack([edges[0][0], edges[1][0], edges[0][1], edges[1][1]], dim=1).float()
    return boxes * found[:, None]


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors of one cell, centred on (0, 0); (len(sizes) * len(ratios), 4) float32.

    For every size (side of the square of equal area, px) every ratio (height / width).
    """
    anchors = []
    for size in sizes:
        for ratio in ratios:
            height, width = size * math.sqrt(ratio), size / math.sqrt(ratio)
            anchors.append((-height / 2, -width / 2, height / 2, width / 2))
    return torch.tensor(anchors, dtype=torch.float32)


def grid_anchors(cells: Tensor, size_yx: tuple[int, int], stride: float) -> Tensor:
    """The anchors of a feature map: `cells` (A, 4) at the middle of every cell, row by row.

    Returns:
        (H * W * A, 4), the anchor last: number (y * W + x) * A + a.
    """
    steps = [(torch.arange(n, device=cells.device, dtype=cells.dtype) + 0.5) * stride for n in size_yx]
    ys, xs = torch.meshgrid(*steps, indexing="ij")
    centres = torch.stack([ys, xs, ys, xs], dim=-1)
    return (centres[:, :, None] + cells).reshape(-1, 4)


def match_boxes(overlap: Tensor, high: float, low: float, best_always: bool = False) -> Tensor:
    """Which true box each candidate stands for.

    Args:
        overlap: (G, N) IoU of true boxes and candidates.
        high: a candidate that overlaps its best true box by this or more stands for it.
        low: one that overlaps all by less than this is background; between the two it is ignored.
        best_always: also the candidates that overlap a true box best of all stand for one (for anchors: so
            every true box has one), whichever overlaps them most.

    Returns:
        (N,) int64: index of the true box, :data:`BACKGROUND` or :data:`IGNORED`.
    """
    truths, candidates = overlap.shape
    if truths == 0:
        return torch.full((candidates,), BACKGROUND, dtype=torch.int64, device=overlap.device)
    best, index = overlap.max(dim=0)
    matched = torch.where(best >= high, index, torch.where(best < low, BACKGROUND, IGNORED))
    if best_always and candidates:
        top = overlap.max(dim=1, keepdim=True).values
        forced = ((overlap == top) & (top > 0)).any(dim=0)
        matched = torch.where(forced, index, matched)
    return matched


def sample_matches(
    matched: Tensor, count: int, positive_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A random choice of candidates to learn from.

    Args:
        matched: (N,) of :func:`match_boxes`.
        count: how many in all; fewer where there are not enough.
        positive_share: of them stand for a true box, at most.
        generator: on the CPU; decides the choice.

    Returns:
        (positives, negatives): indices, each int64, rising.
    """
    device = matched.device
    chosen = []
    room = count
    for where, most in ((matched >= 0, int(count * positive_share)), (matched == BACKGROUND, count)):
        members = where.nonzero()[:, 0]
        take = min(most, room, len(members))
        picked = torch.randperm(len(members), generator=generator)[:take].sort().values
        chosen.append(members[picked.to(device)])
        room -= take
    return chosen[0], chosen[1]


def middle_in(mask: Tensor, boxes: Tensor) -> Tensor:
    """(H, W) bool, (N, 4) -> (N,) bool: whether a box's middle lies in the mask."""
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2).long()
    y = middle[:, 0].clamp(0, mask.shape[0] - 1)
    x = middle[:, 1].clamp(0, mask.shape[1] - 1)
    return mask[y, x]


def jittered(boxes: Tensor, generator: torch.Generator, size_yx: tuple[int, int], copies: int = 3) -> Tensor:
    """(N, 4) -> (copies * N, 4): every box moved by up to 15 % of its sides and scaled by up to 20 %."""
    many = boxes.repeat(copies, 1)
    sides = many[:, 2:] - many[:, :2]
    draw = torch.rand(len(many), 4, generator=generator).to(many) * 2 - 1
    middle = (many[:, :2] + many[:, 2:]) / 2 + draw[:, :2] * 0.15 * sides
    half = sides / 2 * (1 + 0.2 * draw[:, 2:])
    return clip_boxes(torch.cat([middle - half, middle + half], dim=1), size_yx)
