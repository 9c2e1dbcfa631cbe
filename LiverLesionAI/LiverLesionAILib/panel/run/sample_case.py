"""The sample case as a volume of the scene."""

from __future__ import annotations

import slicer

from ...case.sample import load_sample
from ...case.sample_follow_up import load_follow_up
from ...scene.ras import set_volume
from ...scene.study import keep_study
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


FOLLOW_UP_NAME = "Sample CT, follow-up"


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


def load_both_scans(
    scene: slicer.vtkMRMLScene,
) -> tuple[slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLScalarVolumeNode]:
    """The sample's CT and its follow-up as volume nodes with their dates; what is there is taken again.

    Raises:
        InputError: the shipped files are missing or damaged.
    """
    sample = load_follow_up()
    prior = find_sample(scene) or add_sample(scene, sample.prior.volume)
    current = scene.GetFirstNodeByName(FOLLOW_UP_NAME)
    if current is None:
        current = add_sample(scene, sample.current.volume)
        current.SetName(FOLLOW_UP_NAME)
        current.RemoveAttribute(ATTRIBUTE)
    for node, day in zip((prior, current), sample.changes.days, strict=True):
        keep_study(node, f"{day:%Y%m%d}", ("", "", ""))
    return prior, current
