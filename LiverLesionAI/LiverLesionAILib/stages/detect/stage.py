"""A detector's part in one analysis: boxes in 3D, matched with the masks, the rest lesions of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...case.findings import AttentionMap, Lesion, LesionSource
from ...models.inputs import InputSpec
from ...support.progress import Progress, part, silent
from ...volume.ct import Geometry, resample, resample_labels
from ..segment.masks import Masks, closed_liver
from .agree import agreed_masks, score_without_box
from .link import LinkedBox, LinkSettings, SliceBoxes, link_boxes
from .match import EdgesZyx, ellipsoid, inside_liver, labels_with_proposals, match_masks, on_grid, patient_box

if TYPE_CHECKING:
    from .slice_boxes import View

CLOSING_MM, REACH_MM = 8.0, 4.0
LARGEST_ALONE_MM, LEAST_SUSPICION = 15.0, 0.2
"""For detectors whose calibration does not say; see :func:`stands_alone`."""


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
        threshold: score from which a box alone is a finding.
        agreed: whether the masks' scores are the common ones.
        overruled: masks that were dropped because the common score is under the threshold.
        attention: id of a box -> its maps, not yet told which lesion they belong to.
    """

    geometry: Geometry
    masks: Masks
    by_label: Mapping[int, LinkedBox]
    alone: Sequence[LinkedBox]
    below: int
    threshold: float
    agreed: bool = False
    overruled: int = 0
    attention: Mapping[int, tuple[AttentionMap, ...]] = field(default_factory=dict)

    def messages(self, lesions: Sequence[Lesion]) -> list[str]:
        """What the reader has to know about boxes."""
        told = []
        if self.overruled:
            spots = "1 spot" if self.overruled == 1 else f"{self.overruled} spots"
            was = "was" if self.overruled == 1 else "were"
            told.append(
                f"{spots} that the segmenter alone would have listed {was} left out, the detector being less "
                "sure. A lower score threshold shows them."
            )
        count = sum(lesion.source is LesionSource.BOX for lesion in lesions)
        if not count:
            return told
        which = "1 lesion was" if count == 1 else f"{count} lesions were"
        outline = "its outline is" if count == 1 else "their outlines are"
        return [*told, f"{which} found by the detector only; {outline} a proposal, grown inside the box."]


def detect_lesions(
    network: Any,
    spec: InputSpec,
    calibration: Mapping[str, float],
    hu_zyx: NDArray,
    box: Geometry,
    masks: Masks,
    working: Geometry,
    level_hu: float,
    *,
    tumour_zyx: NDArray[np.uint8] | None = None,
    threshold: float | None = None,
    mask_threshold: float = 0.5,
    smallest_mm: float = 4.0,
    attention: bool = False,
    batch: int = 4,
    progress: Progress = silent,
) -> Detected:
    """Run a detector inside the liver's box.

    Args:
        network: a detector of the manifest, in eval mode on its device.
        spec, calibration: of its manifest entry (`score_threshold`, `link_...`).
        hu_zyx: HU on `box`, the CT's own grid inside the liver's box.
        masks: what the segmenter found, on `working`.
        level_hu: of the liver.
        tumour_zyx: the segmenter's probability of tumour, 0..255, on `working`; see :func:`stands_alone`.
        threshold: of boxes alone, instead of the calibrated one.
        mask_threshold: of the common score of a mask and its box, where there is one.
        smallest_mm: boxes alone whose shorter side in plane is below are left out.
        attention: whether to keep the attention of every lesion with a box.
        batch: slices at once.
    """
    from .slice_boxes import view_around

    geometry = box.with_spacing(spec.spacing_zyx_mm)
    hu = resample(hu_zyx, box, geometry) + np.float32(spec.shift_hu(level_hu))
    if geometry.matches(working):
        liver, labels = masks.liver_zyx, masks.labels_zyx
    else:
        liver = resample_labels(masks.liver_zyx.astype(np.uint8), working, geometry) > 0
        labels = resample_labels(masks.labels_zyx, working, geometry)
        if tumour_zyx is not None:
            tumour_zyx = np.rint(resample(tumour_zyx, working, geometry)).astype(np.uint8)
    limit = float(calibration.get("score_threshold", 0.9)) if threshold is None else threshold
    without = score_without_box(calibration)
    closed = closed_liver(liver, geometry.spacing_zyx_mm, CLOSING_MM, REACH_MM) if liver.any() else liver
    view = view_around(closed, geometry.spacing_zyx_mm)
    if view is None:
        # Without a liver there is no mask of a lesion either.
        return Detected(geometry, masks, {}, (), 0, limit, without is not None)
    found = boxes_in_slices(network, spec, hu, view, batch, part(progress, 0.0, 0.9))
    linked = inside_liver(link_boxes(found, LinkSettings.from_calibration(calibration)), closed)
    matched = match_masks(linked, labels)
    by_label, asked = matched.by_label, len(masks.scores)
    if without is not None:
        masks = agreed_masks(masks, by_label, working.voxel_volume_mm3, without, mask_threshold)
        by_label = {label: one for label, one in by_label.items() if label in masks.scores}
    rules = {**calibration, "score_threshold": limit}
    alone = [b for b in matched.alone if stands_alone(b, geometry, rules, tumour_zyx, smallest_mm)]
    kept = {id(b): b for b in [*by_label.values(), *alone]}
    shown = _attention(network, spec, hu, view, geometry, kept, progress) if attention else {}
    below = len(matched.alone) - len(alone)
    overruled = asked - len(masks.scores)
    return Detected(
        geometry, masks, by_label, alone, below, limit, without is not None, overruled, attention=shown
    )


