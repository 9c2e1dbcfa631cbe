"""Parallel slices at any positions, put onto a regular grid by where they really lie."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..support.errors import GeometryError
from ..volume.ct import AIR_HU, Geometry

# Rounded positions in the headers must not count as uneven: share of the slice distance, and limits in mm.
EVEN_SHARE, EVEN_LEAST_MM, EVEN_MOST_MM = 0.1, 0.06, 0.3
# Beyond this many mm without a slice nothing is invented: the scan is taken apart there.
WIDEST_GAP_MM = 40.0
# Slices that lie within half a pixel of the straight stack are left where they are.
SHIFT_PIXELS = 0.5
# Cosine between row and column that is rounding.
PERPENDICULAR = 1e-3
# Slices run along the coarsest axis of a tilted grid if it is so much coarser than the finest.
COARSER = 1.2


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Where parallel slices lie.

    Attributes:
        positions_lps: (n, 3) centre of each slice's first pixel, mm; strictly ascending along `normal_lps`.
        row_lps: unit vector along a row (growing x index).
        column_lps: unit vector along a column (growing y index).
        spacing_yx_mm: pixel spacing along the column and the row.
    """

    positions_lps: NDArray[np.float64]
    row_lps: NDArray[np.float64]
    column_lps: NDArray[np.float64]
    spacing_yx_mm: tuple[float, float]

    @property
    def normal_lps(self) -> NDArray[np.float64]:
        """Unit vector from slice to slice, right-handed with row and column."""
        normal = np.cross(self.row_lps, self.column_lps)
        return normal / np.linalg.norm(normal)

    @property
    def distances_mm(self) -> NDArray[np.float64]:
        """(n,) position of each slice along the normal."""
        return self.positions_lps @ self.normal_lps


def slice_step_mm(distances_mm: NDArray[np.float64]) -> float:
    """The slice distance: the smallest one that at least a fifth of the gaps have, else the median."""
    gaps = np.diff(distances_mm)
    for gap in np.unique(np.round(gaps, 3)):
        alike = gaps[np.abs(gaps - gap) <= 0.1 * gap]
        if gap > 0 and len(alike) >= 0.2 * len(gaps):
            return float(np.median(alike))
    return float(np.median(gaps))


def is_even(distances_mm: NDArray[np.float64]) -> bool:
    """Whether slices lie at equal distances, up to the rounding of headers."""
    n = len(distances_mm)
    step = (distances_mm[-1] - distances_mm[0]) / max(n - 1, 1)
    tolerance = max(EVEN_LEAST_MM, min(EVEN_SHARE * step, EVEN_MOST_MM))
    return bool(np.abs(distances_mm - (distances_mm[0] + step * np.arange(n))).max() <= tolerance)


