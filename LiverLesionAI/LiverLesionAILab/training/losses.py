"""Losses of networks that draw masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.cases import UNKNOWN

if TYPE_CHECKING:
    from .loop import LoopSettings


def soft_dice_loss(probabilities: Tensor, labels: Tensor, per_image: bool = False) -> Tensor:
    """1 - soft Dice, mean over the classes above 0; unknown pixels do not count.

    Args:
        probabilities: (B, C, H, W), sum 1 over C.
        labels: (B, H, W) int64, 255 unknown.
        per_image: tumour (class 2 and above) is scored image by image, so that a small lesion counts as
            much as a large one and a false one in an image without tumour is not drowned by the batch.
    """
    known = labels != UNKNOWN
    losses = []
    for value in range(1, probabilities.shape[1]):
        truth = ((labels == value) & known).float()
        predicted = probabilities[:, value] * known
        axes = (1, 2) if per_image and value > 1 else (0, 1, 2)
        overlap = (predicted * truth).sum(dim=axes)
        total = predicted.sum(dim=axes) + truth.sum(dim=axes)
        losses.append((1 - (2 * overlap + 20.0) / (total + 20.0)).mean())
    return torch.stack(losses).mean()


def segmentation_loss(logits: Tensor, labels: Tensor, settings: LoopSettings) -> Tensor:
    """Weighted cross entropy (SFAN paper, section 3) plus `dice_weight` times :func:`soft_dice_loss`."""
    logits = logits.float()
    weights = torch.tensor(settings.class_weights, device=logits.device)
    entropy = F.cross_entropy(logits, labels, weight=weights, ignore_index=UNKNOWN)
    if not settings.dice_weight:
        return entropy
    return entropy + settings.dice_weight * soft_dice_loss(
        logits.softmax(dim=1), labels, settings.dice_per_image
    )