def boxes_in_slices(
    network: Any, spec: InputSpec, hu_zyx: NDArray, view: View, batch: int, progress: Progress = silent
) -> SliceBoxes:
    """Scored 2D boxes of whichever detector it is, in voxels of `hu_zyx`."""
    from ...networks.va_rcnn import VaRcnn
    from .slice_boxes import slice_boxes
    from .volumetric import volumetric_slice_boxes

    if isinstance(network, VaRcnn):
        return volumetric_slice_boxes(
            network,
            spec,
            hu_zyx,
            rows=view.rows,
            columns=view.columns,
            slices=view.slices,
            batch=batch,
            progress=progress,
        )
    return slice_boxes(network, spec, hu_zyx, view, batch=batch, progress=progress)


def stands_alone(
    box: LinkedBox,
    geometry: Geometry,
    calibration: Mapping[str, float],
    tumour_zyx: NDArray[np.uint8] | None,
    smallest_mm: float,
) -> bool:
    """Whether a box without a mask is a finding.

    Its score has to reach `score_threshold`; its shorter side in plane `smallest_mm`, and no side may exceed
    `largest_alone_mm`: what a mask network misses wholly is small. And the segmenter has to suspect something
    there itself: its probability of tumour reaches `least_suspicion` somewhere in the box, far below what
    makes a mask. Two networks of different kinds seldom imagine the same thing.

    Args:
        tumour_zyx: 0..255 on `geometry`; None leaves the last rule out.
    """
    sides = (np.array(box.stop_zyx) - box.start_zyx) * geometry.spacing_zyx_mm
    if box.score < calibration["score_threshold"] or min(sides[1:]) < smallest_mm:
        return False
    if sides.max() > calibration.get("largest_alone_mm", LARGEST_ALONE_MM):
        return False
    if tumour_zyx is None:
        return True
    cut, inside = ellipsoid((box.start_zyx, box.stop_zyx), tumour_zyx.shape)
    return bool(tumour_zyx[cut][inside].max() >= 255 * calibration.get("least_suspicion", LEAST_SUSPICION))


def _attention(
    network: Any,
    spec: InputSpec,
    hu_zyx: NDArray,
    view: View,
    geometry: Geometry,
    boxes: Mapping[int, LinkedBox],
    progress: Progress,
) -> dict[int, tuple[AttentionMap, ...]]:
    from ...networks.va_rcnn import VaRcnn
    from ..explain.cs_att import lesion_attention
    from ..explain.va import volumetric_lesion_attention

    attention_of = volumetric_lesion_attention if isinstance(network, VaRcnn) else lesion_attention
    shown = {}
    for number, (key, box) in enumerate(boxes.items()):
        progress("attention maps", 0.9 + 0.1 * number / len(boxes))
        shown[key] = attention_of(network, spec, hu_zyx, view, geometry, box)
    return shown


def place_detected(
    detected: Detected,
    labels_zyx: NDArray[np.uint16],
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    box: Geometry,
) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Labels on the CT's grid with a proposed mask for every box that stands alone.

    Args:
        labels_zyx, hu_zyx, liver_zyx: on `box`.

    Returns:
        (labels_zyx, which): a new array, and new label -> index in `detected.alone`.
    """
    edges: list[EdgesZyx] = [on_grid(one, detected.geometry, box) for one in detected.alone]
    return labels_with_proposals(labels_zyx, edges, hu_zyx, liver_zyx, box.spacing_zyx_mm)


def told_how_found(
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
            shown = patient_box(on_grid(linked, detected.geometry, box), box, linked.score)
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
