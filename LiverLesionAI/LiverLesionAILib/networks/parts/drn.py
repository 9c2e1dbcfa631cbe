"""Dilated residual network: the backbones that DADRN is built on and compared with.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017, and the residual network it is made from
(He et al. 2016), with squeeze-and-excitation (Hu et al. 2018) or residual attention (Wang et al. 2017) where
asked for.

DRN-50 is ResNet-50 whose two deepest groups keep the resolution and dilate their convolutions by 2 and 4
instead: the last map has an eighth of the input's edge (28 x 28 of 224 x 224) rather than a thirty-second.

Decisions:
- Residual attention ResNet-50: an attention module after each of the first three groups, (1 + M) * T with one
  residual unit each before, in the trunk and in the mask (p = t = r = 1), so that it stays as deep as the
  others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import global_average

Unit = Literal["basic", "bottleneck"]
Attention = Literal["none", "se", "residual"]


@dataclass(frozen=True)
class DrnConfig:
    """Settings of :class:`Drn`.

    Attributes:
        in_slices: neighbouring slices stacked as input channels, odd.
        stem: channels of the first convolution; stem_kernel: its edge; it has stride 2.
        pool: 3 x 3 max-pooling with stride 2 after it.
        unit: residual unit, of two 3 x 3 convolutions or of 1 x 1, 3 x 3, 1 x 1 (four times as wide at the
            end).
        widths: of the groups; depths: units in each.
        strides, dilations: of the groups.
        attention: "se" weights the channels of every unit; "residual" adds attention modules between groups.
    """

    in_slices: int = 3
    stem: int = 64
    stem_kernel: int = 7
    pool: bool = True
    unit: Unit = "bottleneck"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    strides: tuple[int, ...] = (1, 2, 1, 1)
    dilations: tuple[int, ...] = (1, 1, 2, 4)
    attention: Attention = "none"

    @property
    def channels(self) -> int:
        """Of the last map."""
        return self.widths[-1] * (4 if self.unit == "bottleneck" else 1)

    @property
    def stride(self) -> int:
        """Input pixels per position of the last map."""
        total = 4 if self.pool else 2
        for stride in self.strides:
            total *= stride
        return total


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation, size kept but for the stride."""
    return nn.Sequential(
        nn.Conv2d(
            n_in,
            n_out,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(n_out),
    )


class SqueezeExcite(nn.Module):
    """Channel gate sigmoid(W2 relu(W1 gap(x))) multiplied on; reduction 16 (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(4, channels // 16)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x * torch.sigmoid(self.excite(self.relu(self.squeeze(global_average(x)))))


class ResidualUnit(nn.Module):
    """relu(f(x) + shortcut(x))."""

    def __init__(
        self, n_in: int, width: int, unit: Unit, stride: int = 1, dilation: int = 1, squeeze: bool = False
    ) -> None:
        super().__init__()
        if unit == "bottleneck":
            n_out = 4 * width
            layers = [
                convolution(n_in, width, 1),
                nn.ReLU(),
                convolution(width, width, 3, stride, dilation),
                nn.ReLU(),
                convolution(width, n_out, 1),
            ]
        else:
            n_out = width
            layers = [
                convolution(n_in, width, 3, stride, dilation),
                nn.ReLU(),
                convolution(width, n_out, 3, 1, dilation),
            ]
        if squeeze:
            layers.append(SqueezeExcite(n_out))
        self.body = nn.Sequential(*layers)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else convolution(n_in, n_out, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride)."""
        return self.relu(self.body(x) + self.shortcut(x))


class AttentionModule(nn.Module):
    """(1 + M(x)) * T(x), M a bottom-up, top-down mask of `scales` halvings (Wang et al. 2017, section 3)."""

    def __init__(self, channels: int, unit: Unit, scales: int) -> None:
        super().__init__()
        width = channels // 4 if unit == "bottleneck" else channels
        self.before = ResidualUnit(channels, width, unit)
        self.trunk = ResidualUnit(channels, width, unit)
        self.down = nn.ModuleList(ResidualUnit(channels, width, unit) for _ in range(scales))
        self.up = nn.ModuleList(ResidualUnit(channels, width, unit) for _ in range(scales))
        self.gate = nn.Sequential(
            convolution(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = self.before(x)
        mask, skips = x, []
        for unit in self.down:
            skips.append(mask)
            mask = unit(F.max_pool2d(mask, 3, stride=2, padding=1))
        for unit, skip in zip(self.up, reversed(skips), strict=True):
            mask = F.interpolate(unit(mask), size=skip.shape[-2:], mode="bilinear", align_corners=False)
            if skip is not skips[0]:
                mask = mask + skip
        return (1 + self.gate(mask)) * self.trunk(x)


class Drn(nn.Module):
    """The backbone: (B, in_slices, H, W) -> (B, config.channels, H / stride, W / stride)."""

    def __init__(self, config: DrnConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(
                config.in_slices,
                config.stem,
                config.stem_kernel,
                stride=2,
                padding=config.stem_kernel // 2,
                bias=False,
            ),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(),
        )
        groups, channels = [], config.stem
        between = []
        last = len(config.widths) - 1
        for number, (width, depth, stride, dilation) in enumerate(
            zip(config.widths, config.depths, config.strides, config.dilations, strict=True)
        ):
            units = []
            for index in range(depth):
                units.append(
                    ResidualUnit(
                        channels,
                        width,
                        config.unit,
                        stride if index == 0 else 1,
                        dilation,
                        squeeze=config.attention == "se",
                    )
                )
                channels = width * (4 if config.unit == "bottleneck" else 1)
            groups.append(nn.Sequential(*units))
            if config.attention == "residual" and number < last:
                between.append(AttentionModule(channels, config.unit, last - number))
        self.groups = nn.ModuleList(groups)
        self.between = nn.ModuleList(between)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """The last map A.

        Args:
            shift: (B, stem), added to what the first convolution makes, everywhere alike.
        """
        x = self.stem(x)
        if shift is not None:
            x = x + shift[:, :, None, None]
        if self.config.pool:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        for number, group in enumerate(self.groups):
            x = group(x)
            if number < len(self.between):
                x = self.between[number](x)
        return x
