"""DADRN: dual attention dilated residual network.

Chen et al., "A dual attention dilated residual network for liver lesion classification and localization on CT
images", ICIP 2019.

A dilated residual network sees the liver slice and its two neighbours; on its last map A (Group 5, an eighth
of the input's edge) every position gathers from all positions that are like it, every channel from all
channels that are like it. Steps 1 to 4 of the dual attention block: S = B^T B; alpha = sigmoid(S) or
softmax(S); o_j = sum_i alpha_ji D_i; y = beta * o + A, beta learned from 0.

Decisions where the paper is silent:
- B has an eighth of A's channels in the spatial block (at least 8), all of them in the channel block, where
  S is C x C; D has all in both. Each block has its own B and D.
- Dual fusion A is the sum of both results, B their concatenation. Both hold A twice at the start, so the
  classifier starts with half of the plain network's weights: with beta at zero it then answers exactly as
  DRN.
- A sum of sigmoids over N positions grows with N, and S with the number of its terms, so the compact size
  divides both by how many there are: what was learnt on one size of slice holds on another. The paper's size
  follows the paper.
- A small lesion is one position of four hundred, and a mean over all of them hardly moves. Trained for hours
  the paper's size learns it; the compact size, trained for minutes, adds the map's maximum to its mean.
- The slides write S = B_1^T B_2, and picture sim(x, y) = cos(theta) beside it, but show one B. The bundled
  weights have one (`separate` off) and the plain product, whose sigmoid is 1 nearly everywhere: their spatial
  block is a global average (`liverlesionai info --attention`). `similarity="cosine"` is the picture's, and
  keeps alpha within 0.27..0.73; "scaled_cosine" centres the embeddings first and learns a factor, for maps
  whose positions have most in common. Neither is divided by the number of terms.
- SE-ResNet50 and residual attention ResNet50 keep the strides of ResNet (their last map is 7 x 7 of 224 x
  224).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .dadrn_config import (
    CLASSES,
    PHASED_CLASSES,
    SHARPNESS,
    SIZES,
    VARIANTS,
    DadrnConfig,
    Normalisation,
    Similarity,
    variant,
)
from .parts.affinity import Sharpness, centred, unit
from .parts.blocks import global_average
from .parts.drn import Drn


class DadrnAttention(NamedTuple):
    """What the dual attention block attends to.

    Attributes:
        size_yx: (H, W) of the last map.
        embedding: B of the spatial block, (B, D, N), N = H * W row by row, ready for S; None if off.
        channel: alpha of the channel block, (B, C, C), row j what channel j gathers from; None if it is off.
        normalisation, mean: as configured, for :func:`position_affinity`.
        second: B_2 where it is not B_1; `embedding` is then B_1.
        similarity: as configured.
    """

    size_yx: tuple[int, int]
    embedding: Tensor | None
    channel: Tensor | None
    normalisation: Normalisation
    mean: bool
    second: Tensor | None = None
    similarity: Similarity = "product"


class DadrnOutput(NamedTuple):
    """Result of :class:`Dadrn`.

    Attributes:
        logits: (B, classes).
        features: the map that is averaged and classified, (B, C or 2 C, H, W); Grad-CAM's A^k.
        attention: only where asked for.
    """

    logits: Tensor
    features: Tensor
    attention: DadrnAttention | None = None


def normalised(scores: Tensor, how: Normalisation, mean: bool) -> Tensor:
    """Step 2 for S of any batch shape (..., J, I): alpha, rows j, columns i."""
    if how == "softmax":
        return scores.softmax(dim=-1)
    alpha = torch.sigmoid(scores)
    return alpha / scores.shape[-1] if mean else alpha


class _Affinity(nn.Module):
    """What both attention blocks share: B_1, B_2, D, and S of what they embed; beta starts at 0."""

    def __init__(
        self,
        channels: int,
        normalisation: Normalisation,
        mean: bool,
        similarity: Similarity = "product",
        separate: bool = False,
    ) -> None:
        super().__init__()
        self.normalisation, self.mean, self.similarity = normalisation, mean, similarity
        # What is centred needs no bias, and none would learn.
        bias, width = similarity != "scaled_cosine", self.width(channels)
        self.embed = nn.Conv2d(channels, width, 1, bias=bias)
        self.embed_second = nn.Conv2d(channels, width, 1, bias=bias) if separate else None
        self.value = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1))
        self.sharpness = Sharpness(SHARPNESS[normalisation]) if similarity == "scaled_cosine" else None

    @staticmethod
    def width(channels: int) -> int:
        """D, channels of B_1 and B_2."""
        return channels

    def embeddings(self, x: Tensor, along: int) -> tuple[Tensor, Tensor | None]:
        """A (B, C, H, W) -> B_1 and, where it is another, B_2, (B, D, N).

        Their product over `along` (1: D, between positions; 2: N, between channels) is S.
        """
        first = self.embed(x).flatten(2)
        if self.similarity == "product":
            return first, self.embed_second(x).flatten(2) if self.embed_second is not None else None
        second = self.embed_second(x).flatten(2) if self.embed_second is not None else first
        if self.sharpness is not None:
            # What all positions have in common says nothing about which are alike.
            first, second = centred(first, dim=2), centred(second, dim=2)
            return self.sharpness().to(first.dtype) * unit(first, along), unit(second, along)
        first = unit(first, along)
        return first, unit(second, along) if self.embed_second is not None else None


class SpatialAttention(_Affinity):
    """Spatial attention block, over positions; beta starts at 0."""

    @staticmethod
    def width(channels: int) -> int:
        return max(8, channels // 8)

    def affinity(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """B_1 and B_2 (B, D, N), B_1 for both where there is one -> alpha (B, N, N)."""
        scores = first.transpose(1, 2) @ (first if second is None else second)
        if self.mean and self.similarity == "product":
            scores = scores / first.shape[1]
        return normalised(scores, self.normalisation, self.mean)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
        """A (B, C, H, W) -> y of its shape, and B_1, B_2 (B, D, N)."""
        embeddings = self.embeddings(x, along=1)
        value = self.value(x).flatten(2)
        alpha = self.affinity(*embeddings).to(value.dtype)
        gathered = value @ alpha.transpose(1, 2)
        return self.beta * gathered.reshape(x.shape) + x, embeddings


class ChannelAttention(_Affinity):
    """Channel attention block, the same over channels; beta starts at 0."""

    def affinity(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """B_1 and B_2 (B, C, N), B_1 for both where there is one -> alpha (B, C, C)."""
        wide = first.to(torch.promote_types(first.dtype, torch.float32))
        other = wide if second is None else second.to(wide.dtype)
        # Sums over hundreds of positions need more digits than bfloat16 has.
        with torch.autocast(first.device.type, enabled=False):
            scores = wide @ other.transpose(1, 2)
            if self.mean and self.similarity == "product":
                scores = scores / first.shape[2]
            return normalised(scores, self.normalisation, self.mean)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A (B, C, H, W) -> y of its shape, and alpha (B, C, C)."""
        alpha = self.affinity(*self.embeddings(x, along=2))
        value = self.value(x).flatten(2)
        gathered = alpha.to(value.dtype) @ value
        return self.beta * gathered.reshape(x.shape) + x, alpha


