"""What scanner, metal and breathing put into an image: streaks, bands, clips, double contours.

Each function changes a `LiverTissue` and returns words for what it put in, or None when there was no place.
Streaks are drawn per slice, in plane, as reconstruction makes them; the mask of the liver stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .texture import gaussian
from .tissue import LiverTissue
from .tubes import Segment, draw_tubes

Array = NDArray[np.float32]


def _bump(n: int, centre: float, width: float) -> Array:
    """A Gaussian over n slices."""
    return np.exp(-(((np.arange(n) - centre) / max(width, 0.5)) ** 2)).astype(np.float32)


def clips(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """One to four surgical clips (700-2500 HU, 3-8 mm) with bright and dark streaks in their slices."""
    count = int(rng.integers(1, 5))
    spacing = np.array(tissue.spacing)
    first = tissue.inner_spot(2.0, rng) if rng.random() < 0.5 else None
    if first is None:
        spot = tissue.surface_spot((-0.7, 0.4, 0.4), rng)
        if spot is None:
            return None
        first = spot[0]
    for _ in range(count):
        centre = first + rng.normal(0, 8, 3) / spacing
        z = round(float(centre[0]))
        if not 0 <= z < tissue.hu.shape[0]:
            continue
        half = rng.uniform(1.5, 4.0) * _unit(rng)
        piece = Segment(centre * spacing - half, centre * spacing + half, 0.8, 0.8)
        dense = rng.uniform(700, 2500)
        strength = rng.uniform(15, 70)
        _star(tissue, centre, strength, rng)
        metal = draw_tubes(tissue, [piece], 0.4)
        lit = np.flatnonzero(metal.max(axis=(1, 2)) > 0.02)
        if len(lit):
            part = slice(int(lit[0]), int(lit[-1]) + 1)
            tissue.hu[part] += metal[part] * (np.float32(dense) - tissue.hu[part])
    return "surgical clips"


def _unit(rng: np.random.Generator) -> NDArray[np.float64]:
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction)


def _star(tissue: LiverTissue, centre: NDArray, strength_hu: float, rng: np.random.Generator) -> None:
    """Streaks that leave a point in a few directions of the slice, fading with the distance."""
    n_z, n_y, n_x = tissue.hu.shape
    y = ((np.arange(n_y) - centre[1]) * tissue.spacing[1]).astype(np.float32)[:, None]
    x = ((np.arange(n_x) - centre[2]) * tissue.spacing[2]).astype(np.float32)[None, :]
    radius = np.sqrt(y**2 + x**2) + np.float32(1.0)
    angle = np.arctan2(y, x)
    rays = np.zeros((n_y, n_x), np.float32)
    for _ in range(int(rng.integers(4, 12))):
        turn = np.cos(angle - np.float32(rng.uniform(-np.pi, np.pi)))
        # A ray is as wide as its source: its angle narrows with the distance.
        across = radius * np.sqrt(np.maximum(1 - turn**2, 0))
        one_way = turn > 0 if rng.random() < 0.5 else True
        sign = 1.0 if rng.random() < 0.45 else -1.0
        rays += np.float32(sign) * np.exp(-((across / np.float32(rng.uniform(1.2, 4))) ** 2)) * one_way
    rays *= np.float32(strength_hu) * np.exp(-radius / np.float32(rng.uniform(15, 60)))
    profile = _bump(n_z, float(centre[0]), 2.5 / tissue.spacing[0])
    for z in np.flatnonzero(profile > 0.05):
        tissue.hu[z] += profile[z] * rays


def beam_hardening(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Arms at the side of the body: two to six bands of 4-14 HU across the slice, drifting along z."""
    n_z, n_y, n_x = tissue.hu.shape
    y = (np.arange(n_y) * tissue.spacing[1]).astype(np.float32)[:, None]
    x = (np.arange(n_x) * tissue.spacing[2]).astype(np.float32)[None, :]
    z_mm = np.arange(n_z) * tissue.spacing[0]
    bands = [
        (
            rng.uniform(0, float(y[-1, 0])),
            rng.uniform(-0.12, 0.12),
            rng.uniform(3, 14),
            rng.uniform(4, 14) * (1 if rng.random() < 0.4 else -1),
            rng.uniform(-0.15, 0.15),
        )
        for _ in range(int(rng.integers(2, 7)))
    ]
    start, stop = np.sort(rng.uniform(-0.3, 1.3, 2)) * max(z_mm[-1], 1.0)
    inside = np.clip((z_mm - start) / 10, 0, 1) * np.clip((stop + 20 - z_mm) / 10, 0, 1)
    body = tissue.hu > -140
    for z in np.flatnonzero(inside > 0.02):
        field = np.zeros((n_y, n_x), np.float32)
        for middle, slope, width, height, drift in bands:
            offset = y - np.float32(middle + drift * z_mm[z]) - np.float32(slope) * x
            field += np.float32(height) * np.exp(-np.square(offset / np.float32(width)))
        tissue.hu[z] += np.float32(inside[z]) * field * body[z]
    return "beam hardening"


