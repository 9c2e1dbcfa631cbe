"""A lesion's outline from clicks, by what tells it from the liver: density, edge, being one round piece.

Several ideas of the lesion's density (its middle's, its surroundings', anything that is not liver) and of its
size each give their best star-shaped surface; the surface whose outside is most surely liver, and its inside
most surely not, is taken. Nothing here was learnt; its constants were chosen on the 41 lesions of twelve
training scans of SynthLiver-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.geometry import Index3, index_triple
from ...volume.masks import components
from .contrast import SD_OF_MAD
from .point import PointSettings, distance_to, grow_by_probability
from .rays import Shells, best_surface, directions, points_along, within_surface

SpacingMm = tuple[float, float, float]

SMOOTH_MM = 0.6
"""SD of the smoothing of the CT."""

LEAST_SPREAD_HU = 5.0
"""A liver's SD is taken to be no less: a smoothed phantom has none."""

SEEDS_MM = (1.2, 2.5, 4.0)
"""SDs of the surroundings of a click whose mean may be the lesion's density."""

APART = 0.5
"""SDs of the liver that two such densities differ by, to be tried apart."""

ODD = 1.0
"""How much less likely than the liver's middle density anything that is not liver is, in logarithms."""

EXTREME = 6.0
DECIDES = 1.5
"""No place is farther from an idea than the first, none counts for more than the second, in logarithms."""

LEANS = (-0.4, 0.0, 0.4)
"""Readiness to call a place liver, in logarithms: less, even, more."""

REACHES = (1.0, 0.35, 0.15)
"""Of the reach: sizes that are tried."""

INNER_MM = (-2.0, -1.5, -1.0)
OUTER_MM = (1.0, 1.5, 2.0, 2.5)
"""From the surface: where its two sides are looked at."""

CELL_MM = 3.0
"""Of a surface: places so far apart say something of their own."""

GROWTH = 0.7
"""A larger surface is surer by this power of its independent places: by 0.5 were it chance alone."""

LEAST_NOISE_HU = 4.0
LEAST_DIRECTIONS = 20
"""An edge's step varies by no less than the first; in fewer directions than the second none can be told."""

LEAST_REACH_MM = 2.0
"""No size that is tried is smaller."""

CLEAR_MM = 1.0
"""So much room is left round a click that is not in the lesion."""


@dataclass(frozen=True)
class LiverLevel:
    """The liver's density round a lesion: median and robust SD, HU."""

    hu: float
    spread_hu: float

    @classmethod
    def of(cls, hu_zyx: NDArray, liver_zyx: NDArray[np.bool_], spacing_zyx_mm: SpacingMm) -> LiverLevel:
        """Of a dozen slices of the liver, which is not empty, smoothed in plane."""
        filled = np.flatnonzero(liver_zyx.any(axis=(1, 2)))
        chosen = np.unique(filled[np.linspace(0, len(filled) - 1, min(12, len(filled))).astype(int)])
        smoothing = [0.0, *(SMOOTH_MM / np.array(spacing_zyx_mm[1:]))]
        values = ndimage.gaussian_filter(hu_zyx[chosen].astype(np.float32), smoothing)[liver_zyx[chosen]]
        level = float(np.median(values))
        return cls(level, max(SD_OF_MAD * float(np.median(np.abs(values - level))), LEAST_SPREAD_HU))


