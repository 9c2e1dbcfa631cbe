"""Asks the reader for a point or a plane in the views, by Slicer's own markups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk

from ...review.case_view import CaseView
from ...scene.nodes import remove_node
from ...scene.ras import to_world
from ..shortcuts import Shortcuts
from ..show.views import centre_ras

NAME = "LiverLesionAI new lesion"


class PointPlacer:
    """One click in a view, told in RAS mm of the world. Esc, or a right click, ends the wait."""

    def __init__(self, scene: slicer.vtkMRMLScene, keys_of: qt.QWidget) -> None:
        """`keys_of`: in whose window Esc is heard while a click is waited for."""
        self._scene = scene
        self._node: slicer.vtkMRMLMarkupsFiducialNode | None = None
        self._observed: list[tuple[Any, int]] = []
        self._found: Callable[[tuple[float, float, float]], None] | None = None
        self._given_up: Callable[[], None] = lambda: None
        self._keys_of = keys_of
        self._escape: Shortcuts | None = None

    @property
    def waiting(self) -> bool:
        """Whether a click is waited for."""
        return self._found is not None

    def start(
        self,
        found: Callable[[tuple[float, float, float]], None],
        given_up: Callable[[], None] = lambda: None,
        name: str = NAME,
    ) -> None:
        """Wait for a click; an earlier wait ends. `given_up` is called where the reader ends it."""
        self.stop()
        self._found, self._given_up = found, given_up
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetMaximumNumberOfControlPoints(1)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        self._node = node
        selection = self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        interaction = self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)
        for owner, event, heard in (
            (node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._clicked),
            (interaction, interaction.InteractionModeChangedEvent, self._mode_changed),
        ):
            self._observed.append((owner, owner.AddObserver(event, lambda c, e, heard=heard: heard())))
        # The window's, as the part of the panel that asked may be folded in meanwhile.
        self._escape = Shortcuts(self._keys_of.window(), {"Esc": self._leave})
        self._escape.enable()

    def stop(self) -> None:
        """Wait no more."""
        if self._escape is not None:
            self._escape.disable()
            self._escape = None
        self._found = None
        for owner, tag in self._observed:
            owner.RemoveObserver(tag)
        self._observed.clear()
        node, self._node = self._node, None
        if node is None:
            return
        interaction = self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        if self._scene.IsNodePresent(node):
            remove_node(self._scene, node)

    def _leave(self) -> None:
        if self._found is not None:
            self.stop()
            self._given_up()

    def _mode_changed(self) -> None:
        # A click ends place mode too, before or after it is told of: look again when all of it is over.
        qt.QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        interaction = self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        if self._found is not None and interaction.GetCurrentInteractionMode() != interaction.Place:
            self._leave()

    def _clicked(self) -> None:
        node, found = self._node, self._found
        if node is None or found is None or not node.GetNumberOfControlPoints():
            return
        self._found = None
        point = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(0, point)
        # The markup is still being placed: what follows waits until its own event is over.
        qt.QTimer.singleShot(0, lambda: self._tell(found, (point[0], point[1], point[2])))

    def _tell(
        self, found: Callable[[tuple[float, float, float]], None], point: tuple[float, float, float]
    ) -> None:
        self.stop()
        found(point)


class PlanePlacer:
    """A plane through a lesion that the reader moves and turns."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._node: slicer.vtkMRMLMarkupsPlaneNode | None = None

    @property
    def active(self) -> bool:
        """Whether a plane is there to be moved."""
        return self._node is not None and bool(self._scene.IsNodePresent(self._node))

    def start(self, case: CaseView, segment_id: str) -> None:
        """Show a plane through the lesion's middle, across its long axis where that is known."""
        self.stop()
        centre = centre_ras(case, segment_id)
        if centre is None:
            return
        node = self._scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "Cut the lesion here")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        node.SetOriginWorld(list(centre))
        node.SetNormalWorld(list(_long_axis(case, segment_id)))
        node.SetSize(60, 60)
        node.GetDisplayNode().SetHandlesInteractive(True)
        self._node = node

    def take(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The plane's point and normal (RAS mm, world); the plane goes."""
        origin, normal = [0.0] * 3, [0.0] * 3
        assert self._node is not None
        self._node.GetOriginWorld(origin)
        self._node.GetNormalWorld(normal)
        self.stop()
        return tuple(origin), tuple(normal)

    def stop(self) -> None:
        """Take the plane away."""
        node, self._node = self._node, None
        if node is not None and self._scene.IsNodePresent(node):
            remove_node(self._scene, node)


def _long_axis(case: CaseView, segment_id: str) -> tuple[float, float, float]:
    """Unit vector along the lesion's long axis (RAS, world); to the right where there is none."""
    row = case.row(segment_id)
    axis = row.place.long_axis_lps if row is not None else None
    if axis is not None:
        start, end = (to_world(case.volume, point) for point in axis)
        vector = [b - a for a, b in zip(start, end, strict=True)]
        if vtk.vtkMath.Normalize(vector) > 0:
            return (vector[0], vector[1], vector[2])
    return (1.0, 0.0, 0.0)
