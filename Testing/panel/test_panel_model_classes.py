"""The model's classes in the panel, the reader's beside them, and the contrast phase; as reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.boxes_desk import boxes_desk, five_found, row

pytest.importorskip("PySide6")


@pytest.fixture(scope="module")
def shared():
    yield from boxes_desk()


@pytest.fixture
def case(desk, monkeypatch):
    return five_found(desk, monkeypatch)


class TestClasses:
    def test_the_models_classes_are_shown_as_bars(self, case):
        case.choose(3)
        text = case.ui.detailLabel.text
        assert case.ui.detailLabel.visible
        assert "indeterminate" in text and "unlike the classes" in text
        widths = [int(part.split('"')[0]) for part in text.split('<td width="')[1:]][::2]
        assert widths == [49, 46, 28, 14, 3]
        order = [text.index(name + "&nbsp;") for name in ("HCC", "HEM", "FNH", "CYST", "Normal")]
        assert order == sorted(order)
        assert case.cell(3, 1) == "indet."
        assert case.cell(3, 2) == "0.50"

    def test_no_class_is_cut_off_in_the_narrow_panel(self, case):
        """With the column of how sure it is, as bundled networks have it: "meta..." had stood there."""
        from LiverLesionAILib.case.classes import LesionClass
        from LiverLesionAILib.panel.findings.findings_model import CLASS, SURE

        table = case.ui.findingsTable
        table.setColumnHidden(SURE, False)
        case.turn()
        metrics = table.fontMetrics()
        margins = table.sizeHintForColumn(CLASS) - metrics.horizontalAdvance("indet.")
        for known in LesionClass:
            wanted = metrics.horizontalAdvance(known.short) + margins
            assert wanted <= table.columnWidth(CLASS), known.short

    def test_nor_beside_the_column_of_segments_and_nothing_lies_beyond_the_edge(self, case):
        """Three segments of a lesion had pushed themselves and the status out of the table."""
        from LiverLesionAILib.case.anatomy import CouinaudSegment, LesionAnatomy, SegmentShare
        from LiverLesionAILib.case.classes import LesionClass
        from LiverLesionAILib.panel.findings import findings_model as model

        table, panel = case.ui.findingsTable, case.panel.findings
        assert table.isColumnHidden(model.SEGMENTS) and not table.isColumnHidden(model.HU)
        lies_in = (CouinaudSegment.VIII, CouinaudSegment.IVA, CouinaudSegment.IVB)
        place = LesionAnatomy(tuple(map(SegmentShare, lies_in, (0.5, 0.3, 0.2))))
        rows = [replace(row, anatomy=place, probability=0.97) for row in case.panel.case.rows]
        panel.show(replace(case.panel.case, rows=tuple(rows)))
        case.turn()
        assert case.cell(0, model.SEGMENTS) == "VIII+2" and "VIII (50 %)" in model.row_tip(rows[0])
        assert table.isColumnHidden(model.HU) and "mean 1001 HU" in model.row_tip(rows[0])
        metrics = table.fontMetrics()
        margins = table.sizeHintForColumn(model.CLASS) - metrics.horizontalAdvance("indet.")
        for known in LesionClass:
            assert metrics.horizontalAdvance(known.short) + margins <= table.columnWidth(model.CLASS)
        shown = [k for k in range(len(model.COLUMNS)) if not table.isColumnHidden(k)]
        assert sum(map(table.columnWidth, shown)) <= table.width, "nothing has to be scrolled sideways"

    def test_the_readers_class_is_kept_apart(self, case):
        case.choose(3)
        case.panel.reader.choose_class()
        actions = {action.text: action for action in case.panel.reader._class_menu.actions()}
        assert "HEM" in actions
        actions["Haemangioma"].trigger()
        case.turn()
        now = row(case, 4)
        assert (now.shown_class, now.model_class) == ("Haemangioma", "indeterminate")
        assert now.class_probabilities["HCC"] == pytest.approx(0.35)
        assert "Your class: <b>Haemangioma</b>" in case.ui.detailLabel.text
        assert "indeterminate" in case.ui.detailLabel.text
        assert case.cell(3, 1) == "Haem."
        from LiverLesionAILib.scene.show import read_back

        lesion = read_back(case.panel.case.segmentation, case.panel.case.volume).lesions[3]
        assert (lesion.model_class, lesion.reader_class) == ("indeterminate", "Haemangioma")
        case.analyze()
        assert row(case, 4).reader_class == "Haemangioma"
        case.choose(3)
        case.panel.reader.choose_class()
        actions = {action.text: action for action in case.panel.reader._class_menu.actions()}
        actions["Back to the model's class (indeterminate)"].trigger()
        case.turn()
        assert row(case, 4).shown_class == "indeterminate"
        case.click("undoButton")
        assert row(case, 4).shown_class == "Haemangioma"


def test_the_phase_is_shown_with_its_warning(case):
    assert case.ui.notesButton.visible and not case.ui.notesLabel.visible, "the rest is a click away"
    case.click("notesButton")
    assert case.ui.notesLabel.visible
    assert "Portal venous phase (0.83). The classes were learned in the arterial" in case.ui.notesLabel.text
    case.click("notesButton")
    assert not case.ui.notesLabel.visible


def test_the_report_has_the_readers_class_beside_the_models(case, tmp_path):
    """CSV, JSON, the scene's table, and a scene saved and loaded."""
    import csv
    import json

    import slicer

    case.panel.reader.set_class("lesion_1", "FNH")
    case.panel.reader.set_class("box:5", "Cyst")
    case.choose(1)
    case.click("rejectButton")
    volume = case.panel.case.volume
    listed, structured = case.module.LiverLesionAILogic().writeReport(volume, tmp_path)
    lines = list(csv.DictReader(listed.read_text("utf-8-sig").splitlines()))
    assert [(x["Number"], x["Class"], x["Reader class"]) for x in lines[:-1]] == [
        ("1", "HCC", "FNH"),
        ("3", "Metastasis", ""),
        ("4", "indeterminate", ""),
        ("5", "Cyst", "Cyst"),
    ]
    assert {(x["Contrast phase"], x["Phase probability"]) for x in lines} == {("portal venous", "0.83")}
    assert "Rejected by the reader and left out: Lesion 2" in lines[-1]["Notes"]
    assert "learned in the arterial phase" in lines[-1]["Notes"]
    assert lines[3]["Volume (mL)"] == ""
    for line, number in zip(lines[:3], (1, 3, 4), strict=True):
        assert float(line["Volume (mL)"]) == pytest.approx(row(case, number).measurement.volume_ml, abs=0.006)
        assert float(line["Long axis (mm)"]) == pytest.approx(
            row(case, number).measurement.long_axis_mm, abs=0.06
        )
    told = json.loads(structured.read_text("utf-8"))
    assert told["contrast_phase"] == {
        "name": "portal venous",
        "probability": 0.83,
        "warning": "The classes were learned in the arterial phase.",
    }
    assert [x["reader_class"] for x in told["lesions"]] == ["FNH", None, None, "Cyst"]
    table = case.panel.case.table.GetTable()
    assert [table.GetValueByName(0, name).ToString() for name in ("Class", "Reader class")] == ["HCC", "FNH"]
    assert table.GetValueByName(0, "Class probability").ToDouble() == pytest.approx(0.8)
    # What was reported is a result like any other: shown in another scene it says the same.
    from LiverLesionAILib.review.reader_result import reader_result
    from LiverLesionAILib.scene.offline import new_scene
    from LiverLesionAILib.scene.show import apply_result

    again = apply_result(new_scene(), reader_result(slicer.mrmlScene, volume))
    segment = again.segmentation.GetSegmentation().GetSegment(again.segment_ids[1])
    assert segment.GetName() == "Lesion 1 (FNH)"
    assert again.table.GetTable().GetValueByName(0, "Reader class").ToString() == "FNH"
    assert again.table.GetDescription().startswith("Portal venous phase (0.83).")
