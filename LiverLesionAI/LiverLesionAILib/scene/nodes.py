"""Single MRML nodes of a case: boxes, diameters, tables, maps. Filled here, placed by `scene_apply`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer
import vtk

from ..case import tags
from ..case.colours import Colour, lesion_colour
from ..case.columns import MEASURED
from ..case.description import AXIS_COLOUR, SceneMap
from ..case.findings import Box, Lesion, LesionSource, LesionStatus, Measurement, PointLps
from ..case.terminology import class_probability, lesion_title
from ..support.steps import finish
from .ras import box_from_ras, box_to_ras, image_steps, numpy_matrix, place_image, point_ras, vtk_matrix

ATTR_CASE = "LiverLesionAI.Case"
ATTR_ROLE = "LiverLesionAI.Role"
ATTR_LESION = "LiverLesionAI.Lesion"
ATTR_SEGMENT = "LiverLesionAI.Segment"
ATTR_STATUS = "LiverLesionAI.Status"
ATTR_PLACED = "LiverLesionAI.Placed"
ATTR_MEANING = "LiverLesionAI.Meaning"
ATTR_MAP = "LiverLesionAI.Map"
ATTR_FAMILY = "LiverLesionAI.MapFamily"
"""Maps of one kind, one for each lesion, have one family."""
ATTR_UNIT = "LiverLesionAI.Unit"
ATTR_BARS = "LiverLesionAI.Bars"
"""On a map: numbers to show beside it, label -> value, as JSON."""
ATTR_SCORE = "LiverLesionAI.Score"
ATTR_CLASS = "LiverLesionAI.Class"
ATTR_READER_CLASS = "LiverLesionAI.ReaderClass"
ATTR_PROBABILITIES = "LiverLesionAI.Probabilities"
ATTR_NOTE = "LiverLesionAI.Note"
ATTR_BELOW = "LiverLesionAI.BelowThreshold"
"""On a box without a mask: "1" while its score is below the threshold."""
REF_VOLUME = "LiverLesionAI.Volume"

ROLE_SEGMENTATION = "segmentation"
ROLE_BOX = "box"
ROLE_CLASS_BOX = "class box"
"""Where the classifier saw its class, beside the lesion's own box; hidden until the reader shows it."""
ROLE_LONG_AXIS = "long axis"
ROLE_SHORT_AXIS = "short axis"
ROLE_TABLE = "table"
ROLE_MAP = "map"
ROLE_POINT = "point"
"""Where the reader asked what a point attends to."""

COLOUR_NODE = "vtkMRMLColorTableNodeIron"
"""Built into every Slicer, also without its colour files."""


@dataclass(frozen=True)
class TableRow:
    """One lesion in the findings table; missing measurements stay empty.

    Attributes:
        model_class: the model's.
        probability: of the model's class, 0..1.
        reader_class: the reader's, None where there is none.
        score: calibrated probability that it is a lesion, 0..1.
    """

    number: int
    name: str
    status: str
    model_class: str | None = None
    probability: float | None = None
    score: float | None = None
    measurement: Measurement | None = None
    reader_class: str | None = None

    @classmethod
    def of(cls, lesion: Lesion, number: int) -> TableRow:
        """The row of a lesion as it came out of the analysis, shown with `number`."""
        return cls(
            number,
            lesion_title(replace(lesion, number=number)),
            lesion.status_text,
            lesion.model_class,
            class_probability(lesion),
            lesion.score,
            lesion.measurement,
            lesion.reader_class,
        )


def findings_table(rows: Sequence[TableRow]) -> vtk.vtkTable:
    """The findings table, a row per lesion; NaN where something was not measured."""
    table = vtk.vtkTable()
    _column(table, vtk.vtkIntArray(), "Lesion", [row.number for row in rows])
    _text_column(table, "Name", [row.name for row in rows])
    _text_column(table, "Class", [row.model_class or "" for row in rows])
    _column(table, vtk.vtkDoubleArray(), "Class probability", [_rounded(row.probability, 2) for row in rows])
    _text_column(table, "Reader class", [row.reader_class or "" for row in rows])
    _text_column(table, "Status", [row.status for row in rows])
    _column(table, vtk.vtkDoubleArray(), "Lesion probability", [_rounded(row.score, 2) for row in rows])
    for column in MEASURED:
        values = [
            _rounded(getattr(row.measurement, column.field) if row.measurement else None, column.digits or 0)
            for row in rows
        ]
        _column(table, vtk.vtkDoubleArray(), column.table_heading, values)
    return table


