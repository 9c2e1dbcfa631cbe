"""A second run in a scene that a reader worked in, and one that fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import oblique_geometry, small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.derived import keep_moved_box
from LiverLesionAILib.scene import apply as scene_apply
from LiverLesionAILib.scene import nodes as scene_nodes
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.offline import add_ct, new_scene
from LiverLesionAILib.support.errors import GeometryError
from LiverLesionAILib.support.steps import finish
from support.scene_case import draw, everything, segment, select


def test_a_second_run_keeps_what_the_reader_completed_or_flagged_in_slicers_table(shown):
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    scene, ct, result, nodes = shown
    logic.SetSegmentStatus(segment(nodes, nodes.segment_ids[1]), logic.Completed)
    logic.SetSegmentStatus(segment(nodes, nodes.segment_ids[2]), logic.Flagged)
    _, none = small_case(lesions=0)
    again = scenes.apply_result(scene, replace(none, geometry=result.geometry), ct)
    assert {x.number: x.status.value for x in scenes.read_back(again.segmentation).lesions} == {
        1: "accepted",
        2: "undecided",
    }


def test_a_result_on_another_grid_is_refused(shown):
    scene, ct, _, _ = shown
    _, other = small_case(oblique_geometry((20, 40, 47)))
    before = everything(scene)
    with pytest.raises(GeometryError, match="not on the grid"):
        scenes.apply_result(scene, other, ct)
    assert everything(scene) == before


def test_a_second_run_replaces_what_nobody_touched(shown):
    scene, ct, result, first = shown
    before = everything(scene)
    _, fewer = small_case(lesions=2)
    second = scenes.apply_result(scene, fewer, ct)
    assert second.segmentation is first.segmentation
    assert second.table is first.table
    assert len(scenes.read_back(second.segmentation).lesions) == len(fewer.lesions) < len(result.lesions)
    assert second.table.GetTable().GetNumberOfRows() == len(fewer.lesions)
    scenes.apply_result(scene, result, ct)
    after = everything(scene)
    assert len(after) == len(before)
    assert np.array_equal(scenes.read_back(first.segmentation).lesion_labels_zyx, result.lesion_labels_zyx)


def test_a_second_run_keeps_edited_accepted_and_added(shown):
    scene, ct, result, nodes = shown
    edited = result.lesion_labels_zyx == 1
    edited[:, :, edited.any(axis=(0, 1)).argmax()] = False
    draw(nodes, nodes.segment_ids[1], edited, result)
    scenes.mark(segment(nodes, nodes.segment_ids[2]), LesionStatus.ACCEPTED)
    segment(nodes, nodes.segment_ids[3]).SetName("biopsied")
    added = np.zeros_like(result.liver_zyx)
    added[10, 3:6, 4:8] = True
    own_id = nodes.segmentation.GetSegmentation().AddEmptySegment("", "seen on MR")
    draw(nodes, own_id, added, result)
    nodes.table.GetTable().SetValueByName(0, "Volume [mL]", vtk.vtkVariant(99.0))

    again = scenes.apply_result(scene, result, ct)
    back = {lesion.name: lesion for lesion in scenes.read_back(again.segmentation).lesions}
    assert len(back) == len(result.lesions) + 1
    assert np.array_equal(scenes.read_back(again.segmentation).lesion_labels_zyx == 1, edited)
    assert back["Lesion 1 (HCC 0.82)"].status_text == "edited"
    assert back["Lesion 2 (CYST 0.82)"].status is LesionStatus.ACCEPTED
    assert back["biopsied"].number == 3
    assert back["seen on MR"].mask.count == added.sum()
    assert back["seen on MR"].source is LesionSource.READER
    assert back["seen on MR"].number == len(result.lesions) + 1
    assert again.segment_ids == nodes.segment_ids
    assert len(again.kept_segment_ids) == 4
    assert "seen on MR" in again.messages[-1]
    assert again.marks.all == nodes.marks.all
    assert again.table.GetTable().GetNumberOfRows() == len(back)
    assert again.table.GetTable().GetValueByName(0, "Volume [mL]").ToDouble() == 99.0


def test_a_box_that_was_moved_stays(shown):
    scene, ct, result, nodes = shown
    select(nodes, result, 1)
    nodes.marks.box.SetCenter(1.0, 2.0, 3.0)
    assert keep_moved_box(read_case(scene, ct))
    again = scenes.apply_result(scene, result, ct)
    assert again.kept_segment_ids == (nodes.segment_ids[1],), "what the reader has moved is the reader's"
    place = scene_segments.place(segment(again, nodes.segment_ids[1]))
    assert place.moved and place.box.centre_lps == pytest.approx((-1.0, -2.0, 3.0))
    select(again, result, 1)
    assert list(again.marks.box.GetCenter()) == pytest.approx([1.0, 2.0, 3.0])
    assert not keep_moved_box(read_case(scene, ct)), "it has been taken note of"


@pytest.mark.parametrize("step", ["place", "_marks", "_table", "_lesion_maps", "add_segments"])
def test_a_failure_leaves_the_scene_as_before(shown, monkeypatch, step):
    scene, ct, _, nodes = shown
    scenes.mark(segment(nodes, nodes.segment_ids[2]), LesionStatus.ACCEPTED)
    nodes.segmentation.GetDisplayNode().SetSegmentOpacity2DFill(nodes.segment_ids[1], 0.77)
    before = everything(scene)
    owner = {"place": scene_apply.CaseTree, "add_segments": scene_apply}.get(step, scene_apply.Apply)
    real = getattr(owner, step)

    def fails_at_the_end(*args, **kwargs):
        done = real(*args, **kwargs)
        if step == "_lesion_maps":
            finish(done)
        raise MemoryError("made up")

    monkeypatch.setattr(owner, step, fails_at_the_end)
    _, other = small_case(lesions=2)
    with pytest.raises(MemoryError):
        scenes.apply_result(scene, other, ct)
    assert everything(scene) == before


def test_a_failure_of_the_first_run_leaves_nothing(monkeypatch):
    volume, result = small_case()
    scene = new_scene()
    ct = add_ct(scene, volume)
    before = everything(scene)
    monkeypatch.setattr(scene_nodes, "fill_map", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scenes.apply_result(scene, result, ct)
    after = everything(scene)
    # Asking for the CT's place in the tree may list the CT; nothing else.
    assert [text for text in after if text not in (*before, f"{ct.GetName()} under Scene")] == []
