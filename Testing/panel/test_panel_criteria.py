"""mRECIST and Choi by mouse and keys: of the disease that the reader names, in scans that allow it."""

from __future__ import annotations

import pytest
from support.desk import Desk
from support.follow_up_desk import start, states

pytest.importorskip("PySide6")

from LiverLesionAILib.case.attributes import ATTR_PHASE
from LiverLesionAILib.panel.follow_up.criteria_panel import CHOICES
from LiverLesionAILib.review.case_view import read_case

NONE, HCC, GIST = range(len(CHOICES))


def choose_diagnosis(desk: Desk, index: int) -> None:
    """A click on the list, the arrow keys to an entry, Enter."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    box = desk.ui.diagnosisBox
    QTest.mouseClick(box, Qt.LeftButton)
    desk.turn(0.05)
    entries = box.view()
    for _ in range(len(CHOICES)):
        QTest.keyClick(entries, Qt.Key_Up)
    for _ in range(index):
        QTest.keyClick(entries, Qt.Key_Down)
    QTest.keyClick(entries, Qt.Key_Return)
    desk.turn(0.05)
    assert box.currentIndex == index


def type_diameters(desk: Desk, text: str) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    edit = desk.ui.enhancingEdit
    edit.selectAll()
    QTest.keyClicks(edit, text)
    QTest.keyClick(edit, Qt.Key_Return)
    desk.turn()


def in_phases(desk: Desk, volumes, phases) -> None:
    for volume, phase in zip(volumes, phases, strict=True):
        read_case(desk.scene, volume).table.SetAttribute(ATTR_PHASE, phase)
    desk.panel.refresh()
    desk.turn()


def test_mrecist_of_an_hcc_that_is_seen_in_the_arterial_phase(desk, tmp_path):
    import slicer
    from LiverLesionAILib.case.followup_json import read_course
    from LiverLesionAILib.panel.report.tasks import ReportOptions, text_task

    scans = start(desk)
    desk.analyze()
    shown, ui = desk.panel.follow_up, desk.ui
    assert ui.diagnosisBox.currentIndex == NONE and not ui.enhancingEdit.visible
    assert "mRECIST" not in ui.recistLabel.text and "Choi" not in ui.recistLabel.text
    assert "Volume of the targets in the liver: " in ui.recistLabel.text

    # The scans are portal venous: it is said, and nothing can be typed.
    choose_diagnosis(desk, HCC)
    assert ui.enhancingEdit.visible and not ui.enhancingEdit.enabled
    assert "mRECIST is not given: it takes the arterial phase" in ui.priorStateLabel.text
    in_phases(desk, scans, ("arterial", "arterial"))
    assert ui.enhancingEdit.enabled and "not given" not in ui.priorStateLabel.text
    assert "type the longest enhancing diameters" in ui.recistLabel.text

    for wrong in ("30", "30, 12, 9", "n 30, 12", "much"):
        type_diameters(desk, wrong)
        assert "Give 2 diameters in mm" in desk.message() and shown.compared.judged.mrecist is None
    type_diameters(desk, "30, 12; 20, 0")
    assert "mRECIST (HCC): <b>" in ui.recistLabel.text
    assert "30.0 &gt; 12.0; 20.0 &gt; 0.0" in ui.recistLabel.text
    sums = shown.compared.judged.mrecist.sums
    assert (sums.baseline_mm, sums.now_mm) == (50.0, 12.0)

    # What files are written from is what is shown.
    for _ in text_task(scans[1], ReportOptions(), lambda text: None).prepare(tmp_path / "handed"):
        pass
    handed = read_course(tmp_path / "handed" / "case")
    assert repr(handed.mrecist) == repr(shown.compared.judged.mrecist)

    # One step each, kept by a second analysis, and with the scene.
    desk.click("undoButton")
    assert shown.compared.judged.mrecist is None and ui.enhancingEdit.text == ""
    desk.click("redoButton")
    assert ui.enhancingEdit.text == "30, 12; 20, 0"
    said = states(desk), shown.compared.words
    desk.analyze()
    in_phases(desk, scans, ("arterial", "arterial"))
    assert (states(desk), shown.compared.words) == said and shown.compared.judged.mrecist is not None
    text = ui.recistLabel.text
    saved = desk.save(tmp_path / "scene")
    desk.close_scene()
    desk.open(saved)
    desk.panel.parameters.inputVolume = slicer.util.getNode("May")
    desk.turn(0.05)
    assert ui.recistLabel.text == text and ui.diagnosisBox.currentIndex == HCC

    # It was none: mRECIST goes, what was typed is kept for the case that it was one after all.
    choose_diagnosis(desk, NONE)
    assert "mRECIST" not in ui.recistLabel.text and not ui.enhancingEdit.visible
    desk.click("undoButton")
    assert ui.recistLabel.text == text


def test_choi_of_a_gist_in_one_phase(desk):
    scans = start(desk)
    desk.analyze()
    shown, ui = desk.panel.follow_up, desk.ui
    choose_diagnosis(desk, GIST)
    choi = shown.compared.judged.choi
    assert f"Choi (GIST): <b>{choi.response.value}</b>" in ui.recistLabel.text
    assert f"Size {choi.size_percent:+.0f} %" in ui.recistLabel.text
    assert not ui.enhancingEdit.visible
    # Another phase changes the density more than a drug does.
    in_phases(desk, scans, ("arterial", "portal venous"))
    assert "s criteria are not given" in ui.priorStateLabel.text and "Choi" not in ui.recistLabel.text
    in_phases(desk, scans, ("portal venous", "portal venous"))
    assert "Choi (GIST)" in ui.recistLabel.text
    desk.click("undoButton")
    assert ui.diagnosisBox.currentIndex == NONE and "Choi" not in ui.recistLabel.text
