"""Contextual attention over many windows of one volume: what depends on one image alone is computed once.

Equations 1 to 3 give image i of a window, at every place and channel, the weight

    exp((s_i - max_j s_j) / T) = e_i / max_j e_j,    e_i = exp(s_i / T),

and equation 4 the features x_i e_i / max_j e_j. Both e_i and x_i e_i are the image's own, whatever window it
is in; a window costs a maximum over its images and one division a place. In this form numbers outside float32's
range would be lost: s / T is kept within +-60, beyond which a weight is below 1e-26 in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .cs_att import CsAtt

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


def attend_window(network: CsAtt, images: Sequence[KnownImage]) -> Tensor:
    """The features of a window's images after both attentions, (1, M, C, h, w), channels last in memory: what
    :meth:`.cs_att.CsAtt.attend` makes of them."""
    first = images[0].features
    channels, height, width = first.shape
    memory = first.new_empty(len(images), height, width, channels)
    x = memory.permute(0, 3, 1, 2)
    powers = [one.power for one in images if one.power is not None]
    if powers:
        share = reduce(torch.maximum, powers).reciprocal_()
        for number, one in enumerate(images):
            assert one.weighted is not None
            torch.mul(one.weighted, share, out=x[number])
    else:
        for number, one in enumerate(images):
            x[number] = one.features
    attended, _ = network.attend_places(x[None])
    return attended
