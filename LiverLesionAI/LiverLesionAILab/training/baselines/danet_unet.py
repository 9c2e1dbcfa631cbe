"""U-Net with a dual attention head, the strongest baseline of the MSCD paper's table 1.

Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019.

The deepest features pass a position attention module (equations 1 and 2 of that paper) and a channel
attention module (equations 3 and 4); both are added. What MSCD changes against it: several levels instead of
one, and values that are the features themselves.

Decisions where the paper is silent for an encoder-decoder: the head sits on the deepest level, whose stride
is 16 as in a U-Net (8 in the dilated ResNet of the paper); queries and keys have an eighth of the channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.parts.blocks import initialise
from LiverLesionAILib.networks.unet import SIZES as UNET_SIZES
from LiverLesionAILib.networks.unet import Unet, UnetConfig
from torch import Tensor, nn

SIZES = dict(UNET_SIZES)


class PositionAttention(nn.Module):
    """s_ji = softmax_i(B_i . C_j), E_j = alpha * sum_i s_ji D_i + A_j; alpha starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(8, channels // 8)
        self.key = nn.Conv2d(channels, inner, 1)
        self.query = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        query, key, value = (
            part(x).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        gathered = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return self.alpha * gathered.transpose(1, 2).reshape(x.shape) + x


class ChannelAttention(nn.Module):
    """x_ji = softmax_i(A_i . A_j), E_j = beta * sum_i x_ji A_i + A_j; beta starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        flat = x.flatten(2)
        wide = flat.to(torch.promote_types(flat.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            # A sum over positions hardens as slices grow; the mean keeps what was learnt on crops.
            affinity = (wide @ wide.transpose(1, 2) / flat.shape[2]).softmax(dim=2)
        return self.beta * (affinity.to(x.dtype) @ flat).reshape(x.shape) + x


class DanetUnet(Unet):
    """U-Net with dual attention on its deepest level. Input as :class:`~.unet.Unet`."""

    def __init__(self, config: UnetConfig = SIZES["compact"]) -> None:
        super().__init__(config)
        self.position = PositionAttention(config.widths[-1])
        self.channel = ChannelAttention()
        initialise(self.position)

    def encoded(self, level: int, features: Tensor) -> Tensor:
        """The features; the deepest ones with what both modules gather."""
        if level < len(self.encoder) - 1:
            return features
        return self.position(features) + self.channel(features)


def build(config: UnetConfig) -> DanetUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return DanetUnet(config)


CONFIG = UnetConfig
