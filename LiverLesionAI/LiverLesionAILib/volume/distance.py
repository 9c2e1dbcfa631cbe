"""Distances inside masks, in a third of the memory that scipy takes for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def distance_mm(
    inside_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """`ndimage.distance_transform_edt` with a spacing, to the last bit.

    Scipy holds the offsets to the nearest voxel three times over, as integers and as floats, for the whole
    array at once; here only the nearest voxels' indices are, and offsets are made a slice at a time.

    Args:
        inside_zyx: z, y, x.

    Returns:
        For each voxel inside its centre's distance to that of the nearest voxel outside, mm; 0 outside.
    """
    nearest = ndimage.distance_transform_edt(
        inside_zyx, sampling=spacing_zyx_mm, return_distances=False, return_indices=True
    )
    _, height, width = inside_zyx.shape
    rows, columns = np.arange(height, dtype=np.int32)[:, None], np.arange(width, dtype=np.int32)
    distance = np.empty(inside_zyx.shape)
    for z, out in enumerate(distance):
        offsets = nearest[0, z] - np.int32(z), nearest[1, z] - rows, nearest[2, z] - columns
        # Summed in scipy's order.
        squares = [(offset * step) ** 2 for offset, step in zip(offsets, spacing_zyx_mm, strict=True)]
        np.sqrt(squares[0] + squares[1] + squares[2], out=out)
    return distance
