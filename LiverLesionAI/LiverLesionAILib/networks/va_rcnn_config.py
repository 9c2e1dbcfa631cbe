"""Settings of the networks with volumetric attention, in the paper's size and a compact one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .parts.residual import BlockKind


@dataclass(frozen=True)
class VaRcnnConfig:
    """Settings of :class:`.va_rcnn.VaRcnn`.

    Attributes:
        in_slices: adjacent slices of a 2.5D image, odd.
        classes: background included; 3: background, liver, lesion; 2: background, lesion.
        bag: images per bag, odd (1, 3, 7, 9, 11 in the paper); bag_step: slices between them.
        block, depths, widths, pooled_stem: of the encoder, see :class:`.residual.ResidualEncoder`.
        deformable: indices of stages with deformable convolutions, (1, 2, 3) for conv3 to conv5; () for none.
        pyramid_channels: of the feature pyramid.
        anchor_sizes: one per level, coarsest extra level included, pixels; anchor_ratios: height / width.
        channel, spatial: branches of volumetric attention; with both off this is plain Mask / Faster R-CNN.
        attend_before: "rpn", on the pyramid, or "head", on pooled features (table 2e).
        reduction: of the channel branch; mean_affinity: see :mod:`.volumetric_attention`.
        normalised_embedding, channel_units: of the channel branch: its embeddings normalised so that neither
            S nor the gate saturates, and how many units it has (0: C / reduction, at least 4).
        mask: whether there is a mask head; mask_width, mask_depth: of it.
        head_width: of the box head.
        proposals_before: per level, before suppression; proposals: per image, after it.
        rpn_samples, head_samples: anchors and proposals per image to learn from; a quarter of the latter, at
            most, stand for objects.
        rpn_overlap: IoU from which an anchor stands for an object. The paper's 0.7 leaves most small lesions
            one anchor each; 0.5 finds them in a training of minutes.
        dense: whether a map of the classes is learnt beside, from the finest level of the targets. The paper
            starts from weights of COCO and DeepLesion; from scratch, boxes of a few lesions teach an encoder
            too little. Where there is one, the liver's outline is taken from it: an organ of 20 cm on a 28 x
            28 raster is coarse.
        score_threshold: detections below it are not reported; nms_threshold: of detections of one class.
        detections: per image and class, at most.
    """

    in_slices: int = 3
    classes: int = 3
    bag: int = 9
    bag_step: int = 3
    block: BlockKind = "bottleneck"
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    pooled_stem: bool = True
    deformable: tuple[int, ...] = ()
    pyramid_channels: int = 256
    anchor_sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    channel: bool = True
    spatial: bool = True
    attend_before: Literal["rpn", "head"] = "rpn"
    reduction: int = 16
    mean_affinity: bool = False
    normalised_embedding: bool = False
    channel_units: int = 0
    mask: bool = True
    mask_width: int = 256
    mask_depth: int = 4
    head_width: int = 1024
    proposals_before: int = 1000
    proposals: int = 1000
    rpn_samples: int = 256
    head_samples: int = 512
    rpn_overlap: float = 0.7
    dense: bool = False
    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    detections: int = 100


PAPER = VaRcnnConfig()
COMPACT = VaRcnnConfig(
    bag=5,
    block="basic",
    depths=(1, 2, 2, 2),
    widths=(24, 48, 96, 144),
    pooled_stem=False,
    pyramid_channels=40,
    anchor_sizes=(8, 16, 32, 64, 128),
    mean_affinity=True,
    mask_width=40,
    mask_depth=2,
    head_width=192,
    proposals_before=96,
    proposals=64,
    rpn_samples=96,
    head_samples=48,
    rpn_overlap=0.5,
    dense=True,
    detections=20,
)
ATTENDING = replace(COMPACT, bag=9, bag_step=2, normalised_embedding=True, channel_units=16)
"""Compact, with the paper's bag of 9 images (2 slices of 2.5 mm apart they reach as far) and its 16 units."""
