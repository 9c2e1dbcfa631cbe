"""What the network that answers clicks sees: a crop of the CT round an outline, the outline, and the clicks.

Crops have always as many voxels, and the outline that is to be mended fills half of them: a small lesion is
seen on voxels finer than the CT's, a large one on coarser ones. Positions are voxels of a grid, z, y, x, and
may lie between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import OUTSIDE_HU
from ...volume.masks import bounding_box

HU_LIMITS = (OUTSIDE_HU, OUTSIDE_HU + 400.0)
"""What the training volumes hold."""

Point = tuple[float, float, float]
Spacing = tuple[float, float, float]

DEPTH, EDGE = 16, 48
"""Slices and pixels of a crop."""

CHANNELS = 9
"""CT; its difference from the liver in HU, and in SDs of the liver; signed distance to the outline's surface;
where a lesion may lie; clicks in the lesion; clicks beside it; size of a pixel; thickness of a slice."""

DISTANCE = 3
INSIDE, OUTSIDE = 5, 6
"""Channels of the outline and of the clicks."""

NARROW_HU = 50.0
"""Half of the narrow window about the liver's level: faint lesions fill it."""

SPREADS = 3.0
"""SDs of the liver that count as one."""

FALLS = 5.0
"""Pixels of a crop in which a click's channel falls to 1 / e."""

FAR = 6.0
"""Pixels of a crop from the outline's surface beyond which all is equally far."""

SHARE = 0.5
"""Of a crop's edge the outline takes so much."""

FINEST_MM = 0.4
"""No pixel of a crop is smaller."""

MARGIN_MM = 10.0
"""A lesion may reach so far out of the liver that was found: at its edge that is often what went wrong."""


