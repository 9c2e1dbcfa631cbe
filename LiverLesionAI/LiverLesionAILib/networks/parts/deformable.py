"""Deformable convolution (Dai et al., ICCV 2017) in plain torch: a setting of the VA detectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableConv2d(nn.Module):
    """A 3 x 3 convolution that samples at learned offsets: y(p) = sum_k w_k x(p + p_k + dp_k(p)).

    The offsets come from a 3 x 3 convolution of the same input; it starts at zero, and the layer with it as
    the plain convolution. Between pixels x is bilinear, outside the image it is 0.

    Args:
        channels_in, channels_out: of the layer; no bias, a normalisation follows.
        stride: of the output.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.offset = nn.Conv2d(channels_in, 18, 3, stride=stride, padding=1)
        self.zero_offsets()

    def zero_offsets(self) -> None:
        """Start as the plain convolution."""
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H', W')."""
        batch, channels, height, width = x.shape
        # (B, 9, 2, H', W'): for every tap its own (dy, dx), in pixels.
        offset = self.offset(x).float()
        out_yx = offset.shape[-2:]
        offset = offset.reshape(batch, 9, 2, *out_yx)
        ys = torch.arange(out_yx[0], device=x.device, dtype=offset.dtype) * self.stride
        xs = torch.arange(out_yx[1], device=x.device, dtype=offset.dtype) * self.stride
        taps = torch.arange(9, device=x.device)
        y = offset[:, :, 0] + (taps // 3 - 1)[:, None, None] + ys[:, None]
        x_at = offset[:, :, 1] + (taps % 3 - 1)[:, None, None] + xs
        grid = torch.stack([(2 * x_at + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        sampled = F.grid_sample(
            x.to(grid.dtype), grid.reshape(batch, 9 * out_yx[0], out_yx[1], 2), align_corners=False
        )
        sampled = sampled.reshape(batch, channels, 9, *out_yx).to(x.dtype)
        return torch.einsum("bckyx,ock->boyx", sampled, self.weight.flatten(2).to(x.dtype))
