"""Volumetric attention: what a target image shows is weighted by what its neighbours along z show.

Wang et al., "Volumetric Attention for 3D Medical Image Segmentation and Detection", MICCAI 2019, section 2.

For one level of the feature pyramid, X_tgt in R^{C x H x W} and its bag X_long in R^{N x C x H x W}
(equation 1), the target among them:

- channel: F_pool(X) = [max, mean over H x W] in R^{2C}, F_emb(X) = W F_pool(X) in R^{C / r}, r = 16;
  S = softmax_n <F_emb(X_tgt), F_emb(X_n)> in R^{1 x N};  gate = sigmoid(W' a(sum_n S_n F_emb(X_n)))
  in R^C multiplies X_tgt;
- spatial: F_pool(X) = [max, mean over C] in R^{2 x H x W}, F_emb(X) = W * F_pool(X), a convolution, S by
  equation 3, and a gate in R^{1 x H x W} made the same way multiplies the result.

Decisions where the paper is silent:
- Pooled vectors are concatenated in the channel branch as they are in the spatial one; the second map of a
  branch, embedding to gate, is of the first one's kind (linear; convolution), with a leaky ReLU, a, between:
  of four units all can be shut by a plain one from the start.
- The spatial convolutions are 7 x 7 (as in CBAM, which the branch resembles) with four maps between.
- The bag holds features as extracted, in the spatial branch too. So an image's embeddings depend on that
  image alone and are computed once, however many bags it is in.
- Gates start at 0.88 (bias 2) everywhere, the second maps near zero: with weights of the usual size the sums
  that the affinity and the pooling make shut about two channels of five for good before the first step, and
  networks with attention came out below those without (Resources/Benchmarks/segmenters.md).
- Embeddings of the channel branch are not bounded by anything in the text: with weights of the usual size
  <,> runs into the thousands and S is one-hot. With `normalised` the pooled vector and its embedding are
  layer-normalised, and <,> is the cosine of what each image has that the bag's mean has not, times a learnt
  factor: neighbouring slices of one liver are so alike that their plain cosine is 1. `units` sets C / r.
- <,> is a sum over all elements; over H x W it hardens as the image grows. `mean_affinity` divides by their
  number, so that what was learnt on crops holds on whole slices; the paper's size follows the paper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts.affinity import Sharpness, centred, unit

OPEN_GATE, GATE_DEVIATION = 2.0, 1e-3

NORMALISED_GATE_DEVIATION = 0.1
"""Of the second map where the embedding is layer-normalised: gates start at 0.8 to 0.93, and learn."""

SLICE_SHARPNESS = 2.0
"""Where the normalised slice attention begins: the target then counts for half to two thirds of a bag."""

LEAST_DIFFERENCE = 0.05
"""Length of a difference between layer-normalised embeddings that counts for little: noise, or copies."""


class LevelAttention(NamedTuple):
    """What volumetric attention did on one pyramid level, for T targets.

    Attributes:
        channel_slices: S of the channel branch, (T, N), rows sum to 1; None where the branch is off.
        channel_gate: (T, C), 0..1.
        spatial_slices: S of the spatial branch, (T, N).
        spatial_gate: (T, H, W), 0..1.
    """

    channel_slices: Tensor | None = None
    channel_gate: Tensor | None = None
    spatial_slices: Tensor | None = None
    spatial_gate: Tensor | None = None


class Embedded(NamedTuple):
    """F_emb of M images on one level.

    Attributes:
        channel: (M, C / r); None where the branch is off.
        spatial: (M, maps, H, W).
    """

    channel: Tensor | None
    spatial: Tensor | None


def slice_attention(target: Tensor, bag: Tensor, mean: bool) -> Tensor:
    """Equation 3: softmax over the images of <target, image>.

    Args:
        target: (T, ...) embeddings.
        bag: (T, N, ...) embeddings of the same shape.

    Returns:
        (T, N), float32 at least, rows sum to 1.
    """
    wide = torch.promote_types(target.dtype, torch.float32)
    product = (target.to(wide)[:, None] * bag.to(wide)).flatten(2)
    return (product.mean(dim=2) if mean else product.sum(dim=2)).softmax(dim=1)


def differing_slice_attention(target: Tensor, bag: Tensor, sharpness: Tensor) -> Tensor:
    """Equation 3 with the cosine of differences from the bag's mean; arguments and result as above."""
    mean = bag.mean(dim=1, keepdim=True)
    own = unit(target[:, None] - mean, dim=2, least=LEAST_DIFFERENCE)
    others = unit(centred(bag, dim=1), dim=2, least=LEAST_DIFFERENCE)
    return (sharpness * (own * others).sum(dim=2)).softmax(dim=1)


