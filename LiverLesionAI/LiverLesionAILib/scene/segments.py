"""Segments of one case: built from a result, read back, told apart into the AI's and the reader's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import slicer
from vtkmodules.vtkCommonCore import reference

from ..case import terminology as terms
from ..case.description import LIVER_ID, SceneSegment, lesion_segment
from ..case.findings import Lesion, LesionStatus
from ..case.place import TAG_BOX_MOVED, Place, place_tags, read_place
from ..case.surfaces import closed_surface
from ..case.tags import LESION_TAGS, TAG_READER_SEGMENTS
from ..volume.crops import Mask
from ..volume.ct import Geometry
from .ras import labelmap, labelmap_crop, surface_data

BINARY = "Binary labelmap"
UNDECIDED = (LesionStatus.UNDECIDED.value, "AI")
"""Status of a segment that the reader has said nothing of; the second is what version 0.1 wrote."""
FLAGGED = terms.slicer_status(LesionStatus.REJECTED, edited=False)
NOT_STARTED = terms.slicer_status(LesionStatus.UNDECIDED, edited=False)
CLOSED_SURFACE = "Closed surface"
FINE_VOXELS = 4_000_000


@dataclass(frozen=True, eq=False)
class NewSegment:
    """A segment ready to be added; `lesion` is the one of the result, None for organs."""

    segment: slicer.vtkSegment
    described: SceneSegment
    lesion: Lesion | None = None

    @property
    def key(self) -> int | None:
        """Number of its lesion in the result, 0 for the liver, None for organs beside it."""
        if self.lesion is not None:
            return self.lesion.number
        return 0 if self.described.segment_id == LIVER_ID else None


def tag(segment: slicer.vtkSegment, name: str) -> str:
    """A segment's tag, "" where it has none."""
    value = reference("")
    return terms.read_tag(str(value)) if segment.GetTag(name, value) else ""


def all_tags(segment: slicer.vtkSegment) -> dict[str, str]:
    """What a segment says of its lesion, by tag; "" for what it does not say."""
    return {name: tag(segment, name) for name in LESION_TAGS}


def set_tag(segment: slicer.vtkSegment, name: str, text: str) -> None:
    """Give a segment a tag that survives being saved, whatever is in the text."""
    segment.SetTag(name, terms.tag_text(text))


def place(segment: slicer.vtkSegment) -> Place:
    """Where its lesion lies."""
    return read_place(lambda name: tag(segment, name))


def set_place(segment: slicer.vtkSegment, new: Place) -> None:
    """Keep with a segment where its lesion lies; what is so already is left alone."""
    for name, text in place_tags(new).items():
        if tag(segment, name) == text:
            continue
        if text:
            segment.SetTag(name, text)
        else:
            segment.RemoveTag(name)


@contextmanager
def one_change(node: slicer.vtkMRMLSegmentationNode) -> Iterator[None]:
    """All that is done to segments and their looks inside is one change for those who watch the node."""
    display = node.GetDisplayNode()
    was = node.StartModify()
    was_shown = display.StartModify() if display is not None else 0
    try:
        yield
    finally:
        if display is not None:
            display.EndModify(was_shown)
        node.EndModify(was)


def segment_ids(node: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """IDs of all segments in order."""
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]


def read_mask(node: slicer.vtkMRMLSegmentationNode, segment_id: str, geometry: Geometry) -> Mask:
    """A segment's voxels on the CT's grid, trimmed; empty where it has none there."""
    segmentation = node.GetSegmentation()
    if not segmentation.GetSegment(segment_id).GetRepresentation(BINARY):
        node.CreateBinaryLabelmapRepresentation()
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    return Mask(*labelmap_crop(image, geometry))


def is_liver(segment: slicer.vtkSegment) -> bool:
    """Whether this is the liver's segment: by its role, or by its name where it has no role."""
    role = tag(segment, terms.TAG_ROLE)
    return role == terms.ROLE_LIVER or (not role and segment.GetName().strip().lower() == "liver")


