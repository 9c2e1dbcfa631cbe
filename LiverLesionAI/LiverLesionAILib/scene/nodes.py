"""Single MRML nodes of a case: its table and its maps. Filled here, placed by :mod:`.apply`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import slicer
from vtkmodules.vtkCommonCore import vtkDataArray, vtkDoubleArray, vtkIntArray, vtkStringArray, vtkVariant
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkTable

from ..case.columns import MEASURED, SCENE_TABLE
from ..case.description import SceneMap
from ..case.findings import Lesion
from ..support.steps import finish
from ..support.text import printable
from .ras import image_steps, place_image

ATTR_CASE = "LiverLesionAI.Case"
ATTR_ROLE = "LiverLesionAI.Role"
ATTR_LESION = "LiverLesionAI.Lesion"
ATTR_SEGMENT = "LiverLesionAI.Segment"
ATTR_MEANING = "LiverLesionAI.Meaning"
ATTR_MAP = "LiverLesionAI.Map"
ATTR_FAMILY = "LiverLesionAI.MapFamily"
"""Maps of one kind, one for each lesion, have one family."""
ATTR_UNIT = "LiverLesionAI.Unit"
ATTR_BARS = "LiverLesionAI.Bars"
"""On a map: numbers to show beside it, label -> value, as JSON."""
REF_VOLUME = "LiverLesionAI.Volume"


ROLE_SEGMENTATION = "segmentation"
ROLE_TABLE = "table"
ROLE_MAP = "map"
ROLE_POINT = "point"
"""Where the reader asked what a point attends to."""

COLOUR_NODE = "vtkMRMLColorTableNodeIron"
"""Built into every Slicer, also without its colour files."""


def findings_table(lesions: Iterable[Lesion], names: Mapping[int, str] | None = None) -> vtkTable:
    """The findings table, a row per lesion in order of number; NaN where something was not measured.

    Args:
        names: number -> what the lesion is called where it is not its title: the reader may have renamed it.
    """
    named, rows = names or {}, sorted(lesions, key=lambda lesion: lesion.number)
    table = vtkTable()
    for column in SCENE_TABLE:
        heading = column.table_heading
        if column.key == "number":
            _column(table, vtkIntArray(), heading, [row.number for row in rows])
        elif column.key == "name":
            _text_column(table, heading, [named.get(row.number) or column.file_text(row) for row in rows])
        elif column.digits is None:
            _text_column(table, heading, [column.file_text(row) for row in rows])
        else:
            _column(table, vtkDoubleArray(), heading, [column.rounded(row) for row in rows])
    return table


def fill_table(node: slicer.vtkMRMLTableNode, lesions: Iterable[Lesion]) -> None:
    """Replace a table node's content by these lesions, in one step, with units."""
    show_table(node, findings_table(lesions))


def show_table(node: slicer.vtkMRMLTableNode, table: vtkTable) -> None:
    """Put a findings table into its node."""
    was = node.StartModify()
    try:
        if hasattr(node, "SetUseColumnTitleAsColumnHeader"):
            node.SetUseColumnTitleAsColumnHeader(True)
        else:  # before Slicer 5.9
            node.SetUseColumnNameAsColumnHeader(True)
        node.SetAndObserveTable(table)
        for column in MEASURED:
            node.SetColumnUnitLabel(column.table_heading, column.unit)
    finally:
        node.EndModify(was)


def carry_measurements(before: vtkTable, after: vtkTable, numbers: set[int]) -> None:
    """Copy what was measured on the lesions with these numbers from an earlier table."""
    rows = {}
    if before is not None and before.GetColumnByName("Lesion") is not None:
        rows = {before.GetValueByName(r, "Lesion").ToInt(): r for r in range(before.GetNumberOfRows())}
    for row in range(after.GetNumberOfRows()):
        number = after.GetValueByName(row, "Lesion").ToInt()
        if number not in numbers or number not in rows:
            continue
        for heading in (column.table_heading for column in MEASURED):
            if before.GetColumnByName(heading) is not None:
                value = before.GetValueByName(rows[number], heading).ToDouble()
                after.SetValueByName(row, heading, vtkVariant(value))


def read_bars(node: slicer.vtkMRMLScalarVolumeNode) -> dict[str, float]:
    """The numbers that belong beside a map, by label."""
    try:
        return {
            str(name): float(value)
            for name, value in json.loads(node.GetAttribute(ATTR_BARS) or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def fill_map(
    node: slicer.vtkMRMLScalarVolumeNode, described: SceneMap, image: vtkImageData | None = None
) -> None:
    """Fill a volume node with a map, as one change.

    Args:
        image: the map's voxels, where they were made ready before (see :func:`.ras.image_steps`).
    """
    was = node.StartModify()
    try:
        place_image(node, image or finish(image_steps(described.values_zyx)), described.geometry)
        node.SetDescription(described.meaning)
        for name, text in (
            (ATTR_MEANING, described.meaning),
            (ATTR_UNIT, described.unit),
            (ATTR_BARS, described.bars_text),
            (ATTR_FAMILY, described.family),
            (ATTR_SEGMENT, described.segment_id),
        ):
            if (node.GetAttribute(name) or "") != text:
                node.SetAttribute(name, text)
    finally:
        node.EndModify(was)


def give_map_display(
    scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLScalarVolumeNode, described: SceneMap
) -> None:
    """Make a volume that is filled show as a map: colours, window, nothing below its threshold."""
    # Not CreateDefaultDisplayNodes: it looks for a window in all voxels, which takes a while.
    display = scene.CreateNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.UnRegister(None)
    display.SetAutoWindowLevel(False)
    display.SetAndObserveColorNodeID(COLOUR_NODE)
    display.SetWindowLevelMinMax(*described.window)
    display.SetAutoThreshold(False)
    display.SetThreshold(described.visible_from, described.window[1])
    display.SetApplyThreshold(True)
    display = scene.AddNode(display)
    node.SetAndObserveDisplayNodeID(display.GetID())


def remove_node(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
    """Take a node out of the scene with its display and storage nodes and its place in the hierarchy."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if item := tree.GetItemByDataNode(node):
        tree.RemoveItem(item, False, False)
    if node.IsA("vtkMRMLDisplayableNode"):
        for index in reversed(range(node.GetNumberOfDisplayNodes())):
            display = node.GetNthDisplayNode(index)
            if display is not None:
                scene.RemoveNode(display)
    if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is not None:
        scene.RemoveNode(node.GetStorageNode())
    scene.RemoveNode(node)


def numbers_text(numbers: Sequence[float]) -> str:
    """Numbers as an attribute."""
    return " ".join(f"{number:.5f}" for number in numbers)


def _column(table: vtkTable, column: vtkDataArray, name: str, values: Sequence[float]) -> None:
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    table.AddColumn(column)


def _text_column(table: vtkTable, name: str, values: Sequence[str]) -> None:
    column = vtkStringArray()
    column.SetName(name)
    for value in values:
        # A line's end would be a row's end in the table's file.
        column.InsertNextValue(printable(value))
    table.AddColumn(column)
