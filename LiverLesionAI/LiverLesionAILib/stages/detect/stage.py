"""A detector's part in one analysis: boxes in 3D, matched with the masks, the rest lesions of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...case.findings import AttentionMap, Lesion, LesionSource
from ...support.progress import Progress, part, silent
from ...volume.ct import Geometry, resample, resample_labels
from ..faces import Detector
from ..segment.masks import Masks, closed_liver
from ..segment.segmented import Segmented
from .agree import AgreeSettings, agreed_masks, brighter_than
from .link import LinkedBox, LinkSettings, link_boxes
from .match import (
    EdgesZyx,
    ProposalSettings,
    box_on_grid,
    ellipsoid,
    inside_liver,
    labels_with_proposals,
    match_masks,
    patient_box,
)
from .view import view_around


@dataclass(frozen=True, eq=False)
class Detected:
    """What a detector adds to the masks of one case.

    Attributes:
        geometry: grid of the boxes.
        masks: those that were given, or, where the detector's calibration says how its scores and the masks'
            agree, those whose common score reaches the threshold, with that score.
        by_label: label of one of `masks` -> the box that found the same lesion.
        alone: boxes above the threshold without a mask, best first.
        below: number of boxes without a mask under the threshold or too small.
        agreed: whether the masks' scores are the common ones.
        overruled: masks that were dropped because the common score is under the threshold.
        boxes: all of the detector's in the liver, with a mask or without.
        attention: id of a box -> its maps, not yet told which lesion they belong to.
    """

    geometry: Geometry
    masks: Masks
    by_label: Mapping[int, LinkedBox]
    alone: Sequence[LinkedBox]
    below: int
    agreed: bool = False
    overruled: int = 0
    boxes: Sequence[LinkedBox] = ()
    attention: Mapping[int, tuple[AttentionMap, ...]] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[str, ...]:
        """What the reader has to know about boxes that took lesions from the list."""
        if not self.overruled:
            return ()
        spots, them = ("1 spot", "it") if self.overruled == 1 else (f"{self.overruled} spots", "them")
        was = "was" if self.overruled == 1 else "were"
        return (
            f"{spots} that the segmenter alone would have listed {was} left out, the detector being less "
            f"sure. A lower score threshold shows {them}.",
        )


@dataclass(frozen=True)
class AloneSettings:
    """When a box without a mask is a finding; see :func:`stands_alone`.

    Attributes:
        box_threshold: its score has to reach it.
        smallest_mm: its shorter side in plane has to reach it.
        alone_largest_mm: no side may exceed it.
        alone_suspicion: probability of tumour, 0..1, that the segmenter has to give somewhere in the box.
    """

    box_threshold: float
    smallest_mm: float
    alone_largest_mm: float
    alone_suspicion: float


@dataclass(frozen=True)
class DetectSettings:
    """How a detector's boxes become lesions.

    Attributes:
        closing_mm, reach_mm: of the liver they have to lie in; see
            :func:`~LiverLesionAILib.stages.segment.masks.closed_liver`.
        box_liver_share: of a box's ellipsoid that has to lie in it.
        match_share: of a mask's voxels that a box holds, or of a box's ellipsoid that a mask fills, from
            which they are one lesion.
        link, agree, alone: of slices into boxes, of masks with boxes, of boxes without a mask.
    """

    closing_mm: float
    reach_mm: float
    box_liver_share: float
    match_share: float
    link: LinkSettings
    agree: AgreeSettings
    alone: AloneSettings


def detect_lesions(
    detector: Detector,
    found: Segmented,
    settings: DetectSettings,
    progress: Progress = silent,
    arterial: Callable[[], bool] = lambda: False,
) -> Detected:
    """Run a detector inside the liver's box.

    Args:
        found: what the segmenter found.
        arterial: whether the scan is; asked only where masks are brighter than the liver, which the detector
            then has no say in. In other phases what is bright is mostly a vessel, and it may doubt.
    """
    spec = detector.input
    geometry = found.box.with_spacing(spec.spacing_zyx_mm)
    shift = spec.shift_hu(found.level_hu)
    hu = found.hu_on(geometry) + np.float32(shift)
    liver, labels, tumour = _on_detectors_grid(found, geometry)
    judges = settings.agree.without_box is not None
    closed = liver
    if liver.any():
        closed = closed_liver(liver, geometry.spacing_zyx_mm, settings.closing_mm, settings.reach_mm)
    view = view_around(closed, geometry.spacing_zyx_mm)
    if view is None:
        # Without a liver there is no mask of a lesion either.
        return Detected(geometry, found.masks, {}, (), 0, judges)
    boxes = link_boxes(detector.boxes(hu, view, part(progress, 0.0, 0.9)), settings.link)
    boxes = inside_liver(boxes, closed, settings.box_liver_share)
    matched = match_masks(boxes, labels, settings.match_share)
    scores = found.masks.scores if judges else {}
    voxel_mm3, bright_hu = found.working.voxel_volume_mm3, settings.agree.judged_bright_hu
    bright = brighter_than(found.level_hu + shift, hu, labels, scores, bright_hu)
    undoubted = bright if bright and arterial() else ()
    masks = agreed_masks(found.masks, matched.by_label, voxel_mm3, settings.agree, undoubted)
    by_label = {label: one for label, one in matched.by_label.items() if label in masks.scores}
    alone = [b for b in matched.alone if stands_alone(b, geometry, settings.alone, tumour)]
    kept = {id(b): b for b in [*by_label.values(), *alone]}
    maps = {}
    for number, (key, box) in enumerate(kept.items()):
        progress("attention maps", 0.9 + 0.1 * number / len(kept))
        maps[key] = detector.explain(hu, view, geometry, box)
    overruled = len(found.masks.scores) - len(masks.scores)
    below = len(matched.alone) - len(alone)
    return Detected(geometry, masks, by_label, alone, below, judges, overruled, boxes, maps)


def _on_detectors_grid(
    found: Segmented, geometry: Geometry
) -> tuple[NDArray[np.bool_], NDArray[np.uint16], NDArray[np.uint8]]:
    """Liver, lesions and probability of tumour (0..255) on the detector's grid."""
    masks, working = found.masks, found.working
    if geometry.matches(working):
        return masks.liver_zyx, masks.labels_zyx, found.tumour_zyx
    return (
        resample_labels(masks.liver_zyx.astype(np.uint8), working, geometry) > 0,
        resample_labels(masks.labels_zyx, working, geometry),
        np.rint(resample(found.tumour_zyx, working, geometry)).astype(np.uint8),
    )


