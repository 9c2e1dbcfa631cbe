"""Landmarks of the planes: where vessels and gallbladder show them, else where they usually lie.

Each says where it comes from and how uncertain it is, so that a guess can be told from what was seen.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ...case.anatomy import Landmark
from ...case.anatomy import LandmarkName as Name
from ...volume.geometry import triple
from . import usual
from .cava import Cava
from .grid import GRID_MM, LiverGrid

Point = NDArray[np.float64]
VEIN, GALLBLADDER, SHAPE, USUAL = "vein", "gallbladder", "liver shape", "usual place"
SEEN_MM = 6.0
"""How surely a point on a vessel that is seen is placed."""
PEAK_VOXELS, NEARLY = 4, 0.6
"""How far about the strongest voxel, and from which share of its strength on, a place is read."""
FEWEST_VOXELS = 25
"""Of a vein's course, each as far as it is likely of the tree."""
ANYWHERE = 0.1
"""Of the mean vote for a vein's angle, what speaks for every one: a few votes at a window's edge do not lead
it away."""
FORK_MM = 8.0
"""How far about its usual place the right branch's fork is looked for."""


def cava_landmarks(grid: LiverGrid, cava: Cava | None) -> dict[str, Landmark]:
    """The two ends of the IVC's line behind the liver."""
    found = {}
    for name in (Name.IVC_HIGH, Name.IVC_LOW):
        at = grid.at_share(usual.BOX_SHARE[name])
        if cava is None:
            found[name] = _landmark(name, at, usual.SPREAD_MM[name], USUAL)
            continue
        z = float(grid.geometry.lps_to_index(at)[0])
        found[name] = _landmark(name, grid.geometry.index_to_lps((z, *cava.at_height(z))), SEEN_MM, VEIN)
    return found


def find_bifurcation(grid: LiverGrid, strength_zyx: NDArray[np.float32], ivc_low: Landmark) -> Landmark:
    """The portal bifurcation: the strongest wide tube about its usual place in front of the IVC."""
    at = grid.at_share(usual.BOX_SHARE[Name.BIFURCATION])
    at[:2] = (at[:2] + np.array(ivc_low.lps[:2]) + usual.FROM_IVC_MM) / 2
    # Long livers reach farther down; their hilum hardly does.
    top = grid.at_share((0.5, 0.5, 1.0))[2]
    at[2] = (at[2] + top - usual.BELOW_DOME_MM) / 2
    spread = usual.SPREAD_MM[Name.BIFURCATION]
    peak = _peak(grid, strength_zyx, at, (spread,) * 3)
    if peak is None:
        return _landmark(Name.BIFURCATION, at, spread, USUAL)
    return _landmark(Name.BIFURCATION, peak, SEEN_MM + 3, VEIN)


def portal_landmarks(
    grid: LiverGrid, strength_zyx: NDArray[np.float32], fork: Landmark, portal_zyx: NDArray[np.float32]
) -> dict[str, Landmark]:
    """The umbilical portion's two ends and the fork of the right branch.

    Args:
        strength_zyx: of tubes, HU, as far as they are no hepatic veins; portal_zyx: 0..1, how likely each is
            the portal vein's.
    """
    middle = np.array(fork.lps) + usual.UMBILICAL_MM
    peak = _peak(grid, strength_zyx, middle, usual.UMBILICAL_SPREAD_MM)
    middle, half, spread, source = _umbilical(peak, middle, _fissure(grid, np.array(fork.lps)))
    right = np.array(fork.lps) + usual.RIGHT_FORK_MM
    right_source, right_spread = USUAL, 12.0
    index = np.argwhere(portal_zyx > 0)
    away = np.linalg.norm(grid.geometry.index_to_lps(index) - right, axis=1)
    # No limit that a tube lies within on one grid and beyond on another one.
    weights = portal_zyx[tuple(index.T)] * np.exp(-0.5 * (away / FORK_MM) ** 2)
    if weights.sum() >= FEWEST_VOXELS / 2:
        right = (right + grid.geometry.index_to_lps(_weighed_median(index, weights))) / 2
        right_source, right_spread = VEIN, SEEN_MM + 2
    return {
        Name.RIGHT_FORK: _landmark(Name.RIGHT_FORK, right, right_spread, right_source),
        Name.UMBILICAL_BEND: _landmark(Name.UMBILICAL_BEND, middle - half, spread, source),
        Name.UMBILICAL_END: _landmark(Name.UMBILICAL_END, middle + half, spread, source),
    }


