"""Lesion-wise detection in volumes: which reference lesions were found, and what was found beside them.

Lesions are connected components. Masks are z, y, x, spacings mm, volumes mL; a lesion's size is the diameter
of the sphere with its volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.geometry import triple
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.volume.overlap import as_masks
from numpy.typing import ArrayLike, NDArray

from .bands import DETECTION_BANDS, Band, equivalent_diameter_mm
from .components import Components, diameters, matched_ious, owners
from .freeresponse import FreeResponse, free_response
from .segmentation import NAN

# Rates at which free-response curves per scan are read (those of LUNA16).
RATES_PER_SCAN = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class LesionRules:
    """What counts as a lesion, and as found.

    Attributes:
        connectivity: 26, 18 or 6 neighbours make a component.
        min_voxels, min_diameter_mm: a reference component below **both** is a speck of the annotation
            (lits004 has some of one voxel): it is not a lesion to find, and what touches it is not false.
        overlap: found when at least this share of the lesion's voxels is predicted, by whatever components
            (the rule of the first baseline).
        iou: found by IoU when one component, matched one to one, has at least this IoU with the lesion.
    """

    connectivity: int = 26
    min_voxels: int = 3
    min_diameter_mm: float = 3.0
    overlap: float = 0.10
    iou: float = 0.5


@dataclass(frozen=True)
class ReferenceLesion:
    """One lesion of the reference and how it fared.

    Attributes:
        number: 1, 2, ... largest first.
        voxels, volume_ml, diameter_mm: its size (equivalent diameter).
        centre_zyx: centroid, voxel index of the whole volume.
        overlap: share of its voxels that were predicted, 0..1.
        iou: with the component matched to it one to one, 0 without one.
        dice: with the part of the prediction that belongs to it (see :func:`score_lesions`); 0 when missed.
        predicted_ml: volume of that part.
        long_axis_mm, predicted_axis_mm: what `diameter` of :func:`score_lesions` measures on the lesion and
            on that part; NaN when not asked for, the second also when missed.
        found, found_by_iou: by :class:`LesionRules`.
        score: highest threshold on the components' scores at which it is found by overlap; -inf when it never
            is.
        place, difference_hu: see :class:`~.whereabouts.Whereabouts`; empty and NaN when not asked for.
    """

    number: int
    voxels: int
    volume_ml: float
    diameter_mm: float
    centre_zyx: tuple[float, float, float]
    overlap: float
    iou: float
    dice: float
    predicted_ml: float
    found: bool
    found_by_iou: bool
    score: float
    long_axis_mm: float = NAN
    predicted_axis_mm: float = NAN
    place: str = ""
    difference_hu: float = NAN


@dataclass(frozen=True)
class PredictedLesion:
    """One component of the prediction.

    Attributes:
        number: 1, 2, ... largest first.
        voxels, volume_ml, diameter_mm, centre_zyx: as of the reference.
        score: the largest score in it; 1 when none were given.
        touches: numbers of the reference lesions it shares voxels with.
        false: it shares no voxel with the reference mask, its specks included.
    """

    number: int
    voxels: int
    volume_ml: float
    diameter_mm: float
    centre_zyx: tuple[float, float, float]
    score: float
    touches: tuple[int, ...]
    false: bool


@dataclass(frozen=True)
class LesionScores:
    """Detection in one scan.

    Attributes:
        reference, predicted: all lesions, largest first.
        n_specks: reference components left out as too small.
    """

    reference: tuple[ReferenceLesion, ...]
    predicted: tuple[PredictedLesion, ...]
    n_specks: int = 0

    @property
    def n_lesions(self) -> int:
        """Lesions there are to find."""
        return len(self.reference)

    @property
    def n_found(self) -> int:
        """Lesions found by overlap."""
        return sum(lesion.found for lesion in self.reference)

    @property
    def n_found_by_iou(self) -> int:
        """Lesions found by IoU."""
        return sum(lesion.found_by_iou for lesion in self.reference)

    @property
    def n_false(self) -> int:
        """Components that touch no lesion."""
        return sum(lesion.false for lesion in self.predicted)


@dataclass(frozen=True)
class BandCount:
    """Lesions of one size group."""

    band: Band
    n_lesions: int
    n_found: int
    n_found_by_iou: int

    @property
    def sensitivity(self) -> float:
        """Share found by overlap; NaN without lesions."""
        return self.n_found / self.n_lesions if self.n_lesions else float("nan")


def score_lesions(
    reference_zyx: ArrayLike,
    prediction_zyx: ArrayLike,
    spacing_zyx_mm: Sequence[float],
    *,
    score_zyx: ArrayLike | None = None,
    rules: LesionRules | None = None,
    diameter: Callable[[NDArray[np.bool_]], float] | None = None,
    there: Components | None = None,
) -> LesionScores:
    """Match the lesions of a prediction with those of the reference.

    Dice per lesion compares a lesion with the part of the prediction that belongs to it: components that
    touch this lesion alone belong to it whole; one that covers several is divided among them by nearest
    voxel, so that two lesions under one prediction are not both charged for the other's volume.

    Args:
        reference_zyx, prediction_zyx: masks of one shape, non-zero = lesion; already distinct labels are
            merged and separated again by connectivity, so that every method is counted by one rule.
        spacing_zyx_mm: of the grid.
        score_zyx: anything that ranks findings (tumour probability, or each lesion's score painted on its
            voxels) on the same grid; a component's score is its largest value.
        rules: what counts.
        diameter: measures the long axis (mm) of a non-empty z, y, x mask cropped to its box.
        there: the reference's components by these rules, where they are known already.

    Raises:
        InputError: the shapes differ or are not 3D.
    """
    rules = rules or LesionRules()
    reference, prediction = as_masks(reference_zyx, prediction_zyx)
    if reference.ndim != 3:
        raise InputError(f"Lesions are matched in volumes; these masks have {reference.ndim} dimensions.")
    values = None if score_zyx is None else np.asarray(score_zyx)
    if values is not None and values.shape != reference.shape:
        raise InputError(f"The scores have shape {values.shape}, the masks {reference.shape}.")
    box = bounding_box(reference | prediction)
    if box is None:
        return LesionScores((), ())
    there = Components.of(reference[box], rules.connectivity) if there is None else there.cropped(box)
    found = Components.of(prediction[box], rules.connectivity)
    scores = np.ones(found.n)
    if values is not None:
        scores = np.full(found.n, -np.inf)
        np.maximum.at(scores, found.numbers - 1, values[box].ravel()[found.places])
    matching = _Matching(there, found, scores, spacing_zyx_mm, np.array([s.start for s in box], float), rules)
    return LesionScores(
        matching.reference_lesions(rules, diameter), matching.predicted_lesions(), matching.n_specks
    )


class _Matching:
    """Components of a reference and a prediction, and the voxels they share.

    Attributes:
        n_lesions: of the reference's components, those that are no specks; they come first.
        shared: (there.n + 1, found.n + 1) voxels; row and column 0 are the background.
    """

    def __init__(
        self,
        there: Components,
        found: Components,
        scores: NDArray[np.float64],
        spacing_zyx_mm: Sequence[float],
        corner_zyx: NDArray[np.float64],
        rules: LesionRules,
    ) -> None:
        self.there, self.found, self.scores, self.corner_zyx = there, found, scores, corner_zyx
        self.spacing = np.asarray(spacing_zyx_mm, float)
        self.voxel_mm3 = float(self.spacing.prod())
        # Components are ranked by size, so the specks come last.
        self.n_lesions = sum(not _is_speck(int(n), self.voxel_mm3, rules) for n in there.sizes)
        pairs = there.numbers * (found.n + 1) + found.labels.ravel()[there.places]
        counts = np.bincount(pairs, minlength=(there.n + 1) * (found.n + 1))
        self.shared = counts.reshape(there.n + 1, found.n + 1)

    @property
    def n_specks(self) -> int:
        return self.there.n - self.n_lesions

    @property
    def overlaps(self) -> NDArray[np.int64]:
        """(lesions, predicted components) voxels in common."""
        return self.shared[1 : self.n_lesions + 1, 1:]

    def _size(self, voxels: int) -> tuple[int, float, float]:
        """Voxels, mL, and the diameter of the sphere of that volume, mm."""
        volume_mm3 = voxels * self.voxel_mm3
        return voxels, volume_mm3 / 1000.0, equivalent_diameter_mm(volume_mm3)

    def reference_lesions(
        self, rules: LesionRules, diameter: Callable[[NDArray[np.bool_]], float] | None
    ) -> tuple[ReferenceLesion, ...]:
        there, found, overlaps, n = self.there, self.found, self.overlaps, self.n_lesions
        ious = matched_ious(overlaps, there.sizes[:n], found.sizes)
        belongs = owners(there.labels, found, overlaps, self.spacing)
        parts = np.bincount(belongs, minlength=n + 1)[1:]
        axes = predicted_axes = np.full(n, NAN)
        if diameter is not None:
            axes = diameters(there.places, there.numbers, n, there.labels.shape, diameter)
            predicted_axes = diameters(found.places, belongs, n, there.labels.shape, diameter)
        centres = there.centres_zyx() + self.corner_zyx

        def lesion(k: int) -> ReferenceLesion:
            voxels, volume_ml, diameter_mm = self._size(int(there.sizes[k]))
            needed = max(rules.overlap * voxels, 1.0)
            hit = int(overlaps[k].sum())
            return ReferenceLesion(
                number=k + 1,
                voxels=voxels,
                volume_ml=volume_ml,
                diameter_mm=diameter_mm,
                centre_zyx=triple(centres[k]),
                overlap=hit / voxels,
                iou=float(ious[k]),
                dice=2.0 * hit / (voxels + int(parts[k])),
                predicted_ml=float(parts[k]) * self.voxel_mm3 / 1000.0,
                found=hit >= needed - 1e-9,
                found_by_iou=bool(ious[k] >= rules.iou),
                score=_score_when_found(overlaps[k], self.scores, needed),
                long_axis_mm=float(axes[k]),
                predicted_axis_mm=float(predicted_axes[k]),
            )

        return tuple(lesion(k) for k in range(n))

    def predicted_lesions(self) -> tuple[PredictedLesion, ...]:
        centres = self.found.centres_zyx() + self.corner_zyx
        return tuple(
            PredictedLesion(
                j + 1,
                *self._size(int(self.found.sizes[j])),
                centre_zyx=triple(centres[j]),
                score=float(self.scores[j]),
                touches=tuple(int(k) + 1 for k in np.flatnonzero(self.overlaps[:, j])),
                false=not self.shared[1:, j + 1].any(),
            )
            for j in range(self.found.n)
        )


def count_by_size(cases: Iterable[LesionScores], bands: Sequence[Band] = DETECTION_BANDS) -> list[BandCount]:
    """Lesions found and there, by size group, pooled over scans."""
    lesions = [lesion for case in cases for lesion in case.reference]
    rows = []
    for band in bands:
        members = [lesion for lesion in lesions if band.holds(lesion.diameter_mm)]
        found, by_iou = sum(m.found for m in members), sum(m.found_by_iou for m in members)
        rows.append(BandCount(band, len(members), found, by_iou))
    return rows


def free_response_per_scan(cases: Sequence[LesionScores], band: Band | None = None) -> FreeResponse:
    """The free-response curve over scans.

    With `band` of that size group's lesions only, against all false findings.

    Only what was segmented can appear on it: give predictions made at a low threshold, with their scores.
    """
    found = [
        lesion.score
        for case in cases
        for lesion in case.reference
        if band is None or band.holds(lesion.diameter_mm)
    ]
    false = [finding.score for case in cases for finding in case.predicted if finding.false]
    return free_response(found, false, len(cases))


def _is_speck(voxels: int, voxel_mm3: float, rules: LesionRules) -> bool:
    small = equivalent_diameter_mm(voxels * voxel_mm3) < rules.min_diameter_mm
    return voxels < rules.min_voxels and small


def _score_when_found(overlap: NDArray, scores: NDArray, needed: float) -> float:
    """The highest threshold at which components of at least that score cover `needed` voxels of a lesion."""
    touching = np.flatnonzero(overlap)
    order = touching[np.argsort(-scores[touching], kind="stable")]
    covered = np.cumsum(overlap[order])
    enough = np.flatnonzero(covered >= needed - 1e-9)
    return float(scores[order[enough[0]]]) if enough.size else float("-inf")
