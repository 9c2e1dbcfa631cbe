"""The resection that is planned on the shown case: kept with its table, measured on what is drawn now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from ..case.anatomy import segments_text
from ..case.findings import CaseResult
from ..case.remnant import measure_remnant, resected_round, resected_segments
from ..case.resection import Resection, ResectionWay
from ..case.resection_plan import ResectionPlan
from ..scene import segments
from ..scene.anatomy_nodes import ROLE_ANATOMY
from ..scene.nodes import ATTR_ROLE, ROLE_SEGMENTATION
from ..scene.ras import volume_geometry
from ..support.errors import InputError
from ..volume.crops import Mask
from .action_steps import ATTR_PLAN
from .case_view import CaseView
from .derived import cut_to
from .scene_anatomy import Cut, SceneAnatomy

REF_DRAWN = "LiverLesionAI.Resection"
"""From the case's table to the segmentation that holds a resection drawn elsewhere."""


@dataclass(frozen=True, eq=False)
class DrawnElsewhere:
    """A segment that the plan can take as what is resected."""

    node: slicer.vtkMRMLSegmentationNode
    segment_id: str

    @property
    def title(self) -> str:
        """For the reader: "Resections: Segment_1"."""
        segment = self.node.GetSegmentation().GetSegment(self.segment_id)
        return f"{self.node.GetName()}: {segment.GetName()}"


def plan_of(case: CaseView) -> ResectionPlan:
    """What is kept with a case."""
    return ResectionPlan.from_text(None if case.table is None else case.table.GetAttribute(ATTR_PLAN))


def drawn_elsewhere(scene: slicer.vtkMRMLScene) -> list[DrawnElsewhere]:
    """Every segment of segmentations that are not ours."""
    found = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode")
        if node.GetAttribute(ATTR_ROLE) not in (ROLE_SEGMENTATION, ROLE_ANATOMY):
            found += [DrawnElsewhere(node, segment_id) for segment_id in segments.segment_ids(node)]
    return found


def chosen_elsewhere(scene: slicer.vtkMRMLScene, case: CaseView) -> DrawnElsewhere | None:
    """The segment that the plan takes; None where it is gone, or none was chosen."""
    wanted = plan_of(case).drawn
    fitting = [one for one in drawn_elsewhere(scene) if one.segment_id == wanted != ""]
    kept = None if case.table is None else case.table.GetNodeReference(REF_DRAWN)
    return next((one for one in fitting if one.node is kept), fitting[0] if fitting else None)


class Planning:
    """Measures the plan; once while neither it nor what it rests on changes."""

    def __init__(self, scene: slicer.vtkMRMLScene, anatomy: SceneAnatomy) -> None:
        self._scene, self._anatomy = scene, anatomy
        self._known: tuple[object, Resection | str] | None = None

    def measure(self, case: CaseView) -> tuple[Cut, Resection] | None:
        """What the plan takes and leaves, on the part of the grid that holds the liver; None without a plan.

        Raises:
            InputError: it cannot be measured, and why.
        """
        plan = plan_of(case)
        if plan.way is None or case.segmentation is None:
            return None
        cut, drawn = self._anatomy.cut(case), chosen_elsewhere(self._scene, case)
        key = (plan, id(cut), None if drawn is None else _state(drawn))
        if self._known is None or self._known[0] != key:
            try:
                made: Resection | str = _measured(case, plan, cut, drawn)
            except InputError as error:
                made = str(error)
            self._known = (key, made)
        found = self._known[1]
        if isinstance(found, str):
            raise InputError(found)
        return cut, found


def with_resection(scene: slicer.vtkMRMLScene, result: CaseResult, case: CaseView) -> CaseResult:
    """The case for a report, with the resection that is planned on it, where it can be measured."""
    liver = _liver(case)
    try:
        made = Planning(scene, SceneAnatomy(lambda: liver)).measure(case)
    except InputError:
        return result
    if made is None:
        return result
    cut, resection = made
    whole = np.zeros(result.geometry.shape_zyx, bool)
    whole[cut.frame] = resection.mask_zyx
    return replace(result, resection=replace(resection, mask_zyx=whole))


def _liver(case: CaseView) -> Mask | None:
    if case.segmentation is None or not case.liver_segment:
        return None
    return segments.read_mask(case.segmentation, case.liver_segment, volume_geometry(case.volume))


def _measured(case: CaseView, plan: ResectionPlan, cut: Cut, drawn: DrawnElsewhere | None) -> Resection:
    counted = {row.number: cut.masks[row.segment_id] for row in case.rows if row.segment_id in cut.counted}
    lesions = np.zeros(cut.geometry.shape_zyx, bool)
    for mask in counted.values():
        lesions |= cut_to(mask, cut.frame)
    if plan.way is ResectionWay.SEGMENTS:
        if cut.anatomy is None:
            raise InputError("Click Vessels and segments first: then segments can be chosen.")
        if not plan.segments:
            raise InputError("Choose the segments that are resected.")
        detail, taken = segments_text(plan.segments), resected_segments(cut.anatomy, plan.segments)
    elif plan.way is ResectionWay.MARGIN:
        chosen = [n for n in counted if not plan.lesions or n in plan.lesions]
        if not chosen:
            raise InputError("There is no lesion that liver could be resected round.")
        around = np.zeros_like(lesions)
        for number in chosen:
            around |= cut_to(counted[number], cut.frame)
        detail = f"{plan.margin_mm:g}"
        taken = resected_round(around, cut.liver_zyx, cut.geometry, plan.margin_mm)
    else:
        detail, taken = _drawn_mask(case, cut, drawn)
    remnant = measure_remnant(
        cut.liver_zyx, lesions, taken, cut.geometry, plan.body, plan.least_percent, cut.anatomy
    )
    return Resection(plan.way or ResectionWay.MASK, detail, taken & cut.liver_zyx, remnant)


def _drawn_mask(case: CaseView, cut: Cut, drawn: DrawnElsewhere | None) -> tuple[str, NDArray[np.bool_]]:
    if drawn is None:
        raise InputError("Choose a segment: draw what is resected in a segmentation of its own.")
    if drawn.node.GetTransformNodeID() != case.volume.GetTransformNodeID():
        raise InputError(
            f"{drawn.node.GetName()} and the CT are under different transforms. Put both under the same one."
        )
    mask = segments.read_mask(drawn.node, drawn.segment_id, volume_geometry(case.volume))
    return drawn.title, cut_to(mask, cut.frame)


def _state(drawn: DrawnElsewhere) -> Any:
    segment = drawn.node.GetSegmentation().GetSegment(drawn.segment_id)
    image = segment.GetRepresentation(segments.BINARY)
    time = segment.GetMTime() if image is None else image.GetMTime()
    return drawn.node.GetID(), drawn.segment_id, segment.GetLabelValue(), time
