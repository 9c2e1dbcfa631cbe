"""What follows from a lesion's mask: measurements, table row, box and diameters.

Brought up to date after an edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Any

import numpy as np
import slicer
import vtk

from ..case.columns import MEASURED
from ..case.findings import Box, Measurement, as_kept
from ..scene import nodes, segments
from ..scene.boxed import write_boxed
from ..scene.marks import moved_box
from ..scene.ras import volume_geometry
from ..stages.measure.lesions import box_of, measure_mask, surface_distance_mm
from ..volume.crops import Mask
from ..volume.ct import Geometry
from ..volume.masks import bounding_box
from .case_view import ATTR_LIVER_VOLUME, CaseView, ListedLesion, read_case

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
    measurement = as_kept(measure_mask(lesion, hu, inner, organ, liver_volume_ml=liver_ml))
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
    """Bring table and places in line with the segments.

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
    with segments.one_change(fresh.segmentation):
        for segment_id in changed:
            row = fresh.row(segment_id)
            if row is None:
                continue
            mask = segments.read_mask(fresh.segmentation, segment_id, geometry)
            if not mask.count:
                # Erased to the last voxel: nothing is left to measure or to mark.
                emptied.add(row.number)
                segments.set_place(_segment(fresh, segment_id), replace(row.place, **_NOWHERE))
                continue
            box, measurement = measured(fresh, mask, liver)
            measurements[row.number] = measurement
            place_lesion(fresh, row, box, measurement)
    if fresh.table is not None:
        write_table(fresh, measurements, emptied)
    return read_case(scene, case.volume)


_NOWHERE = {"box": None, "long_axis_lps": None, "short_axis_lps": None}


def _segment(case: CaseView, segment_id: str) -> slicer.vtkSegment:
    return case.segmentation.GetSegmentation().GetSegment(segment_id)


def write_table(
    case: CaseView, measurements: dict[int, Measurement], emptied: Set[int] = frozenset()
) -> None:
    """The table node's rows from the segments; what was not measured anew, nor emptied, keeps its numbers."""
    kept = {row.number: None if row.number in emptied else row.measurement for row in case.rows}
    rows = [replace(row, measurement=measurements.get(row.number, kept[row.number])) for row in case.rows]
    table = nodes.findings_table(rows, {row.number: row.name for row in case.rows})
    nodes.show_table(case.table, table)


def place_lesion(case: CaseView, row: ListedLesion, box: Box, measurement: Measurement) -> None:
    """Keep with a lesion's segment where it lies now; a box that the reader moved stays."""
    measured_now = measurement.long_axis_mm > 0
    place = replace(
        row.place,
        box=row.place.box if row.place.moved and row.place.box is not None else box,
        long_axis_lps=measurement.long_axis_lps if measured_now else None,
        short_axis_lps=measurement.short_axis_lps if measured_now else None,
    )
    segments.set_place(_segment(case, row.segment_id), place)


def measure_liver(case: CaseView, liver: Mask | None) -> None:
    """Measure the liver with the lesions that count, as it is drawn now, and what follows for them.

    The table gets its volume, and for every lesion how much of it that is and how far from its surface.
    """
    if case.table is None:
        return
    geometry = volume_geometry(case.volume)
    masks = {
        row.number: segments.read_mask(case.segmentation, row.segment_id, geometry)
        for row in case.rows
        if not row.box_only and row.status.counts
    }
    masks = {number: mask for number, mask in masks.items() if mask.count}
    organ = np.zeros(geometry.shape_zyx, bool)
    for mask in (*masks.values(), *(() if liver is None else (liver,))):
        organ[mask.slices] |= mask.voxels_zyx
    liver_ml = float(np.count_nonzero(organ)) * geometry.voxel_volume_mm3 / 1000.0
    table = vtk.vtkTable()
    table.DeepCopy(case.table.GetTable())
    surface, share = (
        next(c.table_heading for c in MEASURED if c.field == field)
        for field in ("surface_distance_mm", "percent_of_liver")
    )
    for row in range(table.GetNumberOfRows()):
        mask = masks.get(table.GetValueByName(row, "Lesion").ToInt())
        if mask is None or not liver_ml:
            continue
        volume_ml = mask.count * geometry.voxel_volume_mm3 / 1000.0
        distance_mm = surface_distance_mm(mask.voxels_zyx, mask.slices, organ, geometry.spacing_zyx_mm)
        table.SetValueByName(row, surface, vtk.vtkVariant(round(distance_mm, 1)))
        table.SetValueByName(row, share, vtk.vtkVariant(round(100.0 * volume_ml / liver_ml, 2)))
    was = case.table.StartModify()
    try:
        case.table.SetAttribute(ATTR_LIVER_VOLUME, f"{liver_ml:.3f}")
        nodes.show_table(case.table, table)
    finally:
        case.table.EndModify(was)


def keep_moved_box(case: CaseView) -> bool:
    """Take note of where the reader has moved the selected lesion's box to; whether it was moved."""
    node = case.marks.box if case.marks is not None else None
    box = moved_box(node) if node is not None else None
    if box is None:
        return False
    row_id = node.GetAttribute(nodes.ATTR_SEGMENT) or ""
    boxed, row = case.box(row_id), case.row(row_id)
    if boxed is not None:
        moved = replace(boxed.changed(box=replace(box, score=boxed.lesion.score)), moved=True)
        write_boxed(case.table, {**case.boxed, row_id: moved}.values())
    elif row is not None:
        segments.set_place(_segment(case, row_id), replace(row.place, box=box, moved=True))
    else:
        return False
    return True
