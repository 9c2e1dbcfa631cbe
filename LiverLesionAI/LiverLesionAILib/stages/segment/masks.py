"""Liver and lesion masks from probabilities, on the CT's own grid.

Lesions are connected components inside the liver, where "inside" means a liver that is closed, hole-filled
and a little dilated (subcapsular lesions lie at its rim), and the liver includes its lesions. Each component
carries a score, so that a threshold can be moved later without computing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import bounding_box, components, fill_holes, largest_component, within_mm
from .beside import surrounded
from .necks import NeckSettings, without_necks


@dataclass(frozen=True)
class SegmentSettings(NeckSettings):
    """How probabilities become masks.

    Attributes:
        liver_threshold: of the liver's probability (liver or tumour).
        tumour_threshold: voxels at or above it belong to a lesion.
        score_threshold: a lesion's score (see :func:`lesion_scores`) must reach it.
        smallest_mm: equivalent diameter under which a component is dropped.
        inside_share: share of a lesion's voxels that must lie in the predicted liver itself, holes filled:
            one at the capsule is often half taken for what lies outside, one in ascites or stomach wholly.
        surrounded_share: share of what :func:`~.beside.surrounded` sees that must be liver.
        reach_mm: lesions may lie this far outside the predicted liver.
        closing_mm: notches of the liver up to twice this wide are closed before lesions are looked for.
    """

    liver_threshold: float
    tumour_threshold: float
    score_threshold: float
    smallest_mm: float
    inside_share: float
    surrounded_share: float
    reach_mm: float
    closing_mm: float

    def smallest_voxels(self, voxel_mm3: float) -> float:
        """Voxels of a ball of `smallest_mm`, of voxels of that volume."""
        return float(np.pi) / 6 * self.smallest_mm**3 / voxel_mm3


@dataclass(frozen=True, eq=False)
class Masks:
    """What :func:`masks_from_probabilities` makes, all on the probabilities' grid.

    Attributes:
        liver_zyx: bool, lesions included.
        labels_zyx: uint16, 1.. in order of size, largest first.
        scores: lesion label -> 0..1.
        dropped: number of components under the score threshold, too small or outside the liver.
        bare_zyx: bool, the liver before lesions were added to it.
        inside_zyx: bool, where lesions were looked for (see :func:`closed_liver`); None without a liver.
        beside_zyx: bool, what would be a lesion but for how little of its surroundings is liver: neither
            lesion nor liver; None where there is no such thing.
        cut_ml: how much was left out of the liver because it hung on it by a narrow neck.
        edges_zyx: uint8, the most, 0..255, that the tumour's probability can be for what the CT shows of
            lesions' edges (see :mod:`~.edges`): below the threshold beyond them; None where none was found.
    """

    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    scores: dict[int, float]
    dropped: int
    bare_zyx: NDArray[np.bool_]
    cut_ml: float = 0.0
    inside_zyx: NDArray[np.bool_] | None = None
    beside_zyx: NDArray[np.bool_] | None = None
    edges_zyx: NDArray[np.uint8] | None = None


def tempered(probability_zyx: NDArray[np.uint8], temperature: float) -> NDArray[np.uint8]:
    """Probabilities (0..255) with their log-odds divided by the temperature: above 1 less sure of itself."""
    if temperature == 1.0:
        return probability_zyx
    values = np.clip(np.arange(256.0), 0.5, 254.5) / 255.0
    odds = np.log(values / (1 - values)) / temperature
    table = np.round(255.0 / (1 + np.exp(-odds))).astype(np.uint8)
    # None and certainty stay what they are: outside the liver nothing was computed.
    table[0], table[255] = 0, 255
    return table[probability_zyx]


def closed_liver(
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    closing_mm: float,
    reach_mm: float,
) -> NDArray[np.bool_]:
    """The liver closed by a ball of `closing_mm`, holes filled slice by slice, then grown by `reach_mm`."""
    farther = max(closing_mm, reach_mm)
    box = bounding_box(liver_zyx, [int(np.ceil(farther / size)) + 2 for size in spacing_zyx_mm])
    out = np.zeros(liver_zyx.shape, bool)
    if box is None:
        return out
    # Beyond that margin there is nothing; where the scan ends the liver is taken to go on.
    liver = liver_zyx[box]
    near = np.pad(within_mm(liver, spacing_zyx_mm, closing_mm), 1, mode="edge")
    closed = ~within_mm(~near, spacing_zyx_mm, closing_mm)[1:-1, 1:-1, 1:-1] | liver
    fill_holes(closed)
    out[box] = within_mm(closed, spacing_zyx_mm, reach_mm)
    return out


def lesion_scores(probability_zyx: NDArray, labels_zyx: NDArray, count: int) -> NDArray[np.float32]:
    """Score of labels 1..count: the mean of the upper half of the lesion's probabilities (0..1).

    A maximum follows single noisy voxels and a plain mean falls with the share of border voxels in small
    lesions; the upper half does neither.
    """
    scores = np.zeros(count, np.float32)
    for number, box in enumerate(ndimage.find_objects(labels_zyx, max_label=count)):
        if box is None:
            continue
        values = np.sort(probability_zyx[box][labels_zyx[box] == number + 1])
        scores[number] = values[len(values) // 2 :].mean() / 255.0
    return scores


def masks_from_probabilities(
    liver_zyx: NDArray[np.uint8],
    tumour_zyx: NDArray[np.uint8],
    spacing_zyx_mm: tuple[float, float, float],
    settings: SegmentSettings,
    near_zyx: NDArray[np.bool_] | None = None,
) -> Masks:
    """Threshold, keep one liver without what hangs on it by a narrow neck, and part the lesions.

    Args:
        liver_zyx: probability of liver or tumour, 0..255.
        tumour_zyx: probability of tumour, 0..255.
        spacing_zyx_mm: voxel size.
        near_zyx: bool, where a liver can be at all (the coarse liver, dilated); None for everywhere.
    """
    candidate = liver_zyx >= round(settings.liver_threshold * 255)
    if near_zyx is not None:
        candidate = candidate & near_zyx
    whole = largest_component(candidate)
    liver = without_necks(whole, spacing_zyx_mm, settings)
    cut_ml = float(whole.sum() - liver.sum()) * float(np.prod(spacing_zyx_mm)) / 1000.0
    tumour = tumour_zyx >= max(1, round(settings.tumour_threshold * 255))
    dropped = 0
    labels = np.zeros(liver.shape, np.uint16)
    scores: dict[int, float] = {}
    inside = beside = None
    if liver.any():
        inside = closed_liver(liver, spacing_zyx_mm, settings.closing_mm, settings.reach_mm)
        pieces, count = components(tumour & inside)
        if count:
            sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
            smallest = settings.smallest_voxels(float(np.prod(spacing_zyx_mm)))
            values = lesion_scores(tumour_zyx, pieces, count)
            solid = liver.copy()
            fill_holes(solid)
            inner = np.bincount(pieces[solid], minlength=count + 1)[1:]
            keep = (sizes >= smallest) & (values >= settings.score_threshold)
            keep &= inner >= settings.inside_share * sizes
            shares = surrounded(pieces, solid, spacing_zyx_mm, 1 + np.flatnonzero(keep))
            leaning = [n for n, share in shares.items() if share < settings.surrounded_share]
            if leaning:
                keep[np.array(leaning) - 1] = False
                beside = np.isin(pieces, leaning)
                liver = largest_component(liver & ~beside)
            dropped = int(count - keep.sum())
            order = [i for i in np.argsort(-sizes, kind="stable") if keep[i]]
            renumber = np.zeros(count + 1, np.uint16)
            for new, old in enumerate(order, start=1):
                renumber[old + 1] = new
                scores[new] = float(values[old])
            labels = renumber[pieces]
    return Masks(_with_lesions(liver, labels), labels, scores, dropped, liver, cut_ml, inside, beside)


def keep_lesions(masks: Masks, scores: Mapping[int, float]) -> Masks:
    """Only the lesions of these labels, with these scores; labels stay what they are."""
    kept = np.zeros(max(masks.scores, default=0) + 1, np.uint16)
    kept[list(scores)] = list(scores)
    labels = kept[masks.labels_zyx]
    dropped = masks.dropped + len(masks.scores) - len(scores)
    liver = _with_lesions(masks.bare_zyx, labels)
    return replace(masks, liver_zyx=liver, labels_zyx=labels, scores=dict(scores), dropped=dropped)


def _with_lesions(liver_zyx: NDArray[np.bool_], labels_zyx: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """The liver with its lesions, holes filled slice by slice."""
    liver = liver_zyx | (labels_zyx > 0)
    if liver_zyx.any():
        fill_holes(liver)
    return liver
