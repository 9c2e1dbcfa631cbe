"""The panel by keyboard: real key events for every action, and the keys that the tooltips name."""

from __future__ import annotations

import re

import pytest
from support.desk import Desk, add_volume

pytest.importorskip("PySide6")


@pytest.fixture(scope="module")
def shared():
    """One desk for all tests here, with three lesions; each test leaves it as it was."""
    desk = Desk()
    add_volume("CT")
    desk.turn()
    desk.analyze()
    desk.window.activateWindow()
    desk.turn(0.05)
    yield desk
    desk.close()


@pytest.fixture
def case(shared):
    shared.ui.findingsTable.setFocus()
    shared.choose()
    yield shared
    while shared.ui.undoButton.enabled:
        shared.click("undoButton")


def press(desk: Desk, key: str, widget=None) -> None:
    """Press and release a key ("N", "Ctrl+Z", "Down") where the focus is, or on a widget."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QKeySequence
    from PySide6.QtTest import QTest

    combination = QKeySequence(key)[0]
    QTest.keyClick(widget or desk.ui.findingsTable, combination.key(), combination.keyboardModifiers())
    # Else Shift or Ctrl stays down for whoever asks the application, in the next file's desk too.
    QTest.keyRelease(widget or desk.ui.findingsTable, Qt.Key_Shift)
    desk.turn(0.01)


def selected(desk: Desk) -> list[int]:
    return [row.number for row in desk.panel.selection()]


def statuses(desk: Desk) -> list[str]:
    return [row.status_text for row in desk.panel.case.rows]


def test_next_and_previous_wrap_round(case):
    seen = []
    for key in ("N", "N", "N", "N", "P", "P"):
        press(case, key)
        seen += selected(case)
    assert seen == [1, 2, 3, 1, 3, 2]


def test_arrow_keys_move_the_views(case):
    red = case.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    press(case, "N")
    before = red.GetSliceOffset()
    press(case, "Down")
    assert selected(case) == [2]
    assert red.GetSliceOffset() != before
    press(case, "Up")
    assert selected(case) == [1]
    assert red.GetSliceOffset() == pytest.approx(before)


def test_accept_reject_undo_redo(case):
    press(case, "N")
    press(case, "A")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    press(case, "X")
    assert statuses(case) == ["rejected", "undecided", "undecided"]
    press(case, "Ctrl+Z")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    press(case, "Ctrl+Shift+Z")
    assert statuses(case) == ["rejected", "undecided", "undecided"]


def test_merge_and_delete(case):
    case.choose(0, 1)
    press(case, "M")
    assert [row.number for row in case.panel.case.rows] == [1, 3]
    case.choose(1)
    press(case, "Delete")
    assert [row.number for row in case.panel.case.rows] == [1]


def test_delete_in_the_note_deletes_no_lesion(case):
    case.choose(0)
    case.ui.noteEdit.setFocus()
    case.ui.noteEdit.text = "ab"
    for key in ("Home", "Delete", "X", "N"):
        press(case, key, case.ui.noteEdit)
    assert len(case.panel.case.rows) == 3
    assert statuses(case) == ["undecided"] * 3
    assert selected(case) == [1]
    case.ui.noteEdit.text = ""


def test_class_menu(case):
    press(case, "N")
    press(case, "C")
    menu = case.panel.reader._class_menu
    assert menu.visible
    press(case, "Escape", menu)
    assert not menu.visible


def test_split_and_outline_of_the_wrong_kind_say_so(case):
    press(case, "N")
    press(case, "S")
    assert "Move and turn the plane" in case.message()
    case.panel.reader.close()
    press(case, "O")
    assert statuses(case) == ["undecided"] * 3


def test_one_key_hides_every_overlay(case):
    display = case.panel.case.segmentation.GetDisplayNode()
    press(case, "H")
    assert not display.GetVisibility2DFill()
    assert not display.GetVisibility3D()
    assert not any(node.GetDisplayNode().GetVisibility() for node in case.panel.case.marks.all)
    press(case, "H")
    assert display.GetVisibility2DFill()
    assert display.GetVisibility3D()
    assert all(node.GetDisplayNode().GetVisibility() for node in case.panel.case.marks.all[:2])


def test_the_keys_work_only_while_the_module_is_open(case):
    press(case, "N")
    case.widget.exit()
    press(case, "A", case.window)
    case.widget.enter()
    case.turn(0.02)
    assert statuses(case) == ["undecided"] * 3


def test_tooltips_name_the_keys_that_work(case):
    import qt

    works = {*case.panel._shortcuts._actions, *case.panel._table_keys._actions, "Del"}
    named = {}
    for child in case.widget.uiWidget.findChildren(qt.QWidget):
        for key in re.findall(r"\(((?:Ctrl\+|Shift\+)*(?:[A-Z]|Del))\b[^)]*\)", child.toolTip):
            named.setdefault(key, child.name)
    assert set(named) <= works, named
    assert {"N", "P", "A", "X", "L", "M", "S", "H", "O", "Del"} <= set(named)


def test_every_control_says_what_it_does(case):
    import qt

    silent = []
    for child in case.widget.uiWidget.findChildren(qt.QWidget):
        controls = (qt.QAbstractButton, qt.QComboBox, qt.QLineEdit, qt.QAbstractSpinBox, qt.QTableView)
        inner = child.parent() is not None and child.parent().toolTip
        if isinstance(child, controls) and child.name and not child.name.startswith("qt_"):
            if not child.toolTip and not inner:
                silent.append(child.name)
    assert not silent