def stands_alone(
    box: LinkedBox, geometry: Geometry, settings: AloneSettings, tumour_zyx: NDArray[np.uint8] | None
) -> bool:
    """Whether a box without a mask is a finding.

    Its score has to reach `box_threshold`; its shorter side in plane `smallest_mm`, and no side may exceed
    `alone_largest_mm`: what a mask network misses wholly is small. And the segmenter has to suspect something
    there itself: its probability of tumour reaches `alone_suspicion` somewhere in the box, far below what
    makes a mask. Two networks of different kinds seldom imagine the same thing.

    Args:
        tumour_zyx: 0..255 on `geometry`; None leaves the last rule out.
    """
    sides = (np.array(box.stop_zyx) - box.start_zyx) * geometry.spacing_zyx_mm
    if box.score < settings.box_threshold or min(sides[1:]) < settings.smallest_mm:
        return False
    if sides.max() > settings.alone_largest_mm:
        return False
    if tumour_zyx is None:
        return True
    cut, inside = ellipsoid((box.start_zyx, box.stop_zyx), tumour_zyx.shape)
    return bool(tumour_zyx[cut][inside].max() >= 255 * settings.alone_suspicion)


def place_detected(
    detected: Detected,
    labels_zyx: NDArray[np.uint16],
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    box: Geometry,
    settings: ProposalSettings,
) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Labels on the CT's grid with a proposed mask for every box that stands alone.

    Args:
        labels_zyx, hu_zyx, liver_zyx: on `box`.

    Returns:
        (labels_zyx, which): a new array, and new label -> index in `detected.alone`.
    """
    edges: list[EdgesZyx] = [box_on_grid(one, detected.geometry, box) for one in detected.alone]
    return labels_with_proposals(labels_zyx, edges, hu_zyx, liver_zyx, box.spacing_zyx_mm, settings)


def with_sources(
    lesions: Sequence[Lesion],
    detected: Detected,
    numbers: Mapping[int, int],
    boxed: Mapping[int, int],
    box: Geometry,
) -> tuple[tuple[Lesion, ...], tuple[AttentionMap, ...]]:
    """Lesions with their source, score and box, and the detector's attention for each.

    A lesion found by both keeps its mask's box; its score is the common one, or the better of the two where
    nothing was fitted. One found by a box only has the detector's box and score.

    Args:
        lesions: measured on the masks.
        numbers: label before -> the lesion's number now.
        boxed: label before -> index in `detected.alone`.
        box: grid of the boxes' patient space.
    """
    found: dict[int, tuple[LinkedBox, LesionSource]] = {}
    for old, new in numbers.items():
        if old in boxed:
            found[new] = detected.alone[boxed[old]], LesionSource.BOX
        elif old in detected.by_label:
            found[new] = detected.by_label[old], LesionSource.BOTH
    told: list[Lesion] = []
    maps: list[AttentionMap] = []
    for lesion in lesions:
        if lesion.number not in found:
            told.append(lesion)
            continue
        linked, source = found[lesion.number]
        if source is LesionSource.BOX:
            shown = patient_box(box_on_grid(linked, detected.geometry, box), box, linked.score)
            told.append(replace(lesion, source=source, score=linked.score, box=shown))
        else:
            shown = replace(lesion.box, score=linked.score)
            score = lesion.score if detected.agreed else max(lesion.score, linked.score)
            told.append(replace(lesion, source=source, score=score, box=shown))
        maps += [
            replace(one, name=f"{one.name}, lesion {lesion.number}", lesion_number=lesion.number)
            for one in detected.attention.get(id(linked), ())
        ]
    return tuple(told), tuple(maps)
