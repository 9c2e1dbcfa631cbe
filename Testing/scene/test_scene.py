"""Results in a MRML scene and the reader's edits back, on Slicer's own classes (`slicer-core`)."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import box_corners_lps, oblique_geometry, rotation, small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from LiverLesionAILib.case import terminology as terms
from LiverLesionAILib.case.description import LIVER_FILL
from LiverLesionAILib.case.findings import CaseResult, LesionSource, LesionStatus
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.derived import keep_moved_box
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene import apply as scene_apply
from LiverLesionAILib.scene import nodes as scene_nodes
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.boxed import case_marks
from LiverLesionAILib.scene.colour_table import colour_index
from LiverLesionAILib.scene.marks import ROLES, MarkNodes, Shown, draw_marks, moved_box
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.ras import labelmap, numpy_matrix, volume_geometry, vtk_matrix
from LiverLesionAILib.support.errors import GeometryError
from LiverLesionAILib.support.steps import finish
from LiverLesionAILib.volume.ct import Geometry
from support.scene_bundles import read_bundle
from vtk.util import numpy_support

TO_RAS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture(params=["oblique", "left-handed", "straight"])
def geometry(request: pytest.FixtureRequest) -> Geometry:
    if request.param == "straight":
        return Geometry.make((20, 40, 48), (3.0, 1.5, 1.0), (10.0, 20.0, 30.0))
    return oblique_geometry(left_handed=request.param == "left-handed")


@pytest.fixture
def case(geometry: Geometry):
    volume, result = small_case(geometry)
    scene = new_scene()
    return scene, add_ct(scene, volume), result


@pytest.fixture
def shown():
    """An oblique case already in a scene: (scene, CT node, result, nodes)."""
    volume, result = small_case(lesions=4)
    scene = new_scene()
    ct = add_ct(scene, volume)
    return scene, ct, result, scenes.apply_result(scene, result, ct)


def segment(nodes: scenes.SceneNodes, segment_id: str) -> slicer.vtkSegment:
    return nodes.segmentation.GetSegmentation().GetSegment(segment_id)


def select(nodes: scenes.SceneNodes, result: CaseResult, number: int) -> None:
    """What the panel does when a lesion is selected."""
    marks = case_marks(nodes.segmentation, ())
    draw_marks(nodes.marks, marks, Shown(selected=nodes.segment_ids[number]), result.geometry)


def draw(nodes: scenes.SceneNodes, segment_id: str, mask_zyx: np.ndarray, result: CaseResult) -> None:
    """What the Segment Editor does to a segment, without telling us."""
    nodes.segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
    image = labelmap(mask_zyx, (0, 0, 0), result.geometry)
    segment(nodes, segment_id).SetLabelValue(1)
    segment(nodes, segment_id).AddRepresentation("Binary labelmap", image)


def everything(scene: slicer.vtkMRMLScene) -> list[str]:
    """All that a scene holds, as text, for before and after."""
    found = []
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        found.append(f"{node.GetID()} {node.GetName()}")
        if node.IsA("vtkMRMLSegmentationNode"):
            for segment_id in scene_segments.segment_ids(node):
                part = node.GetSegmentation().GetSegment(segment_id)
                ct = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
                mask = scene_segments.read_mask(node, segment_id, volume_geometry(ct))
                fill = node.GetDisplayNode().GetSegmentOpacity2DFill(segment_id)
                status = scene_segments.tag(part, terms.TAG_STATUS)
                drawn = mask.fingerprint(volume_geometry(ct))
                found.append(f"{segment_id} {part.GetName()} {drawn} {status} {fill:.3f}")
        if node.IsA("vtkMRMLTableNode"):
            rows, columns = node.GetTable().GetNumberOfRows(), node.GetTable().GetNumberOfColumns()
            found += [node.GetTable().GetValue(r, c).ToString() for r in range(rows) for c in range(columns)]
        if node.IsA("vtkMRMLScalarVolumeNode"):
            found.append(f"{node.GetImageData().GetScalarRange()} {node.GetImageData().GetDimensions()}")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    for index in range(items.GetNumberOfIds()):
        item = items.GetId(index)
        found.append(f"{tree.GetItemName(item)} under {tree.GetItemName(tree.GetItemParent(item))}")
    return found


def test_segments_are_the_label_map(case):
    scene, ct, result = case
    nodes = scenes.apply_result(scene, result, ct)
    for lesion in result.lesions:
        out = slicer.vtkOrientedImageData()
        nodes.segmentation.GetBinaryLabelmapRepresentation(nodes.segment_ids[lesion.number], out)
        points_ijk = np.argwhere(
            vtk.util.numpy_support.vtk_to_numpy(out.GetPointData().GetScalars()).reshape(
                out.GetDimensions()[::-1]
            )
        )[:, ::-1] + np.array(out.GetExtent()[::2])
        matrix = vtk.vtkMatrix4x4()
        out.GetImageToWorldMatrix(matrix)
        ras = points_ijk @ numpy_matrix(matrix)[:3, :3].T + numpy_matrix(matrix)[:3, 3]
        where = np.argwhere(result.lesion_labels_zyx == lesion.number)
        expected = result.geometry.index_to_lps(where) @ TO_RAS
        assert ras.shape == expected.shape
        assert np.allclose(np.sort(ras, axis=0), np.sort(expected, axis=0), atol=1e-6)
    back = scenes.read_back(nodes.segmentation)
    assert np.array_equal(back.lesion_labels_zyx, result.lesion_labels_zyx)
    assert np.array_equal(back.liver_zyx, result.liver_zyx)
    assert [lesion.status_text for lesion in back.lesions] == ["undecided"] * len(result.lesions)
    assert [lesion.model_class for lesion in back.lesions] == [le.model_class for le in result.lesions]
    assert back.lesions[0].class_probabilities["HCC"] == pytest.approx(0.82)


def test_boxes_lie_on_the_lesions_under_a_parent_transform(case):
    scene, ct, result = case
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    to_world = np.eye(4)
    to_world[:3, :3] = rotation((5.0, 30.0, -14.0))
    to_world[:3, 3] = (12.0, -40.0, 7.5)
    transform.SetMatrixTransformToParent(vtk_matrix(to_world))
    ct.SetAndObserveTransformNodeID(transform.GetID())
    nodes = scenes.apply_result(scene, result, ct)
    assert all(node.GetTransformNodeID() == transform.GetID() for node in nodes.marks.all)
    points = numpy_support.vtk_to_numpy(nodes.marks.model.GetPolyData().GetPoints().GetData())
    drawn = points @ to_world[:3, :3].T + to_world[:3, 3]
    select(nodes, result, 2)
    for lesion in result.lesions:
        expected = box_corners_lps(lesion.box) @ TO_RAS @ to_world[:3, :3].T + to_world[:3, 3]
        distances = np.linalg.norm(drawn[:, None] - expected[None], axis=2)
        assert distances.min(axis=0).max() < 1e-3
        if lesion.number == 2:
            roi = nodes.marks.box
            object_to_world = numpy_matrix(roi.GetObjectToWorldMatrix())
            signs = np.array(list(itertools.product((-1, 1), repeat=3)))
            corners = signs * np.array(roi.GetSize()) / 2 @ object_to_world[:3, :3].T + object_to_world[:3, 3]
            distances = np.linalg.norm(corners[:, None] - expected[None], axis=2)
            assert distances.min(axis=0).max() < 1e-3
            assert np.linalg.det(object_to_world[:3, :3]) == pytest.approx(1.0)


def test_names_colours_and_codes(shown):
    _, _, result, nodes = shown
    first = segment(nodes, nodes.segment_ids[1])
    assert first.GetName() == "Lesion 1 (HCC 0.82)"
    entry = scene_segments.tag(first, slicer.vtkSegment.GetTerminologyEntryTagName()).split("~")
    assert entry[1] == "SCT^49755003^Morphologically Altered Structure"
    assert entry[2] == "SCT^4147007^Mass"
    assert len(entry) == 7
    assert scene_segments.tag(first, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    liver = segment(nodes, nodes.segment_ids[0])
    assert liver.GetName() == "Liver"
    assert nodes.segmentation.GetSegmentation().GetNthSegmentID(0) == nodes.segment_ids[0]
    colours = {segment(nodes, i).GetColor() for i in nodes.segment_ids.values()}
    assert len(colours) == len(result.lesions) + 1
    for number, segment_id in nodes.segment_ids.items():
        if number:
            select(nodes, result, number)
            colour = nodes.marks.box.GetDisplayNode().GetSelectedColor()
            assert colour == pytest.approx(segment(nodes, segment_id).GetColor())
    model = nodes.marks.model.GetDisplayNode()
    found = [0.0] * 4
    model.GetColorNode().GetColor(colour_index(3), found)
    assert found[:3] == pytest.approx(segment(nodes, nodes.segment_ids[3]).GetColor(), abs=0.01)


def test_axes_table_and_maps(shown):
    _, _, result, nodes = shown
    lesion = result.lesions[0]
    select(nodes, result, 1)
    long_axis = nodes.marks.long_axis
    assert long_axis.GetDisplayNode().GetVisibility()
    ends = np.array([long_axis.GetNthControlPointPosition(i) for i in range(2)])
    assert np.allclose(ends, np.array(lesion.measurement.long_axis_lps) @ TO_RAS, atol=1e-5)
    table = nodes.table.GetTable()
    assert table.GetNumberOfRows() == len(result.lesions)
    assert table.GetValueByName(0, "Long axis [mm]").ToDouble() == pytest.approx(
        lesion.measurement.long_axis_mm, abs=0.051
    )
    assert nodes.table.GetColumnUnitLabel("Volume [mL]") == "mL"
    attention = nodes.maps["Gate"]
    assert np.allclose(slicer.util.arrayFromVolume(attention), result.attention[0].values_zyx)
    assert volume_geometry(attention).matches(result.attention[0].geometry)
    display = attention.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 1.0)
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() == pytest.approx(0.25)
    assert display.GetColorNode() is not None
    assert slicer.util.arrayFromVolume(nodes.maps["tumour probability"]).max() <= 1.0


def test_everything_is_under_the_study_of_the_ct(shown):
    scene, ct, _, nodes = shown
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    ours = [nodes.segmentation, nodes.table, *nodes.marks.all, *nodes.maps.values(), ct]
    for node in ours:
        assert tree.GetItemAncestorAtLevel(tree.GetItemByDataNode(node), "Study") == nodes.study_item


def test_a_study_that_exists_is_used():
    volume, result = small_case()
    scene = new_scene()
    ct = add_ct(scene, volume)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
    study = tree.CreateStudyItem(patient, "study")
    tree.CreateItem(study, ct)
    assert scenes.apply_result(scene, result, ct).study_item == study


def test_patient_and_study_of_the_ct_stay_as_dicom_loaded_them():
    """What the DICOM module's own export asks of a segmentation: its study, and a CT with instance UIDs."""
    volume, result = small_case()
    scene = new_scene()
    ct = add_ct(scene, volume)
    uids = " ".join(f"1.2.3.{z + 1}" for z in range(volume.geometry.shape_zyx[0]))
    ct.SetAttribute("DICOM.instanceUIDs", uids)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "Muster^Max (12)")
    study = tree.CreateStudyItem(patient, "Abdomen (20260131)")
    series = tree.CreateItem(study, ct)
    known = {
        patient: {"DICOM.PatientName": "Muster^Max", "DICOM.PatientID": "12", "DICOM.PatientSex": "M"},
        study: {"DICOM.StudyDate": "20260131", "DICOM.StudyInstanceUID": "1.2.3"},
        series: {"DICOM.SeriesNumber": "4", "DICOM.Modality": "CT"},
    }
    for item, attributes in known.items():
        for name, value in attributes.items():
            tree.SetItemAttribute(item, name, value)
    tree.SetItemUID(study, "DICOM", "1.2.3")
    tree.SetItemUID(series, "DICOM", "1.2.3.4")
    for _ in range(2):
        nodes = scenes.apply_result(scene, result, ct)
        for item, attributes in known.items():
            assert {name: tree.GetItemAttribute(item, name) for name in attributes} == attributes
        assert (tree.GetItemUID(study, "DICOM"), tree.GetItemUID(series, "DICOM")) == ("1.2.3", "1.2.3.4")
        assert (tree.GetItemParent(series), tree.GetItemParent(study)) == (study, patient)
        for node in (nodes.segmentation, nodes.table, *nodes.marks.all, *nodes.maps.values()):
            item = tree.GetItemByDataNode(node)
            assert tree.GetItemAncestorAtLevel(item, "Study") == study
            assert tree.GetItemAncestorAtLevel(item, "Patient") == patient
        assert tree.GetItemParent(tree.GetItemByDataNode(nodes.segmentation)) == study
        role = nodes.segmentation.GetReferenceImageGeometryReferenceRole()
        assert nodes.segmentation.GetNodeReference(role).GetAttribute("DICOM.instanceUIDs") == uids


