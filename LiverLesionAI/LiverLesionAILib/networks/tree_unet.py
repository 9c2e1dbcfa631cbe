"""Which tree a tube of the liver belongs to, seen with the whole liver round it.

A U-Net in depth (Çiçek et al. 2016, "3D U-Net") whose 3 x 3 x 3 convolutions are taken apart into one in
the slices and one across them (Tran et al. 2018, "R(2+1)D"): fewer weights, and every one of them
two-dimensional, as the loaders and processors here like them. It computes on voxels twice as large as those
it sees and answers for each of the eight in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .parts.depth import DepthUnet


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


class TreeUnet(DepthUnet):
    """Names tubes.

    Input: (B, channels * D, H, W), the slices of the first volume, then those of the next; D, H, W multiples
    of :attr:`multiple`.
    """

    def __init__(self, config: TreeUnetConfig = SIZES["compact"]) -> None:
        super().__init__(config.channels, config.widths, 8)
        self.config = config

    def forward(self, x: Tensor) -> TreeUnetOutput:
        """Log odds, see the class."""
        batch, _, height, width = x.shape
        top = self.top(x)
        depth = top.shape[1]
        eight = self.answers(top.reshape(batch, depth // 2, 2, *top.shape[2:]).mean(dim=2))
        # (B * D / 2, 2 * 2 * 2, H / 2, W / 2): z, y and x of a voxel's eight.
        eight = eight.reshape(batch, depth // 2, 2, 2, 2, height // 2, width // 2)
        return TreeUnetOutput(eight.permute(0, 1, 2, 5, 3, 6, 4).reshape(batch, depth, height, width))


def build(config: TreeUnetConfig) -> TreeUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return TreeUnet(config)
