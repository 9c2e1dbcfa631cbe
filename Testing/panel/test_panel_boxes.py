"""Findings in the panel that have only a box."""

from __future__ import annotations

import numpy as np
import pytest
from support.boxes_desk import boxes_desk, five_found, row
from support.desk import Desk

pytest.importorskip("PySide6")


@pytest.fixture(scope="module")
def shared():
    yield from boxes_desk()


@pytest.fixture
def case(desk, monkeypatch):
    return five_found(desk, monkeypatch)


def box_node(desk: Desk, number: int):
    """The one box that can be moved, which is round the selected lesion."""
    node = desk.panel.case.marks.box
    assert node.GetAttribute("LiverLesionAI.Segment") == row(desk, number).segment_id
    return node


class TestBoxes:
    def test_a_box_without_a_mask_is_a_finding(self, case):
        assert [row.number for row in case.panel.case.rows] == [1, 2, 3, 4, 5]
        boxed = row(case, 5)
        assert boxed.box_only
        assert case.cell(4, 4).startswith("□ 3 × 3")
        table = case.panel.case.table.GetTable()
        assert table.GetNumberOfRows() == 5
        case.choose(4)
        assert "without an outline" in case.ui.detailLabel.text
        assert case.ui.outlineButton.visible
        assert not case.ui.splitButton.enabled
        case.choose(0)
        case.ui.findingsSection.click()
        case.ui.findingsSection.click()
        case.turn(0.02)
        assert not case.ui.outlineButton.visible
        case.choose(4)
        assert case.ui.outlineButton.visible
        node = box_node(case, 5)
        middle = [0.0, 0.0, 0.0]
        node.GetCenterWorld(middle)
        red = case.scene.GetNodeByID("vtkMRMLSliceNodeRed")
        assert red.GetSliceOffset() == pytest.approx(middle[2], abs=0.1)

    def test_its_box_is_seen_while_it_is_selected(self, case):
        node = case.panel.case.marks.box
        case.choose(0)
        case.turn()
        assert not node.GetDisplayNode().GetVisibility()
        case.choose(4)
        case.turn()
        assert node.GetDisplayNode().GetVisibility() and box_node(case, 5) is node
        case.ui.hideAllButton.click()
        case.turn()
        assert not node.GetDisplayNode().GetVisibility()

    def test_marks_and_their_undo(self, case):
        case.choose(4)
        case.click("acceptButton")
        assert row(case, 5).status_text == "accepted"
        case.click("rejectButton")
        assert row(case, 5).status_text == "rejected"
        case.panel.reader.set_class("box:5", "FNH")
        case.choose(4)
        case.ui.noteEdit.text = "look again"
        case.ui.noteEdit.editingFinished.emit()
        case.turn()
        assert (row(case, 5).reader_class, row(case, 5).note) == ("FNH", "look again")
        for _ in range(4):
            case.click("undoButton")
        now = row(case, 5)
        assert (now.status_text, now.reader_class, now.note) == ("undecided", None, "")
        assert not case.ui.undoButton.enabled

    def test_delete_and_undo(self, case):
        case.choose(4)
        case.turn()
        place = tuple(box_node(case, 5).GetCenter()), tuple(box_node(case, 5).GetSize())
        case.click("deleteButton")
        assert [row.number for row in case.panel.case.rows] == [1, 2, 3, 4]
        case.click("undoButton")
        assert row(case, 5).box_only
        case.choose(4)
        case.turn()
        node = box_node(case, 5)
        assert node.GetCenter() == pytest.approx(place[0])
        assert node.GetSize() == pytest.approx(place[1])
        assert row(case, 5).score == pytest.approx(0.4)

    def test_an_outline_is_proposed_inside_the_box(self, case):
        import slicer
        from LiverLesionAILib.scene.show import read_back

        array = slicer.util.arrayFromVolume(case.panel.case.volume)
        array[array == 1005] = 940
        case.choose(4)
        case.click("outlineButton")
        new = row(case, 5)
        assert not new.box_only
        assert new.status_text == "edited"
        assert new.source.value == "mask and box"
        assert [row.number for row in case.panel.selection()] == [5]
        found = read_back(case.panel.case.segmentation, case.panel.case.volume)
        truth = array == 940
        drawn = found.lesion_labels_zyx == 5
        assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.6
        assert row(case, 5).place.long_axis_lps is not None
        case.click("undoButton")
        assert row(case, 5).box_only
        assert row(case, 5).place.long_axis_lps is None
        case.click("redoButton")
        assert not row(case, 5).box_only
        assert new.measurement.volume_ml == pytest.approx(row(case, 5).measurement.volume_ml)

    def test_the_threshold_takes_boxes_out_and_in(self, case):
        case.ui.boxesBox.checked = True
        case.ui.thresholdSlider.value = 0.6
        case.turn()
        assert [row.number for row in case.panel.case.rows] == [1, 2, 3]
        labels = case.panel.case.marks.labels
        shown = [labels.GetNthControlPointLabel(k) for k in range(labels.GetNumberOfControlPoints())]
        assert shown == ["1", "2", "3", "?", "?"], "what is left out is a place to look at"
        assert case.panel.case.table.GetNumberOfRows() == 3
        case.ui.thresholdSlider.value = 0.3
        case.turn()
        assert [row.number for row in case.panel.case.rows] == [1, 2, 3, 4, 5]
        assert case.panel.case.marks.labels.GetNumberOfControlPoints() == 5
        assert case.panel.case.table.GetNumberOfRows() == 5
        case.choose(4)
        case.click("acceptButton")
        case.ui.thresholdSlider.value = 0.95
        case.turn()
        assert [row.number for row in case.panel.case.rows] == [5]

    def test_a_second_analysis_keeps_a_decided_box_and_renews_the_others(self, case):
        case.choose(4)
        case.click("rejectButton")
        case.analyze()
        assert [row.number for row in case.panel.case.rows] == [1, 2, 3, 4, 5]
        assert row(case, 5).status_text == "rejected"
        assert len(case.panel.case.boxed) == 1
        case.choose(4)
        case.click("rejectButton")
        case.analyze()
        assert [row.status_text for row in case.panel.case.rows] == ["undecided"] * 5
        assert len(case.panel.case.boxed) == 1

    def test_saved_and_loaded(self, case, tmp_path):
        case.panel.reader.set_class("box:5", "FNH")
        case.choose(4)
        case.turn()
        rows, phase = case.panel.case.rows, case.ui.summaryLabel.text + case.ui.notesLabel.text
        saved = case.save(tmp_path / "saved")
        case.close_scene()
        case.open(saved)
        for old, new in zip(rows, case.panel.case.rows, strict=True):
            assert old.box_only == new.box_only and np.allclose(old.box.size_xyz_mm, new.box.size_xyz_mm)
            assert (old.number, old.shown_class, old.status) == (
                new.number,
                new.shown_class,
                new.status,
            )
            assert old.class_probabilities == new.class_probabilities
        assert case.ui.summaryLabel.text + case.ui.notesLabel.text == phase
        assert [row.segment_id for row in case.panel.selection()] == ["box:5"]
