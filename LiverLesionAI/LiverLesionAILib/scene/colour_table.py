"""The colours of lesions as a table that Slicer's models are coloured by."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from ..case.colours import DIFFERENT_COLOURS, lesion_colour

TAG = "LiverLesionAIColours"
AXIS_INDEX = 0
"""White: diameters are seen on every lesion's colour."""


def colour_index(number: int) -> int:
    """Where the colour of the lesion with this number stands in the table."""
    return 1 + (max(number, 1) - 1) % DIFFERENT_COLOURS


def colour_table(
    scene: slicer.vtkMRMLScene, add: Callable[[slicer.vtkMRMLNode], slicer.vtkMRMLNode]
) -> slicer.vtkMRMLColorTableNode:
    """The scene's table, made and added where there is none."""
    node = scene.GetSingletonNode(TAG, "vtkMRMLColorTableNode")
    if node is not None and node.GetNumberOfColors() == DIFFERENT_COLOURS + 1:
        return node
    there = node is not None
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
        node.UnRegister(None)
        node.SetName("Lesions' colours")
        node.SetSingletonTag(TAG)
        node.SetHideFromEditors(True)
    node.SetTypeToUser()
    node.SetNumberOfColors(DIFFERENT_COLOURS + 1)
    node.SetColor(AXIS_INDEX, "diameter", 1.0, 1.0, 1.0, 1.0)
    for number in range(1, DIFFERENT_COLOURS + 1):
        node.SetColor(colour_index(number), f"lesion {number}", *lesion_colour(number), 1.0)
    node.GetLookupTable().SetRange(0, DIFFERENT_COLOURS)
    return node if there else add(node)
