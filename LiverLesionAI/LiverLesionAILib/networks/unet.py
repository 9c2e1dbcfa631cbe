"""U-Net (Ronneberger et al. 2015), the baseline of every comparison and, small, the coarse liver finder.

Five levels of two 3 x 3 convolutions; nearest upsampling followed by the block's convolutions instead of
transposed
convolutions (no checkerboard, fewer parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts.blocks import Norm, decoder_levels, encoder_levels, halved, initialise


@dataclass(frozen=True)
class UnetConfig:
    """Settings of :class:`Unet`.

    Attributes:
        in_slices: neighbouring slices stacked as input channels, odd.
        classes: number of output classes.
        widths: channels of the levels, top first.
        norm: normalisation.
    """

    in_slices: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    norm: Norm = "none"


SIZES = {
    "paper": UnetConfig(),
    "compact": UnetConfig(in_slices=5, widths=(16, 32, 64, 128, 192), norm="batch"),
}


class UnetOutput(NamedTuple):
    """Result of :class:`Unet`: logits (B, classes, H, W); a U-Net has no attention."""

    logits: Tensor
    attention: None = None


class Unet(nn.Module):
    """U-Net. Input: (B, in_slices, H, W), H and W multiples of 2**(levels - 1), values about -1..1."""

    def __init__(self, config: UnetConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = encoder_levels(config.in_slices, widths, config.norm)
        self.decoder = decoder_levels(widths, config.norm)
        self.classify = nn.Conv2d(widths[0], config.classes, 1)
        initialise(self)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    def forward(self, x: Tensor, return_attention: bool = False) -> UnetOutput:
        """Class logits at the input's resolution."""
        levels: list[Tensor] = []
        for depth, block in enumerate(self.encoder):
            x = self.encoded(depth, block(x if depth == 0 else halved(x)))
            levels.append(x)
        for level in range(len(self.decoder) - 1, -1, -1):
            skip = self.skip(level, levels[level], x)
            up = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.decoder[level](torch.cat([skip, up], dim=1))
        return UnetOutput(self.classify(x))

    def encoded(self, level: int, features: Tensor) -> Tensor:
        """What goes on from an encoder level, (B, C, H, W): the features; some baselines weight them."""
        return features

    def skip(self, level: int, features: Tensor, deeper: Tensor) -> Tensor:
        """What a decoder level gets from the encoder's; `deeper` is what it upsamples, (B, C', H/2, W/2)."""
        return features


def build(config: UnetConfig) -> Unet:
    """The network for a configuration, as the manifest's loader calls it."""
    return Unet(config)


CONFIG = UnetConfig
