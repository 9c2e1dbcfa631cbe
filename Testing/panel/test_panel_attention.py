"""The panel's question "What does a point attend to?": offered, clicked, shown, replaced, saved."""

from __future__ import annotations

import pytest
from support.desk import Desk, add_volume

pytest.importorskip("PySide6")

MAPS = ["MSCD point attention, level 4", "MSCD point attention, level 5"]


@pytest.fixture
def case(shared):
    """Three lesions, found by a run in which MSCD took part."""
    desk = shared.fresh()
    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


def click_at(desk: Desk, index_zyx: tuple[int, int, int]) -> tuple[float, float, float]:
    """Click a voxel in a slice view, as Slicer's place mode tells it; RAS."""
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    selection = desk.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    node = desk.scene.GetNodeByID(selection.GetActivePlaceNodeID())
    x, y, z = volume_geometry(desk.panel.case.volume).index_to_lps(index_zyx)
    node.AddControlPoint(-x, -y, z)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    desk.turn(0.02)
    desk.until(desk.idle)
    desk.turn(0.02)
    return -x, -y, z


def names(desk: Desk) -> list[str]:
    return [desk.ui.mapSelector.itemText(k) for k in range(desk.ui.mapSelector.count)]


def shown_map(desk: Desk):
    composite = desk.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    return desk.scene.GetNodeByID(composite.GetForegroundVolumeID() or "none")


def marks(desk: Desk) -> list:
    return list(desk.panel.case.points)


def test_a_click_gives_the_points_maps(case):
    import numpy as np
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    assert case.ui.attendButton.visible
    case.ui.attendButton.click()
    assert "Click on a point" in case.message()
    point = click_at(case, (10, 14, 20))
    assert case.message() == ""
    assert names(case) == ["tumour probability", *MAPS, "Semantic gate", "liver probability"]
    assert case.ui.mapSelector.currentText == MAPS[0]
    assert case.ui.mapBox.checked
    node = shown_map(case)
    assert node.GetAttribute("LiverLesionAI.Map") == MAPS[0]
    assert "asked of mscd at " in case.ui.mapMeaning.text
    assert "Range 0 to 1 relative" in case.ui.mapMeaning.text
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetVisibility()
    assert legend.GetTitleText() == f"{MAPS[0]} [relative]"
    # The scripted answer is 1 at the point itself.
    array = slicer.util.arrayFromVolume(node)
    at = np.unravel_index(array.argmax(), array.shape)
    x, y, z = volume_geometry(node).index_to_lps(at)
    assert (-x, -y, z) == pytest.approx(point, abs=0.8)
    red = case.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.GetSliceOffset() == pytest.approx(point[2])
    (mark,) = marks(case)
    assert mark.GetNthControlPointPositionWorld(0) == pytest.approx(point)
    assert mark.GetDisplayNode().GetVisibility()
    case.ui.mapSelector.currentIndex = 0
    case.turn()
    assert not mark.GetDisplayNode().GetVisibility()


def test_another_point_takes_the_place_of_the_first(case):
    case.panel._shortcuts._actions["T"]()
    click_at(case, (10, 14, 20))
    before = case.scene.GetNumberOfNodes()
    first = shown_map(case)
    case.ui.attendButton.click()
    point = click_at(case, (17, 13, 27))
    assert case.scene.GetNumberOfNodes() == before
    assert shown_map(case) is first
    assert marks(case)[0].GetNthControlPointPositionWorld(0) == pytest.approx(point)
    # The answer belongs to that run: a new one takes it away.
    case.analyze()
    assert names(case) == ["tumour probability", "Semantic gate", "liver probability"]
    assert marks(case) == []


def test_a_point_away_from_the_liver_is_told(case):
    case.ui.marginBox.value = 0
    case.turn()
    case.ui.attendButton.click()
    click_at(case, (1, 1, 47))
    assert "Click nearer to the liver" in case.message()
    assert len(names(case)) == 3
    case.ui.marginBox.value = 20
    case.turn()