@dataclass(frozen=True, eq=False)
class _Surface:
    """One idea's best surface: (n,) mm, and how clear its edge is."""

    radius_mm: NDArray[np.float64]
    clearness: float


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A frame of the CT in which clicks are answered.

    Attributes:
        hu_zyx: at least `point_reach_mm` round the clicks.
        inside_zyx: where a lesion may lie.
        liver: its density.
    """

    hu_zyx: NDArray
    spacing_zyx_mm: SpacingMm
    inside_zyx: NDArray[np.bool_]
    liver: LiverLevel

    @cached_property
    def smooth(self) -> NDArray[np.float32]:
        """HU, smoothed by `SMOOTH_MM`."""
        return ndimage.gaussian_filter(
            self.hu_zyx.astype(np.float32), SMOOTH_MM / np.array(self.spacing_zyx_mm)
        )


def outline_star(
    seen: Surroundings,
    at: Index3,
    settings: PointSettings,
    beside: Sequence[Index3] = (),
    reach_mm: float = np.inf,
) -> NDArray[np.bool_]:
    """The mask of what was clicked on; a ball of `point_ball_mm` where no edge can be told.

    Args:
        at: a voxel in the lesion; beside: some that are not, which the outline stays away from.
        reach_mm: how far it reaches, should that be less than `point_reach_mm`.
    """
    best: _Surface | None = None
    spacing, liver, allowed = seen.spacing_zyx_mm, seen.liver, seen.inside_zyx.astype(np.float32)
    reach_mm = min(reach_mm, settings.point_reach_mm)
    sizes = [Shells.up_to(max(share * reach_mm, LEAST_REACH_MM)) for share in REACHES]
    places = points_along(at, sizes[0].middle_mm[None], spacing)
    hu = ndimage.map_coordinates(seen.smooth, places, order=1, mode="nearest")
    outside = ndimage.map_coordinates(allowed, places, order=1, mode="constant") <= 0.5
    barred = _barred(at, beside, sizes[0], spacing)
    liver_odds = _unlikely(hu, liver.hu, liver.spread_hu)
    for level in _levels(seen.smooth, at, spacing, liver):
        other = np.full_like(hu, ODD) if level is None else _unlikely(hu, level, liver.spread_hu)
        for lean in LEANS:
            cost = np.clip(other - liver_odds + lean, -DECIDES, DECIDES)
            cost[outside] = DECIDES
            cost[barred] = 50 * DECIDES
            largest = np.inf
            for shells in sizes:
                steps = len(shells.outer_mm)
                if largest < steps:
                    # The best of all that are farther out lies within already.
                    continue
                count = best_surface(cost[:, :steps], shells)
                largest = int(count.max())
                clear = _clearness(seen, allowed, at, shells.outer_mm[count - 1], count == steps, level)
                if clear > (0.0 if best is None else best.clearness):
                    best = _Surface(shells.outer_mm[count - 1], clear)
    if best is None:
        ball_mm = min(reach_mm, settings.point_ball_mm)
        return (distance_to(seen.hu_zyx.shape, at, spacing) <= ball_mm) & seen.inside_zyx
    return within_surface(index_triple(seen.hu_zyx.shape), at, best.radius_mm, spacing) & seen.inside_zyx


def corrected(
    seen: Surroundings,
    drawn_zyx: NDArray[np.bool_],
    at: Index3,
    settings: PointSettings,
    suspected_zyx: NDArray[np.float32] | None = None,
) -> NDArray[np.bool_]:
    """An outline after one more click: beside it what is there is added, in it what lies about there goes.

    A click is put in the middle of what is wrong, so this reaches twice as far as from the click to the
    outline. What goes is the piece at the click of all that a surface round the outline's deepest voxel
    leaves out when it has to stay away from the click.

    Args:
        drawn_zyx: the outline, on the frame's grid.
        suspected_zyx: the segmenter's probability of tumour, 0..1: what it suspects there is added first.
    """
    away = distance_to(drawn_zyx.shape, at, seen.spacing_zyx_mm)
    if not drawn_zyx[at]:
        if suspected_zyx is not None:
            there = grow_by_probability(
                suspected_zyx, at, seen.spacing_zyx_mm, seen.inside_zyx & ~drawn_zyx, settings
            )
            if there is not None:
                return drawn_zyx | there
        about_mm = 2 * float(away[drawn_zyx].min()) + CLEAR_MM
        return drawn_zyx | outline_star(seen, at, settings, reach_mm=about_mm)
    depth = ndimage.distance_transform_edt(np.pad(drawn_zyx, 1), sampling=seen.spacing_zyx_mm)[
        1:-1, 1:-1, 1:-1
    ]
    about_mm = 2 * float(depth[at]) + CLEAR_MM
    # Its own deepest voxel may be what was clicked on.
    deepest = index_triple(np.unravel_index(np.argmax(np.where(away > CLEAR_MM, depth, 0)), depth.shape))
    kept = outline_star(seen, deepest, settings, (at,)) if depth[deepest] > 0 else np.zeros_like(drawn_zyx)
    gone = drawn_zyx & ~kept & (away <= about_mm)
    gone[at] = True
    pieces, _ = components(gone)
    return drawn_zyx & (pieces != pieces[at])


def _unlikely(hu: NDArray, level_hu: float, spread_hu: float) -> NDArray:
    """Minus the logarithm of how likely a density is, up to a constant."""
    return np.minimum(np.square(hu - level_hu) / (2 * spread_hu**2), EXTREME)


def _levels(
    smooth: NDArray[np.float32], at: Index3, spacing: SpacingMm, liver: LiverLevel
) -> list[float | None]:
    """Densities that the lesion may have, HU; None: any that is not the liver's."""
    distance = distance_to(smooth.shape, at, spacing)
    found: list[float | None] = []
    for sd in SEEDS_MM:
        near = distance < 3 * sd
        weight = np.exp(-np.square(distance[near]) / (2 * sd**2))
        level = float((weight * smooth[near]).sum() / weight.sum())
        if all(other is None or abs(level - other) > APART * liver.spread_hu for other in found):
            found.append(level)
    return [*found, None]


