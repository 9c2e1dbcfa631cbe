"""U-Net with squeeze-and-excitation, the baseline "SENet" of the MSCD paper's table 1.

Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018.

Every encoder level's features are weighted channel by channel by what the whole slice shows:
s = sigmoid(W_2 ReLU(W_1 gap(x))), x' = s x (equations 2 to 4 of that paper), reduction 4 in narrow levels, 16
in wide ones, so that at least 8 channels are left.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.parts.blocks import global_average, initialise
from LiverLesionAILib.networks.unet import SIZES as UNET_SIZES
from LiverLesionAILib.networks.unet import Unet, UnetConfig
from torch import Tensor, nn

SIZES = dict(UNET_SIZES)


class SqueezeExcitation(nn.Module):
    """Channel weights from the mean over space."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(8, channels // reduction)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(global_average(x)))))


class SeUnet(Unet):
    """U-Net with squeeze-and-excitation after every encoder level. Input as :class:`~.unet.Unet`."""

    def __init__(self, config: UnetConfig = SIZES["compact"]) -> None:
        super().__init__(config)
        self.excitations = nn.ModuleList(SqueezeExcitation(width) for width in config.widths)
        initialise(self.excitations)

    def encoded(self, level: int, features: Tensor) -> Tensor:
        """The features, channel by channel weighted."""
        return self.excitations[level](features)


def build(config: UnetConfig) -> SeUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return SeUnet(config)


CONFIG = UnetConfig
