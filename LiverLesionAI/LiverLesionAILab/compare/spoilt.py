"""Slices that show less than they did: noise, movement, thick slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GRAIN_VOXELS = 0.8
"""SD of the Gaussian that noise is smoothed by, in plane."""

LEARNT_NOISE_HU = (8.0, 25.0)
MOVED_ROWS = (7, 11)
THICK_SLICES = 5


def noisy(hu_zyx: NDArray[np.float32], sd_hu: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """With noise of an SD of `sd_hu` that has a grain, each slice's its own."""
    made = rng.standard_normal(hu_zyx.shape, np.float32)
    made = ndimage.gaussian_filter(made, (0, GRAIN_VOXELS, GRAIN_VOXELS))
    return hu_zyx + np.float32(sd_hu) * (made / made.std())


def spoilt_each_way(hu_zyx: NDArray[np.float32], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Under noise, moved along the rows, and thickened; degrees are drawn."""
    rows = int(rng.integers(MOVED_ROWS[0], MOVED_ROWS[1] + 1))
    return [
        noisy(hu_zyx, float(rng.uniform(*LEARNT_NOISE_HU)), rng),
        ndimage.uniform_filter1d(hu_zyx, rows, axis=1),
        ndimage.uniform_filter1d(hu_zyx, THICK_SLICES, axis=0),
    ]