def rib_streaks(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Dark bands (5-20 HU, 2-6 mm) along lines from dense bone at the liver's side into it."""
    coarse = tissue.hu[:, ::3, ::3]
    bone = np.argwhere((coarse > 200) & ~tissue.liver[:, ::3, ::3])
    if len(bone) < 10:
        return None
    n_z, n_y, n_x = tissue.hu.shape
    y = (np.arange(n_y) * tissue.spacing[1]).astype(np.float32)[:, None]
    x = (np.arange(n_x) * tissue.spacing[2]).astype(np.float32)[None, :]
    wanted, drawn = int(rng.integers(2, 7)), 0
    for _ in range(8 * wanted):
        z, by, bx = bone[int(rng.integers(len(bone)))]
        start = np.array([by * 3 * tissue.spacing[1], bx * 3 * tissue.spacing[2]])
        same = bone[bone[:, 0] == z]
        _, ty, tx = same[int(rng.integers(len(same)))]
        aim = np.array([ty * 3 * tissue.spacing[1], tx * 3 * tissue.spacing[2]]) - start
        length = float(np.linalg.norm(aim))
        if length < 25:
            continue
        aim /= length
        along = (y - np.float32(start[0])) * np.float32(aim[0]) + (x - np.float32(start[1])) * np.float32(
            aim[1]
        )
        across = (y - np.float32(start[0])) * np.float32(aim[1]) - (x - np.float32(start[1])) * np.float32(
            aim[0]
        )
        band = np.exp(-np.square(across / np.float32(rng.uniform(2, 6))))
        band *= np.clip(along / 6, 0, 1) * np.clip((np.float32(length) - along) / 6, 0, 1)
        # The band is strongest at its bones.
        band *= 0.5 + 0.5 * np.abs(2 * along / np.float32(length) - 1)
        depth = -rng.uniform(5, 20)
        profile = _bump(n_z, float(z), rng.uniform(2, 5) / tissue.spacing[0])
        for slice_ in np.flatnonzero(profile > 0.05):
            tissue.hu[slice_] += np.float32(depth * profile[slice_]) * band
        drawn += 1
        if drawn == wanted:
            break
    return "rib streaks" if drawn else None


def motion(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Breathing or heart: double contours 1.5-5 mm apart over some slices, streaks at the border."""
    n_z = tissue.hu.shape[0]
    centre, width = rng.uniform(0, n_z), rng.uniform(6, 25) / tissue.spacing[0]
    shift_mm = rng.uniform(1.5, 5.0) * _unit(rng)[1:]
    shift = shift_mm / np.array(tissue.spacing[1:])
    ghost = rng.uniform(0.2, 0.5)
    profile = _bump(n_z, centre, width)
    for z in np.flatnonzero(profile > 0.08):
        plane = tissue.hu[z]
        amount = np.float32(ghost * profile[z])
        moved = ndimage.shift(plane, shift * profile[z], order=1, mode="nearest")
        # Blending two copies thins the noise; the difference of their smooth parts does not.
        change = gaussian((moved - plane)[None], (0.0, 1.0, 1.0), tissue.spacing)[0]
        plane += amount * change
    return "motion"
