"""SFAN: semantic feature attention network.

Zhang et al., "Semantic Feature Attention Network for Liver Tumor Segmentation in Large-scale CT database".

An encoder of five blocks; Semantic Attention Transmission (SAT, equation 1) weights the features of each
level by
the level above it; Global Context Attention (GCA, equations 2 and 3) aligns all levels at the top
resolution and
weights them by the deepest one. There is no further decoder.

Decisions where the paper is silent:
- The two cascaded 1 x 1 convolutions of a gate have a ReLU between them (without one they would be a single
linear
  map) and the hidden width of their input divided by 4, at least 8.
- The input is a stack of neighbouring slices: through-plane context tells vessels from lesions and costs one
  convolution. The paper's size takes 3.
- `norm="batch"` in the compact size: the paper trains ten hours on a GPU, ours minutes on a CPU.
- The 3 x 3 convolution of the head is followed by a ReLU, as every convolution of the paper's blocks is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts.blocks import Norm, encoder_levels, global_average, halved, initialise, narrow
from .parts.upsampled_convolution import add_convolved, pays
from .parts.upsampling import upsampled


@dataclass(frozen=True)
class SfanConfig:
    """Settings of :class:`Sfan`.

    Attributes:
        in_slices: neighbouring slices stacked as input channels, odd.
        classes: background, liver, tumour.
        widths: channels of the encoder's blocks, top first.
        aligned_channels: C', channels of every level after its alignment block.
        head_channels: channels of the last 3 x 3 convolution.
        norm: normalisation of the encoder and the head.
        sat, gca: switch each attention off for the ablation; levels then pass unweighted.
    """

    in_slices: int = 3
    classes: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    aligned_channels: int = 64
    head_channels: int = 64
    norm: Norm = "none"
    sat: bool = True
    gca: bool = True


SIZES = {
    "paper": SfanConfig(),
    "compact": SfanConfig(
        in_slices=5, widths=(16, 32, 64, 128, 256), aligned_channels=8, head_channels=24, norm="batch"
    ),
}


class SfanAttention(NamedTuple):
    """Attention of one forward pass.

    Attributes:
        sat_gates: per level but the deepest, V_t of equation 1, (B, C_t).
        sat_maps: per level, mean over channels of S_t = V_t * H_t, (B, H_t, W_t): the gate-weighted
        activation.
        gca_gates: G of equation 3, (B, L, C'): how much each level's aligned channels count.
    """

    sat_gates: tuple[Tensor, ...]
    sat_maps: tuple[Tensor, ...]
    gca_gates: Tensor | None


class SfanOutput(NamedTuple):
    """Result of :class:`Sfan`.

    Attributes:
        logits: (B, classes, H, W).
        attention: only where asked for.
    """

    logits: Tensor
    attention: SfanAttention | None = None


class Gate(nn.Module):
    """sigmoid(conv1x1(conv1x1(gap(x)))), the gate of equations 1 and 3."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        hidden = max(8, channels_in // 4)
        self.squeeze = nn.Conv2d(channels_in, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, 1, 1) in 0..1."""
        return torch.sigmoid(self.excite(F.relu(self.squeeze(global_average(x)))))


class Sfan(nn.Module):
    """SFAN, section 2 of the paper.

    Input: (B, in_slices, H, W), H and W multiples of 2**(levels - 1), values about -1..1.
    """

    def __init__(self, config: SfanConfig = SIZES["compact"]) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = encoder_levels(config.in_slices, widths, config.norm)
        if config.sat:
            self.sat = nn.ModuleList(Gate(higher, lower) for lower, higher in itertools.pairwise(widths))
        self.align = nn.ModuleList(nn.Conv2d(width, config.aligned_channels, 1) for width in widths)
        fused = len(widths) * config.aligned_channels
        if config.gca:
            self.gca = Gate(widths[-1], fused)
        head: list[nn.Module] = [
            nn.Conv2d(fused, config.head_channels, 3, padding=1, bias=config.norm == "none")
        ]
        if config.norm == "batch":
            head.append(nn.BatchNorm2d(config.head_channels))
        head.append(nn.ReLU(inplace=True))
        self.head = nn.Sequential(*head)
        self.classify = nn.Conv2d(config.head_channels, config.classes, 1)
        initialise(self)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    def forward(self, x: Tensor, return_attention: bool = False) -> SfanOutput:
        """Class logits at the input's resolution, and the gates where asked for."""
        levels: list[Tensor] = []
        for depth, block in enumerate(self.encoder):
            x = block(x if depth == 0 else halved(x))
            levels.append(x)
        gates = [gate(levels[level + 1]) for level, gate in enumerate(self.sat)] if self.config.sat else []
        context = self.gca(levels[-1]) if self.config.gca else None
        if torch.is_grad_enabled():
            weighted = self._weighted(levels, gates)
            hidden = self.head(self._fused(weighted, context))
        else:
            # Maps of the gates' effect only where somebody asks for them.
            weighted = self._weighted(levels, gates) if return_attention else []
            hidden = self._head_at_inference(self._aligned_at_inference(levels, gates, context))
        logits = self.classify(hidden)
        if not return_attention:
            return SfanOutput(logits)
        attention = SfanAttention(
            sat_gates=tuple(g.flatten(1) for g in gates),
            sat_maps=tuple(s.float().mean(dim=1) for s in weighted),
            gca_gates=None if context is None else context.reshape(context.shape[0], len(levels), -1),
        )
        return SfanOutput(logits, attention)

    def _weighted(self, levels: Sequence[Tensor], gates: Sequence[Tensor]) -> list[Tensor]:
        """S of equation 1: levels times their gates; the deepest has none."""
        return [v * h for v, h in zip(gates, levels, strict=False)] + list(levels[len(gates) :])

    def _fused(self, weighted: Sequence[Tensor], context: Tensor | None) -> Tensor:
        """All levels aligned at the top's size, weighted by the context, (B, L C', H, W)."""
        size = weighted[0].shape[-2:]
        aligned = [
            align(s)
            if level == 0
            else F.interpolate(align(s), size=size, mode="bilinear", align_corners=False)
            for level, (align, s) in enumerate(zip(self.align, weighted, strict=True))
        ]
        fused = torch.cat(aligned, dim=1)
        return fused if context is None else context * fused

    def _aligned_at_inference(
        self, levels: Sequence[Tensor], gates: Sequence[Tensor], context: Tensor | None
    ) -> list[Tensor]:
        """Every level aligned at its own size with its gates, (B, H_t, W_t, C').

        Both gates are numbers per image and channel: they go into the weights of the 1 x 1 alignment
        (bilinear interpolation weights all channels alike). Everything stays channels last.
        """
        count, each = len(levels[0]), self.config.aligned_channels
        aligned = []
        for level, (align, features) in enumerate(zip(self.align, levels, strict=True)):
            weight, bias = align.weight[None, :, :, 0, 0], align.bias[None]  # (1, C', C), (1, C')
            if level < len(gates):
                weight = weight * gates[level][:, None, :, 0, 0]
            if context is not None:
                gate = context[:, level * each : (level + 1) * each, 0, 0]
                weight, bias = weight * gate[:, :, None], bias * gate
            aligned.append(_mixed(features, weight.expand(count, -1, -1), bias.expand(count, -1)))
        return aligned

    def _head_at_inference(self, aligned: Sequence[Tensor]) -> Tensor:
        """The head on all levels, up to rounding, (B, C_head, H, W).

        Where it pays, the coarsest levels are convolved before they are enlarged: both are linear.
        """
        height, each = aligned[0].shape[1], aligned[0].shape[3]
        factors = [height // features.shape[1] for features in aligned]
        late = pays(aligned[0].permute(0, 3, 1, 2))
        near = [level for level, factor in enumerate(factors) if factor < CONVOLVED_FROM or not late]
        fused = torch.cat([upsampled(aligned[level], factors[level]) for level in near], dim=3)
        convolution = self.head[0]
        weights = convolution.weight.split(each, dim=1)
        first = torch.cat(weights[: len(near)], dim=1).contiguous(memory_format=torch.channels_last)
        hidden = F.conv2d(fused.permute(0, 3, 1, 2), first, convolution.bias, padding=1)
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for level in range(len(near), len(aligned)):
            add_convolved(hidden.permute(0, 2, 3, 1), aligned[level], weights[level], factors[level])
        return self.head[1:](hidden)


def _mixed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1 x 1 convolutions, one for each image: (B, C, h, w), (B, C', C), (B, C') -> (B, h, w, C')."""
    count, _, height, width = x.shape
    if narrow(x):
        each = [F.conv2d(x[i : i + 1], weight[i, :, :, None, None], bias[i]) for i in range(count)]
        return torch.cat(each).contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    rows = x.permute(0, 2, 3, 1).flatten(1, 2)
    return torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2)).view(count, height, width, -1)


CONVOLVED_FROM = 8
"""Levels that are enlarged at least so many times are convolved first; below, that takes as long."""


def build(config: SfanConfig) -> Sfan:
    """The network for a configuration, as the manifest's loader calls it."""
    return Sfan(config)


CONFIG = SfanConfig
