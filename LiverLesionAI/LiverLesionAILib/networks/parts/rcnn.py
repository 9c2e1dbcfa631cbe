"""The second stage of Faster and Mask R-CNN: what is in each proposal, its box and its mask.

Ren et al., NeurIPS 2015; He et al., ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import boxes as bx
from .rcnn_pooling import roi_align
from .rpn import Proposals, Truth, matched_boxes

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Box deltas of the second stage are learnt enlarged so, as in Fast R-CNN's code."""

BOX_CELLS, MASK_CELLS = 7, 14


class Detections(NamedTuple):
    """What was found in a batch of images, best first within each image and class.

    Attributes:
        boxes: (R, 4) pixels.
        scores: (R,) probability of the class, 0..1.
        classes: (R,) int64, 1...
        images: (R,) int64, index in the batch.
        masks: (R, m, m) probability inside the box; None without a mask head.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    images: Tensor
    masks: Tensor | None = None


class BoxHead(nn.Module):
    """Two wide layers, then class scores and one box per class.

    Args:
        channels: of the pooled features; width: of the layers; classes: background included.
    """

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.first = nn.Linear(channels * BOX_CELLS**2, width)
        self.second = nn.Linear(width, width)
        self.score = nn.Linear(width, classes)
        self.deltas = nn.Linear(width, 4 * (classes - 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, C, 7, 7) -> class logits (R, classes) and deltas (R, classes - 1, 4), float32 at least."""
        x = F.relu(self.first(x.flatten(1)))
        x = F.relu(self.second(x))
        wide = torch.promote_types(x.dtype, torch.float32)
        return self.score(x).to(wide), self.deltas(x).to(wide).reshape(len(x), self.classes - 1, 4)


