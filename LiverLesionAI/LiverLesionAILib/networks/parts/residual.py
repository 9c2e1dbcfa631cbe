"""Residual encoder (He et al., CVPR 2016) that gives the features of every stage, for feature pyramids."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .deformable import DeformableConv2d

BlockKind = Literal["bottleneck", "basic"]


def normalised(convolution: nn.Module, channels: int) -> nn.Sequential:
    """A convolution and its batch normalisation, side by side so that they can be folded."""
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def conv3x3(channels_in: int, channels_out: int, stride: int, deformable: bool) -> nn.Module:
    """A 3 x 3 convolution without bias, deformable where asked."""
    if deformable:
        return DeformableConv2d(channels_in, channels_out, stride)
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """A residual block.

    "basic": two 3 x 3 convolutions; "bottleneck": 1 x 1, 3 x 3 and 1 x 1 to four times the width.

    Args:
        channels_in: of the input.
        width: of the 3 x 3 convolutions.
        stride: of the (first) 3 x 3 convolution.
        deformable: whether the 3 x 3 convolutions are.
    """

    def __init__(self, kind: BlockKind, channels_in: int, width: int, stride: int, deformable: bool) -> None:
        super().__init__()
        out = width * expansion(kind)
        if kind == "basic":
            layers = [
                normalised(conv3x3(channels_in, width, stride, deformable), width),
                nn.ReLU(inplace=True),
                normalised(conv3x3(width, width, 1, deformable), width),
            ]
        else:
            layers = [
                normalised(nn.Conv2d(channels_in, width, 1, bias=False), width),
                nn.ReLU(inplace=True),
                normalised(conv3x3(width, width, stride, deformable), width),
                nn.ReLU(inplace=True),
                normalised(nn.Conv2d(width, out, 1, bias=False), out),
            ]
        self.layers = nn.Sequential(*layers)
        self.shortcut = (
            normalised(nn.Conv2d(channels_in, out, 1, stride=stride, bias=False), out)
            if stride > 1 or channels_in != out
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)."""
        return F.relu(self.layers(x) + self.shortcut(x), inplace=True)


def expansion(kind: BlockKind) -> int:
    """Output channels of a block over its width."""
    return 4 if kind == "bottleneck" else 1


class ResidualEncoder(nn.Module):
    """Stem and stages; gives every stage's features.

    Args:
        in_channels: of the image.
        kind: of the blocks.
        depths: blocks per stage; every stage but the first halves the resolution.
        widths: of the stages' 3 x 3 convolutions.
        pooled_stem: the stem of the paper (7 x 7 with stride 2, then max-pooling: stride 4 in all); otherwise
            one 3 x 3 convolution with stride 2.
        deformable: indices of the stages whose 3 x 3 convolutions are deformable.
    """

    def __init__(
        self,
        in_channels: int,
        kind: BlockKind,
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        pooled_stem: bool,
        deformable: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        size = 7 if pooled_stem else 3
        stem = nn.Conv2d(in_channels, widths[0], size, stride=2, padding=size // 2, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        self.pooled = pooled_stem
        channels = widths[0]
        stages = []
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = []
            for number in range(depth):
                stride = 2 if stage and not number else 1
                blocks.append(ResidualBlock(kind, channels, width, stride, stage in deformable))
                channels = width * expansion(kind)
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(width * expansion(kind) for width in widths)
        first = 4 if pooled_stem else 2
        self.strides = tuple(first * 2**stage for stage in range(len(depths)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) -> per stage (B, channels[i], H / strides[i], W / strides[i])."""
        x = self.stem(x)
        if self.pooled:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
