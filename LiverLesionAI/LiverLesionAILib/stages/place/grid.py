"""Masks of the networks' grid on the CT's own voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.ct import resample, resample_labels
from ...volume.masks import drop_islands
from ..segment.masks import SegmentSettings
from ..segment.segmented import Segmented


def on_ct_grid(found: Segmented, settings: SegmentSettings) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Masks on the CT's voxels.

    Probabilities are interpolated, then thresholded, so that outlines stay smooth.

    Returns:
        (liver_zyx bool, labels_zyx uint16) on `found.box`; every lesion keeps at least one voxel.
    """
    masks, working, box = found.masks, found.working, found.box
    # Interpolated outlines reach up to a voxel beyond the working grid's.
    grown_labels = np.where(
        masks.labels_zyx > 0, masks.labels_zyx, ndimage.grey_dilation(masks.labels_zyx, size=(3, 3, 3))
    )
    blocky = resample_labels(masks.labels_zyx, working, box)
    fine_tumour = resample(found.tumour_zyx, working, box)
    labels = np.where(
        fine_tumour >= settings.tumour_threshold * 255, resample_labels(grown_labels, working, box), 0
    ).astype(np.uint16)
    del fine_tumour
    present = np.bincount(labels.ravel(), minlength=max(masks.scores, default=0) + 1)
    for number in masks.scores:
        if not present[number]:
            labels[blocky == number] = number
    # Pieces that interpolation cuts off are no lesions of their own either.
    drop_islands(labels, settings.smallest_voxels(box.voxel_volume_mm3))
    near = resample_labels(ndimage.binary_dilation(masks.liver_zyx).astype(np.uint8), working, box) > 0
    fine_liver = (resample(found.liver_zyx, working, box) >= settings.liver_threshold * 255) & near
    fine_liver |= labels > 0
    for plane in fine_liver:
        ndimage.binary_fill_holes(plane, output=plane)
    return fine_liver, labels
