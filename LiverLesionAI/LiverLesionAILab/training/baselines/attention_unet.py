"""Attention U-Net, a baseline of the MSCD paper's table 1.

Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018.

A U-Net whose skip connections pass an additive attention gate (equations 1 and 2 of that paper): where the
skip's features agree with the coarser decoder features they pass, elsewhere they are damped.

Decisions where the paper is silent: the gate's inner width is half the skip's channels; the gate looks at the
decoder's features at their own, coarser resolution, and its weight is upsampled bilinearly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.parts.blocks import initialise
from LiverLesionAILib.networks.unet import SIZES as UNET_SIZES
from LiverLesionAILib.networks.unet import Unet, UnetConfig
from torch import Tensor, nn

SIZES = dict(UNET_SIZES)


class AttentionGate(nn.Module):
    """alpha = sigmoid(psi(ReLU(W_x x + W_g g))), one weight a position."""

    def __init__(self, channels: int, gating: int) -> None:
        super().__init__()
        inner = max(4, channels // 2)
        self.of_skip = nn.Conv2d(channels, inner, 1, bias=False)
        self.of_gate = nn.Conv2d(gating, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """Features x (B, C, H, W) and g (B, C', H/2, W/2) -> alpha (B, 1, H, W) in 0..1."""
        coarse = F.avg_pool2d(self.of_skip(x), 2) + self.of_gate(g)
        weight = torch.sigmoid(self.psi(F.relu(coarse)))
        return F.interpolate(weight, scale_factor=2, mode="bilinear", align_corners=False)


class AttentionUnet(Unet):
    """U-Net with a gate on every skip connection. Input as :class:`~.unet.Unet`."""

    def __init__(self, config: UnetConfig = SIZES["compact"]) -> None:
        super().__init__(config)
        self.gates = nn.ModuleList(
            AttentionGate(config.widths[i], config.widths[i + 1]) for i in range(len(config.widths) - 1)
        )
        initialise(self.gates)

    def skip(self, level: int, features: Tensor, deeper: Tensor) -> Tensor:
        """The features times their gate."""
        return features * self.gates[level](features, deeper)


def build(config: UnetConfig) -> AttentionUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return AttentionUnet(config)


CONFIG = UnetConfig
