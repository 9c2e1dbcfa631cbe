"""The reader's edits back out of a segmentation node, for measuring and reporting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import slicer
from numpy.typing import NDArray

from ..case import tags
from ..case.findings import Lesion
from ..support.errors import GeometryError
from ..volume.crops import Mask
from ..volume.ct import Geometry
from . import segments
from .ras import volume_geometry

NO_MASK = Mask(np.zeros((0, 0, 0), bool), (0, 0, 0))


@dataclass(frozen=True)
class DrawnLesion(Lesion):
    """A lesion as it now stands in the scene, not measured; its score is NaN where only the reader saw it."""

    segment_id: str = ""
    name: str = ""
    mask: Mask = NO_MASK


@dataclass(frozen=True, eq=False)
class ReaderCase:
    """Masks and lesions as the reader left them, on the CT's grid.

    Attributes:
        liver_zyx: bool; the liver's segment and every lesion that is not rejected.
        lesion_labels_zyx: uint16; k is the lesion with number k, the smaller one where two overlap. Rejected
        lesions
            are in it: their status tells.
    """

    geometry: Geometry
    liver_zyx: NDArray[np.bool_]
    lesion_labels_zyx: NDArray[np.uint16]
    lesions: tuple[DrawnLesion, ...]
    gallbladder_zyx: NDArray[np.bool_] | None = None


def read_back(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    volume_node: slicer.vtkMRMLScalarVolumeNode | None = None,
    *,
    geometry: Geometry | None = None,
) -> ReaderCase:
    """Masks and lesions as they now stand, with everything the reader drew, for measuring and reporting.

    Args:
        volume_node: the CT; by default the volume that the segmentation refers to.
        geometry: the grid to read on when there is no CT in the scene.

    Raises:
        GeometryError: there is neither a CT nor a geometry, or CT and segmentation are under different
        transforms.
    """
    if volume_node is None:
        role = segmentation_node.GetReferenceImageGeometryReferenceRole()
        volume_node = segmentation_node.GetNodeReference(role)
    if volume_node is not None:
        if volume_node.GetTransformNodeID() != segmentation_node.GetTransformNodeID():
            raise GeometryError(
                f"{segmentation_node.GetName()} and {volume_node.GetName()} are under different transforms. "
                "Put both under the same one (Data module), then measure again."
            )
        geometry = volume_geometry(volume_node)
    if geometry is None:
        raise GeometryError(f"{segmentation_node.GetName()} refers to no CT: choose the CT it was made on.")
    liver = np.zeros(geometry.shape_zyx, bool)
    gallbladder: NDArray[np.bool_] | None = None
    found: list[DrawnLesion] = []
    unnumbered: list[int] = []
    for segment_id in segments.segment_ids(segmentation_node):
        segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
        if segments.is_liver(segment):
            mask = segments.read_mask(segmentation_node, segment_id, geometry)
            liver[mask.slices] |= mask.voxels_zyx
        elif segments.is_neighbour(segment):
            mask = segments.read_mask(segmentation_node, segment_id, geometry)
            gallbladder = np.zeros(geometry.shape_zyx, bool)
            gallbladder[mask.slices] = mask.voxels_zyx
        elif segments.is_lesion(segment):
            mask = segments.read_mask(segmentation_node, segment_id, geometry)
            if mask.count:
                lesion = drawn_lesion(segment, segment_id, mask, geometry)
                if lesion.number == 0 or lesion.number in {other.number for other in found}:
                    unnumbered.append(len(found))
                found.append(lesion)
    taken = {lesion.number for index, lesion in enumerate(found) if index not in unnumbered}
    for index in unnumbered:
        number = free_number(taken)
        taken.add(number)
        found[index] = replace(found[index], number=number)
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    for lesion in sorted(found, key=lambda lesion: -lesion.mask.count):
        labels[lesion.mask.slices][lesion.mask.voxels_zyx] = lesion.number
        if lesion.status.counts:
            liver[lesion.mask.slices] |= lesion.mask.voxels_zyx
    ordered = tuple(sorted(found, key=lambda lesion: lesion.number))
    return ReaderCase(geometry, liver, labels, ordered, gallbladder)


def drawn_lesion(segment: slicer.vtkSegment, segment_id: str, mask: Mask, geometry: Geometry) -> DrawnLesion:
    """A lesion from its segment's tags and mask; number 0 where it has none."""
    lesion = tags.read(segments.all_tags(segment))
    edited = segments.is_edited(segment, mask, geometry)
    fields = {**vars(lesion), "edited": edited}
    return DrawnLesion(**fields, segment_id=segment_id, name=segment.GetName(), mask=mask)


def free_number(taken: set[int]) -> int:
    """The lowest number from 1 that is not taken."""
    number = 1
    while number in taken:
        number += 1
    return number
