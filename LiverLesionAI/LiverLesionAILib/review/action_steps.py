"""Actions on lesions as steps that can be undone: what every action of the reader is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import slicer

from ..case.description import BOX_PREFIX
from ..scene import segments
from ..scene.boxed import BoxedLesion, read_boxed, write_boxed
from ..scene.ras import volume_geometry
from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import Geometry
from .case_view import CaseView, read_case
from .comparing import ATTR_WORDS
from .derived import follow, measure_liver
from .history import History, SegmentState, States, Step, capture, restore

ATTR_PLAN = "LiverLesionAI.ResectionPlan"
"""On a case's table: the resection that is planned."""


class ActionSteps:
    """Does, undoes and redoes actions on the lesions of one case.

    Attributes:
        history: what can be undone.
        move_threshold: sets the threshold's slider, when a move of it is undone.
        move_landmarks: puts the liver's landmarks where a text says, when a move of one is undone.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.move_threshold: Callable[[float], None] = lambda value: None
        self.move_landmarks: Callable[[str], None] = lambda text: None
        self._scene = scene
        self._case = CaseView(None, None, None)
        self._key: tuple[str, int] | None = None
        self._liver: tuple[Any, Mask] | None = None
        self._elsewhere = ""
        self.history = History()

    def use(self, case: CaseView) -> None:
        """Work on this case; another one has another history."""
        node = case.segmentation
        key = (node.GetID(), id(node)) if node is not None else None
        if key != self._key:
            self.history.clear()
            self._liver = None
        self._case, self._key = case, key

    def undo(self) -> str:
        """Take the last step back; what it was, "" when there is none."""
        return self._move(self.history.undo(), before=True)

    def redo(self) -> str:
        """Do the last undone step again; what it was, "" when there is none."""
        return self._move(self.history.redo(), before=False)

    def _move(self, step: Step | None, *, before: bool) -> str:
        if step is None or self._case.segmentation is None:
            return ""
        if step.threshold is not None:
            self.move_threshold(step.threshold[0 if before else 1])
            return step.label
        if step.landmarks is not None:
            self.move_landmarks(step.landmarks[0 if before else 1])
            return step.label
        for name, texts in ((ATTR_WORDS, step.words), (ATTR_PLAN, step.plan)):
            if texts is not None:
                self._case.table.SetAttribute(name, texts[0 if before else 1])
                return step.label
        states = step.before if before else step.after
        if step.volume_id:
            volume = self._scene.GetNodeByID(step.volume_id)
            other = CaseView(None, None, None) if volume is None else read_case(self._scene, volume)
            if other.segmentation is None:
                return ""
            with self.on(other):
                self._apply(states)
        else:
            self._apply(states)
        return step.label

    def _apply(self, states: States) -> None:
        self._restore(states)
        redrawn = [s for s, state in states.items() if isinstance(state, SegmentState) and state.mask]
        self._case = follow(self._scene, self._case, redrawn, self.liver_mask())
        if self._case.liver_segment in redrawn:
            self._measure_liver()

    @contextmanager
    def on(self, other: CaseView) -> Iterator[None]:
        """Act on another case, the prior scan's; the steps are undone among the shown case's."""
        own, self._case = self._case, other
        self._elsewhere = other.volume.GetID()
        try:
            yield
        finally:
            self._case, self._elsewhere = own, ""

    def say(self, label: str, words: str) -> None:
        """The reader's words on the comparison with an earlier scan, as text; one step.

        Args:
            label: what the action is called.
        """
        table = self._case.table
        before = "" if table is None else table.GetAttribute(ATTR_WORDS) or ""
        if table is not None and before != words:
            table.SetAttribute(ATTR_WORDS, words)
            self.history.add(Step(label, {}, {}, words=(before, words)))

    def landmarks_moved(self, before: str, after: str) -> None:
        """Remember that the reader has moved landmarks of the liver's planes, as text; one step."""
        self.history.add(Step("move landmark", {}, {}, landmarks=(before, after)))

    def plan(self, label: str, text: str) -> None:
        """The surgeon's resection, as text; one step."""
        table = self._case.table
        before = "" if table is None else table.GetAttribute(ATTR_PLAN) or ""
        if table is not None and before != text:
            table.SetAttribute(ATTR_PLAN, text)
            self.history.add(Step(label, {}, {}, plan=(before, text)))

    # -- parts

    def _measure_liver(self) -> None:
        """The liver was drawn anew: its volume, and what follows from it for the lesions."""
        measure_liver(self._case, self.liver_mask())
        self._case = read_case(self._scene, self._case.volume)

    def liver_mask(self) -> Mask | None:
        """The liver's voxels; read once while its labelmap stays as it is."""
        node, segment_id = self._case.segmentation, self._case.liver_segment
        if node is None or not segment_id:
            return None
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(segments.BINARY)
        key = (segment_id, image.GetMTime() if image is not None else 0)
        if self._liver is None or self._liver[0] != key:
            self._liver = (key, segments.read_mask(node, segment_id, self._geometry()))
        return self._liver[1]

    def _geometry(self) -> Geometry:
        return volume_geometry(self._case.volume)

    def _do(
        self,
        label: str,
        segment_ids: Iterable[str],
        act: Callable[[Any], None],
        *,
        masks: bool,
        measure: Sequence[str] = (),
    ) -> None:
        node, ids = self._case.segmentation, list(segment_ids)
        if node is None or not ids:
            return
        before = self._capture(ids, masks)
        try:
            with segments.one_change(node):
                act(node)
        except BaseException:
            self._restore(before)
            raise
        after = self._capture(ids, masks)
        self.history.add(Step(label, before, after, volume_id=self._elsewhere))
        self._case = follow(self._scene, self._case, measure, self.liver_mask())

    def _capture(self, ids: Sequence[str], masks: bool) -> dict[str, SegmentState | BoxedLesion | None]:
        drawn = [i for i in ids if not i.startswith(BOX_PREFIX)]
        found: dict[str, SegmentState | BoxedLesion | None] = {}
        found.update(capture(self._case.segmentation, drawn, self._geometry(), masks=masks))
        boxed = read_boxed(self._case.table)
        found.update({row_id: boxed.get(row_id) for row_id in ids if row_id.startswith(BOX_PREFIX)})
        return found

    def _restore(self, states: States) -> None:
        boxes = {i: state for i, state in states.items() if i.startswith(BOX_PREFIX)}
        if boxes:
            self._write_boxes(boxes)  # type: ignore[arg-type]
        drawn = {i: state for i, state in states.items() if not i.startswith(BOX_PREFIX)}
        with segments.one_change(self._case.segmentation):
            restore(self._case.segmentation, drawn, self._geometry())

    def _write_boxes(self, changed: Mapping[str, BoxedLesion | None]) -> None:
        """Keep these lesions without a mask; None takes one out."""
        boxed = {**read_boxed(self._case.table), **changed}
        write_boxed(self._case.table, [one for one in boxed.values() if one is not None])

    def _need_masks(self, row_ids: Sequence[str]) -> None:
        if any(row_id.startswith(BOX_PREFIX) for row_id in row_ids):
            raise InputError("This lesion has only a box. Click Outline first: it draws one in the box.")
