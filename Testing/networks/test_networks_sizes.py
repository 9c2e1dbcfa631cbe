"""Parameters and operations of the networks, against sums by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks.size_table import PAPER_PIXELS, size_rows, size_table
from LiverLesionAILib.networks.unet import SIZES as UNET


def unet_by_hand(edge: int) -> tuple[int, float]:
    """Parameters and operations of the paper's U-Net: every 3 x 3 convolution and the last 1 x 1."""
    widths, parameters, operations = UNET["paper"].widths, 0, 0

    def convolution(c_in: int, c_out: int, kernel: int, level: int) -> None:
        nonlocal parameters, operations
        parameters += c_in * c_out * kernel**2 + c_out
        operations += 2 * c_in * c_out * kernel**2 * (edge >> level) ** 2

    for level, width in enumerate(widths):
        convolution(UNET["paper"].in_slices if level == 0 else widths[level - 1], width, 3, level)
        convolution(width, width, 3, level)
        if level < len(widths) - 1:
            convolution(width + widths[level + 1], width, 3, level)
            convolution(width, width, 3, level)
    convolution(widths[0], UNET["paper"].classes, 1, 0)
    return parameters, operations / 1e9


def test_unet_by_hand() -> None:
    paper, compact = size_rows(["unet"])
    parameters, gflop = unet_by_hand(512)
    assert (paper.size, paper.shape, paper.parameters) == ("paper", (1, 3, 512, 512), parameters)
    assert paper.operations / 1e9 == pytest.approx(gflop, rel=1e-6)
    assert compact.parameters < 0.1 * paper.parameters


def test_every_network_is_in_the_table() -> None:
    lines = size_table().splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        [name, size] for name in PAPER_PIXELS for size in ("paper", "compact")
    ]
