"""A resection that was planned on a case and measured: what it takes, how it was chosen, its figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .remnant import Remnant


class ResectionWay(Enum):
    """How a resection was chosen."""

    SEGMENTS = "segments"
    PLANE = "plane"
    MARGIN = "margin"
    MASK = "mask"


@dataclass(frozen=True, eq=False)
class Resection:
    """A planned resection.

    Attributes:
        way: how it was chosen.
        detail: the segments ("VI, VII"), the margin in mm ("10"), the mask's name; "" for a plane.
        mask_zyx: bool, what is resected, on the case's grid.
        remnant: its figures.
    """

    way: ResectionWay
    detail: str
    mask_zyx: NDArray[np.bool_]
    remnant: Remnant

    @property
    def text(self) -> str:
        """ "segments VI, VII", "beyond a plane", "lesions with a margin of 10 mm", "mask cut.nrrd"."""
        return {
            ResectionWay.SEGMENTS: f"segments {self.detail}",
            ResectionWay.PLANE: "beyond a plane",
            ResectionWay.MARGIN: f"lesions with a margin of {self.detail} mm",
            ResectionWay.MASK: f"mask {self.detail}",
        }[self.way]
