"""One result's segments put into a segmentation node, and how to bring back what was there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import slicer

from ..volume.geometry import Geometry
from . import segments
from .prepare import Ready
from .ras import vtk_matrix


def refer_to_ct(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode | None, geometry: Geometry
) -> None:
    """Give a segmentation the CT's grid; without a volume node by its numbers."""
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        return
    nz, ny, nx = geometry.shape_zyx
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(
        vtk_matrix(geometry.ijk_to_ras), [0, nx - 1, 0, ny - 1, 0, nz - 1]
    )
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(name, text)


def take_out(node: slicer.vtkMRMLSegmentationNode, ready: Ready) -> None:
    """All segments but those that are kept."""
    segmentation = node.GetSegmentation()
    for segment_id in segments.segment_ids(node):
        if segment_id not in ready.kept:
            segmentation.RemoveSegment(segment_id)
            continue
        # A kept segment may share its labelmap with one that goes: give it its own first.
        old = segmentation.GetSegment(segment_id)
        if segmentation.IsSharedBinaryLabelmap(segment_id):
            image = ready.copies[segment_id].GetRepresentation(segments.BINARY)
            old.SetLabelValue(1)
            old.AddRepresentation(segments.BINARY, image)


def add_segments(node: slicer.vtkMRMLSegmentationNode, ready: Ready) -> dict[str, segments.NewSegment]:
    """Add the new segments; each by the ID it has got."""
    segmentation = node.GetSegmentation()
    added: dict[str, segments.NewSegment] = {}
    for item in ready.segments:
        segment_id = segmentation.GenerateUniqueSegmentID(item.described.segment_id)
        before = ""
        if item.key == 0 and segmentation.GetNumberOfSegments():
            before = segmentation.GetNthSegmentID(0)
        if not segmentation.AddSegment(item.segment, segment_id, before):
            raise RuntimeError(f"{item.segment.GetName()} could not be added to the segmentation.")
        added[segment_id] = item
    return added


def style_segments(node: slicer.vtkMRMLSegmentationNode, added: Mapping[str, segments.NewSegment]) -> None:
    """Make added segments look as they are described."""
    display = node.GetDisplayNode()
    for segment_id, item in added.items():
        if item.described.fill is not None:
            display.SetSegmentOpacity2DFill(segment_id, item.described.fill)
        if item.described.opacity is not None:
            display.SetSegmentOpacity3D(segment_id, item.described.opacity)
        if not item.described.in_3d:
            display.SetSegmentVisibility3D(segment_id, False)


def restoring_segments(
    node: slicer.vtkMRMLSegmentationNode, copies: Mapping[str, slicer.vtkSegment]
) -> Callable[[], None]:
    """How to bring all segments back, in order, with their looks."""
    segmentation = node.GetSegmentation()
    had_surface = segmentation.ContainsRepresentation(segments.CLOSED_SURFACE)
    display = node.GetDisplayNode()
    looks = {
        segment_id: (
            display.GetSegmentVisibility(segment_id),
            display.GetSegmentOpacity2DFill(segment_id),
            display.GetSegmentOpacity2DOutline(segment_id),
            display.GetSegmentOpacity3D(segment_id),
        )
        for segment_id in copies
    }

    def restore() -> None:
        segmentation.RemoveAllSegments()
        for segment_id, segment in copies.items():
            segmentation.AddSegment(segment, segment_id)
            visible, fill, outline, opacity = looks[segment_id]
            display.SetSegmentVisibility(segment_id, visible)
            display.SetSegmentOpacity2DFill(segment_id, fill)
            display.SetSegmentOpacity2DOutline(segment_id, outline)
            display.SetSegmentOpacity3D(segment_id, opacity)
        if had_surface:
            node.CreateClosedSurfaceRepresentation()

    return restore