class MaskHead(nn.Module):
    """Convolutions at 14 x 14, twice enlarged, one mask per class.

    Args:
        channels: of the pooled features; width: of the convolutions; depth: how many.
    """

    def __init__(self, channels: int, width: int, depth: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(depth):
            layers += [nn.Conv2d(width if number else channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.score = nn.Conv2d(width, classes - 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, 14, 14) -> logits (R, classes - 1, 28, 28), float32 at least."""
        x = self.score(F.relu(self.enlarge(self.layers(x))))
        return x.to(torch.promote_types(x.dtype, torch.float32))


class Sampled(NamedTuple):
    """Proposals to learn from, over all images.

    Attributes:
        boxes: (R, 4).
        images: (R,).
        classes: (R,), 0 for background.
        truths: (R,) index of the true box within its image; meaningless for background.
    """

    boxes: Tensor
    images: Tensor
    classes: Tensor
    truths: Tensor


def sample_proposals(
    proposals: Proposals, truths: Sequence[Truth], samples: int, share: float, generator: torch.Generator
) -> Sampled:
    """`samples` proposals an image, at most `share` of them for true boxes (IoU 0.5 or more).

    The true boxes themselves are among the candidates.
    """
    parts = []
    for image, truth in enumerate(truths):
        own = proposals.boxes[image][proposals.valid[image]]
        candidates = torch.cat([own, truth.boxes.to(own.dtype)])
        matched = matched_boxes(candidates, truth, 0.5, 0.5, best_always=False)
        positive, negative = bx.sample_matches(matched, samples, share, generator)
        chosen = torch.cat([positive, negative])
        classes = torch.cat([truth.classes[matched[positive]], torch.zeros_like(negative)])
        images = torch.full_like(chosen, image)
        parts.append((candidates[chosen], images, classes, matched[chosen].clamp_min(0)))
    return Sampled(*(torch.cat(values) for values in zip(*parts, strict=True)))


def box_losses(
    logits: Tensor, deltas: Tensor, sampled: Sampled, truths: Sequence[Truth]
) -> tuple[Tensor, Tensor]:
    """Class loss (cross entropy) and box loss (smooth L1 of the true class' box), means over the samples."""
    class_loss = F.cross_entropy(logits, sampled.classes)
    positive = (sampled.classes > 0).nonzero()[:, 0]
    wanted = bx.encode_boxes(
        _true_boxes(sampled, positive, truths).to(deltas.dtype), sampled.boxes[positive], BOX_WEIGHTS
    )
    own = deltas[positive, sampled.classes[positive] - 1]
    return class_loss, F.smooth_l1_loss(own, wanted, reduction="sum") / max(1, len(logits))


def _true_boxes(sampled: Sampled, rows: Tensor, truths: Sequence[Truth]) -> Tensor:
    first = _first_truth(truths, rows.device)
    boxes = torch.cat([truth.boxes for truth in truths])
    return boxes[first[sampled.images[rows]] + sampled.truths[rows]]


def _first_truth(truths: Sequence[Truth], device: torch.device) -> Tensor:
    counts = torch.tensor([0, *(len(truth.boxes) for truth in truths[:-1])], device=device)
    return counts.cumsum(0)


def mask_loss(logits: Tensor, sampled: Sampled, rows: Tensor, truths: Sequence[Truth]) -> Tensor:
    """Binary cross entropy of the true class' mask inside the proposal; unknown pixels do not count.

    Args:
        logits: (P, classes - 1, m, m) for the samples `rows` (P,), none of them background.
    """
    if not len(rows):
        return logits.sum() * 0
    size = logits.shape[-1]
    masks = torch.cat([truth.masks for truth in truths]).to(logits.dtype)[:, None]
    unknown = torch.stack([truth.unknown for truth in truths]).to(logits.dtype)[:, None]
    images = sampled.images[rows]
    numbers = _first_truth(truths, rows.device)[images] + sampled.truths[rows]
    boxes, level = sampled.boxes[rows], torch.zeros_like(rows)
    wanted = roi_align([masks], (1,), boxes, numbers, level, size, samples=1)[:, 0] >= 0.5
    known = roi_align([unknown], (1,), boxes, images, level, size, samples=1)[:, 0] < 0.5
    own = logits[torch.arange(len(rows), device=rows.device), sampled.classes[rows] - 1]
    losses = F.binary_cross_entropy_with_logits(own, wanted.to(own.dtype), reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)


def pick_detections(
    logits: Tensor,
    deltas: Tensor,
    proposals: Proposals,
    size_yx: tuple[int, int],
    *,
    score_threshold: float,
    nms_threshold: float,
    limit: int,
) -> Detections:
    """Boxes of every class above the threshold, overlapping ones of a class suppressed.

    Args:
        logits: (B * P, classes); deltas: (B * P, classes - 1, 4); in the proposals' order.
        limit: boxes per image and class that are left.
    """
    images, count = proposals.boxes.shape[:2]
    probabilities = logits.softmax(dim=1).reshape(images, count, -1)
    decoded = bx.decode_boxes(deltas, proposals.boxes.reshape(-1, 1, 4), BOX_WEIGHTS)
    boxes = bx.clip_boxes(decoded, size_yx).reshape(images, count, -1, 4)
    found = []
    for number in range(1, probabilities.shape[2]):
        scores = torch.where(proposals.valid, probabilities[..., number], -1.0)
        scores, order = scores.topk(min(count, scores.shape[1]), dim=1)
        own = torch.gather(boxes[:, :, number - 1], 1, order[..., None].expand(-1, -1, 4))
        valid = (scores >= score_threshold) & (bx.box_sides(own) >= 1.0).all(dim=-1)
        kept = bx.nms_mask(own, nms_threshold, valid)
        kept &= kept.cumsum(dim=1) <= limit
        image, position = kept.nonzero(as_tuple=True)
        found.append((own[image, position], scores[image, position], torch.full_like(image, number), image))
    return Detections(*(torch.cat(values) for values in zip(*found, strict=True)))
