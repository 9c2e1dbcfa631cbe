"""What follows from a lesion's mask: measurements, table row, box and diameters. Brought up to date after
an edit."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

import numpy as np
import slicer

from ..case import tags
from ..case import terminology as terms
from ..case.description import BOX_PREFIX
from ..case.findings import Box, LesionStatus, Measurement
from ..scene import nodes, segments
from ..scene.ras import volume_geometry
from ..stages.measure.lesions import box_of, measure_mask
from ..volume.crops import Mask
from ..volume.ct import Geometry
from ..volume.masks import bounding_box
from .case_view import CaseView, FindingRow, box_id, read_case

MARGIN_MM = 10.0


def measured(case: CaseView, mask: Mask, liver: Mask | None) -> tuple[Box, Measurement]:
    """Box and measurements of a lesion, from the CT's voxels round it and the liver's mask.

    Raises:
        InputError: the mask is empty.
    """
    geometry = volume_geometry(case.volume)
    frame = _frame(mask, liver, geometry)
    inner = geometry.cropped(tuple(s.start for s in frame), tuple(s.stop for s in frame))
    hu = slicer.util.arrayFromVolume(case.volume)[frame]
    lesion = cut_to(mask, frame)
    organ = None if liver is None else cut_to(liver, frame) | lesion
    liver_ml = case.liver_ml if case.liver_ml else None
    measurement = measure_mask(lesion, hu, inner, organ, liver_volume_ml=liver_ml)
    box = bounding_box(lesion)
    assert box is not None
    return box_of(box, inner), measurement


def _frame(mask: Mask, liver: Mask | None, geometry: Geometry) -> tuple[slice, slice, slice]:
    """The lesion with the whole liver round it: the distance to the surface looks that far."""
    starts = [np.array(m.start_zyx) for m in (mask, liver) if m is not None and m.count]
    stops = [
        np.array(m.start_zyx) + np.array(m.voxels_zyx.shape)
        for m in (mask, liver)
        if m is not None and m.count
    ]
    margin = np.ceil(MARGIN_MM / np.array(geometry.spacing_zyx_mm)).astype(int)
    low = np.maximum(np.min(starts, axis=0) - margin, 0) if starts else np.zeros(3, int)
    high = np.array(geometry.shape_zyx)
    if stops:
        high = np.minimum(np.max(stops, axis=0) + margin, high)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]


def cut_to(mask: Mask, frame: tuple[slice, slice, slice]) -> Any:
    """A mask cut or padded to a frame of the CT's grid."""
    out = np.zeros(tuple(s.stop - s.start for s in frame), bool)
    source, target = [], []
    for place, bounds in zip(mask.slices, frame, strict=True):
        low, high = max(place.start, bounds.start), min(place.stop, bounds.stop)
        if high <= low:
            return out
        source.append(slice(low - place.start, high - place.start))
        target.append(slice(low - bounds.start, high - bounds.start))
    out[tuple(target)] = mask.voxels_zyx[tuple(source)]
    return out


def follow(
    scene: slicer.vtkMRMLScene,
    case: CaseView,
    changed: Iterable[str] = (),
    liver: Mask | None = None,
) -> CaseView:
    """Bring table, boxes and diameters in line with the segments.

    Args:
        case: the nodes; its rows may be out of date.
        changed: segments whose voxels have changed, or that are new; they are measured again.

    Returns:
        The case as it now is.
    """
    fresh = read_case(scene, case.volume)
    if fresh.segmentation is None:
        return fresh
    geometry = volume_geometry(case.volume)
    measurements: dict[int, Measurement] = {}
    emptied: set[int] = set()
    for segment_id in changed:
        row = fresh.row(segment_id)
        if row is None:
            continue
        mask = segments.read_mask(fresh.segmentation, segment_id, geometry)
        if not mask.count:
            # Erased to the last voxel: nothing is left to measure or to mark.
            emptied.add(row.number)
            for node in (*fresh.boxes, *fresh.axes, *fresh.class_boxes):
                if node.GetAttribute(nodes.ATTR_SEGMENT) == segment_id:
                    nodes.remove_node(scene, node)
            continue
        box, measurement = measured(fresh, mask, liver)
        measurements[row.number] = measurement
        place_lesion(scene, fresh, row, box, measurement)
    drop_orphans(scene, fresh)
    if fresh.table is not None:
        write_table(fresh, measurements, emptied)
    _copy_status(fresh)
    return read_case(scene, case.volume)


def write_table(
    case: CaseView, measurements: dict[int, Measurement], emptied: Set[int] = frozenset()
) -> None:
    """The table node's rows from the segments; what was not measured anew, nor emptied, keeps its numbers."""
    rows = [
        nodes.TableRow(
            row.number,
            row.name,
            row.status_text,
            row.model_class,
            row.class_probabilities.get(row.model_class or ""),
            row.score,
            measurements.get(row.number),
            row.reader_class,
        )
        for row in case.rows
    ]
    before = case.table.GetTable()
    table = nodes.findings_table(rows)
    nodes.carry_measurements(before, table, {row.number for row in rows} - set(measurements) - emptied)
    nodes.show_table(case.table, table)