def _barred(at: Index3, beside: Sequence[Index3], shells: Shells, spacing: SpacingMm) -> NDArray[np.bool_]:
    """Shells (n, k) that reach to a click beside the lesion, or beyond it."""
    unit = directions().unit_zyx
    barred = np.zeros((len(unit), len(shells.outer_mm)), bool)
    for click in beside:
        way = (np.array(click) - np.array(at)) * np.array(spacing)
        distance = float(np.linalg.norm(way))
        cosine = unit @ (way / max(distance, 1e-6))
        towards = cosine >= min(np.cos(np.arctan2(CLEAR_MM, distance)), cosine.max() - 1e-9)
        barred[np.ix_(towards, shells.middle_mm > distance - CLEAR_MM / 2)] = True
    return barred


def _clearness(
    seen: Surroundings,
    allowed: NDArray[np.float32],
    at: Index3,
    radius_mm: NDArray[np.float64],
    ends: NDArray[np.bool_],
    level_hu: float | None,
) -> float:
    """How surely liver begins at a surface: the mean step over its error; less where it ends otherwise.

    Args:
        ends: directions in which it ends because nothing farther was tried.
        level_hu: of the lesion; None where its density is any but the liver's.
    """

    def along(offsets_mm: tuple[float, ...], volume: NDArray, order: int) -> NDArray:
        radii = np.maximum(radius_mm[:, None] + np.array(offsets_mm), 0.3)
        return ndimage.map_coordinates(
            volume,
            points_along(at, radii, seen.spacing_zyx_mm),
            order=order,
            mode="nearest" if order else "constant",
        )

    told = (along(OUTER_MM, allowed, 0) > 0.5).all(axis=1) & ~ends
    if told.sum() < LEAST_DIRECTIONS:
        return -np.inf
    inner = along(INNER_MM, seen.smooth, 1).mean(axis=1)[told]
    outer = along(OUTER_MM, seen.smooth, 1).mean(axis=1)[told]
    darker = np.sign(seen.liver.hu - (float(np.median(inner)) if level_hu is None else level_hu))
    step = darker * (seen.liver.hu - inner) - np.maximum(darker * (seen.liver.hu - outer), 0)
    share = told.mean()
    area = 4 * np.pi * float(np.square(radius_mm[told]).mean()) * share
    independent = min(float(told.sum()), area / CELL_MM**2)
    return float(step.mean() / max(float(step.std()), LEAST_NOISE_HU) * independent**GROWTH * share)
