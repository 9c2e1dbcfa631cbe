"""How a tube runs at each of its voxels, and how thick it is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

COURSE_VOXELS = 2.0
"""Standard deviation of the neighbourhood that a tube's direction is usually read in."""
THICK_VOXELS = 1.5
"""Standard deviation of the surroundings that tell how thick a tube is."""


def courses(
    tubes_zyx: NDArray[np.bool_], voxels: float = COURSE_VOXELS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Direction (n, 3; z, y, x, of either sign) of the tube at each of its voxels, and 0..1 how straight.

    Args:
        voxels: standard deviation of the neighbourhood that it is read in.
    """
    at = np.nonzero(tubes_zyx)
    mask = tubes_zyx.astype(np.float32)
    axes = [np.arange(n, dtype=np.float32) - n / 2 for n in tubes_zyx.shape]
    places = np.meshgrid(*axes, indexing="ij", sparse=True)

    def about(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.gaussian_filter(values, voxels, truncate=2.5)[at])

    weight = about(mask)
    middle = [about(mask * place) / weight for place in places]
    spread = np.empty((len(weight), 3, 3), np.float32)
    for a in range(3):
        for b in range(a + 1):
            mixed = about(mask * places[a] * places[b]) / weight - middle[a] * middle[b]
            spread[:, a, b] = spread[:, b, a] = mixed
    values, vectors = np.linalg.eigh(spread)
    return vectors[:, :, 2], 1.0 - values[:, 1] / np.maximum(values[:, 2], 1e-6)


def filled_around(tubes_zyx: NDArray[np.bool_], voxels: float = THICK_VOXELS) -> NDArray[np.float64]:
    """0..1 at each of the tubes' voxels: how much of its surroundings is tube."""
    filled = ndimage.gaussian_filter(tubes_zyx.astype(np.float32), voxels, truncate=2.5)[tubes_zyx]
    return filled.astype(np.float64)
