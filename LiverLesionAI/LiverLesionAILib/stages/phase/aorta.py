"""The abdominal aorta without a network: a round, even tube in front of the spine, a little to its left.

Only its density is wanted, so a stretch of it is enough; where nothing looks like it, nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.ct import CtVolume, Geometry, resample

SPACING_MM = (4.0, 2.0, 2.0)
RADII_MM = (7.0, 9.0, 11.0)
BODY_HU, BONE_HU = -300.0, 140.0
DISCS, RUNS = 4, 5
"""Of a slice, and of a scan, among which the aorta is chosen."""


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


class Disc(NamedTuple):
    """A round, even spot of a slice: its score, middle on the grid, and mean HU."""

    score: float
    y: float
    x: float
    hu: float


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
    found = [_candidates(plane, place, settings) for plane, place in zip(hu, spine, strict=True)]
    return _longest(_stretches(found, settings), part, settings)


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


def _candidates(
    plane: NDArray[np.float32], spine_yx: NDArray[np.float64], settings: AortaSettings
) -> list[Disc]:
    """The best discs of a slice, of which none lies in another; [] where none fits."""
    reach = 40
    y0, x0 = (max(0, round(c) - reach) for c in spine_yx)
    patch = plane[y0 : round(spine_yx[0]) + reach, x0 : round(spine_yx[1]) + reach]
    if min(patch.shape) < 20:
        return []
    patch = np.clip(patch, -150, 600)
    smooth = ndimage.median_filter(patch, size=3)
    y, x = np.indices(patch.shape)
    # To the patient's left is the direction of x; in front of the spine is against y.
    left_mm = (x + x0 - spine_yx[1]) * SPACING_MM[2]
    front_mm = (spine_yx[0] - y - y0) * SPACING_MM[1]
    likely = np.exp(-0.5 * (((left_mm - 10) / 14) ** 2 + ((front_mm - 34) / 15) ** 2))
    best, level = np.zeros_like(smooth), np.zeros_like(smooth)
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
        better = score > best
        best[better], level[better] = score[better], mean[better]
    found = []
    for _ in range(DISCS):
        at = np.unravel_index(int(best.argmax()), best.shape)
        if best[at] <= 0:
            break
        found.append(Disc(float(best[at]), float(at[0] + y0), float(at[1] + x0), float(level[at])))
        best[np.hypot(y - at[0], x - at[1]) * SPACING_MM[1] < max(RADII_MM)] = 0
    return found


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


def _stretches(found: list[list[Disc]], settings: AortaSettings) -> list[dict[int, Disc]]:
    """Runs of discs that lie above each other and are equally dense, slice -> disc, the strongest first."""
    left = [list(discs) for discs in found]
    runs = []
    for _ in range(RUNS):
        run = _strongest(left, settings)
        if not run:
            break
        runs.append(run)
        for z, disc in run.items():
            left[z].remove(disc)
    return runs


def _strongest(found: list[list[Disc]], settings: AortaSettings) -> dict[int, Disc]:
    """The run whose scores have the largest sum, at most two slices missing in a row; {} of no discs."""
    total: dict[tuple[int, int], float] = {}
    before: dict[tuple[int, int], tuple[int, int] | None] = {}
    for z, discs in enumerate(found):
        for place, disc in enumerate(discs):
            earlier = [
                (below, other)
                for below in range(max(0, z - 3), z)
                for other, last in enumerate(found[below])
                if _goes_on(last, disc, settings)
            ]
            on = max(earlier, key=lambda at: total[at], default=None)
            total[z, place] = disc.score + (0.0 if on is None else total[on])
            before[z, place] = on
    at = max(total, key=lambda key: total[key], default=None)
    run = {}
    while at is not None:
        run[at[0]] = found[at[0]][at[1]]
        at = before[at]
    return run


def _goes_on(last: Disc, disc: Disc, settings: AortaSettings) -> bool:
    away_mm = np.hypot(disc.y - last.y, disc.x - last.x) * SPACING_MM[1]
    return bool(away_mm < settings.step_mm and abs(disc.hu - last.hu) < 12 + 0.12 * last.hu)


def _longest(runs: list[dict[int, Disc]], grid: Geometry, settings: AortaSettings) -> Aorta | None:
    """The run that is strong over the longest stretch: nothing else beside the spine goes on all along it."""
    best, most = None, 0.0
    for run in runs:
        strength, length_mm = sum(d.score for d in run.values()), (max(run) - min(run) + 1) * SPACING_MM[0]
        enough = length_mm >= settings.shortest_mm and strength >= settings.strength
        if enough and strength * length_mm > most:
            best, most = run, strength * length_mm
    if best is None:
        return None
    points = [grid.index_to_lps((z, best[z].y, best[z].x)) for z in sorted(best)]
    centres = tuple((float(p[0]), float(p[1]), float(p[2])) for p in points)
    hu = float(np.median([disc.hu for disc in best.values()]))
    return Aorta(hu, centres, (max(best) - min(best) + 1) * SPACING_MM[0])
