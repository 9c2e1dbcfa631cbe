"""The prior scan beside the current one: views that follow each other through the registration.

Scrolling, panning and zooming one scan's slice view moves its partner to the place that the registration
names, not to the same position; so does turning a 3D view. A mark shows where the mouse is in the other scan.
Works on view nodes, so it does nothing harmful without a main window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ...review.case_view import CaseView
from ...review.comparing import ComparedCase
from ...scene.ras import numpy_matrix, to_volume, to_world
from ...volume.point_map import PointMap
from ..show.views import PRIOR_VIEW, is_prior_view

LAYOUT = 20261
"""Number of the layout; those of the application and of its extensions are others."""
SLICES = (("Red", "Axial"), ("Green", "Coronal"))
VIEW_3D = "1"
PLACE = "LiverLesionAI.SamePlace"
_COLOURS = {"Red": "#F34A33", "Green": "#6EB04B"}
_NAME = "Place in the other scan"

Point = tuple[float, float, float]
Move = Callable[[Point], Point | None]


class LinkedViews(VTKObservationMixin):
    """Views of the prior scan, made when they are wanted, and their links with the current scan's."""

    def __init__(self) -> None:
        super().__init__()
        self._compared: ComparedCase | None = None
        self._volume: Any = None
        self._moving = False
        self._before: int | None = None
        self._limited: dict[str, tuple[str, ...]] = {}

    @property
    def active(self) -> bool:
        """Whether the two scans stand side by side."""
        return self._compared is not None

    def shows(self, case: CaseView, compared: ComparedCase | None) -> bool:
        """Whether it is these two scans that stand side by side."""
        shown = self._compared
        return shown is not None and case.volume is self._volume and shown.has_prior_of(compared)

    def start(self, case: CaseView, compared: ComparedCase) -> None:
        """Show both scans and link their views; nothing where they could not be brought into line."""
        if compared.alignment.movement is None:
            return
        self._compared, self._volume = compared, case.volume
        self._show_layout()
        scene = slicer.mrmlScene
        for name, orientation in SLICES:
            _slice_view(scene, PRIOR_VIEW + name, orientation)
            composite = _composite(scene, PRIOR_VIEW + name)
            composite.SetBackgroundVolumeID(compared.prior.volume.GetID())
            composite.SetForegroundVolumeID(None)
        _view_3d(scene, PRIOR_VIEW + VIEW_3D)
        self.limit(case, compared)
        event = vtk.vtkCommand.ModifiedEvent
        for one, other in self._partners():
            for node in (one, other):
                self.addObserver(node, event, self._moved)
        crosshair = scene.GetSingletonNode("default", "vtkMRMLCrosshairNode")
        if crosshair is not None:
            self.addObserver(crosshair, crosshair.CursorPositionModifiedEvent, self._pointed)
        for one, _ in self._partners():
            self._moved(one)

    def stop(self) -> None:
        """Take the links away, and the layout as it was before."""
        scene = slicer.mrmlScene
        for display_id, view_ids in self._limited.items():
            display = scene.GetNodeByID(display_id)
            if display is not None:
                only_in(display, view_ids)
        self.forget()
        mark = scene.GetFirstNodeByName(_NAME)
        if mark is not None:
            scene.RemoveNode(mark)
        manager = slicer.app.layoutManager()
        if manager is not None and self._before is not None and manager.layout == LAYOUT:
            manager.setLayout(self._before)
        self._before = None

    def forget(self) -> None:
        """Follow nothing any more, as the scene or the module goes."""
        self.removeObservers()
        self._compared = self._volume = None
        self._limited = {}

    def limit(self, case: CaseView, compared: ComparedCase) -> None:
        """Each scan's masks and marks in its own views: over the other they would mislead."""
        self._compared = compared
        views = list(nodes_of_class("vtkMRMLSliceNode")) + list(nodes_of_class("vtkMRMLViewNode"))
        for shown, of_prior in ((case, False), (compared.prior, True)):
            ids = tuple(view.GetID() for view in views if is_prior_view(view) == of_prior)
            for display in _displays(shown):
                self._limited.setdefault(display.GetID(), _view_ids(display))
                only_in(display, ids)
        display = compared.prior.segmentation.GetDisplayNode()
        if display is not None and not display.GetVisibility():
            display.SetVisibility(True)

    def show_place(self, prior_ras: Point) -> None:
        """All views go to a place of the prior scan (world, RAS mm): a lesion that is gone."""
        for one, other in self._partners():
            if one.IsA("vtkMRMLSliceNode"):
                other.JumpSliceByCentering(*prior_ras)
            else:
                _focus(other, prior_ras)

    def centre_prior(self, prior_ras: Point) -> None:
        """The prior's views go to a place of theirs; the current ones stay."""
        self._moving = True
        try:
            self.show_place(prior_ras)
        finally:
            self._moving = False

    # -- moving

    def _partners(self) -> Iterator[tuple[Any, Any]]:
        """(Of the current scan, of the prior one): slice views, then cameras."""
        for kind in ("vtkMRMLSliceNode", "vtkMRMLCameraNode"):
            known = {node.GetLayoutName(): node for node in nodes_of_class(kind)}
            for name, other in known.items():
                if name and PRIOR_VIEW + name in known:
                    yield other, known[PRIOR_VIEW + name]

    def _moved(self, caller: Any, event: Any = None) -> None:
        if self._moving or self._compared is None:
            return
        self._moving = True
        try:
            for one, other in self._partners():
                if caller is one:
                    _follow(one, other, self._to_prior)
                elif caller is other:
                    _follow(other, one, self._to_current)
        finally:
            self._moving = False

    def _to_prior(self, point_ras: Point) -> Point | None:
        compared = self._compared
        movement = None if compared is None else compared.alignment.movement
        if compared is None or movement is None:
            return None
        back = movement.back(to_volume(self._volume, point_ras))
        return None if back is None else to_world(compared.prior.volume, back)

    def _to_current(self, point_ras: Point) -> Point | None:
        compared = self._compared
        movement: PointMap | None = None if compared is None else compared.alignment.movement
        if compared is None or movement is None:
            return None
        here = np.asarray(to_volume(compared.prior.volume, point_ras))
        return to_world(self._volume, movement.points(here[None])[0])

    def _pointed(self, caller: Any, event: Any = None) -> None:
        """The mouse is over one of the views: the other scan's show the same place."""
        position, ignored = [0.0] * 3, [0.0] * 3
        there = caller.GetCursorPositionRAS(position)
        view = caller.GetCursorPositionXYZ(ignored)
        of_prior = view is not None and is_prior_view(view)
        move = self._to_current if of_prior else self._to_prior
        point = move((position[0], position[1], position[2])) if there else None
        mark = _mark(slicer.mrmlScene)
        if point is not None:
            mark.SetNthControlPointPosition(0, *point)
            only_in(
                mark.GetDisplayNode(),
                tuple(v.GetID() for v in nodes_of_class("vtkMRMLSliceNode") if is_prior_view(v) != of_prior),
            )
        mark.GetDisplayNode().SetVisibility(point is not None)

    def _show_layout(self) -> None:
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        node = manager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(LAYOUT):
            node.AddLayoutDescription(LAYOUT, layout_xml())
        if manager.layout != LAYOUT:
            self._before = manager.layout
        manager.setLayout(LAYOUT)


