"""The panel with detectors and classifiers.

What the manifest offers, boxes without a mask, classes, maps of single lesions, contrast phase.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.desk import Desk, add_volume, five_lesions, truth_array

pytest.importorskip("PySide6")


@pytest.fixture(autouse=True)
def desktop():
    """The stand-in is there before anything of the panel is imported."""
    from support import slicer_desktop

    slicer_desktop.install()


@pytest.fixture(scope="module")
def shared():
    made = Desk("boxes")
    yield made
    made.close()


@pytest.fixture
def case(desk, monkeypatch):
    """Five lesions: the fourth of no known class, the fifth with only a box and a score of 0.4."""
    from LiverLesionAILib.panel.findings import threshold_panel

    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda segmenter, _="": 0.3)
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    return desk


def more_models(*tasks: str):
    """The bundled manifest with made-up models for these tasks."""
    from LiverLesionAILib.models.weights import Manifest

    bundled = Manifest.read()
    first = bundled.of_task("segment")[0]
    extra = [
        replace(first, name=f"{task}_{k}", task=task, title=f"{task.upper()} {k}: for the test")
        for task in tasks
        for k in (1, 2)
    ]
    return Manifest(bundled.folder, (*bundled.of_task("locate"), first, *extra))


def row(desk: Desk, number: int):
    return next(row for row in desk.panel.case.rows if row.number == number)


def box_node(desk: Desk, number: int):
    """The one box that can be moved, which is round the selected lesion."""
    node = desk.panel.case.marks.box
    assert node.GetAttribute("LiverLesionAI.Segment") == row(desk, number).segment_id
    return node


def foreground(desk: Desk):
    composite = desk.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    return desk.scene.GetNodeByID(composite.GetForegroundVolumeID() or "none")


class TestModels:
    def test_only_what_the_manifest_has_is_offered(self, monkeypatch):
        from LiverLesionAILib.panel.run import model_panel

        manifest = more_models()
        monkeypatch.setattr(model_panel.Manifest, "read", lambda: manifest)
        desk = Desk()
        try:
            ui = desk.ui
            ui.advancedSection.collapsed = False
            desk.turn()
            assert [ui.segmenterSelector.itemText(k) for k in range(ui.segmenterSelector.count)] == ["SFAN"]
            for widget in (ui.findBoxesBox, ui.detectorSelector, ui.findClassesBox, ui.classifierSelector):
                assert not widget.visible
            settings = desk.panel.settings()
            assert settings["segmenter"] == "sfan"
            assert not {"detector", "classifier"} & set(settings)
        finally:
            desk.close()

    def test_more_models_bring_their_switches(self, monkeypatch):
        from LiverLesionAILib.panel.run import model_panel

        manifest = more_models("segment", "detect", "classify")
        monkeypatch.setattr(model_panel.Manifest, "read", lambda: manifest)
        desk = Desk()
        try:
            ui = desk.ui
            ui.advancedSection.collapsed = False
            desk.turn()
            assert ui.segmenterSelector.count == 3
            assert ui.findBoxesBox.visible and ui.classifierSelector.visible
            ui.segmenterSelector.currentIndex = 1
            ui.detectorSelector.currentIndex = 1
            ui.findClassesBox.click()
            desk.turn()
            settings = desk.panel.settings()
            assert settings["segmenter"] == "segment_1"
            assert settings["detector"] == "detect_2"
            assert settings["classifier"] is None
            assert not ui.classifierSelector.enabled
            desk.widget.exit()
            desk.widget.enter()
            desk.turn()
            assert desk.panel.settings() == settings
            assert ui.segmenterSelector.currentText == "SEGMENT 1"
        finally:
            desk.close()

    def test_advanced_settings_are_the_pipelines(self, desk):
        from LiverLesionAILib.analysis.settings import Settings

        desk.ui.precisionSelector.currentIndex = 1
        desk.ui.marginBox.value = 35.0
        desk.ui.smallestBox.value = 6.0
        desk.ui.pyramidBox.click()
        desk.turn()
        settings = Settings.from_json(desk.panel.settings())
        assert settings.precision == "float32"
        assert settings.margin_mm == 35.0
        assert settings.smallest_mm == 6.0
        assert settings.pyramid == (0.5, 1.0, 1.5)
        assert settings.segmenter == "sfan"

    def test_a_damaged_manifest_is_told(self, monkeypatch):
        from LiverLesionAILib.panel.run import model_panel
        from LiverLesionAILib.support.errors import ModelError

        def broken():
            raise ModelError("The list of models is damaged. Install the extension again.")

        monkeypatch.setattr(model_panel.Manifest, "read", broken)
        desk = Desk()
        try:
            add_volume()
            desk.turn()
            desk.ui.analyzeButton.click()
            assert "Install the extension again" in desk.message()
            assert desk.idle()
        finally:
            desk.close()


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
        assert case.panel.case.marks.labels.GetNumberOfControlPoints() == 3
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


class TestMaps:
    def test_maps_of_single_lesions_follow_the_selection(self, case):
        import slicer

        box = case.ui.mapSelector
        names = [box.itemText(k) for k in range(box.count)]
        assert names == ["tumour probability", "Grad-CAM", "Semantic gate", "liver probability"]
        case.ui.mapBox.checked = True
        box.currentIndex = 1
        case.choose()
        case.turn()
        assert foreground(case) is None
        assert "select a lesion" in case.ui.mapMeaning.text
        for row_index, number in ((0, 1), (2, 3), (4, 5)):
            case.choose(row_index)
            case.turn()
            shown = foreground(case)
            assert shown.GetAttribute("LiverLesionAI.Map") == "Grad-CAM"
            # The scripted map is 3 where its lesion is.
            truth = slicer.util.arrayFromVolume(case.panel.case.volume) == 1000 + number
            assert np.allclose(slicer.util.arrayFromVolume(shown), 3.0 * truth, atol=1e-3)
            assert "Range 0 to 3 logit" in case.ui.mapMeaning.text
        case.choose(3)
        case.turn()
        assert foreground(case) is None
        assert "There is none for Lesion 4" in case.ui.mapMeaning.text

    def test_the_numbers_beside_a_map_are_bars(self, case):
        assert not case.ui.mapBars.visible
        case.ui.mapSelector.currentIndex = 2
        case.turn()
        assert case.ui.mapSelector.currentText == "Semantic gate"
        assert case.ui.mapBars.visible
        text = case.ui.mapBars.text
        widths = [int(part.split('"')[0]) for part in text.split('<td width="')[1:]][::2]
        assert widths == [35, 70]
        assert text.index("level 1") < text.index("0.25") < text.index("level 2") < text.index("0.50")
        case.ui.overlaysSection.click()
        case.ui.overlaysSection.click()
        case.turn(0.02)
        assert case.ui.mapBars.visible
        case.ui.mapSelector.currentIndex = 0
        case.turn()
        assert not case.ui.mapBars.visible

    def test_the_legend_has_name_range_and_unit(self, case):
        import slicer

        case.ui.mapBox.checked = True
        case.ui.mapSelector.currentIndex = 1
        case.choose(0)
        case.turn()
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(foreground(case))
        assert legend.GetVisibility()
        assert legend.GetTitleText() == "Grad-CAM [logit]"
        display = foreground(case).GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 3.0)
        case.ui.legendBox.click()
        case.turn()
        assert not legend.GetVisibility()

    def test_a_faint_lesions_map_waits_for_it(self, case):
        case.ui.thresholdSlider.value = 0.6
        case.turn()
        case.analyze()
        case.ui.thresholdSlider.value = 0.3
        case.turn()
        case.ui.mapBox.checked = True
        case.ui.mapSelector.currentIndex = 1
        for index, now in enumerate(case.panel.case.rows):
            if now.model_class != "indeterminate":
                case.choose(index)
                case.turn()
                assert foreground(case).GetAttribute("LiverLesionAI.Segment") == now.segment_id

    def test_families(self):
        from LiverLesionAILib.case.description import map_family

        assert map_family("Grad-CAM, lesion 12") == "Grad-CAM"
        assert map_family("Grad-CAM (lesion 3)") == "Grad-CAM"
        assert map_family("Spatial attention of lesion 3") == "Spatial attention"
        assert map_family("Lesion attention") == "Lesion attention"


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


def test_a_report_before_the_analysis_is_refused(desk, tmp_path):
    from LiverLesionAILib.support.errors import InputError

    volume = add_volume("CT")
    desk.turn()
    with pytest.raises(InputError, match="Click Analyze"):
        desk.module.LiverLesionAILogic().writeReport(volume, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_findings_there_is_nothing_to_report(desk):
    add_volume("CT")
    desk.turn()
    assert not desk.ui.reportButton.enabled
    assert not desk.ui.copyTextButton.enabled
    assert desk.ui.importButton.enabled


def test_a_second_phase_goes_along_with_the_ct(desk):
    array = truth_array()
    add_volume("CT", array)
    late = add_volume("late", np.full((9, 12, 14), 77, np.int16))
    desk.turn()
    desk.ui.advancedSection.collapsed = False
    desk.turn()
    assert desk.ui.secondSelector.currentNode() is None
    desk.analyze()
    assert "Second phase" not in desk.ui.notesLabel.text
    desk.ui.secondSelector.setCurrentNode(late)
    desk.turn()
    desk.analyze()
    assert "Second phase late: (9, 12, 14), largest 77." in desk.ui.notesLabel.text
    # No classes, nothing to use it for.
    desk.ui.findClassesBox.click()
    desk.turn()
    assert not desk.ui.secondSelector.enabled
    desk.analyze()
    assert "Second phase" not in desk.ui.notesLabel.text


def test_a_ct_is_no_second_phase_of_itself(desk):
    first, second = add_volume("CT"), add_volume("late")
    desk.ui.inputSelector.setCurrentNode(first)
    desk.turn()
    hidden = desk.ui.secondSelector.sortFilterProxyModel().hiddenNodeIDs
    assert first.GetID() in hidden and second.GetID() not in hidden
    desk.ui.secondSelector.setCurrentNode(second)
    desk.turn()
    desk.ui.inputSelector.setCurrentNode(second)
    desk.turn()
    desk.analyze()
    assert "Second phase" not in desk.ui.notesLabel.text


def test_a_second_phase_that_is_deleted_while_its_case_waits_is_done_without():
    desk = Desk("steady")
    try:
        add_volume("one")
        two, late = add_volume("two"), add_volume("late")
        desk.turn()
        desk.panel.queue.add(desk.scene.GetFirstNodeByName("one"), desk.panel.settings())
        desk.panel.queue.add(two, desk.panel.settings(), late)
        desk.scene.RemoveNode(late)
        desk.until(desk.idle)
        desk.turn()
        assert "Second phase" not in desk.ui.notesLabel.text and "two" in desk.ui.logText.plainText
    finally:
        desk.close()
