"""What :mod:`.va_mask_rcnn` and :mod:`.va_faster_rcnn` have in common.

Mask R-CNN and Faster R-CNN with volumetric attention (Wang et al., MICCAI 2019, figure 2).

A 2.5D image is `in_slices` adjacent slices; features are extracted from every image alone. For a target the
features of its bag are weighted by :mod:`.volumetric_attention`, then RPN and heads work as without it. So
an image's features are computed once, however many bags it is in: training draws several targets from one
slab, inference walks through the volume.

Decisions where the paper is silent:
- Images of a bag are `bag_step` = 3 slices apart: 9 images are then the 27 slices of the paper's table 2f.
- Classes: background, liver, lesion for masks (section 3.2); background, lesion for boxes.
- `norm` is batch normalisation that learns: the paper's is frozen at ImageNet's statistics.
- The compact size starts at stride 2 with a narrow residual encoder: its pixels are 2.4 times as wide as the
  paper's, so its finest level has cells about as wide as the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts import boxes as bx
from .parts.blocks import initialise
from .parts.deformable import DeformableConv2d
from .parts.fpn import Fpn, with_coarsest
from .parts.rcnn import (
    BOX_CELLS,
    MASK_CELLS,
    BoxHead,
    Detections,
    MaskHead,
    box_losses,
    mask_loss,
    pick_detections,
    sample_proposals,
)
from .parts.rcnn_pooling import pyramid_level, roi_align
from .parts.residual import ResidualEncoder
from .parts.rpn import Proposals, Rpn, Truth, propose, rpn_loss
from .va_rcnn_config import COMPACT, VaRcnnConfig
from .volumetric_attention import Embedded, LevelAttention, VolumetricAttention, bag_indices

UNKNOWN_LABEL = 255

LESION_WEIGHT = 3.0
"""Of lesion pixels in the dense map's cross entropy."""


class Features(NamedTuple):
    """What is known of M images, each by itself.

    Attributes:
        levels: (M, channels, H / stride, W / stride) per level, finest first.
        embedded: per level, for attention before the RPN; () without.
    """

    levels: tuple[Tensor, ...]
    embedded: tuple[Embedded, ...] = ()

    def rows(self, which: slice) -> Features:
        """Those of some of the images."""
        return self._each([self], lambda parts: parts[0][which])

    @classmethod
    def joined(cls, parts: Sequence[Features]) -> Features:
        """Those of several groups of images, one after the other."""
        return cls._each(parts, torch.cat)

    @classmethod
    def _each(cls, parts: Sequence[Features], do: Callable[[list[Tensor]], Tensor]) -> Features:
        def one(tensors: Iterable[Tensor | None]) -> Tensor | None:
            there = [tensor for tensor in tensors if tensor is not None]
            return do(there) if there else None

        return cls(
            tuple(do(list(same)) for same in zip(*(p.levels for p in parts), strict=True)),
            tuple(
                Embedded(one(e.channel for e in same), one(e.spatial for e in same))
                for same in zip(*(p.embedded for p in parts), strict=True)
            ),
        )


class VaRcnnOutput(NamedTuple):
    """Result of :class:`VaRcnn` for T targets.

    Attributes:
        detections: of all targets.
        attention: per pyramid level, finest first; only where asked for, and only with attention on the
            pyramid.
        dense: class logits (T, classes, H / stride, W / stride) where the network has such a map.
    """

    detections: Detections
    attention: tuple[LevelAttention, ...] | None = None
    dense: Tensor | None = None


