"""A scene saved by version 0.1, with nodes for every lesion, opens and becomes one of today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene.map_stack import lesion_map_steps, read_entries
from LiverLesionAILib.scene.marks import ROLES
from LiverLesionAILib.scene.prepare import find_nodes
from LiverLesionAILib.scene.upgrade import needs_upgrade, upgrade
from LiverLesionAILib.support.steps import finish
from support.scene_bundles import read_bundle

OLD = Path(__file__).parent / "assets" / "scene_of_0.1.mrb"
"""Five lesions, the last one a box without a mask; made by git 12de617. Lesion 1's box was moved, 2 was
accepted, 3 was given a class, 5 rejected with a note; 1 and 5 have class boxes, all but 4 a map."""


@pytest.fixture
def old(tmp_path):
    scene = read_bundle(OLD, tmp_path)
    return scene, scene.GetFirstNodeByName("Old CT")


def test_it_becomes_a_case_of_today(old):
    scene, volume = old
    assert needs_upgrade(find_nodes(scene, volume))
    before = scene.GetNumberOfNodes()
    assert upgrade(scene, volume, find_nodes(scene, volume))
    found = find_nodes(scene, volume)
    assert {role: len(group) for role, group in found.items()} == {
        "segmentation": 1,
        "table": 1,
        "map": 4,
        "maps of lesions": 1,
        **dict.fromkeys(ROLES, 1),
    }
    assert scene.GetNumberOfNodes() < before - 20
    assert not upgrade(scene, volume, found), "once is enough"
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for role in ROLES:
        item = tree.GetItemByDataNode(found[role][0])
        assert tree.GetItemAncestorAtLevel(item, "Study"), role


def test_nothing_of_the_readers_is_lost(old):
    scene, volume = old
    upgrade(scene, volume, find_nodes(scene, volume))
    case = read_case(scene, volume)
    assert [row.number for row in case.rows] == [1, 2, 3, 4, 5]
    rows = {row.number: row for row in case.rows}
    assert [rows[k].status for k in (2, 5)] == [LesionStatus.ACCEPTED, LesionStatus.REJECTED]
    assert rows[3].reader_class == "FNH" and rows[3].model_class == "Metastasis"
    assert rows[5].note == "vessel" and rows[5].box_only and rows[5].source is LesionSource.BOX
    assert rows[5].score == pytest.approx(0.4)
    assert all(rows[k].measurement.volume_ml > 0 for k in (1, 2, 3, 4))
    assert rows[1].place.moved and rows[1].place.box.centre_lps == pytest.approx((-5.0, -6.0, 120.0))
    assert not rows[2].place.moved and rows[2].place.box.centre_lps != rows[1].place.box.centre_lps
    for number in (1, 2, 3, 4):
        axis = np.array(rows[number].place.long_axis_lps)
        assert np.linalg.norm(axis[1] - axis[0]) == pytest.approx(
            rows[number].measurement.long_axis_mm, abs=0.1
        )
    assert rows[1].place.class_box.size_xyz_mm == pytest.approx((9.0, 9.0, 9.0), abs=1e-3)
    assert rows[5].place.class_box is not None and rows[2].place.class_box is None
    assert case.liver_ml == 75.0


def test_its_maps_are_found_by_lesion(old):
    scene, volume = old
    before = {
        node.GetAttribute("LiverLesionAI.Map"): np.array(slicer.util.arrayFromVolume(node))
        for node in find_nodes(scene, volume)["map"]
    }
    upgrade(scene, volume, find_nodes(scene, volume))
    case = read_case(scene, volume)
    entries = read_entries(case.stack)
    assert [entry.row_id for entry in entries] == ["lesion_1", "lesion_2", "lesion_3", "box:5"]
    for entry in entries:
        _, shown = finish(lesion_map_steps(case.stack.GetImageData(), entry, "CT"))
        assert np.allclose(shown.values_zyx, before[f"Grad-CAM, lesion {entry.number}"], atol=1e-3)
        assert (shown.window, shown.unit) == ((0.0, 3.0), "logit")


def test_the_report_is_the_same(old):
    scene, volume = old
    upgrade(scene, volume, find_nodes(scene, volume))
    result = reader_result(scene, volume)
    assert [lesion.number for lesion in result.lesions] == [1, 2, 3, 4]
    assert "Lesion 5" in result.messages[0]


def test_a_scene_of_today_is_left_alone(old):
    scene, volume = old
    upgrade(scene, volume, find_nodes(scene, volume))
    ids = [scene.GetNthNode(k).GetID() for k in range(scene.GetNumberOfNodes())]
    assert not upgrade(scene, volume, find_nodes(scene, volume))
    assert [scene.GetNthNode(k).GetID() for k in range(scene.GetNumberOfNodes())] == ids