def regular(values: NDArray[Any], stack: SliceStack) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Put slices onto a regular grid by their real positions.

    Even, straight stacks come back as they are. A tilted gantry (each slice shifted against the one before)
    is undone by moving the slices within their planes, missing or uneven slices by linear interpolation
    between neighbours. Where more than 40 mm are missing only the longest part is kept.

    Args:
        values: (n, y, x) in the order of `stack.positions_lps`.
        stack: their positions; reversed order is allowed.

    Returns:
        (values, geometry, warnings): the volume, its grid, and what was changed, in sentences.

    Raises:
        GeometryError: rows and columns that are not perpendicular, or slices shifted too far to make one
            volume.
    """
    if abs(float(stack.row_lps @ stack.column_lps)) > PERPENDICULAR:
        raise GeometryError("Rows and columns of the slices are not perpendicular.")
    positions = np.asarray(stack.positions_lps, float)
    if len(positions) > 1 and stack.distances_mm[-1] < stack.distances_mm[0]:
        positions, values = positions[::-1], values[::-1]
    warnings: list[str] = []
    stack = SliceStack(positions, stack.row_lps, stack.column_lps, stack.spacing_yx_mm)
    values, stack = _longest_part(values, stack, warnings)
    values, stack = _straightened(values, stack, warnings)
    values, first_lps, step = _evened(values, stack, warnings)
    # The rows and columns of headers are rounded; the nearest perpendicular axes belong to the grid.
    left, _, right = np.linalg.svd(np.stack([stack.row_lps, stack.column_lps, stack.normal_lps], axis=1))
    geometry = Geometry.make(values.shape, (step, *stack.spacing_yx_mm), first_lps, left @ right)
    return values, geometry, tuple(warnings)


def slice_axis(axes: NDArray[np.float64], spacing_xyz: NDArray[np.float64]) -> int | None:
    """Along which stored axis a tilted grid has its slices: the two others are perpendicular to each other.

    Args:
        axes: 3 x 3, unit vectors of the stored axes as columns.
        spacing_xyz: distances along them.

    Returns:
        0, 1 or 2 for x, y, z; None where no two axes are perpendicular.
    """
    skew = np.abs(axes.T @ axes)
    pairs = {along: tuple(a for a in range(3) if a != along) for along in range(3)}
    possible = [along for along, pair in pairs.items() if skew[pair] <= PERPENDICULAR]
    if not possible:
        return None
    coarsest = max(possible, key=lambda a: (spacing_xyz[a], a))
    return coarsest if spacing_xyz[coarsest] > COARSER * min(spacing_xyz) else max(possible)


def slices_at(geometry: Geometry, positions_lps: NDArray[np.float64]) -> list[int | None]:
    """Which slice, if any, each plane of a grid shows, by their positions along the grid's z.

    Args:
        geometry: of a volume made of these slices.
        positions_lps: (n, 3) first pixel of each slice, any order, mm.

    Returns:
        per z, the index of the slice that lies there; None where none does (the plane was interpolated).
    """
    along = (positions_lps - geometry.origin_lps) @ geometry.directions_lps[:, 2]
    count, step = geometry.shape_zyx[0], geometry.spacing_zyx_mm[0]
    order = np.argsort(along)
    wanted = step * np.arange(count)
    if len(order) == count and is_even(along[order]) and np.abs(along[order] - wanted).max() < step / 2:
        return [int(k) for k in order]
    nearest = np.abs(along[:, None] - wanted).argmin(axis=0)
    close = np.abs(along[nearest] - wanted) < 0.03 * step
    return [int(k) if near else None for k, near in zip(nearest, close, strict=True)]


def _place(stack: SliceStack, distance_mm: float) -> str:
    """A position along the stack as the reader sees it."""
    normal = stack.normal_lps
    if abs(normal[2]) > 0.9:
        # The slice location a viewer shows: the S coordinate of the slice's first pixel.
        order = np.argsort(stack.distances_mm)
        s = np.interp(distance_mm, stack.distances_mm[order], stack.positions_lps[order, 2])
        return f"S {s:.1f}"
    return f"{distance_mm - stack.distances_mm[0]:.1f}"


def _longest_part(
    values: NDArray[Any], stack: SliceStack, warnings: list[str]
) -> tuple[NDArray[Any], SliceStack]:
    distances = stack.distances_mm
    if len(distances) < 3:
        return values, stack
    limit = max(WIDEST_GAP_MM, 4 * slice_step_mm(distances))
    cuts = np.flatnonzero(np.diff(distances) > limit)
    if not cuts.size:
        return values, stack
    edges = [0, *(int(c) + 1 for c in cuts), len(distances)]
    parts = list(pairwise(edges))
    lo, hi = max(parts, key=lambda part: (distances[part[1] - 1] - distances[part[0]], part[1] - part[0]))
    holes = ", ".join(
        f"{distances[c + 1] - distances[c]:.0f} mm between {_place(stack, distances[c])} and "
        f"{_place(stack, distances[c + 1])} mm"
        for c in cuts[:5]
    )
    warnings.append(
        f"The scan has holes too wide to bridge ({holes}); only its longest part was read: {hi - lo} of "
        f"{len(distances)} slices, {_place(stack, distances[lo])} to {_place(stack, distances[hi - 1])} mm."
    )
    part = SliceStack(stack.positions_lps[lo:hi], stack.row_lps, stack.column_lps, stack.spacing_yx_mm)
    return values[lo:hi], part


def _straightened(
    values: NDArray[Any], stack: SliceStack, warnings: list[str]
) -> tuple[NDArray[Any], SliceStack]:
    """Move slices within their planes so that first pixels lie on one line along the normal."""
    relative = stack.positions_lps - stack.positions_lps[0]
    spacing_yx = np.array(stack.spacing_yx_mm)
    shift_yx = np.stack([relative @ stack.column_lps, relative @ stack.row_lps], axis=1) / spacing_yx
    spread = np.ptp(shift_yx, axis=0)
    if spread.max() <= SHIFT_PIXELS:
        return values, stack
    first, last = np.floor(shift_yx.min(axis=0) + 1e-3), np.ceil(shift_yx.max(axis=0) - 1e-3)
    grown = (last - first).astype(int)
    if (grown > np.array(values.shape[1:])).any():
        raise GeometryError(
            f"The slices are shifted sideways by up to {float((spread * spacing_yx).max()):.0f} mm, more "
            "than their width."
        )
    result = np.full((len(values), *(np.array(values.shape[1:]) + grown)), AIR_HU, values.dtype)
    height, width = values.shape[1:]
    for k, plane in enumerate(values):
        move = shift_yx[k] - first
        whole = np.rint(move)
        if np.abs(move - whole).max() < 0.01:
            y, x = whole.astype(int)
            result[k, y : y + height, x : x + width] = plane
            continue
        canvas = np.full(result.shape[1:], AIR_HU, np.float32)
        canvas[:height, :width] = plane
        moved = ndimage.shift(canvas, move, order=1, mode="grid-constant", cval=AIR_HU, prefilter=False)
        result[k] = np.rint(moved) if np.issubdtype(values.dtype, np.integer) else moved
    warnings.append(_shift_sentence(stack, shift_yx * spacing_yx))
    origin = (
        stack.positions_lps[0]
        + first[0] * spacing_yx[0] * stack.column_lps
        + first[1] * spacing_yx[1] * stack.row_lps
    )
    along = stack.distances_mm - stack.distances_mm[0]
    positions = origin + along[:, None] * stack.normal_lps
    return result, SliceStack(positions, stack.row_lps, stack.column_lps, stack.spacing_yx_mm)


def _shift_sentence(stack: SliceStack, shift_yx_mm: NDArray[np.float64]) -> str:
    along = stack.distances_mm - stack.distances_mm[0]
    slope = shift_yx_mm.T @ along / (along @ along)
    if np.abs(shift_yx_mm - along[:, None] * slope).max() <= max(stack.spacing_yx_mm):
        degrees = np.degrees(np.arctan(np.linalg.norm(slope)))
        return (
            f"The gantry was tilted by {degrees:.1f} degrees; the slices were moved to their real positions, "
            "which softens them a little."
        )
    return (
        "The slices are shifted sideways against each other by up to "
        f"{float(np.ptp(shift_yx_mm, axis=0).max()):.0f} mm; they were moved to their real positions."
    )


def _evened(
    values: NDArray[Any], stack: SliceStack, warnings: list[str]
) -> tuple[NDArray[Any], NDArray[np.float64], float]:
    """(values, first pixel of the first slice in LPS, slice distance in mm) on evenly spaced slices."""
    distances = stack.distances_mm
    n = len(distances)
    if n == 1:
        return values, stack.positions_lps[0], 1.0
    if is_even(distances):
        return values, stack.positions_lps[0], float((distances[-1] - distances[0]) / (n - 1))
    step = slice_step_mm(distances)
    # The lattice that most slices lie on: those stay as they are.
    phase = (distances[None, :] - distances[:, None]) / step
    anchor = distances[(np.abs(phase - np.rint(phase)) < 0.03).sum(axis=1).argmax()]
    first = int(np.ceil((distances[0] - anchor) / step - 0.5))
    last = int(np.floor((distances[-1] - anchor) / step + 0.5))
    wanted = anchor + step * np.arange(first, last + 1)
    position = np.interp(wanted, distances, np.arange(n))
    below = np.minimum(position.astype(int), n - 1)
    share = position - below
    nearest = np.rint(position).astype(int)
    close = np.abs(wanted - distances[nearest]) < 0.03 * step
    result = np.empty((len(wanted), *values.shape[1:]), values.dtype)
    for k in range(len(wanted)):
        if close[k] or share[k] == 0:
            result[k] = values[nearest[k]]
            continue
        low, high = values[below[k]].astype(np.float32), values[below[k] + 1].astype(np.float32)
        mixed = low + np.float32(share[k]) * (high - low)
        result[k] = np.rint(mixed) if np.issubdtype(values.dtype, np.integer) else mixed
    warnings.append(_gap_sentence(stack, step))
    return result, stack.positions_lps[0] + (wanted[0] - distances[0]) * stack.normal_lps, step


def _gap_sentence(stack: SliceStack, step: float) -> str:
    distances = stack.distances_mm
    gaps = np.diff(distances)
    wide = np.flatnonzero(gaps > 1.5 * step)
    text = "Slices are missing" if wide.size else "The slices are unevenly spaced"
    if wide.size:
        # The widest are named, in their order along the body.
        named = sorted(wide[np.argsort(-gaps[wide], kind="stable")][:5])
        places = ", ".join(
            f"{gaps[i]:.1f} mm between {_place(stack, distances[i])} and {_place(stack, distances[i + 1])} mm"
            for i in named
        )
        more = f" and {wide.size - len(named)} more" if wide.size > len(named) else ""
        text += f": {places}{more}, where most are {step:.1f} mm apart"
    else:
        text += f" ({gaps.min():.2f} to {gaps.max():.2f} mm apart)"
    return (
        f"{text}. They were put onto an even grid of {step:.2f} mm by their real positions; what lies "
        "between is interpolated and may hide or blur lesions."
    )
