"""Noise and HU measurements in a CT's liver, to hold synthetic scans against real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class NoiseSpectrum:
    """In-plane noise of an organ.

    Attributes:
        frequency_per_mm: centres of the radial bins.
        power: noise power per bin, HU^2 mm^2 (NaN where a bin is beyond the sampling).
        sd_hu: median standard deviation of the regions.
        z_correlation: correlation of neighbouring slices' noise.
        regions: number of regions measured.
    """

    frequency_per_mm: NDArray[np.float64]
    power: NDArray[np.float64]
    sd_hu: float
    z_correlation: float
    regions: int


def noise_spectrum(
    hu_zyx: NDArray,
    organ_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    region_mm: float = 32.0,
    bin_per_mm: float = 0.06,
) -> NoiseSpectrum:
    """Radial noise power spectrum from square regions inside an organ.

    Regions lie wholly inside the eroded organ; a plane is fitted and removed; a Hann window is applied; the
    median over the regions keeps vessels and lesions out (divided by ln 2, the median of an exponential
    distribution).

    Raises:
        InputError: the organ holds fewer than three such regions.
    """
    hu = np.asarray(hu_zyx, np.float32)
    n = round(region_mm / spacing_zyx_mm[2])
    inner = ndimage.binary_erosion(organ_zyx, iterations=2)
    plane = np.c_[np.indices((n, n)).reshape(2, -1).T, np.ones(n * n)]
    window = np.hanning(n)[:, None] * np.hanning(n)
    powers, sds = [], []
    every = max(1, round(5.0 / spacing_zyx_mm[0]))
    for k in range(0, len(hu), every):
        if not inner[k].any():
            continue
        full = np.argwhere(ndimage.uniform_filter(inner[k].astype(np.float32), n) > 0.999)
        for y, x in full[:: max(1, len(full) // 6)]:
            y0, x0 = y - n // 2, x - n // 2
            region = hu[k, y0 : y0 + n, x0 : x0 + n]
            if min(y0, x0) < 0 or region.shape != (n, n):
                continue
            fit = np.linalg.lstsq(plane, region.ravel(), rcond=None)[0]
            region = region - (plane @ fit).reshape(n, n)
            spectrum = np.abs(np.fft.fft2(region * window)) ** 2
            powers.append(spectrum / (window**2).sum() * spacing_zyx_mm[1] * spacing_zyx_mm[2])
            sds.append(region.std())
    if len(powers) < 3:
        raise InputError(
            f"Only {len(powers)} regions of {region_mm:g} mm fit into the organ; at least 3 are needed."
        )
    power = np.median(powers, axis=0) / np.log(2)
    fy, fx = (np.fft.fftfreq(n, s) for s in spacing_zyx_mm[1:])
    f = np.sqrt(fy[:, None] ** 2 + fx[None, :] ** 2)
    edges = np.arange(0.0, 0.72 + 1e-9, bin_per_mm)
    radial = np.full(len(edges) - 1, np.nan)
    for i, low in enumerate(edges[:-1]):
        ring = (f >= low) & (f < low + bin_per_mm) & (f > 0)
        if ring.any() and low < min(fy.max(), fx.max()):
            radial[i] = power[ring].mean()
    high = hu - ndimage.uniform_filter(hu, (0, n // 3, n // 3))
    both = inner[1:] & inner[:-1]
    correlation = float((high[1:][both] * high[:-1][both]).mean() / (high[inner] ** 2).mean())
    return NoiseSpectrum(edges[:-1] + bin_per_mm / 2, radial, float(np.median(sds)), correlation, len(powers))
