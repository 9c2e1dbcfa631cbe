"""Losses of networks that draw masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.cases import LIVER_OR_TUMOUR, UNKNOWN
from .optimisers import LoopSettings


def soft_dice_loss(probabilities: Tensor, labels: Tensor, per_image: bool = False) -> Tensor:
    """1 - soft Dice, mean over the classes above 0; unknown pixels do not count.

    Args:
        probabilities: (B, C, H, W), sum 1 over C.
        labels: (B, H, W) int64, 255 unknown, 254 liver or tumour (unknown here too).
        per_image: tumour (class 2 and above) is scored image by image, so that a small lesion counts as
            much as a large one and a false one in an image without tumour is not drowned by the batch.
    """
    known = (labels != UNKNOWN) & (labels != LIVER_OR_TUMOUR)
    losses = []
    for value in range(1, probabilities.shape[1]):
        truth = ((labels == value) & known).float()
        predicted = probabilities[:, value] * known
        axes = (1, 2) if per_image and value > 1 else (0, 1, 2)
        overlap = (predicted * truth).sum(dim=axes)
        total = predicted.sum(dim=axes) + truth.sum(dim=axes)
        losses.append((1 - (2 * overlap + 20.0) / (total + 20.0)).mean())
    return torch.stack(losses).mean()


def weighted_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross entropy, its mean by weight; where a label is "liver or tumour", of the two together.

    Args:
        logits: (B, C, H, W); labels: (B, H, W) int64, 255 unknown, 254 liver or tumour; weights: (C,).
    """
    either = labels == LIVER_OR_TUMOUR
    if not bool(either.any()):
        return F.cross_entropy(logits, labels, weight=weights, ignore_index=UNKNOWN)
    sure = torch.where(either, UNKNOWN, labels)
    total = F.cross_entropy(logits, sure, weight=weights, ignore_index=UNKNOWN, reduction="sum")
    # -log(p_liver + p_tumour): what is asked is that the pixel belongs to the liver.
    marginal = torch.logsumexp(logits, dim=1) - torch.logsumexp(logits[:, 1:], dim=1)
    total = total + weights[1] * marginal[either].sum()
    counted = weights[sure[sure != UNKNOWN]].sum() + weights[1] * either.sum()
    return total / counted


def segmentation_loss(logits: Tensor, labels: Tensor, settings: LoopSettings) -> Tensor:
    """Weighted cross entropy (SFAN paper, section 3) plus `dice_weight` times :func:`soft_dice_loss`."""
    logits = logits.float()
    weights = torch.tensor(settings.class_weights, device=logits.device)
    entropy = weighted_entropy(logits, labels, weights)
    if not settings.dice_weight:
        return entropy
    return entropy + settings.dice_weight * soft_dice_loss(
        logits.softmax(dim=1), labels, settings.dice_per_image
    )
