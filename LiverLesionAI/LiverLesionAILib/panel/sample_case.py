"""The sample case as a volume of the scene."""

from __future__ import annotations

import slicer

from ..scene_geometry import set_volume

NAME = "Sample CT"
ATTRIBUTE = "LiverLesionAI.Sample"


def load_sample_volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """The sample's CT as a volume node; the one that is in the scene already is taken again."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(ATTRIBUTE):
            return node
    from ..synthesis.sample import load_sample

    ct, _, _ = load_sample()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", NAME)
    set_volume(node, ct.hu_zyx, ct.geometry)
    node.SetAttribute(ATTRIBUTE, "1")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(350, 50)
    return node
