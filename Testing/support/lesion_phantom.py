"""A small liver in fat with correlated noise: what the tests of lesions and distractors work on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: z, y, x in mm, as training crops have it.
SPACING = (2.5, 1.25, 1.25)


def noisy_liver(
    seed: int, shape: tuple[int, int, int] = (44, 112, 120), noise_hu: float = 14.0, vessels: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """An ellipsoid of 100 HU (about 101 x 129 x 138 mm) in fat of -100 HU, noise of a voxel or two.

    With `vessels`, parallel tubes of 160 HU and 5 mm run through it along x.
    """
    rng = np.random.default_rng(seed)
    axes = [(np.arange(n) - (n - 1) / 2) / (0.46 * n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    liver = z**2 + y**2 + x**2 < 1
    hu = np.where(liver, 100.0, -100.0)
    hu = ndimage.gaussian_filter(hu, (0.4, 0.6, 0.6))
    if vessels:
        yy, zz = np.arange(shape[1]) * SPACING[1], np.arange(shape[0]) * SPACING[0]
        tube = np.minimum.reduce(
            [(np.abs(yy[None] - c) ** 2 + (zz[:, None] - d) ** 2) for c, d in _tube_centres()]
        )
        soft = 1 / (1 + np.exp((np.sqrt(tube) - 2.5) * 3))
        hu += 60.0 * soft[:, :, None] * liver
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), (0.5, 0.7, 0.7))
    return (hu + noise_hu * noise / noise.std()).astype(np.float32), liver


def _tube_centres() -> list[tuple[float, float]]:
    return [(y, z) for y in range(20, 130, 25) for z in range(20, 100, 25)]
