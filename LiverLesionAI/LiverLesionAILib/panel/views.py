"""Slice and 3D views go to a lesion. Works on view nodes, so it does nothing harmful without a main
window."""

from __future__ import annotations

import slicer

from .. import scene_nodes as nodes
from .case_view import CaseView


def centre_ras(case: CaseView, segment_id: str) -> tuple[float, float, float] | None:
    """Where to go for a lesion, in the world's RAS mm: on its long axis' slice, otherwise its middle."""
    segmentation = case.segmentation
    if segmentation is None or segmentation.GetSegmentation().GetSegment(segment_id) is None:
        return None
    for node in case.axes:
        if (
            node.GetAttribute(nodes.ATTR_SEGMENT) == segment_id
            and node.GetAttribute(nodes.ATTR_ROLE) == nodes.ROLE_LONG_AXIS
            and node.GetNumberOfControlPoints() == 2
        ):
            ends = ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
            for index, end in enumerate(ends):
                node.GetNthControlPointPositionWorld(index, end)
            return tuple((a + b) / 2 for a, b in zip(*ends, strict=True))  # type: ignore[return-value]
    # A labelmap may be shared between segments: only this call looks at the segment's own voxels.
    centre = segmentation.GetSegmentCenterRAS(segment_id)
    return None if centre is None else tuple(centre)  # type: ignore[return-value]


def jump_to(scene: slicer.vtkMRMLScene, point_ras: tuple[float, float, float]) -> None:
    """All slice views show this point, and 3D views turn round it."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        scene.GetNthNodeByClass(index, "vtkMRMLSliceNode").JumpSliceByCentering(*point_ras)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLCameraNode")):
        camera = scene.GetNthNodeByClass(index, "vtkMRMLCameraNode")
        focus, position = camera.GetFocalPoint(), camera.GetPosition()
        moved = [p + new - old for p, new, old in zip(position, point_ras, focus, strict=True)]
        was = camera.StartModify()
        camera.SetFocalPoint(*point_ras)
        camera.SetPosition(*moved)
        camera.ResetClippingRange()
        camera.EndModify(was)


def show_volume(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """The CT fills the slice views' background where another volume, or none, is shown there."""
    changed = False
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        if composite.GetBackgroundVolumeID() != volume.GetID():
            composite.SetBackgroundVolumeID(volume.GetID())
            changed = True
    manager = slicer.app.layoutManager()
    if changed and manager is not None:
        manager.resetSliceViews()
