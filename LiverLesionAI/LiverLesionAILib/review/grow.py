"""A lesion grown from a point: what around it is alike in density."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from ..analysis.rules import Rules
from ..case.findings import Box
from ..scene.ras import to_volume, volume_geometry
from ..stages.detect.contrast import ContrastSettings, level_and_spread, stands_out
from ..support.errors import InputError
from ..volume.crops import Mask, trimmed
from ..volume.geometry import Geometry
from .case_view import CaseView
from .derived import cut_to

REACH_MM = 30.0
SEED_MM = 2.5
BALL_MM = 4.0
"""Radius of what is proposed where nothing stands out."""

CONTRAST = Rules().part(ContrastSettings)


def grown_from(case: CaseView, point_world: tuple[float, float, float], liver: Mask | None) -> Mask:
    """A mask proposal for a lesion round a point (RAS mm, world).

    The CT is smoothed (rule `noise_mm`); tissue within 2.5 mm of the point gives the lesion's density, the
    liver's median the other; what lies nearer to the first, is in the liver, hangs together and is within
    30 mm belongs to it. Where the two densities are too near, a ball of 4 mm radius is proposed.

    Raises:
        InputError: the point is outside the CT or outside the liver.
    """
    geometry = volume_geometry(case.volume)
    seed = np.round(geometry.lps_to_index(to_volume(case.volume, point_world))).astype(int)
    if (seed < 0).any() or (seed >= geometry.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    frame = _frame(geometry, seed)
    inside = (
        np.ones(tuple(s.stop - s.start for s in frame), bool)
        if liver is None
        else ndimage.binary_dilation(cut_to(liver, frame), iterations=1)  # type: ignore[arg-type]
    )
    if not inside[tuple(seed - [s.start for s in frame])]:
        raise InputError("The point is outside the liver. Click on the lesion itself.")
    return _grown(case, geometry, seed, frame, inside, inside)


def grown_in_box(case: CaseView, box: Box) -> Mask:
    """A mask proposal for a lesion that has only a box: as :func:`grown_from` its middle, but within the box.

    Where lesion and surroundings are too alike, a ball of 4 mm radius is proposed, cut by the box.
    """
    geometry = volume_geometry(case.volume)
    middle_lps = np.asarray(box.centre_lps)
    limits = np.array(geometry.shape_zyx) - 1
    seed = np.clip(np.round(geometry.lps_to_index(middle_lps)), 0, limits).astype(int)
    frame = _frame(geometry, seed)
    grid = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in frame], indexing="ij"), axis=-1)
    axes = np.asarray(box.directions_lps, float).reshape(3, 3)
    own = (geometry.index_to_lps(grid) - middle_lps) @ axes
    inside = (np.abs(own) <= np.array(box.size_xyz_mm) / 2 + 1e-6).all(axis=-1)
    return _grown(case, geometry, seed, frame, inside, np.ones_like(inside))


def _frame(geometry: Geometry, seed: NDArray[np.int_]) -> tuple[slice, slice, slice]:
    reach = np.ceil(REACH_MM / np.array(geometry.spacing_zyx_mm)).astype(int)
    low, high = np.maximum(seed - reach, 0), np.minimum(seed + reach + 1, geometry.shape_zyx)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]


def _grown(
    case: CaseView,
    geometry: Geometry,
    seed: NDArray[np.int_],
    frame: tuple[slice, slice, slice],
    inside: NDArray[np.bool_],
    background: NDArray[np.bool_],
) -> Mask:
    """Grown from `seed` within `inside`; the surroundings' density is taken from `background`."""
    spacing = np.array(geometry.spacing_zyx_mm)
    low = np.array([s.start for s in frame])
    at = tuple(seed - low)
    hu = slicer.util.arrayFromVolume(case.volume)[frame].astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, CONTRAST.noise_mm / spacing)
    offsets = np.stack(np.meshgrid(*[np.arange(n) for n in hu.shape], indexing="ij"), axis=-1) - np.array(at)
    distance_mm = np.linalg.norm(offsets * spacing, axis=-1)
    lesion_hu = float(np.median(smooth[distance_mm <= max(SEED_MM, spacing.max() / 2)]))
    liver_hu, liver_sd = _background(smooth, background, distance_mm)
    ball = distance_mm <= BALL_MM
    found = ball
    if stands_out(lesion_hu, liver_hu, liver_sd, CONTRAST):
        nearer = np.abs(smooth - lesion_hu) < np.abs(smooth - liver_hu)
        not_beyond = np.abs(smooth - lesion_hu) < abs(lesion_hu - liver_hu)
        found = _piece(nearer & not_beyond & inside & (distance_mm <= REACH_MM), at, spacing)
        if not found.any() or found.sum() * spacing.prod() < ball.sum() * spacing.prod() / 8:
            found = ball
    found = found & inside
    crop, start = trimmed(found)
    return Mask(crop, tuple(int(a + b) for a, b in zip(low, start, strict=True)))  # type: ignore[arg-type]


def _background(
    smooth: NDArray[np.float32], inside: NDArray[np.bool_], distance_mm: NDArray
) -> tuple[float, float]:
    """Median and robust SD of the liver round the lesion, HU."""
    ring = smooth[inside & (distance_mm > REACH_MM / 3)]
    if ring.size < 50:
        ring = smooth[inside]
    return level_and_spread(ring)


def _piece(mask: NDArray[np.bool_], at: tuple, spacing: NDArray) -> NDArray[np.bool_]:
    """The connected piece at a point, without thin bridges to its neighbours, holes filled."""
    opened = ndimage.binary_opening(mask, iterations=1) if mask.sum() * spacing.prod() > 200 else mask
    for candidate in (opened, mask):
        labels, _ = ndimage.label(candidate)
        if labels[at]:
            piece = labels == labels[at]
            if candidate is opened:
                piece = ndimage.binary_dilation(piece, iterations=1) & mask
            return ndimage.binary_fill_holes(piece)
    return np.zeros(mask.shape, bool)
