"""A second look at one candidate: is what lies in the middle of this crop a lesion of the liver?

A compact network over a crop round the candidate, its 3 x 3 x 3 convolutions taken apart into one
in the slices and one across them (Tran et al. 2018, "R(2+1)D"): fewer weights, and every one of them
two-dimensional, as the loaders and processors here like them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from LiverLesionAILib.networks.parts.blocks import initialise
from torch import Tensor, nn


@dataclass(frozen=True)
class SecondLookConfig:
    """Settings of :class:`SecondLook`.

    Attributes:
        depth: slices of a crop, a multiple of 8.
        channels: volumes of a crop: CT, the first network's probability, the candidate's mask.
        widths: channels of the four levels.
        dropout: before the answer, in training.
    """

    depth: int = 24
    channels: int = 3
    widths: tuple[int, int, int, int] = (20, 32, 48, 64)
    dropout: float = 0.3


SIZES = {"compact": SecondLookConfig()}
CONFIG = SecondLookConfig


class SecondLookOutput(NamedTuple):
    """Result of :class:`SecondLook`: logits (B,), log odds that the candidate is a lesion."""

    logits: Tensor
    attention: None = None


class SecondLook(nn.Module):
    """Judges candidates.

    Input: (B, channels * depth + 1, H, W), values about -1..1, H and W multiples of 16. First the slices of
    the CT, then those of each further channel; last a plane that holds the crop's enlargement everywhere
    (log2 of its voxels against the usual ones): what is shown at half the size is twice as large.
    """

    def __init__(self, config: SecondLookConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        levels: list[nn.Module] = []
        for n_in, n_out in zip((config.channels, *config.widths[:-1]), config.widths, strict=True):
            # The first level sees slices at half their resolution, but every slice.
            levels.append(_Level(n_in, n_out, across=bool(levels)))
        self.levels = nn.ModuleList(levels)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(2 * config.widths[-1] + 1, 1)
        initialise(self)
        nn.init.normal_(self.classify.weight, std=0.01)

    def forward(self, x: Tensor) -> SecondLookOutput:
        """Log odds, see the class."""
        volumes, plane = x[:, :-1], x[:, -1:]
        count, depth = self.config.channels, self.config.depth
        features = volumes.reshape(len(x), count, depth, *volumes.shape[2:])
        for level in self.levels:
            features = level(features)
        flat = features.flatten(2)
        pooled = torch.cat([flat.mean(dim=2), flat.amax(dim=2), plane.mean(dim=(2, 3))], dim=1)
        return SecondLookOutput(self.classify(self.dropout(pooled))[:, 0])


class _Level(nn.Module):
    """Two convolutions in the slices, the first of stride 2, each followed by one across them.

    Args:
        across: whether the number of slices is halved too.
    """

    def __init__(self, channels_in: int, channels_out: int, across: bool) -> None:
        super().__init__()
        self.across = across

        def step(n_in: int, kernel: tuple[int, int], stride: int) -> nn.Module:
            padding = (kernel[0] // 2, kernel[1] // 2)
            return nn.Sequential(
                nn.Conv2d(n_in, channels_out, kernel, stride, padding, bias=False),
                nn.BatchNorm2d(channels_out),
                nn.ReLU(inplace=True),
            )

        self.within = nn.ModuleList((step(channels_in, (3, 3), 2), step(channels_out, (3, 3), 1)))
        self.between = nn.ModuleList(step(channels_out, (3, 1), 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, D, H, W) -> (B, C_out, D or D / 2, H / 2, W / 2)."""
        if self.across:
            x = 0.5 * (x[:, :, ::2] + x[:, :, 1::2])
        for within, between in zip(self.within, self.between, strict=True):
            batch, channels, depth, height, width = x.shape
            planes = within(x.transpose(1, 2).reshape(batch * depth, channels, height, width))
            _, channels, height, width = planes.shape
            columns = planes.reshape(batch, depth, channels, height * width).transpose(1, 2)
            x = between(columns).reshape(batch, channels, depth, height, width)
        return x


def build(config: SecondLookConfig) -> SecondLook:
    """The network for a configuration, as the manifest's loader calls it."""
    return SecondLook(config)
