"""The remnant by mouse: segments, a margin, a segment drawn elsewhere; undone, saved, reported."""

from __future__ import annotations

import numpy as np
import pytest
from panel.test_panel_anatomy import open_case
from support.desk import Desk
from support.vessel_phantom import GRID

pytest.importorskip("PySide6")

from LiverLesionAILib.case.anatomy import CouinaudSegment
from LiverLesionAILib.case.remnant import measure_remnant, resected_round, resected_segments
from LiverLesionAILib.case.resection import ResectionWay
from LiverLesionAILib.case.resection_plan import LiverState, ResectionPlan
from LiverLesionAILib.review.planning import plan_of
from LiverLesionAILib.scene.ras import labelmap


def choose_item(desk: Desk, name: str, index: int) -> None:
    """What a click on an entry of a list does."""
    box = getattr(desk.ui, name)
    box.setCurrentIndex(index)
    box.activated.emit(index)
    desk.turn()


def write(desk: Desk, name: str, text: str) -> None:
    edit = getattr(desk.ui, name)
    edit.text = text
    edit.editingFinished.emit()
    desk.turn()


def shown(desk: Desk) -> str:
    return desk.ui.resectionLabel.text.replace("&lt;", "<")


def figures(remnant) -> list[str]:
    return [line for line in remnant.text.split("\n") if line]


