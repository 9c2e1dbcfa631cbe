"""Results in a MRML scene and the reader's edits back, on Slicer's own classes (`slicer-core`)."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import box_corners_lps, rotation, small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from LiverLesionAILib.case.description import LIVER_FILL
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.colour_table import colour_index
from LiverLesionAILib.scene.marks import ROLES, MarkNodes, moved_box
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.ras import labelmap, numpy_matrix, volume_geometry, vtk_matrix
from LiverLesionAILib.support.errors import GeometryError
from LiverLesionAILib.volume.ct import Geometry
from support.scene_bundles import read_bundle
from support.scene_case import draw, segment, select
from vtk.util import numpy_support

TO_RAS = np.diag([-1.0, -1.0, 1.0])


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
