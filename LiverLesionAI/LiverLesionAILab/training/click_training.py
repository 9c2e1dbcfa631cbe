"""Training of the network that answers clicks: its loss, with second clicks where the first answer errs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.stages.detect.click_input import (
    CHANNELS,
    DISTANCE,
    FAR,
    INSIDE,
    OUTSIDE,
    click_channel,
    signed_distance,
)
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from torch import Tensor

from .click_crops import TrainingCrop
from .click_places import worst
from .click_sampling import IGNORED, ClickSampler
from .loop import take_weights, train

if TYPE_CHECKING:
    from torch import nn

    from .recipes import Recipe

AGAIN = 0.5
"""Share of a batch that is answered again: the own answer is its outline, with a click in what is wrong."""

IGNORED_VOXELS = 8
"""No reader clicks on so small an error."""


def answered_again(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The images with the network's own answer as outline, and one more click where it errs.

    Args:
        images: (B, channels * D, H, W); logits: (B, D, H, W), the first answer; labels: alike.
    """
    batch, depth, height, width = labels.shape
    shape = (depth, height, width)
    again = images.clone().reshape(batch, CHANNELS, *shape)
    for number in range(batch):
        drawn, truth = (logits[number] > 0).numpy(), (labels[number] > 0.5).numpy()
        # The last channel holds how many pixels the distance of two slices is, see `click_input.stacked`.
        depth_step = float(2 ** (3 * again[number, -1, 0, 0, 0]))
        spacing = (depth_step, 1.0, 1.0)
        distance = (
            np.clip(signed_distance(drawn, spacing) / FAR, -1, 1) if drawn.any() else np.full(shape, -1.0)
        )
        again[number, DISTANCE] = torch.from_numpy(distance.astype(np.float32))
        found = worst(drawn, truth, spacing, (labels[number] != IGNORED).numpy(), IGNORED_VOXELS)
        if found is not None:
            point, missing = found
            channel = torch.from_numpy(click_channel(np.array([point]), shape, depth_step))
            place = INSIDE if missing else OUTSIDE
            again[number, place] = torch.maximum(again[number, place], channel)
    return again.reshape(images.shape)


def click_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy and soft Dice of every sample; (B, D, H, W) both, `IGNORED` counts nowhere.

    Cross entropy alone would count small lesions for little: a sample's Dice is as large for each.
    """
    known = (labels != IGNORED).float()
    truth, logits = labels.clamp(min=0), logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * known
    # Near the lesion counts more: most of a crop is plain.
    weight = 0.2 + F.max_pool2d((truth > 0.5).float(), 5, 1, 2)
    mean = (entropy * weight).sum(dim=(1, 2, 3)) / (weight * known).sum(dim=(1, 2, 3)).clamp(min=1)
    found, truth = logits.sigmoid() * known, truth * known
    both = (found * truth).sum(dim=(1, 2, 3))
    dice = (2 * both + 1) / (found.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1)
    return (mean + 1 - dice).mean()


def loss_with_second_clicks(network: nn.Module, images: Tensor, labels: Tensor, _step: int) -> Tensor:
    """The loss of a batch, a share of it answered again after a click on where the own answer errs."""
    count = round(AGAIN * len(images))
    if count:
        with torch.no_grad():
            logits = network(images[:count]).logits.float().cpu()
        again = answered_again(images[:count].float().cpu(), logits, labels[:count].cpu())
        images = torch.cat([again.to(images.device, images.dtype), images[count:]])
    return click_loss(network(images).logits, labels)


def fit_clicks(
    chosen: Recipe,
    crops: Sequence[TrainingCrop],
    folder: Path,
    device: str,
    progress: Progress = silent,
    start: Path | None = None,
) -> nn.Module:
    """Train `chosen` on crops round lesions; settings and counts are kept in `run.json`."""
    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if start is not None:
        take_weights(network, torch.load(start, weights_only=True))
    sampler = ClickSampler(crops, chosen.loop.seed)
    counts: dict[str, int] = {}
    for crop in crops:
        counts[crop.meta.kind] = counts.get(crop.meta.kind, 0) + 1
    facts = {
        **asdict(chosen),
        "crops": counts,
        "patients": sorted({crop.meta.patient for crop in crops if crop.meta.patient}),
        "start": None if start is None else start.name,
    }
    write_text(folder / "run.json", json.dumps(facts, indent=1))
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        batch_loss=partial(loss_with_second_clicks, network),
        progress=progress,
        workers=0,
    )
