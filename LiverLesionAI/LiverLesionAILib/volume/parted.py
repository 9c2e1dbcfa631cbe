"""A grid parted by a sagittal divider: left of it, as a radiologist looks, is the patient's right side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .geometry import Geometry, Vec3, triple

Slices = tuple[slice, slice, slice]


def right_left_axis(geometry: Geometry) -> tuple[int, bool]:
    """The array axis most nearly along right-left, and whether its index rises towards the patient's left."""
    steps = _steps_lps(geometry)[:, 0]
    axis = int(np.argmax(np.abs(steps)))
    return axis, bool(steps[axis] > 0)


def seen_left(geometry: Geometry, share: float) -> Slices:
    """The voxels left of a divider.

    Args:
        share: of the grid's width that is left of it, 0 to 1.

    Returns:
        An index of arrays on `geometry`: whole planes across :func:`right_left_axis`.
    """
    return between(geometry, 0.0, share)


def between(geometry: Geometry, first: float, second: float) -> Slices:
    """The voxels between two dividers, in either order; as :func:`seen_left`."""
    axis, rising = right_left_axis(geometry)
    count = geometry.shape_zyx[axis]
    low, high = sorted(round(min(1.0, max(0.0, share)) * count) for share in (first, second))
    part = slice(low, high) if rising else slice(count - high, count - low)
    z, y, x = (part if k == axis else slice(None) for k in range(3))
    return z, y, x


def divider_of(geometry: Geometry, share: float) -> tuple[Vec3, Vec3]:
    """The divider as a plane.

    Args:
        share: as of :func:`seen_left`.

    Returns:
        (point, normal): in the middle of the grid, LPS mm; of unit length, towards the patient's left.
    """
    axis, rising = right_left_axis(geometry)
    index = (np.array(geometry.shape_zyx) - 1) / 2
    along = share if rising else 1.0 - share
    index[axis] = along * geometry.shape_zyx[axis] - 0.5
    step = _steps_lps(geometry)[axis] * (1 if rising else -1)
    return triple(geometry.index_to_lps(index)), triple(step / np.linalg.norm(step))


def share_at(geometry: Geometry, point_lps: Sequence[float]) -> float:
    """The way back from :func:`divider_of`: the share, 0 to 1, of the divider through a point."""
    axis, rising = right_left_axis(geometry)
    index = float(np.asarray(geometry.lps_to_index(np.asarray(point_lps)))[axis])
    along = (index + 0.5) / geometry.shape_zyx[axis]
    return min(1.0, max(0.0, along if rising else 1.0 - along))


def _steps_lps(geometry: Geometry) -> NDArray[np.float64]:
    """Row k: the way from one voxel to the next along array axis k, LPS mm."""
    origin = np.asarray(geometry.index_to_lps(np.zeros(3)))
    return np.asarray(geometry.index_to_lps(np.eye(3))) - origin