def _umbilical(
    peak: Point | None, expected: Point, fissure: tuple[Point, Point, float] | None
) -> tuple[Point, Point, float, str]:
    """Middle of the umbilical portion, from there to its end, uncertainty (mm) and source.

    Args:
        peak: where the vein is seen; expected: where it usually lies; fissure: as :func:`_fissure` has it.
    """
    middle, source, spread = expected, USUAL, float(np.mean(usual.UMBILICAL_SPREAD_MM))
    if peak is not None:
        # What is seen may lie anywhere along it: the usual place says how far.
        middle, source, spread = 0.75 * peak + 0.25 * expected, VEIN, SEEN_MM + 3
    half = np.array(usual.UMBILICAL_HALF_MM)
    if fissure is None:
        return middle, half, spread, source
    # Where fat parts IV from III the portal vein's umbilical portion runs into it; a gap far from where the
    # vein is seen, or usually lies, may be another notch, and counts less the farther it is.
    place, course, clear = fissure
    apart = abs(float(place[0] - middle[0]))
    share = clear / (1.0 + (apart / usual.FISSURE_APART_MM) ** 2) * (1.0 if peak is None else 0.5)
    spread = clear * min(spread, SEEN_MM) + (1 - clear) * spread + apart * (1 - share) / 2
    source = SHAPE if clear >= 0.5 else source
    return middle + share * (place - middle), half + clear * (course - half), spread, source


def _fissure(grid: LiverGrid, fork_lps: Point) -> tuple[Point, Point, float] | None:
    """The umbilical fissure: a gap in the liver's front, left of the bifurcation; None where there is none.

    Returns:
        Its middle at the umbilical portion's height, from there to the umbilical portion's end, and 0..1 how
        clear it is: a gap of just as many voxels as it takes may be one voxel short on another grid.
    """
    # Only there: a disc's closing needs what lies twice as far round.
    reach, (left, right), (front, back), (below, above) = 5, *usual.FISSURE_MM
    ends = itertools.product((left, right), (front, back), (below, above))
    corners = grid.geometry.lps_to_index(fork_lps + np.array(list(ends)))
    low = np.floor(corners.min(axis=0)).astype(int) - (1, 2 * reach, 2 * reach)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1 + (1, 2 * reach, 2 * reach)
    box = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))
    liver, bile = grid.liver_zyx[box], grid.gallbladder_zyx[box]
    if not liver.any():
        return None
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    around = np.pad(liver, ((0, 0), (reach + 1,) * 2, (reach + 1,) * 2))
    closed = ndimage.binary_closing(around, disc[None])[:, reach + 1 : -reach - 1, reach + 1 : -reach - 1]
    gap = closed & ~liver & ~ndimage.binary_dilation(bile, iterations=3)
    points = grid.geometry.index_to_lps(np.argwhere(gap) + [s.start for s in box]) - fork_lps
    x, y, z = points.T
    points = points[(x > left) & (x < right) & (y > front) & (y < back) & (z > below) & (z < above)]
    if len(points) < usual.FISSURE_VOXELS:
        return None
    # The line that most of the gap lies on: other notches of the outline are shorter.
    slope, level = 0.0, float(np.median(points[:, 0]))
    for _ in range(4):
        near = np.abs(points[:, 0] - level - slope * points[:, 1]) < 10
        seen = np.count_nonzero(near)
        if seen < usual.FISSURE_VOXELS or np.ptp(points[near, 1]) < 12:
            return None
        slope, level = np.polyfit(points[near, 1], points[near, 0], 1)
        slope = float(np.clip(slope, -usual.STEEPEST, usual.STEEPEST))
        level = float(np.median(points[near, 0] - slope * points[near, 1]))
    y_middle, y_half = usual.UMBILICAL_MM[1], usual.UMBILICAL_HALF_MM[1]
    step = np.array((level + slope * y_middle, y_middle, usual.UMBILICAL_MM[2]))
    clear = min(1.0, (seen - usual.FISSURE_VOXELS) / (usual.CLEAR_FISSURE_VOXELS - usual.FISSURE_VOXELS))
    return fork_lps + step, np.array((slope * y_half, y_half, usual.UMBILICAL_HALF_MM[2])), clear