class VaRcnn(nn.Module):
    """The network. Images: (M, in_slices, H, W), H and W multiples of `multiple`, values about -1..1."""

    def __init__(self, config: VaRcnnConfig = COMPACT) -> None:
        super().__init__()
        self.config = config
        self.encoder = ResidualEncoder(
            config.in_slices,
            config.block,
            config.depths,
            config.widths,
            config.pooled_stem,
            config.deformable,
        )
        channels = config.pyramid_channels
        self.strides = self.encoder.strides
        self.fpn = Fpn(self.encoder.channels, channels)
        on_heads = config.attend_before == "head"
        places = (1 + config.mask) if on_heads else len(self.strides)
        self.attention = nn.ModuleList(
            VolumetricAttention(
                channels,
                config.channel,
                config.spatial,
                config.reduction,
                config.mean_affinity,
                normalised=config.normalised_embedding,
                units=config.channel_units,
            )
            for _ in range(places if config.channel or config.spatial else 0)
        )
        self.rpn = Rpn(channels, config.anchor_sizes, config.anchor_ratios)
        self.box_head = BoxHead(channels, config.head_width, config.classes)
        self.mask_head = (
            MaskHead(channels, config.mask_width, config.mask_depth, config.classes) if config.mask else None
        )
        self.dense = nn.Conv2d(channels, config.classes, 1) if config.dense else None
        self._initialise()

    def _initialise(self) -> None:
        initialise(self)
        # Final layers start small, as in the R-CNN papers: nothing is found, no box is moved.
        for layer, sd in (
            (self.rpn.objectness, 0.01),
            (self.rpn.deltas, 0.01),
            (self.box_head.score, 0.01),
            (self.box_head.deltas, 0.001),
        ):
            nn.init.normal_(layer.weight, std=sd)
        for part in self.modules():
            if isinstance(part, VolumetricAttention):
                part.open_gates()
            elif isinstance(part, DeformableConv2d):
                part.zero_offsets()

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.strides[-1]

    @property
    def on_pyramid(self) -> bool:
        """Whether there is volumetric attention before the RPN."""
        return bool(len(self.attention)) and self.config.attend_before == "rpn"

    @property
    def on_heads(self) -> bool:
        """Whether there is volumetric attention on pooled features."""
        return bool(len(self.attention)) and self.config.attend_before == "head"

    def features(self, images: Tensor) -> Features:
        """What is known of images (M, in_slices, H, W), each by itself."""
        return self.known(tuple(self.fpn(self.encoder(images))))

    def known(self, levels: tuple[Tensor, ...]) -> Features:
        """What is known of images whose pyramid is there already."""
        if not self.on_pyramid:
            return Features(levels)
        parts = zip(self.attention, levels, strict=True)
        return Features(levels, tuple(part.embed(level) for part, level in parts))

    def attend(self, features: Features, bags: Tensor) -> tuple[list[Tensor], list[LevelAttention]]:
        """The targets' pyramid, weighted by their bags where attention is before the RPN.

        Args:
            features: of all images.
            bags: (T, N) int64, which images make each target's bag, the target in the middle.
        """
        if not self.on_pyramid:
            return [level[bags[:, bags.shape[1] // 2]] for level in features.levels], []
        parts = zip(self.attention, features.levels, features.embedded, strict=True)
        done = [part(level, bags, embedded) for part, level, embedded in parts]
        return [x for x, _ in done], [seen for _, seen in done]

    def propose(
        self, targets: Sequence[Tensor], size_yx: tuple[int, int]
    ) -> tuple[Proposals, list[tuple[Tensor, Tensor]], list[Tensor]]:
        """Proposals for the targets' features; what the RPN said and the anchors go with them."""
        levels = with_coarsest(targets)
        strides = (*self.strides, 2 * self.strides[-1])
        found = self.rpn(levels)
        anchors = self.rpn.anchors(levels, strides)
        config = self.config
        made = propose(found, anchors, size_yx, config.proposals_before, config.proposals)
        return made, found, anchors

    def pool(
        self,
        levels: Sequence[Tensor],
        targets: Sequence[Tensor],
        bags: Tensor,
        boxes: Tensor,
        images: Tensor,
        cells: int,
    ) -> Tensor:
        """The features inside boxes (R, 4) of targets `images` (R,), (R, C, cells, cells).

        Weighted by what the bag shows in the same box where attention is before the head.
        """
        level_of = pyramid_level(boxes, self.strides)
        dtype = self.box_head.first.weight.dtype
        if not self.on_heads:
            return roi_align(targets, self.strides, boxes, images, level_of, cells).to(dtype)
        count, size = len(boxes), bags.shape[1]
        every = roi_align(
            levels,
            self.strides,
            boxes.repeat_interleave(size, dim=0),
            bags[images].flatten(),
            level_of.repeat_interleave(size),
            cells,
        ).to(dtype)
        own = torch.arange(count * size, device=boxes.device).reshape(count, size)
        weighted, _ = self.attention[0 if cells == BOX_CELLS else 1](every, own)
        return weighted

    def detect(
        self, features: Features, bags: Tensor, size_yx: tuple[int, int], return_attention: bool = False
    ) -> VaRcnnOutput:
        """Find what is in the targets, from features that are there already.

        Args:
            features: of all images in the bags.
            bags: (T, N), see :meth:`attend`.
            size_yx: of the images.
        """
        config = self.config
        targets, seen = self.attend(features, bags)
        levels = features.levels
        proposals, _, _ = self.propose(targets, size_yx)
        count = proposals.boxes.shape[1]
        images = torch.arange(len(bags), device=bags.device)
        pooled = self.pool(
            levels, targets, bags, proposals.boxes.flatten(0, 1), images.repeat_interleave(count), BOX_CELLS
        )
        logits, deltas = self.box_head(pooled)
        found = pick_detections(
            logits,
            deltas,
            proposals,
            size_yx,
            score_threshold=config.score_threshold,
            nms_threshold=config.nms_threshold,
            limit=config.detections,
        )
        if self.mask_head is not None:
            pooled = self.pool(levels, targets, bags, found.boxes, found.images, MASK_CELLS)
            masks = self.mask_head(pooled).sigmoid()
            own = masks[torch.arange(len(masks), device=masks.device), found.classes - 1]
            found = found._replace(masks=own)
        dense = self.dense(targets[0]) if self.dense is not None else None
        return VaRcnnOutput(found, tuple(seen) if return_attention else None, dense)

    def forward(
        self, images: Tensor, bags: Tensor | None = None, return_attention: bool = False
    ) -> VaRcnnOutput:
        """Find what is in the targets.

        Args:
            images: (M, in_slices, H, W).
            bags: (T, N), see :meth:`attend`; None: the images are consecutive slices, all of them targets.
        """
        if bags is None:
            every = torch.arange(len(images), device=images.device)
            bags = bag_indices(every, len(images), self.config.bag, self.config.bag_step)
        size_yx = (images.shape[2], images.shape[3])
        return self.detect(self.features(images), bags, size_yx, return_attention)

    def losses(
        self,
        images: Tensor,
        bags: Tensor,
        truths: Sequence[Truth],
        generator: torch.Generator,
        meaning: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Every part of the loss.

        "objects" and "boxes" of the RPN, "classes", "refined" boxes and "masks" of the heads, the "dense"
        map's.

        Args:
            truths: of the targets.
            meaning: (T, H, W) int64, class of every pixel, 255 unknown; for the dense map.
            generator: decides which anchors and proposals are learnt from.
        """
        size_yx = (images.shape[2], images.shape[3])
        return self.bag_losses(self.features(images), size_yx, bags, truths, generator, meaning)

    def bag_losses(
        self,
        features: Features,
        size_yx: tuple[int, int],
        bags: Tensor,
        truths: Sequence[Truth],
        generator: torch.Generator,
        meaning: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """:meth:`losses` from the features of images of size `size_yx`."""
        config = self.config
        levels = features.levels
        targets, _ = self.attend(features, bags)
        proposals, found, anchors = self.propose(targets, size_yx)
        objects, boxes = rpn_loss(
            found, anchors, truths, config.rpn_samples, generator, high=config.rpn_overlap
        )
        sampled = sample_proposals(proposals, truths, config.head_samples, 0.25, generator)
        pooled = self.pool(levels, targets, bags, sampled.boxes, sampled.images, BOX_CELLS)
        logits, deltas = self.box_head(pooled)
        classes, refined = box_losses(logits, deltas, sampled, truths)
        parts = {"objects": objects, "boxes": boxes, "classes": classes, "refined": refined}
        if self.dense is not None and meaning is not None:
            logits = F.interpolate(self.dense(targets[0]), size=size_yx, mode="bilinear", align_corners=False)
            weights = logits.new_ones(config.classes, dtype=torch.float32)
            weights[-1] = LESION_WEIGHT
            parts["dense"] = F.cross_entropy(logits.float(), meaning, weights, ignore_index=UNKNOWN_LABEL)
        if self.mask_head is not None:
            rows = (sampled.classes > 0).nonzero()[:, 0]
            pooled = self.pool(levels, targets, bags, sampled.boxes[rows], sampled.images[rows], MASK_CELLS)
            parts["masks"] = mask_loss(self.mask_head(pooled), sampled, rows, truths)
        return parts

    def training_loss(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """The sum of :meth:`losses` for slabs, as training draws them.

        Args:
            images: (B * K, in_slices, H, W): B slabs of K images `bag_step` slices apart, in order; the
                targets are all but the first and last `bag` // 2 of each.
            labels: (B * (K - bag + 1), 2, H, W) int64 of the targets, see :func:`truths_of`.
            step: of the optimiser; decides what is sampled.
        """
        slabs, per_slab = slab_layout(len(images), len(labels), self.config.bag)
        every = torch.arange(len(images), device=images.device).reshape(slabs, per_slab)
        bags = every.unfold(1, self.config.bag, 1).flatten(0, 1)
        truths = truths_of(labels, self.config.classes)
        generator = torch.Generator().manual_seed(step)
        meaning = labels[:, 0]
        if self.config.classes == 2:
            meaning = torch.where(meaning == UNKNOWN_LABEL, meaning, (meaning == 2).long())
        return torch.stack(list(self.losses(images, bags, truths, generator, meaning).values())).sum()


def slab_layout(images: int, targets: int, bag: int) -> tuple[int, int]:
    """(slabs, images per slab) of a training batch; with a bag of one image every image is its own slab."""
    slabs = (images - targets) // (bag - 1) if bag > 1 else images
    return slabs, images // slabs


def truths_of(labels: Tensor, classes: int) -> list[Truth]:
    """What is in each image, from its label map.

    Args:
        labels: (T, 2, H, W) int64: 0 background, 1 liver, 2 lesion, 255 unknown; and lesions numbered 1...
        classes: 3 makes the liver (its lesions included) an object of class 1 and lesions class 2; with 2
            lesions are class 1 and there is no liver.
    """
    truths = []
    # Labels fit into 8 bits; comparing them is then eight times less work.
    for meaning, numbers in labels.to(torch.uint8):
        lesion_count = int(numbers.max())
        every = torch.arange(1, lesion_count + 1, device=labels.device, dtype=torch.uint8)
        masks = numbers == every[:, None, None]
        kinds = torch.full((lesion_count,), classes - 1, device=labels.device)
        if classes == 3:
            liver = (meaning == 1) | (meaning == 2)
            masks = torch.cat([liver[None], masks])
            kinds = torch.cat([kinds.new_ones(1), kinds])
        there = masks.flatten(1).any(dim=1)
        masks, kinds = masks[there], kinds[there]
        truths.append(Truth(bx.mask_boxes(masks), kinds, masks, meaning == UNKNOWN_LABEL))
    return truths
