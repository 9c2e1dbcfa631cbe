"""Tissue texture: the scan's own noise, measured in the liver and given back where a lesion replaces it.

All functions work on small boxes in float32; lengths are mm, intensities HU, arrays z, y, x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.resampling import apply_along
from numpy.typing import NDArray
from scipy import fft, ndimage

Spacing = tuple[float, float, float]


def _spline_weights(n: int, spacing_mm: float, knot_mm: float, phase: float) -> NDArray[np.float32]:
    """Matrix (n, knots) of cubic B-spline weights for n points `spacing_mm` apart, knots `knot_mm` apart."""
    position = np.arange(n) * (spacing_mm / knot_mm) + phase
    knots = int(np.floor(position[-1])) + 4
    distance = np.abs(position[:, None] - (np.arange(knots)[None, :] - 1))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def smooth_noise(
    shape_zyx: tuple[int, ...], spacing_zyx_mm: Spacing, scale_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A smooth random field of mean 0, SD 1 and length scale `scale_mm` (knots of a cubic B-spline)."""
    weights = [
        _spline_weights(n, s, max(scale_mm, 0.5 * s), float(rng.random()))
        for n, s in zip(shape_zyx, spacing_zyx_mm, strict=True)
    ]
    field = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    for axis, weight in enumerate(weights):
        field = apply_along(np.asarray(weight, np.float32), field, axis)
    # Variance of a cubic B-spline sum is 0.479 per axis on average over the phase.
    return np.ascontiguousarray(field) / np.float32(0.479**1.5)


def gaussian(array: NDArray, sigma_mm: float | Spacing, spacing_zyx_mm: Spacing) -> NDArray[np.float32]:
    """Gaussian filter with sigma in mm, float32, cut at three sigma; not along axes under 0.25 voxel."""
    sigmas = np.broadcast_to(np.asarray(sigma_mm, float), (3,)) / np.asarray(spacing_zyx_mm, float)
    out = np.asarray(array, np.float32)
    for axis, sigma in enumerate(sigmas):
        if sigma >= 0.25:
            out = ndimage.gaussian_filter1d(out, sigma, axis=axis, mode="nearest", truncate=3.0)
    return out


