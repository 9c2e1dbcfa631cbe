"""What networks attend to in a CT: questions for the worker, and their answers as maps of the case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from ..analysis.attention import Question
from ..analysis.rules import Rules
from ..case.description import attention_map
from ..case.findings import AttentionMap
from ..case.store import load_steps
from ..models.inputs import liver_level_hu
from ..models.weights import ModelEntry
from ..scene import nodes
from ..scene.ras import image_steps, to_volume, volume_geometry
from ..scene.upgrade import own_like
from ..stages.classify.liver_box import MARGIN_MM
from ..stages.explain.mscd_point import map_title, region_around, request_of
from ..stages.explain.names import STRIP, map_prefix
from ..support.errors import InputError
from ..support.steps import staged
from ..volume.crops import Mask
from ..volume.ct import Geometry
from ..volume.packed_mask import pack_mask
from .case_view import CaseView
from .derived import cut_to

MARK_COLOUR = (1.0, 1.0, 1.0)


class AttentionQuestion(ABC):
    """One question about one case.

    Attributes:
        point_world: RAS mm, where it was asked; None of what concerns the whole liver.
        shown: names of the maps that came of it, the finest first.
    """

    command = "attend"

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        case: CaseView,
        liver: Mask,
        entry: ModelEntry,
        settings: Mapping[str, Any],
        point_world: tuple[float, float, float] | None = None,
    ) -> None:
        """`liver`: the case's, as it is drawn now."""
        self._scene, self._case, self._liver, self._entry = scene, case, liver, entry
        self._settings = dict(settings)
        self._geometry = volume_geometry(case.volume)
        self.point_world = point_world
        self.shown: tuple[str, ...] = ()

    @property
    @abstractmethod
    def _prefix(self) -> str:
        """What the names of its maps begin with: an earlier answer's are replaced."""

    @property
    @abstractmethod
    def _region(self) -> tuple[slice, slice, slice]:
        """What of the CT is handed over."""

    @abstractmethod
    def _request(self, array: NDArray) -> dict[str, Any]:
        """The question as plain types; `array` is the whole CT."""

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The part of the CT that the question concerns, and the question.

        Raises:
            InputError: the CT was changed meanwhile.
        """
        if not volume_geometry(self._case.volume).matches(self._geometry):
            raise InputError("The CT was changed meanwhile. Ask again.")
        array, region = slicer.util.arrayFromVolume(self._case.volume), self._region
        start, stop = ([getattr(s, end) for s in region] for end in ("start", "stop"))
        return array[region], self._geometry.cropped(start, stop), self._request(array)

    def answer(self, result: Path) -> Iterator[str]:
        """Put the maps into the scene, in place of those of an earlier answer."""
        found = yield from staged("read the answer", load_steps(result))
        if self._case.segmentation is None or not self._scene.IsNodePresent(self._case.segmentation):
            raise InputError("The findings were removed meanwhile. Click Analyze again.")
        earlier = {
            node.GetAttribute(nodes.ATTR_MAP): node
            for node in self._case.maps
            if (node.GetAttribute(nodes.ATTR_MAP) or "").startswith(self._prefix)
            and self._scene.IsNodePresent(node)
        }
        for shown in found.attention:
            steps = image_steps(np.asarray(shown.values_zyx))
            image = yield from staged("show the answer", steps)
            self._fill(shown, image, earlier.pop(shown.name, None))
        for node in earlier.values():
            nodes.remove_node(self._scene, node)
        if self.point_world is not None:
            self._mark(self.point_world)
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

    def _mark(self, point_world: tuple[float, float, float]) -> None:
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
        node.AddControlPointWorld(vtk.vtkVector3d(*point_world))
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


class PointQuestion(AttentionQuestion):
    """What a point attends to in a network that relates positions."""

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
        super().__init__(scene, case, liver, entry, settings, point_world)
        self._point_lps = to_volume(case.volume, point_world)
        margin_mm = float(self._settings.get("margin_mm", Rules().margin_mm))
        self._around = region_around(self._geometry, self._point_lps, liver.slices, entry, margin_mm)

    @property
    def _prefix(self) -> str:
        return map_title(self._entry)

    @property
    def _region(self) -> tuple[slice, slice, slice]:
        return self._around

    def _request(self, array: NDArray) -> dict[str, Any]:
        level_hu = liver_level_hu(array[self._liver.slices][self._liver.voxels_zyx])
        return request_of(self._point_lps, level_hu, self._entry.name, self._settings)


class LiverQuestion(AttentionQuestion):
    """What is asked with the liver's mask: all attentions of a network in a point's slice, or every class."""

    def __init__(
        self,
        kind: Question,
        scene: slicer.vtkMRMLScene,
        case: CaseView,
        liver: Mask,
        entry: ModelEntry,
        settings: Mapping[str, Any],
        point_world: tuple[float, float, float] | None = None,
    ) -> None:
        """`point_world`: RAS mm, for `Question.NETWORK`."""
        super().__init__(scene, case, liver, entry, settings, point_world)
        self._kind = kind
        self._around = bounding_region(liver, self._geometry)

    @property
    def _prefix(self) -> str:
        return STRIP if self._kind is Question.CLASSES else map_prefix(self._entry)

    @property
    def _region(self) -> tuple[slice, slice, slice]:
        return self._around

    def _request(self, array: NDArray) -> dict[str, Any]:
        starts, stops = zip(*((s.start, s.stop) for s in self._around), strict=True)
        liver = Mask(cut_to(self._liver, self._around), (0, 0, 0))
        point = None if self.point_world is None else to_volume(self._case.volume, self.point_world)
        return {
            "question": self._kind.value,
            "model": self._entry.name,
            "device": self._settings.get("device", "auto"),
            "precision": self._settings.get("precision", "auto"),
            "liver": pack_mask(liver, self._geometry.cropped(starts, stops)),
            **({} if point is None else {"point_lps": [float(v) for v in point]}),
            **({} if self._case.phase is None else {"phase": list(self._case.phase.shares)}),
        }


def bounding_region(liver: Mask, geometry: Geometry) -> tuple[slice, slice, slice]:
    """The liver's box with what networks see around it."""
    margin = np.ceil(2 * MARGIN_MM / np.array(geometry.spacing_zyx_mm)).astype(int)
    bounds = zip(liver.slices, margin, geometry.shape_zyx, strict=True)
    z, y, x = (slice(max(0, s.start - int(m)), min(n, s.stop + int(m))) for s, m, n in bounds)
    return z, y, x