def fill_table(node: slicer.vtkMRMLTableNode, rows: Sequence[TableRow]) -> None:
    """Replace a table node's content by these rows, in one step, with units."""
    show_table(node, findings_table(rows))


def show_table(node: slicer.vtkMRMLTableNode, table: vtk.vtkTable) -> None:
    """Put a findings table into its node."""
    if hasattr(node, "SetUseColumnTitleAsColumnHeader"):
        node.SetUseColumnTitleAsColumnHeader(True)
    else:  # before Slicer 5.9
        node.SetUseColumnNameAsColumnHeader(True)
    node.SetAndObserveTable(table)
    for column in MEASURED:
        node.SetColumnUnitLabel(column.table_heading, column.unit)


def carry_measurements(before: vtk.vtkTable, after: vtk.vtkTable, numbers: set[int]) -> None:
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
                after.SetValueByName(row, heading, vtk.vtkVariant(value))


def place_box(node: slicer.vtkMRMLMarkupsROINode, box: Box, number: int) -> None:
    """Put an ROI node exactly round a lesion's box, in the CT's own space."""
    node.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
    node.SetAndObserveObjectToNodeMatrix(vtk_matrix(box_to_ras(box)))
    node.SetCenter(*point_ras(box.centre_lps))
    node.SetSize(*(float(s) for s in box.size_xyz_mm))
    node.SetAttribute(ATTR_PLACED, _numbers_text(_placement(node)))
    style_box(node, number)


def place_class_box(node: slicer.vtkMRMLMarkupsROINode, box: Box, number: int) -> None:
    """Put an ROI node round where the classifier saw a lesion's class, in the CT's own space; hidden."""
    place_box(node, box, number)
    display = node.GetDisplayNode()
    display.SetVisibility(False)
    display.SetLineThickness(0.2)


def follow_again(node: slicer.vtkMRMLMarkupsNode) -> None:
    """Where a box is now counts as where it was placed: it follows its lesion from now on."""
    node.SetAttribute(ATTR_PLACED, _numbers_text(_placement(node)))


