"""Follow-up by mouse in the stand-in: two small volumes that carry their own truth, the real registration."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from LiverLesionAILib.case.comparison import key_of
from scipy import ndimage
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
    desk.ui.priorDayEdit.text = "2026-05-01"
    desk.ui.currentDayEdit.text = "2026-01-01"
    desk.ui.currentDayEdit.editingFinished.emit()
    desk.turn()
    assert "younger" in desk.ui.priorStateLabel.text

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


class Mouse:
    """The mouse over the follow-up table."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.viewport = desk, desk.ui.pairTable.viewport()

    def row(self, prior: tuple[int, ...], current: tuple[int, ...]) -> int:
        model = self.desk.panel.follow_up.model
        pairs = [model.pair(row) for row in range(model.rowCount())]
        return [(pair.prior, pair.current) for pair in pairs].index((prior, current))

    def at(self, row: int):
        from PySide6.QtCore import QPoint

        table = self.desk.ui.pairTable
        return QPoint(60, table.rowViewportPosition(row) + table.rowHeight(row) // 2)

    def below(self):
        """Under the last row, still in the table."""
        from PySide6.QtCore import QPoint

        table = self.desk.ui.pairTable
        last = table.model().rowCount() - 1
        place = QPoint(60, table.rowViewportPosition(last) + table.rowHeight(last) + 4)
        assert self.viewport.rect.contains(place) and table.rowAt(place.y()) == -1
        return place

    def press(self, place) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mousePress(self.viewport, Qt.LeftButton, Qt.NoModifier, place)

    def move(self, place) -> None:
        from PySide6.QtTest import QTest

        QTest.mouseMove(self.viewport, place)
        self.desk.turn(0.01)

    def release(self, place) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mouseRelease(self.viewport, Qt.LeftButton, Qt.NoModifier, place)
        self.desk.turn(0.01)

    def drag(self, start, end) -> None:
        self.press(start)
        for part in (0.3, 0.7, 1.0):
            self.move(start + (end - start) * part)
        self.release(end)

    def marked(self) -> list[int]:
        """Rows that are shown as the one under the mouse."""
        from PySide6.QtCore import Qt

        model = self.desk.panel.follow_up.model
        return [r for r in range(model.rowCount()) if model.data(model.index(r, 0), Qt.BackgroundRole)]


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


def test_another_patient_another_phase_and_a_later_prior_are_told(desk):
    from LiverLesionAILib.case.attributes import ATTR_PHASE
    from LiverLesionAILib.review.case_view import read_case

    array = np.full((24, 40, 48), 40, np.int16)
    array[2:22, 4:36, 4:40] = 1000
    array[2:22, 10:36, 10:34] = 40
    array[3:6, 5:9, 20:26] = 1001
    now, other, late = add_volume("May"), add_volume("Someone", array), add_volume("June", follow_up_array())
    desk.turn()
    parameters = desk.panel.parameters
    for volume in (other, late, now):
        parameters.inputVolume = volume
        desk.turn()
        desk.analyze()
    parameters.priorVolume = other
    desk.turn()
    desk.until(desk.idle)
    desk.turn()
    assert "do not fit" in desk.ui.priorStateLabel.text and "same patient" in desk.ui.priorStateLabel.text
    assert not desk.ui.besideButton.enabled, "what is not in line is not linked"
    assert desk.ui.recistLabel.text == ""
    for volume, phase in ((late, "arterial"), (now, "portal venous")):
        read_case(desk.scene, volume).table.SetAttribute(ATTR_PHASE, phase)
    parameters.priorVolume = late
    desk.turn()
    desk.until(desk.idle)
    desk.ui.priorDayEdit.text, desk.ui.currentDayEdit.text = "2026-06-01", "2026-05-01"
    desk.ui.currentDayEdit.editingFinished.emit()
    desk.turn()
    said = desk.ui.priorStateLabel.text
    assert "looks arterial, the current one portal venous" in said and "younger" in said
    assert "by the phase alone" in said


SHIFT_LPS = np.array([6.0, -4.0, -11.0])
"""From the prior scan to the current one, everywhere."""


def known_map():
    from LiverLesionAILib.volume.ct import Geometry
    from LiverLesionAILib.volume.point_map import PointMap

    lattice = Geometry.make((8, 8, 8), (20.0, 20.0, 20.0), (-60.0, -20.0, 60.0))
    return PointMap(lattice, np.broadcast_to(SHIFT_LPS, (8, 8, 8, 3)).astype(np.float32))


@pytest.fixture(scope="class")
def compared(shared):
    """A desk with two analysed scans and their comparison by the known map, and the prior."""
    from LiverLesionAILib.case.alignment import KeptAlignment
    from LiverLesionAILib.review.case_view import read_case
    from LiverLesionAILib.review.comparing import keep_alignment

    desk = shared.fresh()
    prior, now = add_volume("January"), add_volume("May", follow_up_array())
    desk.turn()
    for volume in (prior, now):
        desk.panel.parameters.inputVolume = volume
        desk.turn()
        desk.analyze()
    keep_alignment(read_case(desk.scene, now), prior, KeptAlignment(known_map(), "", (), 0.95, 1.0))
    desk.panel.parameters.priorVolume = prior
    desk.turn()
    assert desk.panel.follow_up.compared is not None
    return desk, prior


def view(desk: Desk, name: str):
    return desk.scene.GetSingletonNode(name, "vtkMRMLSliceNode")


def centre(node) -> np.ndarray:
    """Of a slice view, RAS mm."""
    from LiverLesionAILib.scene.ras import numpy_matrix

    middle = node.GetXYZOrigin()
    return (numpy_matrix(node.GetSliceToRAS()) @ np.array([middle[0], middle[1], 0.0, 1.0]))[:3]


def pressed(desk: Desk, key: str) -> None:
    """A key without Shift or Ctrl, in the table."""
    from PySide6.QtGui import QKeySequence
    from PySide6.QtTest import QTest

    QTest.keyClick(desk.ui.findingsTable, QKeySequence(key)[0].key())
    desk.turn(0.01)


TO_RAS = np.array([-1.0, -1.0, 1.0])


def apart(desk: Desk) -> np.ndarray:
    """How far the current view's middle lies from the prior's, LPS mm."""
    return TO_RAS * (centre(view(desk, "Red")) - centre(view(desk, "LiverLesionAIPriorRed")))


class TestSideBySide:
    @pytest.fixture
    def desk(self, compared):
        desk, _ = compared
        yield desk
        desk.ui.besideButton.checked = False
        desk.turn()

    @pytest.fixture
    def prior(self, compared):
        return compared[1]

    def test_views_follow_each_other_through_the_registration(self, desk, prior):
        desk.ui.besideButton.checked = True
        desk.turn()
        assert desk.panel.follow_up.linked.active
        red, partner = view(desk, "Red"), view(desk, "LiverLesionAIPriorRed")
        assert red.GetViewGroup() != partner.GetViewGroup(), "Slicer would link them by position"
        composite = desk.scene.GetSingletonNode("LiverLesionAIPriorRed", "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == prior.GetID()
        red.JumpSliceByCentering(-5.0, -60.0, 130.0)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        # Scroll, pan, zoom.
        red.SetSliceOffset(red.GetSliceOffset() + 5.0)
        red.SetXYZOrigin(7.0, -3.0, 0.0)
        red.SetFieldOfView(80.0, 60.0, 1.0)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        assert partner.GetFieldOfView()[0] / partner.GetDimensions()[0] == pytest.approx(
            red.GetFieldOfView()[0] / red.GetDimensions()[0]
        )
        # And the other way.
        partner.JumpSliceByCentering(-12.0, -50.0, 120.0)
        assert np.allclose(centre(partner), (-12.0, -50.0, 120.0), atol=0.01)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        # Oblique too, and the coronal views.
        green = view(desk, "Green")
        green.SetOrientation("Sagittal")
        assert view(desk, "LiverLesionAIPriorGreen").GetOrientation() == "Sagittal"

    def test_the_same_lesion_in_both_by_a_click(self, desk):
        from LiverLesionAILib.panel.show.views import centre_ras

        desk.ui.besideButton.checked = True
        desk.turn()
        shown = desk.panel.follow_up
        pairs = shown.compared.followup.pairs
        row = next(k for k, pair in enumerate(pairs) if pair.prior and pair.current)
        shown._clicked(shown.model.index(row, 0))
        desk.turn()
        prior_row = next(r for r in shown.compared.prior.rows if r.number in pairs[row].prior)
        place = centre_ras(shown.compared.prior, prior_row.segment_id)
        assert np.allclose(centre(view(desk, "LiverLesionAIPriorRed")), place, atol=0.01)
        assert shown.linked.active
        # A lesion that is gone: this scan's views go to where it was.
        gone = [k for k, pair in enumerate(pairs) if not pair.current]
        assert gone
        shown._clicked(shown.model.index(gone[0], 0))
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)

    def test_each_scan_has_its_masks_in_its_own_views_and_all_is_as_before_afterwards(self, desk):
        shown = desk.panel.follow_up
        displays = [case.segmentation.GetDisplayNode() for case in (desk.panel.case, shown.compared.prior)]
        assert [d.GetNumberOfViewNodeIDs() for d in displays] == [0, 0]
        desk.ui.besideButton.checked = True
        desk.turn()
        ids = [{d.GetNthViewNodeID(k) for k in range(d.GetNumberOfViewNodeIDs())} for d in displays]
        assert not ids[0] & ids[1]
        assert view(desk, "Red").GetID() in ids[0] and view(desk, "LiverLesionAIPriorRed").GetID() in ids[1]
        assert displays[1].GetVisibility(), "the prior's lesions are seen in the prior's views"
        desk.ui.besideButton.checked = False
        desk.turn()
        assert [d.GetNumberOfViewNodeIDs() for d in displays] == [0, 0]
        assert not displays[1].GetVisibility()
        before = centre(view(desk, "LiverLesionAIPriorRed"))
        view(desk, "Red").JumpSliceByCentering(0.0, -40.0, 110.0)
        assert np.allclose(centre(view(desk, "LiverLesionAIPriorRed")), before), "no longer linked"

    def test_a_mark_shows_the_mouses_place_in_the_other_scan(self, desk):
        import slicer

        crosshair = desk.scene.GetSingletonNode("default", "vtkMRMLCrosshairNode")
        if crosshair is None:
            made = slicer.vtkMRMLCrosshairNode()
            made.SetSingletonTag("default")
            crosshair = desk.scene.AddNode(made)
        desk.ui.besideButton.checked = True
        desk.turn()
        for name, sign in (("Red", -1), ("LiverLesionAIPriorRed", 1)):
            crosshair.SetCursorPositionXYZ([40.0, 30.0, 0.0], view(desk, name))
            position, mark = [0.0] * 3, [0.0] * 3
            assert crosshair.GetCursorPositionRAS(position)
            node = desk.scene.GetFirstNodeByName("Place in the other scan")
            node.GetNthControlPointPosition(0, mark)
            assert np.allclose(TO_RAS * (np.array(mark) - position), sign * SHIFT_LPS, atol=0.15)
            assert node.GetDisplayNode().GetVisibility()
        desk.ui.besideButton.checked = False
        desk.turn()
        assert desk.scene.GetFirstNodeByName("Place in the other scan") is None

    def test_3d_views_turn_together(self, desk):
        desk.ui.besideButton.checked = True
        desk.turn()
        cameras = {node.GetLayoutName(): node for node in desk.scene.GetNodesByClass("vtkMRMLCameraNode")}
        one, other = cameras["1"], cameras["LiverLesionAIPrior1"]
        one.SetFocalPoint(-5.0, -60.0, 130.0)
        one.SetPosition(-5.0, 240.0, 150.0)
        look = np.array(one.GetPosition()) - one.GetFocalPoint()
        assert np.allclose(np.array(other.GetPosition()) - other.GetFocalPoint(), look)
        assert np.allclose(
            TO_RAS * (np.array(one.GetFocalPoint()) - other.GetFocalPoint()), SHIFT_LPS, atol=0.15
        )

    def test_the_prior_is_blended_over_the_scan_where_the_registration_puts_it(self, desk, prior):
        import slicer
        from LiverLesionAILib.panel.run.volumes import all_cts
        from LiverLesionAILib.scene.ras import volume_geometry

        now = desk.panel.case.volume
        red = desk.scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
        before = red.GetForegroundVolumeID(), red.GetForegroundOpacity()
        assert not desk.ui.blendSlider.enabled
        pressed(desk, "V")
        assert desk.ui.blendButton.checked and desk.ui.blendSlider.enabled
        over = desk.scene.GetNodeByID(red.GetForegroundVolumeID())
        assert over.GetName() == "January in place" and red.GetForegroundOpacity() == 0.5
        assert not over.GetSaveWithScene() and over not in all_cts(desk.scene)
        other = desk.scene.GetSingletonNode("LiverLesionAIPriorRed", "vtkMRMLSliceCompositeNode")
        assert other is None or other.GetForegroundVolumeID() != over.GetID()
        # What is the same all round in the prior is found where the known shift takes it.
        array, drawn = slicer.util.arrayFromVolume(prior), slicer.util.arrayFromVolume(over)
        even = ndimage.maximum_filter(array, 3) == ndimage.minimum_filter(array, 3)
        index = np.argwhere(even & (array > 500))
        there = volume_geometry(over).lps_to_index(volume_geometry(prior).index_to_lps(index) + SHIFT_LPS)
        place = np.rint(np.asarray(there)).astype(int)
        inside = ((place >= 0) & (place < drawn.shape)).all(axis=1)
        assert inside.sum() > 100
        same = drawn[tuple(place[inside].T)] == array[tuple(index[inside].T)]
        assert same.mean() > 0.97
        desk.ui.blendSlider.value = 1.0
        assert red.GetForegroundOpacity() == 1.0
        now.GetDisplayNode().SetAutoWindowLevel(False)
        now.GetDisplayNode().SetWindowLevel(321.0, 45.0)
        assert (over.GetDisplayNode().GetWindow(), over.GetDisplayNode().GetLevel()) == (321.0, 45.0)
        pressed(desk, "V")
        assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == before
        assert desk.scene.GetFirstNodeByName("January in place") is None
        assert not desk.ui.blendButton.checked and not desk.ui.blendSlider.enabled
        desk.ui.blendSlider.value = 0.5

    def test_a_line_is_dragged_between_the_prior_and_this_scan(self, desk, prior):
        import slicer
        from LiverLesionAILib.panel.follow_up.blend import NOTHING_HU
        from LiverLesionAILib.scene.ras import volume_geometry

        red = desk.scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
        before = red.GetForegroundVolumeID(), red.GetForegroundOpacity(), desk.scene.GetNumberOfNodes()
        assert desk.scene.GetFirstNodeByName("Swipe") is None, "off by default"
        pressed(desk, "V")
        whole = slicer.util.arrayFromVolume(desk.scene.GetNodeByID(red.GetForegroundVolumeID())).copy()
        pressed(desk, "W")
        assert desk.ui.swipeButton.checked and not desk.ui.blendButton.checked
        over = desk.scene.GetNodeByID(red.GetForegroundVolumeID())
        assert red.GetForegroundOpacity() == 1.0 and over.GetDisplayNode().GetApplyThreshold()
        assert NOTHING_HU < over.GetDisplayNode().GetLowerThreshold() <= whole.min()
        geometry = volume_geometry(over)
        right_lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(whole.shape), 0, -1)))[..., 0]
        line = desk.scene.GetFirstNodeByName("Swipe")
        ends = right_lps.min() - 0.5, right_lps.max() + 0.5

        def parted(share: float) -> None:
            """The prior is seen left of the line, which is the patient's right, and nothing of it beyond."""
            drawn = slicer.util.arrayFromVolume(over)
            there = drawn != NOTHING_HU
            assert there.mean() == pytest.approx(share, abs=0.03)
            assert there.all() or right_lps[there].max() < right_lps[~there].min()
            assert np.array_equal(drawn[there], whole[there])
            assert -line.GetOrigin()[0] == pytest.approx(ends[0] + share * (ends[1] - ends[0]), abs=1.0)
            assert np.allclose(np.abs(line.GetNormal()), (1, 0, 0), atol=1e-6)
            assert desk.ui.blendSlider.value == pytest.approx(share, abs=0.01)

        parted(0.5)
        for share in (0.25, 0.8):
            desk.ui.blendSlider.value = share
            parted(share)
        # By the mouse, past the other place and askew: it stays across the patient.
        line.SetOrigin([-(ends[0] + 0.4 * (ends[1] - ends[0])), -30.0, 120.0])
        parted(0.4)
        line.SetNormal([0.8, 0.6, 0.0])
        parted(0.4)
        line.SetOrigin([-ends[1] - 50.0, 0.0, 0.0])
        parted(1.0)
        desk.ui.blendSlider.value = 0.4
        for key, share in ((".", 0.45), (",", 0.4), (",", 0.35)):
            pressed(desk, key)
            parted(share)
        assert not line.GetSaveWithScene() and not line.GetDisplayNode().GetVisibility3D()
        desk.ui.besideButton.checked = True
        desk.turn()
        display = line.GetDisplayNode()
        views = {display.GetNthViewNodeID(k) for k in range(display.GetNumberOfViewNodeIDs())}
        assert view(desk, "Red").GetID() in views
        assert view(desk, "LiverLesionAIPriorRed").GetID() not in views
        desk.ui.besideButton.checked = False
        desk.turn()
        nodes = desk.scene.GetNumberOfNodes()
        pressed(desk, "W")
        assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == before[:2]
        assert desk.scene.GetFirstNodeByName("Swipe") is None
        # The volume with its display, the line with its display.
        assert nodes - desk.scene.GetNumberOfNodes() == 4
        assert not desk.ui.swipeButton.checked and not desk.ui.blendSlider.enabled
        desk.ui.blendSlider.value = 0.5
        pressed(desk, ".")
        assert desk.ui.blendSlider.value == 0.5, "nothing lies over the scan"

    def test_a_map_takes_the_place_of_the_blended_prior(self, desk):
        desk.ui.blendButton.checked = True
        desk.turn()
        desk.panel.parameters.showMap = True
        desk.turn()
        assert not desk.ui.blendButton.checked and desk.panel.parameters.showMap
        # And the other way round: it comes back when the prior goes.
        desk.ui.blendButton.checked = True
        desk.turn()
        assert desk.ui.blendButton.checked and not desk.panel.parameters.showMap
        desk.ui.blendButton.checked = False
        desk.turn()
        assert desk.panel.parameters.showMap
        desk.panel.parameters.showMap = False
        desk.turn()

    def test_without_a_prior_nothing_is_blended(self, desk, prior):
        from LiverLesionAILib.review.comparing import keep_alignment

        kept = desk.panel.follow_up.compared.alignment
        desk.ui.blendButton.checked = True
        desk.turn()
        desk.panel.parameters.priorVolume = None
        desk.turn()
        assert desk.scene.GetFirstNodeByName("January in place") is None
        keep_alignment(desk.panel.case, prior, kept)
        desk.panel.parameters.priorVolume = prior
        desk.turn()
        assert desk.ui.blendButton.enabled and not desk.ui.blendButton.checked

    def test_the_layout_has_both_columns(self):
        from LiverLesionAILib.panel.follow_up.linked_views import layout_xml

        tags = [node.get("singletontag") for node in ET.fromstring(layout_xml()).iter("view")]
        assert tags == [
            "LiverLesionAIPriorRed", "LiverLesionAIPriorGreen", "LiverLesionAIPrior1", "Red", "Green", "1",
        ]  # fmt: skip


class TestJoinedOutlines:
    """One outline round two lesions of the other scan is split by a click, in whichever scan has it."""

    @pytest.fixture(params=["this scan", "the prior scan"])
    def joined(self, request, shared):
        from LiverLesionAILib.case.alignment import KeptAlignment
        from LiverLesionAILib.review.case_view import read_case
        from LiverLesionAILib.review.comparing import keep_alignment
        from LiverLesionAILib.volume.ct import Geometry
        from LiverLesionAILib.volume.point_map import PointMap

        desk = shared.fresh()
        arrays = [truth_array(), truth_array()]
        for array, apart in zip(arrays, (True, False), strict=True):
            array[array > 1000] = 1000
            array[6:12, 8:20, 8:16] = 1001
            array[6:12, 12:20, 16:26] = 1002 if apart else 1001
        if request.param == "the prior scan":
            arrays.reverse()
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
