"""An outlined scan in ways that leave the patient as he was: stored, or lain, otherwise; other voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.volume.ct import (
    CtVolume,
    Geometry,
    permuted,
    reoriented_geometry,
    resample,
)
from LiverLesionAILib.volume.geometry import triple
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray
from scipy import ndimage

NOISE_HU = 8.0
MOVED_LPS_MM = (1.3, -0.7, 0.9)
MARGIN_MM = 30.0
SLICES_MM = (3.0, 2.0)
"""Of the slices that are read instead; the second one where the scan's own are about as thick as that."""


@dataclass(frozen=True, eq=False)
class Outlined:
    """A scan with what was outlined in it, all on one grid.

    Attributes:
        name: of the scan; outlines: whose.
        ct: the scan.
        labels_zyx: uint16, lesion numbers; liver_zyx: bool, lesions included.
        gallbladder_zyx: bool; None where none is outlined.
        phase: of contrast.
    """

    name: str
    outlines: str
    ct: CtVolume
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    gallbladder_zyx: NDArray[np.bool_] | None
    phase: Phase | None


Change = Callable[[Outlined], Outlined]


def stored(one: Outlined, order: tuple[int, int, int], flips: tuple[int, ...]) -> Outlined:
    """The array's axes in another order, then some of them in the other direction."""
    old = one.ct.geometry
    columns = np.stack([old.directions_lps[:, 2 - axis] for axis in order])
    corner = np.zeros(3)
    for axis in flips:
        columns[axis] *= -1
        corner[order[axis]] = old.shape_zyx[order[axis]] - 1
    shape = [old.shape_zyx[axis] for axis in order]
    spacing = [old.spacing_zyx_mm[axis] for axis in order]
    grid = Geometry.make(shape, spacing, old.index_to_lps(corner), columns[::-1].T)
    return _each(one, grid, lambda array: np.ascontiguousarray(np.flip(array.transpose(order), flips)))


def on_grid(one: Outlined, grid: Geometry) -> Outlined:
    """Read on another grid, axes L, P, S: HU between voxels, outlines between those of slices."""
    source = one.ct.geometry
    gallbladder = one.gallbladder_zyx
    liver = outlined_on(one.liver_zyx, source, grid)
    labels = np.zeros(grid.shape_zyx, np.uint16)
    for number in range(1, int(one.labels_zyx.max()) + 1):
        labels[outlined_on(one.labels_zyx == number, source, grid)] = number
    return replace(
        one,
        ct=replace(one.ct, hu_zyx=resample(one.ct.hu_zyx, source, grid, dtype=np.int16), geometry=grid),
        liver_zyx=liver | (labels > 0),
        labels_zyx=labels,
        gallbladder_zyx=None if gallbladder is None else outlined_on(gallbladder, source, grid),
    )


def outlined_on(mask_zyx: NDArray[np.bool_], source: Geometry, grid: Geometry) -> NDArray[np.bool_]:
    """A mask on another grid, axes L, P, S, neither larger nor smaller than it is.

    Between slices lies an outline between theirs: the distance from the outline in each slice is what is
    interpolated (Raya SP, Udupa JK, IEEE Trans Med Imaging 1990). Half of a voxel covered would be either or
    both of two slices wherever the other grid lies half of one aside: 6 % more liver in slices of 5 mm.
    """
    spacing = source.spacing_zyx_mm
    box = bounding_box(mask_zyx, 2)
    if box is None:
        return np.zeros(grid.shape_zyx, bool)
    part = source.cropped([b.start for b in box], [b.stop for b in box])
    inner = mask_zyx[box]
    inside = np.empty(part.shape_zyx, np.float32)
    used = np.flatnonzero(inner.any(axis=(1, 2)))
    for k in used:
        # The scan's edge is no outline's, but nothing goes on beyond it.
        padded = np.pad(inner[k], 1)
        away = ndimage.distance_transform_edt(padded, spacing[1:])
        away -= ndimage.distance_transform_edt(~padded, spacing[1:])
        inside[k] = away[1:-1, 1:-1]
    for k in np.setdiff1d(np.arange(len(inner)), used):
        # Beyond its last slice half of that slice's area goes on for half of its thickness.
        last = inside[used[np.abs(used - k).argmin()]]
        inside[k] = -np.median(last[last > 0])
    return np.asarray(resample(inside, part, grid, fill=-1.0)) > 0


