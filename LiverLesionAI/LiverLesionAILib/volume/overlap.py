"""How well two masks agree: voxel counts, and the ratios made from them.

Empty masks follow the LiTS convention (Bilic et al. 2019): nothing to find and nothing found scores 1,
nothing to find and something found scores 0, in all ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.errors import InputError


@dataclass(frozen=True)
class Counts:
    """Voxel counts of a binary comparison, and the ratios made from them.

    Attributes:
        true_positive, false_positive, false_negative, true_negative: voxels.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def _ratio(self, part: float, whole: float) -> float:
        """`part / whole`; by the LiTS convention where the whole is empty."""
        if whole > 0:
            return part / whole
        return float(self.false_positive == 0 and self.false_negative == 0)

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        both = 2 * self.true_positive
        return self._ratio(both, both + self.false_positive + self.false_negative)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 when a non-empty reference is met by an empty prediction."""
        return self._ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 0 when an empty reference is met by a non-empty prediction."""
        return self._ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); 1 when there is no background."""
        background = self.true_negative + self.false_positive
        return self.true_negative / background if background else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; of one comparison the same number as Dice."""
        return harmonic_mean(self.precision, self.recall)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )


def harmonic_mean(a: float, b: float) -> float:
    """2 a b / (a + b); 0 when both are 0."""
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def as_masks(reference: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both as bool arrays, non-zero inside.

    Raises:
        InputError: the shapes differ.
    """
    reference, prediction = np.asarray(reference), np.asarray(prediction)
    if reference.shape != prediction.shape:
        raise InputError(
            f"The reference mask has shape {reference.shape}, the prediction {prediction.shape}; "
            "both have to lie on the same grid."
        )
    return reference.astype(bool, copy=False), prediction.astype(bool, copy=False)


def count_voxels(reference: ArrayLike, prediction: ArrayLike) -> Counts:
    """Compare two masks of one shape voxel by voxel."""
    reference, prediction = as_masks(reference, prediction)
    both = int(np.count_nonzero(reference & prediction))
    n_reference, n_prediction = int(np.count_nonzero(reference)), int(np.count_nonzero(prediction))
    return Counts(
        both, n_prediction - both, n_reference - both, reference.size - n_reference - n_prediction + both
    )


def dice(reference: ArrayLike, prediction: ArrayLike) -> float:
    """Dice of two masks; 1 when both are empty, 0 when one is."""
    return count_voxels(reference, prediction).dice