def style_box(node: slicer.vtkMRMLMarkupsROINode, number: int) -> None:
    """Looks and number of a lesion's box; locked, so that no click on a lesion moves it."""
    node.SetLocked(True)
    node.SetAttribute(ATTR_LESION, str(number))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    _colour(display, number)
    display.SetFillOpacity(0.0)
    display.SetOutlineVisibility(True)
    display.SetHandlesInteractive(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    # The middle's dot would hide a small lesion.
    display.SetGlyphScale(0.01)
    display.SetTextScale(2.5)


def place_axis(
    node: slicer.vtkMRMLMarkupsLineNode, ends_lps: tuple[PointLps, PointLps], number: int, *, label: bool
) -> None:
    """Draw a RECIST axis as a locked line, in slice views only; `label` shows its name and length."""
    for end in ends_lps:
        node.AddControlPoint(vtk.vtkVector3d(*point_ras(end)))
    node.SetLocked(True)
    node.SetAttribute(ATTR_LESION, str(number))
    node.SetAttribute(ATTR_PLACED, _numbers_text(_placement(node)))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    # Not in the lesion's colour, on which it would not be seen.
    _paint(display, AXIS_COLOUR)
    display.SetVisibility3D(False)
    display.SetPropertiesLabelVisibility(label)
    display.SetPointLabelsVisibility(False)
    display.SetGlyphScale(1.2)
    display.SetLineThickness(0.35)
    display.SetTextScale(2.2)


def write_tags(node: slicer.vtkMRMLMarkupsROINode, tags: Mapping[str, str]) -> None:
    """Write on a box what its lesion's segment would carry, where it has none."""
    for name, text in tags.items():
        node.SetAttribute(name, text)


def box_lesion(node: slicer.vtkMRMLMarkupsROINode) -> Lesion:
    """The lesion of a box that stands for one without a mask, where the box is now."""
    names = node.GetAttributeNames() or ()
    lesion = tags.read({name: node.GetAttribute(name) or "" for name in names})
    box = box_from_ras(numpy_matrix(node.GetObjectToNodeMatrix()), node.GetSize(), lesion.score)
    return replace(
        lesion,
        number=int(node.GetAttribute(ATTR_LESION) or 0),
        centre_lps=box.centre_lps,
        box=box,
        source=LesionSource.BOX,
        edited=False,
    )


def is_box_only(node: slicer.vtkMRMLMarkupsNode) -> bool:
    """Whether a box stands for a lesion without a mask."""
    return node.GetAttribute(ATTR_ROLE) == ROLE_BOX and not node.GetAttribute(ATTR_SEGMENT)


def covers(node: slicer.vtkMRMLMarkupsROINode, box: Box) -> bool:
    """Whether a box's middle lies in an ROI node (in the CT's own space)."""
    matrix = np.linalg.inv(numpy_matrix(node.GetObjectToNodeMatrix()))
    inside = matrix @ np.array([*point_ras(box.centre_lps), 1.0])
    return bool((np.abs(inside[:3]) <= np.array(node.GetSize()) / 2 + 1e-6).all())


def read_bars(node: slicer.vtkMRMLScalarVolumeNode) -> dict[str, float]:
    """The numbers that belong beside a map, by label."""
    try:
        return {
            str(name): float(value)
            for name, value in json.loads(node.GetAttribute(ATTR_BARS) or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def is_decided(node: slicer.vtkMRMLMarkupsNode) -> bool:
    """Whether the reader has said anything of what this box or axis belongs to."""
    decided = LesionStatus.read(node.GetAttribute(ATTR_STATUS)) is not LesionStatus.UNDECIDED
    return decided or bool(node.GetAttribute(ATTR_NOTE) or node.GetAttribute(ATTR_READER_CLASS))


def was_moved(node: slicer.vtkMRMLMarkupsNode) -> bool:
    """Whether a box or axis is no longer where it was placed (0.01 mm): the reader has moved it."""
    placed = node.GetAttribute(ATTR_PLACED)
    if not placed:
        return True
    before = np.array([float(text) for text in placed.split()])
    now = np.array(_placement(node))
    return before.shape != now.shape or bool(np.abs(before - now).max() > 0.01)


def fill_map(
    node: slicer.vtkMRMLScalarVolumeNode, described: SceneMap, image: vtk.vtkImageData | None = None
) -> None:
    """Fill a volume node with a map and make it show as one: colours, window, nothing below its threshold.

    Display settings that are there already stay: they are the reader's.

    Args:
        image: the map's voxels, where they were made ready before (see :func:`.ras.image_steps`).
    """
    place_image(node, image or finish(image_steps(described.values_zyx)), described.geometry)
    node.SetAttribute(ATTR_MEANING, described.meaning)
    node.SetDescription(described.meaning)
    node.SetAttribute(ATTR_UNIT, described.unit)
    node.SetAttribute(ATTR_BARS, described.bars_text)
    node.SetAttribute(ATTR_FAMILY, described.family)
    node.SetAttribute(ATTR_LESION, "" if described.number is None else str(described.number))
    node.SetAttribute(ATTR_SEGMENT, described.segment_id)
    if node.GetDisplayNode() is not None:
        return
    # Not CreateDefaultDisplayNodes: it looks for a window in all voxels, which takes a while.
    scene = node.GetScene()
    display = scene.CreateNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.UnRegister(None)
    display.SetAutoWindowLevel(False)
    display = scene.AddNode(display)
    node.SetAndObserveDisplayNodeID(display.GetID())
    display.SetAndObserveColorNodeID(COLOUR_NODE)
    display.SetWindowLevelMinMax(*described.window)
    display.SetAutoThreshold(False)
    display.SetThreshold(described.visible_from, described.window[1])
    display.SetApplyThreshold(True)


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


def _placement(node: slicer.vtkMRMLMarkupsNode) -> list[float]:
    if node.IsA("vtkMRMLMarkupsROINode"):
        matrix = numpy_matrix(node.GetObjectToNodeMatrix())
        return [*matrix[:3].ravel(), *node.GetSize()]
    points: list[float] = []
    for index in range(node.GetNumberOfControlPoints()):
        points.extend(node.GetNthControlPointPosition(index))
    return points


def _numbers_text(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.5f}" for number in numbers)


def _colour(display: slicer.vtkMRMLMarkupsDisplayNode, number: int) -> None:
    _paint(display, lesion_colour(number))


def _paint(display: slicer.vtkMRMLMarkupsDisplayNode, colour: Colour) -> None:
    display.SetColor(*colour)
    display.SetSelectedColor(*colour)
    display.SetActiveColor(*colour)


def _rounded(value: float | None, digits: int) -> float:
    return math.nan if value is None else round(float(value), digits)


def _column(table: vtk.vtkTable, column: vtk.vtkDataArray, name: str, values: Sequence[float]) -> None:
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    table.AddColumn(column)


def _text_column(table: vtk.vtkTable, name: str, values: Sequence[str]) -> None:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    table.AddColumn(column)
