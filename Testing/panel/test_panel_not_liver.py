"""Not liver: a finding that is gallbladder, stomach or bowel goes out of the lesions and of the liver.

Its reverse is painting into the liver. Every number follows, undo takes it back, a second analysis keeps it.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import Desk, add_volume

pytest.importorskip("slicer", reason="slicer-core is not installed")

VOXEL_ML = 2.5 * 1.5 * 1.5 / 1000


@pytest.fixture(scope="module")
def module_desk():
    made = Desk()
    yield made
    made.close()


@pytest.fixture
def desk(module_desk):
    """The panel with three lesions found, the Edit section closed."""
    desk = module_desk.fresh()
    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


def mask(desk: Desk, segment_id: str) -> np.ndarray:
    """A segment's voxels on the CT's grid."""
    from LiverLesionAILib.scene.ras import volume_geometry
    from LiverLesionAILib.scene.segments import read_mask

    geometry = volume_geometry(desk.panel.case.volume)
    found = read_mask(desk.panel.case.segmentation, segment_id, geometry)
    out = np.zeros(geometry.shape_zyx, bool)
    out[found.slices] = found.voxels_zyx
    return out


def liver(desk: Desk) -> np.ndarray:
    return mask(desk, desk.panel.case.liver_segment)


def table(desk: Desk) -> list[list[str]]:
    node = desk.panel.case.table.GetTable()
    columns = range(node.GetNumberOfColumns())
    return [[node.GetValue(row, k).ToString() for k in columns] for row in range(node.GetNumberOfRows())]


def numbers_are_those_of_the_masks(desk: Desk) -> None:
    """Table and headline say what is measured anew on what is drawn."""
    from LiverLesionAILib.review.reader_result import reader_result

    result = reader_result(desk.scene, desk.panel.case.volume)
    assert desk.panel.case.liver_ml == pytest.approx(result.liver_volume_ml, abs=1e-3)
    burden = 100 * sum(le.measurement.volume_ml for le in result.lesions) / result.liver_volume_ml
    assert f"Liver {result.liver_volume_ml:.0f} mL, {len(result.lesions)} lesion" in desk.ui.summaryLabel.text
    assert f"{burden:.1f} %" in desk.ui.summaryLabel.text
    node = desk.panel.case.table.GetTable()
    rows = {node.GetValueByName(k, "Lesion").ToInt(): k for k in range(node.GetNumberOfRows())}
    for lesion in result.lesions:
        for heading, value, digits in (
            ("Of liver [%]", lesion.measurement.percent_of_liver, 2),
            ("To surface [mm]", lesion.measurement.surface_distance_mm, 1),
            ("Volume [mL]", lesion.measurement.volume_ml, 2),
        ):
            told = node.GetValueByName(rows[lesion.number], heading).ToDouble()
            assert told == pytest.approx(value, abs=0.51 * 10**-digits), (lesion.number, heading)


def statuses(desk: Desk) -> list[str]:
    return [row.status_text for row in desk.panel.case.rows]


def test_it_goes_out_of_the_lesions_and_of_the_liver(desk):
    whole, found, before = liver(desk), mask(desk, "lesion_2"), desk.panel.case.liver_ml
    desk.choose(1)
    desk.click("notLiverButton")
    assert statuses(desk) == ["undecided", "not liver", "undecided"]
    assert found.any() and np.array_equal(liver(desk), whole & ~found)
    assert desk.panel.case.liver_ml == pytest.approx(before - found.sum() * VOXEL_ML, abs=1e-2)
    assert "2 lesions" in desk.ui.summaryLabel.text
    numbers_are_those_of_the_masks(desk)
    display = desk.panel.case.segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility("lesion_2"), "it is seen no more"
    assert display.GetSegmentOpacity2DFill(desk.panel.case.liver_segment) == pytest.approx(0.12)
    labels = desk.panel.case.marks.labels
    assert [labels.GetNthControlPointLabel(k) for k in range(labels.GetNumberOfControlPoints())] == ["1", "3"]


def test_the_distance_to_the_surface_follows(desk):
    """The finding lies beside another lesion: without it that one reaches the liver's edge."""
    from LiverLesionAILib.volume.crops import Mask

    voxels = np.zeros_like(liver(desk))
    voxels[6:9, 20:26, 28:33] = True
    desk.panel.reader.actions.use(desk.panel.case)
    new = desk.panel.reader.actions.add(Mask.of(voxels))
    desk.panel.refresh()

    def distance() -> float:
        node = desk.panel.case.table.GetTable()
        return node.GetValueByName(2, "To surface [mm]").ToDouble()

    assert distance() > 3.0
    desk.panel.select(new)
    desk.click("notLiverButton")
    assert distance() == pytest.approx(0.0, abs=1.6)
    numbers_are_those_of_the_masks(desk)


def test_it_is_one_step_to_undo(desk):
    whole, rows, cells = liver(desk), desk.panel.case.rows, table(desk)
    volume_ml = desk.panel.case.liver_ml
    desk.choose(0, 1)
    desk.click("notLiverButton")
    out = liver(desk)
    assert statuses(desk) == ["not liver", "not liver", "undecided"]
    assert "Undo: mark as not liver" in desk.ui.undoButton.toolTip
    desk.click("undoButton")
    assert np.array_equal(liver(desk), whole)
    assert [(row.segment_id, row.status_text) for row in desk.panel.case.rows] == [
        (row.segment_id, row.status_text) for row in rows
    ]
    assert table(desk) == cells and desk.panel.case.liver_ml == pytest.approx(volume_ml, abs=1e-3)
    assert not desk.ui.undoButton.enabled
    desk.click("redoButton")
    assert np.array_equal(liver(desk), out)
    numbers_are_those_of_the_masks(desk)


