"""2D boxes of a detector, linked over slices into 3D boxes with one score each.

From the best box on, a chain is followed up and down: in the next slice the box that overlaps most goes on,
a slice may be missing. Boxes that are left start chains of their own. A chain that begins inside the last box
of another is a branch of the same lesion; one that mostly lies in another is the same lesion seen twice; the
rest are lesions of their own, also where they touch.

Boxes are y0, x0, y1, x1, outer edges in voxels of the grid they were found on: voxel (i, j) alone is
(i, j, i + 1, j + 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class SliceBoxes:
    """Boxes of one volume, in any order.

    Attributes:
        slices: (n,) int, index of the slice.
        boxes_yx: (n, 4) y0, x0, y1, x1.
        scores: (n,) 0..1.
    """

    slices: NDArray[np.intp]
    boxes_yx: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def make(cls, slices: ArrayLike, boxes_yx: ArrayLike, scores: ArrayLike) -> SliceBoxes:
        """From any sequences, also empty ones.

        Raises:
            ValueError: lengths differ.
        """
        made = cls(
            np.asarray(slices, np.intp).reshape(-1),
            np.asarray(boxes_yx, np.float64).reshape(-1, 4),
            np.asarray(scores, np.float64).reshape(-1),
        )
        if not len(made.slices) == len(made.boxes_yx) == len(made.scores):
            raise ValueError("as many slices, boxes and scores as each other are needed")
        return made


@dataclass(frozen=True)
class LinkSettings:
    """How boxes are linked and scored.

    Attributes:
        least_score: boxes below are left out; they also have to reach `least_share` of their chain's best.
        overlap: IoU with the box one slice away from which a box goes on a chain.
        gap: slices that may be missing in between.
        inside: share of a chain's first or last box, or of a whole chain, that lies in another's.
        bias, top, support: the score is sigmoid(bias + top * logit(best) + support * log(sum)), best and sum
            over the scores of the chain: fitted by logistic regression (`training/calibrate.py`); the
            defaults leave the best score as it is.
    """

    PREFIX: ClassVar[str] = "link_"

    least_score: float
    least_share: float
    overlap: float
    gap: int
    inside: float
    bias: float
    top: float
    support: float


@dataclass(frozen=True, eq=False)
class LinkedBox:
    """A lesion as a detector sees it.

    Attributes:
        start_zyx, stop_zyx: outer edges in voxels of the grid.
        score: calibrated, 0..1.
        best: highest score of its 2D boxes; total: sum over slices (best of each).
        key_slice: where that highest score is.
        boxes_yx: slice -> its 2D box there (the hull where there are several).
    """

    start_zyx: tuple[float, float, float]
    stop_zyx: tuple[float, float, float]
    score: float
    best: float
    total: float
    key_slice: int
    boxes_yx: Mapping[int, tuple[float, float, float, float]]


def link_boxes(found: SliceBoxes, settings: LinkSettings) -> list[LinkedBox]:
    """3D boxes of one volume, best first; no box is used twice."""
    usable = np.flatnonzero(found.scores >= settings.least_score)
    order = usable[np.argsort(-found.scores[usable], kind="stable")]
    per_slice: dict[int, list[int]] = {}
    for number in order:
        per_slice.setdefault(int(found.slices[number]), []).append(int(number))
    free = set(order.tolist())
    chains: list[list[int]] = []
    for seed in order.tolist():
        if seed in free:
            chain = _chain(seed, found, per_slice, free, settings)
            free -= set(chain)
            chains.append(chain)
    groups: list[list[int]] = []
    for chain in chains:
        _place(chain, groups, found, settings)
    linked = [_linked(group, found, settings) for group in groups]
    return sorted(linked, key=lambda box: -box.score)


def shared_area(box: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Area that (4,) shares with each of (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    return np.prod(np.clip(high - low, 0, None), axis=1)


def area(boxes: NDArray) -> NDArray[np.float64]:
    """Areas of (n, 4)."""
    return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)


def _chain(
    seed: int, found: SliceBoxes, per_slice: dict[int, list[int]], free: set[int], settings: LinkSettings
) -> list[int]:
    least = settings.least_share * found.scores[seed]
    chain = [seed]
    for step in (1, -1):
        last, missing = seed, 0
        at = int(found.slices[seed]) + step
        while missing <= settings.gap:
            candidates = [n for n in per_slice.get(at, ()) if n in free and found.scores[n] >= least]
            going_on = _most_alike(found.boxes_yx[last], candidates, found, settings.overlap)
            if going_on is None:
                missing += 1
            else:
                chain.append(going_on)
                last, missing = going_on, 0
            at += step
    return chain


def _most_alike(box: NDArray, candidates: Sequence[int], found: SliceBoxes, least: float) -> int | None:
    if not candidates:
        return None
    others = found.boxes_yx[list(candidates)]
    shared = shared_area(box, others)
    iou = shared / (area(box[None])[0] + area(others) - shared)
    best = int(iou.argmax())
    return candidates[best] if iou[best] >= least else None


def _place(chain: list[int], groups: list[list[int]], found: SliceBoxes, settings: LinkSettings) -> None:
    """Join a chain to the lesion it belongs to, leave it out, or make it a lesion of its own."""
    slices = found.slices[chain]
    ends = [chain[int(slices.argmin())], chain[int(slices.argmax())]]
    for group in groups:
        own_slices = found.slices[group]
        # The same lesion twice: a larger or smaller box round it in the same slices.
        shared = 0.0
        for number in chain:
            beside = [n for n in group if found.slices[n] == found.slices[number]]
            if beside:
                shared += float(shared_area(found.boxes_yx[number], found.boxes_yx[beside]).max())
        volumes = [area(found.boxes_yx[members]).sum() for members in (chain, group)]
        if shared >= settings.inside * volumes[0]:
            return
        if shared >= settings.inside * volumes[1] and len(chain) >= len(group):
            # The better box sits inside a larger, longer one: one lesion, as large as the larger.
            group.extend(chain)
            return
        # A branch: its end lies in the lesion's box one slice further on.
        for end, step in zip(ends, (-1, 1), strict=True):
            beside = [n for n, z in zip(group, own_slices, strict=True) if z == found.slices[end] + step]
            if beside:
                covered = shared_area(found.boxes_yx[end], found.boxes_yx[beside]).max()
                if covered >= settings.inside * area(found.boxes_yx[[end]])[0]:
                    # One far fainter than the lesion is no branch, and no lesion of its own either.
                    best, own_best = (found.scores[members].max() for members in (chain, group))
                    if best >= settings.least_share * own_best:
                        group.extend(chain)
                    return
    groups.append(chain)


def _linked(group: list[int], found: SliceBoxes, settings: LinkSettings) -> LinkedBox:
    boxes: dict[int, tuple[float, float, float, float]] = {}
    scores: dict[int, float] = {}
    for number in group:
        z = int(found.slices[number])
        box = found.boxes_yx[number]
        hull = boxes.get(z)
        if hull is not None:
            box = np.concatenate([np.minimum(box[:2], hull[:2]), np.maximum(box[2:], hull[2:])])
        boxes[z] = tuple(float(v) for v in box)  # type: ignore[assignment]
        scores[z] = max(scores.get(z, 0.0), float(found.scores[number]))
    edges = np.array(list(boxes.values()))
    key = max(scores, key=lambda z: scores[z])
    best, total = scores[key], sum(scores.values())
    return LinkedBox(
        (float(min(boxes)), float(edges[:, 0].min()), float(edges[:, 1].min())),
        (float(max(boxes) + 1), float(edges[:, 2].max()), float(edges[:, 3].max())),
        chain_score(best, total, settings),
        best,
        total,
        key,
        dict(sorted(boxes.items())),
    )


def chain_score(best: float, total: float, settings: LinkSettings) -> float:
    """The calibrated score of a chain from the best and the sum of its scores."""
    clipped = min(max(best, 1e-6), 1 - 1e-6)
    value = settings.bias + settings.top * math.log(clipped / (1 - clipped))
    value += settings.support * math.log(max(total, 1e-6))
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))
