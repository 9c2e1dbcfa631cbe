"""How noisy a scan is where it matters: in the liver, on the voxels that the networks see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import bounding_box

SMOOTH_MM = 3.75
"""What is coarser in plane than this is tissue."""

MOST_SLICES = 24
LEAST_VOXELS = 2000
SHRINK_PX = 5
"""Only liver this many pixels wide, so that its edge is no noise."""


def liver_noise_hu(
    hu_zyx: NDArray[np.float32], liver_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> float:
    """Robust SD of the liver's fine texture, HU; NaN where too little liver is there.

    The median absolute deviation from the CT smoothed in plane, so that vessels and lesions do not count.

    Args:
        hu_zyx: HU on the networks' grid.
        liver_zyx: bool, without its lesions.
    """
    box = bounding_box(liver_zyx)
    if box is None:
        return float("nan")
    slices = np.unique(np.linspace(box[0].start, box[0].stop - 1, MOST_SLICES).round().astype(int))
    hu, liver = (
        np.asarray(hu_zyx[slices][:, box[1], box[2]], np.float32),
        liver_zyx[slices][:, box[1], box[2]],
    )
    core = ndimage.binary_erosion(liver, np.ones((1, SHRINK_PX, SHRINK_PX)))
    if np.count_nonzero(core) < LEAST_VOXELS:
        return float("nan")
    # Of the liver alone, or what lies beside it would shine in.
    sigma = (0.0, SMOOTH_MM / spacing_zyx_mm[1], SMOOTH_MM / spacing_zyx_mm[2])
    weight = ndimage.gaussian_filter(liver.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(liver, hu, np.float32(0.0)), sigma)
    fine = hu[core] - smooth[core] / weight[core]
    return 1.4826 * float(np.median(np.abs(fine)))