def is_lesion(segment: slicer.vtkSegment) -> bool:
    """Whether this is a lesion: one of ours, or one the reader added that is not named as normal anatomy."""
    role = tag(segment, terms.TAG_ROLE)
    if role:
        return role == terms.ROLE_LESION
    return not is_liver(segment) and not terms.is_anatomy(tag(segment, terms.TAG_TERMINOLOGY))


def is_kept(segment: slicer.vtkSegment, mask: Mask, geometry: Geometry) -> bool:
    """Whether a new run leaves the segment alone: everything but the AI's own that nobody has touched."""
    untouched = (
        tag(segment, terms.TAG_STATUS) in UNDECIDED
        and tag(segment, terms.TAG_SLICER_STATUS) in ("", NOT_STARTED)
        and not tag(segment, terms.TAG_EDITED)
        and tag(segment, terms.TAG_MASK) == mask.fingerprint(geometry)
        and tag(segment, terms.TAG_NAME) == segment.GetName()
        and not tag(segment, terms.TAG_NOTE)
        and not tag(segment, terms.TAG_READER_CLASS)
        and not tag(segment, TAG_READER_SEGMENTS)
        and not tag(segment, TAG_BOX_MOVED)
    )
    return not untouched


def status(segment: slicer.vtkSegment) -> LesionStatus:
    """What the reader has decided, here or in Slicer's own segments table."""
    own = LesionStatus.read(tag(segment, terms.TAG_STATUS))
    return terms.followed_status(own, tag(segment, terms.TAG_SLICER_STATUS))


def is_marked_edited(segment: slicer.vtkSegment) -> bool:
    """Whether its tags say that the reader drew or changed it; one without tags is the reader's."""
    said = tag(segment, terms.TAG_STATUS)
    return bool(tag(segment, terms.TAG_EDITED)) or said in ("", terms.EDITED_BEFORE)


def is_edited(segment: slicer.vtkSegment, mask: Mask, geometry: Geometry) -> bool:
    """Whether the reader drew or changed it: by its tags, or because its mask is not the one the AI drew."""
    return is_marked_edited(segment) or tag(segment, terms.TAG_MASK) != mask.fingerprint(geometry)


def build_organ(described: SceneSegment, geometry: Geometry) -> NewSegment | None:
    """An organ's segment; None where nothing of it was seen."""
    mask = described.mask
    if not mask.voxels_zyx.size:
        return None
    segment = _segment(described)
    segment.SetLabelValue(1)
    segment.AddRepresentation(BINARY, labelmap(mask.voxels_zyx, mask.start_zyx, geometry))
    return NewSegment(segment, described)


def is_neighbour(segment: slicer.vtkSegment) -> bool:
    """Whether this is an organ beside the liver, drawn by the AI."""
    return tag(segment, terms.TAG_ROLE) == terms.ROLE_NEIGHBOUR


def build_lesions(
    lesions: Iterable[Lesion],
    masks: Mapping[int, Mask],
    numbers: Mapping[int, int],
    geometry: Geometry,
) -> list[NewSegment]:
    """Segments of these lesions, all in one shared labelmap (they do not overlap): quick to draw and to edit.

    Args:
        masks: by the lesion's number; a lesion without voxels gets no segment.
        numbers: the lesion's number -> the number it is shown with.
    """
    with_mask = [lesion for lesion in lesions if lesion.number in masks and masks[lesion.number].count]
    if not with_mask:
        return []
    starts = np.array([masks[lesion.number].start_zyx for lesion in with_mask])
    stops = np.array([[s.stop for s in masks[lesion.number].slices] for lesion in with_mask])
    start = starts.min(axis=0)
    dtype = np.uint8 if len(with_mask) < 256 else np.uint16
    labels = np.zeros(stops.max(axis=0) - start, dtype)
    for value, lesion in enumerate(with_mask, 1):
        mask = masks[lesion.number]
        place = tuple(slice(s.start - o, s.stop - o) for s, o in zip(mask.slices, start, strict=True))
        labels[place][mask.voxels_zyx] = value
    shared = labelmap(labels, tuple(int(s) for s in start), geometry)  # type: ignore[arg-type]
    built = []
    for value, lesion in enumerate(with_mask, 1):
        shown = replace(lesion, number=numbers[lesion.number])
        described = lesion_segment(shown, masks[lesion.number], geometry)
        segment = _segment(described)
        segment.SetLabelValue(value)
        segment.AddRepresentation(BINARY, shared)
        built.append(NewSegment(segment, described, lesion))
    return built


