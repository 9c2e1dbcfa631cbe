"""A lesion outlined from a point: what the network suspected there, or what tells itself from the liver."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from ..analysis.clicked import POINT, first_outline, map_on, pack_map
from ..case.description import TUMOUR_PROBABILITY
from ..case.findings import Box
from ..scene import nodes
from ..scene.ras import to_volume, volume_geometry
from ..stages.detect.click_input import near_liver
from ..stages.detect.point import frame_round
from ..stages.detect.star import LiverLevel, Surroundings, corrected, outline_star
from ..support.errors import InputError
from ..volume.crops import Mask, trimmed, union
from ..volume.geometry import Geometry
from .case_view import CaseView
from .derived import cut_to

Frame = tuple[slice, slice, slice]


def grown_from(case: CaseView, point_world: tuple[float, float, float], liver: Mask | None) -> Mask:
    """A mask proposal for a lesion round a point (RAS mm, world).

    What the segmenter suspected there, be it below the threshold; else what tells itself from the liver round
    it; else a small ball. The rules `point_...` say from where and how far.

    Raises:
        InputError: the point is outside the CT or outside the liver.
    """
    geometry = volume_geometry(case.volume)
    frame, at = _frame(geometry, _seed(case, geometry, point_world))
    seen = _surroundings(case, geometry, frame, liver)
    return _in_place(first_outline(seen, at, _suspected(case, geometry, frame)), frame)


def corrected_at(
    case: CaseView, drawn: Mask, point_world: tuple[float, float, float], liver: Mask | None
) -> Mask:
    """A lesion's outline after a click (RAS mm, world): beside it adds, in it takes away.

    Raises:
        InputError: the point is outside the CT, outside the liver, or too far from the lesion.
    """
    geometry = volume_geometry(case.volume)
    frame, at = _frame(geometry, _seed(case, geometry, point_world))
    seen = _surroundings(case, geometry, frame, liver)
    here = cut_to(drawn, frame)
    if not here.any():
        raise InputError(
            "The point is too far from the lesion. Click in it or beside it, or add another lesion."
        )
    if not (seen.inside_zyx | here)[at]:
        raise InputError("The point is outside the liver. Click on the lesion itself.")
    new = corrected(seen, here, at, POINT, _suspected(case, geometry, frame))
    if not new[at]:
        whole = drawn.voxels_zyx.copy()
        gone = np.argwhere(here & ~new) + [f.start - s for f, s in zip(frame, drawn.start_zyx, strict=True)]
        whole[tuple(gone.T)] = False
        return Mask(whole, drawn.start_zyx)
    return union([drawn, _in_place(new, frame)])


def grown_in_box(case: CaseView, box: Box, liver: Mask | None) -> Mask:
    """A mask proposal for a lesion that has only a box: what in it tells itself from the liver.

    Where lesion and surroundings are too alike, a small ball is proposed, cut by the box.
    """
    geometry = volume_geometry(case.volume)
    middle_lps = np.asarray(box.centre_lps)
    limits = np.array(geometry.shape_zyx) - 1
    frame, at = _frame(geometry, np.clip(np.round(geometry.lps_to_index(middle_lps)), 0, limits).astype(int))
    grid = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in frame], indexing="ij"), axis=-1)
    axes = np.asarray(box.directions_lps, float).reshape(3, 3)
    own = (geometry.index_to_lps(grid) - middle_lps) @ axes
    inside = (np.abs(own) <= np.array(box.size_xyz_mm) / 2 + 1e-6).all(axis=-1)
    seen = _surroundings(case, geometry, frame, liver, everywhere=True)
    half_mm = float(np.linalg.norm(box.size_xyz_mm)) / 2
    return _in_place(outline_star(seen, at, POINT, reach_mm=half_mm) & inside, frame)


def _seed(case: CaseView, geometry: Geometry, point_world: tuple[float, float, float]) -> NDArray[np.int_]:
    seed = np.round(geometry.lps_to_index(to_volume(case.volume, point_world))).astype(int)
    if (seed < 0).any() or (seed >= geometry.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    return seed


def _surroundings(
    case: CaseView, geometry: Geometry, frame: Frame, liver: Mask | None, everywhere: bool = False
) -> Surroundings:
    """What is looked at; a lesion may lie in the liver and a little beside it, or `everywhere`."""
    array, spacing = slicer.util.arrayFromVolume(case.volume), geometry.spacing_zyx_mm
    anywhere = np.ones(tuple(s.stop - s.start for s in frame), bool)
    if liver is None or not liver.count:
        return Surroundings(array[frame], spacing, anywhere, LiverLevel.of(array[frame], anywhere, spacing))
    inside = anywhere if everywhere else near_liver(cut_to(liver, frame), spacing)
    level = LiverLevel.of(array[liver.slices], liver.voxels_zyx, spacing)
    return Surroundings(array[frame], spacing, inside, level)


def _frame(geometry: Geometry, seed: NDArray[np.int_]) -> tuple[Frame, tuple[int, int, int]]:
    return frame_round(seed, geometry.shape_zyx, geometry.spacing_zyx_mm, POINT.point_reach_mm)


def _in_place(found: NDArray[np.bool_], frame: Frame) -> Mask:
    crop, start = trimmed(found)
    return Mask(crop, tuple(s.start + n for s, n in zip(frame, start, strict=True)))  # type: ignore[arg-type]


def _suspicions(case: CaseView) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The map of the segmenter's probability of tumour, where there is one."""
    node = next((n for n in case.maps if n.GetAttribute(nodes.ATTR_MAP) == TUMOUR_PROBABILITY), None)
    return None if node is None or node.GetImageData() is None else node


def _suspected(case: CaseView, geometry: Geometry, frame: Frame) -> NDArray[np.float32] | None:
    """The segmenter's probability of tumour in a frame of the CT, 0..1; None without such a map."""
    node = _suspicions(case)
    if node is None:
        return None
    own = geometry.cropped([s.start for s in frame], [s.stop for s in frame])
    return map_on(slicer.util.arrayFromVolume(node), volume_geometry(node), own)


def packed_suspicions(
    case: CaseView, geometry: Geometry, seed_zyx: NDArray[np.int_]
) -> dict[str, Any] | None:
    """The part of that map from which a lesion at a voxel of the CT may be outlined; None without it."""
    node = _suspicions(case)
    if node is None:
        return None
    frame, _ = _frame(geometry, seed_zyx)
    stored, source = slicer.util.arrayFromVolume(node), volume_geometry(node)
    corners = [(z, y, x) for z in _ends(frame[0]) for y in _ends(frame[1]) for x in _ends(frame[2])]
    there = np.array([source.lps_to_index(geometry.index_to_lps(corner)) for corner in corners])
    # As far beyond as values between its voxels are told from.
    coarser = max(geometry.spacing_zyx_mm) / min(source.spacing_zyx_mm)
    beyond = 4 + 2 * int(np.ceil(coarser))
    low = np.maximum(np.floor(there.min(axis=0)).astype(int) - beyond, 0)
    high = np.minimum(np.ceil(there.max(axis=0)).astype(int) + beyond + 1, source.shape_zyx)
    if (high <= low).any():
        return None
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return pack_map(stored[z, y, x], source.cropped(low, high))


def _ends(bounds: slice) -> tuple[int, int]:
    return bounds.start, bounds.stop - 1
