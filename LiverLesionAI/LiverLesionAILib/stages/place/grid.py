"""Masks of the networks' grid on the CT's own voxels."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.ct import Geometry, resample_labels, resample_slabs
from ...volume.masks import bounding_box, drop_islands, fill_holes, label_boxes
from ..segment.masks import SegmentSettings
from ..segment.segmented import Segmented

Label = TypeVar("Label", np.bool_, np.uint16)


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
    tumour = found.tumour_zyx if masks.edges_zyx is None else np.minimum(found.tumour_zyx, masks.edges_zyx)
    labels = _where_at_least(
        tumour, settings.tumour_threshold * 255, grown_labels.astype(np.uint16), working, box
    )
    missing = set(masks.scores) - set(label_boxes(labels))
    if missing:
        blocky = resample_labels(masks.labels_zyx, working, box)
        for number in sorted(missing):
            labels[blocky == number] = number
    # Pieces that interpolation cuts off are no lesions of their own either.
    drop_islands(labels, settings.smallest_voxels(box.voxel_volume_mm3))
    near = ndimage.binary_dilation(masks.liver_zyx)
    fine_liver = _where_at_least(found.liver_zyx, settings.liver_threshold * 255, near, working, box)
    for plane, spots in zip(fine_liver, labels, strict=True):
        plane |= spots > 0
    fill_holes(fine_liver)
    return fine_liver, labels


def _where_at_least(
    probability_zyx: NDArray[np.uint8],
    level: float,
    labels_zyx: NDArray[Label],
    working: Geometry,
    box: Geometry,
) -> NDArray[Label]:
    """Labels on the CT's voxels, where the interpolated probability reaches a level; 0 elsewhere.

    Slab by slab and only about the labels: a long scan's probability would take gigabytes.
    """
    labels = resample_labels(labels_zyx, working, box)
    at = bounding_box(labels)
    if at is None:
        return labels
    part = box.cropped([side.start for side in at], [side.stop for side in at])
    inside = labels[at]
    for z, values in resample_slabs(probability_zyx, working, part):
        inside[z][values < level] = 0
    return labels