def rebuilt(segment: slicer.vtkSegment, mask: Mask, geometry: Geometry) -> slicer.vtkSegment:
    """A copy of a segment with a labelmap of its own, so that nothing done to the original reaches it."""
    copy = slicer.vtkSegment()
    copy.DeepCopyMetadata(segment)
    copy.SetLabelValue(1)
    copy.AddRepresentation(BINARY, labelmap(mask.voxels_zyx, mask.start_zyx, geometry))
    return copy


def give_surface(
    node: slicer.vtkMRMLSegmentationNode, segment: slicer.vtkSegment, mask: Mask, geometry: Geometry
) -> None:
    """Give a segment that is to join others a closed surface, where they have one.

    Slicer would make it itself, which takes seconds for a liver.
    """
    if node.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE) and mask.count:
        set_surface(segment, mask, geometry)


def set_surface(
    segment: slicer.vtkSegment, mask: Mask, geometry: Geometry, step_zyx: Sequence[int] | None = None
) -> None:
    """Give a segment its closed surface.

    Args:
        step_zyx: made of every so manieth voxel; of every second where the mask is large by default.
    """
    steps = step_zyx or ((2,) * 3 if mask.voxels_zyx.size > FINE_VOXELS else (1,) * 3)
    voxels = np.ascontiguousarray(mask.voxels_zyx[tuple(slice(None, None, step) for step in steps)])
    grid = Geometry.make(
        voxels.shape,
        tuple(step * s for step, s in zip(steps, geometry.spacing_zyx_mm, strict=True)),
        geometry.index_to_lps(mask.start_zyx),
        geometry.directions_lps,
    )
    segment.AddRepresentation(CLOSED_SURFACE, surface_data(*closed_surface(Mask(voxels, (0, 0, 0)), grid)))


def mark(segment: slicer.vtkSegment, new_status: LesionStatus) -> None:
    """Record what the reader decided."""
    if is_marked_edited(segment):
        # Where an older version wrote "edited" as a status, the decision takes its place.
        mark_edited(segment)
    segment.SetTag(terms.TAG_STATUS, new_status.value)
    edited = bool(tag(segment, terms.TAG_EDITED))
    segment.SetTag(terms.TAG_SLICER_STATUS, terms.slicer_status(new_status, edited=edited))


def mark_edited(segment: slicer.vtkSegment, edited: bool = True) -> None:
    """Record that the reader drew or changed the mask; the segment becomes SEMIAUTOMATIC for DICOM SEG."""
    now = status(segment)
    segment.SetTag(terms.TAG_STATUS, now.value)
    if tag(segment, terms.TAG_SLICER_STATUS) != FLAGGED or not now.counts:
        segment.SetTag(terms.TAG_SLICER_STATUS, terms.slicer_status(now, edited=edited))
    if edited:
        segment.SetTag(terms.TAG_EDITED, "1")
    else:
        segment.RemoveTag(terms.TAG_EDITED)
    segment.SetTag(terms.TAG_ALGORITHM_TYPE, terms.algorithm_type(edited=edited))


def _segment(described: SceneSegment) -> slicer.vtkSegment:
    """A segment without its voxels."""
    segment = slicer.vtkSegment()
    segment.SetName(described.name)
    segment.SetNameAutoGenerated(False)
    segment.SetColor(*described.colour)
    segment.SetColorAutoGenerated(False)
    for key, value in described.tags.items():
        set_tag(segment, key, value)
    return segment
