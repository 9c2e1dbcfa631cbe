"""A lesion's outline from clicks: which voxels round this point belong to what was clicked on?

Interactive segmentation by clicks given as channels beside the image (Xu et al. 2016, "Deep Interactive
Object Selection"; Sofiiuk et al. 2022, "Reviving Iterative Training with Mask Guidance for Interactive
Segmentation"), by a U-Net in depth (Çiçek et al. 2016) whose 3 x 3 x 3 convolutions are taken apart into
one in the slices and one across them, as in :mod:`.tree_unet`. It computes on pixels twice as large as
those it sees and answers for each of the four in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .parts.depth import DepthUnet

DEPTH, EDGE = 16, 48
"""Slices and pixels of a crop."""


@dataclass(frozen=True)
class ClickUnetConfig:
    """Settings of :class:`ClickUnet`.

    Attributes:
        channels: volumes of a crop, see `stages.detect.click_input`.
        widths: channels of the levels, top first; the top one has half the crop's pixels across, all slices.
        gain, offset: of the log odds. Without them (1 and 0) networks learnt what is not lesion alone, and
            what is came out as even odds: no feature stood for it, and the bias moves slowly.
    """

    channels: int = 6
    widths: tuple[int, ...] = (24, 48, 72)
    gain: float = 3.0
    offset: float = 2.0


SIZES = {"compact": ClickUnetConfig()}
CONFIG = ClickUnetConfig


class ClickUnetOutput(NamedTuple):
    """Result of :class:`ClickUnet`: logits (B, D, H, W), log odds of belonging to what was clicked on."""

    logits: Tensor
    attention: None = None


class ClickUnet(DepthUnet):
    """Outlines what was clicked on.

    Input: (B, channels * D, H, W), the slices of the first volume, then those of the next; D, H and W
    multiples of :attr:`multiple`.
    """

    def __init__(self, config: ClickUnetConfig = SIZES["compact"]) -> None:
        super().__init__(config.channels, config.widths, 4)
        self.config = config

    def forward(self, x: Tensor) -> ClickUnetOutput:
        """Log odds, see the class."""
        batch, _, height, width = x.shape
        features = self.top(x)
        depth = features.shape[1]
        four = self.answers(features)
        # (B * D, 2 * 2, H / 2, W / 2): y and x of a pixel's four.
        four = four.reshape(batch, depth, 2, 2, height // 2, width // 2)
        logits = four.permute(0, 1, 4, 2, 5, 3).reshape(batch, depth, height, width)
        return ClickUnetOutput(self.config.gain * logits + self.config.offset)


def build(config: ClickUnetConfig) -> ClickUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return ClickUnet(config)
