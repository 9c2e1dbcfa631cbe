"""The inferior vena cava behind the liver: a round, even disc, slice by slice, that runs on smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.anatomy import LandmarkName as Name
from ...volume.masks import components
from . import usual
from .grid import GRID_MM, LiverGrid

RADII_MM = (8.0, 11.0, 14.0)
BLOOD_HU = (10.0, 330.0)
STEP_MM = 3.0
"""By which its middle usually moves from a slice to the next."""
STEP_HU = 15.0
"""By which its density usually changes."""
LIKELY, FEWEST_PIXELS = (128, 64), 8
"""From which on a network sees it, clearly or perhaps, and how much of it in one slice: what is seen faintly
counts little, and another grid of the same scan does not take it away."""
OUTLINED = 176
"""From which on it is inside: with LIKELY its radius was 0.8 mm too large on training bodies."""
STRAY_MM = 9.0
"""By which its middle usually strays from a straight line: the right hepatic vein leads farther away."""
BETWEEN, BRIDGED = 0.05, 7
"""Score of a place between two slices that a network sees it in, and up to how many slices apart these may be
where it sees something in others between them."""
CANDIDATES = 14
MOST_MISSED = 3
"""Slices that it may be unseen in farther down."""
ROUNDED, SLICES_AGREE = 0.5, 7
"""Share of a slice's radius of the disc that everything told of it holds, and of how many slices most agree
that a place is inside: a spike, or a slice that holds a neighbour, would be the nearest to a lesion there."""
MOST_SPIKES = 0.25
"""Share of a slice that can be spikes and neighbours."""
DOME, TOP = 0.93, 0.99
"""How far up it is followed, of the liver's height: discs are no longer round where the veins flow in."""


@dataclass(frozen=True, eq=False)
class Cava:
    """The IVC as far as it is seen.

    Attributes:
        slices: indices on the grid, upwards.
        centres_yx: (n, 2) index; radii_mm: (n,).
        mask_zyx: its discs.
        score: 0..1, how well its discs fit on average.
        seen_z: bool (slices of the grid), where a network outlines it; None without a network.
        lower_zyx: bool, what a network sees of it farther down, where nothing else rests on it; None without
            a network.
    """

    slices: NDArray[np.int64]
    centres_yx: NDArray[np.float64]
    radii_mm: NDArray[np.float64]
    mask_zyx: NDArray[np.bool_]
    score: float
    lower_zyx: NDArray[np.bool_] | None = None
    seen_z: NDArray[np.bool_] | None = None

    def at_height(self, z: float) -> tuple[float, float]:
        """y, x of its middle at a slice, continued beyond its ends."""
        y = float(np.interp(z, self.slices, self.centres_yx[:, 0]))
        return y, float(np.interp(z, self.slices, self.centres_yx[:, 1]))


def find_cava(
    grid: LiverGrid,
    least_score: float,
    most_uneven_hu: float,
    likely_zyx: NDArray[np.uint8] | None = None,
) -> Cava | None:
    """Follow the IVC from below the hilum to the liver's dome; None where no even disc lies at its place.

    Args:
        least_score: of the discs on average, 0..1.
        most_uneven_hu: median distance of the discs' densities from their median.
        likely_zyx: 0..255, where a network sees it.
    """
    used = np.flatnonzero(grid.liver_zyx.any(axis=(1, 2)))
    # Where it leaves the liver a network sees it clearly, and less so within a liver whose outline holds it.
    low, high = (used[0] + share * len(used) for share in (0.3, DOME if likely_zyx is None else TOP))
    slices = np.arange(int(low), max(int(high), int(low) + 2), 2)
    expected = _expected(grid)
    smooth = ndimage.gaussian_filter(np.clip(grid.hu_zyx, -150, 400), (0.8, 0.8, 0.8))
    found = _candidates(grid, smooth, slices, expected)
    clear = [np.zeros(len(discs)) for discs in found]
    if likely_zyx is not None:
        seen = _bridged([_seen(likely_zyx[z], smooth[z]) for z in slices])
        found = [np.vstack(pair) for pair in zip(found, seen, strict=True)]
        clear = [np.r_[none, sightings[:, 4]] for none, sightings in zip(clear, seen, strict=True)]
    chosen = _chosen(found, slices, clear)
    score = float(chosen[:, 4].mean())
    # Discs of one vessel are of one density.
    levels = chosen[np.isfinite(chosen[:, 5]), 5]
    uneven = float(np.median(np.abs(levels - np.median(levels)))) if levels.size else np.inf
    if score < least_score or uneven > most_uneven_hu:
        return None
    centres = ndimage.gaussian_filter1d(chosen[:, :2], 1.5, axis=0, mode="nearest")
    radii = ndimage.gaussian_filter1d(chosen[:, 3], 2.0, mode="nearest")
    every = np.arange(slices[0], slices[-1] + 1)
    centres = np.stack([np.interp(every, slices, centres[:, k]) for k in (0, 1)], axis=1)
    radii = np.interp(every, slices, radii)
    y, x = np.indices(grid.hu_zyx.shape[1:])
    mask = np.zeros(grid.hu_zyx.shape, bool)
    seen_z = np.zeros(len(mask), bool)
    for z, (cy, cx), radius in zip(every, centres, radii, strict=True):
        disc = np.hypot(y - cy, x - cx) * GRID_MM <= radius
        # Where the outlined liver leaves it out, the outline tells its edge better than a circle.
        outside = not grid.liver_zyx[z, round(cy), round(cx)]
        mask[z] = disc & ~grid.liver_zyx[z] if outside else disc
        if likely_zyx is not None:
            near = np.hypot(y - cy, x - cx) * GRID_MM <= 1.3 * radius + GRID_MM
            seen = near & (likely_zyx[z] >= OUTLINED)
            seen_z[z] = np.count_nonzero(seen) >= FEWEST_PIXELS
            mask[z] = seen if seen_z[z] else mask[z]
    if likely_zyx is None:
        return Cava(every, centres, radii, mask, score)
    lower = _lower(likely_zyx, int(every[0]), centres[0], float(radii[0]))
    return Cava(every, centres, radii, mask, score, lower, seen_z | lower.any(axis=(1, 2)))


