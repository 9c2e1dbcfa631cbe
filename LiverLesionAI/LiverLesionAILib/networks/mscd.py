"""MSCD: multi-scale contextual dependencies.

Pang et al., "Correlation Matters: Multi-scale Fine-grained Contextual Information Extraction for Hepatic
Tumor Segmentation", PAKDD 2020.

An encoder-decoder whose deeper encoder levels pass through a context aggregation block: every position
gathers from all positions that are like it (spatial context extractor), every channel from all channels that
are like it (channel context extractor), and both are added.

Decisions where the paper is silent:
- The activation f of the queries and keys is a ReLU; their width is an eighth of the features', at least 8.
- The values F of the spatial extractor are the features themselves, as its steps name only two weights.
- The worked example, C3 = 28 x 28 x 256 from 224 x 224, is the fourth level of widths 32, 64, ... 512;
  context is aggregated there, one level above and one below.
- The channel affinity is a sum over positions, so its softmax hardens as the image grows. The compact size
  divides by the number of positions, so that what was learnt on crops holds on whole slices; the paper's
  size follows the paper.
- The compact size has batch normalisation; see :mod:`.sfan` for the reason. It has context on two levels,
  which saved time and is no reason of the paper's.
- With f = ReLU, and weights as large as fan-out initialisation makes them, M = softmax(K Q^T) is one-hot from
  the first step, and the averaged channel affinity uniform: a "compact" one is at inference a U-Net. The
  bundled `mscd` is an "attending" one (`liverlesionai info --attention`). `normalised_affinity` takes f as
  the identity, centres both embeddings and brings them to length 1 before the product, in both extractors
  (:mod:`.parts.affinity`); the size "attending" has it, and the third context level.
- Where alpha and beta start is not said; from 0, as DANet has them, a network first learns to do without what
  is gathered, and may go on so: "attending" trained that way let in less than a thousandth. Its `share`
  starts them at 1, so that every layer behind learns with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts.affinity import Sharpness, centred, unit
from .parts.blocks import Norm, decoder_levels, encoder_levels, halved, initialise


@dataclass(frozen=True)
class MscdConfig:
    """Settings of :class:`Mscd`.

    Attributes:
        in_slices: neighbouring slices stacked as input channels, odd.
        classes: background, liver, tumour.
        widths: channels of the encoder's levels, top first.
        context_levels: indices of the levels whose features pass through a context aggregation block.
        spatial, channel: switch each extractor off for the ablation; with both off this is a U-Net.
        mean_channel_affinity: divide the channel affinity by the number of positions.
        norm: normalisation of encoder and decoder.
        normalised_affinity: products of centred embeddings of length 1, see the module.
        share: where alpha and beta start: how much of what is gathered is added.
    """

    in_slices: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    context_levels: tuple[int, ...] = (2, 3, 4)
    spatial: bool = True
    channel: bool = True
    mean_channel_affinity: bool = False
    norm: Norm = "none"
    normalised_affinity: bool = False
    share: float = 0.0


SIZES = {
    "paper": MscdConfig(),
    "compact": MscdConfig(
        in_slices=5,
        widths=(16, 32, 64, 128, 192),
        context_levels=(3, 4),
        mean_channel_affinity=True,
        norm="batch",
    ),
    "attending": MscdConfig(
        in_slices=5, widths=(16, 32, 64, 128, 192), norm="batch", normalised_affinity=True, share=1.0
    ),
}

SPATIAL_SHARPNESS, CHANNEL_SHARPNESS = 8.0, 5.0
"""Where normalised affinities begin: entropies near 0.7 of their range over hundreds of cells or channels."""


class ContextAttention(NamedTuple):
    """What one context aggregation block attends to; see :func:`point_affinity` for chosen points.

    Attributes:
        level: of the encoder.
        keys, queries: K and Q of the spatial extractor, (B, N, D), N = H * W row by row; None if it is off.
        size_yx: (H, W).
        channel: M of the channel extractor, (B, C, C), rows sum to 1; None if it is off.
    """

    level: int
    keys: Tensor | None
    queries: Tensor | None
    size_yx: tuple[int, int]
    channel: Tensor | None


class MscdOutput(NamedTuple):
    """Result of :class:`Mscd`.

    Attributes:
        logits: (B, classes, H, W).
        attention: one per context level, top first; only where asked for.
    """

    logits: Tensor
    attention: tuple[ContextAttention, ...] | None = None


class SpatialContext(nn.Module):
    """Spatial context extractor: M = softmax_j(K Q^T), X^s = alpha * (M F) + X; alpha starts at `share`."""

    def __init__(self, channels: int, normalised: bool = False, share: float = 0.0) -> None:
        super().__init__()
        width = max(8, channels // 8)
        # What is centred needs no bias, and none would learn.
        self.query = nn.Conv2d(channels, width, 1, bias=not normalised)
        self.key = nn.Conv2d(channels, width, 1, bias=not normalised)
        self.alpha = nn.Parameter(torch.full((1,), share))
        self.sharpness = Sharpness(SPATIAL_SHARPNESS) if normalised else None

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> keys and queries, each (B, N, D)."""
        if self.sharpness is None:
            return tuple(F.relu(part(x)).flatten(2).transpose(1, 2) for part in (self.key, self.query))  # type: ignore[return-value]
        keys, queries = (
            unit(centred(part(x).flatten(2).transpose(1, 2), dim=1), dim=2) for part in (self.key, self.query)
        )
        return (self.sharpness() * keys).to(x.dtype), queries.to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        keys, queries = self.embed(x)
        values = x.flatten(2).transpose(1, 2)
        # As wide as the values and with an axis of heads torch's fast kernel takes them: 13 times as fast on
        # 12000 positions, and zeros add nothing to a product.
        spare = max(0, values.shape[2] - keys.shape[2])
        # Row i of K asks, the rows of Q answer: the attention kernel's names the other way round.
        asking, answering = (F.pad(part, (0, spare))[:, None] for part in (keys, queries))
        gathered = F.scaled_dot_product_attention(asking, answering, values[:, None], scale=1.0)[:, 0]
        return self.alpha * gathered.transpose(1, 2).reshape(x.shape) + x


