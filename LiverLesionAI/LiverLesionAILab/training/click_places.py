"""Where readers click: deepest in a lesion, then deepest in the largest error of its outline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from LiverLesionAILib.stages.detect.click_input import Point
from LiverLesionAILib.volume.masks import bounding_box, components
from numpy.typing import NDArray
from scipy import ndimage


def worst(
    drawn: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    spacing: Sequence[float],
    known: NDArray[np.bool_] | None = None,
    ignored: int = 0,
) -> tuple[Point, bool] | None:
    """Where a reader clicks next, deepest in the largest error, and whether lesion is missing there.

    Args:
        spacing: of the voxels, in any unit.
        known: where the truth is known; everywhere without it.
        ignored: errors of so many voxels are none.
    """
    best, largest = None, ignored
    too_much = drawn & ~truth if known is None else drawn & ~truth & known
    for wrong, missing in ((truth & ~drawn, True), (too_much, False)):
        pieces, count = components(wrong, 6)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        if count and int(sizes.max()) > largest:
            largest = int(sizes.max())
            z, y, x = (float(n) for n in deepest(pieces == 1 + int(sizes.argmax()), spacing))
            best = (z, y, x), missing
    return best


def depth_in(mask_zyx: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Distance of every voxel of a mask to its edge; what lies beyond the array is outside."""
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask_zyx, 1), sampling=spacing)
    return depth[1:-1, 1:-1, 1:-1]


def deepest(mask_zyx: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.int_]:
    """The voxel of a mask that is farthest from its edge."""
    where = bounding_box(mask_zyx)
    assert where is not None
    depth = depth_in(mask_zyx[where], spacing)
    inner = np.unravel_index(np.argmax(depth), depth.shape)
    return np.array([int(i) + s.start for i, s in zip(inner, where, strict=True)])