def test_segments_margin_and_a_drawn_segment_by_mouse(desk, body, tmp_path):
    import slicer

    volume, _, found = body
    open_case(desk, (volume, found))
    desk.ui.resectionSection.collapsed = False
    desk.turn()
    # Nothing is preset.
    assert plan_of(desk.panel.case) == ResectionPlan() and desk.ui.resectionLabel.text == ""
    assert desk.ui.minimumEdit.text == "" and desk.ui.liverState.currentIndex == 0
    assert not desk.ui.resectSegments.visible
    choose_item(desk, "resectionWay", 1)
    assert "Choose the segments" in shown(desk) and desk.ui.resectSegments.visible
    lesions = found.lesion_labels_zyx > 0
    for name in ("VI", "VII"):
        desk.click(f"resect{int(CouinaudSegment.read(name))}Button")
    taken = resected_segments(found.anatomy, (CouinaudSegment.VI, CouinaudSegment.VII))
    expected = measure_remnant(found.liver_zyx, lesions, taken, GRID, anatomy=found.anatomy)
    assert abs(expected.resected_ml + expected.remaining_ml - expected.liver_ml) < 1e-3 * expected.liver_ml
    for line in figures(expected):
        assert line in shown(desk)
    assert "Standardised" not in shown(desk) and "minimum" not in shown(desk)
    # The surgeon's: height, weight, state, minimum.
    write(desk, "heightEdit", "170")
    write(desk, "weightEdit", "70")
    assert "(Vauthey)" in shown(desk) and "(Urata)" in shown(desk)
    choose_item(desk, "liverState", 1 + list(LiverState).index(LiverState.CIRRHOSIS))
    assert "Liver: cirrhosis." in shown(desk) and "minimum" not in shown(desk)
    write(desk, "minimumEdit", "99")
    assert "does NOT reach the chosen minimum of 99 %" in shown(desk)
    write(desk, "minimumEdit", "140")
    assert "above 0 to 100" in desk.message() and plan_of(desk.panel.case).least_percent == 99
    write(desk, "minimumEdit", "40 %")
    assert desk.ui.heightEdit.text == "170 cm" and desk.ui.minimumEdit.text == "40 %"
    write(desk, "weightEdit", "heavy")
    assert "is no number" in desk.message()
    write(desk, "weightEdit", "70 kg")
    assert "It reaches the chosen minimum of 40 %" in shown(desk)
    desk.click("undoButton")
    assert plan_of(desk.panel.case).least_percent == 99 and "NOT" in shown(desk)
    desk.click("redoButton")
    assert "It reaches" in shown(desk)

    # A margin round one lesion.
    choose_item(desk, "resectionWay", 2)
    desk.choose(0)
    desk.click("resectLesionsButton")
    number = desk.panel.selection()[0].number
    assert desk.ui.resectLesionsButton.text == f"Lesion {number}"
    desk.ui.resectMarginSpin.setValue(15.0)
    desk.turn(0.6)
    round_one = resected_round(found.lesion_labels_zyx == number, found.liver_zyx, GRID, 15.0)
    expected = measure_remnant(found.liver_zyx, lesions, round_one, GRID)
    assert figures(expected)[0] in shown(desk) and "of tumour remain" in shown(desk)
    assert plan_of(desk.panel.case).margin_mm == 15.0

    # A segment that another module has drawn: Slicer-Liver's, say.
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Resections")
    half = np.zeros(GRID.shape_zyx, bool)
    half[:, :, : GRID.shape_zyx[2] // 2] = True
    segment = slicer.vtkSegment()
    segment.SetName("cut 1")
    segment.AddRepresentation("Binary labelmap", labelmap(half, (0, 0, 0), GRID))
    node.GetSegmentation().AddSegment(segment, "cut_1")
    desk.turn(0.02)
    choose_item(desk, "resectionWay", 3)
    assert "Choose a segment" in shown(desk)
    entries = [desk.ui.resectDrawn.itemText(k) for k in range(desk.ui.resectDrawn.count)]
    assert entries == ["Choose a segment", "Resections: cut 1"]
    choose_item(desk, "resectDrawn", 1)
    expected = measure_remnant(found.liver_zyx, lesions, half, GRID, anatomy=found.anatomy)
    assert figures(expected)[0] in shown(desk)

    # What a report is written from has it; so has the scene that is read again.
    from LiverLesionAILib.case.store import load_result
    from LiverLesionAILib.panel.report.tasks import ReportOptions, text_task

    node_ct = desk.panel.case.volume
    for _ in text_task(node_ct, ReportOptions(), lambda text: None).prepare(tmp_path / "handed"):
        pass
    handed = load_result(tmp_path / "handed" / "case")
    assert handed.resection.way is ResectionWay.MASK and handed.resection.detail == "Resections: cut 1"
    assert handed.resection.remnant.resected_ml == pytest.approx(expected.resected_ml)
    assert (handed.resection.mask_zyx == (half & found.liver_zyx)).all()
    assert (handed.anatomy.segments_zyx == found.anatomy.segments_zyx).all()
    before = shown(desk), plan_of(desk.panel.case)
    saved = desk.save(tmp_path / "scene")
    desk.close_scene()
    desk.open(saved)
    desk.panel.parameters.inputVolume = slicer.util.getNode("CT")
    desk.turn(0.05)
    assert (shown(desk), plan_of(desk.panel.case)) == before


def test_segments_need_an_anatomy_and_a_margin_does_not(desk, body):
    open_case(desk, body[:2])
    desk.ui.resectionSection.collapsed = False
    desk.turn()
    choose_item(desk, "resectionWay", 1)
    assert "Click Vessels and segments first" in shown(desk)
    choose_item(desk, "resectionWay", 2)
    assert shown(desk).startswith("Resected ")


def test_a_damaged_plan_is_no_plan():
    for text in ("{", '{"way": "axe"}', '{"segments": "XII"}', "[]", '{"margin_mm": "wide"}'):
        assert ResectionPlan.from_text(text) == ResectionPlan()
    plan = ResectionPlan(
        ResectionWay.SEGMENTS,
        (CouinaudSegment.IVB,),
        7.5,
        (1, 3),
        "cut",
        170.0,
        None,
        LiverState.STEATOSIS,
        30.0,
    )
    assert ResectionPlan.from_text(plan.text) == plan
    assert ResectionPlan().text == "" and ResectionPlan.from_text("") == ResectionPlan()
