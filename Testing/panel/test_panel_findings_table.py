"""The table of findings: classes, notes, order, filters, threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.desk import add_volume, five_lesions
from support.findings_desk import ids, labels, statuses

pytest.importorskip("PySide6")


def test_class_and_note(case):
    case.choose(1)
    table = case.ui.findingsTable
    table.doubleClicked.emit(table.model().index(1, 1))
    actions = {action.text: action for action in case.panel.reader._class_menu.actions()}
    assert actions["Cyst"].checked
    actions["FNH"].trigger()
    case.turn(0.02)
    row = case.panel.case.row("lesion_2")
    assert row.shown_class == "FNH"
    assert row.name == "Lesion 2 (FNH)"
    assert any(text.startswith("Lesion 2 (FNH), ") for text in labels(case))
    case.choose(1)
    case.ui.noteEdit.text = "control in 3 months"
    case.ui.noteEdit.editingFinished.emit()
    case.turn()
    assert case.panel.case.row("lesion_2").note == "control in 3 months"
    case.click("undoButton")
    case.click("undoButton")
    assert case.panel.case.row("lesion_2").shown_class == "Cyst"


def test_sorting_and_filters(case):
    import qt
    from LiverLesionAILib.panel.findings.findings_model import VOLUME

    table = case.ui.findingsTable
    table.sortByColumn(VOLUME, qt.Qt.AscendingOrder)
    model = table.model()
    assert [model.data(model.index(r, 0)) for r in range(3)] == ["3", "2", "1"]
    case.ui.sizeFilter.currentIndex = 2
    case.turn()
    assert [model.data(model.index(r, 0)) for r in range(model.rowCount())] == ["2", "1"]
    case.ui.classFilter.currentIndex = case.ui.classFilter.findData("HCC")
    case.turn()
    assert [model.data(model.index(r, 0)) for r in range(model.rowCount())] == ["1"]
    case.ui.classFilter.currentIndex = 0
    case.ui.sizeFilter.currentIndex = 0
    case.ui.statusFilter.currentIndex = 5
    case.turn()
    assert model.rowCount() == 0


def test_the_surest_come_first(case):
    """And those of which nobody knows how sure they are keep the order of their numbers."""
    from LiverLesionAILib.panel.findings.findings_model import SURE

    proxy = case.ui.findingsTable.model()

    def shown() -> list[str]:
        return [proxy.data(proxy.index(r, 0)) for r in range(proxy.rowCount())]

    assert shown() == ["1", "2", "3"]
    assert case.ui.findingsTable.isColumnHidden(SURE), "and are spared an empty column"
    rows = case.panel.case.rows
    sure = {1: 0.4, 2: None, 3: 0.97}
    case.panel.findings.model.show([replace(row, probability=sure[row.number]) for row in rows])
    assert shown() == ["3", "1", "2"]


def test_the_threshold_moves_lesions_in_and_out(desk, monkeypatch):
    from LiverLesionAILib.panel.findings import threshold_panel

    points = {"strict": 0.95, "default": 0.7, "sensitive": 0.3}
    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda _, point="default": points[point])
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    assert len(ids(desk)) == 3
    desk.click("thresholdSensitiveButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (5, pytest.approx(0.3))
    desk.click("thresholdStrictButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (0, pytest.approx(0.95))
    desk.ui.thresholdSlider.value = 0.45
    desk.turn()
    assert len(ids(desk)) == 4
    faint = desk.panel.case.rows[-1]
    assert faint.measurement.volume_ml == pytest.approx(2 * 4 * 3 * 5.625 / 1000, abs=0.01)
    assert labels(desk) == ["1", "2", "3", "4", "?"], "the fifth is a place to look at"
    desk.ui.thresholdSlider.value = 0.3
    desk.turn()
    assert len(ids(desk)) == 5
    desk.choose(4)
    desk.click("acceptButton")
    desk.ui.thresholdSlider.value = 0.95
    desk.turn()
    assert statuses(desk) == ["accepted"]
    assert [text for text in labels(desk) if "?" not in text] == labels(desk)[:1]
    desk.click("thresholdResetButton")
    assert len(ids(desk)) == 4


def test_a_move_of_the_threshold_is_one_step_of_undo(desk, monkeypatch):
    from LiverLesionAILib.panel.findings import threshold_panel

    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda segmenter, _="": 0.7)
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    assert not desk.ui.undoButton.enabled
    clock = [100.0]
    monkeypatch.setattr(desk.panel.threshold, "_clock", lambda: clock[0])
    desk.choose(0)
    desk.click("acceptButton")
    # One drag: the slider tells every value on its way.
    for value in (0.65, 0.6, 0.5, 0.45):
        desk.ui.thresholdSlider.value = value
        desk.turn()
        clock[0] += 0.1
    clock[0] += 10.0
    desk.ui.thresholdSlider.value = 0.3
    desk.turn()
    shown = desk.panel.case.rows
    assert len(shown) == 5
    desk.click("undoButton")
    assert "Undone: threshold to 0.30" in desk.message()
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (4, pytest.approx(0.45))
    desk.click("undoButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (3, pytest.approx(0.7))
    assert statuses(desk) == ["accepted", "undecided", "undecided"]
    desk.click("undoButton")
    assert statuses(desk) == ["undecided", "undecided", "undecided"]
    assert not desk.ui.undoButton.enabled
    for _ in range(3):
        desk.click("redoButton")
    assert desk.panel.case.rows == shown
    desk.click("thresholdResetButton")
    assert len(ids(desk)) == 3
    desk.click("undoButton")
    assert desk.panel.case.rows == shown


def test_the_surest_lesion_is_read_first_and_keeps_its_number():
    from LiverLesionAILib.case.findings import Box, Lesion
    from LiverLesionAILib.case.terminology import by_probability

    def lesion(number: int, **sure: float) -> Lesion:
        middle = (0.0, 0.0, 0.0)
        return Lesion(number, box=Box(middle, (1.0,) * 3), centre_lps=middle, measurement=None, **sure)

    own = lesion(1, score=float("nan"))
    listed = [own, lesion(2, score=0.9, probability=0.4), lesion(3, score=0.5, probability=0.8)]
    assert [one.number for one in by_probability([*listed, lesion(4, score=0.8)])] == [3, 4, 2, 1]


def test_the_table_is_sorted_by_probability_at_first(desk):
    import qt

    assert desk.first_order == (3, qt.Qt.DescendingOrder)


def test_the_table_node_follows(case):
    case.choose(1)
    case.click("rejectButton")
    table = case.panel.case.table.GetTable()
    assert [table.GetValueByName(r, "Status").ToString() for r in range(3)] == [
        "undecided",
        "rejected",
        "undecided",
    ]
    assert table.GetValueByName(0, "Volume [mL]").ToDouble() == pytest.approx(9.45, abs=0.01)


def test_only_cts_can_be_chosen(case):
    """The maps are volumes as well: none of them is offered for analysis."""
    box = case.ui.inputSelector
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") > 1
    assert box.nodeCount() == 1
    other = add_volume("other")
    case.turn()
    assert box.nodeCount() == 2
    box.setCurrentNode(other)
    case.scene.RemoveNode(other)
    case.turn()
    assert box.currentNode() is case.panel.parameters.inputVolume
    assert box.currentNode().GetName() == "CT"
