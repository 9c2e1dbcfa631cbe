"""Undo and redo of what the reader does to lesions: one step per action, of the segments it changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import slicer

from ..scene import segments
from ..scene.boxed import BoxedLesion
from ..volume.crops import Mask
from ..volume.ct import Geometry

MOST_STEPS = 50


@dataclass(frozen=True, eq=False)
class SegmentState:
    """A segment at one moment.

    Attributes:
        metadata: name, colour and tags, in a segment without voxels.
        mask: its voxels; None where the action leaves them alone.
        after: ID of the segment before it in the list, "" for the first.
    """

    metadata: slicer.vtkSegment
    mask: Mask | None
    after: str


States = Mapping[str, "SegmentState | BoxedLesion | None"]
"""By segment ID, or by the row's ID of a lesion that has only a box."""


@dataclass(frozen=True, eq=False)
class Step:
    """One action: what it is called, and its segments before and after (None: not there).

    Attributes:
        threshold: its value before and after, where the action was a move of the slider; what that let in and
            out follows from the value.
        ended_s: when such a move ended.
        words: what is said of the comparison with an earlier scan, before and after, where the action was
            about that.
        landmarks: of the liver's planes, before and after, as text, where the action moved one; what follows
            from them is computed.
        plan: of a resection, before and after, as text, where the action changed that.
        volume_id: of the CT whose segments they are, where that is not the shown case's: a prior scan's.
    """

    label: str
    before: States
    after: States
    threshold: tuple[float, float] | None = None
    ended_s: float = 0.0
    words: tuple[str, str] | None = None
    landmarks: tuple[str, str] | None = None
    plan: tuple[str, str] | None = None
    volume_id: str = ""


def capture(
    node: slicer.vtkMRMLSegmentationNode,
    segment_ids: Iterable[str],
    geometry: Geometry,
    *,
    masks: bool,
) -> dict[str, SegmentState | None]:
    """The state of some segments; `masks` also keeps their voxels."""
    segmentation, found = node.GetSegmentation(), {}
    order = segments.segment_ids(node)
    for segment_id in segment_ids:
        segment = segmentation.GetSegment(segment_id)
        if segment is None:
            found[segment_id] = None
            continue
        copy = slicer.vtkSegment()
        copy.DeepCopyMetadata(segment)
        place = order.index(segment_id)
        found[segment_id] = SegmentState(
            copy,
            segments.read_mask(node, segment_id, geometry) if masks else None,
            order[place - 1] if place else "",
        )
    return found


def restore(
    node: slicer.vtkMRMLSegmentationNode, states: Mapping[str, SegmentState | None], geometry: Geometry
) -> None:
    """Bring segments back to these states."""
    segmentation = node.GetSegmentation()
    for segment_id, state in states.items():
        segment = segmentation.GetSegment(segment_id)
        if state is None:
            if segment is not None:
                segmentation.RemoveSegment(segment_id)
        elif segment is not None and state.mask is None:
            label = segment.GetLabelValue()
            segment.DeepCopyMetadata(state.metadata)
            segment.SetLabelValue(label)
            segment.Modified()
        elif state.mask is not None:
            segment = segments.rebuilt(state.metadata, state.mask, geometry)
            segments.give_surface(node, segment, state.mask, geometry)
            put(node, segment_id, segment, state.after)


def put(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, segment: slicer.vtkSegment, after: str
) -> None:
    """Add a segment behind another, or in place of the one of its ID, whose looks it takes over."""
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    looks = None
    if segmentation.GetSegment(segment_id) is not None:
        if display is not None:
            looks = (
                display.GetSegmentVisibility(segment_id),
                display.GetSegmentOpacity2DFill(segment_id),
                display.GetSegmentOpacity2DOutline(segment_id),
                display.GetSegmentOpacity3D(segment_id),
            )
        segmentation.RemoveSegment(segment_id)
    order = segments.segment_ids(node)
    if after in order:
        place = order.index(after) + 1
    else:
        place = 0 if not after else len(order)
    before = order[place] if place < len(order) else ""
    if not segmentation.AddSegment(segment, segment_id, before):
        raise RuntimeError(f"{segment.GetName()} could not be put into the segmentation.")
    if looks is not None:
        visible, fill, outline, opacity = looks
        display.SetSegmentVisibility(segment_id, visible)
        display.SetSegmentOpacity2DFill(segment_id, fill)
        display.SetSegmentOpacity2DOutline(segment_id, outline)
        display.SetSegmentOpacity3D(segment_id, opacity)


class History:
    """Steps done and undone, for one case."""

    def __init__(self) -> None:
        self._done: list[Step] = []
        self._undone: list[Step] = []

    def add(self, step: Step) -> None:
        """Remember a step that was done just now."""
        self._done = [*self._done, step][-MOST_STEPS:]
        self._undone.clear()

    def add_move(self, before: float, after: float, now_s: float, within_s: float) -> None:
        """Remember a move of the threshold slider; one that goes on within `within_s` is the same step."""
        last = self._done[-1] if self._done else None
        if last is not None and last.threshold is not None and now_s - last.ended_s <= within_s:
            self._done.pop()
            before = last.threshold[0]
        self._undone.clear()
        if before != after:
            self.add(Step(f"threshold to {after:.2f}", {}, {}, (before, after), now_s))

    def forget_landmarks(self) -> None:
        """The liver's planes rest on other landmarks now: the old ones are not gone back to."""
        self._done = [step for step in self._done if step.landmarks is None]
        self._undone = [step for step in self._undone if step.landmarks is None]

    def clear(self) -> None:
        """Forget everything: the segments are others now."""
        self._done.clear()
        self._undone.clear()

    @property
    def next_undo(self) -> str:
        """What undo would undo, "" for nothing."""
        return self._done[-1].label if self._done else ""

    @property
    def next_redo(self) -> str:
        """What redo would do again, "" for nothing."""
        return self._undone[-1].label if self._undone else ""

    def undo(self) -> Step | None:
        """The step to take back."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step | None:
        """The step to do again."""
        if not self._undone:
            return None
        # A move that is done again has ended: the next one is a step of its own.
        self._done.append(replace(self._undone.pop(), ended_s=-math.inf))
        return self._done[-1]
