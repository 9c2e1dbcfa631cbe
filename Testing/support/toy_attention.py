"""Networks of the papers so small that their attention is read in a moment, untrained but switched on."""

from __future__ import annotations

from dataclasses import replace

import torch
from LiverLesionAILib.networks import cs_att, dadrn, mscd, sfan, va_mask_rcnn
from torch import nn


def toy(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "sfan":
        return sfan.build(replace(sfan.SIZES["compact"], widths=(4, 8, 8))).eval()
    if name == "mscd":
        config = replace(mscd.SIZES["attending"], widths=(4, 8, 16), context_levels=(1, 2))
        network = mscd.build(config).eval()
        for block in network.context.values():
            nn.init.constant_(block.spatial.alpha, 2.0)
            nn.init.constant_(block.channel.beta, 2.0)
        return network
    if name == "dadrn":
        small = replace(dadrn.SIZES["attending"].backbone, stem=8, widths=(8, 8, 8, 16))
        network = dadrn.build(replace(dadrn.SIZES["attending"], backbone=small)).eval()
        nn.init.constant_(network.spatial.beta, 1.0)
        return network
    if name == "cs_att":
        return cs_att.build(replace(cs_att.SIZES["compact"], widths=(4, 8, 8, 12), head_width=8)).eval()
    config = replace(va_mask_rcnn.SIZES["attending"], bag=3, widths=(8, 8, 8, 8), head_width=8, mask_width=8)
    return va_mask_rcnn.build(config).eval()
