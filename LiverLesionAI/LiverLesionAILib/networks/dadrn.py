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
- SE-ResNet50 and residual attention ResNet50 keep the strides of ResNet (their last map is 7 x 7 of 224 x
  224).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .parts.blocks import global_average
from .parts.drn import Drn, DrnConfig

Normalisation = Literal["sigmoid", "softmax"]
Fusion = Literal["sum", "concat"]
Pooling = Literal["mean", "mean_max"]

CLASSES = ("Normal", "CYST", "FNH", "HCC", "HEM")
"""The paper's five classes, in its order."""


@dataclass(frozen=True)
class DadrnConfig:
    """Settings of :class:`Dadrn`.

    Attributes:
        backbone: see :class:`~.drn.DrnConfig`.
        classes: names in the order of the logits.
        spatial, channel: which attention is applied to the last map; neither is plain DRN.
        normalisation: of the affinities, "sigmoid" (the paper's A of SADR and CADR) or "softmax" (B).
        fusion: of both attentions, "sum" (DADR-A) or "concat" (DADR-B).
        mean: divide affinities, and sums of sigmoids, by their number of terms.
        pooling: of the map before the classifier: "mean" as in the paper, or "mean_max", the sum of its mean
            and its largest value.
        dropout: before the classifier, in training.
        outlier: a linear layer beside the classifier, from the same pooled map, that says whether a lesion is
            of none of the classes. No part of the paper; fitted when all else is trained.
    """

    backbone: DrnConfig = field(default_factory=DrnConfig)
    classes: tuple[str, ...] = CLASSES
    spatial: bool = True
    channel: bool = True
    normalisation: Normalisation = "sigmoid"
    fusion: Fusion = "concat"
    mean: bool = False
    pooling: Pooling = "mean"
    dropout: float = 0.0
    outlier: bool = False

    def __post_init__(self) -> None:
        # The manifest holds plain types.
        if isinstance(self.backbone, dict):
            known = {k: tuple(v) if isinstance(v, list) else v for k, v in self.backbone.items()}
            object.__setattr__(self, "backbone", DrnConfig(**known))
        object.__setattr__(self, "classes", tuple(self.classes))


SIZES = {
    "paper": DadrnConfig(),
    "compact": DadrnConfig(
        backbone=DrnConfig(
            stem=16,
            stem_kernel=5,
            pool=False,
            unit="basic",
            widths=(16, 32, 64, 128),
            depths=(1, 2, 2, 1),
            strides=(1, 2, 2, 1),
            dilations=(1, 1, 1, 2),
        ),
        mean=True,
        pooling="mean_max",
        dropout=0.1,
    ),
}

VARIANTS: dict[str, dict[str, object]] = {
    "DRN50": {"spatial": False, "channel": False},
    "SEResnet50": {"spatial": False, "channel": False, "attention": "se"},
    "RAResnet50": {"spatial": False, "channel": False, "attention": "residual"},
    "SADR50-A": {"channel": False, "normalisation": "sigmoid"},
    "SADR50-B": {"channel": False, "normalisation": "softmax"},
    "CADR50-A": {"spatial": False, "normalisation": "sigmoid"},
    "CADR50-B": {"spatial": False, "normalisation": "softmax"},
    "DADR50-A": {"fusion": "sum"},
    "DADR50-B": {"fusion": "concat"},
}
"""The rows of the paper's tables, as changes to DADR50-B."""


def variant(name: str, base: DadrnConfig = SIZES["paper"]) -> DadrnConfig:
    """The configuration of a row of the paper's tables, at the size of `base`.

    Raises:
        KeyError: no such row.
    """
    changes = dict(VARIANTS[name])
    attention = changes.pop("attention", "none")
    backbone = base.backbone
    if attention != "none":
        # These are no dilated networks: strides where the dilations were.
        strides = tuple(
            2 if number and (s > 1 or base.backbone.dilations[number] > 1) else s
            for number, s in enumerate(base.backbone.strides)
        )
        backbone = replace(
            backbone, attention=attention, strides=strides, dilations=(1,) * len(backbone.dilations)
        )
    return replace(base, backbone=backbone, **changes)


