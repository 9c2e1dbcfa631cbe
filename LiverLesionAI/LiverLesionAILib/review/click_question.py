"""Clicks as a question for the worker: which voxels belong to the lesion that was clicked on?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from scipy import ndimage

from ..analysis.clicked import BY_DENSITY, part_of_any, part_round
from ..case.store import load_steps
from ..models.weights import ModelEntry
from ..scene import segments
from ..scene.ras import to_volume, volume_geometry
from ..stages.detect.click_input import MARGIN_MM, near_liver
from ..stages.detect.point import frame_round
from ..stages.detect.star import LiverLevel
from ..support.errors import InputError
from ..support.steps import staged
from ..volume.crops import Mask, trimmed
from ..volume.geometry import Geometry
from ..volume.packed_mask import pack_mask
from .case_view import CaseView
from .derived import cut_to
from .grow import packed_suspicions

PointLps = tuple[float, float, float]

TAG_CLICKS = "LiverLesionAI.Clicks"
"""Of a segment: the clicks that its outline came from."""

REACH_MM = 60.0
"""A correction is a click no farther from the lesion's first one."""


@dataclass(frozen=True)
class ClickedPoints:
    """Clicks, LPS mm in the volume's own space: in the lesion (the first one first), and beside it."""

    inside: tuple[PointLps, ...]
    outside: tuple[PointLps, ...] = ()

    def text(self) -> str:
        """For a segment's tag."""
        return json.dumps({"inside": self.inside, "outside": self.outside})

    @classmethod
    def read(cls, text: str) -> ClickedPoints | None:
        """The way back from :meth:`text`; None where it is none."""
        try:
            data = json.loads(text)
            inside, outside = (tuple(tuple(map(float, p)) for p in data[k]) for k in ("inside", "outside"))
        except (ValueError, KeyError, TypeError):
            return None
        whole = inside and all(len(point) == 3 for point in (*inside, *outside))
        return cls(inside, outside) if whole else None  # type: ignore[arg-type]


def first_click(case: CaseView, point_world: tuple[float, float, float], liver: Mask | None) -> ClickedPoints:
    """A click in a lesion that is not listed (RAS mm, world).

    Raises:
        InputError: it is outside the CT, or not at the liver.
    """
    geometry = volume_geometry(case.volume)
    point_lps = to_volume(case.volume, point_world)
    index = _index(geometry, point_lps)
    if liver is not None:
        frame, at = frame_round(index, geometry.shape_zyx, geometry.spacing_zyx_mm, 2 * MARGIN_MM)
        if not near_liver(cut_to(liver, frame), geometry.spacing_zyx_mm)[at]:
            raise InputError("The point is outside the liver. Click on the lesion itself.")
    return ClickedPoints((_triple(point_lps),))


def next_click(
    case: CaseView, segment_id: str, mask: Mask, point_world: tuple[float, float, float]
) -> ClickedPoints:
    """One more click on a lesion: outside its outline it adds, inside it takes away.

    A lesion that came from no click is taken to be clicked on where it is deepest.

    Raises:
        InputError: it is outside the CT, or farther from the lesion than the network looks.
    """
    geometry = volume_geometry(case.volume)
    point_lps = to_volume(case.volume, point_world)
    index = _index(geometry, point_lps)
    segment = case.segmentation.GetSegmentation().GetSegment(segment_id)
    known = ClickedPoints.read(segments.tag(segment, TAG_CLICKS)) or ClickedPoints(
        (_triple(geometry.index_to_lps(_deepest(mask, geometry))),)
    )
    if np.linalg.norm(np.array(point_lps) - np.array(known.inside[0])) > REACH_MM:
        raise InputError(
            "The point is too far from the lesion. Click in it or beside it, or add another lesion."
        )
    inside = index - np.array(mask.start_zyx)
    drawn = (inside >= 0).all() and (inside < mask.voxels_zyx.shape).all() and mask.voxels_zyx[tuple(inside)]
    if drawn:
        return ClickedPoints(known.inside, (*known.outside, _triple(point_lps)))
    return ClickedPoints((*known.inside, _triple(point_lps)), known.outside)


