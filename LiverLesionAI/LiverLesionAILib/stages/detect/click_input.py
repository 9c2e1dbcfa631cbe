"""What the network that answers clicks sees: a crop of the CT round the click, and the clicks as channels.

Crops have always as many voxels; of a large lesion they are larger. Positions are voxels of a grid, z, y,
x, and may lie between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import OUTSIDE_HU, InputSpec
from ...volume.masks import bounding_box

HU_LIMITS = (OUTSIDE_HU, OUTSIDE_HU + 400.0)
"""What the training volumes hold."""

Point = tuple[float, float, float]
Spacing = tuple[float, float, float]

CHANNELS = 6
"""CT, CT in a narrow window, segmenter's probability, clicks in the lesion, clicks beside it, scale."""

NARROW_HU = 50.0
"""Half of the narrow window about the liver's level: faint lesions fill it."""

FALLS = 5.0
"""Pixels of a crop in which a click's channel falls to 1 / e."""

SCALES = (1.0, 2.0, 4.0)
"""How many times larger than usual a crop's voxels are."""

MARGIN_MM = 10.0
"""A lesion may reach so far out of the liver that was found: at its edge that is often what went wrong."""

FILLS = 0.62
"""Of a crop's edge a lesion may take so much; a larger one is seen at the next scale."""


@dataclass(frozen=True)
class Clicks:
    """What the reader has clicked on so far, voxels of the CT's grid (or of a part of it).

    Attributes:
        inside: in the lesion, the first one first; at least one.
        outside: not in it.
    """

    inside: tuple[Point, ...]
    outside: tuple[Point, ...] = field(default=())

    def moved(self, by_zyx: Sequence[float]) -> Clicks:
        """The same clicks where the grid's first voxel lies at `by_zyx` of another grid."""

        def there(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple(_point(np.array(point) + np.array(by_zyx, float)) for point in points)

        return Clicks(there(self.inside), there(self.outside))

    @property
    def middle(self) -> Point:
        """Of the box round the clicks in the lesion."""
        inside = np.array(self.inside, float)
        return _point((inside.min(axis=0) + inside.max(axis=0)) / 2)


def _point(values: NDArray) -> Point:
    z, y, x = (float(v) for v in values)
    return z, y, x


@dataclass(frozen=True, eq=False)
class ClickCrop:
    """A part of a CT on the network's voxels.

    Attributes:
        hu, probability: float32 (D, H, W); the probability 0..1, zeros where it is not known.
        first, step: voxel 0 of the crop in voxels of the CT, and how many of these one of the crop takes.
        scale: how many times larger than usual the crop's voxels are.
    """

    hu: NDArray[np.float32]
    probability: NDArray[np.float32]
    first: NDArray[np.float64]
    step: NDArray[np.float64]
    scale: float

    def inside_crop(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Points of the CT as voxels of the crop, (n, 3)."""
        return (np.array(points, float).reshape(-1, 3) - self.first) / self.step


def click_crop(
    hu_zyx: NDArray,
    probability_zyx: NDArray | None,
    spacing_zyx_mm: Spacing,
    middle_zyx: Point,
    scale: float,
    spec: InputSpec,
    edge: int,
) -> ClickCrop:
    """The crop about a place, by linear interpolation; what lies beyond the CT is air.

    Args:
        probability_zyx: of tumour, 0..1, on the CT's grid; None where it is not known.
        edge: voxels across.
    """
    step = scale * np.array(spec.spacing_zyx_mm) / np.array(spacing_zyx_mm)
    shape = (spec.in_slices, edge, edge)
    first = np.array(middle_zyx, float) - step * (np.array(shape) - 1) / 2
    low = np.clip(np.floor(first).astype(int) - 3, 0, np.array(hu_zyx.shape) - 1)
    high = np.clip(np.ceil(first + step * np.array(shape)).astype(int) + 3, low + 1, hu_zyx.shape)
    cut = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    blur = np.sqrt(np.maximum(step**2 - 1, 0)) / 2.35

    def drawn(volume: NDArray, outside: float, limits: tuple[float, float]) -> NDArray[np.float32]:
        # Air and bone would else shine through the smoothing: the network's window ends before them.
        part = np.clip(np.asarray(volume[cut], np.float32), *limits)
        if blur.max() > 0.2:
            part = ndimage.gaussian_filter(part, blur, mode="nearest")
        found: NDArray[np.float32] = ndimage.affine_transform(
            part, step, first - low, shape, np.float32, order=1, mode="grid-constant", cval=outside
        )
        return found

    hu = drawn(hu_zyx, OUTSIDE_HU, HU_LIMITS)
    seen = np.zeros(shape, np.float32) if probability_zyx is None else drawn(probability_zyx, 0.0, (0.0, 1.0))
    return ClickCrop(hu, seen, first, step, scale)


def click_channel(points: NDArray, shape: tuple[int, int, int], depth_step: float) -> NDArray[np.float32]:
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


def network_input(crop: ClickCrop, clicks: Clicks, spec: InputSpec, shift_hu: float) -> NDArray[np.float32]:
    """What the network sees, (CHANNELS * D, H, W).

    Args:
        shift_hu: added to bring the liver's level to where the network learnt it.
    """
    shape, depth_step = crop.hu.shape, spec.spacing_zyx_mm[0] / spec.spacing_zyx_mm[1]
    channels = [
        click_channel(crop.inside_crop(points), shape, depth_step)
        for points in (clicks.inside, clicks.outside)
    ]
    return stacked(
        crop.hu + np.float32(shift_hu), crop.probability, channels[0], channels[1], crop.scale, spec
    )


def stacked(
    hu: NDArray[np.float32],
    probability: NDArray[np.float32],
    inside: NDArray[np.float32],
    outside: NDArray[np.float32],
    scale: float,
    spec: InputSpec,
) -> NDArray[np.float32]:
    """The channels of a crop whose liver is at the level that the network knows, (CHANNELS * D, H, W)."""
    level = np.float32(100.0 if spec.liver_hu is None else spec.liver_hu)
    narrow = np.clip((hu - level) / np.float32(NARROW_HU), -1, 1)
    plane = np.full(hu.shape, np.log2(scale), np.float32)
    volumes = (spec.normalise(hu), narrow, probability, inside, outside, plane)
    return np.concatenate(volumes).astype(np.float32, copy=False)


def scale_for(extent_zyx_mm: Sequence[float], spec: InputSpec, edge: int) -> float:
    """The scale at which a lesion that is so long along each axis fills no more than `FILLS` of a crop."""
    size_mm = np.array(spec.spacing_zyx_mm) * np.array((spec.in_slices, edge, edge))
    share = float((np.asarray(extent_zyx_mm, float) / size_mm).max())
    return next((scale for scale in SCALES if share <= FILLS * scale), SCALES[-1])


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
