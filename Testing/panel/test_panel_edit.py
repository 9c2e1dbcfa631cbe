"""Editing in the panel: what follows a stroke, how fast, overlapping lesions, the embedded Segment Editor."""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import Desk, add_volume, truth_array

pytest.importorskip("PySide6")


def mask(desk: Desk, segment_id: str) -> np.ndarray:
    """A segment's voxels on the CT's grid."""
    from LiverLesionAILib.scene.ras import volume_geometry
    from LiverLesionAILib.scene.segments import read_mask

    geometry = volume_geometry(desk.panel.case.volume)
    found = read_mask(desk.panel.case.segmentation, segment_id, geometry)
    out = np.zeros(geometry.shape_zyx, bool)
    out[found.slices] = found.voxels_zyx
    return out


def draw(desk: Desk, segment_id: str, voxels: np.ndarray) -> None:
    """Give a segment these voxels as an effect of the Segment Editor does, without overwriting others."""
    import slicer
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry
    from LiverLesionAILib.volume.crops import Mask

    node = desk.panel.case.segmentation
    crop = Mask.of(voxels)
    image = labelmap(crop.voxels_zyx, crop.start_zyx, volume_geometry(desk.panel.case.volume))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(image, node, segment_id, logic.MODE_REPLACE)


def erase(desk: Desk, segment_id: str) -> None:
    """Wipe over the whole lesion with Erase."""
    import slicer
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry

    geometry = volume_geometry(desk.panel.case.volume)
    everywhere = labelmap(np.zeros(geometry.shape_zyx, np.uint8), (0, 0, 0), geometry)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    node = desk.panel.case.segmentation
    assert logic.SetBinaryLabelmapToSegment(everywhere, node, segment_id, logic.MODE_MERGE_MIN)


def stroke(desk: Desk, segment_id: str, voxels: np.ndarray) -> None:
    """Draw, and let the panel follow."""
    before = desk.panel.case.row(segment_id).measurement.volume_ml
    draw(desk, segment_id, voxels)
    desk.until(lambda: desk.panel.case.row(segment_id).measurement.volume_ml != before, 30)


def opened(desk: Desk, row: int) -> Desk:
    """The Edit section opened on a lesion of an analysed case."""
    desk.analyze()
    desk.ui.editSection.click()
    desk.choose(row)
    return desk


def test_a_lesion_of_40_mm_is_followed(desk):
    """Table, box and diameters after each stroke, in a liver of 20 cm at 0.8 mm."""
    array = np.full((160, 280, 280), 40, np.int16)
    z, y, x = np.ogrid[:160, :280, :280]
    array[5:155, 15:265, 15:265] = 1000

    def ball(radius_mm: float) -> np.ndarray:
        return (1.25 * (z - 80)) ** 2 + (0.8 * (y - 140)) ** 2 + (0.8 * (x - 140)) ** 2 <= radius_mm**2

    array[ball(20.0)] = 1001
    add_volume("CT", array, (1.25, 0.8, 0.8))
    desk.turn()
    opened(desk, 0)
    assert desk.panel.case.rows[0].measurement.long_axis_mm == pytest.approx(40, abs=1.5)
    for radius in (21.0, 22.0, 23.0):
        stroke(desk, "lesion_1", ball(radius))
        row = desk.panel.case.row("lesion_1")
        assert row.measurement.volume_ml == pytest.approx(4.18879e-3 * radius**3, rel=0.02)
        desk.turn()
        box = desk.panel.case.marks.box
        assert max(box.GetSize()) == pytest.approx(2 * radius, abs=2.6)
        long_axis = desk.panel.case.marks.long_axis
        assert long_axis.GetMeasurement("length").GetValue() == pytest.approx(
            row.measurement.long_axis_mm, abs=0.1
        )
        assert desk.cell(0, 5) == f"{row.measurement.volume_ml:.1f}"


def test_overlapping_lesions_stay_apart(desk):
    add_volume("CT")
    desk.turn()
    opened(desk, 0)
    other = mask(desk, "lesion_2")
    both = mask(desk, "lesion_1") | other
    stroke(desk, "lesion_1", both)
    assert np.array_equal(mask(desk, "lesion_1"), both)
    assert np.array_equal(mask(desk, "lesion_2"), other)
    assert [row.status_text for row in desk.panel.case.rows] == ["edited", "undecided", "undecided"]
    desk.analyze()
    assert np.array_equal(mask(desk, "lesion_1"), both)
    import slicer

    editor = desk.panel.edit.editor.mrmlSegmentEditorNode()
    assert editor.GetOverwriteMode() == slicer.vtkMRMLSegmentEditorNode.OverwriteNone


def test_the_editor_offers_the_named_effects_on_the_ct(desk):
    add_volume("CT")
    desk.turn()
    opened(desk, 1)
    editor = desk.panel.edit.editor
    assert list(editor.effectNameOrder()) == [
        "Paint",
        "Erase",
        "Draw",
        "Level tracing",
        "Grow from seeds",
        "Smoothing",
        "Islands",
    ]
    assert set(editor.effectNameOrder()) <= set(editor.EFFECTS)
    assert not editor.unorderedEffectsVisible
    assert editor.sourceVolumeNode() is desk.panel.case.volume
    assert editor.currentSegmentID() == "lesion_2"
    editor.setActiveEffectByName("Paint")
    desk.widget.exit()
    assert editor.activeEffect() is None
    desk.widget.enter()


