"""Region proposal network on a feature pyramid (Ren et al., NeurIPS 2015; Lin et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import boxes as bx


@dataclass(frozen=True)
class Truth:
    """What is really in an image.

    Attributes:
        boxes: (G, 4) float32, sides above 0.
        classes: (G,) int64, 1...
        masks: (G, H, W) bool.
        unknown: (H, W) bool, where nobody knows; what lies mostly there is no example of background.
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor
    unknown: Tensor


class Proposals(NamedTuple):
    """Where objects may be, best first.

    Attributes:
        boxes: (B, P, 4) pixels, inside the image.
        scores: (B, P), 0..1.
        valid: (B, P) bool; images with fewer than P are padded with zeros.
    """

    boxes: Tensor
    scores: Tensor
    valid: Tensor


class Rpn(nn.Module):
    """A 3 x 3 convolution and, per anchor, an objectness and a box; the same weights on every level.

    Args:
        channels: of the levels.
        sizes: anchor size of each level, pixels; ratios: height over width.
    """

    def __init__(self, channels: int, sizes: Sequence[float], ratios: Sequence[float]) -> None:
        super().__init__()
        self.sizes, self.ratios = tuple(sizes), tuple(ratios)
        self.shared = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, len(self.ratios), 1)
        self.deltas = nn.Conv2d(channels, 4 * len(self.ratios), 1)

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Per level (B, C, H, W): objectness logits (B, H * W * A) and box deltas (B, H * W * A, 4).

        Float32 at least, in the order of :func:`.boxes.grid_anchors`.
        """
        found = []
        for level in levels:
            hidden = F.relu(self.shared(level))
            wide = torch.promote_types(level.dtype, torch.float32)
            objectness = self.objectness(hidden).to(wide).permute(0, 2, 3, 1).flatten(1)
            deltas = self.deltas(hidden).to(wide).permute(0, 2, 3, 1)
            found.append((objectness, deltas.reshape(len(level), -1, 4)))
        return found

    def anchors(self, levels: Sequence[Tensor], strides: Sequence[int]) -> list[Tensor]:
        """Per level the anchors, (H * W * A, 4), pixels."""
        return [
            bx.grid_anchors(
                bx.cell_anchors((size,), self.ratios).to(level.device), tuple(level.shape[2:]), stride
            )
            for level, size, stride in zip(levels, self.sizes, strides, strict=True)
        ]


def propose(
    found: Sequence[tuple[Tensor, Tensor]],
    anchors: Sequence[Tensor],
    size_yx: tuple[int, int],
    before: int,
    after: int,
    threshold: float = 0.7,
) -> Proposals:
    """The best boxes of every level, overlapping ones suppressed level by level.

    Args:
        found: of :class:`Rpn`; gradients stop here.
        anchors: per level.
        size_yx: of the image, for clipping.
        before: boxes per level that enter suppression.
        after: boxes per image that are left, over all levels.
        threshold: IoU of the suppression.
    """
    all_boxes, all_scores = [], []
    for (objectness, deltas), level_anchors in zip(found, anchors, strict=True):
        logits, index = objectness.detach().topk(min(before, objectness.shape[1]), dim=1)
        chosen = torch.gather(deltas.detach(), 1, index[..., None].expand(-1, -1, 4))
        boxes = bx.decode_boxes(chosen, level_anchors.to(chosen.dtype)[index])
        boxes = bx.clip_boxes(boxes, size_yx)
        kept = bx.nms_mask(boxes, threshold, valid=(bx.box_sides(boxes) >= 1.0).all(dim=-1))
        all_boxes.append(boxes)
        all_scores.append(torch.where(kept, logits.sigmoid(), -1.0))
    boxes, scores = torch.cat(all_boxes, dim=1), torch.cat(all_scores, dim=1)
    scores, index = scores.topk(min(after, scores.shape[1]), dim=1)
    boxes = torch.gather(boxes, 1, index[..., None].expand(-1, -1, 4))
    valid = scores >= 0
    return Proposals(boxes * valid[..., None], scores.clamp_min(0), valid)


def unknown_share(boxes: Tensor, unknown: Tensor) -> Tensor:
    """Share of each box (N, 4) that is unknown (H, W), by the integral image; edges rounded to pixels."""
    height, width = unknown.shape
    if not bool(unknown.any()):
        return boxes.new_zeros(len(boxes))
    sums = F.pad(unknown.to(boxes.dtype).cumsum(0).cumsum(1), (1, 0, 1, 0))
    edges = bx.clip_boxes(boxes, (height, width)).round().long()
    y0, x0, y1, x1 = edges.unbind(dim=1)
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return inside / ((y1 - y0) * (x1 - x0)).clamp_min(1)


MOSTLY_UNKNOWN = 0.3
"""A box with this share of unknown pixels teaches nothing about the background."""


def matched_boxes(candidates: Tensor, truth: Truth, high: float, low: float, best_always: bool) -> Tensor:
    """:func:`.boxes.match_boxes` of candidates (N, 4), without background where the truth is unknown."""
    overlap = bx.box_iou(truth.boxes.to(candidates.dtype), candidates)
    matched = bx.match_boxes(overlap, high, low, best_always)
    hidden = (matched == bx.BACKGROUND) & (unknown_share(candidates, truth.unknown) >= MOSTLY_UNKNOWN)
    return torch.where(hidden, bx.IGNORED, matched)


def rpn_loss(
    found: Sequence[tuple[Tensor, Tensor]],
    anchors: Sequence[Tensor],
    truths: Sequence[Truth],
    samples: int,
    generator: torch.Generator,
    high: float = 0.7,
    low: float = 0.3,
) -> tuple[Tensor, Tensor]:
    """Objectness (binary cross entropy) and box loss (smooth L1, beta 1/9), means over the sampled anchors.

    Anchors stand for a true box from an IoU of `high` (or as the best of a true box), for background under
    `low`; `samples` an image, at most half of them for true boxes.
    """
    objectness = torch.cat([o for o, _ in found], dim=1)
    deltas = torch.cat([d for _, d in found], dim=1)
    candidates = torch.cat(list(anchors)).to(deltas.dtype)
    logits, labels, predicted, wanted = [], [], [], []
    for image, truth in enumerate(truths):
        matched = matched_boxes(candidates, truth, high, low, best_always=True)
        positive, negative = bx.sample_matches(matched, samples, 0.5, generator)
        logits.append(objectness[image, torch.cat([positive, negative])])
        labels.append(torch.cat([torch.ones_like(positive), torch.zeros_like(negative)]))
        predicted.append(deltas[image, positive])
        boxes = truth.boxes.to(deltas.dtype)[matched[positive]]
        wanted.append(bx.encode_boxes(boxes, candidates[positive]))
    scores = torch.cat(logits)
    object_loss = F.binary_cross_entropy_with_logits(scores, torch.cat(labels).to(scores.dtype))
    box_loss = F.smooth_l1_loss(torch.cat(predicted), torch.cat(wanted), beta=1 / 9, reduction="sum")
    return object_loss, box_loss / max(1, len(scores))