def local_mean(
    hu: NDArray[np.float32], weight: NDArray, sigma_mm: float, spacing_zyx_mm: Spacing
) -> NDArray[np.float32]:
    """Gaussian mean of `hu` where `weight` counts; the weighted overall mean where nothing does."""
    weight = np.asarray(weight, np.float32)
    total = float(weight.sum())
    overall = float((hu * weight).sum() / total) if total > 0 else 0.0
    above = gaussian((hu - overall) * weight, sigma_mm, spacing_zyx_mm)
    below = gaussian(weight, sigma_mm, spacing_zyx_mm)
    return above / np.maximum(below, 1e-2) + np.float32(overall)


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Noise of a scan by its autocovariance.

    Attributes:
        covariance_zyx: HU^2 at lags -k..k along z, y, x (odd lengths, the middle is the variance).
    """

    covariance_zyx: NDArray[np.float32]

    @property
    def sd_hu(self) -> float:
        """Standard deviation, HU."""
        middle = tuple(n // 2 for n in self.covariance_zyx.shape)
        return float(np.sqrt(max(self.covariance_zyx[middle], 0.0)))

    def sd_of_mean(self, voxels: float) -> float:
        """SD (HU) of the mean over so many voxels of a slice: correlated noise averages out slowly."""
        plane = self.covariance_zyx[self.covariance_zyx.shape[0] // 2]
        # Negative lobes at far lags are mostly estimation error: no less than one voxel's share.
        spread = max(float(plane.sum()), float(plane.max()))
        return float(np.sqrt(min(spread / max(voxels, 1.0), float(plane.max()))))

    def draw(self, shape_zyx: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Gaussian noise with this autocovariance."""
        lags = self.covariance_zyx.shape
        size = [fft.next_fast_len(n + k, real=True) for n, k in zip(shape_zyx, lags, strict=True)]
        kernel = np.zeros(size, np.float32)
        kernel[tuple(slice(0, min(n, k)) for n, k in zip(size, lags, strict=True))] = self.covariance_zyx
        kernel = np.roll(kernel, [-(k // 2) for k in lags], axis=(0, 1, 2))
        power = np.maximum(fft.rfftn(kernel).real, 0.0)
        # What clipping at zero adds to the variance is taken out again.
        white = rng.standard_normal(size, dtype=np.float32)
        noise = fft.irfftn(fft.rfftn(white) * np.sqrt(power), s=size).astype(np.float32)
        noise = noise[tuple(slice(0, n) for n in shape_zyx)]
        spread = float(np.sqrt(power.mean()))
        return noise * np.float32(self.sd_hu / max(spread, 1e-3))


def measure_noise(
    hu_zyx: NDArray[np.float32],
    tissue_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    rng: np.random.Generator,
    block_zyx: tuple[int, int, int] = (14, 40, 40),
    blocks: int = 3,
) -> NoiseModel:
    """Measure a tissue's noise in a few blocks that it fills best.

    Structure (vessels) is left out as what stands out after smoothing. Where there is too little tissue, the
    model is weak noise of 1 voxel's correlation.
    """
    lags = (2, 5, 5)
    inside = np.argwhere(tissue_zyx[::4, ::4, ::4]) * 4
    fallback = _fallback_covariance(lags)
    if len(inside) == 0:
        return NoiseModel(fallback)
    candidates = inside[rng.integers(0, len(inside), 16)]
    size = np.minimum(block_zyx, tissue_zyx.shape)
    starts = np.clip(candidates - size // 2, 0, np.array(tissue_zyx.shape) - size)
    boxes = [tuple(slice(int(a), int(a + n)) for a, n in zip(start, size, strict=True)) for start in starts]
    fill = [float(tissue_zyx[box][:, ::2, ::2].mean()) for box in boxes]
    above = np.zeros([2 * k + 1 for k in lags])
    below = np.zeros_like(above)
    for index in np.argsort(fill)[::-1][:blocks]:
        if fill[index] < 0.25:
            continue
        tissue = tissue_zyx[boxes[index]]
        residual, structure = split_texture(hu_zyx[boxes[index]], tissue, spacing_zyx_mm)
        weight = (tissue & (structure < 0.5)).astype(np.float32)
        residual = (residual - (residual * weight).sum() / max(weight.sum(), 1.0)) * weight
        padded = [n + k + 1 for n, k in zip(residual.shape, lags, strict=True)]
        for signal, total in ((residual, above), (weight, below)):
            power = np.abs(fft.rfftn(signal, s=padded)) ** 2
            correlation = np.roll(fft.irfftn(power, s=padded), lags, axis=(0, 1, 2))
            total += correlation[tuple(slice(0, 2 * k + 1) for k in lags)]
    if below[lags] < 500:
        return NoiseModel(fallback)
    covariance = above / np.maximum(below, 1.0)
    return NoiseModel(covariance.astype(np.float32))


def _fallback_covariance(lags: tuple[int, int, int]) -> NDArray[np.float32]:
    axes = [np.exp(-((np.arange(-k, k + 1) / 1.2) ** 2)) for k in lags]
    return (64.0 * axes[0][:, None, None] * axes[1][:, None] * axes[2]).astype(np.float32)


def split_texture(
    hu: NDArray[np.float32], tissue: NDArray[np.bool_], spacing_zyx_mm: Spacing
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split tissue into fine texture and a map of structure (vessels, edges).

    Returns:
        (residual, structure): HU minus the tissue's local mean (Gaussian, 6 mm), 0 outside the tissue; and
        0..1, high where the smoothed residual stands out of what noise makes (beyond 2.3 to 3.3 robust SD).
    """
    low = local_mean(hu, tissue, 6.0, spacing_zyx_mm)
    residual = np.where(tissue, hu - low, np.float32(0))
    smooth = gaussian(residual, 1.2, spacing_zyx_mm)
    values = smooth[tissue]
    if values.size == 0:
        return residual, np.ones_like(residual)
    # The lower half of the distribution is the noise's; vessels (bright or dark) make the tails.
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) + 1e-3
    structure = np.clip((np.abs(smooth) / spread - 2.3), 0.0, 1.0)
    structure = ndimage.maximum_filter(structure, size=(1, 3, 3))
    return residual, np.where(tissue, structure, np.float32(1))
