"""The abdominal aorta without a network: a round, even tube in front of the spine, a little to its left.

Only its density is wanted, so a stretch of it is enough; where nothing looks like it, nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.ct import CtVolume, Geometry, resample

SPACING_MM = (4.0, 2.0, 2.0)
RADII_MM = (7.0, 9.0, 11.0)
BODY_HU, BONE_HU = -300.0, 140.0


@dataclass(frozen=True)
class AortaSettings:
    """What an aorta looks like; the page of rules has the reasons.

    Attributes:
        blood_hu: its density.
        darker_hu: by which what lies round it is darker, or by a quarter.
        step_mm: by which its middle moves from slice to slice.
        shortest_mm: stretch.
        strength: sum of the slices' scores.
    """

    PREFIX: ClassVar[str] = "aorta_"

    blood_hu: tuple[float, float]
    darker_hu: float
    step_mm: float
    shortest_mm: float
    strength: float


@dataclass(frozen=True)
class Aorta:
    """A stretch of the aorta.

    Attributes:
        hu: median density of its inside.
        centres_lps: middle of it in each slice where it was seen, from below, mm.
        length_mm: of the stretch.
    """

    hu: float
    centres_lps: tuple[tuple[float, float, float], ...]
    length_mm: float


def find_aorta(
    volume: CtVolume, low_lps_z: float, high_lps_z: float, settings: AortaSettings
) -> Aorta | None:
    """Look for the aorta between two heights (those of the liver).

    Args:
        volume: reoriented (axes along L, P, S).
    """
    grid = volume.geometry.with_spacing(SPACING_MM)
    heights = [float(grid.index_to_lps((z, 0, 0))[2]) for z in range(grid.shape_zyx[0])]
    wanted = [z for z, height in enumerate(heights) if low_lps_z <= height <= high_lps_z]
    if len(wanted) < 3:
        return None
    part = grid.cropped((wanted[0], 0, 0), (wanted[-1] + 1, *grid.shape_zyx[1:]))
    hu = np.asarray(resample(volume.hu_zyx, volume.geometry, part), np.float32)
    spine = _spine(hu)
    if spine is None:
        return None
    found = [_candidate(plane, place, settings) for plane, place in zip(hu, spine, strict=True)]
    return _stretch(found, part, settings)


def _spine(hu_zyx: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Middle of the vertebra in every slice, (z, 2) as y, x; None where there is no spine."""
    body = ndimage.binary_opening(hu_zyx > BODY_HU, iterations=1)
    if not body.any():
        return None
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    middle_x, height = (columns[0] + columns[-1]) / 2, rows[-1] - rows[0]
    # Along the body's axis bone of the spine adds up; ribs, kidneys and vessels in contrast move about.
    share = (hu_zyx > BONE_HU).mean(axis=0)
    y, x = np.indices(share.shape)
    share = share * (np.abs(x - middle_x) * SPACING_MM[2] < 45) * (y > rows[0] + 0.45 * height)
    blob = ndimage.gaussian_filter(share, 18.0 / SPACING_MM[1])
    if blob.max() < 0.08:
        return None
    at = np.array(np.unravel_index(int(blob.argmax()), blob.shape), float)
    centres = np.tile(at, (len(hu_zyx), 1))
    near = (np.hypot(y - at[0], x - at[1]) * SPACING_MM[1]) < 32
    for z, plane in enumerate(hu_zyx):
        bone = near & (plane > BONE_HU)
        if int(bone.sum()) > 60:
            centres[z] = np.argwhere(bone).mean(axis=0)
    return ndimage.gaussian_filter1d(centres, 3.0, axis=0, mode="nearest")


def disc_kernel(radius_mm: float, inner_mm: float = 0.0) -> NDArray[np.float32]:
    """A disc, or a ring, whose weights sum to 1."""
    reach = int(np.ceil(radius_mm / SPACING_MM[1]))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * SPACING_MM[1]
    distance = np.hypot(y, x)
    kernel = ((distance <= radius_mm) & (distance >= inner_mm)).astype(np.float32)
    return kernel / kernel.sum()


