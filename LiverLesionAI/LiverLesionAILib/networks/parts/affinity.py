"""Embeddings whose products neither harden a softmax or sigmoid to one answer nor leave it flat.

A dot product of plain embeddings grows with their length and their width: its softmax is one-hot, or its
sigmoid one, before a network has learnt anything, and then no gradient brings it back. Embeddings that are
centred (what all have in common says nothing about which are alike; Yin et al., "Disentangled Non-Local
Neural Networks", ECCV 2020) and of length 1 have products within -1..1 whatever their scale, and one learnt
factor of narrow range says how decided the attention is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_LENGTH = 1e-6


def unit(x: Tensor, dim: int, least: float = LEAST_LENGTH) -> Tensor:
    """Vectors along `dim` brought to length 1, float32 at least; what is shorter than `least` fades to 0."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide / (wide.norm(dim=dim, keepdim=True) + least)


def centred(x: Tensor, dim: int) -> Tensor:
    """What differs from the mean along `dim`, float32 at least."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide - wide.mean(dim=dim, keepdim=True)


class Sharpness(nn.Module):
    """The factor of unit embeddings' products: `start`, learnt between a half and twice of it.

    The range is narrow on purpose: no training can make the softmax one-hot by it.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = start
        self.octaves = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        """(1,)."""
        return self.start * 2.0 ** torch.tanh(self.octaves)
