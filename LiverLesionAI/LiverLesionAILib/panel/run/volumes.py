"""The CTs of a scene."""

from __future__ import annotations

import slicer

from ...scene.nodes import ATTR_ROLE


def all_cts(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Scalar volumes of the scene that may be CTs: no label maps, none of our maps."""
    found = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetAttribute(ATTR_ROLE):
            found.append(node)
    return found


def map_ids(scene: slicer.vtkMRMLScene) -> list[str]:
    """IDs of the volumes that are maps of ours, none of which is a CT to choose."""
    volumes = (
        scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
    )
    return [node.GetID() for node in volumes if node.GetAttribute(ATTR_ROLE)]


def first_ct(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that slice views show, or the first one."""
    cts = all_cts(scene)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        shown = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID()
        for node in cts:
            if node.GetID() == shown:
                return node
    return cts[0] if cts else None