@pytest.mark.parametrize("way", ["again", "accept"])
def test_another_decision_gives_it_back_to_the_liver(desk, way):
    whole, volume_ml = liver(desk), desk.panel.case.liver_ml
    desk.choose(1)
    desk.click("notLiverButton")
    desk.choose(1)
    desk.click("notLiverButton" if way == "again" else "acceptButton")
    assert np.array_equal(liver(desk), whole)
    assert desk.panel.case.liver_ml == pytest.approx(volume_ml, abs=1e-3)
    assert statuses(desk)[1] == ("undecided" if way == "again" else "accepted")
    numbers_are_those_of_the_masks(desk)
    desk.analyze()
    assert "Liver" not in desk.message(), "the liver is the analysis' own again"


def test_a_second_analysis_keeps_it(desk):
    desk.choose(1)
    desk.click("notLiverButton")
    out, volume_ml = liver(desk), desk.panel.case.liver_ml
    for _ in range(2):
        desk.analyze()
        assert statuses(desk) == ["undecided", "not liver", "undecided"]
        assert np.array_equal(liver(desk), out)
        assert desk.panel.case.liver_ml == pytest.approx(volume_ml, abs=1e-3)
        numbers_are_those_of_the_masks(desk)


def test_the_report_says_so(desk):
    from LiverLesionAILib.review.reader_result import reader_result

    desk.choose(1)
    desk.click("notLiverButton")
    desk.choose(2)
    desk.click("rejectButton")
    result = reader_result(desk.scene, desk.panel.case.volume)
    assert [lesion.number for lesion in result.lesions] == [1]
    assert result.messages == (
        "Rejected by the reader and left out: Lesion 3 (Metastasis 0.80).",
        "Not liver, as the reader says, and taken out of it: Lesion 2 (Cyst 0.80).",
    )
    assert not result.liver_zyx[mask(desk, "lesion_2")].any()
    assert result.liver_zyx[mask(desk, "lesion_3")].all(), "what was rejected is liver"


def test_key_tooltip_filter_and_icon(desk):
    import qt
    from LiverLesionAILib.panel.choices import StatusFilter
    from LiverLesionAILib.panel.findings.findings_model import STATUS

    assert "(G)" in desk.ui.notLiverButton.toolTip and "bowel" in desk.ui.notLiverButton.toolTip
    assert not desk.ui.notLiverButton.icon.isNull()
    desk.choose()
    assert not desk.ui.notLiverButton.enabled
    desk.choose(1)
    desk.panel.reader.keys()["G"]()
    desk.turn()
    assert statuses(desk)[1] == "not liver"
    model = desk.ui.findingsTable.model()
    icons = [model.data(model.index(row, STATUS), qt.Qt.DecorationRole).cacheKey() for row in range(3)]
    assert icons[0] == icons[2] != icons[1]
    desk.panel.parameters.statusFilter = StatusFilter.NOT_LIVER
    desk.turn()
    assert model.rowCount() == 1 and desk.cell(0, 0) == "2"
    desk.panel.parameters.statusFilter = StatusFilter.ALL
    desk.turn()


def test_the_liver_is_never_taken_away_whole(desk):
    from LiverLesionAILib.support.errors import InputError
    from LiverLesionAILib.volume.crops import Mask

    actions = desk.panel.reader.actions
    actions.use(desk.panel.case)
    new = actions.add(Mask.of(liver(desk)))
    desk.panel.refresh()
    actions.use(desk.panel.case)
    before = liver(desk)
    from LiverLesionAILib.case.findings import LesionStatus

    with pytest.raises(InputError, match="Nothing would be left"):
        actions.set_status([new], LesionStatus.NOT_LIVER)
    assert np.array_equal(liver(desk), before)
    assert desk.panel.case.row(new).status is LesionStatus.UNDECIDED


def test_a_box_alone_takes_nothing_out_of_the_liver():
    from support.desk import five_lesions

    desk = Desk("boxes")
    try:
        add_volume("CT", five_lesions())
        desk.turn()
        desk.analyze()
        desk.ui.thresholdSlider.value = 0.3
        desk.turn()
        whole = liver(desk)
        boxed = next(k for k, row in enumerate(desk.panel.case.rows) if row.box_only)
        desk.choose(boxed)
        desk.click("notLiverButton")
        assert statuses(desk)[boxed] == "not liver"
        assert np.array_equal(liver(desk), whole)
        desk.click("undoButton")
        assert statuses(desk)[boxed] == "undecided"
    finally:
        desk.close()


def test_painting_into_the_liver(desk):
    import slicer
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry

    desk.ui.editSection.click()
    desk.choose(0)
    desk.click("paintLiverButton")
    editor, case = desk.panel.edit.editor, desk.panel.case
    assert editor.currentSegmentID() == case.liver_segment
    assert editor.activeEffect().name == "Paint"
    assert desk.panel.selection() == [] and desk.ui.editLabel.text == "Draw in Liver."
    whole, before, cells = liver(desk), case.liver_ml, table(desk)
    more = whole.copy()
    more[2:22, 4:36, 40:46] = True
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = labelmap(more, (0, 0, 0), volume_geometry(case.volume))
    assert logic.SetBinaryLabelmapToSegment(image, case.segmentation, case.liver_segment, logic.MODE_REPLACE)
    desk.until(lambda: desk.panel.case.liver_ml != before)
    assert desk.panel.case.liver_ml == pytest.approx(before + 20 * 32 * 6 * VOXEL_ML, abs=1e-2)
    numbers_are_those_of_the_masks(desk)
    assert table(desk) != cells
    desk.click("undoButton")
    assert np.array_equal(liver(desk), whole)
    assert table(desk) == cells
