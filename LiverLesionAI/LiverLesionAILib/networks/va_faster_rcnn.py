"""Faster R-CNN with volumetric attention: lesion boxes from a bag of 3 images.

Wang et al., MICCAI 2019, section 3.3.

See :mod:`.va_rcnn`. The paper's best detector is deformable: `deformable=(1, 2, 3)`.
"""

from __future__ import annotations

from dataclasses import replace

from .va_rcnn import VaRcnn
from .va_rcnn_config import ATTENDING, COMPACT, PAPER, VaRcnnConfig

SIZES = {
    "paper": replace(PAPER, bag=3, classes=2, mask=False),
    "compact": replace(COMPACT, bag=3, classes=2, mask=False),
    "attending": replace(ATTENDING, bag=3, bag_step=3, classes=2, mask=False),
}


def build(config: VaRcnnConfig) -> VaRcnn:
    """The network for a configuration, as the manifest's loader calls it."""
    return VaRcnn(config)


CONFIG = VaRcnnConfig
