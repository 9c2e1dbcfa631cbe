"""The anatomy of the shown case: read once, and kept in line with what the reader draws and drags.

Where a lesion lies follows from its voxels and the anatomy, however either was changed: by an action, its
undo, the Segment Editor, or another analysis. It is kept in a tag of the lesion's segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
import slicer
from numpy.typing import NDArray

from ..analysis.anatomy import with_landmarks, with_places
from ..analysis.rules import Rules
from ..case.anatomy import CouinaudSegment, Landmark, LandmarkName, LiverAnatomy
from ..case.anatomy_json import landmarks_from_text, landmarks_text
from ..case.findings import CaseResult
from ..case.tags import NOWHERE, TAG_ANATOMY, anatomy_text
from ..case.terminology import TAG_MASK
from ..scene import segments
from ..scene.anatomy_nodes import (
    ATTR_REVISION,
    anatomy_box,
    anatomy_state,
    fill_anatomy,
    placed_landmarks,
    read_anatomy,
    write_landmarks,
    written_landmarks,
)
from ..scene.ras import volume_geometry
from ..stages.anatomy.stage import NO_CAVA, AnatomySettings, with_segments
from ..volume.crops import Mask
from ..volume.geometry import Geometry
from .case_view import CaseView, ListedLesion, read_case
from .derived import cut_to

TAG_PLACED = "LiverLesionAI.AnatomyOf"
"""The outline and the anatomy that a lesion's place was found with, so that it is not found twice."""

Frame = tuple[slice, slice, slice]
NO_MASK = Mask(np.zeros((0, 0, 0), bool), (0, 0, 0))


@dataclass(frozen=True)
class _Seen:
    """A lesion as it was when its place was found: its voxels, when they were read, and the tag."""

    time: object
    drawn: str
    text: str


@dataclass(frozen=True, eq=False)
class Cut:
    """The part of the CT's grid that holds liver, lesions and vessels, and these on it.

    Attributes:
        frame: where it lies in the CT's grid; z, y, x.
        geometry: of it.
        liver_zyx: bool, with the lesions that count.
        masks: of lesions, on the CT's grid, by their row.
        counted: rows of those that count.
        anatomy: None where nobody asked for it.
    """

    frame: Frame
    geometry: Geometry
    liver_zyx: NDArray[np.bool_]
    masks: Mapping[str, Mask]
    counted: frozenset[str]
    anatomy: LiverAnatomy | None