class _Branch(nn.Module, ABC):
    """What both branches do with embeddings; they differ in pooling, embedding and gating."""

    def __init__(self, mean_affinity: bool) -> None:
        super().__init__()
        self.mean_affinity = mean_affinity

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """F_emb of images (M, C, H, W)."""

    @abstractmethod
    def gate(self, mixed: Tensor) -> Tensor:
        """The gate from the weighted bag, broadcastable to (T, C, H, W)."""

    def attend(self, target: Tensor, bag: Tensor) -> Tensor:
        """S, (T, N), from embeddings (T, ...) and (T, N, ...)."""
        return slice_attention(target, bag, self.mean_affinity)

    def forward(self, target: Tensor, embedded: Tensor, bags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weight the targets.

        Args:
            target: (T, C, H, W), possibly weighted by an earlier branch.
            embedded: F_emb of all images, (M, ...).
            bags: (T, N) which images make each target's bag.

        Returns:
            (weighted target, S, gate).
        """
        bag = embedded[bags]
        weights = self.attend(self.embed(target), bag)
        shape = (*weights.shape, *([1] * (bag.ndim - 2)))
        mixed = (weights.reshape(shape).to(bag.dtype) * bag).sum(dim=1)
        gate = self.gate(mixed)
        return target * gate, weights, gate


class ChannelBranch(_Branch):
    """Volumetric channel attention of one level."""

    def __init__(
        self, channels: int, reduction: int, mean_affinity: bool, normalised: bool = False, units: int = 0
    ) -> None:
        super().__init__(mean_affinity)
        hidden = units or max(4, channels // reduction)
        self.sharpness = Sharpness(SLICE_SHARPNESS) if normalised else None
        self.embedding = nn.Linear(2 * channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def embed(self, x: Tensor) -> Tensor:
        """(M, C, H, W) -> (M, C / r)."""
        highest = F.adaptive_max_pool2d(x, 1).flatten(1)
        pooled = torch.cat([highest, x.mean(dim=(2, 3))], dim=1)
        if self.sharpness is None:
            return self.embedding(pooled)
        made = self.embedding(F.layer_norm(pooled, pooled.shape[1:]))
        return F.layer_norm(made, made.shape[1:])

    def attend(self, target: Tensor, bag: Tensor) -> Tensor:
        """S of the bags."""
        if self.sharpness is None:
            return super().attend(target, bag)
        return differing_slice_attention(target, bag, self.sharpness())

    def gate(self, mixed: Tensor) -> Tensor:
        """(T, C / r) -> (T, C, 1, 1)."""
        return torch.sigmoid(self.excite(F.leaky_relu(mixed, 0.1)))[:, :, None, None]


class SpatialBranch(_Branch):
    """Volumetric spatial attention of one level."""

    def __init__(self, maps: int, mean_affinity: bool) -> None:
        super().__init__(mean_affinity)
        self.embedding = nn.Conv2d(2, maps, 7, padding=3)
        self.excite = nn.Conv2d(maps, 1, 7, padding=3)

    def embed(self, x: Tensor) -> Tensor:
        """(M, C, H, W) -> (M, maps, H, W)."""
        # amax would share its gradient among equals, which takes five times as long.
        return self.embedding(torch.stack([x.max(dim=1).values, x.mean(dim=1)], dim=1))

    def gate(self, mixed: Tensor) -> Tensor:
        """(T, maps, H, W) -> (T, 1, H, W)."""
        return torch.sigmoid(self.excite(F.leaky_relu(mixed, 0.1)))


class VolumetricAttention(nn.Module):
    """Both branches, one after the other, for one level; each can be switched off.

    Args:
        channels: of the level.
        channel, spatial: which branches there are.
        reduction: of the channel branch.
        mean_affinity: see the module.
        maps: of the spatial embedding.
        normalised, units: of the channel branch, see the module; units 0 is C / r, at least 4.
    """

    def __init__(
        self,
        channels: int,
        channel: bool = True,
        spatial: bool = True,
        reduction: int = 16,
        mean_affinity: bool = False,
        maps: int = 4,
        normalised: bool = False,
        units: int = 0,
    ) -> None:
        super().__init__()
        self.channel = (
            ChannelBranch(channels, reduction, mean_affinity, normalised, units) if channel else None
        )
        self.spatial = SpatialBranch(maps, mean_affinity) if spatial else None

    def open_gates(self) -> None:
        """Let all gates start at 0.88; called after weights are initialised."""
        for branch in (self.channel, self.spatial):
            if branch is not None:
                bounded = isinstance(branch, ChannelBranch) and branch.sharpness is not None
                deviation = NORMALISED_GATE_DEVIATION if bounded else GATE_DEVIATION
                nn.init.normal_(branch.excite.weight, std=deviation)
                nn.init.constant_(branch.excite.bias, OPEN_GATE)

    def embed(self, features: Tensor) -> Embedded:
        """F_emb of images (M, C, H, W) in both branches; an image's own, whatever bag it is in."""
        return Embedded(
            self.channel.embed(features) if self.channel is not None else None,
            self.spatial.embed(features) if self.spatial is not None else None,
        )

    def forward(
        self, features: Tensor, bags: Tensor, embedded: Embedded | None = None
    ) -> tuple[Tensor, LevelAttention]:
        """Weight every target by its bag.

        Args:
            features: (M, C, H, W) of all images.
            bags: (T, N) int64, N odd: the images of each target's bag, the target itself in the middle.
            embedded: of the images, where they are there already.

        Returns:
            (T, C, H, W) and what was attended to.
        """
        x = features[bags[:, bags.shape[1] // 2]]
        embedded = self.embed(features) if embedded is None else embedded
        seen = LevelAttention()
        if self.channel is not None:
            x, weights, gate = self.channel(x, embedded.channel, bags)
            seen = seen._replace(channel_slices=weights, channel_gate=gate[:, :, 0, 0])
        if self.spatial is not None:
            x, weights, gate = self.spatial(x, embedded.spatial, bags)
            seen = seen._replace(spatial_slices=weights, spatial_gate=gate[:, 0])
        return x, seen


def bag_indices(targets: Tensor, images: int, size: int, step: int) -> Tensor:
    """Which images make the bags: `size` images `step` slices apart, the target in the middle.

    Beyond the first and last image that one is repeated.

    Args:
        targets: (T,) int64, slice numbers.
        images: number of slices in the volume.

    Returns:
        (T, size) int64.
    """
    offsets = (torch.arange(size, device=targets.device) - size // 2) * step
    return (targets[:, None] + offsets).clamp(0, images - 1)
