"""What of a mask of fluid is the gallbladder, and what bowel or free fluid that hangs on it.

Seen in real scans: loops of bowel below the gallbladder and ascites beside the liver look like bile to the
network, touch the gallbladder, and made it 110 and 170 mL large. They hang on it by a neck, and most of their
surface lies away from the liver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import bounding_box, components


@dataclass(frozen=True)
class LobeSettings:
    """Which lobes belong to the gallbladder.

    Attributes:
        neck_mm: lobes that are joined by less than this width are two.
        contact: a lobe of whose surface a smaller share lies at the liver lies away from it.
        whole_ml: further lobes count while all together hold no more than this.
        away_ml: and those away from the liver while they hold no more than this.
    """

    PREFIX: ClassVar[str] = "gallbladder_"

    neck_mm: float
    contact: float
    whole_ml: float
    away_ml: float


def lobes(
    mask_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], neck_mm: float
) -> tuple[NDArray[np.int32], int]:
    """Part a mask where it is narrower than a neck.

    Args:
        mask_zyx: bool; neck_mm: parts that are joined by less than this width are two.

    Returns:
        (labels_zyx, n): int32, 0 outside, 1..n; every voxel belongs to the nearest of the places that are
        wider than a neck. A mask that is nowhere so wide is one lobe.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask_zyx, 1), sampling=spacing_zyx_mm)[1:-1, 1:-1, 1:-1]
    # By a face: lobes that touch by an edge alone are two.
    cores, count = components(depth > neck_mm / 2.0, neighbours=6)
    if count < 2:
        return mask_zyx.astype(np.int32), int(mask_zyx.any())
    nearest = ndimage.distance_transform_edt(
        cores == 0, sampling=spacing_zyx_mm, return_distances=False, return_indices=True
    )
    return np.where(mask_zyx, cores[tuple(nearest)], 0).astype(np.int32), count


def own_lobes(
    mask_zyx: NDArray[np.bool_],
    probability_zyx: NDArray[np.uint8],
    at_liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    settings: LobeSettings,
) -> NDArray[np.bool_]:
    """The lobes of a mask that are the gallbladder: the one most like it at the liver, and those that fit.

    Args:
        mask_zyx: bool; probability_zyx: 0..255 of the gallbladder; at_liver_zyx: bool, so near to the liver
            that surface there lies at it; all on one grid.
    """
    box = bounding_box(mask_zyx, 1)
    if box is None:
        return mask_zyx
    mask, probability = mask_zyx[box], probability_zyx[box]
    parts, count = lobes(mask, spacing_zyx_mm, settings.neck_mm)
    if count < 2:
        return mask_zyx
    index = np.arange(1, count + 1)
    surface = mask & ~ndimage.binary_erosion(mask)
    outside = np.maximum(ndimage.sum_labels(surface, parts, index), 1.0)
    shares = ndimage.sum_labels(surface & at_liver_zyx[box], parts, index) / outside
    sizes_ml = ndimage.sum_labels(mask, parts, index) * float(np.prod(spacing_zyx_mm)) / 1000.0
    weights = ndimage.sum_labels(probability.astype(np.float64), parts, index) * shares
    main = int(np.argmax(weights))
    kept, total_ml = [main + 1], sizes_ml[main]
    for lobe in np.argsort(-weights):
        most_ml = settings.whole_ml if shares[lobe] >= settings.contact else settings.away_ml
        if lobe != main and total_ml + sizes_ml[lobe] <= most_ml:
            kept.append(int(lobe) + 1)
            total_ml += sizes_ml[lobe]
    out = np.zeros_like(mask_zyx)
    out[box] = np.isin(parts, kept)
    return out
