"""Losses of networks that draw masks."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.volume.masks import components
from scipy import ndimage
from torch import Tensor

from ..data.cases import LIVER_OR_TUMOUR, UNKNOWN
from .optimisers import LoopSettings

TUMOUR = 2
SMOOTH = 20.0
"""Added above and below in a soft Dice, pixels: an image without the class is worth something too."""


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
        losses.append((1 - (2 * overlap + SMOOTH) / (total + SMOOTH)).mean())
    return torch.stack(losses).mean()


def lesion_regions(labels: Tensor) -> tuple[Tensor, list[int]]:
    """Each image divided among its lesions: every pixel belongs to the one nearest to it.

    Args:
        labels: (B, H, W) int64.

    Returns:
        (B, H, W) int64, the lesion's number within its image, from 0 (0 everywhere where there is none), and
        how many lesions each image has.
    """
    regions, counts = [], []
    for tumour in (labels == TUMOUR).cpu().numpy():
        pieces, count = components(tumour[None])
        counts.append(count)
        if count < 2:
            regions.append(np.zeros(tumour.shape, np.int64))
            continue
        nearest = ndimage.distance_transform_edt(~tumour, return_distances=False, return_indices=True)
        regions.append(pieces[0][tuple(nearest)].astype(np.int64) - 1)
    return torch.from_numpy(np.stack(regions)).to(labels.device), counts


def lesion_dice_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice of tumour, lesion by lesion, mean over all lesions of the batch (CC-Dice).

    A small lesion beside a large one counts as much as that one, and what is drawn wrongly counts against the
    lesion nearest to it. Images without a lesion do not count: :func:`soft_dice_loss` has them.

    Args:
        probabilities: (B, C, H, W), sum 1 over C, tumour at 2.
        labels: (B, H, W) int64, 255 unknown, 254 liver or tumour (unknown here too).
    """
    regions, counts = lesion_regions(labels)
    most = max(counts)
    if not most:
        return probabilities.new_zeros(())
    known = (labels != UNKNOWN) & (labels != LIVER_OR_TUMOUR)
    truth, predicted = ((labels == TUMOUR) & known).float(), probabilities[:, TUMOUR] * known
    # Summed by region without a loop over lesions.
    flat = regions.flatten(1)
    sums = [
        torch.zeros(len(counts), most, dtype=predicted.dtype, device=labels.device).scatter_add(1, flat, part)
        for part in (v.flatten(1) for v in (predicted * truth, predicted + truth))
    ]
    dice = (2 * sums[0] + SMOOTH) / (sums[1] + SMOOTH)
    there = (
        torch.arange(most, device=labels.device)[None] < torch.tensor(counts, device=labels.device)[:, None]
    )
    return 1 - dice[there].mean()


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
    """Weighted cross entropy (SFAN paper, section 3) plus `dice_weight` times :func:`soft_dice_loss`.

    With `lesion_dice_weight` the tumour counts lesion by lesion too, see :func:`lesion_dice_loss`.
    """
    logits = logits.float()
    weights = torch.tensor(settings.class_weights, device=logits.device)
    loss = weighted_entropy(logits, labels, weights)
    if not settings.dice_weight and not settings.lesion_dice_weight:
        return loss
    probabilities = logits.softmax(dim=1)
    if settings.dice_weight:
        loss = loss + settings.dice_weight * soft_dice_loss(probabilities, labels, settings.dice_per_image)
    if settings.lesion_dice_weight:
        loss = loss + settings.lesion_dice_weight * lesion_dice_loss(probabilities, labels)
    return loss
