"""Measures of a liver's anatomy: segments, trees, branches, distances, landmarks; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII")
IVB_CODE = 9


def couinaud(codes_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Segments 1 to 8: IVb, which the truth keeps apart as 9, joins IVa as 4."""
    return np.where(codes_zyx == IVB_CODE, 4, codes_zyx).astype(np.uint8)


def segment_dice(
    predicted_zyx: NDArray[np.uint8], truth_zyx: NDArray[np.uint8], least_voxels: int = 1
) -> dict[int, float]:
    """Dice of each segment 1 to 8 that has at least `least_voxels` in the truth."""
    size = np.bincount(truth_zyx.ravel(), minlength=9)
    other = np.bincount(predicted_zyx.ravel(), minlength=9)
    both = np.bincount(truth_zyx[predicted_zyx == truth_zyx], minlength=9)
    return {
        s: float(2 * both[s] / (size[s] + other[s])) for s in range(1, 9) if size[s] >= max(1, least_voxels)
    }


def neighbours(truth_zyx: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """Pairs of segments (both orders) that share a face of a voxel."""
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        one = np.moveaxis(truth_zyx, axis, 0)
        a, b = one[:-1], one[1:]
        at = (a != b) & (a > 0) & (b > 0)
        for p, q in np.unique(np.stack([a[at], b[at]]), axis=1).T:
            pairs |= {(int(p), int(q)), (int(q), int(p))}
    return pairs


def skeleton(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Middle lines of tubes (Lee's thinning, scikit-image).

    Raises:
        InputError: scikit-image is missing.
    """
    try:
        from skimage.morphology import skeletonize
    except ImportError as error:
        raise InputError("clDice needs scikit-image: pip install scikit-image.") from error
    return np.asarray(skeletonize(mask_zyx)).astype(bool)


def centreline_dice(
    predicted_zyx: NDArray[np.bool_],
    truth_zyx: NDArray[np.bool_],
    ignored_zyx: NDArray[np.bool_] | None = None,
) -> float:
    """clDice of two trees (Shit S et al., CVPR 2021, equations 1 to 3).

    Args:
        predicted_zyx, truth_zyx: vessels.
        ignored_zyx: vessels that nobody is asked to find; middle lines found there are neither right nor
            wrong.

    Returns:
        0 to 1; 0 where one of them is empty, NaN where the truth is.
    """
    if not truth_zyx.any():
        return float("nan")
    true_line, found_line = skeleton(truth_zyx), skeleton(predicted_zyx)
    if ignored_zyx is not None:
        found_line &= ~(ignored_zyx & ~truth_zyx)
    if not found_line.any() or not true_line.any():
        return 0.0
    precision = float(truth_zyx[found_line].mean())
    sensitivity = float(predicted_zyx[true_line].mean())
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def label_right(predicted_zyx: NDArray[np.uint8], truth_zyx: NDArray[np.uint8]) -> tuple[int, int]:
    """(right, all) voxels that are portal (1) or hepatic (2) in both: how many are the same."""
    both = np.isin(predicted_zyx, (1, 2)) & np.isin(truth_zyx, (1, 2))
    return int(np.count_nonzero(predicted_zyx[both] == truth_zyx[both])), int(np.count_nonzero(both))


def distance_mm(
    lesion_zyx: NDArray[np.bool_], vessel_zyx: NDArray[np.bool_], spacing_zyx_mm: Sequence[float]
) -> float:
    """Smallest distance between middles of voxels of a lesion and a vessel, mm; infinite without vessel."""
    if not vessel_zyx.any() or not lesion_zyx.any():
        return float("inf")
    border = lesion_zyx & ~ndimage.binary_erosion(lesion_zyx)
    scale = np.array(spacing_zyx_mm)
    away, _ = cKDTree(np.argwhere(vessel_zyx) * scale).query(np.argwhere(border) * scale)
    return float(np.min(away))


def landmark_errors(
    found_lps: Mapping[str, Sequence[float]], true_lps: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Distance of every landmark that both have, mm."""
    return {
        name: float(np.linalg.norm(np.subtract(found_lps[name], true_lps[name])))
        for name in true_lps
        if name in found_lps
    }
