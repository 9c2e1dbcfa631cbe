"""Scores of one mask against another: overlap, surface distance and volume; per volume and per slice.

Masks are arrays of any type in which non-zero means "inside", z, y, x (or y, x); the spacing is in mm in the
order of the array's axes. Scores are fractions (0..1), distances mm or voxels, volumes mL.

Empty masks follow the LiTS convention (Bilic et al. 2019): nothing to find and nothing found scores 1,
nothing to find and something found scores 0, in all overlap ratios. Surface distances are 0 when both masks
are empty and undefined (NaN) when one is: an average of distances has to say over how many cases it was
taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.volume.overlap import Counts, as_masks, count_voxels, harmonic_mean
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

NAN = float("nan")


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between the surfaces of two masks.

    The surface of a mask is its voxels with a face neighbour outside it (the grid's outside counts as
    outside); distances are between voxel centres.

    Attributes:
        hausdorff: the largest distance from a surface voxel of one mask to the other mask's surface.
        hausdorff95: the larger of the two directed 95th percentiles.
        average: mean over the surface voxels of both masks (average symmetric surface distance).
    """

    hausdorff: float
    hausdorff95: float
    average: float


@dataclass(frozen=True)
class MaskScores:
    """Everything about one mask against its reference.

    Attributes:
        counts: voxels.
        dice, jaccard, precision, recall, specificity, f1: 0..1.
        hausdorff_mm, hausdorff95_mm, average_distance_mm: NaN when exactly one mask is empty or not asked
            for.
        hausdorff_px, hausdorff95_px: the same on the voxel grid, spacing ignored.
        reference_ml, predicted_ml: volumes; volume_error_ml their difference, predicted minus reference.
        volume_error_percent: of the reference; NaN when that is empty.
    """

    counts: Counts
    dice: float
    jaccard: float
    precision: float
    recall: float
    specificity: float
    f1: float
    hausdorff_mm: float
    hausdorff95_mm: float
    average_distance_mm: float
    hausdorff_px: float
    hausdorff95_px: float
    reference_ml: float
    predicted_ml: float
    volume_error_ml: float
    volume_error_percent: float


@dataclass(frozen=True)
class SliceScores:
    """Means over 2D slices, the protocol of the MSCD paper's table 1.

    Attributes:
        n_slices: slices that counted.
        dice, jaccard, precision, recall, specificity: means over slices.
        f1: harmonic mean of the **mean** precision and the mean recall; the paper's F1 column is that (every
            row of its table but the last digit of one), and not the mean of the slices' F1, which would equal
            Dice.
        hausdorff_px, hausdorff95_px: means over the slices in which both masks are non-empty.
        n_without_distance: slices left out of those two because one mask was empty.
    """

    n_slices: int
    dice: float
    jaccard: float
    precision: float
    recall: float
    specificity: float
    f1: float
    hausdorff_px: float
    hausdorff95_px: float
    n_without_distance: int


def global_dice(cases: Iterable[Counts]) -> float:
    """Dice of all cases' voxels taken as one (LiTS "Dice global")."""
    return sum(cases, Counts()).dice


