"""Lesions that have only a box: what undo needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import slicer

from ..scene import nodes
from ..scene.ras import numpy_matrix, vtk_matrix
from .case_view import ATTR_BELOW, BOX_PREFIX, CaseView
from .derived import new_markup

_KEPT = (
    nodes.ATTR_SEGMENT,
    nodes.ATTR_STATUS,
    nodes.ATTR_PLACED,
    nodes.ATTR_SCORE,
    nodes.ATTR_CLASS,
    nodes.ATTR_READER_CLASS,
    nodes.ATTR_PROBABILITIES,
    nodes.ATTR_NOTE,
    ATTR_BELOW,
)


@dataclass(frozen=True)
class BoxState:
    """A box at one moment.

    Attributes:
        matrix: 16 numbers, row-major: the box's own axes and middle in the CT's space (RAS mm).
        size_mm: edges along its own axes.
    """

    attributes: Mapping[str, str]
    matrix: tuple[float, ...]
    size_mm: tuple[float, float, float]


def _find(scene: slicer.vtkMRMLScene, case: CaseView, row_id: str) -> slicer.vtkMRMLMarkupsROINode | None:
    """The ROI of this number, whether it has a mask by now or not."""
    number = row_id.removeprefix(BOX_PREFIX)
    for node in case.boxes:
        if node.GetAttribute(nodes.ATTR_LESION) == number and scene.IsNodePresent(node):
            return node
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLMarkupsROINode")
        if (
            node.GetAttribute(nodes.ATTR_ROLE) == nodes.ROLE_BOX
            and node.GetAttribute(nodes.ATTR_LESION) == number
            and node.GetNodeReferenceID(nodes.REF_VOLUME) == case.volume.GetID()
        ):
            return node
    return None


def capture_box(scene: slicer.vtkMRMLScene, case: CaseView, row_id: str) -> BoxState | None:
    """A box as it is; None where it is not there."""
    node = _find(scene, case, row_id)
    if node is None:
        return None
    return BoxState(
        {name: node.GetAttribute(name) or "" for name in _KEPT},
        tuple(numpy_matrix(node.GetObjectToNodeMatrix()).ravel().tolist()),
        tuple(node.GetSize()),  # type: ignore[arg-type]
    )


def restore_box(scene: slicer.vtkMRMLScene, case: CaseView, row_id: str, state: BoxState | None) -> None:
    """Bring a box back to this state."""
    node = _find(scene, case, row_id)
    if state is None:
        if node is not None:
            nodes.remove_node(scene, node)
        return
    number = int(row_id.removeprefix(BOX_PREFIX))
    if node is None:
        node = new_markup(scene, case, number, "", "vtkMRMLMarkupsROINode", nodes.ROLE_BOX)
        nodes.style_box(node, number)
    matrix = vtk_matrix([state.matrix[row : row + 4] for row in range(0, 16, 4)])
    node.SetAndObserveObjectToNodeMatrix(matrix)
    node.SetSize(*state.size_mm)
    for name, value in state.attributes.items():
        node.SetAttribute(name, value)