def find_fossa(grid: LiverGrid) -> Landmark:
    """Where the gallbladder lies against the liver; without one its usual place."""
    bile = grid.gallbladder_zyx
    if bile.any():
        # The side that faces the liver, wherever the outlines leave a gap between the two.
        liver = np.argwhere(grid.liver_zyx & ~ndimage.binary_erosion(grid.liver_zyx))
        places = np.argwhere(bile)
        away = np.where(grid.liver_zyx[bile], 0.0, cKDTree(liver).query(places)[0])
        contact = grid.geometry.index_to_lps(places[away <= np.percentile(away, 25)])
        return _landmark(Name.GALLBLADDER, contact.mean(axis=0), 6.0, GALLBLADDER)
    at = grid.at_share(usual.BOX_SHARE[Name.GALLBLADDER])
    return _landmark(Name.GALLBLADDER, at, usual.SPREAD_MM[Name.GALLBLADDER], USUAL)


def vein_landmarks(
    grid: LiverGrid,
    hepatic_zyx: NDArray[np.float32],
    weights_zyx: NDArray[np.float32],
    known: dict[str, Landmark],
) -> dict[str, Landmark]:
    """A point on the course of each hepatic vein, from their angles about the IVC.

    Args:
        hepatic_zyx: 0..1, how likely each tube is a hepatic vein's.
        weights_zyx: of :func:`course_weights`.
        known: IVC and fossa.
    """
    high, low = np.array(known[Name.IVC_HIGH].lps), np.array(known[Name.IVC_LOW].lps)
    fossa = known[Name.GALLBLADDER]
    middle = usual.ANGLE_DEG[Name.MIDDLE_VEIN]
    if fossa.source == GALLBLADDER:
        step = np.array(fossa.lps) - low
        bed = float(np.clip(np.rad2deg(np.arctan2(-step[0], -step[1])) + usual.BEYOND_FOSSA_DEG, 12, 50))
        middle = (bed + middle) / 2
    expected = {**usual.ANGLE_DEG, Name.MIDDLE_VEIN: middle}
    mask = hepatic_zyx > 0
    points, likely = grid.points(mask), hepatic_zyx[mask]
    # Squared: what is as likely the portal vein's tells a quarter of a course, not half of it.
    weights = weights_zyx[mask] * likely**2
    return {
        name: _vein(name, points, likely, weights, (high, low), angle_deg)
        for name, angle_deg in expected.items()
    }


