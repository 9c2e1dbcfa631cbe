"""Boxes, diameters and numbers of a case's lesions in a fixed number of nodes, however many there are.

Every node that is added costs the application some hundred milliseconds, and every change of one draws all
views. So all lesions share one model of boxes and diameters and one list of numbers; one box that can be
moved and two lines stand for the lesion that is selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import slicer
from vtkmodules.vtkCommonDataModel import vtkVector3d

from ..case.colours import lesion_colour
from ..case.description import AXIS_COLOUR
from ..case.findings import Box, PointLps
from ..case.place import Axis, Place
from ..volume.geometry import Geometry, reoriented_geometry
from .box_model import COLOUR_INDEX, Drawn, box_model
from .colour_table import AXIS_INDEX, colour_index, colour_table
from .nodes import ATTR_SEGMENT, numbers_text
from .ras import box_from_ras, box_to_ras, numpy_matrix, point_ras, vtk_matrix

ROLE_MODEL = "boxes and diameters"
ROLE_LABELS = "numbers"
ROLE_BOX = "selected box"
ROLE_LONG_AXIS = "selected long axis"
ROLE_SHORT_AXIS = "selected short axis"

ATTR_PLACED = "LiverLesionAI.Placed"
ATTR_DRAWN = "LiverLesionAI.Drawn"
"""On the model and the numbers: what they show, in short, so that the same is not drawn again."""

LABEL_TEXT_SCALE = 3.0
LOOK_HERE = "?"
"""Stands at a place that looks somewhat like a lesion and is not listed."""
MOVED_MM = 0.01

_CLASSES = {
    ROLE_MODEL: ("vtkMRMLModelNode", "vtkMRMLModelDisplayNode"),
    ROLE_LABELS: ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialDisplayNode"),
    ROLE_BOX: ("vtkMRMLMarkupsROINode", "vtkMRMLMarkupsROIDisplayNode"),
    ROLE_LONG_AXIS: ("vtkMRMLMarkupsLineNode", "vtkMRMLMarkupsDisplayNode"),
    ROLE_SHORT_AXIS: ("vtkMRMLMarkupsLineNode", "vtkMRMLMarkupsDisplayNode"),
}


ROLES = tuple(_CLASSES)


@dataclass(frozen=True)
class Mark:
    """One lesion as it is drawn.

    Attributes:
        row_id: its segment's ID, or "box:5".
        label: the whole text beside it, shown while it is selected; its number alone otherwise.
        box_only: nothing but its box shows where it is.
    """

    row_id: str
    number: int
    label: str
    place: Place
    box_only: bool = False


@dataclass(frozen=True)
class Shown:
    """What of the marks is switched on; without `names` the selected lesion has its number alone too.

    Attributes:
        doubtful_lps: places that are not listed and have a question mark.
    """

    boxes: bool = True
    axes: bool = True
    labels: bool = True
    selected: str = ""
    names: bool = True
    doubtful_lps: tuple[PointLps, ...] = ()


@dataclass(frozen=True, eq=False)
class MarkNodes:
    """The nodes that all lesions of a case share.

    Attributes:
        model: boxes and diameters of all lesions but the selected one.
        labels: a point beside each lesion with its number.
        box, long_axis, short_axis: of the selected lesion.
    """

    model: slicer.vtkMRMLModelNode
    labels: slicer.vtkMRMLMarkupsFiducialNode
    box: slicer.vtkMRMLMarkupsROINode
    long_axis: slicer.vtkMRMLMarkupsLineNode
    short_axis: slicer.vtkMRMLMarkupsLineNode

    @classmethod
    def of(cls, by_role: dict[str, list]) -> MarkNodes | None:
        """Out of a case's nodes by role; None where one is missing."""
        nodes = [(by_role.get(role) or [None])[0] for role in _CLASSES]
        return cls(*nodes) if all(node is not None for node in nodes) else None

    @property
    def all(self) -> tuple[slicer.vtkMRMLDisplayableNode, ...]:
        """Every node."""
        return tuple(getattr(self, field.name) for field in fields(self))


def make_marks(
    scene: slicer.vtkMRMLScene,
    case_name: str,
    own: Callable[[slicer.vtkMRMLNode, str], None],
    add: Callable[[slicer.vtkMRMLNode], slicer.vtkMRMLNode],
    there: dict[str, list],
) -> MarkNodes:
    """The nodes, those that are not there yet made and added; hidden, with nothing in them.

    Args:
        own: (node, role): says whose a node is, before it joins the scene.
        add: adds a node to the scene, and remembers how to take it out again.
        there: the case's nodes by role.
    """
    colours = colour_table(scene, add)
    made = {}
    for role, (class_name, display_class) in _CLASSES.items():
        node = (there.get(role) or [None])[0]
        if node is None:
            display = _create(scene, display_class, f"{case_name} {role} display")
            node = _create(scene, class_name, f"{case_name} {role}")
            own(node, role)
            _STYLES[role](node, display, colours.GetID())
            display.SetVisibility(False)
            scene.AddNode(display)
            node.SetAndObserveDisplayNodeID(display.GetID())
            add(node)
        made[role] = node
    return MarkNodes(*(made[role] for role in _CLASSES))