class SceneAnatomy:
    """Of one case at a time.

    Args:
        liver: the shown case's liver as it is drawn now; None where it has none.
    """

    def __init__(self, liver: Callable[[], Mask | None]) -> None:
        self._liver = liver
        self._rules = Rules()
        self._key: tuple[int, object] | None = None
        self._revision = ""
        self._liver_time: object = None
        self._seen: dict[str, _Seen] = {}
        self._cut: tuple[object, Cut] | None = None

    def read(self, case: CaseView) -> LiverAnatomy | None:
        """What the scene holds, on the part of the CT's grid that it needs; None where nobody asked."""
        if case.anatomy is None or case.segmentation is None:
            return None
        return self.cut(case).anatomy

    def cut(self, case: CaseView) -> Cut:
        """Liver, lesions and anatomy of a case with findings; the same object while they stay."""
        key = self._cut_key(case)
        if self._cut is None or self._cut[0] != key:
            self._cut = (key, self._cut_out(case))
        return self._cut[1]

    def follow(self, case: CaseView) -> CaseView:
        """Bring segments and the lesions' places in line with liver and lesions; the case as it then is."""
        if case.anatomy is None or case.segmentation is None:
            self._key, self._seen = None, {}
            return case
        node = case.anatomy.segmentation
        key = (id(case.segmentation), anatomy_state(case.anatomy))
        liver_time = _time(case, case.liver_segment)
        if key != self._key:
            if self._key is not None and self._key[0] == key[0] and revision_of(node) == self._revision:
                # Somebody has drawn in the vessels or segments themselves.
                new_revision(node)
            self._seen = {}
        stale, changed = self._stale(case)
        if key != self._key or liver_time != self._liver_time or changed:
            cut = self.cut(case)
            there = cut.anatomy
            if there is not None and there.has_segments and ((there.segments_zyx > 0) != cut.liver_zyx).any():
                again = with_segments(there, cut.liver_zyx, self._rules.part(AnatomySettings))
                fill_anatomy(node, again, (CouinaudSegment,))
                new_revision(node)
                self._seen, self._cut = {}, None
                stale, _ = self._stale(case)
        self._liver_time = liver_time
        self._remember(case)
        if stale:
            self._place(case, stale)
        return self._tag(case)

    # -- landmarks

    def landmarks_moved(self, case: CaseView) -> tuple[str, str] | None:
        """The reader has moved points: segments and lesions follow.

        Returns:
            the landmarks as text, before and after; None where all lie where they were.
        """
        points = None if case.anatomy is None else case.anatomy.landmarks
        if points is None:
            return None
        before, now = landmarks_text(written_landmarks(points)), landmarks_text(placed_landmarks(points))
        if before == now:
            return None
        self.set_landmarks(case, now)
        return before, now

    def set_landmarks(self, case: CaseView, text: str) -> None:
        """Put the landmarks where a text says; segments and lesions follow."""
        nodes = case.anatomy
        if nodes is None or nodes.landmarks is None:
            return
        landmarks, cut = landmarks_from_text(text), self.cut(case)
        assert cut.anatomy is not None
        told = _without_cava_message(cut.anatomy, landmarks)
        if NO_CAVA in told.messages:
            # Without both points at it there is nothing that the planes could turn about.
            write_landmarks(nodes.landmarks, landmarks)
            self._remember(case)
            return
        rows = [row for row in case.rows if not row.box_only]
        found = with_landmarks(self._result(cut, rows, told), landmarks, self._rules)
        assert found.anatomy is not None
        fill_anatomy(nodes.segmentation, found.anatomy, (CouinaudSegment,))
        write_landmarks(nodes.landmarks, landmarks)
        new_revision(nodes.segmentation)
        for row, lesion in zip(rows, found.lesions, strict=True):
            if seen := self._seen.get(row.segment_id):
                self._seen[row.segment_id] = replace(seen, text=anatomy_text(lesion.anatomy))
        self._remember(case)
        self._cut = (self._cut_key(case), replace(cut, anatomy=found.anatomy))
        self._tag(case)

    # -- parts

    def _remember(self, case: CaseView) -> None:
        assert case.anatomy is not None
        self._key = (id(case.segmentation), anatomy_state(case.anatomy))
        self._revision = revision_of(case.anatomy.segmentation)

    def _stale(self, case: CaseView) -> tuple[list[ListedLesion], bool]:
        """Lesions whose place has to be found anew, and whether any voxel of a lesion has changed."""
        stale, changed, geometry = [], False, volume_geometry(case.volume)
        rows = {row.segment_id: row for row in case.rows if not row.box_only}
        changed |= bool(set(self._seen) - set(rows))
        self._seen = {row_id: seen for row_id, seen in self._seen.items() if row_id in rows}
        for row_id, row in rows.items():
            seen, time = self._seen.get(row_id), (_time(case, row_id), row.status.counts)
            if seen is not None and seen.time == time:
                continue
            drawn = segments.read_mask(case.segmentation, row_id, geometry).fingerprint(geometry)
            if seen is not None and seen.drawn == drawn and seen.time[1] == time[1]:  # type: ignore[index]
                self._seen[row_id] = replace(seen, time=time)
                continue
            changed = True
            known = _known_place(case, row_id, drawn)
            if not known:
                stale.append(row)
            self._seen[row_id] = _Seen(time, drawn, known)
        return stale, changed

    def _place(self, case: CaseView, rows: list[ListedLesion]) -> None:
        cut = self.cut(case)
        assert cut.anatomy is not None
        found = with_places(self._result(cut, rows, cut.anatomy), cut.anatomy, self._rules)
        for row, lesion in zip(rows, found.lesions, strict=True):
            seen = self._seen[row.segment_id]
            self._seen[row.segment_id] = replace(seen, text=anatomy_text(lesion.anatomy))

    def _result(self, cut: Cut, rows: list[ListedLesion], anatomy: LiverAnatomy) -> CaseResult:
        """These lesions, numbered from 1, as a case on the cut grid."""
        labels = np.zeros(cut.geometry.shape_zyx, np.uint16)
        masks = {number: cut.masks[row.segment_id] for number, row in enumerate(rows, 1)}
        for number, mask in sorted(masks.items(), key=lambda item: -item[1].count):
            labels[cut_to(mask, cut.frame)] = number
        lesions = tuple(
            replace(row.as_lesion, number=number, box=NOWHERE, measurement=None)
            for number, row in enumerate(rows, 1)
        )
        return CaseResult("", cut.geometry, cut.liver_zyx, labels, lesions, anatomy=anatomy)

    def _cut_key(self, case: CaseView) -> object:
        rows = tuple((row.segment_id, _time(case, row.segment_id), row.status.counts) for row in case.rows)
        state = None if case.anatomy is None else anatomy_state(case.anatomy)
        return case.segmentation.GetID(), _time(case, case.liver_segment), rows, state

    def _cut_out(self, case: CaseView) -> Cut:
        geometry, masks = volume_geometry(case.volume), _masks(case)
        liver = self._liver() or NO_MASK
        ends = [] if case.anatomy is None else anatomy_box(case.anatomy.segmentation, geometry)
        for mask in (liver, *masks.values()):
            if mask.count:
                ends.append(np.array([(s.start, s.stop) for s in mask.slices]).T)
        low, high = (
            (np.min([e[0] for e in ends], axis=0), np.max([e[1] for e in ends], axis=0))
            if ends
            else (np.zeros(3, int), np.ones(3, int))
        )
        frame: Frame = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))  # type: ignore[assignment]
        inner = geometry.cropped(tuple(int(v) for v in low), tuple(int(v) for v in high))
        whole = cut_to(liver, frame)
        counted = frozenset(row.segment_id for row in case.rows if row.status.counts and not row.box_only)
        for row_id in counted:
            whole |= cut_to(masks[row_id], frame)
        anatomy = None if case.anatomy is None else read_anatomy(case.anatomy, inner)
        return Cut(frame, inner, whole, masks, counted, anatomy)

    def _tag(self, case: CaseView) -> CaseView:
        """Let the segments say where their lesions lie; the case as it then is."""
        content, revision = case.segmentation.GetSegmentation(), revision_of(case.anatomy.segmentation)  # type: ignore[union-attr]
        wrong: dict[str, dict[str, str]] = {}
        for row_id, seen in self._seen.items():
            segment = content.GetSegment(row_id)
            wanted = {TAG_ANATOMY: seen.text, TAG_PLACED: placed_text(seen.drawn, revision)}
            if segment is not None and any(segments.tag(segment, k) != v for k, v in wanted.items()):
                wrong[row_id] = wanted
        if not wrong:
            return case
        with segments.one_change(case.segmentation):
            for row_id, wanted in wrong.items():
                for name, text in wanted.items():
                    segments.set_tag(content.GetSegment(row_id), name, text)
        return read_case(case.segmentation.GetScene(), case.volume)