def told_cava(cava: Cava) -> NDArray[np.bool_]:
    """What is told of it, bool on the grid: its discs and what is seen below them, without spikes.

    A lesion's distance is that to the one voxel that lies nearest, so that what a network sees of a neighbour
    in a few slices always makes it shorter. A vessel runs on: what sticks out narrowly of a slice that it
    outlines, or is there in the minority of those round it, is left out. Where that were much of a slice the
    vena cava is of another shape there, as where it is flat, and the slice is told whole: so are discs, which
    stand where nothing is seen and have no voice.
    """
    if cava.lower_zyx is None or cava.seen_z is None:
        return cava.mask_zyx
    whole = cava.mask_zyx | cava.lower_zyx
    even = np.zeros(whole.shape, np.float32)
    for z in np.flatnonzero(cava.seen_z):
        radius = ROUNDED * np.sqrt(np.count_nonzero(whole[z]) / np.pi)
        even[z] = ndimage.binary_opening(whole[z], _disc(radius) > 0)
    votes = ndimage.uniform_filter1d(even, SLICES_AGREE, axis=0, mode="constant")
    voices = ndimage.uniform_filter1d(cava.seen_z.astype(np.float32), SLICES_AGREE, mode="constant")
    agreed = (even > 0) & (votes > 0.5 * voices[:, None, None])
    left = agreed.sum(axis=(1, 2)) >= (1 - MOST_SPIKES) * whole.sum(axis=(1, 2))
    return np.where((cava.seen_z & left)[:, None, None], agreed, whole)


def _lower(
    likely_zyx: NDArray[np.uint8], first: int, centre_yx: NDArray[np.float64], radius_mm: float
) -> NDArray[np.bool_]:
    """Below the lowest disc, slice by slice as long as a network sees it beside where it was.

    A lesion in the lower liver is nearest to the vena cava at its own height.
    """
    out = np.zeros(likely_zyx.shape, bool)
    y, x = np.indices(likely_zyx.shape[1:])
    at, missed = centre_yx, 0
    for z in range(first - 1, -1, -1):
        near = np.hypot(y - at[0], x - at[1]) * GRID_MM <= 1.3 * radius_mm + GRID_MM
        seen = near & (likely_zyx[z] >= OUTLINED)
        if np.count_nonzero(seen) < FEWEST_PIXELS:
            missed += 1
            if missed > MOST_MISSED:
                break
            continue
        missed, out[z] = 0, seen
        # Half of the way: one slice alone does not lead it away.
        at = (at + np.argwhere(seen).mean(axis=0)) / 2
    return out


