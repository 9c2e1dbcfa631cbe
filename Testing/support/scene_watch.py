"""Counts what a change of a MRML scene makes the application do: nodes that come and go, and redraws."""

from __future__ import annotations

from collections import Counter
from typing import Any

import slicer
import vtk


class SceneWatch:
    """Observes a scene and every node in it, those that join later too, between `with` and its end.

    Attributes:
        counts: "added", "removed": nodes. "display": changes of display nodes. "content": changes of what
            displayable nodes show (voxels, meshes, points, segments). "table": changes of tables.
            "attribute": attributes and names that were set on nodes of the scene, as far as they are told.
    """

    CONTENT = (
        "vtkMRMLSegmentationNode",
        "vtkMRMLMarkupsNode",
        "vtkMRMLModelNode",
        "vtkMRMLVolumeNode",
    )

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._tags: list[tuple[Any, int]] = []
        self._seen: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.details: Counter[str] = Counter()

    def __enter__(self) -> SceneWatch:
        self._observe(self._scene, self._scene.NodeAddedEvent, self._added)
        self._observe(self._scene, self._scene.NodeRemovedEvent, self._removed)
        for index in range(self._scene.GetNumberOfNodes()):
            self._watch(self._scene.GetNthNode(index))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, tag in self._tags:
            owner.RemoveObserver(tag)
        self._tags.clear()

    def _observe(self, owner: Any, event: Any, heard: Any) -> None:
        self._tags.append((owner, owner.AddObserver(event, heard)))

    def _count(self, what: str, node: Any, event: str) -> None:
        self.counts[what] += 1
        self.details[f"{what}: {node.GetClassName()} {event}"] += 1

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _added(self, caller: Any, event: str, node: Any) -> None:
        self._count("added", node, "")
        self._watch(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _removed(self, caller: Any, event: str, node: Any) -> None:
        self._count("removed", node, "")

    def _watch(self, node: Any) -> None:
        if node.GetID() in self._seen:
            return
        self._seen.add(node.GetID())
        if node.IsA("vtkMRMLDisplayNode"):
            self._observe(node, vtk.vtkCommand.ModifiedEvent, lambda c, e: self._count("display", c, e))
        elif any(node.IsA(name) for name in self.CONTENT):
            # Every event of the node, Modified and its own: whoever shows it hears them.
            self._observe(node, vtk.vtkCommand.AnyEvent, lambda c, e: self._count("content", c, e))
        elif node.IsA("vtkMRMLTableNode"):
            self._observe(node, vtk.vtkCommand.AnyEvent, lambda c, e: self._count("table", c, e))
