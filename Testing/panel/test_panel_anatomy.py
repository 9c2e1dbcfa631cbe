"""Vessels and segments by mouse in the stand-in: a drawn body, found by the product's own stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.desk import Desk

pytest.importorskip("PySide6")

from LiverLesionAILib.case.anatomy import CouinaudSegment, LandmarkName
from LiverLesionAILib.scene.anatomy_nodes import fill_anatomy, placed_landmarks, read_anatomy
from LiverLesionAILib.scene.ras import set_volume
from support.vessel_phantom import GRID, vessel_case


def open_case(desk: Desk, case, name: str = "CT"):
    """A CT with its findings in the scene, chosen; `case`: both."""
    import slicer
    from LiverLesionAILib.scene.show import apply_result

    volume, result = case
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    set_volume(node, volume.hu_zyx, GRID)
    node.CreateDefaultDisplayNodes()
    made = apply_result(slicer.mrmlScene, result, node)
    from LiverLesionAILib.review.case_view import ATTR_LIVER_VOLUME

    made.table.SetAttribute(ATTR_LIVER_VOLUME, f"{result.liver_volume_ml:.3f}")
    desk.turn()
    desk.panel.parameters.inputVolume = node
    desk.turn()
    return node


def compute(desk: Desk) -> None:
    desk.ui.anatomyButton.click()
    desk.until(desk.idle, what="vessels and segments are found")
    desk.turn(0.02)


def segments_of(desk: Desk) -> dict[int, str]:
    return {row.number: row.anatomy.text for row in desk.panel.case.rows}


def state(desk: Desk):
    """All that is to be kept: arrays, landmarks, messages, places."""
    anatomy = read_anatomy(desk.panel.case.anatomy, GRID)
    places = {row.number: row.anatomy for row in desk.panel.case.rows}
    return anatomy.vessels_zyx.tobytes(), anatomy.segments_zyx.tobytes(), anatomy.landmarks, places


def drag(desk: Desk, name: str, by_ras: tuple[float, float, float]) -> None:
    """What a drag with the mouse does to the points: begin, several moves, end."""
    points = desk.panel.case.anatomy.landmarks
    index = next(
        k for k in range(points.GetNumberOfControlPoints()) if points.GetNthControlPointLabel(k) == name
    )
    place = np.array(points.GetNthControlPointPosition(index))
    points.InvokeEvent(points.PointStartInteractionEvent)
    for share in (0.25, 0.6, 1.0):
        points.SetNthControlPointPosition(index, *(place + share * np.array(by_ras)))
        desk.turn(0.1)
    points.InvokeEvent(points.PointEndInteractionEvent)
    desk.turn(0.2)


def count_places(monkeypatch) -> list[int]:
    """Grows by the number of lesions whenever places are found."""
    from LiverLesionAILib.review import scene_anatomy

    found: list[int] = []
    real = scene_anatomy.with_places

    def counted(result, *more):
        found.append(len(result.lesions))
        return real(result, *more)

    monkeypatch.setattr(scene_anatomy, "with_places", counted)
    return found


def test_the_whole_story_by_mouse(desk, body, tmp_path, monkeypatch):
    import slicer

    volume, result, _ = body
    open_case(desk, (volume, result))
    assert desk.ui.anatomyLabel.text == "Not looked for yet."
    assert not desk.ui.showAnatomyBox.enabled
    compute(desk)
    case = desk.panel.case
    assert case.anatomy is not None, desk.message()
    assert "VIII" in desk.ui.anatomyLabel.text and "mL" in desk.ui.anatomyLabel.text
    # The eight segments are the liver.
    anatomy = read_anatomy(case.anatomy, GRID)
    assert ((anatomy.segments_zyx > 0) == result.liver_zyx).all()
    # Shown by the click that asked for it, hidden by one switch, landmarks with them.
    display = case.anatomy.segmentation.GetDisplayNode()
    assert display.GetVisibility() and case.anatomy.landmarks.GetDisplayNode().GetVisibility()
    desk.click("showAnatomyBox")
    assert not display.GetVisibility() and not case.anatomy.landmarks.GetDisplayNode().GetVisibility()
    desk.click("showAnatomyBox")
    desk.click("showLandmarksBox")
    assert display.GetVisibility() and not case.anatomy.landmarks.GetDisplayNode().GetVisibility()
    desk.click("showLandmarksBox")

    # Each lesion's place, in the table and in the details of the selected one.
    first = segments_of(desk)
    assert first[1].startswith(("VII", "VIII")) and first[2]
    desk.choose(0)
    row = desk.panel.selection()[0]
    assert f"Segment <b>{row.anatomy.text}</b>" in desk.ui.detailLabel.text
    assert "Portal vein" in desk.ui.detailLabel.text and "mm" in desk.ui.detailLabel.text
    assert "right hemiliver" in desk.ui.detailLabel.text

    # A landmark is dragged: segments, shares and table follow, in one step; undone and done again.
    before = state(desk)
    drag(desk, LandmarkName.MIDDLE_VEIN, (40.0, 0.0, 0.0))
    moved = state(desk)
    assert moved[0] == before[0], "vessels are not looked for again"
    assert moved[1] != before[1] and moved[2][LandmarkName.MIDDLE_VEIN].source == "reader"
    assert segments_of(desk)[2] != first[2]
    assert ((read_anatomy(desk.panel.case.anatomy, GRID).segments_zyx > 0) == result.liver_zyx).all()
    assert desk.ui.undoButton.toolTip.startswith("Undo: move landmark")
    desk.click("undoButton")
    assert state(desk) == before
    points = desk.panel.case.anatomy.landmarks
    assert placed_landmarks(points) == before[2]
    assert not desk.ui.undoButton.enabled, "one drag is one step"
    desk.click("redoButton")
    assert state(desk) == moved

    # The reader's segment wins, is undone, and is kept by another analysis and with the scene.
    desk.choose(0)
    number = desk.panel.selection()[0].number
    desk.panel.anatomy.toggle_segment(CouinaudSegment.V)
    desk.turn()
    assert segments_of(desk)[number] == "V"
    assert "Your segment: <b>V</b>" in desk.ui.detailLabel.text
    desk.click("undoButton")
    assert segments_of(desk)[number] == moved[3][number].text
    desk.click("redoButton")
    answer_again(desk, body, tmp_path)
    assert segments_of(desk)[number] == "V"
    assert state(desk)[2][LandmarkName.MIDDLE_VEIN] == moved[2][LandmarkName.MIDDLE_VEIN], "kept where put"
    assert "Kept where you had put them: middle hepatic vein" in desk.ui.anatomyLabel.text
    kept = state(desk)
    saved = desk.save(tmp_path / "scene")
    desk.close_scene()
    assert desk.ui.anatomyLabel.text == "" or not desk.ui.anatomyLabel.visible
    desk.open(saved)
    found = count_places(monkeypatch)
    desk.panel.parameters.inputVolume = slicer.util.getNode("CT")
    desk.turn(0.05)
    assert state(desk) == kept
    assert not found, "what was kept is not found again"


def answer_again(desk: Desk, body, tmp_path) -> None:
    """What a second click on the button comes to, with the worker's answer from a file."""
    from LiverLesionAILib.case.store import save_result
    from LiverLesionAILib.review.anatomy_question import AnatomyQuestion

    question = AnatomyQuestion(desk.scene, desk.panel.case.volume)
    question.prepare()
    save_result(body[2], tmp_path / "answer")
    for _ in question.answer(tmp_path / "answer"):
        pass
    desk.panel.refresh()


