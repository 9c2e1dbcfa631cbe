"""Free-response curves: how many lesions are found at how many false findings per unit (image or scan).

Shared by the 2D protocol (:mod:`.froc`, per image) and the 3D one (:mod:`.lesions`, per scan).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class FreeResponse:
    """A free-response curve, one point per distinct score, from the strictest threshold to the laxest.

    Attributes:
        thresholds: findings with at least this score are kept; descending, the first is infinite (nothing
            kept).
        false_per_unit: false findings per image or scan at each threshold, never falling.
        sensitivity: share of the lesions found at each threshold, never falling; NaN without lesions.
        n_lesions, n_units: what it was computed over.
    """

    thresholds: NDArray[np.float64]
    false_per_unit: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    n_lesions: int
    n_units: int

    def at(self, false_per_unit: float, *, interpolate: bool = False) -> float:
        """Sensitivity at a rate of false findings.

        Args:
            false_per_unit: the rate.
            interpolate: linearly between the curve's points, as the DeepLesion (3DCE) evaluation does;
                otherwise the best point with no more than that rate, which an actual threshold attains.
        """
        if interpolate:
            # Of points with one rate the last one has the highest sensitivity.
            last = np.append(np.diff(self.false_per_unit) > 0, True)
            return float(np.interp(false_per_unit, self.false_per_unit[last], self.sensitivity[last]))
        return float(self.sensitivity[self._index(false_per_unit)])

    def threshold_at(self, false_per_unit: float) -> float:
        """The laxest score threshold with no more than that rate of false findings."""
        return float(self.thresholds[self._index(false_per_unit)])

    def at_rates(self, rates: Sequence[float], *, interpolate: bool = False) -> dict[float, float]:
        """:meth:`at` for each rate."""
        return {float(rate): self.at(rate, interpolate=interpolate) for rate in rates}

    def _index(self, false_per_unit: float) -> int:
        return int(np.searchsorted(self.false_per_unit, false_per_unit + 1e-9, side="right")) - 1


def free_response(found_scores: ArrayLike, false_scores: ArrayLike, n_units: int) -> FreeResponse:
    """The curve of a set of lesions and false findings.

    Args:
        found_scores: for every lesion of the reference the score at which it is found; -inf (or NaN) when it
            never is.
        false_scores: the score of every false finding.
        n_units: images or scans, those without a lesion included.

    Raises:
        ValueError: no unit.
    """
    if n_units < 1:
        raise ValueError("A free-response curve needs at least one image or scan.")
    found = np.asarray(found_scores, float).ravel()
    n_lesions = found.size
    found = np.sort(found[found > -np.inf])
    false = np.sort(np.asarray(false_scores, float).ravel())
    thresholds = np.append(np.inf, np.unique(np.concatenate([found, false]))[::-1])
    # Count of sorted values at or above each threshold.
    n_found = found.size - np.searchsorted(found, thresholds, side="left")
    n_false = false.size - np.searchsorted(false, thresholds, side="left")
    sensitivity = n_found / n_lesions if n_lesions else np.full(len(thresholds), np.nan)
    return FreeResponse(thresholds, n_false / n_units, sensitivity, n_lesions, n_units)