class DadrnAttention(NamedTuple):
    """What the dual attention block attends to.

    Attributes:
        size_yx: (H, W) of the last map.
        embedding: B of the spatial block, (B, D, N), N = H * W row by row; None if it is off.
        channel: alpha of the channel block, (B, C, C), row j what channel j gathers from; None if it is off.
        normalisation, mean: as configured, for :func:`position_affinity`.
    """

    size_yx: tuple[int, int]
    embedding: Tensor | None
    channel: Tensor | None
    normalisation: Normalisation
    mean: bool


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


class SpatialAttention(nn.Module):
    """Spatial attention block, over positions; beta starts at 0."""

    def __init__(self, channels: int, normalisation: Normalisation, mean: bool) -> None:
        super().__init__()
        self.normalisation, self.mean = normalisation, mean
        self.embed = nn.Conv2d(channels, max(8, channels // 8), 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1))

    def affinity(self, embedding: Tensor) -> Tensor:
        """B (B, D, N) -> alpha (B, N, N)."""
        scores = embedding.transpose(1, 2) @ embedding
        if self.mean:
            scores = scores / embedding.shape[1]
        return normalised(scores, self.normalisation, self.mean)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A (B, C, H, W) -> y of its shape, and B (B, D, N)."""
        embedding = self.embed(x).flatten(2)
        alpha = self.affinity(embedding)
        gathered = self.value(x).flatten(2) @ alpha.transpose(1, 2)
        return self.beta * gathered.reshape(x.shape) + x, embedding


class ChannelAttention(nn.Module):
    """Channel attention block, the same over channels; beta starts at 0."""

    def __init__(self, channels: int, normalisation: Normalisation, mean: bool) -> None:
        super().__init__()
        self.normalisation, self.mean = normalisation, mean
        self.embed = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1))

    def affinity(self, embedding: Tensor) -> Tensor:
        """B (B, C, N) -> alpha (B, C, C)."""
        wide = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
        # Sums over hundreds of positions need more digits than bfloat16 has.
        with torch.autocast(embedding.device.type, enabled=False):
            scores = wide @ wide.transpose(1, 2)
            if self.mean:
                scores = scores / embedding.shape[2]
            return normalised(scores, self.normalisation, self.mean)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A (B, C, H, W) -> y of its shape, and alpha (B, C, C)."""
        alpha = self.affinity(self.embed(x).flatten(2))
        value = self.value(x).flatten(2)
        gathered = alpha.to(value.dtype) @ value
        return self.beta * gathered.reshape(x.shape) + x, alpha


class Dadrn(nn.Module):
    """DADRN, and without attention the network it is compared with.

    Input: (B, in_slices, H, W), values about -1..1, what is not liver masked away.
    """

    def __init__(self, config: DadrnConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        self.backbone = Drn(config.backbone)
        channels = config.backbone.channels
        plain = nn.Linear(channels, len(config.classes))
        if config.spatial:
            self.spatial = SpatialAttention(channels, config.normalisation, config.mean)
        if config.channel:
            self.channel = ChannelAttention(channels, config.normalisation, config.mean)
        both = config.spatial and config.channel
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(
            channels * (2 if both and config.fusion == "concat" else 1), plain.out_features
        )
        with torch.no_grad():
            weight = plain.weight / 2 if both else plain.weight
            self.classify.weight.copy_(weight.repeat(1, self.classify.in_features // channels))
            self.classify.bias.copy_(plain.bias)
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
        last = self.backbone(x)
        parts: list[Tensor] = []
        embedding = alpha = None
        if self.config.spatial:
            gathered, embedding = self.spatial(last)
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
        found = DadrnAttention(size, embedding, alpha, self.config.normalisation, self.config.mean)
        return DadrnOutput(logits, features, found)


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
    scores = embedding[:, y * width + x] @ embedding
    if attention.mean:
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
    "SIZES",
    "VARIANTS",
    "Dadrn",
    "DadrnAttention",
    "DadrnConfig",
    "DadrnOutput",
    "build",
    "channel_affinity",
    "position_affinity",
    "variant",
]
