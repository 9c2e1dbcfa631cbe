"""CS-Att on many windows of one volume.

What depends on one image alone is computed once, and behind the attention only what some proposal reads.

Equations 1 to 3 give image i of a window, at every place and channel, the weight

    exp((s_i - max_j s_j) / T) = e_i / max_j e_j,    e_i = exp(s_i / T),

and equation 4 the features x_i e_i / max_j e_j. Both e_i and x_i e_i are the image's own, whatever window it
is in; a window costs a maximum over its images and one division a place. So written, numbers outside the
range of float32 would be lost: s / T is kept within +-60, beyond which a weight is below 1e-26 in any case.
The spatial attention (equations 5 to 8) depends on the window: its embedding is needed everywhere, for the
maximum, its exponential and the position-sensitive maps only in cells that a box is read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .cs_att import CsAtt, embedded
from .parts.peak_softmax import peak_softmax
from .parts.ps_roi import aligned_reading, bag_mean

LARGEST = 60.0


class KnownImage(NamedTuple):
    """What is known of one three-slice image.

    Attributes:
        features: (C, h, w).
        power: e, (C, h, w) float32; None where contextual attention is off.
        weighted: features times e, float32.
    """

    features: Tensor
    power: Tensor | None = None
    weighted: Tensor | None = None


def known_images(network: CsAtt, images: Tensor) -> list[KnownImage]:
    """Images (N, 3, H, W) through the backbone, once each."""
    features = network.features(images.contiguous(memory_format=torch.channels_last))
    scores = network.context_scores(features)
    if scores is None:
        return [KnownImage(one) for one in features]
    powers = scores.float().clamp_(-LARGEST, LARGEST).exp_()
    return [KnownImage(*one) for one in zip(features, powers, features * powers, strict=True)]


def in_context(images: Sequence[KnownImage]) -> Tensor:
    """A window's features after the contextual attention, (M, C, h, w), channels last in memory."""
    first = images[0].features
    channels, height, width = first.shape
    x = first.new_empty(len(images), height, width, channels).permute(0, 3, 1, 2)
    powers = [one.power for one in images if one.power is not None]
    share = reduce(torch.maximum, powers).reciprocal_() if powers else None
    for number, one in enumerate(images):
        if one.weighted is None or share is None:
            x[number] = one.features
        else:
            torch.mul(one.weighted, share, out=x[number])
    return x


def judge_window(network: CsAtt, images: Sequence[KnownImage], boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (R, 2) and deltas (R, 4) of proposals (R, 4) in one window.

    What :meth:`.CsAtt.attend`, :meth:`.CsAtt.maps` and :meth:`.CsAtt.classify` make of them; and by these
    themselves where other weights are applied than the network's own (:attr:`.CsAtt.replaced`), which the
    short way never makes as a whole.
    """
    config = network.config
    if network.replaced:
        whole, _ = network.attend(torch.stack([one.features for one in images])[None])
        return network.classify(network.maps(whole), boxes, boxes.new_zeros(len(boxes), dtype=torch.int64))
    x = in_context(images)
    # Equation 5 read literally embeds what the contextual attention has not weighted.
    asked = x if config.spatial_from == "refined" else torch.stack([one.features for one in images])
    size_yx = (x.shape[2], x.shape[3])
    if not config.aligned:
        # Bins of whole cells are means over an integral image: every cell is read.
        maps = network.maps(_in_places(network, x, asked)[None])
        return network.classify(maps, boxes, boxes.new_zeros(len(boxes), dtype=torch.int64))
    read = aligned_reading(boxes, config.roi_bins, network.multiple, size_yx)
    used = boxes.new_zeros(size_yx[0] * size_yx[1], dtype=torch.bool)
    used[read.cells.flatten()] = True
    cells = used.nonzero()[:, 0]
    weight = network.position_maps.weight.flatten(1)
    maps = F.linear(_in_places(network, x, asked, cells), weight, network.position_maps.bias)
    # (cells, K * K, M, D): what a bin reads in a cell lies together for all images.
    bins = config.roi_bins**2
    rows = _wide(maps).unflatten(2, (bins, -1)).permute(1, 2, 0, 3).flatten(2).flatten(0, 1)
    number = torch.arange(bins, device=boxes.device)[:, None]
    index = (used.cumsum(0) - 1)[read.cells] * bins + number
    pooled = bag_mean(index, rows, read.shares.to(rows.dtype))
    pooled = pooled.reshape(len(boxes), bins, len(images), config.roi_channels).permute(0, 2, 3, 1)
    return network.judge(pooled.flatten(1))


def _in_places(network: CsAtt, x: Tensor, asked: Tensor, cells: Tensor | None = None) -> Tensor:
    """Spatial attention, embedding `asked`, on (M, C, h, w): that shape, or (M, n, C) of some cells."""
    if network.phi_spatial is None:
        return x if cells is None else _picked(x, cells)
    flat = embedded(network.phi_spatial, asked, network.config.spatial_temperature)
    if cells is None:
        return peak_softmax(flat[None], (3, 4))[0] * x
    peak = F.adaptive_max_pool2d(flat, 1).flatten(1)[:, None]
    return (_picked(flat, cells) - peak).exp_() * _picked(x, cells)


def _picked(x: Tensor, cells: Tensor) -> Tensor:
    """(M, C, h, w), (n,) -> (M, n, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, cells)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
