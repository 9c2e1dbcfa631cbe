"""A 3 x 3 convolution of enlarged maps, computed without enlarging them first.

Bilinear enlargement and convolution are both linear, so that every output pixel is a fixed sum over the few
coarse pixels around it: along x that sum and the mixing of channels are one matrix product per coarse row,
and along y another one. For factors from 8 that takes at most a third of the multiplications of the
convolution at full size. The border is exact too: there the convolution meets zeros where the enlarged map
would be continued, and what the continuation adds is taken away again.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .upsampling import BLOCK


def pays(x: Tensor) -> bool:
    """Whether this is the quicker way for a full-size image (B, C, H, W): wide numbers, on a CPU.

    It also has to be possible: H and W are multiples of 16. Where only shapes or operations are counted, on
    stand-ins for tensors, the network's own convolution is meant.
    """
    wide = type(x) is Tensor and x.dtype in (torch.float32, torch.float64)
    return wide and x.device.type == "cpu" and not any(side % BLOCK for side in x.shape[-2:])


def add_convolved(out: Tensor, x: Tensor, weight: Tensor, factor: int) -> None:
    """Add conv2d(upsample(x), weight, padding=1) to `out`, in place, up to rounding.

    Args:
        out: (B, factor h, factor w, C_out), contiguous; its sides are multiples of 16.
        x: (B, h, w, C_in), to be enlarged bilinearly (align_corners False).
        weight: (C_out, C_in, 3, 3).
        factor: 2, 4, 8 or 16.
    """
    count, height, width, channels_out = out.shape
    stacks = _along_x(x, weight, factor)
    # Beyond the image the enlarged map is its border again; the convolution sees zeros there.
    out[:, 0] -= stacks[:, 1, 0]
    out[:, -1] -= stacks[:, -2, 2]
    rows = stacks.view(count, -1, width * channels_out)
    matrix = _taps(factor).to(x).flatten(1)
    step = 3 * BLOCK // factor
    for image, target in zip(rows, out.view(count, -1, BLOCK, width * channels_out), strict=True):
        for number, block in enumerate(target):
            block.addmm_(matrix, image[number * step : number * step + step + 6])


def _along_x(x: Tensor, weight: Tensor, factor: int) -> Tensor:
    """(B, h + 2, 3, factor w, C_out): each coarse row enlarged and convolved along x, by each row of taps.

    The first and the last row are repeated once.
    """
    count, height, width, channels = x.shape
    channels_out, step = weight.shape[0], BLOCK // factor
    taps = _taps(factor).to(x)
    cells = taps.shape[1]
    # (row of taps, cell and channel in, pixel and channel out).
    mixing = torch.einsum("pck,oiyk->ycipo", taps, weight).reshape(3, cells * channels, BLOCK * channels_out)
    padded = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    windows = padded.as_strided(
        (count, height, width // step, cells * channels),
        (padded.stride(0), padded.stride(1), step * channels, 1),
    ).contiguous()
    out = x.new_empty((count, height + 2, 3, width * factor, channels_out))
    for tap in range(3):
        first, last = x[:, :, 0] @ weight[:, :, tap, 0].T, x[:, :, -1] @ weight[:, :, tap, 2].T
        for image, mine in zip(windows, out[:, 1:-1, tap], strict=True):
            target = mine.view(height, width // step, BLOCK * channels_out)
            torch.bmm(image, mixing[tap].expand(height, -1, -1), out=target)
        out[:, 1:-1, tap, 0] -= first
        out[:, 1:-1, tap, -1] -= last
    out[:, 0], out[:, -1] = out[:, 1], out[:, -2]
    return out


@cache
def _taps(factor: int) -> Tensor:
    """(16, 16 / factor + 2, 3): what an output pixel's neighbours before, at and behind take of a cell."""
    # Made outside of inference mode, so that it may be used in and out of it.
    with torch.inference_mode(False), torch.no_grad():
        cells = BLOCK // factor + 2
        eye = torch.eye(cells, dtype=torch.float64)
        whole = F.interpolate(eye[None], size=cells * factor, mode="linear", align_corners=False)[0].T
        return torch.stack([whole[factor + k - 1 : factor + k - 1 + BLOCK] for k in range(3)], dim=2)
