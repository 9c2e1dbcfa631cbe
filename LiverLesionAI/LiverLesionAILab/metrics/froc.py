"""Detection of boxes in images: FROC and average precision.

Boxes are (n, 4) arrays x1, y1, x2, y2 in pixels of their image, outer edges (a box's width is x2 - x1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import ArrayLike, NDArray

from .bands import DEEPLESION_BANDS, Band
from .freeresponse import FreeResponse, free_response

# The rates of the DeepLesion literature (3DCE, CS-Att table 1).
RATES_PER_IMAGE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Slice intervals of the CS-Att paper's table 2.
SLICE_INTERVAL_BANDS = (Band("< 2.5 mm", 0.0, 2.5), Band(">= 2.5 mm", 2.5, float("inf")))


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """The boxes of one image.

    Attributes:
        reference: (n, 4) boxes there are to find; (0, 4) in an image without a lesion.
        predicted: (m, 4) boxes found, in any order.
        scores: (m,) of the predicted boxes.
        diameters_mm: (n,) sizes of the reference lesions; empty when unknown.
        lesion_types: (n,) names of their types ("LV"); empty when unknown.
        slice_interval_mm: of the scan; NaN when unknown.
        name, patient: of the image.
    """

    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]
    scores: NDArray[np.float64]
    diameters_mm: Sequence[float] = ()
    lesion_types: Sequence[str] = ()
    slice_interval_mm: float = float("nan")
    name: str = ""
    patient: str = ""

    def __post_init__(self) -> None:
        # The constructor takes anything that looks like boxes; what is kept has one shape.
        object.__setattr__(self, "reference", np.asarray(self.reference, float).reshape(-1, 4))
        object.__setattr__(self, "predicted", np.asarray(self.predicted, float).reshape(-1, 4))
        object.__setattr__(self, "scores", np.asarray(self.scores, float).reshape(-1))
        n = len(self.reference)
        if len(self.scores) != len(self.predicted):
            raise InputError(f"{self.name}: {len(self.predicted)} boxes but {len(self.scores)} scores.")
        for values, what in ((self.diameters_mm, "diameters"), (self.lesion_types, "types")):
            if len(values) not in (0, n):
                raise InputError(f"{self.name}: {n} reference boxes but {len(values)} {what}.")


@dataclass(frozen=True, eq=False)
class ImageMatches:
    """What a set of predicted boxes found in one image.

    Attributes:
        found_scores: (n,) for each reference box the score of the best box that hits it, -inf without one.
        false_scores: scores of the boxes that hit no lesion.
    """

    found_scores: NDArray[np.float64]
    false_scores: NDArray[np.float64]


@dataclass(frozen=True)
class DetectionSummary:
    """The detection protocol on one set of images.

    Attributes:
        n_images, n_lesions: what it was computed over.
        sensitivity: rate of false positives per image -> sensitivity.
        ap50: average precision at IoU 0.5.
        groups: group ("diameter < 10 mm") -> (sensitivity at 4 false positives per image, lesions).
        curve: the FROC curve.
    """

    n_images: int
    n_lesions: int
    sensitivity: Mapping[float, float]
    ap50: float
    groups: Mapping[str, tuple[float, int]]
    curve: FreeResponse = field(repr=False, compare=False)


def box_iou(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """(n, m) IoU of (n, 4) with (m, 4) boxes; 0 for boxes without area."""
    a, b = (np.asarray(boxes, float).reshape(-1, 4) for boxes in (one, other))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (a, b))
    union = area_a[:, None] + area_b[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def match_image(image: ImageBoxes, min_iou: float = 0.5) -> ImageMatches:
    """Match boxes by the rule of the DeepLesion literature.

    A box hits every lesion with which its IoU is **above** `min_iou`; a box that hits none is a false
    positive; a second box on a lesion that was already found is neither (the reader is shown the same lesion
    again).
    """
    hits = box_iou(image.reference, image.predicted) > min_iou
    if not len(image.predicted):
        return ImageMatches(np.full(len(image.reference), -np.inf), np.zeros(0))
    found = np.where(hits, image.scores[None, :], -np.inf).max(axis=1, initial=-np.inf)
    return ImageMatches(found, image.scores[~hits.any(axis=0)])


def froc(
    images: Sequence[ImageBoxes],
    min_iou: float = 0.5,
    keep: Callable[[ImageBoxes, int], bool] | None = None,
) -> FreeResponse:
    """The FROC curve over images.

    Args:
        images: every image of the test set, those without a lesion too.
        min_iou: a hit has an IoU above this.
        keep: keep(image, i) chooses the reference boxes that count, for curves by size or type; false
            positives stay those of all images, since a detector does not know the group.

    Raises:
        InputError: no image.
    """
    if not images:
        raise InputError("No image to evaluate detections on.")
    return _curve(images, [match_image(image, min_iou) for image in images], keep)


def _curve(
    images: Sequence[ImageBoxes],
    matches: Sequence[ImageMatches],
    keep: Callable[[ImageBoxes, int], bool] | None = None,
) -> FreeResponse:
    """:func:`froc` of boxes that are matched already."""
    found = [
        float(score)
        for image, matched in zip(images, matches, strict=True)
        for i, score in enumerate(matched.found_scores)
        if keep is None or keep(image, i)
    ]
    return free_response(found, np.concatenate([m.false_scores for m in matches]), len(images))


def average_precision(
    images: Sequence[ImageBoxes], min_iou: float = 0.5, recall_points: int | None = None
) -> float:
    """Average precision of the boxes of all images ranked by score.

    Unlike in :func:`match_image` every lesion can be found once: a second box on it is a false positive. A
    box takes the free lesion with the highest IoU of at least `min_iou` (COCO's matching).

    Args:
        images: every image of the test set.
        min_iou: a match has at least this IoU.
        recall_points: None for the area under the precision envelope (PASCAL VOC 2010), 101 for COCO's mean
            over that many recall levels.

    Returns:
        0..1; NaN without lesions.
    """
    return precision_area([match_ranked(image, min_iou) for image in images], recall_points)


@dataclass(frozen=True, eq=False)
class RankedMatches:
    """One image's boxes, surest first: their scores, which of them match a lesion, and its lesions."""

    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    n_lesions: int


def match_ranked(image: ImageBoxes, min_iou: float = 0.5) -> RankedMatches:
    """COCO's matching: a box takes the free lesion with the highest IoU of at least `min_iou`."""
    order = np.argsort(-image.scores, kind="stable")
    ious = box_iou(image.predicted, image.reference)
    free = np.ones(len(image.reference), bool)
    hit = np.zeros(len(order), bool)
    for rank, j in enumerate(order):
        candidates = np.where(free & (ious[j] >= min_iou), ious[j], -1.0)
        if candidates.size and candidates.max() >= 0:
            free[int(candidates.argmax())] = False
            hit[rank] = True
    return RankedMatches(image.scores[order], hit, len(image.reference))


def precision_area(matches: Sequence[RankedMatches], recall_points: int | None = None) -> float:
    """Average precision of matched boxes of many images; see :func:`average_precision`."""
    n_lesions = sum(m.n_lesions for m in matches)
    if n_lesions == 0:
        return float("nan")
    ranked = np.argsort(-np.concatenate([m.scores for m in matches]), kind="stable")
    true = np.cumsum(np.concatenate([m.correct for m in matches])[ranked])
    recall = true / n_lesions
    precision = true / np.arange(1, len(ranked) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if recall_points is None:
        return float(np.sum(np.diff(np.append(0.0, recall)) * envelope))
    levels = np.linspace(0, 1, recall_points)
    # A recall of 7/25 reaches the level 0.28, whichever of the two is rounded up.
    at = np.searchsorted(recall, levels - 1e-9, side="left")
    return float(np.mean(np.append(envelope, 0.0)[np.minimum(at, len(envelope))]))


def summarise_detection(
    images: Sequence[ImageBoxes],
    *,
    rates: Sequence[float] = RATES_PER_IMAGE,
    group_rate: float = 4.0,
    min_iou: float = 0.5,
) -> DetectionSummary:
    """Tables 1 and 2 of the CS-Att paper and AP50 of the VA paper's table 4.

    Raises:
        InputError: no image.
    """
    matches, ranked = [match_image(one, min_iou) for one in images], [match_ranked(one) for one in images]
    return summarise_matches(images, matches, ranked, rates=rates, group_rate=group_rate)


def summarise_matches(
    images: Sequence[ImageBoxes],
    matches: Sequence[ImageMatches],
    ranked: Sequence[RankedMatches],
    *,
    rates: Sequence[float] = RATES_PER_IMAGE,
    group_rate: float = 4.0,
) -> DetectionSummary:
    """:func:`summarise_detection` of boxes that are matched already.

    Args:
        images: of which sizes, types and intervals are taken, not the boxes.

    Raises:
        InputError: no image.
    """
    if not images:
        raise InputError("No image to evaluate detections on.")
    curve = _curve(images, matches)
    choices: dict[str, Callable[[ImageBoxes, int], bool]] = {}
    for band in DEEPLESION_BANDS:
        choices[f"diameter {band.name}"] = lambda image, i, band=band: bool(
            len(image.diameters_mm) and band.holds(float(image.diameters_mm[i]))
        )
    for band in SLICE_INTERVAL_BANDS:
        choices[f"slice interval {band.name}"] = lambda image, _, band=band: band.holds(
            image.slice_interval_mm
        )
    for name in sorted({t for image in images for t in image.lesion_types}):
        choices[f"type {name}"] = lambda image, i, name=name: bool(
            len(image.lesion_types) and image.lesion_types[i] == name
        )
    groups = {}
    for name, keep in choices.items():
        part = _curve(images, matches, keep)
        if part.n_lesions:
            groups[name] = (part.at(group_rate), part.n_lesions)
    return DetectionSummary(
        n_images=len(images),
        n_lesions=curve.n_lesions,
        sensitivity=curve.at_rates(rates),
        ap50=precision_area(ranked),
        groups=groups,
        curve=curve,
    )
