"""What is to be put into a scene, computed in steps before anything in it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkImageData

from ..case import terminology as terms
from ..case.description import PROBABILITY, case_maps, gallbladder_segment, liver_segment
from ..case.findings import CaseResult, Lesion
from ..case.lesion_masks import lesion_mask_steps
from ..case.tags import TAG_TRACKING_UID
from ..case.tracking import match_masks
from ..support.steps import Steps
from ..volume.crops import Mask, mask_steps, same_lesion, without
from . import nodes, segments
from .boxed import BoxedLesion, covers, read_boxed
from .map_stack import Stack, stack_steps
from .ras import image_steps, surface_data
from .read import free_number


def find_nodes(
    scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode | None, case_name: str = ""
) -> dict[str, list]:
    """The nodes of a case by role: of this CT, or without a CT those that carry the case's name."""
    found: dict[str, list] = {}
    collection = scene.GetNodes()
    for index in range(collection.GetNumberOfItems()):
        node = collection.GetItemAsObject(index)
        role = node.GetAttribute(nodes.ATTR_ROLE)
        if not role:
            continue
        reference = node.GetNodeReferenceID(nodes.REF_VOLUME)
        if volume_node is not None:
            belongs = reference == volume_node.GetID()
        else:
            belongs = not reference and node.GetAttribute(nodes.ATTR_CASE) == case_name
        if belongs:
            found.setdefault(role, []).append(node)
    return found