def course_weights(
    strength_zyx: NDArray[np.float32], tubes_zyx: NDArray[np.bool_], depth: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How much each tube voxel tells of its tree's course: a strong, thick tube tells most.

    Thin branches lead away from the course.

    Args:
        depth: (n,) of the tubes' voxels, :func:`~.tube_shape.depth_inside`.
    """
    weights = np.zeros(tubes_zyx.shape, np.float32)
    weights[tubes_zyx] = strength_zyx[tubes_zyx] * depth
    return weights


def _vein(
    name: str,
    points: Point,
    likely: NDArray[np.float32],
    weights: NDArray[np.float32],
    ends: tuple[Point, Point],
    expected: float,
) -> Landmark:
    """The likeliest angle of a vein among the tubes' voxels in its window, and a point on it.

    Args:
        likely: (n,) 0..1 of the points, hepatic veins; weights: (n,) how much each tells.
        ends: the IVC's line: at the confluence and at the hilum.
        expected: its usual angle.
    """
    high, low = ends
    window, spread = usual.ANGLE_WINDOW_DEG[name], usual.ANGLE_SPREAD_DEG[name]
    length, below = usual.VEIN_MM[name]
    if len(points):
        t = np.clip((points[:, 2] - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
        step = points[:, :2] - (low[:2] + t[:, None] * (high[:2] - low[:2]))
        angle = np.rad2deg(np.arctan2(-step[:, 0], -step[:, 1]))
        away = np.hypot(step[:, 0], step[:, 1])
        own = (angle > window[0]) & (angle < window[1]) & (away > usual.COURSE_MM[0])
        own &= (away < usual.COURSE_MM[1]) & (points[:, 2] > low[2] - 10)
        if likely[own].sum() >= FEWEST_VOXELS:
            bins = np.arange(window[0] + 1, window[1], 2.0)
            votes, _ = np.histogram(angle[own], bins.size, window, weights=weights[own])
            votes = votes.astype(float) + ANYWHERE * votes.mean()
            votes = ndimage.gaussian_filter1d(votes, 2.5, mode="constant")
            good = votes * np.exp(-0.5 * ((bins - expected) / spread) ** 2)
            # The mean of what is likely, not the likeliest: of two courses alike, another scan of the same
            # liver would give the other one.
            good = good + 1e-9
            best = float(np.average(bins, weights=good))
            doubt = float(np.sqrt(np.average((bins - best) ** 2, weights=good)))
            # Of all its course the part about the usual middle, so that the point means the same in all.
            off = np.hypot(away[own] - length, high[2] - below - points[own, 2])
            counts = weights[own] * (np.exp(-0.5 * (off / usual.VEIN_SPREAD_MM) ** 2) + 1e-4)
            counts = counts * np.exp(-0.5 * ((angle[own] - best) / 6.0) ** 2)
            if counts.sum() > 1e-9:
                reach = float(np.average(away[own], weights=counts))
                z = float(np.average(points[own, 2], weights=counts)) - usual.UNSEEN_MM[name]
                unsure = max(SEEN_MM, float(np.deg2rad(doubt)) * reach)
                if name == Name.LEFT_VEIN:
                    best, reach = best + usual.UNSEEN_LEFT[0], reach + usual.UNSEEN_LEFT[1]
                return _landmark(name, _on_course(high, low, z, reach, best), unsure, VEIN)
    middle = high + below / max(high[2] - low[2], 5.0) * (low - high)
    a = np.deg2rad(expected)
    at = middle + length * np.array([-np.sin(a), -np.cos(a), 0.0])
    return _landmark(name, at, float(np.deg2rad(spread) * length), USUAL)


def _weighed_median(index: NDArray[np.int64], weights: NDArray[np.float64]) -> Point:
    """Index (3,) that half of the weights of voxels (n, 3) lie before along each axis.

    Within a voxel too: their middles lie in planes, and of them alone the median would leap from one to the
    next.
    """
    middle = []
    for along in index.T:
        before = np.r_[0.0, np.cumsum(np.bincount(along, weights))]
        middle.append(float(np.interp(before[-1] / 2, before, np.arange(len(before)) - 0.5)))
    return np.array(middle)


def _on_course(high: Point, low: Point, z: float, reach: float, angle: float) -> Point:
    """LPS of a point at a height, so far from the IVC's line and at such an angle (degrees) about it."""
    t = np.clip((z - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
    x, y = low[:2] + t * (high[:2] - low[:2])
    a = np.deg2rad(angle)
    return np.array((x - reach * np.sin(a), y - reach * np.cos(a), z))


def _peak(
    grid: LiverGrid, strength_zyx: NDArray[np.float32], at_lps: Point, spread_xyz_mm: tuple[float, ...]
) -> Point | None:
    """LPS of the strongest place about a point; None where nothing strong lies within two spreads.

    The middle of what is nearly as strong beside it, not the strongest voxel: another grid would have another
    one.
    """
    index = np.asarray(grid.geometry.lps_to_index(at_lps))
    spread = np.array(spread_xyz_mm[::-1]) / GRID_MM
    low = np.maximum(np.floor(index - 2 * spread), 0).astype(int)
    high = np.minimum(np.ceil(index + 2 * spread) + 1, grid.geometry.shape_zyx).astype(int)
    if (high <= low).any() or not strength_zyx.any():
        return None
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    smooth = ndimage.gaussian_filter(strength_zyx, 1.5)
    part = smooth[box]
    offsets = np.stack(np.indices(part.shape), axis=-1) + low - index
    likely = part * np.exp(-0.5 * ((offsets / spread) ** 2).sum(axis=-1))
    best = np.unravel_index(int(likely.argmax()), likely.shape)
    # As strong as the stronger vessels of this liver.
    if part[best] < np.percentile(smooth[strength_zyx > 0], 85):
        return None
    own = tuple(slice(max(0, k - PEAK_VOXELS), k + PEAK_VOXELS + 1) for k in best)
    near = np.maximum(likely[own] / likely[best] - NEARLY, 0.0) ** 2
    middle = [float(np.average(at, weights=near)) for at in np.indices(near.shape)]
    return np.asarray(grid.geometry.index_to_lps(np.array([s.start for s in own]) + middle + low))


def _landmark(name: str, lps: Point, uncertainty_mm: float, source: str) -> Landmark:
    return Landmark(name, triple(np.round(lps, 2)), float(uncertainty_mm), source)
