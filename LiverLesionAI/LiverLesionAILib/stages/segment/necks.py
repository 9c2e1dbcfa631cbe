"""What hangs on the liver by a narrow neck is another organ.

A stomach filled with contrast medium of the liver's brightness, or the heart through a thin diaphragm, is
often taken for liver in part, and touches it in a place or two. Such a part is told by its neck: a ball that
fits into liver and part alike does not fit through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import bounding_box, components, fill_holes, largest_component

STEP_MM = 2.5
"""Necks are looked for at about this sampling: a fourth of a working grid's voxels, and of the time."""


@dataclass(frozen=True)
class NeckSettings:
    """What counts as a neck, and as a part that hangs on it.

    Attributes:
        neck_mm: narrower than this is a neck.
        neck_lobe_share: a part larger than this share of the whole is kept: a left lobe on a thin isthmus.
        neck_tip_share: smaller parts are tips of the liver itself; they go only with what they hang on.
    """

    neck_mm: float
    neck_lobe_share: float
    neck_tip_share: float


def without_necks(
    liver_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], settings: NeckSettings
) -> NDArray[np.bool_]:
    """The liver without what hangs on it by a neck narrower than `settings.neck_mm`.

    The balls of that diameter that fit into the liver, holes filled slice by slice, make its cores. A voxel
    goes with the nearest core, and stays if that is the largest, or one that is no smaller than a lobe
    (`neck_lobe_share`). Where a scan ends the liver is taken to go on.

    Args:
        liver_zyx: bool, one component.
        spacing_zyx_mm: voxel size.

    Returns:
        Bool, one component; `liver_zyx` itself where nothing hangs on it.
    """
    steps = [max(1, int(STEP_MM / size)) for size in spacing_zyx_mm]
    spacing = [size * step for size, step in zip(spacing_zyx_mm, steps, strict=True)]
    box = bounding_box(liver_zyx)
    if box is None:
        return liver_zyx
    small = liver_zyx[box][tuple(slice(None, None, step) for step in steps)].copy()
    fill_holes(small)
    # Outside the liver's box is no liver, but where the scan ends the box has to go on.
    ends = [(side.start == 0, side.stop == size) for side, size in zip(box, liver_zyx.shape, strict=True)]
    edges = np.pad(small, 1, mode="edge")
    for axis, (first, last) in enumerate(ends):
        by_axis = np.moveaxis(edges, axis, 0)
        by_axis[0] &= first
        by_axis[-1] &= last
    depth = ndimage.distance_transform_edt(edges, sampling=spacing)[1:-1, 1:-1, 1:-1]
    cores, count = components(depth > settings.neck_mm / 2, 6)
    if count < 2:
        return liver_zyx
    nearest = ndimage.distance_transform_edt(
        cores == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    part = np.where(small, cores[tuple(nearest)], 0)
    sizes = np.bincount(part.ravel(), minlength=count + 1)
    sizes[0] = 0
    stays = (sizes > settings.neck_lobe_share * sizes.sum()) | (sizes < settings.neck_tip_share * sizes.sum())
    stays[[0, int(sizes.argmax())]] = True
    lost = ~stays[part]
    for axis, step in enumerate(steps):
        lost = lost.repeat(step, axis=axis)
    kept = liver_zyx.copy()
    kept[box] &= ~lost[tuple(slice(size) for size in kept[box].shape)]
    return largest_component(kept)