Surface = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Points (n, 3) in RAS mm and triangles (m, 3) into them."""


@dataclass(frozen=True, eq=False)
class Extras:
    """What is known of the lesions of a result besides it.

    Attributes:
        masks: by the lesion's number; None where they are still to be taken out of the label map.
        tags: lesion's number -> tags that its segment gets besides its own.
        surfaces: lesion's number, 0 for the liver -> its closed surface, so that 3D views have it at once.
    """

    masks: Mapping[int, Mask] | None = None
    tags: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    surfaces: Mapping[int, Surface] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Ready:
    """What is to be put into the scene, computed before anything is changed.

    Attributes:
        state: of the segments it was computed for.
        kept, kept_lesions: masks of the segments that stay.
        kept_for: lesion number in the result -> the segment that stands for it already.
        kept_liver: the liver's segment where the reader has touched it, "" otherwise.
        copies: every segment as it was, to go back to.
        new, numbers, segments: what comes in.
        masked: numbers of the lesions in the result that have a mask.
    """

    segmentation: slicer.vtkMRMLSegmentationNode | None
    state: object
    liver: Mask
    kept: Mapping[str, Mask]
    kept_lesions: Mapping[str, Mask]
    kept_for: Mapping[int, str]
    kept_liver: str
    copies: Mapping[str, slicer.vtkSegment]
    new: list[Lesion]
    numbers: Mapping[int, int]
    segments: list[segments.NewSegment]
    masked: frozenset[int]


def _state(node: slicer.vtkMRMLSegmentationNode | None) -> object:
    """Differs when any segment has changed."""
    if node is None:
        return None
    found = []
    for segment_id in segments.segment_ids(node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(segments.BINARY)
        found.append((segment_id, segment.GetMTime(), image.GetMTime() if image is not None else 0))
    return found


def with_uids_of(
    new: list[Lesion],
    masks: Mapping[int, Mask],
    before: Mapping[str, Mask],
    segments_before: Mapping[str, slicer.vtkSegment],
) -> list[Lesion]:
    """New lesions with the tracking UIDs of the segments that they lie on and replace."""
    uids = [segments.tag(segments_before[k], TAG_TRACKING_UID) for k in before]
    earlier = {i: mask for i, (uid, mask) in enumerate(zip(uids, before.values(), strict=True)) if uid}
    own = {lesion.number: masks[lesion.number] for lesion in new if lesion.number in masks}
    pairs = match_masks(own, earlier)
    return [
        replace(lesion, tracking_uid=uids[pairs[lesion.number]]) if lesion.number in pairs else lesion
        for lesion in new
    ]


class Preparation:
    """Computes a :class:`Ready` for one result.

    Attributes:
        ready: None before the first run of :meth:`steps`.
        whole_maps: the maps that are of the whole liver.
        images: their voxels, by key.
        stack: the maps of single lesions.
        old: the case's nodes by role, as they were then.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        result: CaseResult,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
        extras: Extras,
    ) -> None:
        self.scene, self.result, self.volume = scene, result, volume
        self.old = find_nodes(scene, volume, result.case_name)
        self.ready: Ready | None = None
        # The tumour's probability comes first: whoever shows the maps as they come starts with it.
        whole = [one for one in case_maps(result, {}) if one.number is None]
        self.whole_maps = sorted(whole, key=lambda one: one.key != f"tumour {PROBABILITY}")
        self.images: dict[str, vtkImageData] = {}
        self.stack: Stack | None = None
        self._extras = extras
        self._masks = extras.masks

    def steps(self, *, maps: bool) -> Steps[None]:
        """Everything that takes long and changes nothing in the scene.

        To be repeated where it is not :attr:`fresh` any more.
        """
        if self._masks is None:
            self._masks = yield from lesion_mask_steps(self.result)
        if self.ready is None:
            liver = yield from mask_steps(self.result.liver_zyx)
        else:
            liver = self.ready.liver
        if maps and not self.images:
            for one in self.whole_maps:
                self.images[one.key] = yield from image_steps(one.values_zyx)
            self.stack = yield from stack_steps(self.result.attention)
        self.old = find_nodes(self.scene, self.volume, self.result.case_name)
        segmentation = (self.old.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        state = _state(segmentation)
        before: dict[str, Mask] = {}
        kept: dict[str, Mask] = {}
        copies: dict[str, slicer.vtkSegment] = {}
        for segment_id in segments.segment_ids(segmentation) if segmentation is not None else ():
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            if segment is None:
                continue
            mask = before[segment_id] = segments.read_mask(segmentation, segment_id, self.result.geometry)
            yield
            copies[segment_id] = segments.rebuilt(segment, mask, self.result.geometry)
            yield
            if segments.is_kept(segment, mask, self.result.geometry):
                kept[segment_id] = mask
            yield
        self.ready = yield from self._build(segmentation, state, liver, before, kept, copies)

    @property
    def fresh(self) -> bool:
        """Whether the scene still holds what was prepared for."""
        now = find_nodes(self.scene, self.volume, self.result.case_name)
        segmentation = (now.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        return (
            self.ready is not None
            and segmentation is self.ready.segmentation
            and _state(segmentation) == self.ready.state
        )

    def _build(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        state: object,
        liver: Mask,
        before: Mapping[str, Mask],
        kept: Mapping[str, Mask],
        copies: Mapping[str, slicer.vtkSegment],
    ) -> Steps[Ready]:
        result, masks = self.result, dict(self._masks or {})
        kept_lesions = {k: m for k, m in kept.items() if segments.is_lesion(copies[k])}
        taken = {
            int(tag) for k in kept_lesions if (tag := segments.tag(copies[k], terms.TAG_NUMBER)).isdecimal()
        }
        # Lesions without a mask that the reader has decided on keep their numbers too.
        taken |= {one.lesion.number for one in self._boxed if one.touched}
        kept_for: dict[int, str] = {}
        for number, mask in masks.items():
            for segment_id, kept_mask in kept_lesions.items():
                if same_lesion(mask, kept_mask):
                    kept_for[number] = segment_id
                    break
            else:
                masks[number] = without(mask, kept_lesions.values())
            yield
        new = [
            lesion
            for lesion in result.lesions
            if lesion.number not in kept_for and not self._decided_before(lesion)
        ]
        new = with_uids_of(new, masks, {k: m for k, m in before.items() if k not in kept}, copies)
        numbers = self._numbers(new, kept_for, taken, segmentation)
        built = segments.build_lesions(new, masks, numbers, result.geometry)
        yield
        kept_liver = next((k for k in kept if segments.is_liver(copies[k])), "")
        organs = [] if kept_liver else [liver_segment(liver, result.geometry)]
        organ_zyx = result.gallbladder_zyx
        if organ_zyx is not None and not any(segments.is_neighbour(copies[k]) for k in kept):
            organs.append(gallbladder_segment((yield from mask_steps(organ_zyx)), result.geometry))
        built_organs = []
        for organ in organs:
            built_organs.append(segments.build_organ(organ, result.geometry))
            yield
        everything = [item for item in built_organs if item is not None] + built
        for item in everything:
            yield from self._equip(item)
        return Ready(
            segmentation,
            state,
            liver,
            kept,
            kept_lesions,
            kept_for,
            kept_liver,
            copies,
            new,
            numbers,
            everything,
            frozenset(number for number, mask in masks.items() if mask.count),
        )

    @property
    def _boxed(self) -> list[BoxedLesion]:
        """The lesions without a mask that the scene holds."""
        return list(read_boxed((self.old.get(nodes.ROLE_TABLE) or [None])[0]).values())

    def _equip(self, item: segments.NewSegment) -> Steps[None]:
        """Give a segment tags and surface before it joins: afterwards each would be a change to draw."""
        key = item.key
        for name, text in self._extras.tags.get(key, {}).items() if key is not None else ():
            segments.set_tag(item.segment, name, text)
        surface = self._extras.surfaces.get(key) if key is not None else None
        if surface is not None:
            item.segment.AddRepresentation(segments.CLOSED_SURFACE, surface_data(*surface))
        yield

    def _decided_before(self, lesion: Lesion) -> bool:
        """Whether the reader has accepted or rejected this box already, in an earlier run."""
        return lesion.number not in (self._masks or {}) and any(
            one.touched and covers(one.lesion.box, lesion.box.centre_lps) for one in self._boxed
        )

    def _numbers(
        self,
        new: list[Lesion],
        kept_for: Mapping[int, str],
        taken: set[int],
        segmentation: slicer.vtkMRMLSegmentationNode | None,
    ) -> dict[int, int]:
        """Numbers to show: the result's own in a fresh scene; else the lowest that no kept lesion has."""
        numbers, taken = {}, set(taken)
        for lesion in new:
            numbers[lesion.number] = lesion.number if lesion.number not in taken else free_number(taken)
            taken.add(numbers[lesion.number])
        for number, segment_id in kept_for.items():
            text = segments.tag(segmentation.GetSegmentation().GetSegment(segment_id), terms.TAG_NUMBER)
            numbers[number] = int(text) if text.isdecimal() else free_number(taken)
            taken.add(numbers[number])
        return numbers
