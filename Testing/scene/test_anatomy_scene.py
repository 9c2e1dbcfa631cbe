"""The liver's anatomy in a scene: a segmentation and points of its own, saved, read again, taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs 3D Slicer or slicer-core")

from LiverLesionAILib.case.anatomy import (
    CouinaudSegment,
    Landmark,
    LandmarkName,
    LesionAnatomy,
    LiverAnatomy,
    SegmentShare,
    Vessel,
)
from LiverLesionAILib.case.anatomy_description import structure_id
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.terminology import TAG_TERMINOLOGY
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene.anatomy_nodes import (
    AnatomyNodes,
    fill_anatomy,
    has_surfaces,
    placed_landmarks,
    read_anatomy,
)
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.prepare import find_nodes
from LiverLesionAILib.scene.show import apply_result, read_back
from support.case_factory import small_case
from support.scene_bundles import read_bundle


def anatomy_of(result: CaseResult) -> LiverAnatomy:
    """The liver in nine slabs, a portal vein through it, an IVC behind; landmarks in a row."""
    segments = np.zeros(result.geometry.shape_zyx, np.uint8)
    inside = np.argwhere(result.liver_zyx)
    order = np.argsort(inside[:, 2] * 1000 + inside[:, 1], kind="stable")
    values = 1 + (9 * np.arange(len(inside)) // len(inside)).astype(np.uint8)
    segments[tuple(inside[order].T)] = values
    vessels = np.zeros_like(segments)
    middle = inside[len(inside) // 2]
    vessels[middle[0], middle[1], :] = Vessel.PORTAL
    vessels[:, 1:3, 1:3] = Vessel.IVC
    marks = {
        name: Landmark(name, (float(3 * k), -2.5 * k, 1.25 * k), 4.0 + k, "vein" if k else "usual place")
        for k, name in enumerate(LandmarkName.ALL)
    }
    return LiverAnatomy(result.geometry, vessels, segments, marks, ("The gallbladder fossa was not seen.",))


@pytest.fixture(scope="module")
def case():
    volume, result = small_case(lesions=3)
    place = LesionAnatomy(
        (SegmentShare(CouinaudSegment.VII, 0.8, 0.9), SegmentShare(CouinaudSegment.VI, 0.2))
    )
    first, *others = result.lesions
    said = replace(place, reader_segments=(CouinaudSegment.VIII,))
    result = replace(result, lesions=(replace(first, anatomy=said), *others), anatomy=anatomy_of(result))
    return volume, result


def same(one: LiverAnatomy, other: LiverAnatomy) -> bool:
    return (
        np.array_equal(one.vessels_zyx, other.vessels_zyx)
        and np.array_equal(one.segments_zyx, other.segments_zyx)
        and one.landmarks == other.landmarks
        and one.messages == other.messages
    )


def test_a_second_segmentation_with_codes_and_hidden_at_first(case):
    volume, result = case
    scene = new_scene()
    ct = add_ct(scene, volume)
    made = apply_result(scene, result, ct, maps=False)
    node, points = made.anatomy.segmentation, made.anatomy.landmarks
    assert node is not made.segmentation and node.GetName() == f"{result.case_name} Anatomy"
    assert not node.GetDisplayNode().GetVisibility() and not points.GetDisplayNode().GetVisibility()
    ids = scene_segments.segment_ids(node)
    assert ids == [structure_id(one) for one in (*CouinaudSegment, Vessel.PORTAL, Vessel.IVC)]
    cava = node.GetSegmentation().GetSegment(structure_id(Vessel.IVC))
    assert "SCT^64131007^Inferior vena cava" in scene_segments.tag(cava, TAG_TERMINOLOGY)
    seven = node.GetSegmentation().GetSegment(structure_id(CouinaudSegment.VII))
    assert "277961009" in scene_segments.tag(seven, TAG_TERMINOLOGY)
    assert tuple(seven.GetColor()) == pytest.approx(CouinaudSegment.VII.colour)
    # None of it is a lesion or the liver: what the reader has is read as if it were not there.
    back = read_back(made.segmentation, ct)
    assert len(back.lesions) == len(result.lesions)
    assert not set(ids) & set(scene_segments.segment_ids(made.segmentation))
    # Under the CT's study, in a folder.
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for one in (node, points):
        folder = tree.GetItemParent(tree.GetItemByDataNode(one))
        assert tree.GetItemName(folder).endswith(" anatomy")
        assert tree.GetItemParent(folder) == made.study_item
    assert same(read_anatomy(made.anatomy, result.geometry), result.anatomy)
    # What a report is written from has it too.
    report = reader_result(scene, ct)
    assert same(report.anatomy, result.anatomy)
    assert report.lesions[0].anatomy == result.lesions[0].anatomy
    assert report.lesions[0].anatomy.text == "VIII"


def test_points_say_who_they_are_and_a_moved_one_is_the_readers(case):
    volume, result = case
    scene = new_scene()
    points = apply_result(scene, result, add_ct(scene, volume), maps=False).anatomy.landmarks
    labels = [points.GetNthControlPointLabel(k) for k in range(points.GetNumberOfControlPoints())]
    assert labels == list(LandmarkName.ALL)
    assert points.GetAttribute("LiverLesionAI.Role") == "landmarks"
    assert points.GetNthControlPointDescription(0) == "usual place, ±4 mm"
    assert placed_landmarks(points) == result.anatomy.landmarks
    index = labels.index(LandmarkName.GALLBLADDER)
    x, y, z = points.GetNthControlPointPosition(index)
    points.SetNthControlPointPosition(index, x + 4.0, y, z - 2.0)
    now = placed_landmarks(points)
    moved, before = now[LandmarkName.GALLBLADDER], result.anatomy.landmarks[LandmarkName.GALLBLADDER]
    assert moved.source == "reader"
    assert moved.lps == pytest.approx((before.lps[0] - 4.0, before.lps[1], before.lps[2] - 2.0), abs=1e-3)
    others = {name: one for name, one in now.items() if name != LandmarkName.GALLBLADDER}
    assert all(one == result.anatomy.landmarks[name] for name, one in others.items())


def test_the_bundle_holds_it_and_gives_it_back(case, tmp_path):
    volume, result = case
    scene, made = case_scene(result, volume)
    assert has_surfaces(made.anatomy.segmentation)
    write_bundle(scene, tmp_path / "scene.mrb")
    again = read_bundle(tmp_path / "scene.mrb", tmp_path / "read")
    volumes = [again.GetNthNodeByClass(k, "vtkMRMLScalarVolumeNode") for k in range(2)]
    ct = next(one for one in volumes if one is not None and not one.GetAttribute("LiverLesionAI.Role"))
    nodes = AnatomyNodes.of(find_nodes(again, ct))
    assert nodes is not None and nodes.landmarks is not None
    assert not nodes.segmentation.GetDisplayNode().GetVisibility()
    assert same(read_anatomy(nodes, result.geometry), result.anatomy)
    # A case without one has no such nodes.
    bare, without = case_scene(replace(result, anatomy=None), volume)
    assert without.anatomy is None
    assert AnatomyNodes.of(find_nodes(bare, bare.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))) is None


def test_a_second_result_without_anatomy_leaves_it_and_one_with_it_fills_it_anew(case):
    volume, result = case
    scene = new_scene()
    ct = add_ct(scene, volume)
    first = apply_result(scene, result, ct, maps=False).anatomy
    first.segmentation.GetDisplayNode().SetVisibility(True)
    count = scene.GetNumberOfNodes()
    kept = apply_result(scene, replace(result, anatomy=None), ct, maps=False).anatomy
    assert kept.segmentation is first.segmentation
    assert same(read_anatomy(kept, result.geometry), result.anatomy)
    flat = np.where(result.liver_zyx, CouinaudSegment.V, 0).astype(np.uint8)
    less = replace(result.anatomy, segments_zyx=flat, messages=())
    again = apply_result(scene, replace(result, anatomy=less), ct, maps=False).anatomy
    assert again.segmentation is first.segmentation and scene.GetNumberOfNodes() == count
    assert same(read_anatomy(again, result.geometry), less)
    assert again.segmentation.GetDisplayNode().GetVisibility(), "what was shown stays shown"


def test_a_failure_brings_the_anatomy_back(case, monkeypatch):
    volume, result = case
    scene = new_scene()
    ct = add_ct(scene, volume)
    there = apply_result(scene, result, ct, maps=False).anatomy
    blank = LiverAnatomy.blank(result.geometry, "Nothing can be said.")
    monkeypatch.setattr(
        "LiverLesionAILib.scene.apply.CaseTree.place", lambda *given: (_ for _ in ()).throw(OSError("no"))
    )
    with pytest.raises(OSError, match="no"):
        apply_result(scene, replace(result, anatomy=blank), ct, maps=False)
    assert same(read_anatomy(there, result.geometry), result.anatomy)


def test_surfaces_follow_what_is_filled_in(case):
    volume, result = case
    scene = new_scene()
    node = apply_result(scene, result, add_ct(scene, volume), maps=False, surfaces=True).anatomy.segmentation
    content = node.GetSegmentation()

    def points(one) -> int:
        segment = content.GetSegment(structure_id(one))
        return segment.GetRepresentation(scene_segments.CLOSED_SURFACE).GetNumberOfPoints()

    before = points(CouinaudSegment.V), points(Vessel.PORTAL)
    swapped = result.anatomy.segments_zyx.copy()
    swapped[swapped == CouinaudSegment.VI] = CouinaudSegment.V
    fill_anatomy(node, replace(result.anatomy, segments_zyx=swapped), (CouinaudSegment,))
    assert points(CouinaudSegment.V) > before[0] and points(Vessel.PORTAL) == before[1]
    assert content.GetSegment(structure_id(CouinaudSegment.VI)) is None
