"""Bounding boxes, numbers and pieces of masks and label maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BoxSlices = tuple[slice, slice, slice]


def bounding_box(mask_zyx: NDArray) -> BoxSlices | None:
    """The smallest box of slices that holds every non-zero voxel, or None if there is none."""
    # One slice at a time: a reduction over a whole scan at once would be several times slower.
    filled = np.flatnonzero([bool(plane.any()) for plane in mask_zyx])
    if not filled.size:
        return None
    z = slice(int(filled[0]), int(filled[-1]) + 1)
    flat = np.zeros(mask_zyx.shape[1:], bool)
    for plane in mask_zyx[z]:
        np.logical_or(flat, plane, out=flat)
    ranges = [np.flatnonzero(flat.any(axis=1 - axis)) for axis in (0, 1)]
    y, x = (slice(int(r[0]), int(r[-1]) + 1) for r in ranges)
    return z, y, x


def label_boxes(labels_zyx: NDArray) -> dict[int, BoxSlices]:
    """The bounding box of every label that occurs, by label."""
    whole = bounding_box(labels_zyx)
    if whole is None:
        return {}
    start = [s.start for s in whole]
    return {
        number: tuple(slice(s.start + o, s.stop + o) for s, o in zip(part, start, strict=True))
        for number, part in enumerate(ndimage.find_objects(labels_zyx[whole]), start=1)
        if part is not None
    }  # type: ignore[misc]


def number_by_size(labels_zyx: NDArray) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Renumber lesions 1, 2, ... from the largest voxel count down; equally large ones keep their order.

    Args:
        labels_zyx: integer labels, 0 none; numbers may be missing.

    Returns:
        (labels_zyx, new_numbers): uint16 array, and old number -> new number.
    """
    boxes = label_boxes(labels_zyx)
    counts = {n: int(np.count_nonzero(labels_zyx[box] == n)) for n, box in boxes.items()}
    ordered = sorted(counts, key=lambda n: (-counts[n], n))
    new_numbers = {old: new for new, old in enumerate(ordered, start=1)}
    out = np.zeros(labels_zyx.shape, np.uint16)
    for old, new in new_numbers.items():
        box = boxes[old]
        out[box][labels_zyx[box] == old] = new
    return out, new_numbers


def drop_islands(labels_zyx: NDArray, smallest_voxels: float) -> None:
    """Clear, in place, pieces of a lesion that lie apart from its largest piece and have fewer voxels.

    Args:
        labels_zyx: integer labels, 0 none. Voxels that share a corner belong together.
        smallest_voxels: pieces of this size stay.
    """
    for number, box in label_boxes(labels_zyx).items():
        pieces, count = ndimage.label(labels_zyx[box] == number, structure=np.ones((3, 3, 3), bool))
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        small = sizes < min(smallest_voxels, sizes.max())
        small[0] = False
        labels_zyx[box][small[pieces]] = 0
