"""Bilinear upsampling by powers of two, also as two matrix products, which CPUs do faster in bfloat16."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 16
"""Output pixels that one small matrix makes of a window of input pixels."""


def upsampled(x: Tensor, factor: int) -> Tensor:
    """Bilinear (align_corners False), (B, h, w, C) -> (B, factor h, factor w, C), channels last.

    In bfloat16 on a CPU, where torch's own kernel is slow and matrix products are what the processor is
    built for, :func:`by_products`.

    Args:
        factor: 1, 2, 4, 8 or 16; factor h and factor w are multiples of 16 for :func:`by_products`.
    """
    if factor == 1:
        return x
    size = (x.shape[1] * factor, x.shape[2] * factor)
    if x.dtype is torch.bfloat16 and x.device.type == "cpu" and not any(side % BLOCK for side in size):
        return by_products(x, factor)
    first = x.permute(0, 3, 1, 2)
    return F.interpolate(first, size=size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


def by_products(x: Tensor, factor: int) -> Tensor:
    """As :func:`upsampled`, along x and then along y, each as one product with a matrix of a window.

    Interpolation repeats every `factor` pixels, so that all blocks of 16 output pixels are the same linear
    function of their window of 16 / factor + 2 input pixels; beyond the border its pixels are repeated.
    """
    count, height, width, channels = x.shape
    step = BLOCK // factor
    matrix = _window_matrix(factor).to(x)
    cells = matrix.shape[1]
    padded = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    windows = padded.as_strided(
        (count, height, width // step, cells * channels),
        (padded.stride(0), padded.stride(1), step * channels, 1),
    )
    each = torch.kron(matrix.T.contiguous(), torch.eye(channels, dtype=x.dtype, device=x.device))
    rows = (windows.reshape(-1, cells * channels) @ each).view(count, height, -1)
    rows = torch.cat([rows[:, :1], rows, rows[:, -1:]], dim=1)
    stacks = rows.as_strided(
        (count, height // step, cells, rows.shape[2]),
        (rows.stride(0), step * rows.stride(1), rows.stride(1), 1),
    )
    return torch.matmul(matrix, stacks).view(count, height * factor, width * factor, channels)


@cache
def _window_matrix(factor: int) -> Tensor:
    """(16, 16 / factor + 2): 16 output pixels of a window whose first and last pixels are neighbours only."""
    # Made outside of inference mode, so that it may be used in and out of it.
    with torch.inference_mode(False), torch.no_grad():
        cells = BLOCK // factor + 2
        whole = F.interpolate(torch.eye(cells)[None], size=cells * factor, mode="linear", align_corners=False)
        return whole[0].T[factor : factor + BLOCK].contiguous()