class ChannelContext(nn.Module):
    """Channel context extractor: M = softmax_j(X^T X), X^c = beta * (X M) + X; beta starts at `share`."""

    def __init__(self, mean: bool, normalised: bool = False, share: float = 0.0) -> None:
        super().__init__()
        self.mean = mean
        self.sharpness = Sharpness(CHANNEL_SHARPNESS) if normalised else None
        self.beta = nn.Parameter(torch.full((1,), share))

    def affinity(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> M, (B, C, C), rows sum to 1."""
        flat = x.flatten(2)
        wide = flat.to(torch.promote_types(flat.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            if self.sharpness is not None:
                alike = unit(centred(wide, dim=2), dim=2)
                return (self.sharpness().to(alike.dtype) * (alike @ alike.transpose(1, 2))).softmax(dim=2)
            scores = wide @ wide.transpose(1, 2)
            if self.mean:
                scores = scores / flat.shape[2]
            return scores.softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        # (X M)_nc = sum_i X_ni M_ic; here channels come first.
        mixed = self.affinity(x).to(x.dtype).transpose(1, 2) @ x.flatten(2)
        return self.beta * mixed.reshape(x.shape) + x


class ContextBlock(nn.Module):
    """X^s + X^c; one of them alone where the other is switched off."""

    def __init__(self, channels: int, config: MscdConfig) -> None:
        super().__init__()
        normalised, share = config.normalised_affinity, config.share
        self.spatial = SpatialContext(channels, normalised, share) if config.spatial else None
        self.channel = (
            ChannelContext(config.mean_channel_affinity, normalised, share) if config.channel else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        parts = [part(x) for part in (self.spatial, self.channel) if part is not None]
        return sum(parts[1:], parts[0])

    def attention(self, x: Tensor, level: int) -> ContextAttention:
        """What the block attends to for input `x`."""
        keys, queries = self.spatial.embed(x) if self.spatial is not None else (None, None)
        channel = self.channel.affinity(x) if self.channel is not None else None
        return ContextAttention(level, keys, queries, (x.shape[2], x.shape[3]), channel)


class Mscd(nn.Module):
    """The network. Input: (B, in_slices, H, W), H and W multiples of 2**(levels - 1), values about -1..1."""

    def __init__(self, config: MscdConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = encoder_levels(config.in_slices, widths, config.norm)
        levels = config.context_levels if config.spatial or config.channel else ()
        self.context = nn.ModuleDict({str(level): ContextBlock(widths[level], config) for level in levels})
        self.decoder = decoder_levels(widths, config.norm)
        self.classify = nn.Conv2d(widths[0], config.classes, 1)
        initialise(self)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    def forward(self, x: Tensor, return_attention: bool = False) -> MscdOutput:
        """Class logits at the input's resolution, and what the context blocks attend to where asked for."""
        skips: list[Tensor] = []
        attention: list[ContextAttention] = []
        for depth, block in enumerate(self.encoder):
            x = block(x if depth == 0 else halved(x))
            if str(depth) in self.context:
                context = self.context[str(depth)]
                if return_attention:
                    attention.append(context.attention(x, depth))
                x = context(x)
            skips.append(x)
        for level in range(len(self.decoder) - 1, -1, -1):
            up = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.decoder[level](torch.cat([skips[level], up], dim=1))
        return MscdOutput(self.classify(x), tuple(attention) if return_attention else None)


def point_affinity(attention: ContextAttention, point_yx: Sequence[int], image: int = 0) -> Tensor:
    """What one position attends to: row i of M = softmax_j(K Q^T) of the spatial extractor.

    Args and Raises: as for :func:`point_scores`.

    Returns:
        (H, W) float32, sums to 1.
    """
    scores = point_scores(attention, point_yx, image)
    return scores.flatten().softmax(dim=0).reshape(scores.shape)


def point_scores(attention: ContextAttention, point_yx: Sequence[int], image: int = 0) -> Tensor:
    """How alike every position is to one: row i of K Q^T of the spatial extractor, before its softmax.

    Args:
        attention: of one context level.
        point_yx: row and column on that level's map.
        image: index in the batch.

    Returns:
        (H, W) float32, 0 or more.

    Raises:
        ValueError: the point lies outside the map, or the spatial extractor is off.
    """
    height, width = attention.size_yx
    y, x = point_yx
    if attention.keys is None or attention.queries is None:
        raise ValueError("the spatial context extractor is switched off")
    if not (0 <= y < height and 0 <= x < width):
        raise ValueError(f"point ({y}, {x}) lies outside the {height} x {width} map")
    key = attention.keys[image, y * width + x].float()
    return (attention.queries[image].float() @ key).reshape(height, width)


def build(config: MscdConfig) -> Mscd:
    """The network for a configuration, as the manifest's loader calls it."""
    return Mscd(config)


CONFIG = MscdConfig
