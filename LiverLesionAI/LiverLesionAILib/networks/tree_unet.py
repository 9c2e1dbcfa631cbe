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
from .parts.depth import DepthBlock, doubled, halved, plane_step


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
        self.stem = plane_step(config.channels, widths[0], (3, 3), stride=2)
        self.encoder = nn.ModuleList(
            DepthBlock(a, b) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.decoder = nn.ModuleList(DepthBlock(a + b, a) for a, b in itertools.pairwise(widths))
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
            features = block(halved(features) if level else features)
            levels.append(features)
        for level in range(len(self.decoder) - 1, -1, -1):
            features = self.decoder[level](torch.cat([levels[level], doubled(features)], dim=2))
        eight = self.classify(features.flatten(0, 1))
        # (B * D / 2, 2 * 2 * 2, H / 2, W / 2): z, y and x of a voxel's eight.
        eight = eight.reshape(batch, depth // 2, 2, 2, 2, height // 2, width // 2)
        return TreeUnetOutput(eight.permute(0, 1, 2, 5, 3, 6, 4).reshape(batch, depth, height, width))


def build(config: TreeUnetConfig) -> TreeUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return TreeUnet(config)
