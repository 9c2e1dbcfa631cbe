"""Follow-up by mouse in the stand-in: two small volumes that carry their own truth, the real registration."""

from __future__ import annotations

import pytest
from support.desk import WIDTH, add_volume, truth_array
from support.follow_up_desk import Mouse, choose, start, states

pytest.importorskip("PySide6")


def test_the_whole_story_by_mouse(desk, tmp_path):
    import slicer

    prior, now = start(desk)
    desk.analyze()
    shown = desk.panel.follow_up
    assert shown.compared is not None, desk.message()
    assert shown.compared.followup.failed == ""
    assert desk.ui.followUpSection.visible
    assert desk.window.layout().totalMinimumSize().width() <= WIDTH, "nothing has to be scrolled sideways"
    first = states(desk)
    assert first[(1,), (1,)] in ("grown", "stable")
    new = next(current for before, current in first if not before)
    gone = next(before for before, current in first if not current)
    assert new and gone
    texts = [[shown.model.text(r, c) for c in range(shown.model.columnCount())] for r in range(len(first))]
    assert any("new?" in row for row in texts) and any("gone?" in row for row in texts)
    assert "provisional" in desk.ui.recistLabel.text and "mm" in desk.ui.recistLabel.text
    assert desk.ui.followUpPlot.visible and desk.ui.followUpPlot.pixmap.width() == 340
    # The prior's masks are not drawn over this scan.
    assert not shown.compared.prior.segmentation.GetDisplayNode().GetVisibility()

    # The same lesion after all, and back, by undo.
    choose(desk, (), new)
    desk.panel.follow_up.link(gone[0])
    desk.turn()
    assert (gone, new) in states(desk)
    desk.click("undoButton")
    assert states(desk) == first
    desk.click("redoButton")
    assert (gone, new) in states(desk)
    choose(desk, gone, new)
    desk.click("unlinkButton")
    assert states(desk)[(), new] == "new" and states(desk)[gone, ()] == "gone"
    assert "not confirmed" not in desk.ui.recistLabel.text

    # Another target, other lesions, dates.
    before = shown.compared.response.sums.baseline_mm
    choose(desk, (1,), (1,))
    desk.click("targetButton")
    assert shown.compared.response is None or shown.compared.response.sums.baseline_mm < before
    desk.click("proposedButton")
    assert shown.compared.response.sums.baseline_mm == pytest.approx(before)
    other = desk.ui.elsewhereEdit
    for typed, baseline in (
        ("31.5, 28;n 16,9", before + 47.5),
        ("16", before + 47.5),
        ("n 16, -", before + 16),
    ):
        other.text = typed
        other.editingFinished.emit()
        desk.turn()
        assert shown.compared.response.sums.baseline_mm == pytest.approx(baseline)
        assert typed != "16" or "Give 2 lengths in mm" in desk.message()
    assert other.text == "n 16, -" and "not whole" in desk.ui.recistLabel.text
    desk.click("undoButton")
    assert other.text == "31.5, 28; n 16, 9"
    assert desk.ui.priorDayEdit.placeholderText == "prior: YYYY-MM-DD", "no example"
    from LiverLesionAILib.panel.follow_up.pair_model import COLUMNS as pair_columns

    doubling = next(k for k, column in enumerate(pair_columns) if column.key == "doubling_days")
    assert desk.ui.pairTable.isColumnHidden(doubling), "empty without dates"
    assert "both dates are typed" in desk.ui.priorStateLabel.text
    desk.ui.priorDayEdit.text = "2026-05-01"
    desk.ui.currentDayEdit.text = "2026-01-01"
    desk.ui.currentDayEdit.editingFinished.emit()
    desk.turn()
    assert "younger" in desk.ui.priorStateLabel.text
    assert desk.ui.currentDayEdit.placeholderText == "now: 2026-01-01", "what counts, once it is known"

    # What a report is written from is what is shown.
    from LiverLesionAILib.case.followup_json import read_course
    from LiverLesionAILib.panel.report.tasks import ReportOptions, text_task

    for _ in text_task(now, ReportOptions(), lambda text: None).prepare(tmp_path / "handed"):
        pass
    handed = read_course(tmp_path / "handed" / "case")
    assert {(p.prior, p.current): p.state.value for p in handed.course.last.pairs} == states(desk)
    assert repr(handed.response) == repr(shown.compared.response)
    assert handed.warnings == shown.compared.warnings

    # A second analysis keeps it; so does the saved scene.
    said = states(desk)
    desk.analyze()
    assert states(desk) == said
    saved = desk.save(tmp_path / "scene")
    desk.close_scene()
    assert not desk.ui.followUpSection.visible
    desk.open(saved)
    desk.panel.parameters.inputVolume = slicer.util.getNode("May")
    desk.turn(0.05)
    assert states(desk) == said
    from LiverLesionAILib.review.comparing import prior_of

    assert desk.panel.parameters.priorVolume is prior_of(desk.panel.case)
    assert desk.ui.priorSelector.currentNode().GetName() == "January"


