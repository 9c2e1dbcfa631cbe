"""Slice and 3D views go to a lesion. Works on view nodes, so it does nothing harmful without a main
window."""

from __future__ import annotations

import qt
import slicer

from ...review.case_view import CaseView
from ...scene import nodes


def centre_ras(case: CaseView, segment_id: str) -> tuple[float, float, float] | None:
    """Where to go for a lesion, in the world's RAS mm: on its long axis' slice, otherwise its middle."""
    box = case.box(segment_id)
    if box is not None:
        middle = [0.0, 0.0, 0.0]
        box.GetCenterWorld(middle)
        return (middle[0], middle[1], middle[2])
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


class Pulse:
    """Lets a lesion's mask flash a few times, so that the eye finds it."""

    FLASHES = 3
    INTERVAL_MS = 160

    def __init__(self) -> None:
        self._display: slicer.vtkMRMLSegmentationDisplayNode | None = None
        self._segment_id = ""
        self._before = 0.0
        self._left = 0
        self._timer = qt.QTimer()
        self._timer.setInterval(self.INTERVAL_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def active(self) -> bool:
        """Whether a lesion flashes now."""
        return self._display is not None

    def start(self, case: CaseView, segment_id: str) -> None:
        """Flash this lesion; an earlier flash ends as it began."""
        self.stop()
        display = case.segmentation.GetDisplayNode() if case.segmentation is not None else None
        if display is None or case.box(segment_id) is not None:
            return
        self._display, self._segment_id = display, segment_id
        self._before = display.GetSegmentOpacity2DFill(segment_id)
        self._left = 2 * self.FLASHES
        self._timer.start()

    def stop(self) -> None:
        """End, with the lesion's looks as they were."""
        self._timer.stop()
        display, self._display = self._display, None
        if display is not None:
            display.SetSegmentOpacity2DFill(self._segment_id, self._before)

    def _step(self) -> None:
        self._left -= 1
        if self._display is None or self._left <= 0:
            self.stop()
            return
        opacity = 1.0 if self._left % 2 else self._before
        self._display.SetSegmentOpacity2DFill(self._segment_id, opacity)