def place_lesion(
    scene: slicer.vtkMRMLScene, case: CaseView, row: FindingRow, box: Box, measurement: Measurement
) -> None:
    """Put a lesion's box and diameters where they belong; a box that the reader moved stays."""
    found = {
        node.GetAttribute(nodes.ATTR_ROLE): node
        for node in (*case.boxes, *case.axes)
        if node.GetAttribute(nodes.ATTR_SEGMENT) == row.segment_id
    }
    node = found.get(nodes.ROLE_BOX)
    if node is None:
        node = new_markup(scene, case, row.number, row.segment_id, "vtkMRMLMarkupsROINode", nodes.ROLE_BOX)
    elif nodes.was_moved(node):
        node = None
    if node is not None:
        nodes.place_box(node, box, row.number)
    place_class_box(scene, case, row)
    for role, ends in (
        (nodes.ROLE_LONG_AXIS, measurement.long_axis_lps),
        (nodes.ROLE_SHORT_AXIS, measurement.short_axis_lps),
    ):
        line = found.get(role) or new_markup(
            scene, case, row.number, row.segment_id, "vtkMRMLMarkupsLineNode", role
        )
        line.RemoveAllControlPoints()
        nodes.place_axis(line, ends, row.number, label=role == nodes.ROLE_LONG_AXIS)


def place_class_box(scene: slicer.vtkMRMLScene, case: CaseView, row: FindingRow) -> None:
    """Bring back the box of a lesion's class, where a deletion that was undone had taken it away."""
    segment = case.segmentation.GetSegmentation().GetSegment(row.segment_id)
    box = tags.parse_box(segments.tag(segment, terms.TAG_CLASS_BOX))
    there = any(node.GetAttribute(nodes.ATTR_SEGMENT) == row.segment_id for node in case.class_boxes)
    if box is None or there:
        return
    node = new_markup(scene, case, row.number, row.segment_id, "vtkMRMLMarkupsROINode", nodes.ROLE_CLASS_BOX)
    node.SetName(terms.class_box_name(row.name))
    nodes.place_class_box(node, box, row.number)


def new_markup(
    scene: slicer.vtkMRMLScene, case: CaseView, number: int, segment_id: str, class_name: str, role: str
) -> slicer.vtkMRMLMarkupsNode:
    """A box or line of a lesion, with the CT and in its place in the tree; still to be placed."""
    node = scene.AddNewNodeByClass(class_name, f"Lesion {number} {role}")
    node.SetAttribute(nodes.ATTR_ROLE, role)
    node.SetAttribute(nodes.ATTR_CASE, case.segmentation.GetAttribute(nodes.ATTR_CASE))
    node.SetAttribute(nodes.ATTR_SEGMENT, segment_id)
    node.SetNodeReferenceID(nodes.REF_VOLUME, case.volume.GetID())
    node.SetAndObserveTransformNodeID(case.volume.GetTransformNodeID())
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    like = case.boxes if role in (nodes.ROLE_BOX, nodes.ROLE_CLASS_BOX) else case.axes
    sibling = tree.GetItemByDataNode(like[0]) if like else 0
    parent = tree.GetItemParent(sibling or tree.GetItemByDataNode(case.segmentation))
    item = tree.GetItemByDataNode(node)
    if item and parent:
        tree.SetItemParent(item, parent)
    return node


def drop_orphans(scene: slicer.vtkMRMLScene, case: CaseView) -> None:
    """Boxes and diameters of lesions that are no more."""
    alive = {row.segment_id for row in case.rows}
    for node in (*case.boxes, *case.axes, *case.class_boxes):
        segment_id = node.GetAttribute(nodes.ATTR_SEGMENT) or ""
        if segment_id and segment_id not in alive:
            nodes.remove_node(scene, node)


def _copy_status(case: CaseView) -> None:
    """A box carries its lesion's name, as a label in the views, and its status, so that a new run knows it
    was decided upon."""
    rows = {row.segment_id: row for row in case.rows}
    for node in case.class_boxes:
        number = node.GetAttribute(nodes.ATTR_LESION) or 0
        row = rows.get(node.GetAttribute(nodes.ATTR_SEGMENT) or f"{BOX_PREFIX}{number}")
        if row is not None and node.GetName() != terms.class_box_name(row.name):
            node.SetName(terms.class_box_name(row.name))
    for node in case.boxes:
        owner = box_id(node) if nodes.is_box_only(node) else node.GetAttribute(nodes.ATTR_SEGMENT) or ""
        row = rows.get(owner)
        if row is not None and node.GetName() != row.name:
            node.SetName(row.name)
        if nodes.is_box_only(node):
            continue
        status = row.status if row is not None else LesionStatus.UNDECIDED
        if node.GetAttribute(nodes.ATTR_STATUS) != status.value:
            node.SetAttribute(nodes.ATTR_STATUS, status.value)
