"""What one point of a CT attends to: the question for the worker, and the answer as maps of the case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from ..analysis.rules import Rules
from ..case.description import attention_map
from ..case.findings import AttentionMap
from ..case.store import load_steps
from ..models.inputs import liver_level_hu
from ..models.weights import ModelEntry
from ..scene import nodes
from ..scene.ras import image_steps, to_volume, volume_geometry
from ..scene.upgrade import own_like
from ..stages.explain.mscd_point import map_title, region_around, request_of
from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import Geometry
from .case_view import CaseView

MARK_COLOUR = (1.0, 1.0, 1.0)


class PointQuestion:
    """One question about one case.

    Attributes:
        shown: names of the maps that came of it, the finest first.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        case: CaseView,
        liver: Mask,
        point_world: tuple[float, float, float],
        entry: ModelEntry,
        settings: Mapping[str, Any],
    ) -> None:
        """`point_world`: RAS mm.

        Raises:
            InputError: the point is not near the liver.
        """
        self._scene, self._case, self._liver, self._entry = scene, case, liver, entry
        self._settings = dict(settings)
        self.point_world = point_world
        self._point_lps = to_volume(case.volume, point_world)
        self._geometry = volume_geometry(case.volume)
        margin_mm = float(self._settings.get("margin_mm", Rules().margin_mm))
        self._region = region_around(self._geometry, self._point_lps, liver.slices, entry, margin_mm)
        self.shown: tuple[str, ...] = ()

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The slab round the point and the question.

        Raises:
            InputError: the CT was changed meanwhile.
        """
        if not volume_geometry(self._case.volume).matches(self._geometry):
            raise InputError("The CT was changed meanwhile. Click the point again.")
        array = slicer.util.arrayFromVolume(self._case.volume)
        level_hu = liver_level_hu(array[self._liver.slices][self._liver.voxels_zyx])
        start, stop = ([getattr(s, end) for s in self._region] for end in ("start", "stop"))
        request = request_of(self._point_lps, level_hu, self._entry.name, self._settings)
        return array[self._region], self._geometry.cropped(start, stop), request

    def answer(self, result: Path) -> Iterator[str]:
        """Put the maps into the scene, in place of those of an earlier point."""
        steps = load_steps(result)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found = end.value
                break
            yield "read the answer"
        if self._case.segmentation is None or not self._scene.IsNodePresent(self._case.segmentation):
            raise InputError("The findings were removed meanwhile. Click Analyze again.")
        title = map_title(self._entry)
        earlier = {
            node.GetAttribute(nodes.ATTR_MAP): node
            for node in self._case.maps
            if (node.GetAttribute(nodes.ATTR_MAP) or "").startswith(title) and self._scene.IsNodePresent(node)
        }
        for shown in found.attention:
            image = yield from _imaged(shown)
            self._fill(shown, image, earlier.pop(shown.name, None))
        for node in earlier.values():
            nodes.remove_node(self._scene, node)
        self._mark()
        self.shown = tuple(shown.name for shown in found.attention)

    def _fill(self, shown: AttentionMap, image: vtk.vtkImageData, node: Any) -> None:
        described = attention_map(shown, self._case.volume.GetName(), {})
        new = node is None
        if new:
            node = self._new(
                "vtkMRMLScalarVolumeNode", f"{self._case.volume.GetName()} {shown.name}", nodes.ROLE_MAP
            )
            node.SetAttribute(nodes.ATTR_MAP, shown.name)
        nodes.fill_map(node, described, image)
        if new:
            nodes.give_map_display(self._scene, node, described)
            self._join(node)

    def _mark(self) -> None:
        """A mark where the reader clicked; one for each case."""
        node = next((node for node in self._case.points if self._scene.IsNodePresent(node)), None)
        if node is None:
            node = self._join(self._new("vtkMRMLMarkupsFiducialNode", "Point asked for", nodes.ROLE_POINT))
            node.CreateDefaultDisplayNodes()
            display = node.GetDisplayNode()
            for paint in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
                paint(*MARK_COLOUR)
            display.SetPointLabelsVisibility(False)
            display.SetGlyphScale(2.0)
        node.SetLocked(False)
        node.RemoveAllControlPoints()
        node.AddControlPointWorld(vtk.vtkVector3d(*self.point_world))
        node.SetLocked(True)

    def _new(self, class_name: str, name: str, role: str) -> slicer.vtkMRMLNode:
        """A node of the case, not in the scene yet."""
        node = self._scene.CreateNodeByClass(class_name)
        node.UnRegister(None)
        node.SetName(name)
        own_like(node, self._case.segmentation, self._case.volume, role)
        return node

    def _join(self, node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode:
        """Add a node, beside the other maps in the tree."""
        case = self._case
        node = self._scene.AddNode(node)
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        sibling = tree.GetItemByDataNode(case.maps[0]) if case.maps else 0
        parent = tree.GetItemParent(sibling or tree.GetItemByDataNode(case.segmentation))
        item = tree.GetItemByDataNode(node)
        if item and parent:
            tree.SetItemParent(item, parent)
        return node


def _imaged(shown: AttentionMap) -> Iterator[Any]:
    """The map's voxels, in steps that tell what they are."""
    steps = image_steps(np.asarray(shown.values_zyx))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield "show the answer"