def _expected(grid: LiverGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Index y, x of its usual place, and the spread in voxels."""
    at = grid.at_share(usual.BOX_SHARE[Name.IVC_LOW])
    spread = np.array([usual.SPREAD_MM[Name.IVC_LOW] + 6] * 2)
    if grid.spine_lps is not None:
        seen = np.add(grid.spine_lps, usual.FROM_SPINE_MM)
        at[:2] = (seen * 2 + at[:2]) / 3
        spread = np.array(usual.IVC_SPREAD_MM)
    elif grid.middle_x is not None:
        at[0] = grid.middle_x + usual.FROM_SPINE_MM[0]
    index = np.asarray(grid.geometry.lps_to_index(at))
    return index[1:], spread[::-1] / GRID_MM


def _candidates(
    grid: LiverGrid,
    smooth: NDArray[np.float32],
    slices: NDArray[np.int64],
    expected: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> list[NDArray[np.float64]]:
    """(n, 6) of each slice's likeliest discs: y, x, score with its place, radius (mm), score without, HU."""
    (ey, ex), (sy, sx) = expected
    # Nothing lies farther from its usual place than three spreads.
    low = np.maximum(np.round((ey - 3 * sy, ex - 3 * sx)), 0).astype(int)
    window = (slices, slice(low[0], round(ey + 3 * sy) + 1), slice(low[1], round(ex + 3 * sx) + 1))
    planes, liver = smooth[window], grid.liver_zyx[window].astype(np.float32)
    nothing = np.array([[ey, ex, 0.0, RADII_MM[0], 0.0, np.nan]])
    if not planes.size:
        return [nothing] * len(slices)
    y, x = np.indices(planes.shape[1:]) + low[:, None, None]
    place = np.exp(-0.5 * (((y - ey) / sy) ** 2 + ((x - ex) / sx) ** 2))
    best, radius_of = np.zeros(planes.shape, np.float32), np.full(planes.shape, RADII_MM[0], np.float32)
    level_of = np.zeros(planes.shape, np.float32)
    for radius in RADII_MM:
        r = radius / GRID_MM
        mean = _disc_mean(planes, 0.85 * r)
        spread = np.sqrt(np.maximum(_disc_mean(planes**2, 0.85 * r) - mean**2, 0))
        cover = _ring_mean(liver, r + 1.0, r + 4.0)
        around = _ring_mean(planes, r + 1.0, r + 2.5)
        even = np.clip(1.3 - spread / (16 + 0.06 * np.abs(mean)), 0, 1)
        # The liver lies round a part of it.
        beside = np.clip(cover / 0.35, 0, 1) * np.clip((1.05 - cover) / 0.25, 0, 1)
        own = 1.0 - 0.75 * _disc_mean(liver, 0.85 * r)
        apart = 0.5 + 0.5 * np.clip(np.abs(mean - around) / 30.0, 0, 1)
        blood = (mean > BLOOD_HU[0]) & (mean < BLOOD_HU[1])
        fit = even * beside * apart * own * blood * (radius / RADII_MM[-1]) ** 0.5
        better = fit > best
        best[better], radius_of[better], level_of[better] = fit[better], radius, mean[better]
    fits, best = best, (best * place).astype(np.float32)
    peaks = (best == ndimage.maximum_filter(best, size=(1, 3, 3))) & (best > 0)
    out = []
    for k in range(len(slices)):
        at = np.argwhere(peaks[k])
        if not len(at):
            out.append(nothing)
            continue
        at = at[np.argsort(-best[k][tuple(at.T)])[:CANDIDATES]]
        index = (k, *at.T)
        columns = (best[index], radius_of[index], fits[index], level_of[index])
        out.append(np.column_stack([at + low, *columns]).astype(float))
    return out


def _disc_mean(planes: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Mean in a disc about every pixel of every plane."""
    return np.asarray(ndimage.convolve(planes, _disc(radius)[None], mode="nearest"))


def _ring_mean(planes: NDArray[np.float32], inner: float, outer: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.convolve(planes, _disc(outer, inner)[None], mode="constant"))


def _disc(radius: float, inner: float = -1.0) -> NDArray[np.float32]:
    n = int(np.ceil(radius))
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    away = np.hypot(y, x)
    kernel = ((away <= radius) & (away > inner)).astype(np.float32)
    return kernel / kernel.sum()


def _seen(likely: NDArray[np.uint8], plane: NDArray[np.float32]) -> NDArray[np.float64]:
    """Candidates of one slice where a network sees the vena cava, as :func:`_candidates` has them."""
    found = []
    for least in LIKELY:
        pieces, count = components((likely >= least)[None])
        for piece in range(1, count + 1):
            inside = pieces[0] == piece
            if np.count_nonzero(inside) < FEWEST_PIXELS:
                continue
            weights = likely[inside] / 255.0
            # The likelier a pixel, the more it tells.
            sure = float((weights**2).sum() / weights.sum())
            middle = np.average(np.argwhere(inside), axis=0, weights=weights)
            radius = np.clip(np.sqrt(weights.sum() / np.pi) * GRID_MM, RADII_MM[0], RADII_MM[-1])
            found.append((*middle, sure, float(radius), sure, float(np.median(plane[inside]))))
    return np.array(found, float).reshape(-1, 6)


def _bridged(seen: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """What a network sees slice by slice, and straight between sightings, where it may see something else.

    As dense as the liver and within its outline the vena cava is seen in some slices only; between them every
    round and even piece of liver would be likelier. Sightings that are near each other count as its course
    over a stray one between them.
    """
    where = [k for k, one in enumerate(seen) if len(one)]
    between: list[list[NDArray[np.float64]]] = [[] for _ in seen]
    for at, low in enumerate(where):
        for high in where[at + 1 :]:
            next_one = high == where[at + 1]
            if not next_one and high - low > BRIDGED:
                break
            one, other = seen[low][:, None], seen[high][None]
            moved = np.linalg.norm((other - one)[..., :2], axis=2) * GRID_MM
            likely = (moved <= STEP_MM * (high - low)) | next_one
            for k in range(low + 1, high):
                t = (k - low) / (high - low)
                between[k].append(((1 - t) * one + t * other)[likely])
    out = []
    for own, more in zip(seen, between, strict=True):
        rows = np.concatenate([own, *more])
        rows[len(own) :, [2, 4]] = BETWEEN
        out.append(rows)
    return out


def _chosen(
    found: list[NDArray[np.float64]], slices: NDArray[np.int64], clear: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The disc of each slice, (n, 6): on the smoothest path, then on the one that also runs straight.

    Args:
        clear: 0..1 of each candidate, how surely a network sees it there: what is seen needs no line,
            and to the heart the vena cava bends.
    """
    path = _best_path(found, [np.zeros(len(c)) for c in found])
    chosen = np.array([c[i] for c, i in zip(found, path, strict=True)])
    for _ in range(2):
        line = np.stack([_line(slices, chosen[:, k], chosen[:, 4]) for k in (0, 1)], axis=1)
        # Where the veins flow in no round disc is seen: the line itself is a candidate, a poor one.
        unseen = (0.0, float(np.median(chosen[:, 3])), 0.0, float(np.nanmedian(chosen[:, 5])))
        both = [np.vstack([c, (*at, *unseen)]) for c, at in zip(found, line, strict=True)]
        away = [np.linalg.norm(c[:, :2] - at, axis=1) * GRID_MM for c, at in zip(both, line, strict=True)]
        dear = [0.5 * np.minimum(a / STRAY_MM, 5.0) ** 2 for a in away]
        path = _best_path(both, [d * (1 - np.r_[c, 0.0]) for d, c in zip(dear, clear, strict=True)])
        chosen = np.array([c[i] for c, i in zip(both, path, strict=True)])
    return chosen


def _line(at: NDArray, values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """A straight line through most of the values (reweighted least squares), at the same places."""
    middle = at - at.mean()
    fitted = np.full(len(values), np.median(values))
    own = np.maximum(weights, 0.02)
    for _ in range(8):
        trust = own / (1.0 + ((values - fitted) * GRID_MM / STRAY_MM) ** 2) ** 2
        mean = np.average(values, weights=trust)
        shift = np.average(middle, weights=trust)
        rise = (trust * (middle - shift) * (values - mean)).sum()
        fitted = mean + rise / (trust * (middle - shift) ** 2).sum().clip(1e-6) * (middle - shift)
    return np.asarray(fitted)


def _best_path(found: list[NDArray[np.float64]], more: list[NDArray[np.float64]]) -> list[int]:
    """Index of the candidate of each slice on the smoothest path through the best ones (Viterbi).

    Args:
        more: what each candidate costs besides.
    """
    costs = [dear - np.log(c[:, 2] + 0.02) for c, dear in zip(found, more, strict=True)]
    total, back = costs[0], []
    for before, after, own in zip(found[:-1], found[1:], costs[1:], strict=True):
        step = np.linalg.norm(after[:, None, :2] - before[None, :, :2], axis=2) * GRID_MM / STEP_MM
        change = np.nan_to_num(np.abs(after[:, None, 5] - before[None, :, 5])) / STEP_HU
        sums = total[None, :] + 0.5 * np.minimum(step, 6.0) ** 2 + 0.5 * np.minimum(change, 4.0) ** 2
        back.append(sums.argmin(axis=1))
        total = sums.min(axis=1) + own
    path = [int(total.argmin())]
    for way in reversed(back):
        path.append(int(way[path[-1]]))
    return path[::-1]
