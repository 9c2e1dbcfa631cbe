"""The kinds of slices, and where the pixels of a picture lie in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..volume.ct import Geometry
from .canvas import Point


@dataclass(frozen=True)
class Plane:
    """A kind of slice of an upright volume (x, y, z run along L, P, S).

    Attributes:
        axis: array axis across the slice.
        rows, columns: array axes down and along the picture.
        flip_rows: superior at the top.
        letters: left, right, top, bottom of the picture.
    """

    name: str
    axis: int
    rows: int
    columns: int
    flip_rows: bool
    letters: tuple[str, str, str, str]


AXIAL = Plane("Axial", 0, 1, 2, False, ("R", "L", "A", "P"))
CORONAL = Plane("Coronal", 1, 0, 2, True, ("R", "L", "S", "I"))


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Where a picture's pixels lie in a slice.

    Attributes:
        width, height: of the picture, pixels.
        scale: pixels per mm.
        middle: index (row, column) in the slice of the picture's middle.
        step: from one pixel to the next, in rows and columns of the slice.
    """

    width: int
    height: int
    scale: float
    middle: tuple[float, float]
    step: tuple[float, float]

    @classmethod
    def of(
        cls,
        geometry: Geometry,
        plane: Plane,
        window: tuple[float, float, float, float],
        width: int,
        height: int,
        snug: bool,
    ) -> PixelGrid:
        rows_mm, columns_mm = geometry.spacing_zyx_mm[plane.rows], geometry.spacing_zyx_mm[plane.columns]
        r0, r1, c0, c1 = window
        scale = min(width / ((c1 - c0) * columns_mm), height / ((r1 - r0) * rows_mm))
        if snug:
            width = round((c1 - c0) * columns_mm * scale)
            height = round((r1 - r0) * rows_mm * scale)
        # A row of voxels at the picture's edge is half outside, like in any viewer.
        middle_r, middle_c = (r0 + r1) / 2 - 0.5, (c0 + c1) / 2 - 0.5
        step_r, step_c = 1 / (scale * rows_mm), 1 / (scale * columns_mm)
        if plane.flip_rows:
            step_r = -step_r
        return cls(width, height, scale, (middle_r, middle_c), (step_r, step_c))

    @property
    def rows(self) -> NDArray[np.float64]:
        """Index in the slice of every row of pixels."""
        return self.middle[0] + (np.arange(self.height) - (self.height - 1) / 2) * self.step[0]

    @property
    def columns(self) -> NDArray[np.float64]:
        """Index in the slice of every column of pixels."""
        return self.middle[1] + (np.arange(self.width) - (self.width - 1) / 2) * self.step[1]

    def at(self, row: float, column: float) -> Point:
        """The pixel (x, y) of an index in the slice."""
        return (
            (column - self.middle[1]) / self.step[1] + (self.width - 1) / 2,
            (row - self.middle[0]) / self.step[0] + (self.height - 1) / 2,
        )
