"""Lesions that have a box and no mask: no segment carries them, so the case's table node does, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer

from ..case import terminology as terms
from ..case.description import BOX_PREFIX
from ..case.findings import Box, DoubtfulPlace, Lesion, LesionStatus, PointLps
from ..case.place import Place
from ..case.store_json import describe_lesion, read_lesion
from . import segments
from .marks import Mark

ATTR_BOXED = "LiverLesionAI.BoxLesions"


@dataclass(frozen=True)
class BoxedLesion:
    """A lesion that has only a box.

    Attributes:
        lesion: its number is the one it is shown with.
        below: its score is below the threshold: it is not listed.
        moved: the reader has moved the box.
    """

    lesion: Lesion
    below: bool = False
    moved: bool = False

    @property
    def row_id(self) -> str:
        """What stands for a segment's ID."""
        return f"{BOX_PREFIX}{self.lesion.number}"

    @property
    def touched(self) -> bool:
        """Whether the reader has decided on it, said anything of it, or moved it."""
        lesion = self.lesion
        decided = lesion.status is not LesionStatus.UNDECIDED
        segments_said = lesion.anatomy is not None and lesion.anatomy.reader_segments
        return decided or self.moved or bool(lesion.note or lesion.reader_class or segments_said)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return replace(Place.of(self.lesion), moved=self.moved)

    def changed(self, **fields: object) -> BoxedLesion:
        """The same with other fields of the lesion."""
        return replace(self, lesion=replace(self.lesion, **fields))  # type: ignore[arg-type]


def covers(box: Box, point_lps: PointLps) -> bool:
    """Whether a point lies in a box."""
    axes = np.asarray(box.directions_lps, float).reshape(3, 3)
    inside = axes.T @ (np.asarray(point_lps) - np.asarray(box.centre_lps))
    return bool((np.abs(inside) <= np.asarray(box.size_xyz_mm) / 2 + 1e-6).all())


def without_listed(places: Sequence[DoubtfulPlace], boxes: Sequence[Box]) -> tuple[DoubtfulPlace, ...]:
    """The places that lie in none of the listed lesions' boxes."""
    return tuple(one for one in places if not any(covers(box, one.centre_lps) for box in boxes))


def read_boxed(table: slicer.vtkMRMLTableNode | None) -> dict[str, BoxedLesion]:
    """The lesions without a mask by their row's ID; damaged entries are left out."""
    text = table.GetAttribute(ATTR_BOXED) if table is not None else None
    found = {}
    for entry in _entries(text):
        try:
            boxed = BoxedLesion(read_lesion(entry["lesion"]), bool(entry["below"]), bool(entry["moved"]))
        except (KeyError, TypeError, ValueError):
            continue
        found[boxed.row_id] = boxed
    return found


def write_boxed(table: slicer.vtkMRMLTableNode, boxed: Iterable[BoxedLesion]) -> None:
    """Keep these with the case, in place of those that are there."""
    ordered = sorted(boxed, key=lambda one: one.lesion.number)
    entries = [
        {"lesion": describe_lesion(one.lesion), "below": one.below, "moved": one.moved} for one in ordered
    ]
    text = json.dumps(entries)
    if (table.GetAttribute(ATTR_BOXED) or "[]") != text:
        table.SetAttribute(ATTR_BOXED, text)


def _entries(text: str | None) -> list[dict]:
    try:
        entries = json.loads(text or "[]")
    except ValueError:
        return []
    return entries if isinstance(entries, list) else []


def case_marks(segmentation: slicer.vtkMRMLSegmentationNode, boxed: Iterable[BoxedLesion]) -> list[Mark]:
    """The marks of all lesions that a scene holds, rejected ones left out."""
    marks = []
    for segment_id in segments.segment_ids(segmentation):
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if not segments.is_lesion(segment) or not segments.status(segment).counts:
            continue
        number = segments.tag(segment, terms.TAG_NUMBER)
        place = segments.place(segment)
        marks.append(Mark(segment_id, int(number) if number.isdecimal() else 0, segment.GetName(), place))
    for one in boxed:
        if not one.below and one.lesion.status.counts:
            title = terms.lesion_title(one.lesion)
            marks.append(Mark(one.row_id, one.lesion.number, title, one.place, box_only=True))
    return marks
