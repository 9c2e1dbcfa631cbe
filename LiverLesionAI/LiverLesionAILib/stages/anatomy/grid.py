"""The liver and what lies round it on the grid that its anatomy is looked for on: 2 mm, axes L, P, S."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import liver_level_hu
from ...volume.geometry import Geometry, permuted, reoriented_geometry
from ...volume.masks import BoxSlices, bounding_box, components
from ...volume.resampling import resample

GRID_MM = 2.0
MARGIN_MM = 24.0
HALVED = 8
"""The network that names tubes halves this grid: the same voxels come together wherever the scan's lie."""
LEAST_SLICE_MM2 = 100.0
"""The liver begins where a slice has so much of it: its tips are a voxel more or less on another grid."""
BODY_HU, BONE_HU = -300.0, 150.0
"""As the phase's search for the aorta has them."""


@dataclass(frozen=True, eq=False)
class LiverGrid:
    """What the anatomy is found on.

    Attributes:
        geometry: axes most nearly along L, P, S; isotropic.
        hu_zyx: float32.
        liver_zyx, lesions_zyx, gallbladder_zyx: bool; the liver holds its lesions.
        level_hu: of the liver's own tissue; NaN where there is too little.
        cut_share: of the liver's largest slice that the liver still has on the scan's first or last one.
        spine_lps: x, y of the spine's middle at the liver's height; None where none is seen.
        middle_x: x of the body's middle; None where the scan does not show both its sides.
        box_zyx: (2, 3), index of the liver's lower and upper bounds, between voxels; None: its outer voxels'.
    """

    geometry: Geometry
    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    lesions_zyx: NDArray[np.bool_]
    gallbladder_zyx: NDArray[np.bool_]
    level_hu: float
    cut_share: float
    spine_lps: tuple[float, float] | None
    middle_x: float | None
    box_zyx: NDArray[np.float64] | None = None

    def at_share(self, share_xyz: tuple[float, float, float]) -> NDArray[np.float64]:
        """LPS of a place in the liver's box: 0 right, front, bottom; 1 left, back, top."""
        if self.box_zyx is None:
            box = bounding_box(self.liver_zyx)
            assert box is not None
            low, high = (np.array([getattr(b, end) for b in box]) - 0.5 for end in ("start", "stop"))
        else:
            low, high = self.box_zyx
        return self.geometry.index_to_lps(low + (high - low) * np.array(share_xyz[::-1]))

    def points(self, mask_zyx: NDArray[np.bool_]) -> NDArray[np.float64]:
        """LPS of a mask's voxels, (n, 3)."""
        return self.geometry.index_to_lps(np.argwhere(mask_zyx))


def liver_grid(
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_],
    lesions_zyx: NDArray[np.bool_],
    gallbladder_zyx: NDArray[np.bool_] | None,
) -> LiverGrid:
    """Cut the liver with a margin out of a scan; all arrays on `geometry`, the liver not empty."""
    oriented = reoriented_geometry(geometry)
    liver = permuted(liver_zyx, geometry, oriented)
    tight = bounding_box(liver)
    assert tight is not None
    box, grid = grid_round(liver, oriented, MARGIN_MM, (GRID_MM,) * 3, (HALVED,) * 3)
    part = oriented.cropped([b.start for b in box], [b.stop for b in box])

    def covered(values: NDArray[np.bool_]) -> NDArray[np.float32]:
        return np.asarray(resample(permuted(values, geometry, oriented)[box], part, grid, fill=0))

    def mask(values: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        # Half a voxel covered: nearest labels have stairs, and gaps between them, that depend on the grid.
        return np.zeros(grid.shape_zyx, bool) if values is None else covered(values) >= 0.5

    oriented_hu = permuted(hu_zyx, geometry, oriented)
    hu = np.asarray(resample(oriented_hu[box], part, grid), np.float32)
    cover = covered(liver_zyx)
    inside, lesions = cover >= 0.5, mask(lesions_zyx)
    areas = np.array([np.count_nonzero(plane) for plane in liver[tight[0]]], float)
    ends = [areas[0] if tight[0].start == 0 else 0, areas[-1] if tight[0].stop == len(liver) else 0]
    spine, middle = _spine_and_middle(oriented_hu[tight[0]], oriented, tight[0].start)
    return LiverGrid(
        grid,
        hu,
        inside,
        lesions,
        mask(gallbladder_zyx),
        liver_level_hu(hu[inside & ~lesions]),
        float(max(ends) / areas.max()),
        spine,
        middle,
        _bounds(cover),
    )


def grid_round(
    liver_zyx: NDArray[np.bool_],
    geometry: Geometry,
    margin_mm: float,
    spacing_zyx_mm: tuple[float, float, float],
    multiple_zyx: tuple[int, int, int],
) -> tuple[BoxSlices, Geometry]:
    """A grid round the liver whose voxels lie where the liver does, however the scan's own voxels lie.

    The liver's centre of mass is a voxel's centre: another scan of it, or the same one on other voxels, is
    read at the same places.

    Args:
        liver_zyx: bool on `geometry`, not empty.
        margin_mm: round it, as far as the scan reaches.
        multiple_zyx: voxels from that centre to the grid's first one are a multiple of it, so that networks
            that halve a grid see the same halves.

    Returns:
        The scan's part that the grid is read from, and the grid, axes as the scan's.
    """
    tight = bounding_box(liver_zyx)
    assert tight is not None
    spacing, own = np.array(spacing_zyx_mm), np.array(geometry.spacing_zyx_mm)
    inner = liver_zyx[tight]
    centre = np.empty(3)
    for axis, slices in enumerate(tight):
        counts = np.count_nonzero(inner, axis=tuple(k for k in range(3) if k != axis))
        centre[axis] = slices.start + np.average(np.arange(len(counts)), weights=counts)
    faces = np.array([(s.start - 0.5, s.stop - 0.5) for s in tight]).T
    low = np.maximum(faces[0] - margin_mm / own, -0.5)
    high = np.minimum(faces[1] + margin_mm / own, np.array(geometry.shape_zyx) - 0.5)
    first = np.ceil((low - centre) * own / spacing - 1e-6).astype(int) // multiple_zyx * multiple_zyx
    last = np.floor((high - centre) * own / spacing + 1e-6).astype(int)
    corner = centre + first * spacing / own
    # With what is read between voxels at either end; beyond the scan its border goes on.
    around = np.maximum(spacing / own, 1.0)
    start = np.clip(np.floor(corner - around).astype(int), 0, np.array(geometry.shape_zyx) - 1)
    end = centre + last * spacing / own + around
    stop = np.clip(np.ceil(end).astype(int) + 1, start + 1, geometry.shape_zyx)
    origin = geometry.index_to_lps(corner)
    grid = Geometry.make(last - first + 1, spacing, origin, geometry.directions_lps)
    return (slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])), grid


