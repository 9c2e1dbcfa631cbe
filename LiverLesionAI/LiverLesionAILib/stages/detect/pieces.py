"""The score of what is not listed, as the detector judges it: the one that a list goes by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...volume.ct import Geometry, resample_labels
from ..segment.segmented import Segmented
from .agree import AgreeSettings, agreed_score
from .match import match_masks
from .stage import Detected, DetectSettings


def judged_scores(
    pieces_zyx: NDArray[np.integer],
    scores: NDArray[np.floating],
    detected: Detected,
    found: Segmented,
    settings: DetectSettings,
    arterial: Callable[[], bool],
) -> NDArray[np.floating]:
    """Scores of pieces by both networks, as masks have them (see :mod:`.agree`).

    Args:
        pieces_zyx: 0 none, k the piece of `scores[k - 1]`, on `found.working`.
        scores: of the mask network, 0..1.
        found: what the segmenter found.
        arterial: whether the scan is; asked only where a piece is brighter than the liver.

    Returns:
        A new array, nowhere above `scores`; `scores` themselves where the detector has no say in masks.
    """
    without = settings.agree.without_box
    if without is None or not detected.agreed or not len(scores):
        return scores
    grid, working = detected.geometry, found.working
    small = np.uint16 if len(scores) < 2**16 else np.uint32
    labels = pieces_zyx.astype(small)
    on_grid = labels if grid.matches(working) else resample_labels(labels, working, grid)
    boxes = match_masks(detected.boxes, on_grid, settings.match_share).by_label
    counts = np.bincount(pieces_zyx.ravel(), minlength=len(scores) + 1)
    largest = math.pi / 6 * settings.agree.judged_mm**3 / working.voxel_volume_mm3
    judged = np.array(scores, float)
    bright = _bright(pieces_zyx, len(scores), found, settings.agree)
    if bright.any() and not arterial():
        bright[:] = False
    for index in np.flatnonzero((counts[1:] <= largest) & ~bright):
        box = boxes.get(int(index) + 1)
        judged[index] = agreed_score(float(scores[index]), None if box is None else box.score, without)
    return judged


def _bright(
    pieces_zyx: NDArray[np.integer], count: int, found: Segmented, settings: AgreeSettings
) -> NDArray[np.bool_]:
    """Whether each piece is brighter than the liver by what the detector has no say in."""
    voxels = np.nonzero(pieces_zyx)
    numbers = pieces_zyx[voxels]
    hu = _nearest(found.hu_zyx, found.box, found.working.index_to_lps(np.column_stack(voxels)))
    sums = np.bincount(numbers, weights=hu, minlength=count + 1)[1:]
    sizes = np.bincount(numbers, minlength=count + 1)[1:]
    return np.asarray(sums > (found.level_hu + settings.judged_bright_hu) * sizes)


def _nearest(values_zyx: NDArray, geometry: Geometry, points_lps: NDArray) -> NDArray:
    """The voxels' values nearest to points, LPS mm, shape (n, 3)."""
    index = np.rint(geometry.lps_to_index(points_lps)).astype(int)
    index = np.clip(index, 0, np.array(values_zyx.shape) - 1)
    return values_zyx[tuple(index.T)]