def everywhere(case: CaseView) -> None:
    """A scan's masks and marks in all views again, where a saved scene left them to a prior's views."""
    for display in _displays(case):
        if any(PRIOR_VIEW in view_id for view_id in _view_ids(display)):
            only_in(display, ())


def layout_xml() -> str:
    """The prior's column to the left, the current scan's to the right: axial above, coronal and 3D below."""

    def item(inside: str) -> str:
        return f"<item>{inside}</item>"

    def slices(prefix: str, name: str, orientation: str) -> str:
        label = ("P" if prefix else "") + name[0]
        properties = (("orientation", orientation), ("viewlabel", label), ("viewcolor", _COLOURS[name]))
        said = "".join(f'<property name="{k}" action="default">{v}</property>' for k, v in properties)
        return item(f'<view class="vtkMRMLSliceNode" singletontag="{prefix}{name}">{said}</view>')

    def column(prefix: str) -> str:
        (first, axial), (second, coronal) = SLICES
        label = f'<property name="viewlabel" action="default">{"P" if prefix else ""}1</property>'
        solid = item(f'<view class="vtkMRMLViewNode" singletontag="{prefix}{VIEW_3D}">{label}</view>')
        below = f'<layout type="horizontal">{slices(prefix, second, coronal)}{solid}</layout>'
        above = slices(prefix, first, axial)
        return item(f'<layout type="vertical" split="true">{above}{item(below)}</layout>')

    return f'<layout type="horizontal" split="true">{column(PRIOR_VIEW)}{column("")}</layout>'


def _follow(one: Any, other: Any, move: Move) -> None:
    if one.IsA("vtkMRMLCameraNode"):
        _follow_camera(one, other, move)
    else:
        _follow_slice(one, other, move)


