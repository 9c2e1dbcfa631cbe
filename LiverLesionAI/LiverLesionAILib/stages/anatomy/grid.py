"""The liver and what lies round it on the grid that its anatomy is looked for on: 2 mm, axes L, P, S."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import liver_level_hu
from ...volume.geometry import Geometry, permuted, reoriented_geometry
from ...volume.masks import bounding_box, components
from ...volume.resampling import resample

GRID_MM = 2.0
MARGIN_MM = 24.0
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

    def at_share(self, share_xyz: tuple[float, float, float]) -> NDArray[np.float64]:
        """LPS of a place in the liver's box: 0 right, front, bottom; 1 left, back, top."""
        box = bounding_box(self.liver_zyx)
        assert box is not None
        low = np.array([b.start for b in box]) - 0.5
        size = np.array([b.stop - b.start for b in box])
        return self.geometry.index_to_lps(low + size * np.array(share_xyz[::-1]))

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
    margin = [int(np.ceil(MARGIN_MM / s)) for s in oriented.spacing_zyx_mm]
    box = bounding_box(liver, margin)
    assert box is not None
    part = oriented.cropped([b.start for b in box], [b.stop for b in box])
    grid = part.with_spacing((GRID_MM,) * 3)

    def mask(values: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if values is None:
            return np.zeros(grid.shape_zyx, bool)
        # Half a voxel covered: nearest labels have stairs, and gaps between them, that depend on the grid.
        return np.asarray(resample(permuted(values, geometry, oriented)[box], part, grid)) >= 0.5

    oriented_hu = permuted(hu_zyx, geometry, oriented)
    hu = np.asarray(resample(oriented_hu[box], part, grid), np.float32)
    inside, lesions = mask(liver_zyx), mask(lesions_zyx)
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
    )


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
