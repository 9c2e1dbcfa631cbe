"""Feature pyramid network (Lin et al., CVPR 2017): every level sees fine detail and wide context."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Fpn(nn.Module):
    """P_i = conv3x3(conv1x1(C_i) + nearest x 2 (the level above, before its 3 x 3 convolution)).

    Args:
        channels_in: of the encoder's stages, finest first.
        channels: of every pyramid level.
    """

    def __init__(self, channels_in: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in channels_in)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in channels_in)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Stages, finest first, each half as large as the one before -> as many levels of `channels`."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for level in range(len(merged) - 2, -1, -1):
            up = F.interpolate(merged[level + 1], scale_factor=2, mode="nearest")
            merged[level] = merged[level] + up
        return [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]


def with_coarsest(levels: Sequence[Tensor]) -> list[Tensor]:
    """The levels and one more for the largest anchors: each second cell of the last.

    FPN paper, footnote 2 of section 4.1.
    """
    return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]