def test_two_strokes_are_two_steps(desk):
    add_volume("CT")
    desk.turn()
    opened(desk, 1)
    first = mask(desk, "lesion_2")
    second, third = first.copy(), first.copy()
    second[15:20, 16:18, 24:30] = True
    third[15:20, 16:20, 24:30] = True
    stroke(desk, "lesion_2", second)
    stroke(desk, "lesion_2", third)
    for expected in (second, first):
        desk.click("undoButton")
        assert np.array_equal(mask(desk, "lesion_2"), expected)
    assert desk.panel.case.row("lesion_2").status_text == "undecided"


def test_what_the_reader_added_survives_a_second_analysis(desk):
    from LiverLesionAILib.volume.crops import Mask

    add_volume("CT")
    desk.turn()
    desk.analyze()
    voxels = np.zeros(truth_array().shape, bool)
    voxels[12:16, 22:28, 10:18] = True
    desk.panel.reader.actions.use(desk.panel.case)
    new = desk.panel.reader.actions.add(Mask.of(voxels))
    desk.panel.refresh()
    desk.analyze()
    assert [row.status_text for row in desk.panel.case.rows] == [
        "undecided",
        "undecided",
        "undecided",
        "edited",
    ]
    assert np.array_equal(mask(desk, new), voxels)
    assert "Kept as you left them: Lesion 4" in desk.message()


def test_emptying_a_lesion_and_undo(desk):
    add_volume("CT")
    desk.turn()
    opened(desk, 2)
    before = mask(desk, "lesion_3")
    erase(desk, "lesion_3")
    desk.until(lambda: "no voxels left" in desk.message(), 5)
    assert [desk.cell(2, column) for column in (4, 5, 6)] == ["", "", ""]
    assert desk.panel.case.rows[2].place.box is None
    desk.click("undoButton")
    assert np.array_equal(mask(desk, "lesion_3"), before)
    assert desk.cell(2, 5) == "0.34"
    assert desk.panel.case.rows[2].place.box is not None


def test_the_table_follows_the_editors_own_list(desk):
    add_volume("CT")
    desk.turn()
    desk.analyze()
    desk.choose()
    desk.ui.editSection.click()
    desk.turn()
    editor = desk.panel.edit.editor
    # The real one chooses the first segment by itself, the liver: nothing may be drawn in it unasked.
    assert editor.currentSegmentID() == ""
    editor.setCurrentSegmentID("lesion_3")
    desk.turn(1.0)
    assert [row.segment_id for row in desk.panel.selection()] == ["lesion_3"]
    assert "Lesion 3" in desk.ui.editLabel.text
    editor.setCurrentSegmentID("liver")
    desk.turn(1.0)
    desk.panel.refresh()
    assert editor.currentSegmentID() == "liver"
    assert desk.panel.selection() == []
    assert desk.ui.editLabel.text == "Draw in Liver."
    desk.choose(1)
    assert editor.currentSegmentID() == "lesion_2"


def test_what_the_editor_chooses_by_itself_is_no_choice_of_the_readers(desk):
    """It does so when the current segment is taken out, or put back by undo."""
    add_volume("CT")
    desk.turn()
    opened(desk, 1)
    editor = desk.panel.edit.editor

    def settled() -> tuple[str, list[str]]:
        desk.turn(0.1)
        return editor.currentSegmentID(), [row.segment_id for row in desk.panel.selection()]

    first = mask(desk, "lesion_2")
    more = first.copy()
    more[15:20, 16:18, 24:30] = True
    stroke(desk, "lesion_2", more)
    desk.click("undoButton")
    assert settled() == ("lesion_2", ["lesion_2"])
    desk.choose(1, 2)
    desk.click("mergeButton")
    kept = [row.segment_id for row in desk.panel.selection()]
    assert len(kept) == 1
    assert settled() == (kept[0], kept)
    desk.analyze()
    assert settled()[1] == kept
    desk.click("deleteButton")
    assert settled() == ("", [])


def test_the_livers_volume_follows_its_outline(desk):
    add_volume("CT")
    desk.turn()
    desk.analyze()
    desk.choose()
    desk.ui.editSection.click()
    desk.panel.edit.editor.setCurrentSegmentID("liver")
    desk.turn(0.1)
    before, voxel_ml = desk.panel.case.liver_ml, 2.5 * 1.5 * 1.5 / 1000
    liver = mask(desk, "liver")
    assert before == pytest.approx(liver.sum() * voxel_ml, abs=0.01)
    more = liver.copy()
    more[0:2] = more[2]
    draw(desk, "liver", more)
    desk.until(lambda: desk.panel.case.liver_ml != before, 5)
    assert desk.panel.case.liver_ml == pytest.approx(more.sum() * voxel_ml, abs=0.01)
    assert f"Liver {desk.panel.case.liver_ml:.0f} mL" in desk.ui.summaryLabel.text
    desk.click("undoButton")
    assert desk.panel.case.liver_ml == pytest.approx(before)
    assert np.array_equal(mask(desk, "liver"), liver)


def test_the_editor_has_no_undo_and_no_surfaces_of_its_own(desk):
    """Its undo would bring back whole segmentations, past what the panel has done since."""
    add_volume("CT")
    desk.turn()
    opened(desk, 0)
    editor = desk.panel.edit.editor
    assert not editor.undoEnabled
    assert not editor.show3DButtonVisible
