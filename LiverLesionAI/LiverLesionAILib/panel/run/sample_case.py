"""The sample case as a volume of the scene."""

from __future__ import annotations

import slicer

from ...case.sample import load_sample
from ...scene.ras import set_volume
from ...volume.ct import CtVolume

NAME = "Sample CT"
ATTRIBUTE = "LiverLesionAI.Sample"
WINDOW_HU, LEVEL_HU = 350.0, 50.0


def find_sample(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The sample case's CT where it is in the scene already."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(ATTRIBUTE):
            return node
    return None


def add_sample(scene: slicer.vtkMRMLScene, ct: CtVolume) -> slicer.vtkMRMLScalarVolumeNode:
    """Add the sample case's CT to the scene, in an abdominal window."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", NAME)
    set_volume(node, ct.hu_zyx, ct.geometry)
    node.SetAttribute(ATTRIBUTE, "1")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)
    return node


def load_sample_volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """The sample's CT as a volume node (a quarter of a second); one that is there is taken again.

    Raises:
        InputError: the shipped files are missing or damaged.
    """
    return find_sample(scene) or add_sample(scene, load_sample().volume)
