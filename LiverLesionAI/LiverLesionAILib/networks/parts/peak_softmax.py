"""Weights of CS-Att's attentions: a softmax over its maximum, and where they are seen or replaced."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Weights(nn.Module):
    """Where one attention's weights pass on their way to the features; it has no parameters.

    Attributes:
        instead: what is applied in their place, from the weights (B, M, C, h, w), 0..1, of a window; None:
            the weights themselves. Who examines the attention sets it.
    """

    instead: Callable[[Tensor], Tensor] | None = None

    def forward(self, weights: Tensor) -> Tensor:
        """(B, M, C, h, w) to the same shape."""
        return weights if self.instead is None else self.instead(weights)


def peak_softmax(x: Tensor, dim: int | tuple[int, int]) -> Tensor:
    """softmax(x) over `dim`, divided by its maximum there (equations 2, 3 and 6, 7).

    Args:
        x: (B, M, C, h, w), divided by the temperature; overwritten where no gradient is asked for.
        dim: 1 for the images, (3, 4) for the places.
    """
    if dim == 1:
        peak = reduce(torch.maximum, x.unbind(1))[:, None]
    else:
        # A reduction over the inner dimensions of channels_last memory takes ten times as long.
        peak = F.adaptive_max_pool2d(x.flatten(0, 1), 1).unflatten(0, x.shape[:2])
    if torch.is_grad_enabled():
        return (x - peak).exp()
    return x.sub_(peak).exp_()
