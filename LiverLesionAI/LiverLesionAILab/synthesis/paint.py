"""Painting signed distances onto the fine grid of a synthetic CT with anti-aliased edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray

from .abdomen import Layer
from .fields import Array, Box, Grid, upsample
from .organs import Organ


@dataclass(eq=False)
class Canvas:
    """HU and labels on the grid that is painted.

    Attributes:
        grid: the fine grid.
        hu_zyx: float32 HU.
        labels_zyx: uint8 `Organ`.
    """

    grid: Grid
    hu_zyx: Array
    labels_zyx: NDArray[np.uint8]

    @classmethod
    def blank(cls, grid: Grid) -> Canvas:
        """Air everywhere."""
        return cls(grid, np.full(grid.shape_zyx, -1000.0, np.float32), np.zeros(grid.shape_zyx, np.uint8))

    @property
    def edge_mm(self) -> float:
        """Width over which an edge passes from one tissue to the other: an in-plane voxel."""
        return float(max(self.grid.spacing_zyx_mm[1:]))

    def box_of(self, part: Grid) -> Box:
        """The fine nodes that lie within a coarse part."""
        low = np.array(part.origin_zyx_mm)
        high = low + (np.array(part.shape_zyx) - 1) * np.array(part.spacing_zyx_mm)
        origin, step = np.array(self.grid.origin_zyx_mm), np.array(self.grid.spacing_zyx_mm)
        lo = np.clip(np.ceil((low - origin) / step - 1e-4).astype(int), 0, self.grid.shape_zyx)
        hi = np.clip(np.floor((high - origin) / step + 1e-4).astype(int) + 1, lo, self.grid.shape_zyx)
        return tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))  # type: ignore[return-value]

    def blend(self, box: Box, sdf: Array, hu: float | Array, organ: Organ, label: bool = True) -> None:
        """Mix `hu` in where `sdf` (fine, on `box`) is negative; label what is more than half covered."""
        alpha = np.clip(0.5 - sdf * np.float32(1 / self.edge_mm), 0, 1)
        view = self.hu_zyx[box]
        alpha *= hu - view
        view += alpha
        if label:
            self.labels_zyx[box][sdf < 0] = organ

    def paint(self, coarse: Grid, layer: Layer, fat_hu: float) -> None:
        """Paint a layer given on a part of the coarse grid."""
        trimmed = _trim(layer)
        if trimmed is None:
            return
        part = coarse.part(trimmed.box)
        box = self.box_of(part)
        if any(s.stop <= s.start for s in box):
            return
        target = self.grid.part(box)
        sdf = upsample(trimmed.sdf, part, target)
        if layer.halo_mm:
            self.blend(box, sdf - np.float32(layer.halo_mm), fat_hu, Organ.FAT)
        hu = trimmed.hu if np.isscalar(trimmed.hu) else upsample(trimmed.hu, part, target)
        self.blend(box, sdf, hu, layer.organ)

    def mask(self, part: Grid, sdf: Array) -> NDArray[np.bool_]:
        """Boolean canvas-sized mask of a coarse signed distance."""
        out = np.zeros(self.grid.shape_zyx, bool)
        box = self.box_of(part)
        if all(s.stop > s.start for s in box):
            out[box] = upsample(sdf, part, self.grid.part(box)) < 0
        return out


def _trim(layer: Layer) -> Layer | None:
    """Cut a layer's box down to what is painted plus two nodes; None where nothing is."""
    near = layer.sdf < layer.halo_mm + 3.0
    cut = bounding_box(near, 2)
    if cut is None or min(s.stop - s.start for s in cut) < 2:
        return None
    box = [
        slice(whole.start + s.start, whole.start + s.stop) for whole, s in zip(layer.box, cut, strict=True)
    ]
    hu = layer.hu if np.isscalar(layer.hu) else layer.hu[cut]
    return Layer(layer.organ, tuple(box), layer.sdf[cut], hu, layer.halo_mm)  # type: ignore[arg-type]
