"""What can be measured on a lesion in one contrast phase: densities, edge, texture, number alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.distance import distance_mm
from ...volume.masks import label_boxes

NEAR_MM = 14.0
"""How far around a lesion its liver is measured."""
GAP_MM = 3.0
"""What lies nearer to a lesion is its edge, not liver."""
CORE_DEPTH_MM = 2.0
"""From the lesion's outline inwards, where partial volume ends."""
RIM_MM = 3.0
"""Width of the rim on either side of the outline."""
ROUND_SHARE = 0.5
"""A rim goes round: up to so much of the way it may be missing, and what is bright on less of the way is a
vessel beside the lesion and no rim. 0.35 was tried as well: it takes rims with gaps for none."""
FEWEST_SECTORS = 4
EDGE_SHARES = (0.2, 0.8)
"""An edge's width is between these shares of the way from the core's density to the liver's."""
FEWEST_VOXELS = 6
INSIDE_SHARE = 0.3
"""What lies so far inside, of the way to the deepest place, is its inside."""
SCAR_MM = 2.5
"""Smoothing that leaves a scar and takes noise."""
SURFACE_MM = 20.0
"""Deeper is deep."""


@dataclass(frozen=True)
class LesionFeatures:
    """One lesion in one phase; densities in HU, lengths in mm, NaN where it could not be measured.

    Attributes:
        core_hu: median of its inside, away from the outline; of small ones of the darkest (or brightest)
            third.
        core_error_hu: standard error of it from noise.
        liver_hu: median of the liver around, without lesions and bright vessels.
        noise_hu: robust SD of that liver.
        rim_hu: of the shells within 3 mm of the outline, inside and outside, the one that is brightest all
            round: what is as bright on most sides, whatever the others are.
        spread_hu: robust SD of the core.
        edge_mm: width of the edge.
        diameter_mm: of the ball with its volume.
        whole_core: whether there was an inside away from the outline.
        bright_hu: middle of its brightest tenth, smoothed by 1 mm: lumps that enhance, calcium.
        liver_bright_hu: the same of the liver around, vessels with it; core_bright_hu: of its core, without
            rim.
        dark_hu: middle of its darkest tenth: dead parts, fluid.
        mosaic: spread of the core, smoothed to 2 mm, against the liver's smoothed alike.
        centre_hu: its deepest third minus what lies outside of that: a scar, dead tissue, none.
        surface_mm: from its middle to the liver's surface, at most 20.
        scar_hu: the darkest twentieth of its inside, smoothed by 2.5 mm, minus the inside's median: a scar or
            dead tissue wherever it lies, in an outline of any shape.
    """

    core_hu: float
    core_error_hu: float
    liver_hu: float
    noise_hu: float
    rim_hu: float
    spread_hu: float
    edge_mm: float
    diameter_mm: float
    whole_core: bool
    bright_hu: float = math.nan
    liver_bright_hu: float = math.nan
    core_bright_hu: float = math.nan
    dark_hu: float = math.nan
    mosaic: float = math.nan
    centre_hu: float = math.nan
    surface_mm: float = math.nan
    scar_hu: float = math.nan

    @property
    def through(self) -> float:
        """How far its core's brightest tenth stands out against the liver's; about 1 where vessels run on."""
        standing = self.liver_bright_hu - self.liver_hu
        return (self.core_bright_hu - self.core_hu) / standing if standing >= 5 else math.nan

    @property
    def contrast_hu(self) -> float:
        """Core minus liver."""
        return self.core_hu - self.liver_hu

    @property
    def texture(self) -> float:
        """Spread of the core against the liver's noise: 1 for a lesion as even as liver."""
        return self.spread_hu / max(self.noise_hu, 1.0)

    @property
    def rim_contrast_hu(self) -> float:
        """Rim above the core and the liver, whichever is brighter; positive for an enhancing rim."""
        return self.rim_hu - max(self.core_hu, self.liver_hu)


def measure_features(
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    spacing_zyx_mm: tuple[float, float, float],
) -> dict[int, LesionFeatures]:
    """Every lesion's features, by number.

    Args:
        hu_zyx: HU; (z, y, x), as the other arrays.
        liver_zyx: the liver with its lesions.
        labels_zyx: 0, or the lesion's number.
        spacing_zyx_mm: of all three arrays.
    """
    found = {}
    margin = [math.ceil((NEAR_MM + GAP_MM) / s) + 1 for s in spacing_zyx_mm]
    for number, box in label_boxes(labels_zyx).items():
        wide = tuple(
            slice(max(0, s.start - m), min(n, s.stop + m))
            for s, m, n in zip(box, margin, labels_zyx.shape, strict=True)
        )
        found[number] = _measure(
            np.asarray(hu_zyx[wide], np.float32),
            liver_zyx[wide],
            labels_zyx[wide] == number,
            labels_zyx[wide] > 0,
            spacing_zyx_mm,
        )
    return found