def _candidate(
    plane: NDArray[np.float32], spine_yx: NDArray[np.float64], settings: AortaSettings
) -> tuple[float, float, float, float] | None:
    """Best disc of a slice: (score, y, x, HU); None where none fits."""
    reach = 40
    y0, x0 = (max(0, round(c) - reach) for c in spine_yx)
    patch = plane[y0 : round(spine_yx[0]) + reach, x0 : round(spine_yx[1]) + reach]
    if min(patch.shape) < 20:
        return None
    patch = np.clip(patch, -150, 600)
    smooth = ndimage.median_filter(patch, size=3)
    best = None
    y, x = np.indices(patch.shape)
    # To the patient's left is the direction of x; in front of the spine is against y.
    left_mm = (x + x0 - spine_yx[1]) * SPACING_MM[2]
    front_mm = (spine_yx[0] - y - y0) * SPACING_MM[1]
    likely = np.exp(-0.5 * (((left_mm - 14) / 13) ** 2 + ((front_mm - 40) / 13) ** 2))
    for radius in RADII_MM:
        disc, ring = disc_kernel(radius), disc_kernel(radius + 5.0, radius + 2.0)
        mean = ndimage.convolve(smooth, disc, mode="nearest")
        spread = np.sqrt(np.maximum(0, ndimage.convolve(smooth**2, disc, mode="nearest") - mean**2))
        # Fat, lung or crus lie around it on most sides; a piece of an organ has its own kind all around.
        darker = _share_darker(smooth, mean, ring, settings.darker_hu)
        low, high = settings.blood_hu
        fits = (mean > low) & (mean < high) & (spread < 14 + 0.12 * np.maximum(mean, 0))
        score = (
            likely
            * np.clip(darker - 0.25, 0, 1)
            * np.clip(1 - spread / (30 + 0.2 * np.maximum(mean, 0)), 0, 1)
            * fits
        )
        at = np.unravel_index(int(score.argmax()), score.shape)
        if score[at] > 0 and (best is None or score[at] > best[0]):
            best = (float(score[at]), float(at[0] + y0), float(at[1] + x0), float(mean[at]))
    return best


def _share_darker(
    smooth: NDArray[np.float32], mean: NDArray[np.float32], ring: NDArray[np.float32], darker_hu: float
) -> NDArray[np.float32]:
    """Share of the ring around every pixel that is at least so much (or a quarter) darker than its disc."""
    out = np.zeros_like(smooth)
    reach = ring.shape[0] // 2
    padded = np.pad(smooth, reach, mode="edge")
    limit = mean - np.maximum(darker_hu, 0.25 * mean)
    for dy, dx in np.argwhere(ring > 0):
        shifted = padded[dy : dy + smooth.shape[0], dx : dx + smooth.shape[1]]
        out += ring[dy, dx] * (shifted < limit)
    return out


def _stretch(
    found: list[tuple[float, float, float, float] | None], grid: Geometry, settings: AortaSettings
) -> Aorta | None:
    """The longest run of discs that lie above each other and are equally dense."""
    best: list[int] = []
    strength = 0.0
    for start in range(len(found)):
        if found[start] is None:
            continue
        run = [start]
        gap = 0
        for z in range(start + 1, len(found)):
            one, last = found[z], found[run[-1]]
            close = (
                one is not None
                and last is not None
                and np.hypot(one[1] - last[1], one[2] - last[2]) * SPACING_MM[1] < settings.step_mm
                and abs(one[3] - last[3]) < 12 + 0.12 * last[3]
            )
            if close:
                run.append(z)
                gap = 0
            else:
                gap += 1
                if gap > 2:
                    break
        total = sum(found[z][0] for z in run)  # type: ignore[index]
        if total > strength:
            best, strength = run, total
    length_mm = (best[-1] - best[0] + 1) * SPACING_MM[0] if best else 0.0
    if length_mm < settings.shortest_mm or strength < settings.strength:
        return None
    centres = []
    for z in best:
        point = grid.index_to_lps((z, found[z][1], found[z][2]))  # type: ignore[index]
        centres.append(tuple(float(v) for v in point))
    hu = float(np.median([found[z][3] for z in best]))  # type: ignore[index]
    return Aorta(hu, tuple(centres), length_mm)