@dataclass(frozen=True)
class Clicks:
    """What the reader has clicked on so far, voxels of the CT's grid (or of a part of it).

    Attributes:
        inside: in the lesion, the first one first; at least one.
        outside: not in it.
    """

    inside: tuple[Point, ...]
    outside: tuple[Point, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class CropGrid:
    """A crop's voxels in a part of a CT.

    Attributes:
        first, step: voxel 0 of the crop in voxels of the CT, and how many of these one of the crop takes.
        spacing_zyx_mm: of the CT.
    """

    first: NDArray[np.float64]
    step: NDArray[np.float64]
    spacing_zyx_mm: Spacing

    @property
    def pixel_mm(self) -> float:
        """In plane."""
        return float(self.step[1] * self.spacing_zyx_mm[1])

    @property
    def depth_mm(self) -> float:
        """From slice to slice."""
        return float(self.step[0] * self.spacing_zyx_mm[0])

    def inside_crop(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Points of the CT as voxels of the crop, (n, 3)."""
        return (np.array(points, float).reshape(-1, 3) - self.first) / self.step

    def drawn(self, volume_zyx: NDArray, outside: float, start_zyx: Sequence[int] = (0, 0, 0)) -> NDArray:
        """A volume at the crop's voxels, by linear interpolation, float32 (DEPTH, EDGE, EDGE).

        Args:
            volume_zyx: the CT, or the part of it that begins at `start_zyx`.
            outside: what lies beyond it.
        """
        shape, first = np.array((DEPTH, EDGE, EDGE)), self.first - np.array(start_zyx)
        low = np.clip(np.floor(first).astype(int) - 3, 0, np.array(volume_zyx.shape) - 1)
        high = np.clip(np.ceil(first + self.step * shape).astype(int) + 3, low + 1, volume_zyx.shape)
        part = np.asarray(
            volume_zyx[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))], np.float32
        )
        blur = np.sqrt(np.maximum(self.step**2 - 1, 0)) / 2.35
        if blur.max() > 0.2:
            part = ndimage.gaussian_filter(part, blur, mode="nearest")
        return ndimage.affine_transform(
            part,
            self.step,
            first - low,
            (DEPTH, EDGE, EDGE),
            np.float32,
            order=1,
            mode="grid-constant",
            cval=outside,
        )


def crop_grid(
    drawn_zyx: NDArray[np.bool_],
    clicks: Clicks,
    spacing_zyx_mm: Spacing,
    scale: float = 1.0,
    shift: Sequence[float] = (0.0, 0.0, 0.0),
) -> CropGrid:
    """The crop round an outline and its clicks.

    Slices of a thick series are taken as they are: between two of them nothing is known.

    Args:
        drawn_zyx: on the grid of the CT, or of a part of it.
        scale, shift: how many times larger than usual, and how many of its voxels farther on (in training).
    """
    spacing = np.array(spacing_zyx_mm, float)
    points = np.array((*clicks.inside, *clicks.outside), float).reshape(-1, 3)
    low, high = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    box = bounding_box(drawn_zyx)
    if box is not None:
        low = np.minimum(low, [s.start - 0.5 for s in box])
        high = np.maximum(high, [s.stop - 0.5 for s in box])
    extent = (high - low) * spacing
    pixel = max(float(extent[1:].max()) / (SHARE * EDGE), FINEST_MM) * scale
    depth = max(spacing[0], extent[0] / (SHARE * DEPTH) * scale, pixel)
    if depth < 1.25 * spacing[0]:
        depth = spacing[0]
    step = np.array([depth, pixel, pixel]) / spacing
    middle = (low + high) / 2 + np.array(shift) * step
    first = middle - step * (np.array((DEPTH, EDGE, EDGE)) - 1) / 2
    if step[0] == 1:
        first[0] = np.round(first[0])
    return CropGrid(first, step, spacing_zyx_mm)


def distance_channel(drawn_zyx: NDArray[np.bool_], grid: CropGrid) -> NDArray[np.float32]:
    """Signed distance to an outline's surface, positive inside, in `FAR` pixels of the crop, -1..1."""
    box = bounding_box(drawn_zyx)
    if box is None:
        return np.full((DEPTH, EDGE, EDGE), -1.0, np.float32)
    margin = [int(np.ceil(FAR * grid.pixel_mm / s)) + 2 for s in grid.spacing_zyx_mm]
    wide = tuple(
        slice(max(0, s.start - m), min(n, s.stop + m))
        for s, m, n in zip(box, margin, drawn_zyx.shape, strict=True)
    )
    distance = signed_distance(drawn_zyx[wide], grid.spacing_zyx_mm)
    reach = -2 * FAR * grid.pixel_mm
    pixels = grid.drawn(distance, reach, [s.start for s in wide]) / np.float32(grid.pixel_mm)
    return (np.clip(pixels, -FAR, FAR) / FAR).astype(np.float32)


def signed_distance(mask: NDArray[np.bool_], spacing_zyx: Sequence[float]) -> NDArray[np.float32]:
    """Distance of every voxel to a mask's surface, positive inside; the mask holds at least one voxel."""
    within = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_zyx)[1:-1, 1:-1, 1:-1]
    without = ndimage.distance_transform_edt(~mask, sampling=spacing_zyx)
    half = 0.5 * min(spacing_zyx)
    return np.asarray(within - without + np.where(mask, -half, half), np.float32)


def click_channel(points: NDArray, shape: tuple[int, ...], depth_step: float) -> NDArray[np.float32]:
    """1 where a click is, falling with the distance to the nearest one; zeros without any.

    Args:
        points: (n, 3) voxels of the crop.
        depth_step: how many pixels the distance of two slices is.
    """
    nearest = np.full(shape, np.inf, np.float32)
    for z, y, x in np.asarray(points, float).reshape(-1, 3):
        steps = ((np.arange(shape[0]) - z) * depth_step, np.arange(shape[1]) - y, np.arange(shape[2]) - x)
        squares = np.ix_(*(step.astype(np.float32) ** 2 for step in steps))
        np.minimum(nearest, np.sqrt(squares[0] + squares[1] + squares[2]), out=nearest)
    channel: NDArray[np.float32] = np.exp(nearest / np.float32(-FALLS))
    return channel


def stacked(
    hu: NDArray[np.float32],
    level_hu: float,
    spread_hu: float,
    distance: NDArray[np.float32],
    near: NDArray[np.bool_],
    inside: NDArray,
    outside: NDArray,
    pixel_mm: float,
    depth_mm: float,
) -> NDArray[np.float32]:
    """A crop's channels, (CHANNELS, D, H, W).

    Args:
        hu, distance, near: (D, H, W); the distance as :func:`distance_channel` gives it.
        level_hu, spread_hu: of the liver, see :class:`~.star.LiverLevel`.
        inside, outside: clicks, (n, 3) voxels of the crop.
    """
    low, high = HU_LIMITS
    depth_step = depth_mm / pixel_mm
    clicks = [click_channel(points, hu.shape, depth_step) for points in (inside, outside)]
    volumes = (
        (hu - low) / (0.5 * (high - low)) - 1,
        np.clip((hu - level_hu) / NARROW_HU, -1, 1),
        np.clip((hu - level_hu) / (SPREADS * spread_hu), -1.5, 1.5),
        distance,
        near,
        *clicks,
        np.full(hu.shape, np.log2(pixel_mm) / 2),
        np.full(hu.shape, np.log2(depth_step) / 3),
    )
    return np.stack(volumes).astype(np.float32)


def near_liver(liver_zyx: NDArray[np.bool_], spacing_zyx_mm: Sequence[float]) -> NDArray[np.bool_]:
    """The liver and `MARGIN_MM` round it: where an outline may lie."""
    near = np.zeros(liver_zyx.shape, bool)
    box = bounding_box(liver_zyx)
    if box is None:
        return near
    wide = tuple(
        slice(max(0, b.start - r), b.stop + r)
        for b, r in zip(box, (int(np.ceil(MARGIN_MM / s)) for s in spacing_zyx_mm), strict=True)
    )
    near[wide] = ndimage.distance_transform_edt(~liver_zyx[wide], sampling=spacing_zyx_mm) <= MARGIN_MM
    return near