def on_voxels(one: Outlined) -> Outlined:
    """Pixels a fifth larger and slices of another thickness."""
    grid = one.ct.geometry
    depth, height, width = grid.spacing_zyx_mm
    thick = SLICES_MM[0] if abs(depth - SLICES_MM[0]) > 0.5 else SLICES_MM[1]
    return on_grid(one, grid.with_spacing((thick, 1.2 * height, 1.2 * width)))


def half_aside(one: Outlined) -> Outlined:
    """Voxels of the same size, half of one beside where they were; one more each way: all is there."""
    grid = one.ct.geometry
    shape = tuple(n + 1 for n in grid.shape_zyx)
    return on_grid(
        one, Geometry.make(shape, grid.spacing_zyx_mm, grid.index_to_lps((-0.5,) * 3), grid.directions_lps)
    )


def cropped(one: Outlined) -> Outlined:
    """The liver and a margin."""
    spacing = one.ct.geometry.spacing_zyx_mm
    box = bounding_box(one.liver_zyx, [int(np.ceil(MARGIN_MM / s)) for s in spacing])
    assert box is not None
    grid = one.ct.geometry.cropped([b.start for b in box], [b.stop for b in box])
    return _each(one, grid, lambda array: np.ascontiguousarray(array[box]))


def lain_elsewhere(one: Outlined) -> Outlined:
    """The same voxels, the patient some millimetres aside."""
    grid = one.ct.geometry
    moved = replace(grid, origin_lps=triple(np.add(grid.origin_lps, MOVED_LPS_MM)))
    return _each(one, moved, lambda array: array)


def noisy(one: Outlined) -> Outlined:
    """Noise of :data:`NOISE_HU` in every voxel, always the same."""
    noise = np.random.default_rng(0).standard_normal(one.ct.hu_zyx.shape, np.float32) * NOISE_HU
    return replace(one, ct=replace(one.ct, hu_zyx=np.rint(one.ct.hu_zyx + noise).astype(np.int16)))


def _each(one: Outlined, grid: Geometry, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Outlined:
    gallbladder = one.gallbladder_zyx
    return replace(
        one,
        ct=replace(one.ct, hu_zyx=change(one.ct.hu_zyx), geometry=grid),
        liver_zyx=change(one.liver_zyx),
        labels_zyx=change(one.labels_zyx),
        gallbladder_zyx=None if gallbladder is None else change(gallbladder),
    )


ELSEWHERE = "lain elsewhere"
STORED = ("feet first", "back to front", "left to right", "coronal array", ELSEWHERE)
"""What leaves every voxel as it is."""
CHANGES: Mapping[str, Change] = {
    "feet first": lambda one: stored(one, (0, 1, 2), (0,)),
    "back to front": lambda one: stored(one, (0, 1, 2), (1,)),
    "left to right": lambda one: stored(one, (0, 1, 2), (2,)),
    "coronal array": lambda one: stored(one, (1, 0, 2), (0, 2)),
    ELSEWHERE: lain_elsewhere,
    "liver + 30 mm": cropped,
    "half a voxel aside": half_aside,
    "other voxels": on_voxels,
    "noise": noisy,
}
"""Name -> what is done to a scan."""


def upright(one: Outlined) -> Outlined:
    """Axes L, P, S."""
    source, target = one.ct.geometry, reoriented_geometry(one.ct.geometry)
    return _each(one, target, lambda array: np.ascontiguousarray(permuted(array, source, target)))