def test_slicers_own_status_mirrors_the_readers_and_is_followed(shown):
    """By the functions that Slicer's segments table shows and changes it with."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    _, _, result, nodes = shown
    first, second, third = (segment(nodes, nodes.segment_ids[n]) for n in (1, 2, 3))
    assert [logic.GetSegmentStatus(s) for s in (segment(nodes, "liver"), first)] == [logic.NotStarted] * 2
    for decision, slicer_status in (
        (LesionStatus.ACCEPTED, logic.Completed),
        (LesionStatus.REJECTED, logic.Flagged),
        (LesionStatus.UNDECIDED, logic.NotStarted),
    ):
        scene_segments.mark(first, decision)
        assert logic.GetSegmentStatus(first) == slicer_status
        assert scene_segments.status(first) is decision
    scene_segments.mark_edited(first)
    assert logic.GetSegmentStatus(first) == logic.InProgress
    scene_segments.mark_edited(first, False)
    logic.SetSegmentStatus(first, logic.Completed)
    logic.SetSegmentStatus(third, logic.Flagged)
    back = {x.number: x for x in scenes.read_back(nodes.segmentation).lesions}
    assert [back[n].status.value for n in (1, 2, 3)] == ["accepted", "undecided", "undecided"]
    assert len(back) == len(result.lesions)
    scene_segments.mark_edited(third)
    assert logic.GetSegmentStatus(third) == logic.Flagged, "the reader's flag stays while the mask is drawn"
    scene_segments.mark(second, LesionStatus.NOT_LIVER)
    logic.SetSegmentStatus(second, logic.Completed)
    assert scene_segments.status(second) is LesionStatus.NOT_LIVER


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


def test_a_segment_that_an_edit_emptied_is_in_no_report(shown):
    scene, ct, result, nodes = shown
    draw(nodes, nodes.segment_ids[1], np.zeros_like(result.liver_zyx), result)
    report = reader_result(scene, ct)
    assert [x.number for x in report.lesions] == [x.number for x in result.lesions if x.number != 1]
    assert not (report.lesion_labels_zyx == 1).any()
    for number in nodes.segment_ids:
        draw(nodes, nodes.segment_ids[number], np.zeros_like(result.liver_zyx), result)
    draw(nodes, "liver", np.zeros_like(result.liver_zyx), result)
    nothing = reader_result(scene, ct)
    assert (nothing.lesions, nothing.liver_volume_ml) == ((), 0.0)


def test_nothing_found_makes_no_empty_segment():
    volume, result = small_case(lesions=0)
    empty = CaseResult(
        result.case_name, result.geometry, np.zeros_like(result.liver_zyx), result.lesion_labels_zyx
    )
    scene = new_scene()
    nodes = scenes.apply_result(scene, empty, add_ct(scene, volume))
    assert nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 0
    assert nodes.table.GetTable().GetNumberOfRows() == 0


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


def test_reading_back_refuses_different_transforms(shown):
    scene, _, _, nodes = shown
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    nodes.segmentation.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(GeometryError, match="different transforms"):
        scenes.read_back(nodes.segmentation)


def test_a_segment_drawn_on_another_grid_is_read_on_the_ct(shown):
    _, _, result, nodes = shown
    mask = result.lesion_labels_zyx == 1
    fine = Geometry.make(
        tuple(2 * n for n in mask.shape),
        tuple(s / 2 for s in result.geometry.spacing_zyx_mm),
        tuple(result.geometry.index_to_lps((-0.25, -0.25, -0.25))),
        result.geometry.directions_lps,
    )
    doubled = mask.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    own_id = nodes.segmentation.GetSegmentation().AddEmptySegment("", "fine")
    segment(nodes, own_id).SetLabelValue(1)
    segment(nodes, own_id).AddRepresentation("Binary labelmap", labelmap(doubled, (0, 0, 0), fine))
    back = next(le for le in scenes.read_back(nodes.segmentation).lesions if le.name == "fine")
    read = np.zeros_like(mask)
    read[back.mask.slices] = back.mask.voxels_zyx
    assert (read ^ mask).sum() <= 0.05 * mask.sum()


def test_bundle_round_trip(tmp_path, geometry):
    volume, result = small_case(geometry)
    scene, nodes = case_scene(result, volume)
    write_bundle(scene, tmp_path / "scene.mrb")
    assert [p.name for p in tmp_path.iterdir()] == ["scene.mrb"]
    loaded = read_bundle(tmp_path / "scene.mrb", tmp_path / "unpacked")
    ct = loaded.GetFirstNodeByName(volume.name)
    assert np.array_equal(slicer.util.arrayFromVolume(ct), volume.hu_zyx) or geometry is not None
    found = scenes.find_nodes(loaded, ct)
    assert {role: len(group) for role, group in found.items()} == {
        "segmentation": 1,
        "table": 1,
        "map": 2,
        **dict.fromkeys(ROLES, 1),
    }
    marks = MarkNodes.of(found)
    surface, before = marks.model.GetPolyData(), nodes.marks.model.GetPolyData()
    assert surface.GetNumberOfCells() == before.GetNumberOfCells() > 0
    assert surface.GetBounds() == pytest.approx(before.GetBounds(), abs=1e-3)
    assert marks.model.GetDisplayNode().GetColorNode().GetNumberOfColors() == 22
    assert marks.labels.GetNumberOfControlPoints() == len(result.lesions)
    # Slicer turns a left-handed grid round when it reads a volume, so the voxels are compared in space.
    back = scenes.read_back(found["segmentation"][0], geometry=result.geometry, volume_node=None)
    grid = volume_geometry(ct)
    where = np.argwhere(back.lesion_labels_zyx > 0)
    expected = np.argwhere(result.lesion_labels_zyx > 0)
    index = np.round(result.geometry.lps_to_index(grid.index_to_lps(where))).astype(int)
    assert sorted(map(tuple, index)) == sorted(map(tuple, expected))
    assert [lesion.status_text for lesion in back.lesions] == ["undecided"] * len(result.lesions)
    assert moved_box(marks.box) is None
    composite = loaded.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == ct.GetID()
    # Only what the segments cover: layers padded to a long scan would take gigabytes to write.
    (file,) = (tmp_path / "unpacked").rglob("*.seg.nrrd")
    (sizes,) = re.findall(rb"^sizes: ([\d ]+)$", file.read_bytes(), re.MULTILINE)
    assert np.prod([int(n) for n in sizes.split()[-3:]]) < result.liver_zyx.size


def test_the_gallbladder_is_a_segment_that_3d_leaves_out(geometry: Geometry):
    volume, result = small_case(geometry)
    organ = np.zeros(geometry.shape_zyx, bool)
    organ[2:6, 3:9, 30:40] = True
    organ &= ~result.liver_zyx
    scene = new_scene()
    ct = add_ct(scene, volume)
    nodes = scenes.apply_result(scene, replace(result, gallbladder_zyx=organ), ct)
    ids = scene_segments.segment_ids(nodes.segmentation)
    assert ids[:2] == ["liver", "gallbladder"]
    drawn = segment(nodes, "gallbladder")
    assert not scene_segments.is_lesion(drawn) and not scene_segments.is_liver(drawn)
    assert (scene_segments.read_mask(nodes.segmentation, "gallbladder", geometry).count) == organ.sum()
    display = nodes.segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility3D("gallbladder") and display.GetSegmentVisibility3D("liver")
    # A run that sees none takes it away; one that sees it again brings one back, not two.
    again = scenes.apply_result(scene, result, ct)
    assert "gallbladder" not in scene_segments.segment_ids(again.segmentation)
    for _ in range(2):
        again = scenes.apply_result(scene, replace(result, gallbladder_zyx=organ), ct)
    assert scene_segments.segment_ids(again.segmentation).count("gallbladder") == 1
    display = again.segmentation.GetDisplayNode()
    assert display.GetSegmentOpacity2DFill("gallbladder") == pytest.approx(LIVER_FILL)
    assert not display.GetSegmentVisibility3D("gallbladder")
    # One that the reader has drawn in stays, and looks as the reader wants it.
    scene_segments.mark_edited(segment(again, "gallbladder"))
    display.SetSegmentVisibility3D("gallbladder", True)
    again = scenes.apply_result(scene, replace(result, gallbladder_zyx=organ), ct)
    assert again.segmentation.GetDisplayNode().GetSegmentVisibility3D("gallbladder")