def _bounds(cover_zyx: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) index between voxels where so much of a mask's slices along each axis begins and ends.

    Args:
        cover_zyx: 0..1 of each voxel.
    """
    bounds = np.empty((2, 3))
    for axis in range(3):
        areas = cover_zyx.sum(axis=tuple(k for k in range(3) if k != axis), dtype=np.float64)
        areas = np.r_[0.0, areas, 0.0]
        least = min(LEAST_SLICE_MM2 / GRID_MM**2, areas.max() / 2)
        used = np.flatnonzero(areas >= least)
        ends = ((used[0] - 1, used[0]), (used[-1] + 1, used[-1]))
        for side, (outer, within) in enumerate(ends):
            share = (areas[within] - least) / max(areas[within] - areas[outer], 1e-6)
            # A slice that is whole beside an empty one ends at the face between them.
            bounds[side, axis] = within + (share - 0.5) * (outer - within) - 1
    return bounds


def _spine_and_middle(
    hu_zyx: NDArray, geometry: Geometry, first: int
) -> tuple[tuple[float, float] | None, float | None]:
    """(x, y of the spine, x of the body's middle), LPS; of the slices from `first` on that show the liver."""
    depth = len(hu_zyx)
    part = geometry.cropped((first, 0, 0), (first + depth, *geometry.shape_zyx[1:]))
    grid = part.with_spacing((max(8.0, geometry.spacing_zyx_mm[0]), 4.0, 4.0))
    hu = resample(hu_zyx, part, grid)
    body = np.median(hu, axis=0) > BODY_HU
    # The table and arms beside the body are other pieces.
    pieces, count = components(ndimage.binary_opening(body, iterations=2)[None])
    if not count:
        return None, None
    body = pieces[0] == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    y, x = np.nonzero(body)
    whole = x.min() > 0 and x.max() < body.shape[1] - 1
    middle = (float(x.min()) + float(x.max())) / 2
    bone = np.clip((hu - BONE_HU) / 100.0, 0, 1).mean(axis=0) * body
    likely = ndimage.gaussian_filter(bone, 4.0)
    likely[: int((y.min() + y.max()) / 2)] = 0
    near = np.abs(np.arange(body.shape[1]) - (middle if whole else np.median(x))) * 4.0
    # Ribs and arms are bone too, away from the middle.
    likely *= np.exp(-0.5 * (near / 30.0) ** 2)[None]
    row, column = np.unravel_index(int(likely.argmax()), likely.shape)

    def lps(j: float, i: float) -> tuple[float, float]:
        point = grid.index_to_lps((len(hu) / 2, j, i))
        return float(point[0]), float(point[1])

    spine = lps(row, column) if likely[row, column] > 0.08 else None
    return spine, lps(0, middle)[0] if whole else None
