"""Whether a case in the scene is still as it was saved."""

from __future__ import annotations

import slicer

from .case_view import CaseView


def case_state(case: CaseView) -> tuple[object, ...]:
    """What the reader can change of a case, to compare with a later state; looking changes nothing of it."""
    return (repr(case.rows), *_segments(case), *_marks(case))


def _segments(case: CaseView) -> list[object]:
    if case.segmentation is None:
        return []
    segmentation = case.segmentation.GetSegmentation()
    binary = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    state: list[object] = []
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        image = segment.GetRepresentation(binary)
        state.append((segment_id, segment.GetName(), image.GetMTime() if image is not None else 0))
    return state


def _marks(case: CaseView) -> list[object]:
    """Where boxes, diameters and points lie."""
    state: list[object] = []
    scene = case.segmentation.GetScene() if case.segmentation is not None else None
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") if scene is not None else 0):
        node = scene.GetNthNodeByClass(index, "vtkMRMLMarkupsNode")
        points = [list(node.GetNthControlPointPosition(k)) for k in range(node.GetNumberOfControlPoints())]
        state.append((node.GetName(), repr(points)))
    return state