def placed_text(drawn: str, revision: str) -> str:
    """What :data:`TAG_PLACED` says: the outline's fingerprint, and which anatomy it is."""
    return f"{drawn}|{revision}"


def revision_of(node: slicer.vtkMRMLSegmentationNode) -> str:
    """Which anatomy a segmentation holds; "" for that of the case's own analysis."""
    return node.GetAttribute(ATTR_REVISION) or ""


def new_revision(node: slicer.vtkMRMLSegmentationNode) -> str:
    """It holds another one now."""
    revision = uuid4().hex[:12]
    node.SetAttribute(ATTR_REVISION, revision)
    return revision


def _known_place(case: CaseView, row_id: str, drawn: str) -> str:
    """A lesion's place as its tag has it, where that is of this outline and this anatomy; else ""."""
    assert case.anatomy is not None
    segment = case.segmentation.GetSegmentation().GetSegment(row_id)
    # An analysis that found both at once says nothing of them: its outline is the AI's.
    found_with = segments.tag(segment, TAG_PLACED) or placed_text(segments.tag(segment, TAG_MASK), "")
    fits = found_with == placed_text(drawn, revision_of(case.anatomy.segmentation))
    return segments.tag(segment, TAG_ANATOMY) if fits else ""


def _masks(case: CaseView) -> dict[str, Mask]:
    geometry = volume_geometry(case.volume)
    return {
        row.segment_id: segments.read_mask(case.segmentation, row.segment_id, geometry)
        for row in case.rows
        if not row.box_only
    }


def _time(case: CaseView, segment_id: str) -> object:
    """Differs when a segment's labelmap has changed, or its label in it."""
    segment = case.segmentation.GetSegmentation().GetSegment(segment_id) if segment_id else None
    if segment is None:
        return None
    image = segment.GetRepresentation(segments.BINARY)
    return segment.GetLabelValue(), 0 if image is None else image.GetMTime()


def _without_cava_message(anatomy: LiverAnatomy, landmarks: Mapping[str, Landmark]) -> LiverAnatomy:
    """Where the reader has put both points at the vena cava, it is found."""
    placed = all(landmarks[name].source == "reader" for name in (LandmarkName.IVC_HIGH, LandmarkName.IVC_LOW))
    said = tuple(one for one in anatomy.messages if not (placed and one == NO_CAVA))
    return replace(anatomy, messages=said)
