"""A lesion grown from a point: what the network suspected there, or what is alike in density."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from ..analysis.rules import Rules
from ..case.description import TUMOUR_PROBABILITY
from ..case.findings import Box
from ..scene import nodes
from ..scene.ras import to_volume, volume_geometry
from ..stages.detect.contrast import ContrastSettings
from ..stages.detect.point import PointSettings, frame_round, grow_by_density, grow_by_probability
from ..support.errors import InputError
from ..volume.crops import Mask, trimmed
from ..volume.geometry import Geometry
from ..volume.resampling import resample
from .case_view import CaseView
from .derived import cut_to

CONTRAST, POINT = Rules().part(ContrastSettings), Rules().part(PointSettings)


def grown_from(case: CaseView, point_world: tuple[float, float, float], liver: Mask | None) -> Mask:
    """A mask proposal for a lesion round a point (RAS mm, world).

    What the segmenter suspected there, be it below the threshold; else what is alike in density in the liver
    round it; else a small ball. The rules `point_...` say from where and how far.

    Raises:
        InputError: the point is outside the CT or outside the liver.
    """
    geometry = volume_geometry(case.volume)
    seed = np.round(geometry.lps_to_index(to_volume(case.volume, point_world))).astype(int)
    if (seed < 0).any() or (seed >= geometry.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    frame, at = _frame(geometry, seed)
    inside = (
        np.ones(tuple(s.stop - s.start for s in frame), bool)
        if liver is None
        else ndimage.binary_dilation(cut_to(liver, frame), iterations=1)  # type: ignore[arg-type]
    )
    if not inside[at]:
        raise InputError("The point is outside the liver. Click on the lesion itself.")
    spacing = geometry.spacing_zyx_mm
    suspected = _suspected(case, geometry, frame)
    if suspected is not None:
        found = grow_by_probability(suspected, at, spacing, inside, POINT)
        if found is not None:
            return _in_place(found, frame)
    hu = slicer.util.arrayFromVolume(case.volume)[frame]
    return _in_place(grow_by_density(hu, at, spacing, inside, inside, POINT, CONTRAST), frame)


def grown_in_box(case: CaseView, box: Box) -> Mask:
    """A mask proposal for a lesion that has only a box: what in it is alike in density with its middle.

    Where lesion and surroundings are too alike, a small ball is proposed, cut by the box.
    """
    geometry = volume_geometry(case.volume)
    middle_lps = np.asarray(box.centre_lps)
    limits = np.array(geometry.shape_zyx) - 1
    seed = np.clip(np.round(geometry.lps_to_index(middle_lps)), 0, limits).astype(int)
    frame, at = _frame(geometry, seed)
    grid = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in frame], indexing="ij"), axis=-1)
    axes = np.asarray(box.directions_lps, float).reshape(3, 3)
    own = (geometry.index_to_lps(grid) - middle_lps) @ axes
    inside = (np.abs(own) <= np.array(box.size_xyz_mm) / 2 + 1e-6).all(axis=-1)
    hu, everywhere = slicer.util.arrayFromVolume(case.volume)[frame], np.ones_like(inside)
    spacing = geometry.spacing_zyx_mm
    return _in_place(grow_by_density(hu, at, spacing, inside, everywhere, POINT, CONTRAST), frame)


def _frame(
    geometry: Geometry, seed: NDArray[np.int_]
) -> tuple[tuple[slice, slice, slice], tuple[int, int, int]]:
    return frame_round(seed, geometry.shape_zyx, geometry.spacing_zyx_mm, POINT.point_reach_mm)


def _in_place(found: NDArray[np.bool_], frame: tuple[slice, slice, slice]) -> Mask:
    crop, start = trimmed(found)
    return Mask(crop, tuple(s.start + n for s, n in zip(frame, start, strict=True)))  # type: ignore[arg-type]


def _suspected(
    case: CaseView, geometry: Geometry, frame: tuple[slice, slice, slice]
) -> NDArray[np.float32] | None:
    """The segmenter's probability of tumour in a frame of the CT, 0..1; None without such a map."""
    node = next((n for n in case.maps if n.GetAttribute(nodes.ATTR_MAP) == TUMOUR_PROBABILITY), None)
    if node is None or node.GetImageData() is None:
        return None
    stored = slicer.util.arrayFromVolume(node)
    z, y, x = frame
    own = geometry.cropped((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    values = resample(stored, volume_geometry(node), own, 0.0)
    return values / 255.0 if stored.dtype == np.uint8 else values
