"""How far a length or a volume can be trusted: intervals that hold the truth nine times in ten.

A mask's outline lies where the network's probability crosses its threshold. Where that is steep the outline
is sure, where it is flat another threshold would draw another one; thick slices add to it. Half the width of
a diameter's interval is

    FACTOR * sqrt(FLOOR_MM^2 + spread^2 + missed^2 + (SIZE_SHARE * diameter)^2)

with the spread of the equivalent diameter between two thresholds, and what slices miss: the one through the
widest place of a ball lies up to half a slice beside it, at any distance alike, so its diameter is too short
by a root mean square of thickness^2 / (sqrt(20) * diameter). `liverlesionai compare intervals` compares with
lesions whose truth is known, fits FACTOR and says how often it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..support.steps import Steps, finish
from ..volume.crops import Mask
from ..volume.ct import Geometry
from ..volume.geometry import index_triple
from ..volume.masks import components, label_boxes
from .findings import CaseResult, Lesion, LesionSource, ProbabilityMap
from .lesion_masks import lesion_masks

FLOOR_MM = 1.0
SIZE_SHARE = 0.05
FACTOR = 2.45
"""Holds 26 of 29 real lesions, of 5 patients whose scans the networks were trained on: others will hardly do
better. The factor that is fitted to them is 2.48; before lesions ended at the CT's edge it was 4.78, by three
that were outlined far too small or together with a neighbour: no interval round an outline tells of those."""
READER_MM = 3.0
"""Half-width where the reader drew the outline: what one reader's second measurement differs by."""
REACH_MM = 6.0
"""Around a lesion that its outline may be drawn differently in."""
HALF = 0.5
"""The thresholds are moved half the way to 0 and to 1."""

VOXELS_AT_ONCE = 1 << 16
"""That a mask is looked up at in one step."""

DIGITS = 2
"""Of half widths in mm, as they are kept: the same in a folder, a scene and right after the analysis."""

Interval = tuple[float, float]


def intervals_of(result: CaseResult) -> dict[int, Interval]:
    """Lesion number -> (low, high) of its long axis in mm, for lesions with a mask.

    None is given for a lesion whose outline neither a kept probability nor the reader has drawn.
    """
    masks, known = lesion_masks(result), result.probabilities.get("tumour")
    made = {}
    for lesion in result.lesions:
        if lesion.measurement is None or lesion.number not in masks:
            continue
        half = half_width_mm(lesion, masks[lesion.number], result.geometry, known)
        if half is None:
            continue
        axis = lesion.measurement.long_axis_mm
        made[lesion.number] = max(0.0, axis - half), axis + half
    return made


def half_width_mm(
    lesion: Lesion, mask: Mask, geometry: Geometry, known: ProbabilityMap | None
) -> float | None:
    """Half the width of a lesion's interval; None where nobody has drawn its outline.

    The reader's own where the reader drew it, else what is kept with the lesion, else by the probability.
    Arguments as of :func:`scale_mm`.
    """
    return finish(half_width_steps(lesion, mask, geometry, known))


def half_width_steps(
    lesion: Lesion, mask: Mask, geometry: Geometry, known: ProbabilityMap | None
) -> Steps[float | None]:
    """:func:`half_width_mm` in steps, for an event loop."""
    if lesion.measurement is None:
        return None
    if by_reader(lesion):
        return READER_MM
    if lesion.half_width_mm is not None:
        return lesion.half_width_mm
    scale = yield from _scale_steps(lesion, mask, geometry, known)
    return None if scale is None else round(FACTOR * scale, DIGITS)


def with_half_width_steps(
    lesion: Lesion, mask: Mask, geometry: Geometry, known: ProbabilityMap | None
) -> Steps[Lesion]:
    """The lesion with the half width of its interval, where the network drew its outline; in steps."""
    if by_reader(lesion):
        return lesion
    half = yield from half_width_steps(lesion, mask, geometry, known)
    return replace(lesion, half_width_mm=half)


def with_half_widths(
    lesions: Sequence[Lesion], labels_zyx: NDArray[Any], geometry: Geometry, known: ProbabilityMap
) -> tuple[Lesion, ...]:
    """The lesions with the half widths of their intervals, where the network drew their outlines.

    Args:
        labels_zyx: the lesions' numbers, on `geometry`.
        known: the tumour's probability.
    """
    boxes = label_boxes(labels_zyx)
    made = []
    for lesion in lesions:
        box = boxes.get(lesion.number)
        if box is not None:
            start = index_triple([axis.start for axis in box])
            mask = Mask(labels_zyx[box] == lesion.number, start)
            lesion = finish(with_half_width_steps(lesion, mask, geometry, known))
        made.append(lesion)
    return tuple(made)


def keeping_half_widths(result: CaseResult) -> CaseResult:
    """The result whose lesions keep their intervals (those of earlier versions do not)."""
    known = result.probabilities.get("tumour")
    if known is None or all(x.half_width_mm is not None or x.measurement is None for x in result.lesions):
        return result
    labels, geometry = result.lesion_labels_zyx, result.geometry
    return replace(result, lesions=with_half_widths(result.lesions, labels, geometry, known))


