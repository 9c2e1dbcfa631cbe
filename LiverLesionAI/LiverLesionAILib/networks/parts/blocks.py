"""Parts that several networks share: convolution blocks and their normalisation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["none", "batch"]


class ConvBlock(nn.Module):
    """Two 3 x 3 convolutions, each with ReLU; batch normalisation between where asked.

    Args:
        channels_in, channels_out: of the block.
        norm: "none" as in the papers of 2015-2019 that train for hours, "batch" where minutes have to do.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm = "none") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in in (channels_in, channels_out):
            layers.append(nn.Conv2d(n_in, channels_out, 3, padding=1, bias=norm == "none"))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(channels_out))
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H, W)."""
        return self.layers(x)


def encoder_levels(in_slices: int, widths: Sequence[int], norm: Norm) -> nn.ModuleList:
    """A block per level, top first; `in_slices` channels go into the first one."""
    return nn.ModuleList(
        ConvBlock(n_in, n_out, norm) for n_in, n_out in zip((in_slices, *widths[:-1]), widths, strict=True)
    )


def decoder_levels(widths: Sequence[int], norm: Norm) -> nn.ModuleList:
    """A block per level but the deepest, top first: from a level's features and the upsampled deeper ones."""
    return nn.ModuleList(
        ConvBlock(upper + deeper, upper, norm) for upper, deeper in itertools.pairwise(widths)
    )


def initialise(module: nn.Module) -> None:
    """Gaussian initialisation of every convolution (He et al. 2015, fan-out), biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def parameter_count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def global_average(x: Tensor) -> Tensor:
    """Global average pooling, (B, C, H, W) -> (B, C, 1, 1), summed in float32 at least."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return x.mean(dim=(2, 3), keepdim=True, dtype=wide).to(x.dtype)


def narrow(x: Tensor) -> bool:
    """Whether it is bfloat16 on a CPU, for which torch has few kernels of its own, and no stand-in."""
    return type(x) is Tensor and x.dtype is torch.bfloat16 and x.device.type == "cpu"


def halved(x: Tensor) -> Tensor:
    """max_pool2d(x, 2) of (B, C, H, W), even sides; in bfloat16 without gradients as maxima of rows."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() or not last or not narrow(x):
        return F.max_pool2d(x, 2)
    count, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).view(count, height // 2, 2, width * channels)
    pairs = torch.maximum(rows[:, :, 0], rows[:, :, 1]).view(count, height // 2, width // 2, 2, channels)
    return torch.maximum(pairs[..., 0, :], pairs[..., 1, :]).permute(0, 3, 1, 2)


class Halving(nn.Module):
    """:func:`halved` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / 2, W / 2)."""
        return halved(x)
