"""Slice and 3D views go to a lesion.

Works on view nodes, so it does nothing harmful without a main window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import qt
import slicer

from ...review.case_view import CaseView
from ...scene.ras import numpy_matrix, to_world

PRIOR_VIEW = "LiverLesionAIPrior"
"""What the names of an earlier scan's views begin with."""


def is_prior_view(node: slicer.vtkMRMLNode) -> bool:
    """Whether a view, its composite or its camera shows an earlier scan."""
    return (node.GetLayoutName() or "").startswith(PRIOR_VIEW)


def centre_ras(case: CaseView, segment_id: str) -> tuple[float, float, float] | None:
    """Where to go for a lesion, in the world's RAS mm: on its long axis' slice, otherwise its middle."""
    row, segmentation = case.row(segment_id), case.segmentation
    if row is not None and row.place.centre_lps is not None:
        return to_world(case.volume, row.place.centre_lps)
    if segmentation is None or segmentation.GetSegmentation().GetSegment(segment_id) is None:
        return None
    # A labelmap may be shared between segments: only this call looks at the segment's own voxels.
    centre = segmentation.GetSegmentCenterRAS(segment_id)
    return None if centre is None else tuple(centre)  # type: ignore[return-value]


def jump_to(
    scene: slicer.vtkMRMLScene, point_ras: tuple[float, float, float], *, centred: bool = False
) -> None:
    """All slice views show this point (world, RAS mm), and 3D views turn round it.

    Views of an earlier scan are left to those that they are linked with.
    Slice views keep their pan and zoom; one whose frame the point lies outside of is centred on it.

    Args:
        centred: centre every slice view on the point.
    """
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        view = scene.GetNthNodeByClass(index, "vtkMRMLSliceNode")
        if is_prior_view(view):
            continue
        if centred or not in_frame(view, point_ras):
            view.JumpSliceByCentering(*point_ras)
        else:
            view.JumpSliceByOffsetting(*point_ras)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLCameraNode")):
        camera = scene.GetNthNodeByClass(index, "vtkMRMLCameraNode")
        if is_prior_view(camera):
            continue
        focus, position = camera.GetFocalPoint(), camera.GetPosition()
        moved = [p + new - old for p, new, old in zip(position, point_ras, focus, strict=True)]
        _aim(camera, point_ras, (moved[0], moved[1], moved[2]))


def in_frame(view: slicer.vtkMRMLSliceNode, point_ras: tuple[float, float, float]) -> bool:
    """Whether a point (world, RAS mm) lies within a slice view's frame, on its plane or before it."""
    to_ras = numpy_matrix(view.GetSliceToRAS())
    across = (np.linalg.inv(to_ras) @ np.array([*point_ras, 1.0]))[:2]
    middle, half = np.array(view.GetXYZOrigin())[:2], np.array(view.GetFieldOfView())[:2] / 2
    return bool((np.abs(across - middle) <= half).all())


def frame_in_3d(scene: slicer.vtkMRMLScene, bounds_ras: Sequence[float]) -> None:
    """3D views look from the front at the whole of a box.

    Args:
        bounds_ras: low and high x, y, z in the world, mm.
    """
    low, high = np.array(bounds_ras[::2], float), np.array(bounds_ras[1::2], float)
    x, y, z = ((low + high) / 2).tolist()
    radius_mm = max(float(np.linalg.norm(high - low)) / 2, 1.0)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLCameraNode")):
        camera = scene.GetNthNodeByClass(index, "vtkMRMLCameraNode")
        if is_prior_view(camera):
            continue
        half_angle = np.radians(camera.GetViewAngle() or 30.0) / 2
        camera.SetViewUp(0.0, 0.0, 1.0)
        _aim(camera, (x, y, z), (x, y + radius_mm / float(np.sin(half_angle)), z))


def _aim(camera: slicer.vtkMRMLCameraNode, focus_ras: Sequence[float], position_ras: Sequence[float]) -> None:
    was = camera.StartModify()
    camera.SetFocalPoint(*focus_ras)
    camera.SetPosition(*position_ras)
    camera.ResetClippingRange()
    camera.EndModify(was)


def show_volume(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """The CT fills the slice views' background where another volume, or none, is shown there."""
    changed = False
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        if not is_prior_view(composite) and composite.GetBackgroundVolumeID() != volume.GetID():
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
