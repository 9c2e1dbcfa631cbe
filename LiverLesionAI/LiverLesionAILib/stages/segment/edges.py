"""A lesion's outline brought back to where the CT shows its edge.

Of lesions that stand out clearly a network draws too much in patients that it has not seen: in one of five
left out, twice the volume and more, and lesions side by side as one. Readers outline such a lesion near where
half of its contrast is gone, and there the CT itself tells the edge better. Faint lesions keep the network's
outline: theirs the CT does not show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import components, fill_holes, label_boxes
from .masks import Masks, SegmentSettings

SMOOTH_MM = 1.0
"""Of the Gaussian that the CT is seen through, so that single noisy voxels are no edge."""

SHELL_MM = (2.5, 9.0)
"""From here to there lies the liver that a lesion is held against: clear of its blurred border."""

LEAST_VOXELS = 30
"""With less liver there a lesion cannot be held against it."""

DEEP = 0.6
DEEP_MM = 4.0
"""What lies so deep, by share of the deepest and in mm at most, is the lesion's middle."""

LEAST_HU = 15.0
"""A fainter lesion shows no edge, however quiet the scan."""

LEAST_LEFT = 0.15
"""With less than this share of the network's outline left the CT shows another thing than the network saw."""


@dataclass(frozen=True)
class EdgeSettings:
    """Where an edge is looked for.

    Attributes:
        edge_share: what differs from the liver by less than this share of the lesion's middle is no lesion.
        edge_noise: the middle must differ from the liver by so many times the liver's own spread (robust SD).
        edge_depth_mm: deeper inside the network's outline nothing is taken away.
        edge_piece_share: a piece that falls off is a lesion of its own if it has this share of the largest.
    """

    edge_share: float
    edge_noise: float
    edge_depth_mm: float
    edge_piece_share: float


def at_edges(
    masks: Masks,
    hu_zyx: NDArray[np.floating],
    spacing_zyx_mm: tuple[float, float, float],
    segment: SegmentSettings,
    settings: EdgeSettings,
) -> tuple[Masks, dict[int, int]]:
    """Masks whose lesions end where the CT shows an edge; none grows, and none is lost.

    Pieces that fall apart are lesions of their own, with the score of what they were part of.

    Args:
        masks: what the network outlined.
        hu_zyx: HU on the same grid.

    Returns:
        The same masks where no lesion stands out; otherwise with lesions numbered anew by size, and
        `edges_zyx`. And each lesion's label -> the label of what it was or was part of.
    """
    margin = [int(np.ceil((SHELL_MM[1] + 3 * SMOOTH_MM) / size)) for size in spacing_zyx_mm]
    smallest = segment.smallest_voxels(float(np.prod(spacing_zyx_mm)))
    level = max(1, round(segment.tumour_threshold * 255))
    labels = np.zeros(masks.labels_zyx.shape, np.int32)
    most = np.full(masks.labels_zyx.shape, 255, np.uint8)
    was: list[int] = []
    for number, box in label_boxes(masks.labels_zyx).items():
        cut = tuple(slice(max(0, side.start - m), side.stop + m) for side, m in zip(box, margin, strict=True))
        own = masks.labels_zyx[cut] == number
        others = (masks.labels_zyx[cut] > 0) & ~own
        remaining = _remaining_contrast(
            own, others, masks.liver_zyx[cut], hu_zyx[cut], spacing_zyx_mm, settings
        )
        pieces, count = components(own if remaining is None else remaining >= 1)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        least = min(float(sizes.max()), max(smallest, settings.edge_piece_share * float(sizes.max())))
        for piece in np.flatnonzero(sizes >= least) + 1:
            was.append(number)
            labels[cut][pieces == piece] = len(was)
        if remaining is not None:
            # As a probability it crosses the level where the contrast crosses its share, between voxels too.
            listed = labels[cut] > 0
            limit = np.clip(
                np.round(level * remaining), np.where(listed, level, 0), np.where(listed, 255, level - 1)
            )
            most[cut][own] = limit[own]
    if not (most < level).any():
        return masks, {number: number for number in masks.scores}
    order = np.argsort(-np.bincount(labels.ravel(), minlength=len(was) + 1)[1:], kind="stable")
    renumber = np.zeros(len(was) + 1, np.uint16)
    renumber[order + 1] = np.arange(1, len(was) + 1)
    parts = {new: was[old] for new, old in enumerate(order.tolist(), start=1)}
    scores = {new: masks.scores[old] for new, old in parts.items()}
    return replace(masks, labels_zyx=renumber[labels], scores=scores, edges_zyx=most), parts


def _remaining_contrast(
    own: NDArray[np.bool_],
    others: NDArray[np.bool_],
    liver: NDArray[np.bool_],
    hu: NDArray[np.floating],
    spacing_mm: tuple[float, float, float],
    settings: EdgeSettings,
) -> NDArray[np.float32] | None:
    """What remains of a lesion's contrast, as a multiple of the share at its edge: 1 and more is within it.

    Args:
        own: bool, the network's outline; others: bool, other lesions; liver: bool, with all of them.
        hu: HU. All on one cut with some liver around.

    Returns:
        float32, 0 outside of the outline; None where the CT shows no edge.
    """
    hu = np.asarray(hu, np.float32)
    outside_mm = ndimage.distance_transform_edt(~own, sampling=spacing_mm)
    near = (outside_mm > SHELL_MM[0]) & (outside_mm <= SHELL_MM[1])
    shell = liver & ~ndimage.binary_dilation(others) & near
    if np.count_nonzero(shell) < LEAST_VOXELS:
        return None
    level = float(np.median(hu[shell]))
    spread = 1.4826 * float(np.median(np.abs(hu[shell] - level)))
    smooth = ndimage.gaussian_filter(hu, [SMOOTH_MM / size for size in spacing_mm])
    depth_mm = ndimage.distance_transform_edt(own, sampling=spacing_mm)
    deepest_mm = float(depth_mm.max())
    middle = own & (depth_mm >= min(DEEP * deepest_mm, DEEP_MM))
    contrast = float(np.median(smooth[middle])) - level
    if abs(contrast) < max(LEAST_HU, settings.edge_noise * spread):
        return None
    remaining = np.where(own, (smooth - level) / (settings.edge_share * contrast), 0).astype(np.float32)
    kept = (remaining >= 1) | (depth_mm > settings.edge_depth_mm)
    # Bridges of a voxel in plane are noise; a small lesion's middle is not.
    kept = ndimage.binary_opening(kept, ndimage.generate_binary_structure(2, 1)[None]) | (
        kept & (depth_mm >= 0.7 * deepest_mm)
    )
    fill_holes(kept)
    kept &= own
    if np.count_nonzero(kept) < LEAST_LEFT * np.count_nonzero(own):
        return None
    below = np.nextafter(np.float32(1), np.float32(0))
    return np.where(kept, np.maximum(remaining, 1), np.minimum(remaining, below))
