"""What a CT scanner makes of a body: point spread, slice profile, correlated noise, streaks, field of view.

Noise power spectrum: filtered back projection of white projection noise gives a ramp at low frequency, cut
off by the kernel's apodisation (Riederer SJ, Pelc NJ, Chesler DA, Phys Med Biol 1978;23:446-454; measured on
scanners by Boedeker KL, Cooper VN, McNitt-Gray MF, Phys Med Biol 2007;52:4027-4046).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from .fields import Array, along_axes


@dataclass(frozen=True)
class Scanner:
    """How a scan is made.

    Attributes:
        noise_hu: standard deviation in the middle of the body.
        peak_per_mm: spatial frequency where the noise power peaks (soft kernels 0.15 to 0.3 cycles/mm).
        low_share: share of the noise amplitude at zero frequency against the ramp (iterative reconstruction
            keeps more).
        psf_mm: full width at half maximum of the in-plane point spread.
        thickness_mm: full width at half maximum of the slice profile.
        streaks_hu: amplitude of photon-starvation streaks across the body.
    """

    noise_hu: float
    peak_per_mm: float
    low_share: float
    psf_mm: float
    thickness_mm: float
    streaks_hu: float


def draw_scanner(rng: np.random.Generator, thickness_mm: float, noise_hu: float | None = None) -> Scanner:
    """Draw a scanner setting; thinner slices are noisier (about one over the root of the thickness)."""
    if noise_hu is None:
        noise_hu = float(
            np.clip(np.exp(rng.normal(np.log(13.0), 0.4)) * (2.5 / max(thickness_mm, 0.6)) ** 0.35, 5, 40)
        )
    return Scanner(
        noise_hu=noise_hu,
        peak_per_mm=float(rng.uniform(0.14, 0.28)),
        low_share=float(rng.uniform(0.1, 1.0)),
        psf_mm=float(rng.uniform(0.9, 1.5)),
        thickness_mm=thickness_mm,
        streaks_hu=float(rng.exponential(1.0)) if rng.random() < 0.3 else 0.0,
    )


def noise_filter(
    shape_yx: tuple[int, int], spacing_yx_mm: tuple[float, float], peak_per_mm: float, low_share: float
) -> Array:
    """Amplitude filter of the in-plane noise for `rfft2`, of mean power 1.

    Power is (low_share^2 + f) exp(-f^2 / f0^2) in units of the peak frequency; f0 puts the ramp's maximum at
    the peak.
    """
    fy = fft.fftfreq(shape_yx[0], spacing_yx_mm[0])[:, None]
    fx = fft.rfftfreq(shape_yx[1], spacing_yx_mm[1])[None, :]
    f = np.sqrt(fy * fy + fx * fx) / peak_per_mm
    power = (low_share**2 + f) * np.exp(-0.5 * f * f)
    # rfft2 holds half of the plane: inner columns stand for two.
    double = np.full(power.shape[1], 2.0)
    double[0] = 1.0
    if shape_yx[1] % 2 == 0:
        double[-1] = 1.0
    mean = (power * double).sum() / (shape_yx[0] * shape_yx[1])
    return np.sqrt(power / mean).astype(np.float32)


def correlated_noise(
    rng: np.random.Generator,
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    scanner: Scanner,
) -> Array:
    """Noise of mean 0 and standard deviation 1, with the scanner's spectrum and slice overlap."""
    _, ny, nx = shape_zyx
    gains = noise_filter((ny, nx), spacing_zyx_mm[1:], scanner.peak_per_mm, scanner.low_share)
    white = rng.standard_normal(shape_zyx, dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white, axes=(1, 2)) * gains, s=(ny, nx), axes=(1, 2))
    return blur_z(noise, spacing_zyx_mm[0], scanner.thickness_mm, keep_power=True)


def profile(spacing_mm: float, fwhm_mm: float) -> NDArray[np.float64]:
    """Samples of a slice profile (box of the thickness with soft shoulders), sum 1."""
    half = int(np.ceil(fwhm_mm / spacing_mm)) + 1
    t = np.arange(-half, half + 1) * spacing_mm
    shoulder = 0.22 * fwhm_mm + 1e-6
    weights = np.clip((fwhm_mm / 2 + shoulder - np.abs(t)) / (2 * shoulder), 0, 1)
    return weights / weights.sum()


def blur_z(volume_zyx: Array, spacing_mm: float, fwhm_mm: float, keep_power: bool = False) -> Array:
    """Convolve along z with the slice profile; `keep_power` keeps the variance of white input."""
    weights = profile(spacing_mm, fwhm_mm)
    if np.count_nonzero(weights) == 1:
        return volume_zyx
    if keep_power:
        weights = weights / np.sqrt((weights**2).sum())
    mode = "wrap" if keep_power else "nearest"
    return ndimage.convolve1d(volume_zyx, weights.astype(np.float32), axis=0, mode=mode)


def noise_map(body_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]) -> Array:
    """How the noise varies: 1 in the middle of the body, less towards the skin, stronger along long paths.

    Returns:
        float32 array of the input's shape, about 0.4 in air to 1.2.
    """
    step = tuple(max(1, round(6.0 / s)) for s in spacing_zyx_mm)
    coarse = body_zyx[:: step[0], :: step[1], :: step[2]].astype(np.float32)
    mm = [s * n for s, n in zip(spacing_zyx_mm, step, strict=True)]
    smooth = ndimage.gaussian_filter(coarse, [20 / mm[0], 55 / mm[1], 45 / mm[2]])
    level = 0.35 + 0.65 * smooth / max(float(smooth.max()), 1e-3)
    matrices = []
    for a in range(3):
        position = np.arange(body_zyx.shape[a]) / step[a]
        t = np.clip(position, 0, coarse.shape[a] - 1)
        w = np.maximum(0, 1 - np.abs(t[:, None] - np.arange(coarse.shape[a])[None]))
        matrices.append(w.astype(np.float32))
    return along_axes(level, tuple(matrices))


def streaks(rng: np.random.Generator, shape_zyx: tuple[int, int, int]) -> Array:
    """Fine horizontal streaks (photon starvation through the arms or the long axis), standard deviation 1."""
    nz, ny, _ = shape_zyx
    lines = ndimage.gaussian_filter(rng.standard_normal((nz, ny)), (0.5, 1.0))
    lines /= lines.std() + 1e-6
    return lines.astype(np.float32)[:, :, None]
