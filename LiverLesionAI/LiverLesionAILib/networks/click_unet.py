"""A lesion's outline from clicks: which voxels round this outline belong to what was clicked on?

Interactive segmentation by clicks given as channels beside the image, and by the outline there is so far (Xu
et al. 2016, "Deep Interactive Object Selection"; Sofiiuk et al. 2022, "Reviving Iterative Training with Mask
Guidance for Interactive Segmentation"), by a U-Net in depth (Çiçek et al. 2016) whose 3 x 3 x 3 convolutions
are taken apart into one in the slices and one across them, as in :mod:`.tree_unet`. It computes on pixels
twice as large as those it sees and answers for each of the four in them. What it gives is added to the signed
distance to the outline's surface: it begins with the outline as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts.depth import DepthUnet


@dataclass(frozen=True)
class ClickUnetConfig:
    """Settings of :class:`ClickUnet`.

    Attributes:
        channels: volumes of a crop, see `stages.detect.click_input`.
        distance: which of them is the signed distance to the outline, -1..1.
        widths: channels of the levels, top first; the top one has half the crop's pixels across, all slices.
        gain: of what the levels answer.
        trust: of the outline, to begin with: log odds far inside.
    """

    channels: int = 9
    distance: int = 3
    widths: tuple[int, ...] = (20, 40, 60)
    gain: float = 3.0
    trust: float = 3.0


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
        self.trust = nn.Parameter(torch.tensor(config.trust))
        nn.init.normal_(self.classify.weight, std=0.002)
        nn.init.zeros_(self.classify.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> ClickUnetOutput:
        """Log odds, see the class."""
        batch, _, height, width = x.shape
        # (B * D, 2 * 2, H / 2, W / 2): y and x of a pixel's four.
        four = F.pixel_shuffle(self.answers(self.top(x)), 2).reshape(batch, -1, height, width)
        distance = x.reshape(batch, self.config.channels, -1, height, width)[:, self.config.distance]
        return ClickUnetOutput(self.config.gain * four + self.trust * distance)


def build(config: ClickUnetConfig) -> ClickUnet:
    """The network for a configuration, as the manifest's loader calls it."""
    return ClickUnet(config)
