"""Where the liver's vessels and segments are: the question for the worker, and its answer in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from ..analysis.rules import Rules
from ..case.anatomy import LandmarkName, LiverAnatomy
from ..case.findings import Lesion
from ..case.store import load_steps
from ..case.tags import TAG_ANATOMY, anatomy_text
from ..scene import segments
from ..scene.anatomy_nodes import placed_landmarks, show_anatomy
from ..scene.nodes import ATTR_CASE, remove_node
from ..scene.ras import volume_geometry
from ..scene.tree import CaseTree
from ..scene.upgrade import own_like
from ..stages.anatomy.stage import AnatomySettings, with_segments
from ..support.errors import InputError
from ..support.steps import staged
from ..volume.crops import Mask, union
from ..volume.geometry import Geometry
from ..volume.packed_mask import pack_mask
from .case_view import CaseView, read_case
from .scene_anatomy import TAG_PLACED, new_revision, placed_text


class AnatomyQuestion:
    """One case of the scene, with findings.

    Attributes:
        answered: whether the answer is in the scene.
        messages: what cannot be said and why.
    """

    command = "anatomy"

    def __init__(self, scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._scene, self._volume = scene, volume
        self._geometry = volume_geometry(volume)
        self._lesions: dict[str, Mask] = {}
        self._liver = Mask(np.zeros((0, 0, 0), bool), (0, 0, 0))
        self.messages: tuple[str, ...] = ()
        self.answered = False

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The CT, and the masks as they are drawn now.

        Raises:
            InputError: there are no findings, or no liver among them.
        """
        case, geometry = read_case(self._scene, self._volume), volume_geometry(self._volume)
        if case.segmentation is None or not case.liver_segment:
            raise InputError(f"{self._volume.GetName()} has no liver to look in. Click Analyze first.")
        self._lesions = {
            row.segment_id: mask
            for row in case.rows
            if row.status.counts and not row.box_only
            if (mask := segments.read_mask(case.segmentation, row.segment_id, geometry)).count
        }
        lesions = list(self._lesions.values())
        drawn = segments.read_mask(case.segmentation, case.liver_segment, geometry)
        self._liver, self._geometry = union([drawn, *lesions]), geometry
        request = {
            "liver": pack_mask(self._liver, geometry) if self._liver.count else "",
            "lesions": [pack_mask(mask, geometry) for mask in lesions],
            "gallbladder": _gallbladder(case, geometry),
            "phase": "" if case.phase is None else case.phase.name,
        }
        return slicer.util.arrayFromVolume(self._volume), geometry, request

    def answer(self, result: Path) -> Iterator[str]:
        """Put the anatomy into the scene; landmarks that the reader has moved stay where they were put."""
        result_case = yield from staged("read the answer", load_steps(result))
        case = read_case(self._scene, self._volume)
        if case.segmentation is None or not self._scene.IsNodePresent(case.segmentation):
            raise InputError("The findings were removed meanwhile. Click Analyze again.")
        if not volume_geometry(self._volume).matches(self._geometry):
            raise InputError("The CT was changed meanwhile. Click Vessels and segments again.")
        found = self._with_readers(result_case.anatomy, case)
        yield "show vessels and segments"
        self._put(case, found)
        if found is result_case.anatomy:
            self._tag_lesions(case, result_case.lesions)
        self.messages, self.answered = found.messages, True

    def _tag_lesions(self, case: CaseView, found: Sequence[Lesion]) -> None:
        """Where lesions lie, as the worker has found it; those drawn in since are looked at again."""
        case = read_case(self._scene, self._volume)
        if case.anatomy is None:
            return
        revision = new_revision(case.anatomy.segmentation)
        content = case.segmentation.GetSegmentation()
        with segments.one_change(case.segmentation):
            for (row_id, mask), lesion in zip(self._lesions.items(), found, strict=True):
                segment = content.GetSegment(row_id)
                if segment is not None:
                    segments.set_tag(segment, TAG_ANATOMY, anatomy_text(lesion.anatomy))
                    drawn = mask.fingerprint(self._geometry)
                    segments.set_tag(segment, TAG_PLACED, placed_text(drawn, revision))

    def _with_readers(self, found: LiverAnatomy, case: CaseView) -> LiverAnatomy:
        points = None if case.anatomy is None else case.anatomy.landmarks
        if points is None or not found.landmarks:
            return found
        kept = {name: one for name, one in placed_landmarks(points).items() if one.source == "reader"}
        if not kept:
            return found
        liver = np.zeros(self._geometry.shape_zyx, bool)
        liver[self._liver.slices] = self._liver.voxels_zyx
        landmarks = {name: kept.get(name, found.landmarks[name]) for name in LandmarkName.ALL}
        said = f"Kept where you had put them: {', '.join(kept)}."
        moved = replace(found, landmarks=landmarks, messages=(*found.messages, said))
        if not found.has_segments and not all(
            name in kept for name in (LandmarkName.IVC_HIGH, LandmarkName.IVC_LOW)
        ):
            return moved
        return with_segments(moved, liver, Rules().part(AnatomySettings))

    def _put(self, case: CaseView, anatomy: LiverAnatomy) -> None:
        added: list[slicer.vtkMRMLNode] = []

        def add(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode:
            added.append(self._scene.AddNode(node))
            return added[-1]

        name = case.segmentation.GetAttribute(ATTR_CASE) or case.volume.GetName()
        tree = CaseTree(self._scene, case.volume, name, case.segmentation)
        try:
            made = show_anatomy(
                self._scene,
                case.anatomy,
                anatomy,
                case.volume,
                name,
                lambda node, role: own_like(node, case.segmentation, case.volume, role),
                add,
            )
            tree.place(added, (), {"anatomy": made.all})
        except BaseException:
            for undo in reversed(tree.undo):
                undo()
            for node in reversed(added):
                remove_node(self._scene, node)
            raise


def _gallbladder(case: CaseView, geometry: Geometry) -> str:
    for segment_id in segments.segment_ids(case.segmentation):
        if segments.is_neighbour(case.segmentation.GetSegmentation().GetSegment(segment_id)):
            mask = segments.read_mask(case.segmentation, segment_id, geometry)
            return pack_mask(mask, geometry) if mask.count else ""
    return ""
