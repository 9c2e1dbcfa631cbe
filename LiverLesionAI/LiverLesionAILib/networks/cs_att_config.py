"""Settings of :mod:`.cs_att` and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .parts.blocks import Norm

SLICES_PER_IMAGE = 3


@dataclass(frozen=True)
class CsAttConfig:
    """Settings of :class:`CsAtt`.

    Attributes:
        images: M, odd; the network sees 3 M slices.
        contextual, spatial: the two attentions, each on or off.
        contextual_temperature, spatial_temperature: of their softmax.
        spatial_from: what equation 5 embeds, see :mod:`.cs_att`: "refined" features X', or "input" X.
        widths, convolutions: channels and number of 3 x 3 convolutions of each block of the backbone.
        pooled: whether 2 x 2 max-pooling comes before the block.
        dilation: of the last block's convolutions.
        norm: normalisation of the backbone.
        proposal_width: channels of the proposal network's 3 x 3 convolution.
        anchor_sizes, anchor_ratios: sides of the square of equal area, px; height / width.
        roi_bins, roi_channels: bins a side and channels of position-sensitive pooling.
        aligned: read boxes bilinearly instead of rounding them to cells.
        head_width: of the fully connected layer.
        anchor_overlap: IoU from which an anchor stands for a lesion, and under which for none.
    """

    images: int = 5
    contextual: bool = True
    spatial: bool = True
    contextual_temperature: float = 2.0
    spatial_temperature: float = 3.0
    spatial_from: Literal["refined", "input"] = "refined"
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    convolutions: tuple[int, ...] = (2, 2, 3, 3, 3)
    pooled: tuple[bool, ...] = (False, True, True, True, False)
    dilation: int = 1
    norm: Norm = "none"
    proposal_width: int = 512
    anchor_sizes: tuple[float, ...] = (16.0, 24.0, 32.0, 48.0, 96.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    roi_bins: int = 7
    roi_channels: int = 10
    aligned: bool = False
    head_width: int = 2048
    anchor_overlap: tuple[float, float] = (0.7, 0.3)

    def __post_init__(self) -> None:
        if self.images < 1 or self.images % 2 == 0:
            raise TypeError(f"images is {self.images}; there has to be a middle one")

    @property
    def in_slices(self) -> int:
        """Slices the network sees."""
        return SLICES_PER_IMAGE * self.images


SIZES = {
    # VGG-16 up to conv5_3 without pool4, as 3DCE and the paper have it.
    "paper": CsAttConfig(),
    "compact": CsAttConfig(
        images=3,
        widths=(16, 32, 64, 96),
        convolutions=(2, 2, 3, 3),
        pooled=(False, True, True, False),
        dilation=2,
        norm="batch",
        proposal_width=64,
        anchor_sizes=(8.0, 14.0, 24.0, 44.0, 88.0),
        roi_bins=5,
        roi_channels=8,
        aligned=True,
        head_width=256,
        anchor_overlap=(0.5, 0.3),
    ),
}

# The paper's temperature of 2 is one of VGG's features, which are large: on the compact network's the images
# of a window came out alike (entropy 0.997 of its range). At 0.2 the same embedding has 0.86.
SIZES["attending"] = replace(SIZES["compact"], contextual_temperature=0.2)