def test_rows_are_dragged_onto_each_other_to_link_them_and_off_the_table_to_unlink_them(desk):
    from PySide6.QtCore import QPoint, Qt

    start(desk)
    desk.analyze()
    mouse, first = Mouse(desk), states(desk)
    new = next(current for before, current in first if not before)
    gone = next(before for before, current in first if not current)
    place = mouse.at(mouse.row(gone, ()))
    mouse.press(place)
    mouse.move(mouse.at(mouse.row((), new)))
    assert mouse.marked() == [mouse.row((), new)]
    assert mouse.viewport.cursor.shape() == Qt.DragLinkCursor
    assert states(desk) == first, "nothing is said before it is let go"
    mouse.release(mouse.at(mouse.row((), new)))
    assert (gone, new) in states(desk) and len(states(desk)) == len(first) - 1
    assert mouse.marked() == [] and mouse.viewport.cursor.shape() == Qt.ArrowCursor
    assert f"Prior lesion {gone[0]} and present lesion {new[0]} are the same" in desk.message()
    linked = states(desk)
    desk.click("undoButton")
    assert states(desk) == first, "one step"
    # The new one onto the one that is gone says the same.
    mouse.drag(mouse.at(mouse.row((), new)), place)
    assert states(desk) == linked
    desk.analyze()
    assert states(desk) == linked, "kept by a second analysis"
    row = mouse.row(gone, new)
    mouse.drag(mouse.at(row), mouse.below())
    assert states(desk) == {**first, (gone, ()): "gone", ((), new): "new"}
    assert "not confirmed" not in desk.ui.recistLabel.text
    desk.click("undoButton")
    assert states(desk) == linked
    desk.click("redoButton")
    desk.click("undoButton")
    # A click is none, and neither is a drag that ends beside the table or on its own row.
    mouse.drag(mouse.at(row), QPoint(60, mouse.viewport.height + 40))
    mouse.drag(mouse.at(row), mouse.at(row) + QPoint(30, 0))
    mouse.drag(mouse.at(row), mouse.at(row) + QPoint(2, 0))
    assert states(desk) == linked
    assert desk.panel.follow_up._row() == row


def test_a_drag_that_means_nothing_is_refused_and_escape_ends_one(desk):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    start(desk)
    desk.analyze()
    mouse, first = Mouse(desk), states(desk)
    gone = next(before for before, current in first if not current)
    whole = next(ends for ends in first if all(ends))
    mouse.press(mouse.at(mouse.row(gone, ())))
    mouse.move(mouse.below())
    assert mouse.viewport.cursor.shape() == Qt.ForbiddenCursor, "there is nothing to unlink"
    mouse.release(mouse.below())
    assert states(desk) == first
    new = next(current for before, current in first if not before)
    mouse.press(mouse.at(mouse.row(gone, ())))
    mouse.move(mouse.at(mouse.row((), new)))
    QTest.keyClick(desk.ui.pairTable, Qt.Key_Escape)
    mouse.release(mouse.at(mouse.row((), new)))
    assert states(desk) == first and mouse.marked() == []
    # What the lesion was paired with is proposed as gone, not said to be.
    mouse.drag(mouse.at(mouse.row(gone, ())), mouse.at(mouse.row(*whole)))
    pairs = {(p.prior, p.current): p for p in desk.panel.follow_up.compared.followup.pairs}
    assert pairs[gone, whole[1]].by_reader and pairs[whole[0], ()].proposed
    assert "not confirmed" in desk.ui.recistLabel.text


def test_a_lesion_of_a_resected_part_is_not_called_gone(desk):
    prior, now = add_volume("January"), truth_array()
    now[:, :, :22] = 40
    after = add_volume("May", now)
    desk.turn()
    desk.panel.parameters.inputVolume = after
    desk.turn()
    desk.panel.parameters.priorVolume = prior
    desk.turn()
    desk.analyze()
    found = desk.panel.follow_up.compared.followup
    assert found.failed == ""
    assert states(desk)[(1,), ()] == "resected"
    assert any("no liver any more" in warning for warning in found.warnings)
    assert "no liver any more" in desk.ui.priorStateLabel.text
    model = desk.panel.follow_up.model
    row = Mouse(desk).row((1,), ())

    def shown() -> str:
        texts = [model.text(row, column) for column in range(model.columnCount())]
        return next(text for text in texts if text.startswith(("resected", "gone")))

    assert shown() == "resected?" and "not evaluable" in desk.ui.recistLabel.text
    choose(desk, (1,), ())
    desk.click("confirmButton")
    assert shown() == "resected"
    desk.click("undoButton")
    assert shown() == "resected?"
    # It is gone after all, then resected after all: from the menu.
    choose(desk, (1,), ())
    desk.click("unlinkButton")
    assert shown() == "gone"
    desk.panel.follow_up._fill_menu()
    actions = desk.ui.linkButton.menu().actions()
    assert actions[-1].text == "resected since the prior scan"
    actions[-1].trigger()
    desk.turn()
    assert shown() == "resected"
    desk.analyze()
    assert shown() == "resected", "kept by a second analysis"
