"""Which tree a tube of the liver belongs to, seen with the whole liver round it.

A U-Net in depth (Çiçek et al. 2016, "3D U-Net") whose 3 x 3 x 3 convolutions are taken apart into one in
the slices and one across them (Tran et al. 2018, "R(2+1)D"): fewer weights, and every one of them
two-dimensional, as the loaders and processors here like them. It computes on voxels twice as large as those
it sees and answers for each of the eight in them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .parts.blocks import initialise


@dataclass(frozen=True)
class TreeUnetConfig:
    """Settings of :class:`TreeUnet`.

    Attributes:
        channels: volumes of a view, see `stages.anatomy.tree_view.CHANNELS`.
        widths: channels of the levels, top first; the top one has half the view's resolution.
    """

    channels: int = 12
    widths: tuple[int, ...] = (24, 32, 48, 64)


SIZES = {"compact": TreeUnetConfig()}
CONFIG = TreeUnetConfig


class TreeUnetOutput(NamedTuple):
    """Result of :class:`TreeUnet`: logits (B, D, H, W), log odds that a tube there is a hepatic vein."""

    logits: Tensor
    attention: None = None


class TreeUnet(nn.Module):
    """Names tubes.

    Input: (B, channels * D, H, W), the slices of the first volume, then those of the next; D, H, W multiples
    of :attr:`multiple`.
    """

    def __init__(self, config: TreeUnetConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = _step(config.channels, widths[0], (3, 3), stride=2)
        self.encoder = nn.ModuleList(
            _Block(a, b) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.decoder = nn.ModuleList(_Block(a + b, a) for a, b in itertools.pairwise(widths))
        self.classify = nn.Conv2d(widths[0], 8, 1)
        initialise(self)
        nn.init.normal_(self.classify.weight, std=0.01)

    @property
    def multiple(self) -> int:
        """Depth, height and width of the view must be multiples of this."""
        return int(2 ** len(self.config.widths))

    def forward(self, x: Tensor) -> TreeUnetOutput:
        """Log odds, see the class."""
        batch, _, height, width = x.shape
        volumes = x.reshape(batch, self.config.channels, -1, height, width).transpose(1, 2)
        depth = volumes.shape[1]
        top = self.stem(volumes.reshape(batch * depth, -1, height, width))
        features = top.reshape(batch, depth // 2, 2, *top.shape[1:]).mean(dim=2)
        levels: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(_halved(features) if level else features)
            levels.append(features)
        for level in range(len(self.decoder) - 1, -1, -1):
            features = self.decoder[level](torch.cat([levels[level], _doubled(features)], dim=2))
        eight = self.classify(features.flatten(0, 1))
        # (B * D / 2, 2 * 2 * 2, H / 2, W / 2): z, y and x of a voxel's eight.
        eight = eight.reshape(batch, depth // 2, 2, 2, 2, height // 2, width // 2)
        return TreeUnetOutput(eight.permute(0, 1, 2, 5, 3, 6, 4).reshape(batch, depth, height, width))


def _step(channels_in: int, channels_out: int, kernel: tuple[int, int], stride: int = 1) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _halved(x: Tensor) -> Tensor:
    """(B, D, C, H, W) at half the resolution: the largest of eight."""
    batch, depth, channels, height, width = x.shape
    eight = x.reshape(batch, depth // 2, 2, channels, height // 2, 2, width // 2, 2)
    return eight.amax(dim=(2, 5, 7))


def _doubled(x: Tensor) -> Tensor:
    """(B, D, C, H, W) at twice the resolution, each voxel eight times."""
    return x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)


class _Block(nn.Module):
    """Twice a convolution in the slices and one across them; (B, D, C, H, W) -> (B, D, C', H, W)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.within = nn.ModuleList(_step(n, channels_out, (3, 3)) for n in (channels_in, channels_out))
        self.between = nn.ModuleList(_step(channels_out, channels_out, (3, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for within, between in zip(self.within, self.between, strict=True):
            batch, depth = x.shape[:2]
            planes = within(x.flatten(0, 1))
            channels, height, width = planes.shape[1:]
            columns = planes.reshape(batch, depth, channels, height * width).transpose(1, 2)
            columns = between(columns).transpose(1, 2)
            x = columns.reshape(batch, depth, channels, height, width)
        return x


def build(config: TreeUnetConfig) -> TreeUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return TreeUnet(config)