def _measure(
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    lesions: NDArray[np.bool_],
    spacing: tuple[float, float, float],
) -> LesionFeatures:
    half = min(spacing) / 2
    outside = distance_mm(~mask, spacing) - half
    inside = distance_mm(mask, spacing) - half
    distance = np.where(mask, -inside, outside)
    around = liver & ~lesions & (outside > GAP_MM) & (outside <= NEAR_MM)
    liver_hu, noise_hu = _liver(hu[around])
    deep = mask & (inside >= CORE_DEPTH_MM)
    core, whole = _core(hu, mask, inside, liver_hu)
    core_hu = float(np.median(core))
    volume_mm3 = float(mask.sum()) * float(np.prod(spacing))
    return LesionFeatures(
        core_hu=core_hu,
        core_error_hu=1.25 * _robust_sd(core) / math.sqrt(max(1.0, core.size / 8)),
        liver_hu=liver_hu,
        noise_hu=noise_hu,
        rim_hu=_rim(hu, distance, liver | mask, lesions & ~mask, _sectors(mask, spacing)),
        spread_hu=_robust_sd(core),
        edge_mm=_edge(hu, distance, (liver | mask) & ~(lesions & ~mask), core_hu, liver_hu),
        diameter_mm=(6 * volume_mm3 / math.pi) ** (1 / 3),
        whole_core=whole,
        bright_hu=_bright(hu, mask, spacing),
        liver_bright_hu=_bright(hu, around, spacing),
        core_bright_hu=_bright(hu, deep, spacing),
        dark_hu=_bright(hu, mask, spacing, 5),
        mosaic=_mosaic(hu, deep, around, spacing),
        centre_hu=_centre(hu, mask, inside),
        surface_mm=_surface(liver | mask, mask, spacing),
        scar_hu=_scar(hu, mask, inside, spacing),
    )


def _bright(
    hu: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    percent: float = 95,
) -> float:
    """Middle of the brightest tenth, or another percentile; NaN of a lesion too small to have one."""
    if mask.sum() < 10 * FEWEST_VOXELS:
        return math.nan
    smooth = ndimage.gaussian_filter(hu, [1.0 / s for s in spacing])
    return float(np.percentile(smooth[mask], percent))


def _mosaic(
    hu: NDArray[np.float32],
    core: NDArray[np.bool_],
    around: NDArray[np.bool_],
    spacing: tuple[float, float, float],
) -> float:
    """Unevenness coarser than noise, against the liver's; NaN of a small core, or without liver."""
    if core.sum() < 10 * FEWEST_VOXELS or around.sum() < 10 * FEWEST_VOXELS:
        return math.nan
    smooth = ndimage.gaussian_filter(hu, [2.0 / s for s in spacing])
    return _robust_sd(smooth[core]) / max(_liver(smooth[around])[1], 1.0)


def _centre(hu: NDArray[np.float32], mask: NDArray[np.bool_], inside: NDArray) -> float:
    """The deepest third against what lies half as deep; NaN of a small lesion."""
    deepest = float(inside.max())
    centre = mask & (inside >= 0.67 * deepest)
    outer = mask & (inside >= CORE_DEPTH_MM) & (inside < 0.5 * deepest)
    if min(centre.sum(), outer.sum()) < 2 * FEWEST_VOXELS:
        return math.nan
    return float(np.median(hu[centre]) - np.median(hu[outer]))


def _scar(
    hu: NDArray[np.float32],
    mask: NDArray[np.bool_],
    inside: NDArray,
    spacing: tuple[float, float, float],
) -> float:
    """The darkest part of what lies well inside against the rest of that; NaN of a small lesion."""
    within = mask & (inside >= max(CORE_DEPTH_MM, INSIDE_SHARE * float(inside.max())))
    if within.sum() < 5 * FEWEST_VOXELS:
        return math.nan
    # Of the lesion alone: what lies beside it must not shine in.
    widths = [SCAR_MM / s for s in spacing]
    share = ndimage.gaussian_filter(mask.astype(np.float32), widths)
    smooth = ndimage.gaussian_filter(np.where(mask, hu, np.float32(0)), widths) / np.maximum(share, 0.05)
    return float(np.percentile(smooth[within], 5) - np.median(hu[within]))


