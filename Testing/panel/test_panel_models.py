"""The panel's networks: what the manifest offers, the settings of a run, and a second phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.boxes_desk import boxes_desk
from support.desk import Desk, add_volume, truth_array

pytest.importorskip("PySide6")


@pytest.fixture(autouse=True)
def desktop():
    """The stand-in is there before anything of the panel is imported."""
    from support import slicer_desktop

    slicer_desktop.install()


@pytest.fixture(scope="module")
def shared():
    yield from boxes_desk()


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
        assert settings.faint_aside, "its slider lists"

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