class Dadrn(nn.Module):
    """DADRN, and without attention the network it is compared with.

    Input: (B, in_slices, H, W), values about -1..1, what is not liver masked away. A network that is told the
    contrast phase takes `phases` more channels, each the same number everywhere: the shares of the phases, as
    :func:`with_phase` puts them there. Without them, or with zeros, it is told none.
    """

    def __init__(self, config: DadrnConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        self.backbone = Drn(config.backbone)
        channels = config.backbone.channels
        plain = nn.Linear(channels, len(config.classes))
        block = config.normalisation, config.mean, config.similarity, config.separate
        if config.spatial:
            self.spatial = SpatialAttention(channels, *block)
        if config.channel:
            self.channel = ChannelAttention(channels, *block)
        both = config.spatial and config.channel
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(
            channels * (2 if both and config.fusion == "concat" else 1), plain.out_features
        )
        with torch.no_grad():
            weight = plain.weight / 2 if both else plain.weight
            self.classify.weight.copy_(weight.repeat(1, self.classify.in_features // channels))
            self.classify.bias.copy_(plain.bias)
        if config.phases:
            # No bias, and zeros at the start: it then answers as one that is told nothing.
            self.told_first = nn.Linear(config.phases, config.backbone.stem, bias=False)
            self.told_last = nn.Linear(config.phases, channels, bias=False)
            for told in (self.told_first, self.told_last):
                nn.init.zeros_(told.weight)
        if config.outlier:
            self.outlier = nn.Linear(self.classify.in_features, 1)

    @property
    def multiple(self) -> int:
        """Height and width of the input should be multiples of this."""
        return self.config.backbone.stride

    def pooled(self, features: Tensor) -> Tensor:
        """The map (B, C, H, W) as one vector each, (B, C)."""
        pooled = global_average(features).flatten(1)
        return pooled + features.amax(dim=(2, 3)) if self.config.pooling == "mean_max" else pooled

    def head(self, features: Tensor) -> Tensor:
        """The map (B, C, H, W) to logits (B, classes): what Grad-CAM derives."""
        return self.classify(self.dropout(self.pooled(features)))

    def unlike(self, features: Tensor) -> Tensor | None:
        """Logit (B,) that the map (B, C, H, W) shows none of the classes; None without the layer for it."""
        return self.outlier(self.pooled(features))[:, 0] if self.config.outlier else None

    def forward(self, x: Tensor, return_attention: bool = False) -> DadrnOutput:
        """Class logits, the map they come from, and the affinities where asked for."""
        last = self._last_map(x)
        parts: list[Tensor] = []
        embeddings: tuple[Tensor | None, Tensor | None] = (None, None)
        alpha = None
        if self.config.spatial:
            gathered, embeddings = self.spatial(last)
            parts.append(gathered)
        if self.config.channel:
            gathered, alpha = self.channel(last)
            parts.append(gathered)
        if not parts:
            features = last
        elif len(parts) == 1:
            features = parts[0]
        else:
            features = parts[0] + parts[1] if self.config.fusion == "sum" else torch.cat(parts, dim=1)
        logits = self.head(features)
        if not return_attention:
            return DadrnOutput(logits, features)
        size = (int(last.shape[2]), int(last.shape[3]))
        config = self.config
        found = DadrnAttention(
            size, embeddings[0], alpha, config.normalisation, config.mean, embeddings[1], config.similarity
        )
        return DadrnOutput(logits, features, found)

    def _last_map(self, x: Tensor) -> Tensor:
        """The backbone's map, with what the phase adds to its first and its last layer."""
        slices = self.config.backbone.in_slices
        if not self.config.phases or x.shape[1] == slices:
            return self.backbone(x)
        shares = x[:, slices:, 0, 0]
        last = self.backbone(x[:, :slices], self.told_first(shares))
        return last + self.told_last(shares)[:, :, None, None].to(last.dtype)


def with_phase(images: Tensor, shares: Sequence[float] | Tensor) -> Tensor:
    """Inputs (B, S, H, W) with the phase told to a network that takes it: (B, S + phases, H, W).

    Args:
        shares: probability of each phase, in the order unenhanced, arterial, portal venous, delayed; for all
            images, or (B, phases).
    """
    told = torch.as_tensor(shares, dtype=images.dtype, device=images.device)
    told = told.expand(len(images), told.shape[-1])[:, :, None, None]
    return torch.cat([images, told.expand(*told.shape[:2], *images.shape[2:])], dim=1)


def as_told(network: nn.Module, images: Tensor, shares: Sequence[float] | None) -> Tensor:
    """The inputs with the phase for a network that takes one (:func:`with_phase`); as they are for others.

    Args:
        shares: probability of each phase; None tells none.
    """
    takes = getattr(getattr(network, "config", None), "phases", 0)
    return with_phase(images, shares) if takes and shares is not None else images


def position_affinity(attention: DadrnAttention, point_yx: tuple[int, int], image: int = 0) -> Tensor:
    """How much one position of the last map gathers from every other: row j of alpha.

    Args:
        point_yx: position on the last map.
        image: which of the batch.

    Returns:
        (H, W).

    Raises:
        ValueError: the point lies outside, or the spatial block is switched off.
    """
    height, width = attention.size_yx
    y, x = point_yx
    if attention.embedding is None:
        raise ValueError("the spatial attention block is switched off")
    if not (0 <= y < height and 0 <= x < width):
        raise ValueError(f"point ({y}, {x}) lies outside the {height} x {width} map")
    embedding = attention.embedding[image].to(torch.promote_types(attention.embedding.dtype, torch.float32))
    answering = embedding if attention.second is None else attention.second[image].to(embedding.dtype)
    scores = embedding[:, y * width + x] @ answering
    if attention.mean and attention.similarity == "product":
        scores = scores / embedding.shape[0]
    return normalised(scores, attention.normalisation, attention.mean).reshape(height, width)


def channel_affinity(attention: DadrnAttention, image: int = 0) -> Tensor:
    """How much every channel gathers from every other, (C, C).

    Raises:
        ValueError: the channel block is switched off.
    """
    if attention.channel is None:
        raise ValueError("the channel attention block is switched off")
    return attention.channel[image]


def build(config: DadrnConfig) -> Dadrn:
    """The network for a configuration, as the manifest's loader calls it."""
    return Dadrn(config)


CONFIG = DadrnConfig

__all__ = [
    "CLASSES",
    "CONFIG",
    "PHASED_CLASSES",
    "SIZES",
    "VARIANTS",
    "Dadrn",
    "DadrnAttention",
    "DadrnConfig",
    "DadrnOutput",
    "as_told",
    "build",
    "channel_affinity",
    "position_affinity",
    "variant",
    "with_phase",
]