def _surface(liver: NDArray[np.bool_], mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    """From the lesion's middle to where the liver ends; what is cut from the scan ends nothing."""
    if liver.all():
        return SURFACE_MM
    depth = distance_mm(liver, spacing)
    return min(SURFACE_MM, float(np.median(depth[mask])))


def _liver(values: NDArray[np.float32]) -> tuple[float, float]:
    """Level and noise of liver; vessels, the brightest part, are left out."""
    if values.size < FEWEST_VOXELS:
        return math.nan, math.nan
    middle = float(np.median(values))
    kept = values[np.abs(values - middle) <= 3 * max(_robust_sd(values), 1.0)]
    return float(np.median(kept)), _robust_sd(kept)


def _core(
    hu: NDArray[np.float32], mask: NDArray[np.bool_], inside: NDArray, liver_hu: float
) -> tuple[NDArray[np.float32], bool]:
    """The lesion's inside; of one too small for that, the third of it farthest from the liver's density."""
    deep = hu[mask & (inside >= CORE_DEPTH_MM)]
    if deep.size >= FEWEST_VOXELS:
        return deep, True
    values = np.sort(hu[mask])
    third = max(1, min(values.size, max(FEWEST_VOXELS, values.size // 3)))
    dark = not math.isfinite(liver_hu) or float(np.median(values)) <= liver_hu
    return (values[:third] if dark else values[-third:]), False


def _robust_sd(values: NDArray) -> float:
    if values.size < 2:
        return 0.0
    low, high = np.percentile(values, (25, 75))
    return float(high - low) / 1.349


def _sectors(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.intp]:
    """In which of twelve even directions from the mask's middle (an icosahedron's corners) a voxel lies."""
    golden = (1 + math.sqrt(5)) / 2
    near = [(0.0, one, other * golden) for one in (-1, 1) for other in (-1, 1)]
    corners = np.array([np.roll(corner, turn) for turn in range(3) for corner in near])
    middle = np.argwhere(mask).mean(axis=0)
    axes = [(np.arange(n) - c) * s for n, c, s in zip(mask.shape, middle, spacing, strict=True)]
    best = np.full(mask.shape, -np.inf)
    found = np.zeros(mask.shape, np.intp)
    for number, (z, y, x) in enumerate(corners):
        along = z * axes[0][:, None, None] + y * axes[1][None, :, None] + x * axes[2][None, None, :]
        found[along > best] = number
        best = np.maximum(best, along)
    return found


def _rim(
    hu: NDArray,
    distance: NDArray,
    within: NDArray[np.bool_],
    others: NDArray[np.bool_],
    sectors: NDArray[np.intp],
) -> float:
    """Of the shells around the outline, 1 mm each, the highest level that goes round.

    A shell's level is the :data:`ROUND_SHARE` quantile of its sectors' means, each by its size: a branch
    beside the lesion raises a few of them, a rim nearly all.
    """
    levels = []
    for low in np.arange(-RIM_MM, RIM_MM, 1.0):
        shell = within & ~others & (distance > low) & (distance <= low + 1.0)
        if shell.sum() < FEWEST_VOXELS:
            continue
        own, values = sectors[shell], hu[shell]
        sizes = np.bincount(own)
        sums = np.bincount(own, weights=values)
        kept = sizes >= 2
        if kept.sum() < FEWEST_SECTORS:
            levels.append(float(np.median(values)))
            continue
        means, sizes = sums[kept] / sizes[kept], sizes[kept]
        order = np.argsort(means)
        so_far = (np.cumsum(sizes[order]) - 0.5 * sizes[order]) / sizes.sum()
        levels.append(float(np.interp(ROUND_SHARE, so_far, means[order])))
    return max(levels, default=math.nan)


def _edge(
    hu: NDArray, distance: NDArray, within: NDArray[np.bool_], core_hu: float, liver_hu: float
) -> float:
    """Distance over which the mean density goes from the core's to the liver's."""
    if not math.isfinite(liver_hu) or abs(core_hu - liver_hu) < 10:
        return math.nan
    places = np.arange(-6.0, 6.5, 0.5)
    means = []
    for place in places:
        shell = within & (np.abs(distance - place) <= 0.75)
        means.append(float(hu[shell].mean()) if shell.sum() >= FEWEST_VOXELS else math.nan)
    known = np.isfinite(means)
    if known.sum() < 4:
        return math.nan
    share = np.interp(places, places[known], (np.array(means)[known] - core_hu) / (liver_hu - core_hu))
    share = np.maximum.accumulate(np.clip(share, 0, 1))
    ends = [float(places[int(np.argmax(share >= s))]) if (share >= s).any() else 6.0 for s in EDGE_SHARES]
    return max(0.0, ends[1] - ends[0])


def alike(features: Mapping[int, LesionFeatures], within_hu: float) -> dict[int, tuple[int, ...]]:
    """For each lesion the others whose contrast to the liver differs by at most `within_hu`."""
    return {
        number: tuple(
            key
            for key, other in features.items()
            if key != number and abs(one.contrast_hu - other.contrast_hu) <= within_hu
        )
        for number, one in features.items()
    }
