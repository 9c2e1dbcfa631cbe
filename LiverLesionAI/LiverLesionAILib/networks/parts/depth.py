"""Parts of networks that see depth by two-dimensional convolutions.

A 3 x 3 x 3 convolution is taken apart into one in the slices and one across them (Tran et al. 2018,
"R(2+1)D"): fewer weights, and every one of them two-dimensional, as the loaders and processors here like
them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import initialise


def plane_step(
    channels_in: int, channels_out: int, kernel: tuple[int, int], stride: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size (but for its stride), batch norm, ReLU."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def halved(x: Tensor) -> Tensor:
    """(B, D, C, H, W) at half the resolution: the largest of eight."""
    batch, depth, channels, height, width = x.shape
    eight = x.reshape(batch, depth // 2, 2, channels, height // 2, 2, width // 2, 2)
    return eight.amax(dim=(2, 5, 7))


def doubled(x: Tensor) -> Tensor:
    """(B, D, C, H, W) at twice the resolution, each voxel eight times."""
    return x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)


class DepthBlock(nn.Module):
    """Twice a convolution in the slices and one across them; (B, D, C, H, W) -> (B, D, C', H, W)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.within = nn.ModuleList(plane_step(n, channels_out, (3, 3)) for n in (channels_in, channels_out))
        self.between = nn.ModuleList(plane_step(channels_out, channels_out, (3, 1)) for _ in range(2))

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


class DepthUnet(nn.Module):
    """A U-Net in depth: the way in, down and up that :mod:`..click_unet` and :mod:`..tree_unet` share.

    It computes on pixels twice as large as those it sees; `answers` values of each leave it, one for every
    pixel (or voxel) in it.
    """

    def __init__(self, channels: int, widths: Sequence[int], answers: int) -> None:
        super().__init__()
        self.channels = channels
        self.stem = plane_step(channels, widths[0], (3, 3), stride=2)
        self.encoder = nn.ModuleList(
            DepthBlock(a, b) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.decoder = nn.ModuleList(DepthBlock(a + b, a) for a, b in itertools.pairwise(widths))
        self.classify = nn.Conv2d(widths[0], answers, 1)
        initialise(self)
        nn.init.normal_(self.classify.weight, std=0.01)

    @property
    def multiple(self) -> int:
        """Depth, height and width of what it sees must be multiples of this."""
        return int(2 ** len(self.encoder))

    def top(self, x: Tensor) -> Tensor:
        """(B, channels * D, H, W) -> (B, D, C, H / 2, W / 2): the volumes' slices through the stem."""
        batch, _, height, width = x.shape
        volumes = x.reshape(batch, self.channels, -1, height, width).transpose(1, 2)
        depth = volumes.shape[1]
        top = self.stem(volumes.reshape(batch * depth, -1, height, width))
        return top.reshape(batch, depth, *top.shape[1:])

    def answers(self, features: Tensor) -> Tensor:
        """Down and up again: (B, D, C, H, W) -> (B * D, answers, H, W)."""
        levels: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(halved(features) if level else features)
            levels.append(features)
        for level in range(len(self.decoder) - 1, -1, -1):
            features = self.decoder[level](torch.cat([levels[level], doubled(features)], dim=2))
        return self.classify(features.flatten(0, 1))
