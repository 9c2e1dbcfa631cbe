"""From an outline and an appearance to HU: the inner parts of a lesion as fields of its depth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance
from .texture import Spacing, gaussian, smooth_noise

Array = NDArray[np.float32]


def coverage(depth_mm: Array, edge_mm: float) -> Array:
    """Share of lesion in each voxel (0..1) for a border of this SD; 0.5 at depth 0.

    A logistic curve stands in for the Gaussian integral: it is within 0.01 of it and has the longer tails
    that measured borders show.
    """
    # Clipping keeps exp inside float32.
    return 1.0 / (1.0 + np.exp(np.clip(depth_mm * np.float32(-1.702 / max(edge_mm, 0.1)), -30, 30)))


def _step(values: Array, width: float) -> Array:
    """0 below -width/2, 1 above width/2, straight between."""
    return np.clip(values / np.float32(width) + np.float32(0.5), 0.0, 1.0)


def _top_share(field: Array, inside: NDArray[np.bool_], share: float, width: float) -> Array:
    """1 where the field is among the top `share` of its values inside, soft over `width` SD."""
    values = field[inside]
    if values.size == 0 or share <= 0:
        return np.zeros_like(field)
    level = float(np.quantile(values[:: max(1, values.size // 20000)], 1.0 - min(share, 1.0)))
    return _step(field - np.float32(level), width)


def inner_hu(
    look: Appearance,
    depth_mm: Array,
    diameter_mm: float,
    spacing_zyx_mm: Spacing,
    rng: np.random.Generator,
) -> Array:
    """HU relative to the liver of the lesion's inside, before its border is softened.

    Args:
        look: the lesion's parts.
        depth_mm: signed depth in mm, positive inside.
        diameter_mm: its equivalent diameter.
        spacing_zyx_mm: of the box.
        rng: source of all chance.
    """
    shape = depth_mm.shape
    inside = depth_mm > 0
    deepest = max(float(depth_mm.max()), 0.5)
    relative = np.clip(depth_mm / np.float32(deepest), 0.0, 1.0)

    def noise(scale_mm: float) -> Array:
        return smooth_noise(shape, spacing_zyx_mm, scale_mm, rng)

    hu = np.full(shape, look.body_hu, np.float32)
    if look.gradient_hu:
        # The mean stays the body's: half of the change lies on either side.
        hu += np.float32(look.gradient_hu) * (relative - np.float32(0.3))
    if look.texture_hu:
        hu += np.float32(look.texture_hu) * noise(look.texture_mm)
    if look.mosaic_hu:
        for scale in (0.35, 0.2):
            compartment = noise(max(3.0, diameter_mm * scale))
            hu += np.float32(look.mosaic_hu * 0.7) * np.tanh(3 * compartment)
    if look.core_fraction:
        ragged = relative + np.float32(look.core_noise) * np.float32(0.4) * noise(max(2.0, diameter_mm / 5))
        core = _step(ragged - np.float32(look.core_fraction), 0.25)
        hu += np.float32(look.core_hu) * core
    if look.scar_fraction:
        hu += np.float32(look.scar_hu) * _scar(look, depth_mm, diameter_mm, spacing_zyx_mm, rng)
    _add_border(hu, look, depth_mm, diameter_mm, noise)
    if look.calcium_hu:
        clumps = noise(max(1.5, diameter_mm / 6)) + np.float32(0.6) * noise(max(1.2, diameter_mm / 15))
        hu += np.float32(look.calcium_hu) * _top_share(clumps, inside, look.calcium_share, 0.5)
    if look.gas_hu:
        bubbles = noise(max(1.5, diameter_mm / 8)) * relative
        gas = _top_share(bubbles, inside, 0.03, 0.4)
        hu += (np.float32(look.gas_hu) - hu) * gas
    return hu


def _add_border(
    hu: Array, look: Appearance, depth_mm: Array, diameter_mm: float, noise: Callable[[float], Array]
) -> None:
    """Add a rim, with gaps, and nodules along the border to `hu`."""
    inside = depth_mm > 0
    if look.rim_hu:
        shell = _step(np.float32(look.rim_mm) - depth_mm, max(0.6, 0.5 * look.rim_mm))
        if look.rim_gap:
            shell = shell * _top_share(noise(max(3.0, diameter_mm / 3)), inside, 1 - look.rim_gap, 0.8)
        hu += np.float32(look.rim_hu) * shell
    if look.nodules_hu:
        bumps = noise(max(2.5, diameter_mm / 4))
        reach = np.float32(look.nodules_mm) * (1 + np.float32(0.4) * bumps)
        near_border = _step(reach - depth_mm, 0.35 * look.nodules_mm)
        lit = _top_share(
            noise(max(3.0, diameter_mm / 3.5)), inside & (depth_mm < look.nodules_mm), look.nodules_share, 0.5
        )
        hu += np.float32(look.nodules_hu) * near_border * lit


def _scar(
    look: Appearance, depth_mm: Array, diameter_mm: float, spacing_zyx_mm: Spacing, rng: np.random.Generator
) -> Array:
    """A stellate scar: three to six flat bands through a point near the centre, narrowing outwards."""
    centre = np.argwhere(depth_mm >= 0.85 * depth_mm.max()).mean(axis=0)
    grids = np.meshgrid(
        *[
            ((np.arange(n) - c) * s).astype(np.float32)
            for n, c, s in zip(depth_mm.shape, centre, spacing_zyx_mm, strict=True)
        ],
        indexing="ij",
        sparse=True,
    )
    radius = np.sqrt(grids[0] ** 2 + grids[1] ** 2 + grids[2] ** 2)
    reach = look.scar_fraction * diameter_mm
    out = _step(np.float32(0.25 * reach) - radius, 0.2 * reach)
    wobble = smooth_noise(depth_mm.shape, spacing_zyx_mm, max(2.0, diameter_mm / 6), rng)
    for _ in range(int(rng.integers(3, 7))):
        along, across = np.linalg.qr(rng.standard_normal((3, 2)))[0].astype(np.float32).T
        forward = sum(g * a for g, a in zip(grids, along, strict=True))
        sideways = (
            sum(g * a for g, a in zip(grids, across, strict=True)) + np.float32(0.04 * diameter_mm) * wobble
        )
        width = np.float32(0.05 * diameter_mm + 0.4) * np.clip(1.2 - forward / np.float32(reach), 0, 1)
        band = np.clip(1.5 - np.abs(sideways) / np.maximum(width, 0.2), 0, 1)
        np.maximum(out, band * (forward > 0) * _step(np.float32(reach) - radius, 0.3 * reach), out=out)
    return out


def halo(look: Appearance, depth_mm: Array) -> Array:
    """HU added outside the outline: perfusion change or hyperaemia fading with the distance."""
    if not look.halo_hu:
        return np.zeros_like(depth_mm)
    return np.float32(look.halo_hu) * np.exp(-np.square(np.minimum(depth_mm, 0) / np.float32(look.halo_mm)))


def blurred(array: Array, spacing_zyx_mm: Spacing, psf_mm: float) -> Array:
    """The scan's own blur: PSF in plane, and half a voxel along every axis for what a voxel averages."""
    sigma = tuple(float(np.hypot(psf_mm, 0.29 * s)) for s in spacing_zyx_mm)
    return gaussian(array, sigma, spacing_zyx_mm)