def by_reader(lesion: Lesion) -> bool:
    """Whether the outline is the reader's, so that the network's interval says nothing of it."""
    return lesion.edited or lesion.source is LesionSource.READER


def scale_mm(lesion: Lesion, mask: Mask, geometry: Geometry, known: ProbabilityMap | None) -> float | None:
    """What the interval of a lesion's long axis is a multiple of, mm; None where its outline is of nobody.

    Args:
        mask: of the lesion, on `geometry`.
        known: the tumour's probability, where it was kept.
    """
    return finish(_scale_steps(lesion, mask, geometry, known))


def missed_mm(diameter_mm: float, thickness_mm: float) -> float:
    """What slices miss of a ball's diameter, root mean square, mm; of one thinner than a slice, its share."""
    return min(thickness_mm, diameter_mm) ** 2 / (math.sqrt(20.0) * diameter_mm) if diameter_mm > 0 else 0.0


def _scale_steps(
    lesion: Lesion, mask: Mask, geometry: Geometry, known: ProbabilityMap | None
) -> Steps[float | None]:
    if lesion.measurement is None:
        return None
    axis = lesion.measurement.long_axis_mm
    parts = [FLOOR_MM, missed_mm(axis, geometry.spacing_zyx_mm[0]), SIZE_SHARE * axis]
    if not by_reader(lesion):
        if known is None:
            return None
        parts.append((yield from _spread_steps(mask, geometry, known)))
    return math.hypot(*parts)


def _spread_steps(mask: Mask, geometry: Geometry, known: ProbabilityMap) -> Steps[float]:
    """Half the difference of the equivalent diameters that a lower and a higher threshold draw, mm."""
    grid, reach = known.geometry, REACH_MM
    index = np.argwhere(mask.voxels_zyx) + np.array(mask.start_zyx)
    corners = np.array([index.min(axis=0) - 0.5, index.max(axis=0) + 0.5])
    lps = np.asarray(geometry.index_to_lps(_all_corners(corners)))
    there = np.asarray(grid.lps_to_index(lps))
    margin = reach / np.array(grid.spacing_zyx_mm)
    start = np.maximum(0, np.floor(there.min(axis=0) - margin)).astype(int)
    stop = np.minimum(grid.shape_zyx, np.ceil(there.max(axis=0) + margin) + 1).astype(int)
    if (stop <= start).any():
        return 0.0
    values = known.values_zyx[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    yield
    own = yield from _sampled(mask, geometry, grid, start, values.shape)
    if not own.any():
        return 0.0
    distance = ndimage.distance_transform_edt(~own, sampling=grid.spacing_zyx_mm)
    near = distance <= reach
    yield
    probability, threshold = values / 255.0, known.threshold
    levels = threshold * (1 - HALF), threshold + (1 - threshold) * HALF
    diameters = []
    for level in levels:
        parts, _ = components((probability >= level) & near, 6)
        kept = np.isin(parts, np.unique(parts[own & (parts > 0)]))
        volume = float(np.count_nonzero(kept & (parts > 0))) * grid.voxel_volume_mm3
        diameters.append((6 * volume / math.pi) ** (1 / 3))
        yield
    return float(abs(diameters[0] - diameters[1]) / 2)


def _all_corners(ends: NDArray[Any]) -> NDArray[Any]:
    return np.array(np.meshgrid(*ends.T, indexing="ij")).reshape(3, -1).T


def _sampled(
    mask: Mask, geometry: Geometry, grid: Geometry, start: NDArray[Any], shape: tuple[int, ...]
) -> Steps[NDArray[np.bool_]]:
    """The mask at the voxels of a part of another grid."""
    made = np.zeros(shape, bool)
    depth = max(1, VOXELS_AT_ONCE // (shape[1] * shape[2]))
    for first in range(0, shape[0], depth):
        part = made[first : first + depth]
        index = np.moveaxis(np.indices(part.shape), 0, -1) + start + np.array([first, 0, 0])
        there = np.rint(np.asarray(geometry.lps_to_index(grid.index_to_lps(index)))).astype(int)
        there -= np.array(mask.start_zyx)
        inside = ((there >= 0) & (there < np.array(mask.voxels_zyx.shape))).all(axis=-1)
        z, y, x = there[inside].T
        part[inside] = mask.voxels_zyx[z, y, x]
        yield
    return made


def conformal_factor(errors_mm: NDArray[Any], scales_mm: NDArray[Any], share: float = 0.9) -> float:
    """The factor whose intervals hold a next lesion in `share` of the cases (split conformal prediction).

    The ceil((n + 1) * share)-th smallest of |error| / scale; infinite where there are too few lesions.
    """
    ratios = np.sort(np.abs(errors_mm) / np.asarray(scales_mm))
    rank = math.ceil((len(ratios) + 1) * share - 1e-9)
    return float(ratios[rank - 1]) if rank <= len(ratios) else math.inf