def _create(scene: slicer.vtkMRMLScene, class_name: str, name: str) -> slicer.vtkMRMLNode:
    node = scene.CreateNodeByClass(class_name)
    if node is None:
        raise RuntimeError(f"This Slicer cannot make a {class_name}.")
    node.UnRegister(None)
    node.SetName(name)
    return node


# -- looks, set once


def _style_model(
    node: slicer.vtkMRMLModelNode, display: slicer.vtkMRMLModelDisplayNode, colours: str
) -> None:
    node.SetAndObservePolyData(box_model((), AXIS_INDEX))
    display.SetAndObserveColorNodeID(colours)
    # By a table of colours: Slicer's slice views complain about models that carry their colours themselves.
    display.SetActiveScalarName(COLOUR_INDEX)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseColorNodeScalarRange)
    display.SetScalarVisibility(True)
    display.SetRepresentation(slicer.vtkMRMLDisplayNode.WireframeRepresentation)
    display.SetBackfaceCulling(False)
    display.SetLighting(False)
    display.SetVisibility2D(True)
    display.SetSliceIntersectionThickness(1)


def _style_labels(node: slicer.vtkMRMLMarkupsNode, display: slicer.vtkMRMLMarkupsDisplayNode, _: str) -> None:
    node.SetLocked(True)
    _paint(display, AXIS_COLOUR)
    display.SetPointLabelsVisibility(True)
    display.SetPropertiesLabelVisibility(False)
    # The point itself is not seen, only what is written beside it.
    display.SetGlyphScale(0.01)
    display.SetTextScale(LABEL_TEXT_SCALE)
    # In 3D the liver's surface is round every lesion: without this no number would be seen.
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)