def surface_points(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, ndim) indices of a 2D or 3D mask's surface voxels, in the order of the array's axes."""
    box = bounding_box(mask if mask.ndim == 3 else mask[None])
    if box is None:
        return np.zeros((0, mask.ndim), np.int64)
    box = box[-mask.ndim :]
    inside = np.pad(mask[box], 1)
    core = inside.copy()
    for axis in range(mask.ndim):
        ahead = (slice(None),) * axis + (slice(1, None),)
        behind = (slice(None),) * axis + (slice(None, -1),)
        core[ahead] &= inside[behind]
        core[behind] &= inside[ahead]
    corner = np.array([s.start for s in box])
    return np.argwhere(inside & ~core) + (corner - 1)


def surface_distances(
    reference: ArrayLike, prediction: ArrayLike, spacing_mm: Sequence[float] | None = None
) -> SurfaceDistances:
    """Distances between the surfaces of two masks, in mm, or in voxels without a spacing.

    Nearest neighbours come from k-d trees of the surface voxels: exact, and much faster than a distance
    transform of the box of a liver.
    """
    reference, prediction = as_masks(reference, prediction)
    return _distances(surface_points(reference), surface_points(prediction), spacing_mm)


def _distances(
    reference: NDArray[np.int64], prediction: NDArray[np.int64], spacing_mm: Sequence[float] | None
) -> SurfaceDistances:
    if len(reference) == 0 or len(prediction) == 0:
        value = 0.0 if len(reference) == len(prediction) else NAN
        return SurfaceDistances(value, value, value)
    scale = np.ones(reference.shape[1]) if spacing_mm is None else np.asarray(spacing_mm, float)
    here, there = reference * scale, prediction * scale
    # Median splits cost a sort and gain nothing on points that lie on a grid.
    to_there = cKDTree(there, balanced_tree=False).query(here)[0]
    to_here = cKDTree(here, balanced_tree=False).query(there)[0]
    return SurfaceDistances(
        hausdorff=float(max(to_there.max(), to_here.max())),
        hausdorff95=float(max(np.percentile(to_there, 95), np.percentile(to_here, 95))),
        average=float((to_there.sum() + to_here.sum()) / (len(to_there) + len(to_here))),
    )


def score_masks(
    reference: ArrayLike, prediction: ArrayLike, spacing_mm: Sequence[float], *, distances: bool = True
) -> MaskScores:
    """All scores of one volume (or one slice) against its reference.

    Args:
        reference, prediction: masks of one shape.
        spacing_mm: voxel spacing in the order of the array's axes.
        distances: also compute the surface distances (some tenths of a second on a liver).

    Raises:
        InputError: the shapes differ.
    """
    reference, prediction = as_masks(reference, prediction)
    counts = count_voxels(reference, prediction)
    in_mm = in_px = SurfaceDistances(NAN, NAN, NAN)
    if distances:
        points = surface_points(reference), surface_points(prediction)
        in_mm, in_px = _distances(*points, spacing_mm), _distances(*points, None)
    voxel_ml = float(np.prod(np.asarray(spacing_mm, float))) / 1000.0
    reference_ml = (counts.true_positive + counts.false_negative) * voxel_ml
    predicted_ml = (counts.true_positive + counts.false_positive) * voxel_ml
    error_ml = (counts.false_positive - counts.false_negative) * voxel_ml
    return MaskScores(
        counts=counts,
        dice=counts.dice,
        jaccard=counts.jaccard,
        precision=counts.precision,
        recall=counts.recall,
        specificity=counts.specificity,
        f1=counts.f1,
        hausdorff_mm=in_mm.hausdorff,
        hausdorff95_mm=in_mm.hausdorff95,
        average_distance_mm=in_mm.average,
        hausdorff_px=in_px.hausdorff,
        hausdorff95_px=in_px.hausdorff95,
        reference_ml=reference_ml,
        predicted_ml=predicted_ml,
        volume_error_ml=error_ml,
        volume_error_percent=100.0 * error_ml / reference_ml if reference_ml > 0 else NAN,
    )


def score_slices(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]], *, only_annotated: bool = True, distances: bool = True
) -> SliceScores:
    """The MSCD protocol: every axial slice is an example, scores are averaged over slices.

    Args:
        pairs: (reference, prediction) masks, each z, y, x or y, x; slices of all of them are pooled.
        only_annotated: count the slices whose reference is non-empty (the paper's "slices with tumour
            annotations"); otherwise every slice, empty pairs by the LiTS convention.
        distances: also compute Hausdorff distances.

    Raises:
        InputError: shapes differ, or no slice counts.
    """
    rows: list[tuple[float, ...]] = []
    spans: list[tuple[float, float]] = []
    for pair in pairs:
        reference, prediction = as_masks(*pair)
        if reference.ndim == 2:
            reference, prediction = reference[None], prediction[None]
        for one, other in zip(reference, prediction, strict=True):
            if only_annotated and not one.any():
                continue
            counts = count_voxels(one, other)
            rows.append((counts.dice, counts.jaccard, counts.precision, counts.recall, counts.specificity))
            if distances:
                found = surface_distances(one, other)
                spans.append((found.hausdorff, found.hausdorff95))
    if not rows:
        raise InputError("No slice to score: no reference mask has an annotated slice.")
    mean_dice, jaccard, precision, recall, specificity = (float(m) for m in np.mean(rows, axis=0))
    known = np.array([s for s in spans if not np.isnan(s[0])]).reshape(-1, 2)
    hausdorff, hausdorff95 = (float(m) for m in known.mean(axis=0)) if len(known) else (NAN, NAN)
    return SliceScores(
        n_slices=len(rows),
        dice=mean_dice,
        jaccard=jaccard,
        precision=precision,
        recall=recall,
        specificity=specificity,
        f1=harmonic_mean(precision, recall),
        hausdorff_px=hausdorff,
        hausdorff95_px=hausdorff95,
        n_without_distance=len(spans) - len(known),
    )