class ClickQuestion:
    """Asked of the part of the CT round an outline and its clicks.

    Attributes:
        points: what was clicked on.
        drawn: the outline so far; None for a new lesion, which the worker outlines from the start.
        segment_id: of the lesion that is corrected; "" for a new one.
        answered: whether there is an answer.
        mask: the answer; None where the network sees nothing there.
        by_density: whether the network saw nothing of a new lesion, and density gave its outline.
    """

    command = "click"

    def __init__(
        self,
        case: CaseView,
        liver: Mask | None,
        entry: ModelEntry,
        settings: Mapping[str, Any],
        points: ClickedPoints,
        drawn: Mask | None,
        segment_id: str = "",
    ) -> None:
        self.points, self.drawn, self.segment_id = points, drawn, segment_id
        self.mask: Mask | None = None
        self.answered = self.by_density = False
        self.case = case
        self._liver, self._entry, self._settings = liver, entry, dict(settings)
        self._geometry = volume_geometry(case.volume)
        clicks = [self._geometry.lps_to_index(point) for point in (*points.inside, *points.outside)]
        self._seed = np.round(clicks[0]).astype(int)
        if drawn is None:
            self._frame = part_of_any(self._seed, self._geometry)
        else:
            corners = [s.start for s in drawn.slices], [s.stop - 1 for s in drawn.slices]
            self._frame = part_round(np.array([*clicks, *corners]), self._geometry)

    def still_there(self) -> bool:
        """Whether the CT has the grid that was asked about."""
        volume = self.case.volume
        return volume.GetImageData() is not None and volume_geometry(volume).matches(self._geometry)

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The part of the CT, and the question.

        Raises:
            InputError: the CT was changed meanwhile.
        """
        if not self.still_there():
            raise InputError("The CT was changed meanwhile. Ask again.")
        array, frame = slicer.util.arrayFromVolume(self.case.volume), self._frame
        start, stop = ([getattr(s, end) for s in frame] for end in ("start", "stop"))
        part = self._geometry.cropped(start, stop)
        return array[frame], part, self._request(array, part)

    def _request(self, array: NDArray, part: Geometry) -> dict[str, Any]:
        spacing, liver = self._geometry.spacing_zyx_mm, self._liver
        if liver is None or not liver.count:
            level, packed = None, ""
        else:
            level = LiverLevel.of(array[liver.slices], liver.voxels_zyx, spacing)
            packed = pack_mask(Mask.of(cut_to(liver, self._frame)), part)
        return {
            "model": self._entry.name,
            "device": self._settings.get("device", "auto"),
            "precision": self._settings.get("precision", "auto"),
            "inside_lps": [list(point) for point in self.points.inside],
            "outside_lps": [list(point) for point in self.points.outside],
            "drawn": "" if self.drawn is None else pack_mask(Mask.of(cut_to(self.drawn, self._frame)), part),
            "suspected": packed_suspicions(self.case, self._geometry, self._seed)
            if self.drawn is None
            else None,
            "liver": packed,
            "level_hu": None if level is None else level.hu,
            "spread_hu": None if level is None else level.spread_hu,
        }

    def answer(self, result: Path) -> Iterator[str]:
        """Read the outline; it is drawn by who asked."""
        found = yield from staged("read the outline", load_steps(result))
        self.answered = True
        self.by_density = BY_DENSITY in found.messages
        corner = self._geometry.lps_to_index(found.geometry.index_to_lps((0, 0, 0)))
        drawn = np.asarray(found.lesion_labels_zyx) > 0
        if drawn.any():
            crop, start = trimmed(drawn)
            z, y, x = (round(float(c)) + n for c, n in zip(corner, start, strict=True))
            self.mask = Mask(crop, (z, y, x))


def _index(geometry: Geometry, point_lps: Sequence[float]) -> NDArray[np.int_]:
    index = np.round(geometry.lps_to_index(point_lps)).astype(int)
    if (index < 0).any() or (index >= geometry.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    return index


def _deepest(mask: Mask, geometry: Geometry) -> NDArray[np.int_]:
    depth = ndimage.distance_transform_edt(np.pad(mask.voxels_zyx, 1), sampling=geometry.spacing_zyx_mm)
    return np.array(np.unravel_index(np.argmax(depth), depth.shape)) - 1 + np.array(mask.start_zyx)


def _triple(point: Sequence[float]) -> PointLps:
    x, y, z = (float(v) for v in point)
    return x, y, z
