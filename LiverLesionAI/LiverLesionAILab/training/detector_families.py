"""Families of box detectors on key slices behind one face: R-FCN (3DCE, CS-Att) and Faster R-CNN (VA).

Maps of three-slice images, and what is learnt and found from those of a key slice and its neighbours.
Both compute the maps of every image by itself, so that they can be made once and used by every variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from LiverLesionAILib.networks import cs_att, va_faster_rcnn
from LiverLesionAILib.networks.parts.rpn import Truth
from LiverLesionAILib.networks.va_rcnn import VaRcnn
from torch import Tensor, nn

Levels = tuple[Tensor, ...]
"""Maps of a bag of images, finest first: (B, M, C, H / stride, W / stride) each."""


class Family(Protocol):
    """What the comparison needs of a kind of detector.

    Attributes:
        trunk: prefixes of the parameters that make the maps of an image.
        shared: prefixes of what every variant can take over from the trunk's own training besides.
    """

    trunk: tuple[str, ...]
    shared: tuple[str, ...]

    def build(self, images: int, first: bool, second: bool) -> nn.Module:
        """The network for bags of `images`, each of its two attentions on or off.

        They are contextual and spatial, or channel and spatial.
        """

    def as_plain(self, network: nn.Module) -> None:
        """Set what attention learns so that the network answers as one without, as far as its form allows."""

    def strides(self, network: nn.Module) -> tuple[int, ...]:
        """Pixels per cell of every level, finest first."""

    def maps(self, network: nn.Module, images: Tensor) -> Levels:
        """(N, 3, H, W), multiples of the coarsest stride, to (N, C, h, w) per level."""

    def losses(
        self,
        network: nn.Module,
        levels: Levels,
        size_yx: tuple[int, int],
        truths: Sequence[Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Parts of the loss; `truths` are (G, 4) boxes y0, x0, y1, x1 of every key image."""

    def detect(
        self, network: nn.Module, levels: Levels, size_yx: tuple[int, int], least_score: float, most: int
    ) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) and scores (n,) on one key image (B = 1), best first."""


@dataclass(frozen=True)
class RFcn:
    """R-FCN on one image, 3DCE on several, CS-Att with attention."""

    config: cs_att.CsAttConfig
    trunk: tuple[str, ...] = ("backbone.",)
    shared: tuple[str, ...] = ("propose_", "position_maps.")

    def build(self, images: int, first: bool, second: bool) -> nn.Module:
        return cs_att.CsAtt(replace(self.config, images=images, contextual=first, spatial=second))

    def as_plain(self, network: nn.Module) -> None:
        # All weights are then 1: 3DCE.
        for phi in (network.phi_contextual, network.phi_spatial):
            if phi is not None:
                nn.init.zeros_(phi.weight)  # type: ignore[arg-type]
                nn.init.zeros_(phi.bias)  # type: ignore[arg-type]

    def strides(self, network: nn.Module) -> tuple[int, ...]:
        return (network.multiple,)  # type: ignore[return-value]

    def maps(self, network: nn.Module, images: Tensor) -> Levels:
        return (network.features(images),)  # type: ignore[operator]

    def losses(
        self,
        network: nn.Module,
        levels: Levels,
        size_yx: tuple[int, int],
        truths: Sequence[Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        unknown = torch.zeros(len(truths), *size_yx, dtype=torch.bool, device=levels[0].device)
        return network.window_losses(levels[0], size_yx, truths, unknown, generator)  # type: ignore[operator]

    def detect(
        self, network: nn.Module, levels: Levels, size_yx: tuple[int, int], least_score: float, most: int
    ) -> tuple[Tensor, Tensor]:
        how = cs_att.DetectSettings(least_score=least_score, most=most)
        (found,), _ = network.detect(levels[0], size_yx, how)  # type: ignore[operator]
        return found.boxes, found.scores


@dataclass(frozen=True)
class FasterRcnn:
    """Faster R-CNN with a feature pyramid, VA Faster R-CNN with volumetric attention."""

    config: va_faster_rcnn.VaRcnnConfig
    trunk: tuple[str, ...] = ("encoder.", "fpn.")
    shared: tuple[str, ...] = ("rpn.", "box_head.")

    def build(self, images: int, first: bool, second: bool) -> nn.Module:
        # The map of classes needs masks; key slices have boxes only.
        return va_faster_rcnn.build(
            replace(self.config, bag=images, channel=first, spatial=second, dense=False)
        )

    def as_plain(self, network: nn.Module) -> None:
        """Nothing: its gates start at 0.88 for every channel and place, and are no residual."""

    def strides(self, network: nn.Module) -> tuple[int, ...]:
        return tuple(network.strides)  # type: ignore[arg-type]

    def maps(self, network: nn.Module, images: Tensor) -> Levels:
        return tuple(network.fpn(network.encoder(images)))  # type: ignore[operator]

    def losses(
        self,
        network: nn.Module,
        levels: Levels,
        size_yx: tuple[int, int],
        truths: Sequence[Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        features, bags = _joined(network, levels)
        unknown = torch.zeros(size_yx, dtype=torch.bool, device=bags.device)
        known = [
            Truth(
                boxes,
                torch.ones(len(boxes), dtype=torch.int64, device=bags.device),
                torch.zeros(len(boxes), 0, 0, dtype=torch.bool, device=bags.device),
                unknown,
            )
            for boxes in truths
        ]
        return network.bag_losses(features, size_yx, bags, known, generator)  # type: ignore[operator]

    def detect(
        self, network: nn.Module, levels: Levels, size_yx: tuple[int, int], least_score: float, most: int
    ) -> tuple[Tensor, Tensor]:
        assert isinstance(network, VaRcnn)
        features, bags = _joined(network, levels)
        asked = network.config
        network.config = replace(asked, score_threshold=least_score, detections=most)
        try:
            found = network.detect(features, bags, size_yx).detections
        finally:
            network.config = asked
        return found.boxes, found.scores


def _joined(network: nn.Module, levels: Levels) -> tuple:
    """Bags' maps as the features of all images, and which of them make each bag."""
    batch, count = levels[0].shape[:2]
    flat = tuple(level.flatten(0, 1) for level in levels)
    bags = torch.arange(batch * count, device=flat[0].device).reshape(batch, count)
    return network.known(flat), bags  # type: ignore[operator]


