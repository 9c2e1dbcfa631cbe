"""The vena cava's density: a round, even disc to the right of the aorta and a little in front of it.

Only a curve to hold lesions against is wanted from it. Where nothing even lies at its usual place, nothing is
said.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.ct import CtVolume, resample
from .aorta import SPACING_MM, Aorta, disc_kernel

RIGHT_MM, FRONT_MM = 36.0, 12.0
"""Of the aorta's middle to that of the vena cava behind the liver, in adults."""
SPREAD_MM = 9.0
"""SD of that."""
RADII_MM = (8.0, 10.0)
BLOOD_HU = (20.0, 320.0)
FEWEST_SLICES = 4
LEAST_SCORE = 0.12


def measure_cava(volume: CtVolume, aorta: Aorta | None) -> float:
    """Median density of the vena cava beside a stretch of the aorta, HU; NaN where it is not seen.

    Args:
        volume: reoriented (axes along L, P, S).
    """
    if aorta is None or not aorta.centres_lps:
        return float("nan")
    grid = volume.geometry.with_spacing(SPACING_MM)
    centres = np.array(aorta.centres_lps)
    index = np.asarray(grid.lps_to_index(centres))
    low = np.maximum(0, np.floor(np.subtract(index.min(axis=0), (0, 30, 40)))).astype(int)
    high = np.minimum(grid.shape_zyx, np.ceil(np.add(index.max(axis=0), (1, 20, 15)))).astype(int)
    part = grid.cropped(tuple(low), tuple(high))
    hu = np.asarray(resample(volume.hu_zyx, volume.geometry, part), np.float32)
    values = []
    for z, y, x in index - low:
        best = _best_disc(hu[min(max(round(z), 0), len(hu) - 1)], y, x)
        if best is not None:
            values.append(best)
    return float(np.median(values)) if len(values) >= FEWEST_SLICES else float("nan")


def _best_disc(plane: NDArray[np.float32], aorta_y: float, aorta_x: float) -> float | None:
    """Density of the likeliest disc of a slice; None where nothing is even enough."""
    smooth = ndimage.median_filter(np.clip(plane, -150, 500), size=3)
    y, x = np.indices(plane.shape)
    right_mm = (aorta_x - x) * SPACING_MM[2]
    front_mm = (aorta_y - y) * SPACING_MM[1]
    likely = np.exp(
        -0.5 * (((right_mm - RIGHT_MM) / SPREAD_MM) ** 2 + ((front_mm - FRONT_MM) / SPREAD_MM) ** 2)
    )
    best: tuple[float, float] | None = None
    for radius in RADII_MM:
        disc, ring = disc_kernel(radius), disc_kernel(radius + 5.0, radius + 2.0)
        mean = ndimage.convolve(smooth, disc, mode="nearest")
        spread = np.sqrt(np.maximum(0, ndimage.convolve(smooth**2, disc, mode="nearest") - mean**2))
        around = ndimage.convolve(smooth, ring, mode="nearest")
        apart = 0.4 + 0.6 * np.clip(np.abs(mean - around) / 25.0, 0, 1)
        fits = (mean > BLOOD_HU[0]) & (mean < BLOOD_HU[1])
        score = likely * apart * np.clip(1 - spread / (18 + 0.12 * np.maximum(mean, 0)), 0, 1) * fits
        at = np.unravel_index(int(score.argmax()), score.shape)
        if score[at] > LEAST_SCORE and (best is None or score[at] > best[0]):
            best = float(score[at]), float(mean[at])
    return None if best is None else best[1]
