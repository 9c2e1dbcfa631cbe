"""How large the networks are: parameters, operations and shapes of every size, without computing anything."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from .blocks import parameter_count

NETWORKS = (
    "sfan",
    "mscd",
    "va_mask_rcnn",
    "va_faster_rcnn",
    "cs_att",
    "dadrn",
    "coarse_unet",
    "unet",
    "attention_unet",
    "se_unet",
    "danet_unet",
)

EDGE_PX = {"dadrn": 224, "coarse_unet": 128}
"""Edge of the square input that is counted; 512, a whole slice, for the others."""


class NetworkSize(NamedTuple):
    """One size of one network.

    Attributes:
        name, size: "sfan", "paper".
        parameters: that are trained.
        images: shape of what goes in, (images, slices, H, W).
        features: shape of what was computed for it: logits, or a detector's features (its finest level).
        gflop: 1e9 multiplications and additions for it.
    """

    name: str
    size: str
    parameters: int
    images: tuple[int, ...]
    features: tuple[int, ...]
    gflop: float


def network_size(name: str, size: str) -> NetworkSize:
    """Count one size of one network.

    A detector's proposals depend on what the image shows; of a detector only the features of one image are
    counted, which is what every slice costs.
    """
    module = import_module(f"{__package__}.{name}")
    config = module.SIZES[size]
    edge = EDGE_PX.get(name, 512)
    counter = FlopCounterMode(display=False)
    # Shapes without values: the largest networks would take a minute and gigabytes.
    with FakeTensorMode(), torch.no_grad():
        network: nn.Module = module.build(config).eval()
        images = torch.empty(1, _slices_of_image(config), edge, edge)
        with counter:
            out = _compute(network, images)
    return NetworkSize(
        name,
        size,
        parameter_count(network),
        tuple(images.shape),
        tuple(out.shape),
        counter.get_total_flops() / 1e9,
    )


def _slices_of_image(config: object) -> int:
    """Slices of one image; CS-Att stacks several images of three, DADRN always sees three."""
    return 3 if hasattr(config, "images") else getattr(config, "in_slices", 3)


def _compute(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if hasattr(network, "pyramid"):
        return network.pyramid(images)[0]
    if hasattr(network, "features"):
        return network.features(images)
    return network(images).logits


def size_table() -> str:
    """All networks in both sizes, as text."""
    rows = [("network", "size", "parameters", "input", "output", "GFLOP")]
    for name in NETWORKS:
        for size in ("paper", "compact"):
            one = network_size(name, size)
            shapes = [" x ".join(str(n) for n in shape[1:]) for shape in (one.images, one.features)]
            rows.append((name, size, f"{one.parameters / 1e6:.2f} M", *shapes, f"{one.gflop:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