def test_another_analysis_keeps_anatomy_and_the_readers_segment(desk, body):
    from LiverLesionAILib.review.result_steps import show_steps

    volume, result, found = body
    node = open_case(desk, (volume, found))
    desk.choose(0)
    number = desk.panel.selection()[0].number
    desk.panel.anatomy.say((CouinaudSegment.III, CouinaudSegment.II))
    desk.turn()
    before = state(desk)
    for _ in show_steps(desk.scene, node, result, 0.1):
        pass
    desk.panel.analysed()
    desk.turn(0.02)
    after = state(desk)
    assert after[:3] == before[:3]
    assert segments_of(desk)[number] == "III, II"
    assert {n: place.shares for n, place in after[3].items()} == {
        n: place.shares for n, place in before[3].items()
    }


def test_what_is_drawn_changes_a_lesions_place(desk, body, monkeypatch):
    from LiverLesionAILib.scene import segments
    from LiverLesionAILib.scene.ras import labelmap

    found = count_places(monkeypatch)
    open_case(desk, (body[0], body[2]))
    assert not found, "the analysis has said it already"
    row = desk.panel.case.rows[0]
    before = segments_of(desk)
    anatomy = read_anatomy(desk.panel.case.anatomy, GRID)
    content = desk.panel.case.segmentation.GetSegmentation()
    content.SeparateSegmentLabelmap(row.segment_id)
    elsewhere = np.zeros(GRID.shape_zyx, bool)
    z, y, x = np.argwhere(anatomy.segments_zyx == CouinaudSegment.III).mean(axis=0).astype(int)
    elsewhere[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = True
    content.GetSegment(row.segment_id).SetLabelValue(1)
    content.GetSegment(row.segment_id).AddRepresentation(
        segments.BINARY, labelmap(elsewhere, (0, 0, 0), GRID)
    )
    desk.panel.refresh()
    assert found == [1], "that lesion alone"
    assert segments_of(desk)[row.number] != before[row.number]
    assert "III" in segments_of(desk)[row.number]
    assert {n: t for n, t in segments_of(desk).items() if n != row.number} == {
        n: t for n, t in before.items() if n != row.number
    }
    # Somebody draws in the segments themselves: all are looked at again.
    nodes = desk.panel.case.anatomy
    flat = np.where(anatomy.segments_zyx > 0, CouinaudSegment.V, 0).astype(np.uint8)
    fill_anatomy(nodes.segmentation, replace(anatomy, segments_zyx=flat), (CouinaudSegment,))
    desk.panel.refresh()
    assert found == [1, 2] and {row.anatomy.shares[0].segment for row in desk.panel.case.rows} == {
        CouinaudSegment.V
    }


def test_what_cannot_be_said_is_left_blank_with_the_reason(desk):
    open_case(desk, vessel_case(vein_hu=112.0))
    compute(desk)
    assert "not clearly brighter" in desk.message()
    assert "not clearly brighter" in desk.ui.anatomyLabel.text
    assert desk.panel.case.anatomy.landmarks is None
    assert segments_of(desk) == {1: "", 2: ""}
    from LiverLesionAILib.panel.findings.findings_model import SEGMENTS

    assert desk.ui.findingsTable.isColumnHidden(SEGMENTS)


def test_it_needs_findings_and_another_cases_is_hidden(desk, body):
    from support.desk import add_volume

    first = open_case(desk, (body[0], body[2]))
    nodes = desk.panel.case.anatomy
    assert not nodes.segmentation.GetDisplayNode().GetVisibility(), "off at first"
    desk.click("showAnatomyBox")
    assert nodes.segmentation.GetDisplayNode().GetVisibility()
    other = add_volume("other")
    desk.panel.parameters.inputVolume = other
    desk.turn()
    assert not desk.ui.anatomyButton.enabled
    assert not nodes.segmentation.GetDisplayNode().GetVisibility()
    assert not nodes.landmarks.GetDisplayNode().GetVisibility()
    desk.panel.parameters.inputVolume = first
    desk.turn()
    assert nodes.segmentation.GetDisplayNode().GetVisibility()


def test_it_can_be_cancelled(desk, body):
    open_case(desk, body[:2])
    desk.ui.anatomyButton.click()
    desk.until(lambda: "anatomy" in desk.ui.stageLabel.text.lower(), what="its stage is told")
    desk.click("analyzeButton")
    desk.until(desk.idle)
    assert "cancelled" in desk.message()
    assert desk.panel.case.anatomy is None
