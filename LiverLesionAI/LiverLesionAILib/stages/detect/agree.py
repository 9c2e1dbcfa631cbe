"""One score for a lesion that two networks were asked about.

A mask network and a detector see the same voxels, but learnt different tasks in different ways: fissures and
vessels that one of them is sure of seldom convince the other. Where the detector is less sure than the mask
network, a lesion's score is the geometric mean of both. A surer detector raises nothing: a large box holds
splinters of a mask, too, and what masks miss wholly is found by boxes alone (:func:`.stage.stands_alone`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..segment.masks import Masks, keep_lesions
from .link import LinkedBox


@dataclass(frozen=True)
class AgreeSettings:
    """How a mask's score and its box's become one.

    Attributes:
        without_box: what a missing box counts as; None where the detector has no say in the masks' scores.
        judged_mm: a mask of a larger equivalent diameter keeps its score.
        judged_bright_hu: so does one that is brighter than the liver by more.
        score_threshold: of the score of both.
    """

    without_box: float | None
    judged_mm: float
    judged_bright_hu: float
    score_threshold: float


def agreed_score(mask: float, box: float | None, without: float) -> float:
    """Geometric mean of a mask's score and its box's, 0..1; not more than the mask's.

    Args:
        box: None without one.
        without: what that counts as; boxes below it count as much.
    """
    return math.sqrt(mask * min(mask, max(without if box is None else box, without)))


def brighter_than(
    level_hu: float, hu_zyx: NDArray, labels_zyx: NDArray[np.integer], numbers: Collection[int], by_hu: float
) -> set[int]:
    """Those of `numbers` whose mean density lies above `level_hu` by more than `by_hu`; none without voxels.

    Args:
        hu_zyx, labels_zyx: on one grid.
    """
    if not numbers:
        return set()
    present = np.bincount(labels_zyx.ravel())
    listed = [number for number in sorted(numbers) if number < len(present) and present[number]]
    means = ndimage.mean(hu_zyx, labels_zyx, listed) if listed else []
    return {number for number, mean in zip(listed, means, strict=True) if mean > level_hu + by_hu}


def agreed_masks(
    masks: Masks,
    by_label: Mapping[int, LinkedBox],
    voxel_mm3: float,
    settings: AgreeSettings,
    bright: Collection[int] = (),
) -> Masks:
    """Masks with the scores of both networks; those under the threshold are dropped.

    Args:
        by_label: label of a mask -> its box; the labels stay what they are.
        voxel_mm3: volume of a voxel of the masks.
        bright: labels that keep their score, see :func:`brighter_than`.
    """
    without = settings.without_box
    if without is None:
        return masks
    counts = np.bincount(masks.labels_zyx.ravel())
    scores = {}
    for label, score in masks.scores.items():
        if label in bright or counts[label] * voxel_mm3 > math.pi / 6 * settings.judged_mm**3:
            scores[label] = score
            continue
        box = by_label.get(label)
        scores[label] = agreed_score(score, None if box is None else box.score, without)
    return keep_lesions(
        masks, {label: score for label, score in scores.items() if score >= settings.score_threshold}
    )
