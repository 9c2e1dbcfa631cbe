"""The line between the prior and the current scan that a reader drags: a plane, which slice views cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.util import VTKObservationMixin

from ...scene.nodes import remove_node
from ...scene.ras import point_ras
from ...volume.geometry import Geometry
from ...volume.parted import divider_of, share_at
from ..show.views import is_prior_view
from .linked_views import nodes_of_class, only_in

NAME = "Swipe"
COLOUR = (1.0, 0.85, 0.2)
HANDLE_SCALE = 2.0
"""Per cent of the view: to be hit without looking for it, and seen through."""


class Divider(VTKObservationMixin):
    """Stays across the patient, wherever it is dragged or turned to, in the current scan's slice views."""

    def __init__(self, dragged: Callable[[float], None]) -> None:
        super().__init__()
        self._dragged = dragged
        self._node: Any = None
        self._grid: Geometry | None = None
        self._placing = False

    def start(self, grid: Geometry, volume: Any, share: float) -> None:
        """Show it.

        Args:
            grid: that it parts, in `volume`'s own space.
            share: of the grid's width that is left of it, 0 to 1.
        """
        scene = slicer.mrmlScene
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", NAME)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        self._node, self._grid = node, grid
        size = 2 * max(n * s for n, s in zip(grid.shape_zyx, grid.spacing_zyx_mm, strict=True))
        node.SetSize(size, size)
        _dress(node.GetDisplayNode())
        self.place(share)
        self.limit()
        self.addObserver(node, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self._moved)

    def limit(self) -> None:
        """In the current scan's slice views only: those that are there now."""
        if self._node is None or self._node.GetDisplayNode() is None:
            return
        views = [view for view in nodes_of_class("vtkMRMLSliceNode") if not is_prior_view(view)]
        only_in(self._node.GetDisplayNode(), [view.GetID() for view in views])

    def place(self, share: float) -> None:
        """Put it where this share of the grid is left of it."""
        if self._node is None or self._grid is None:
            return
        point, normal = (point_ras(p) for p in divider_of(self._grid, share))
        self._placing = True
        was = self._node.StartModify()
        try:
            self._node.SetOrigin(list(point))
            self._node.SetNormal(list(normal))
        finally:
            self._node.EndModify(was)
            self._placing = False

    def stop(self) -> None:
        """Take it away."""
        node = self._node
        self.forget()
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            remove_node(slicer.mrmlScene, node)

    def forget(self) -> None:
        """The scene goes, and the line with it."""
        self.removeObservers()
        self._node = self._grid = None

    def _moved(self, caller: Any, event: Any = None) -> None:
        if self._placing or self._node is None or self._grid is None:
            return
        origin = [0.0] * 3
        self._node.GetOrigin(origin)
        share = share_at(self._grid, point_ras(origin))  # RAS to LPS is the same turn.
        self.place(share)
        self._dragged(share)


def _dress(display: Any) -> None:
    """A line with one handle, which moves it across; what turns or sizes a plane is of no use here."""
    if display is None:
        return
    display.SetSaveWithScene(False)
    display.SetVisibility3D(False)
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetColor(*COLOUR)
    display.SetSelectedColor(*COLOUR)
    display.SetHandlesInteractive(True)
    display.SetRotationHandleVisibility(False)
    display.SetScaleHandleVisibility(False)
    display.SetTranslationHandleVisibility(True)
    display.SetTranslationHandleComponentVisibility(False, False, True, False)
    display.SetInteractionHandleScale(HANDLE_SCALE)
