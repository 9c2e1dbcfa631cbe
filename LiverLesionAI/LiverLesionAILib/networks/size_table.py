"""Parameters and operations of every network here in both sizes, as a table: `liverlesionai info --networks`.

Operations are multiplications and additions (2 per pair) of convolutions, linear layers and matrix products
for one target slice as the paper evaluates it: of a bag or window of images all are counted. Nothing is
computed: the networks are built without memory behind them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from .parts.blocks import parameter_count
from .parts.fpn import with_coarsest
from .parts.rcnn import BOX_CELLS, MASK_CELLS

PAPER_PIXELS = {
    "coarse_unet": 128,
    "sfan": 512,
    "mscd": 224,
    "va_mask_rcnn": 1024,
    "va_faster_rcnn": 512,
    "cs_att": 512,
    "dadrn": 224,
    "unet": 512,
}
"""Edge of the square slices in the papers; where one is silent, of the CT."""

COMPACT_PIXELS = 176
"""Edge of the compact sizes' training crops."""


@dataclass(frozen=True)
class SizeRow:
    """One network in one size.

    Attributes:
        name, size: "sfan", "paper" or "compact".
        shape: of what is evaluated for one target: images, slices per image, height, width.
        parameters: number that learn.
        operations: see the module.
    """

    name: str
    size: str
    shape: tuple[int, int, int, int]
    parameters: int
    operations: int


def _plain(network: nn.Module, pixels: int) -> tuple[tuple[int, int, int, int], Callable[[], Any]]:
    slices = getattr(network.config, "in_slices", 3)
    x = torch.zeros(1, slices, pixels, pixels)
    return (1, slices, pixels, pixels), lambda: network(x)


def _volumetric(network: Any, pixels: int) -> tuple[tuple[int, int, int, int], Callable[[], Any]]:
    config = network.config
    shape = (config.bag, config.in_slices, pixels, pixels)
    bag = torch.arange(config.bag)[None]

    def run() -> None:
        targets, _ = network.attend(network.features(torch.zeros(shape)), bag)
        network.rpn(with_coarsest(targets))
        channels = config.pyramid_channels
        network.box_head(torch.zeros(config.proposals, channels, BOX_CELLS, BOX_CELLS))
        if network.mask_head is not None:
            found = config.detections
            network.mask_head(torch.zeros(found, channels, MASK_CELLS, MASK_CELLS))

    return shape, run


def _windowed(network: Any, pixels: int) -> tuple[tuple[int, int, int, int], Callable[[], Any]]:
    images = network.config.images
    shape = (images, network.config.in_slices // images, pixels, pixels)

    def run() -> None:
        features = network.features(torch.zeros(shape))[None]
        network.maps(network.attend(features)[0])
        network.propose_hidden(features[:, images // 2])
        regions = torch.zeros(300, network.hidden.in_features)
        network.hidden(regions)

    return shape, run


def evaluated(name: str, network: Any, pixels: int) -> tuple[tuple[int, int, int, int], Callable[[], Any]]:
    """What one target slice takes: the shape of what is looked at, and a function that looks at it.

    Args:
        name: of the network's module.
        pixels: edge of the square slices.
    """
    if name.startswith("va_"):
        return _volumetric(network, pixels)
    return _windowed(network, pixels) if name == "cs_att" else _plain(network, pixels)


def size_rows(names: Sequence[str] = tuple(PAPER_PIXELS)) -> Iterator[SizeRow]:
    """The named networks, every one by default, in both sizes."""
    for name in names:
        paper_pixels = PAPER_PIXELS[name]
        module = importlib.import_module(f".{name}", __package__)
        for size, pixels in (("paper", paper_pixels), ("compact", COMPACT_PIXELS)):
            # Tensors with a shape only.
            with FakeTensorMode(), torch.no_grad():
                network = module.build(module.SIZES[size]).eval()
                shape, run = evaluated(name, network, pixels)
                with FlopCounterMode(display=False) as counter:
                    run()
            yield SizeRow(name, size, shape, parameter_count(network), counter.get_total_flops())


def size_table() -> str:
    """The rows as text."""
    lines = [f"{'network':<15} {'size':<8} {'images x slices x px':>22} {'parameters':>11} {'GFLOP':>9}"]
    for row in size_rows():
        images, slices, height, width = row.shape
        shape = f"{images} x {slices} x {height} x {width}"
        lines.append(
            f"{row.name:<15} {row.size:<8} {shape:>22} {row.parameters / 1e6:>9.2f} M "
            f"{row.operations / 1e9:>9.1f}"
        )
    return "\n".join(lines)
