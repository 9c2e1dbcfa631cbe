"""Settings of a training run, its optimiser and its schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class LoopSettings:
    """How to train.

    Attributes:
        steps: number of optimiser steps.
        batch: samples a step.
        learning_rate: peak.
        weight_decay: AdamW's.
        warmup: steps of linear warm-up; the rest is a cosine to 1 % of the peak.
        class_weights: of the cross entropy, per class.
        dice_weight: weight of the soft Dice term (classes above 0, over the batch).
        dice_per_image: the tumour's part of it image by image; see :func:`~.losses.soft_dice_loss`.
        lesion_dice_weight: weight of a soft Dice lesion by lesion; see :func:`~.losses.lesion_dice_loss`.
        clip: largest gradient norm.
        ema: decay of the moving average of the weights.
        seed: of the initialisation; samples carry their own.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations, where there is something to validate on.
        patience: so many validations without a better one end the training; 0 never ends it early.
        log_every: steps between rows of the curve.
        without: what was left out of the training data, see :mod:`.ablation`; kept with the checkpoint.
        optimiser: "adamw", "adam", or "sgd" with `momentum`.
        schedule: after the warm-up "cosine", "constant", or "steps": a tenth from each of `milestones` on,
            shares of the steps.
    """

    steps: int = 6000
    batch: int = 12
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warmup: int = 150
    class_weights: tuple[float, ...] = (1.0, 1.0, 2.0)
    dice_weight: float = 1.0
    dice_per_image: bool = False
    lesion_dice_weight: float = 0.0
    clip: float = 5.0
    ema: float = 0.998
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 25
    validate_every: int = 100
    patience: int = 0
    without: tuple[str, ...] = ()
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    schedule: Literal["cosine", "constant", "steps"] = "cosine"
    milestones: tuple[float, ...] = ()


def learning_rate(step: int, settings: LoopSettings) -> float:
    """The schedule: linear warm-up, then cosine to 1 % of the peak, or constant, or steps of a tenth."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule != "cosine":
        passed = sum(step >= round(share * settings.steps) for share in settings.milestones)
        return settings.learning_rate * 0.1 ** (passed if settings.schedule == "steps" else 0)
    along = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, along))))


def optimiser_of(network: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    # Convolutions count most; the fused kernel keeps the optimiser's share of a step small.
    named: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }
    if settings.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=settings.momentum, **named)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(network.parameters(), **named)
