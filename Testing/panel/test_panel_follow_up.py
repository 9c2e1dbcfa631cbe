"""Follow-up by mouse in the stand-in: two small volumes that carry their own truth, the real registration."""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import Desk, add_volume, truth_array

pytest.importorskip("PySide6")


def follow_up_array() -> np.ndarray:
    """Later: lesion 1 larger, 2 as before, 3 gone, a new one elsewhere."""
    array = truth_array()
    array[array > 1000] = 1000
    array[4:16, 8:24, 8:26] = 1001
    array[15:20, 10:16, 28:34] = 1002
    array[17:20, 28:34, 12:18] = 1003
    return array


def start(desk: Desk):
    prior, now = add_volume("January"), add_volume("May", follow_up_array())
    desk.turn()
    desk.panel.parameters.inputVolume = now
    desk.turn()
    desk.panel.parameters.priorVolume = prior
    desk.turn()
    return prior, now


def states(desk: Desk) -> dict[tuple[tuple[int, ...], tuple[int, ...]], str]:
    return {(p.prior, p.current): p.state.value for p in desk.panel.follow_up.compared.followup.pairs}


def choose(desk: Desk, prior=(), current=()) -> None:
    model = desk.panel.follow_up.model
    row = next(
        r for r in range(model.rowCount()) if (model.pair(r).prior, model.pair(r).current) == (prior, current)
    )
    desk.ui.pairTable.selectRow(row)
    desk.turn()


def test_the_whole_story_by_mouse(desk, tmp_path):
    import slicer

    prior, now = start(desk)
    desk.analyze()
    shown = desk.panel.follow_up
    assert shown.compared is not None, desk.message()
    assert shown.compared.followup.failed == ""
    assert desk.ui.followUpSection.visible
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
    desk.ui.priorDayEdit.text = "2026-05-01"
    desk.ui.currentDayEdit.text = "2026-01-01"
    desk.ui.currentDayEdit.editingFinished.emit()
    desk.turn()
    assert "younger" in desk.ui.priorStateLabel.text

    # A second analysis keeps it; so does the saved scene.
    said = states(desk)
    desk.analyze()
    assert states(desk) == said
    (tmp_path / "scene").mkdir()
    assert desk.scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    desk.scene.Clear(False)
    desk.turn()
    assert not desk.ui.followUpSection.visible
    desk.scene.SetURL(str(next((tmp_path / "scene").glob("*.mrml"))))
    assert desk.scene.Import()
    desk.turn(0.05)
    desk.panel.parameters.inputVolume = slicer.util.getNode("May")
    desk.turn(0.05)
    assert states(desk) == said
    from LiverLesionAILib.review.comparing import prior_of

    assert desk.panel.parameters.priorVolume is prior_of(desk.panel.case)
    assert desk.ui.priorSelector.currentNode().GetName() == "January"


def test_a_scan_beside_itself_and_one_without_a_liver_are_told(desk):
    array = truth_array()
    array[array >= 1000] = 40
    now, empty = add_volume("May"), add_volume("Empty", array)
    twin = add_volume("Twin")
    desk.turn()
    parameters = desk.panel.parameters
    parameters.inputVolume = now
    desk.turn()
    parameters.priorVolume = empty
    desk.turn()
    desk.analyze()
    assert "no liver" in desk.ui.priorStateLabel.text
    assert desk.ui.recistLabel.text == ""
    parameters.priorVolume = twin
    desk.turn()
    desk.analyze()
    assert "same scan" in desk.ui.priorStateLabel.text
    parameters.priorVolume = None
    desk.turn()
    assert not desk.ui.followUpSection.visible


def test_a_case_folder_is_a_prior_with_its_reader(desk, tmp_path):
    from LiverLesionAILib.case.store import save_result
    from LiverLesionAILib.stages.followup.register import reduced_ct
    from support.results import measured_result

    result = measured_result()
    hu = np.full(result.geometry.shape_zyx, 60, np.int16)
    coarse = reduced_ct(hu, result.liver_zyx, result.geometry)
    save_result(measured_result(reduced_ct=coarse), tmp_path / "case")
    desk.panel.prior._choose = lambda parent: str(tmp_path / "case")
    add_volume("May")
    desk.turn()
    desk.panel.prior.open_case()
    desk.turn()
    prior = desk.panel.parameters.priorVolume
    assert prior is not None and prior.GetName() == "Patient 7, portal venous"
    desk.panel.prior._choose = lambda parent: str(tmp_path)
    desk.panel.prior.open_case()
    assert desk.panel.parameters.priorVolume is prior and "case" in desk.message()