def test_it_is_offered_only_where_the_model_ran(case):
    from LiverLesionAILib.case.attributes import ATTR_MODELS

    table = case.panel.case.table
    for models, offered in (("{}", False), ('{"mscd": "another file"}', False), (None, False)):
        table.SetAttribute(ATTR_MODELS, models)
        case.panel.refresh()
        assert case.ui.attendButton.visible is offered
        case.panel.attention.start()
        assert "Click on a point" not in case.message()


def test_the_hidden_button_stays_hidden_when_the_section_opens(case):
    from LiverLesionAILib.case.attributes import ATTR_MODELS

    case.panel.case.table.SetAttribute(ATTR_MODELS, "{}")
    case.ui.overlaysSection.click()
    case.ui.overlaysSection.click()
    case.turn(0.02)
    assert not case.ui.attendButton.visible


def test_saved_and_loaded(case, tmp_path):
    case.ui.attendButton.click()
    point = click_at(case, (10, 14, 20))
    saved = case.save(tmp_path / "saved")
    case.close_scene()
    case.open(saved)
    assert case.ui.mapSelector.currentText == MAPS[0]
    assert shown_map(case).GetAttribute("LiverLesionAI.Map") == MAPS[0]
    assert marks(case)[0].GetNthControlPointPositionWorld(0) == pytest.approx(point)
    assert case.ui.attendButton.visible
    case.ui.attendButton.click()
    click_at(case, (17, 13, 27))
    assert len(marks(case)) == 1


def choices(desk: Desk) -> list[str]:
    return [desk.ui.attentionBox.itemText(k) for k in range(desk.ui.attentionBox.count)]


def test_the_class_of_each_slice_is_a_strip_below_its_maps(case):
    assert choices(case) == [
        "A point's row: MSCD",
        "Class of each slice: DADRN",
        "Gates and affinities: MSCD",
        "Gates and affinities: DADRN",
    ]
    assert case.ui.attentionBox.visible
    before = len(names(case))
    case.ui.attentionBox.currentIndex = 1
    assert case.ui.attendButton.text == "Which class has each slice?"
    case.ui.attendButton.click()
    case.until(case.idle)
    case.turn(0.02)
    assert case.ui.mapSelector.currentText == "Class per slice: Grad-CAM"
    assert len(names(case)) == before + 1
    assert "asked of dadrn" in case.ui.mapMeaning.text
    strip = case.ui.mapBars.text
    # 20 slices of liver, 15 of them with a lesion; no point was clicked.
    assert "HCC</b>: 15 slices" in strip and "Normal</b>: 5 slices" in strip
    assert marks(case) == []
    nodes = case.scene.GetNumberOfNodes()
    case.ui.attendButton.click()
    case.until(case.idle)
    case.turn(0.02)
    assert case.scene.GetNumberOfNodes() == nodes
    case.ui.attentionBox.currentIndex = 0


def test_a_networks_weights_are_asked_for_at_a_point(case):
    case.ui.attentionBox.currentIndex = 2
    assert case.ui.attendButton.text == "What is weighed in a point's slice?"
    case.ui.attendButton.click()
    assert "Click on a point" in case.message()
    point = click_at(case, (10, 14, 20))
    assert len(names(case)) == 5
    assert marks(case)[0].GetNthControlPointPositionWorld(0) == pytest.approx(point)
    case.ui.attentionBox.currentIndex = 0


def test_a_cancelled_question_leaves_the_scene_as_it_was(case):
    before = case.scene.GetNumberOfNodes()
    case.panel.queue._client.stop()
    case.panel.queue._client._command = Desk.command("slow")
    case.ui.attendButton.click()
    case.panel.attention._points._tell(case.panel.attention._points._found, (20.0, -40.0, 125.0))
    case.until(lambda: "following" in case.ui.stageLabel.text.lower())
    case.ui.analyzeButton.click()
    case.until(case.idle)
    assert "cancelled" in case.message()
    assert case.scene.GetNumberOfNodes() == before
    case.panel.queue._client.stop()
    case.panel.queue._client._command = Desk.command("truth")