def families(size: str) -> dict[str, Family]:
    """All, `compact` or `paper` size; `va_deformable` from conv3 on, the VA paper does not say where."""
    plain = va_faster_rcnn.SIZES[size]
    return {
        "cs_att": RFcn(cs_att.SIZES[size]),
        "va_faster_rcnn": FasterRcnn(plain),
        "va_deformable": FasterRcnn(replace(plain, deformable=(1, 2, 3))),
    }


def batch_truths(boxes: Tensor) -> list[Tensor]:
    """(B, G, 4) with NaN where there are fewer -> (G, 4) of every image."""
    return [each[each.isfinite().all(dim=1)] for each in boxes]


def summed_losses(
    family: Family,
    network: nn.Module,
    levels: Levels,
    size_yx: tuple[int, int],
    boxes: Tensor,
    seed: int,
    step: int,
) -> Tensor:
    """The loss of a batch of bags; what it draws at random depends on seed and step alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    parts = family.losses(network, levels, size_yx, batch_truths(boxes), generator)
    return torch.stack(list(parts.values())).sum()


def image_loss(
    family: Family, network: nn.Module, seed: int, images: Tensor, boxes: Tensor, step: int
) -> Tensor:
    """:func:`summed_losses` from images (B, 3 M, H, W)."""
    size_yx = (images.shape[-2], images.shape[-1])
    flat = images.reshape(-1, cs_att.SLICES_PER_IMAGE, *size_yx)
    maps = family.maps(network, flat.contiguous(memory_format=torch.channels_last))
    levels = tuple(level.unflatten(0, (len(images), -1)) for level in maps)
    return summed_losses(family, network, levels, size_yx, boxes, seed, step)
