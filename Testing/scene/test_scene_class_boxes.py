"""Where the classifier saw a class, as ROIs beside the lesions' own boxes, on Slicer's own classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.case import tags
from LiverLesionAILib.case import terminology as terms
from LiverLesionAILib.case.findings import Box, CaseResult, LesionStatus
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.derived import follow
from LiverLesionAILib.scene import nodes as scene_nodes
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, read_bundle, write_bundle
from LiverLesionAILib.scene.ras import numpy_matrix, vtk_matrix


def with_class_boxes(result: CaseResult, shift_mm: float = 4.0) -> CaseResult:
    """The first two lesions were seen a little to the left of where they are."""

    def seen(box: Box) -> Box:
        x, y, z = box.centre_lps
        return replace(box, centre_lps=(x + shift_mm, y, z), size_xyz_mm=(11.0, 13.0, 17.0))

    lesions = tuple(
        replace(lesion, class_box=seen(lesion.box)) if lesion.number <= 2 else lesion
        for lesion in result.lesions
    )
    return replace(result, lesions=lesions)


@pytest.fixture
def shown():
    volume, result = small_case(lesions=4)
    result = with_class_boxes(result)
    scene = new_scene()
    ct = add_ct(scene, volume)
    return scene, ct, result, scenes.apply_result(scene, result, ct)


def test_they_lie_where_the_class_was_seen_and_are_hidden(shown):
    scene, ct, result, nodes = shown
    assert set(nodes.class_boxes) == {1, 2}
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for number, roi in nodes.class_boxes.items():
        box = result.lesions[number - 1].class_box
        assert list(roi.GetCenter()) == pytest.approx(np.array(box.centre_lps) * (-1, -1, 1), abs=1e-5)
        assert list(roi.GetSize()) == pytest.approx(box.size_xyz_mm)
        axes = numpy_matrix(roi.GetObjectToNodeMatrix())[:3, :3]
        wanted = np.diag([-1, -1, 1]) @ np.reshape(box.directions_lps, (3, 3))
        assert np.allclose(np.abs(np.diag(axes.T @ wanted)), 1)
        assert roi.GetName() == f"{nodes.boxes[number].GetName()}: seen here"
        assert roi.GetDisplayNode().GetVisibility() == 0 and roi.GetLocked()
        assert nodes.boxes[number].GetDisplayNode().GetVisibility() == 1
        assert (
            roi.GetDisplayNode().GetSelectedColor() == nodes.boxes[number].GetDisplayNode().GetSelectedColor()
        )
        item = tree.GetItemByDataNode(roi)
        assert tree.GetItemName(tree.GetItemParent(item)).endswith("boxes")
        assert tree.GetItemAncestorAtLevel(item, "Study") == nodes.study_item


def test_they_move_with_the_ct(shown):
    scene, ct, _, nodes = shown
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    to_world = np.eye(4)
    to_world[:3, 3] = (5.0, 6.0, 7.0)
    moved.SetMatrixTransformToParent(vtk_matrix(to_world))
    ct.SetAndObserveTransformNodeID(moved.GetID())
    volume, result = small_case(lesions=4)
    again = scenes.apply_result(scene, with_class_boxes(result), ct)
    assert all(roi.GetTransformNodeID() == moved.GetID() for roi in again.class_boxes.values())


def test_they_are_no_findings(shown):
    scene, ct, result, nodes = shown
    view = read_case(scene, ct)
    assert len(view.rows) == len(view.boxes) == len(result.lesions)
    assert len(view.class_boxes) == 2


def test_a_second_run_replaces_them_but_for_lesions_that_stay(shown):
    scene, ct, result, nodes = shown
    first = dict(nodes.class_boxes)
    segment = nodes.segmentation.GetSegmentation().GetSegment(nodes.segment_ids[1])
    scene_segments.mark(segment, LesionStatus.ACCEPTED)
    again = scenes.apply_result(scene, with_class_boxes(result, 9.0), ct)
    assert again.class_boxes[1] is first[1], "the accepted lesion keeps what was said of it"
    assert again.class_boxes[2] is not first[2]
    assert not scene.IsNodePresent(first[2])
    assert len(read_case(scene, ct).class_boxes) == 2
    without = replace(result, lesions=tuple(replace(le, class_box=None) for le in result.lesions))
    last = scenes.apply_result(scene, without, ct)
    assert set(last.class_boxes) == {1}


def test_a_failure_takes_them_out_again(shown, monkeypatch):
    scene, ct, result, nodes = shown
    before = {node.GetID(): node.GetName() for node in read_case(scene, ct).class_boxes}

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(scene_nodes, "findings_table", fail)
    with pytest.raises(RuntimeError):
        scenes.apply_result(scene, with_class_boxes(result, 9.0), ct)
    assert {node.GetID(): node.GetName() for node in read_case(scene, ct).class_boxes} == before


def test_they_are_a_tag_of_the_segment_too(shown):
    _, _, result, nodes = shown
    segmentation = nodes.segmentation.GetSegmentation()
    for number in (1, 2, 3):
        text = scene_segments.tag(segmentation.GetSegment(nodes.segment_ids[number]), terms.TAG_CLASS_BOX)
        box, wanted = tags.parse_box(text), result.lesions[number - 1].class_box
        if wanted is None:
            assert box is None
            continue
        assert box.centre_lps == pytest.approx(wanted.centre_lps, rel=1e-5)
        assert box.size_xyz_mm == wanted.size_xyz_mm and box.score == pytest.approx(wanted.score)
        assert box.directions_lps == pytest.approx(wanted.directions_lps)
    for damaged in ("", "1 2 3", "x " * 16, "1 2 3 -4 5 6 1 0 0 0 1 0 0 0 1 1", "nan " * 16):
        assert tags.parse_box(damaged) is None


def test_they_follow_the_lesions_name_and_go_with_it(shown):
    scene, ct, result, nodes = shown
    segmentation = nodes.segmentation.GetSegmentation()
    segmentation.GetSegment(nodes.segment_ids[2]).SetName("the one in segment 7")
    follow(scene, read_case(scene, ct))
    assert nodes.class_boxes[2].GetName() == "the one in segment 7: seen here"
    segmentation.RemoveSegment(nodes.segment_ids[2])
    view = follow(scene, read_case(scene, ct))
    assert [node.GetAttribute(scene_nodes.ATTR_LESION) for node in view.class_boxes] == ["1"]


def test_they_are_in_a_saved_scene(tmp_path):
    volume, result = small_case(lesions=2)
    scene, nodes = case_scene(with_class_boxes(result), volume)
    write_bundle(scene, tmp_path / "scene.mrb")
    loaded = read_bundle(tmp_path / "scene.mrb", tmp_path / "unpacked")
    found = scenes.find_nodes(loaded, loaded.GetFirstNodeByName(volume.name))
    kept = found[scene_nodes.ROLE_CLASS_BOX]
    assert len(kept) == 2
    for roi in kept:
        own = nodes.class_boxes[int(roi.GetAttribute(scene_nodes.ATTR_LESION))]
        assert roi.GetName() == own.GetName()
        assert list(roi.GetCenter()) == pytest.approx(list(own.GetCenter()), abs=1e-3)
        assert roi.GetDisplayNode().GetVisibility() == 0