def _style_box(node: slicer.vtkMRMLMarkupsNode, display: slicer.vtkMRMLMarkupsDisplayNode, _: str) -> None:
    # Locked, so that no click on a lesion moves it.
    node.SetLocked(True)
    node.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
    display.SetFillOpacity(0.0)
    display.SetOutlineVisibility(True)
    display.SetHandlesInteractive(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    # The middle's dot would hide a small lesion.
    display.SetGlyphScale(0.01)


def _style_axis(node: slicer.vtkMRMLMarkupsNode, display: slicer.vtkMRMLMarkupsDisplayNode, _: str) -> None:
    node.SetLocked(True)
    # Not in the lesion's colour, on which it would not be seen; in slices only.
    _paint(display, AXIS_COLOUR)
    display.SetVisibility3D(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetGlyphScale(1.2)
    display.SetLineThickness(0.35)


_STYLES: dict[str, Callable[..., None]] = {
    ROLE_MODEL: _style_model,
    ROLE_LABELS: _style_labels,
    ROLE_BOX: _style_box,
    ROLE_LONG_AXIS: _style_axis,
    ROLE_SHORT_AXIS: _style_axis,
}


def _paint(display: slicer.vtkMRMLMarkupsDisplayNode, colour: tuple[float, float, float]) -> None:
    for paint in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
        if tuple(display.GetSelectedColor()) != colour or tuple(display.GetColor()) != colour:
            paint(*colour)


# -- what they show


def draw_marks(nodes: MarkNodes, marks: Sequence[Mark], shown: Shown, geometry: Geometry) -> None:
    """Show these lesions; a node that shows them already is left alone.

    Args:
        marks: those that are not hidden.
        geometry: the CT's grid: diameters are as thick as its slices.
    """
    selected = next((mark for mark in marks if mark.row_id == shown.selected), None)
    _draw_model(nodes.model, [mark for mark in marks if mark is not selected], selected, shown, geometry)
    named = selected if shown.names else None
    _draw_labels(nodes.labels, marks if shown.labels else (), named, shown.doubtful_lps)
    boxed = selected is not None and selected.place.box is not None and (shown.boxes or selected.box_only)
    if selected is not None:
        place_box(nodes.box, selected.row_id, selected.place.box, selected.number)
        place_axis(nodes.long_axis, selected.row_id, selected.place.long_axis_lps)
        place_axis(nodes.short_axis, selected.row_id, selected.place.short_axis_lps)
    measured = selected is not None and selected.place.long_axis_lps is not None
    for node, visible in (
        (nodes.box, boxed),
        (nodes.long_axis, measured and shown.axes),
        (nodes.short_axis, measured and shown.axes),
    ):
        set_visible(node, visible)


def set_visible(node: slicer.vtkMRMLDisplayableNode, visible: bool) -> None:
    """Show or hide a node; one that is so already is not modified."""
    display = node.GetDisplayNode()
    if display is not None and bool(display.GetVisibility()) != visible:
        display.SetVisibility(visible)


def _draw_model(
    node: slicer.vtkMRMLModelNode,
    marks: Sequence[Mark],
    selected: Mark | None,
    shown: Shown,
    geometry: Geometry,
) -> None:
    drawn = []
    for mark in marks:
        place = mark.place
        axes = tuple(axis for axis in (place.long_axis_lps, place.short_axis_lps) if axis is not None)
        drawn.append(
            Drawn(
                colour_index(mark.number),
                place.box if shown.boxes else None,
                axes if shown.axes else (),
            )
        )
    if selected is not None and shown.boxes and selected.place.class_box is not None:
        # Where the classifier saw the class; the lesion's own box is a node of its own.
        drawn.append(Drawn(colour_index(selected.number), selected.place.class_box))
    drawn = [one for one in drawn if one.box is not None or one.axes_lps]
    if _draws_anew(node, repr(drawn)):
        upright = reoriented_geometry(geometry)
        normal = upright.directions_lps.reshape(3, 3)[:, 2]
        node.SetAndObservePolyData(
            box_model(drawn, AXIS_INDEX, tuple(normal), 0.98 * upright.spacing_zyx_mm[0])
        )
    set_visible(node, bool(drawn))


def _draw_labels(
    node: slicer.vtkMRMLMarkupsFiducialNode,
    marks: Sequence[Mark],
    selected: Mark | None,
    doubtful_lps: Sequence[PointLps],
) -> None:
    texts = [
        (label_point(mark.place), mark.label if mark is selected else str(mark.number)) for mark in marks
    ]
    texts = [(point, text) for point, text in texts if point is not None]
    texts += [(point_ras(place), LOOK_HERE) for place in doubtful_lps]
    if _draws_anew(node, repr(texts)):
        was = node.StartModify()
        try:
            node.RemoveAllControlPoints()
            for point, text in texts:
                node.AddControlPoint(vtkVector3d(*point), text)
        finally:
            node.EndModify(was)
    set_visible(node, bool(texts))


def label_point(place: Place) -> tuple[float, float, float] | None:
    """Where a lesion's number stands (RAS, mm).

    At the patient's left end of its long axis, which is right in a picture, so that the text does not lie on
    the lesion; else in the middle of the box's left face.
    """
    if place.long_axis_lps is not None:
        return min((point_ras(end) for end in place.long_axis_lps), key=lambda point: point[0])
    if place.box is None:
        return None
    x, y, z = point_ras(place.box.centre_lps)
    return (x - max(place.box.size_xyz_mm[0] / 2, 0.0), y, z)


def _draws_anew(node: slicer.vtkMRMLNode, what: str) -> bool:
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    if node.GetAttribute(ATTR_DRAWN) == digest and _is_filled(node, what):
        return False
    node.SetAttribute(ATTR_DRAWN, digest)
    return True


def _is_filled(node: slicer.vtkMRMLNode, what: str) -> bool:
    """Whether a node has its content: a scene can come back without the file that held it."""
    if node.IsA("vtkMRMLModelNode"):
        return node.GetPolyData() is not None
    return bool(node.GetNumberOfControlPoints()) == (what != "[]")


def place_box(node: slicer.vtkMRMLMarkupsROINode, row_id: str, box: Box | None, number: int) -> None:
    """Put the selected lesion's box exactly round it, in the CT's own space; a box that is there stays."""
    if box is None:
        return
    matrix = box_to_ras(box)
    placed = numbers_text([*matrix[:3].ravel(), *box.size_xyz_mm])
    if node.GetAttribute(ATTR_SEGMENT) == row_id and node.GetAttribute(ATTR_PLACED) == placed:
        return
    was = node.StartModify()
    try:
        node.SetAndObserveObjectToNodeMatrix(vtk_matrix(matrix))
        node.SetCenter(*point_ras(box.centre_lps))
        node.SetSize(*(float(s) for s in box.size_xyz_mm))
        node.SetAttribute(ATTR_SEGMENT, row_id)
        node.SetAttribute(ATTR_PLACED, placed)
    finally:
        node.EndModify(was)
    _paint(node.GetDisplayNode(), lesion_colour(number))


def place_axis(node: slicer.vtkMRMLMarkupsLineNode, row_id: str, ends_lps: Axis | None) -> None:
    """Draw a diameter of the selected lesion; none takes the line away."""
    points = [] if ends_lps is None else [point_ras(end) for end in ends_lps]
    placed = numbers_text([value for point in points for value in point])
    if node.GetAttribute(ATTR_SEGMENT) == row_id and node.GetAttribute(ATTR_PLACED) == placed:
        return
    was = node.StartModify()
    try:
        node.RemoveAllControlPoints()
        for point in points:
            node.AddControlPoint(vtkVector3d(*point))
        node.SetAttribute(ATTR_SEGMENT, row_id)
        node.SetAttribute(ATTR_PLACED, placed)
    finally:
        node.EndModify(was)


def moved_box(node: slicer.vtkMRMLMarkupsROINode) -> Box | None:
    """The box where the reader has moved it to; None where it is as it was placed (0.01 mm)."""
    placed = [float(text) for text in (node.GetAttribute(ATTR_PLACED) or "").split()]
    matrix = numpy_matrix(node.GetObjectToNodeMatrix())
    now = [*matrix[:3].ravel(), *node.GetSize()]
    if len(placed) != len(now) or max(abs(a - b) for a, b in zip(placed, now, strict=True)) <= MOVED_MM:
        return None
    return box_from_ras(matrix, node.GetSize())
