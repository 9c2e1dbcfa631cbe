"""The coarse U-Net that finds the liver on a 3 mm grid.

SFAN paper, section 3: "A U-Net is trained to obtain a coarse segmentation of liver in advance".

A :mod:`unet` of four narrow levels that sees whole axial slices with two neighbours above and below, so
that it does
not depend on how far a scan reaches beyond the liver.
"""

from __future__ import annotations

from .unet import Unet, UnetConfig, build

__all__ = ["CONFIG", "SIZES", "Unet", "build"]

SIZES = {
    "paper": UnetConfig(in_slices=3, classes=2),
    "compact": UnetConfig(in_slices=5, classes=2, widths=(16, 32, 64, 96, 128), norm="batch"),
}
CONFIG = UnetConfig
