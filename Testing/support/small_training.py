"""A training of seconds: a bright ball in noise, a U-Net of two levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from LiverLesionAILab.data.cases import TrainingCase, encode_hu
from LiverLesionAILab.training.loop import LoopSettings
from LiverLesionAILab.training.sampling import AugmentSettings, CropSampler
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.unet import Unet, UnetConfig

SETTINGS = LoopSettings(
    steps=24, batch=4, learning_rate=5e-3, warmup=2, class_weights=(1.0, 1.0), checkpoint_every=6, log_every=3
)
SPEC = InputSpec((2.5, 2.0, 2.0), (-75.0, 175.0), 3)


def make_case() -> TrainingCase:
    """A bright ball (liver) in darker noise."""
    z, y, x = np.mgrid[:10, :40, :40]
    ball = (z - 5) ** 2 * 4 + (y - 20) ** 2 + (x - 18) ** 2 < 120
    hu = np.where(ball, 100.0, 0.0) + np.random.default_rng(0).normal(0, 10, ball.shape)
    return TrainingCase("ball", "P", encode_hu(hu), ball.astype(np.uint8), SPEC.spacing_zyx_mm)


def make_network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Unet(UnetConfig(in_slices=3, classes=2, widths=(8, 16), norm="batch"))


def make_sampler(seed: int = 0) -> CropSampler:
    return CropSampler([make_case()], {"real": 1.0}, SPEC, 32, seed, AugmentSettings(level_hu=5.0))


PLAIN = replace(SETTINGS, steps=6, dice_weight=0.0, clip=1e9)
"""A loss that is a plain mean over pixels: that of the whole batch is the mean of that of its halves."""


def plain_network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Unet(UnetConfig(in_slices=3, classes=2, widths=(8, 16), norm="none"))