def _follow_slice(one: Any, other: Any, move: Move) -> None:
    """The other view looks at the same place, in the same direction, at the same scale."""
    to_ras = numpy_matrix(one.GetSliceToRAS())
    middle = one.GetXYZOrigin()
    centre = to_ras @ np.array([middle[0], middle[1], 0.0, 1.0])
    there = move((float(centre[0]), float(centre[1]), float(centre[2])))
    if there is None:
        return
    to_ras[:3, 3] = there
    was = other.StartModify()
    try:
        matrix = other.GetSliceToRAS()
        matrix.DeepCopy(tuple(float(v) for v in to_ras.ravel()))
        other.SetXYZOrigin(0.0, 0.0, 0.0)
        size, own = one.GetDimensions(), other.GetDimensions()
        field = one.GetFieldOfView()
        wide, high = (
            field[k] * own[k] / size[k] if size[k] > 0 and own[k] > 0 else field[k] for k in range(2)
        )
        other.SetFieldOfView(wide, high, other.GetFieldOfView()[2])
        other.UpdateMatrices()
    finally:
        other.EndModify(was)


def _follow_camera(one: Any, other: Any, move: Move) -> None:
    focus, position = one.GetFocalPoint(), one.GetPosition()
    there = move((focus[0], focus[1], focus[2]))
    if there is None:
        return
    was = other.StartModify()
    other.SetViewUp(*one.GetViewUp())
    other.SetFocalPoint(*there)
    other.SetPosition(*(t + p - f for t, p, f in zip(there, position, focus, strict=True)))
    other.EndModify(was)


def _focus(camera: Any, point_ras: Point) -> None:
    focus, position = camera.GetFocalPoint(), camera.GetPosition()
    was = camera.StartModify()
    camera.SetFocalPoint(*point_ras)
    camera.SetPosition(*(p + new - old for p, new, old in zip(position, point_ras, focus, strict=True)))
    camera.EndModify(was)


def nodes_of_class(kind: str) -> Iterator[Any]:
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodesByClass(kind)):
        yield scene.GetNthNodeByClass(index, kind)


def _slice_view(scene: Any, name: str, orientation: str) -> None:
    """The layout's own node; without a main window one is made."""
    view = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
    if view is None:
        view = _add(scene, "vtkMRMLSliceNode", name)
        view.SetOrientation(orientation)
    # The application links the views of a group by position.
    view.SetViewGroup(LAYOUT)


def _composite(scene: Any, name: str) -> Any:
    known = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
    return _add(scene, "vtkMRMLSliceCompositeNode", name) if known is None else known


def _view_3d(scene: Any, name: str) -> None:
    if scene.GetSingletonNode(name, "vtkMRMLViewNode") is None:
        _add(scene, "vtkMRMLViewNode", name)
    if not any(camera.GetLayoutName() == name for camera in nodes_of_class("vtkMRMLCameraNode")):
        _add(scene, "vtkMRMLCameraNode", name)


def _add(scene: Any, kind: str, name: str) -> Any:
    """A view's node of that name; by its class, as that brings the scene's defaults along."""
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetSingletonTag(name)
    node.SetLayoutName(name)
    return scene.AddNode(node)


def _mark(scene: Any) -> Any:
    node = scene.GetFirstNodeByName(_NAME)
    if node is None:
        display = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialDisplayNode")
        display.UnRegister(None)
        display.SetTextScale(0.0)
        display.SetSaveWithScene(False)
        scene.AddNode(display)
        node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        node.UnRegister(None)
        node.SetName(_NAME)
        node.SetAttribute(PLACE, "1")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetLocked(True)
        node = scene.AddNode(node)
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.AddControlPoint(0.0, 0.0, 0.0)
    return node


def _displays(case: CaseView) -> list[Any]:
    """What draws a case's masks and marks."""
    nodes = [case.segmentation, *(case.marks.all if case.marks is not None else ())]
    return [display for node in nodes if node is not None and (display := node.GetDisplayNode()) is not None]


def _view_ids(display: Any) -> tuple[str, ...]:
    return tuple(display.GetNthViewNodeID(k) for k in range(display.GetNumberOfViewNodeIDs()))


def only_in(display: Any, view_ids: Sequence[str]) -> None:
    """Shown in these views only; in all for none."""
    if _view_ids(display) == tuple(view_ids):
        return
    was = display.StartModify()
    display.RemoveAllViewNodeIDs()
    for view_id in view_ids:
        display.AddViewNodeID(view_id)
    display.EndModify(was)
