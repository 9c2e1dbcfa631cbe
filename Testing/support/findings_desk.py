"""What a reader does with the findings of a panel on a desk, and what is seen then."""

from __future__ import annotations

import numpy as np

from .desk import Desk


def ids(desk: Desk) -> list[str]:
    return [row.segment_id for row in desk.panel.case.rows]


def labels(desk) -> list[str]:
    """What is written beside the lesions in the views."""
    desk.turn()
    node = desk.panel.case.marks.labels
    return [node.GetNthControlPointLabel(k) for k in range(node.GetNumberOfControlPoints())]


def statuses(desk: Desk) -> list[str]:
    return [row.status_text for row in desk.panel.case.rows]


def mask(desk: Desk, segment_id: str) -> np.ndarray:
    """A segment's voxels on the CT's grid."""
    from LiverLesionAILib.scene.show import read_back

    found = read_back(desk.panel.case.segmentation, desk.panel.case.volume)
    lesion = next(lesion for lesion in found.lesions if lesion.segment_id == segment_id)
    out = np.zeros(found.geometry.shape_zyx, bool)
    out[lesion.mask.slices] = lesion.mask.voxels_zyx
    return out


def paint(desk: Desk, segment_id: str, where) -> None:
    """Draw as the Segment Editor does: change the segment's own labelmap, then tell."""
    import slicer
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry
    from LiverLesionAILib.volume.crops import Mask

    node = desk.panel.case.segmentation
    voxels = mask(desk, segment_id)
    voxels[where] = True
    crop = Mask.of(voxels)
    image = labelmap(crop.voxels_zyx, crop.start_zyx, volume_geometry(desk.panel.case.volume))
    segmentation = node.GetSegmentation()
    segmentation.SeparateSegmentLabelmap(segment_id)
    segment = segmentation.GetSegment(segment_id)
    segment.SetLabelValue(1)
    segment.AddRepresentation(
        slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(), image
    )
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def nodes_of(desk: Desk) -> set[str]:
    """IDs of all nodes in the scene."""
    return {desk.scene.GetNthNode(n).GetID() for n in range(desk.scene.GetNumberOfNodes())}
