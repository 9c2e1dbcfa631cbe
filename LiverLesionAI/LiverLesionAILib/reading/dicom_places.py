"""Where DICOM images lie along the normal of their slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .dicom_frames import Frame

SAME_PLACE_MM = 0.01


def distances_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(n,) position of each image's first pixel along the first one's normal."""
    row, column = np.reshape(frames[0].orientation, (2, 3))  # type: ignore[arg-type]
    normal = np.cross(row, column)
    return np.array([f.position_lps for f in frames], float) @ (normal / np.linalg.norm(normal))


def slice_positions(frames: Sequence[Frame]) -> list[list[int]]:
    """Indices of the frames at each slice position along the normal; within 0.01 mm is the same position."""
    distances = distances_mm(frames)
    places: list[list[int]] = []
    for k in np.argsort(distances, kind="stable"):
        if places and distances[k] - distances[places[-1][0]] < SAME_PLACE_MM:
            places[-1].append(int(k))
        else:
            places.append([int(k)])
    return places


def most_frequent_gap(places: NDArray[np.float64]) -> float:
    """Of sorted positions, mm; gaps that rounding may explain count as alike. 0 for fewer than two."""
    gaps = np.sort(np.diff(places))
    if not gaps.size:
        return 0.0
    reach = np.maximum(0.1 * gaps, 0.06)
    first = np.searchsorted(gaps, gaps - reach, side="left")
    end = np.searchsorted(gaps, gaps + reach, side="right")
    best = int((end - first).argmax())
    return float(np.median(gaps[first[best] : end[best]]))
