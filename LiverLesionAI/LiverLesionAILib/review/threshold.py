"""Moves lesions in and out of the findings by their kept scores; nothing is computed again."""

from __future__ import annotations

from dataclasses import replace

import slicer

from ..analysis.rules import Rules
from ..analysis.settings import Settings
from ..models.weights import Manifest
from ..scene import segments
from ..scene.boxed import write_boxed
from ..scene.map_stack import read_entries, with_rows, write_entries
from ..scene.ras import volume_geometry
from ..scene.read import free_number
from ..scene.segments import build_lesions
from ..support.errors import ModelError
from ..volume.crops import same_lesion
from .case_view import CaseView, read_case
from .derived import write_table
from .history import put
from .kept import Candidate, read_candidates, tag_lesion, told_lesion, write_candidates


def calibrated_score(segmenter: str, operating_point: str = "default") -> float:
    """The score from which the model's makers count a lesion; the page's where its manifest does not say.

    Args:
        operating_point: "strict", "default" or "sensitive": which point of the model's measured curve.
    """
    try:
        rules = Rules().calibrated(Manifest.read().find(segmenter))
    except ModelError:
        rules = Rules()
    return rules.at(Settings(operating_point=operating_point)).score_threshold


def apply_threshold(scene: slicer.vtkMRMLScene, case: CaseView, threshold: float) -> CaseView:
    """Show exactly the AI's lesions whose score reaches the threshold.

    What the reader edited, accepted, rejected, named or noted stays, whatever its score.

    Returns:
        The case as it then is; the same object where nothing moved.
    """
    node, table = case.segmentation, case.table
    if node is None or table is None:
        return case
    if _hide_boxes(case, threshold):
        case = read_case(scene, case.volume)
        write_table(case, {})
    geometry = volume_geometry(case.volume)
    candidates = read_candidates(table, geometry)
    inward = [c for c in candidates if c.lesion.score >= threshold]
    outward = _untouched_below(case, threshold)
    if not inward and not outward:
        return case
    staying = [c for c in candidates if c.lesion.score < threshold] + list(outward.values())
    with segments.one_change(node):
        for segment_id in outward:
            node.GetSegmentation().RemoveSegment(segment_id)
        placed = _bring_in(case, inward, set(outward))
    write_candidates(table, staying, geometry)
    if case.stack is not None:
        numbers = {candidate.lesion.number: segment_id for segment_id, candidate in placed.items()}
        write_entries(case.stack, with_rows(read_entries(case.stack), numbers))
    fresh = read_case(scene, case.volume)
    measurements = {
        row.number: placed[row.segment_id].lesion.measurement
        for row in fresh.rows
        if row.segment_id in placed
    }
    write_table(fresh, measurements)
    return read_case(scene, case.volume)


def _hide_boxes(case: CaseView, threshold: float) -> bool:
    """Mark the lesions without a mask that are below the threshold; whether any changed."""
    now = {
        key: replace(one, below=one.lesion.score < threshold and not one.touched)
        for key, one in case.boxed.items()
    }
    if all(now[key].below == one.below for key, one in case.boxed.items()):
        return False
    write_boxed(case.table, now.values())
    return True


def _untouched_below(case: CaseView, threshold: float) -> dict[str, Candidate]:
    geometry = volume_geometry(case.volume)
    found = {}
    for row in case.rows:
        if row.box_only or row.touched or not row.score < threshold:
            continue
        segment = case.segmentation.GetSegmentation().GetSegment(row.segment_id)
        lesion = told_lesion(segment)
        mask = segments.read_mask(case.segmentation, row.segment_id, geometry)
        if lesion is not None and not segments.is_kept(segment, mask, geometry):
            found[row.segment_id] = Candidate(lesion, mask)
    return found


def _bring_in(case: CaseView, inward: list[Candidate], leaving: set[str]) -> dict[str, Candidate]:
    """Segments for candidates; one that the reader has drawn meanwhile is left out."""
    node, geometry = case.segmentation, volume_geometry(case.volume)
    segmentation = node.GetSegmentation()
    leaving_numbers = {row.number for row in case.rows if row.segment_id in leaving}
    taken = case.numbers - leaving_numbers
    there = [
        segments.read_mask(node, row.segment_id, geometry)
        for row in case.rows
        if row.segment_id not in leaving and row.touched and not row.box_only
    ]
    placed = {}
    for candidate in inward:
        if any(same_lesion(candidate.mask, mask) for mask in there):
            continue
        number = candidate.lesion.number
        if number in taken:
            number = free_number(taken)
        taken.add(number)
        built = build_lesions(
            [candidate.lesion],
            {candidate.lesion.number: candidate.mask},
            {candidate.lesion.number: number},
            geometry,
        )[0]
        tag_lesion(built.segment, candidate.lesion, candidate.mask, geometry)
        segments.give_surface(node, built.segment, candidate.mask, geometry)
        segment_id = segmentation.GenerateUniqueSegmentID(built.described.segment_id)
        put(node, segment_id, built.segment, "?")
        placed[segment_id] = candidate
    return placed
