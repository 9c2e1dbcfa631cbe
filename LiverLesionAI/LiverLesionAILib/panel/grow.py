"""A lesion grown from a point: what around it is alike in density."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..mask_crops import Mask
from ..scene_geometry import trimmed, volume_geometry
from .case_view import CaseView
from .derived import cut_to
from .place import to_volume

REACH_MM = 30.0
SEED_MM = 2.5
NOISE_MM = 1.2
SMALLEST_MM = 4.0


def grown_from(case: CaseView, point_world: tuple[float, float, float], liver: Mask | None) -> Mask:
    """A mask proposal for a lesion round a point (RAS mm, world).

    The CT is smoothed by 1.2 mm; tissue within 2.5 mm of the point gives the lesion's density, the liver's
    median the other; what lies nearer to the first, is in the liver, hangs together and is within 30 mm
    belongs to
    it. Where the two densities are too near, a ball of 4 mm radius is proposed.

    Raises:
        InputError: the point is outside the CT or outside the liver.
    """
    geometry = volume_geometry(case.volume)
    seed = np.round(geometry.lps_to_index(to_volume(case.volume, point_world))).astype(int)
    if (seed < 0).any() or (seed >= geometry.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    spacing = np.array(geometry.spacing_zyx_mm)
    reach = np.ceil(REACH_MM / spacing).astype(int)
    low, high = np.maximum(seed - reach, 0), np.minimum(seed + reach + 1, geometry.shape_zyx)
    frame = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    inside = (
        np.ones(tuple(high - low), bool)
        if liver is None
        else ndimage.binary_dilation(cut_to(liver, frame), iterations=1)  # type: ignore[arg-type]
    )
    at = tuple(seed - low)
    if not inside[at]:
        raise InputError("The point is outside the liver. Click on the lesion itself.")
    hu = slicer.util.arrayFromVolume(case.volume)[frame].astype(np.float32)
    smooth = ndimage.gaussian_filter(hu, NOISE_MM / spacing)
    offsets = np.stack(np.meshgrid(*[np.arange(n) for n in hu.shape], indexing="ij"), axis=-1) - np.array(at)
    distance_mm = np.linalg.norm(offsets * spacing, axis=-1)
    lesion_hu = float(np.median(smooth[distance_mm <= max(SEED_MM, spacing.max() / 2)]))
    liver_hu, liver_sd = _background(smooth, inside, distance_mm)
    ball = distance_mm <= SMALLEST_MM
    found = ball
    if abs(lesion_hu - liver_hu) >= max(8.0, 0.8 * liver_sd):
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
    median = float(np.median(ring))
    return median, 1.4826 * float(np.median(np.abs(ring - median)))


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
