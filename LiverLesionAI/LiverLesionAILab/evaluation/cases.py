"""One scan, one method: every score of the case in one row, and the slices worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.wording import messages
from LiverLesionAILib.stages.measure.calipers import measure_calipers
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry, permuted, reoriented_geometry
from numpy.typing import NDArray

from ..data.scan import GRID_TOLERANCE, LIVER, TUMOUR, UNKNOWN
from ..metrics.components import Components
from ..metrics.lesions import LesionRules, LesionScores, score_lesions
from ..metrics.segmentation import MaskScores, SliceScores, score_masks, score_slices
from ..metrics.whereabouts import Whereabouts, whereabouts
from .pictures import CasePicture, choose_pictures


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of a scan.

    Attributes:
        labels_zyx: uint8; 0 background, 1 liver, 2 tumour.
        geometry: its grid: the scan's, axes may be permuted or flipped.
        score_zyx: ranks lesions (see :func:`~.lesions.score_lesions`), on the same grid; None without scores.
        seconds: it took, None when not measured.
        messages: what the method had to say.
    """

    labels_zyx: NDArray[np.uint8]
    geometry: Geometry
    score_zyx: NDArray | None = None
    seconds: float | None = None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseRow:
    """All scores of a case.

    Attributes:
        name, patient: of the scan.
        liver: liver with its tumours; None when the reference has no liver.
        tumour: all tumours as one mask.
        lesions: detection, lesion by lesion.
        slices: the per-slice protocol over this scan's slices with tumour; None without any.
        seconds, messages: of the method.
        pictures: slices for the report, worst first; empty when not asked for.
    """

    name: str
    patient: str
    liver: MaskScores | None
    tumour: MaskScores
    lesions: LesionScores
    slices: SliceScores | None = None
    seconds: float | None = None
    messages: tuple[str, ...] = ()
    pictures: tuple[CasePicture, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """The reference has no lesion."""
        return self.lesions.n_lesions == 0


def prediction_of(result: CaseResult, seconds: float | None = None) -> Prediction:
    """A pipeline's result as labels, with each lesion's score painted on its voxels."""
    labels = np.asarray(result.liver_zyx).astype(np.uint8)
    lesions = np.asarray(result.lesion_labels_zyx)
    inside = lesions > 0
    labels[inside] = TUMOUR
    by_number = np.zeros(int(lesions.max(initial=0)) + 1, np.float32)
    for lesion in result.lesions:
        if lesion.number < len(by_number):
            by_number[lesion.number] = lesion.score
    return Prediction(labels, result.geometry, by_number[lesions], seconds, messages(result))


def score_case(
    name: str,
    patient: str,
    reference_zyx: NDArray[np.uint8],
    geometry: Geometry,
    prediction: Prediction,
    *,
    hu_zyx: NDArray | None = None,
    rules: LesionRules | None = None,
    distances: bool = True,
    pictures: bool = True,
) -> CaseRow:
    """Score one prediction.

    Both are turned to the axes L, P, S first, so that "slice" and RECIST axes mean axial ones; voxels that
    the reference does not know (255) count for nothing.

    Args:
        name, patient: of the scan; geometry: its grid.
        reference_zyx: uint8 on `geometry`; 0 background, 1 liver, 2 tumour, 255 unknown.
        prediction: the method's.
        hu_zyx: HU on `geometry`; with it the row gets pictures, and lesions the difference from the liver.
        rules: what counts as a lesion and as found; distances: also compute surface distances.
        pictures: where HU are given; else only lesions are measured in them.

    Raises:
        InputError: the prediction lies on another grid.
    """
    target = reoriented_geometry(geometry)
    reference = permuted(reference_zyx, geometry, target)
    labels, scores = _axial(name, prediction, target)
    unknown = reference == UNKNOWN
    reference, labels = np.where(unknown, 0, reference), np.where(unknown, 0, labels)
    spacing, rules = target.spacing_zyx_mm, rules or LesionRules()
    has_liver, tumour, found = bool((reference == LIVER).any()), reference == TUMOUR, labels == TUMOUR
    there = Components.of(tumour, rules.connectivity)
    lesions = score_lesions(
        tumour,
        found,
        spacing,
        score_zyx=scores,
        rules=rules,
        diameter=lambda mask: measure_calipers(mask, spacing[1:]).long_mm,
        there=there,
    )
    hu = None if hu_zyx is None else permuted(hu_zyx, geometry, target)
    shown = choose_pictures(hu, reference, labels, lesions, spacing[1:]) if pictures else ()
    if has_liver:
        lesions = _placed(lesions, whereabouts(there, lesions.n_lesions, reference > 0, spacing, hu))
    return CaseRow(
        name=name,
        patient=patient,
        liver=score_masks(reference > 0, labels > 0, spacing, distances=distances) if has_liver else None,
        tumour=score_masks(tumour, found, spacing, distances=distances),
        lesions=lesions,
        slices=score_slices([(tumour, found)], distances=distances) if tumour.any() else None,
        seconds=prediction.seconds,
        messages=prediction.messages,
        pictures=shown,
    )


def _placed(scores: LesionScores, found: Sequence[Whereabouts]) -> LesionScores:
    """The same lesions, each with where in the liver it lies."""
    lesions = (
        replace(lesion, place=own.place, difference_hu=own.difference_hu)
        for lesion, own in zip(scores.reference, found, strict=True)
    )
    return replace(scores, reference=tuple(lesions))


def _axial(name: str, prediction: Prediction, target: Geometry) -> tuple[NDArray, NDArray | None]:
    """Labels and scores of a prediction turned to the axes L, P, S; refused where it is not on `target`."""
    source = reoriented_geometry(prediction.geometry)
    if not source.matches(target, GRID_TOLERANCE):
        raise InputError(
            f"{name}: the prediction does not lie on the scan's grid (size, spacing, origin or orientation "
            "differ). Resample it onto the CT."
        )
    labels = permuted(prediction.labels_zyx, prediction.geometry, source)
    if prediction.score_zyx is None:
        return labels, None
    return labels, permuted(prediction.score_zyx, prediction.geometry, source)
