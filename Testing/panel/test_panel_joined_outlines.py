"""One outline round several lesions of the other scan, split by a click in the panel."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.case.comparison import key_of
from support.desk import add_volume, truth_array
from support.follow_up_desk import states

pytest.importorskip("PySide6")


def beside_each_other(shared, arrays):
    """Two scans that lie on each other, analyzed and compared."""
    from LiverLesionAILib.case.alignment import KeptAlignment
    from LiverLesionAILib.review.case_view import read_case
    from LiverLesionAILib.review.comparing import keep_alignment
    from LiverLesionAILib.volume.ct import Geometry
    from LiverLesionAILib.volume.point_map import PointMap

    desk = shared.fresh()
    volumes = [add_volume(name, array) for name, array in zip(("January", "May"), arrays, strict=True)]
    desk.turn()
    for volume in volumes:
        desk.panel.parameters.inputVolume = volume
        desk.turn()
        desk.analyze()
    lattice = Geometry.make((8, 8, 8), (20.0, 20.0, 20.0), (-60.0, -20.0, 60.0))
    still = PointMap(lattice, np.zeros((8, 8, 8, 3), np.float32))
    keep_alignment(read_case(desk.scene, volumes[1]), volumes[0], KeptAlignment(still, "", (), 0.95, 1.0))
    desk.panel.parameters.priorVolume = volumes[0]
    desk.turn()
    return desk, volumes


class TestJoinedOutlines:
    """One outline round two lesions of the other scan is split by a click, in whichever scan has it."""

    @pytest.fixture(params=["this scan", "the prior scan"])
    def joined(self, request, shared):
        arrays = [truth_array(), truth_array()]
        for array, apart in zip(arrays, (True, False), strict=True):
            array[array > 1000] = 1000
            array[6:12, 8:20, 8:16] = 1001
            array[6:12, 12:20, 16:26] = 1002 if apart else 1001
        if request.param == "the prior scan":
            arrays.reverse()
        desk, volumes = beside_each_other(shared, arrays)
        return desk, volumes[request.param == "this scan"]

    def test_the_split_is_proposed_and_done_by_one_click_and_undone_by_one(self, joined):
        from LiverLesionAILib.review.case_view import read_case

        desk, volume = joined
        now = volume is desk.panel.case.volume
        (pair,) = desk.panel.follow_up.compared.followup.pairs
        assert sorted((pair.prior, pair.current), key=len) == [(1,), (1, 2)]
        assert "is one outline round lesions 1 + 2" in desk.ui.priorStateLabel.text
        before = read_case(desk.scene, volume)
        assert [row.number for row in before.rows] == [1], "nothing is split before the reader says so"
        (cut,) = desk.panel.follow_up.compared.cuts
        assert desk.ui.splitPairButton.enabled
        desk.click("splitPairButton")
        assert states(desk) == {((1,), (1,)): "stable", ((2,), (2,)): "stable"}
        after = read_case(desk.scene, volume)
        sizes = {row.number: row.measurement.long_axis_mm for row in after.rows}
        assert sorted(sizes.values()) == pytest.approx(sorted(cut.outline.long_axes_mm), abs=0.05)
        total = before.rows[0].measurement.volume_ml
        assert sum(row.measurement.volume_ml for row in after.rows) == pytest.approx(total)
        assert not desk.ui.splitPairButton.enabled
        assert ("this scan" if now else "the prior scan") in desk.message()
        desk.click("undoButton")
        again = read_case(desk.scene, volume)
        assert [(r.number, r.measurement.volume_ml, r.edited) for r in again.rows] == [(1, total, False)]
        assert desk.ui.splitPairButton.enabled
        desk.click("redoButton")
        assert len(read_case(desk.scene, volume).rows) == 2
        desk.click("undoButton")
        # What the reader has paired anew is not proposed.
        shown = desk.panel.follow_up
        ends = shown.compared.followup.prior, shown.compared.followup.current
        shown._say("link", shown.compared.words.linking(*(key_of(point.lesions[1]) for point in ends)))
        desk.turn()
        assert not desk.ui.splitPairButton.enabled
        assert "one outline" not in desk.ui.priorStateLabel.text

    def test_an_outline_that_is_too_wide_is_asked_about_until_it_is_confirmed(self, shared, tmp_path):
        import slicer

        arrays = [truth_array(), truth_array()]
        for array, boxes in zip(
            arrays,
            (((8, 12, 10, 16, 10, 16), (8, 12, 10, 16, 20, 26)), ((5, 15, 6, 24, 8, 28),)),
            strict=True,
        ):
            array[array > 1000] = 1000
            for k, (z0, z1, y0, y1, x0, x1) in enumerate(boxes):
                array[z0:z1, y0:y1, x0:x1] = 1001 + k
        desk, _ = beside_each_other(shared, arrays)
        shown, ui = desk.panel.follow_up, desk.ui
        (pair,) = shown.compared.followup.pairs
        assert (pair.prior, pair.current, pair.wide) == ((1, 2), (1,), True)
        model = shown.model

        def cells() -> list[str]:
            return [model.text(0, column) for column in range(model.columnCount())]

        assert "merged?" in cells() and not ui.splitPairButton.enabled
        assert "drawn too wide, or grown together" in ui.priorStateLabel.text
        assert "an outline round several lesions is not checked" in ui.recistLabel.text
        assert "stable disease" in ui.recistLabel.text.split("Uncertain")[1]
        ui.pairTable.selectRow(0)
        desk.click("confirmButton")
        assert "merged" in cells() and "too wide" not in ui.priorStateLabel.text
        assert "is not checked" not in ui.recistLabel.text
        desk.click("undoButton")
        assert "merged?" in cells()
        desk.click("redoButton")
        text = ui.recistLabel.text
        saved = desk.save(tmp_path)
        desk.close_scene()
        desk.open(saved)
        desk.panel.parameters.inputVolume = slicer.util.getNode("May")
        desk.turn(0.05)
        assert "merged" in cells() and ui.recistLabel.text == text
