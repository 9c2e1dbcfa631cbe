"""Mask R-CNN with volumetric attention (Wang et al., MICCAI 2019, section 3.2): liver and lesion masks.

The paper's bag is 9 images, 27 slices of 1.5 mm; the compact size's 5 images of 3 slices of 2.5 mm reach as
far. See :mod:`.va_rcnn`.
"""

from __future__ import annotations

from .va_rcnn import VaRcnn
from .va_rcnn_config import ATTENDING, COMPACT, PAPER, VaRcnnConfig

SIZES = {"paper": PAPER, "compact": COMPACT, "attending": ATTENDING}


def build(config: VaRcnnConfig) -> VaRcnn:
    """The network for a configuration, as the manifest's loader calls it."""
    return VaRcnn(config)


CONFIG = VaRcnnConfig
