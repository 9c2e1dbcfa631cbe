"""The module's own self-test, run in the stand-in by both of its ways in."""

from __future__ import annotations

import importlib
import sys
import unittest
from types import SimpleNamespace

import numpy as np
import pytest
from support.desk import Desk, add_volume, five_lesions, truth_array
from support.follow_up_desk import follow_up_array


@pytest.fixture
def module():
    """The module as the application has it: opened, with the product's own worker."""
    desk = Desk(None)
    yield desk.module
    desk.close()


@pytest.mark.slow
def test_unittest_runs_every_method(module, slab, monkeypatch):
    """With real inference by the product's worker, on a part of the sample."""
    monkeypatch.setattr("LiverLesionAILib.case.sample.load_sample", lambda: slab)
    monkeypatch.setattr("LiverLesionAILib.panel.run.sample_case.load_sample", lambda: slab)
    # That story is told below with scripted results: two more analyses would take too long here.
    monkeypatch.delattr(module.LiverLesionAITest, "test_3_theFollowUpOfTheSampleIsComparedCorrectedAndKept")
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(module.LiverLesionAITest)
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun >= 2
    assert not result.failures, result.failures[0][1]
    assert not result.errors, result.errors[0][1]


def test_run_test_runs_what_unittest_runs(module, monkeypatch):
    called = []
    for name in [name for name in dir(module.LiverLesionAITest) if name.startswith("test_")]:
        monkeypatch.setattr(module.LiverLesionAITest, name, lambda self, name=name: called.append(name))
    test = module.LiverLesionAITest()
    test.runTest()
    assert len(called) >= 2
    assert called == sorted(called)


def test_a_failure_is_a_failure(module, monkeypatch):
    monkeypatch.setattr(
        module.LiverLesionAITest, "test_1_anEmptySceneSaysWhatToDo", lambda self: self.fail("no")
    )
    with pytest.raises(AssertionError, match="no"):
        module.LiverLesionAITest().runTest()


@pytest.mark.parametrize(("mode", "passes"), [("sample truth", True), ("sample without lesions", False)])
def test_the_comparison_with_the_truth_can_fail(mode, passes, monkeypatch):
    """The five clicks with a worker that gives the sample's truth, and with one that misses every lesion."""
    from LiverLesionAILib.models.weights import Manifest, ModelStore

    monkeypatch.setattr(ModelStore, "bundled", lambda: ModelStore(Manifest(None, ("a model",))))
    from LiverLesionAILib.case import sample
    from LiverLesionAILib.volume.ct import CtVolume, Geometry

    array = five_lesions()
    volume = CtVolume(array, Geometry.make(array.shape, (2.5, 1.4, 1.4)), "sample")
    lesions = np.where(array > 1000, array - 1000, 0).astype(np.uint16)
    small = sample.SampleCase(volume, array >= 1000, lesions)
    monkeypatch.setattr(sample, "load_sample", lambda: small)
    desk = Desk(mode)
    monkeypatch.setattr("LiverLesionAILib.panel.run.sample_case.load_sample", lambda: small)
    try:
        test = desk.module.LiverLesionAITest("test_2_theSampleCaseIsFoundAndMatchesItsTruth")
        result = unittest.TestResult()
        test.run(result)
        assert not result.skipped
        assert not result.errors, result.errors[0][1]
        assert bool(result.failures) is not passes, result.failures
    finally:
        desk.close()


def test_the_follow_up_story_is_told_from_end_to_end(monkeypatch):
    """With two small scans that carry their truth, and the real registration."""
    from datetime import date

    from LiverLesionAILib.case.sample import SampleCase
    from LiverLesionAILib.models.weights import Manifest, ModelStore
    from LiverLesionAILib.volume.ct import CtVolume, Geometry

    arrays = truth_array(), follow_up_array()
    cases = [
        SampleCase(CtVolume(a, Geometry.make(a.shape, (2.5, 1.5, 1.5)), "sample"), a >= 1000, a * 0)
        for a in arrays
    ]
    both = SimpleNamespace(
        prior=cases[0], current=cases[1], changes=SimpleNamespace(days=(date(2026, 1, 12), date(2026, 4, 13)))
    )
    monkeypatch.setattr(ModelStore, "bundled", lambda: ModelStore(Manifest(None, ("a model",))))
    desk = Desk("truth")
    monkeypatch.setattr("LiverLesionAILib.panel.run.sample_case.load_follow_up", lambda: both)
    try:
        name = "test_3_theFollowUpOfTheSampleIsComparedCorrectedAndKept"
        result = unittest.TestResult()
        desk.module.LiverLesionAITest(name).run(result)
        assert not result.skipped
        assert not result.errors, result.errors[0][1]
        assert not result.failures, result.failures[0][1]
    finally:
        desk.close()


def assert_lets_go(panel) -> None:
    """A panel that was cleaned up observes nothing, has no process, and no timer that runs."""
    assert panel.Observations == []
    assert panel.edit._observed is None
    assert panel.edit.editor is None
    assert panel.parameters is None
    assert not panel.queue._client.running
    assert not panel.queue._timer.active
    assert not panel.edit._timer.active
    assert not panel._pulse.active
    assert not panel._shortcuts._made


def test_leaving_and_closing_let_go_of_everything():
    desk = Desk("slow")
    add_volume("CT")
    desk.turn()
    panel = desk.panel
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Locate" in desk.ui.stageLabel.text)
    desk.click("addButton")
    desk.close()
    assert_lets_go(panel)


@pytest.fixture
def library():
    """What is loaded of the library comes back as it was."""
    Desk("truth").close()
    was = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "LiverLesionAILib"}
    yield was
    for name in [name for name in sys.modules if name.split(".")[0] == "LiverLesionAILib"]:
        del sys.modules[name]
    sys.modules.update(was)
    importlib.reload(sys.modules["LiverLesionAI"])


def test_reload_reads_the_library_anew_and_goes_on_with_the_scene(library):
    import slicer

    desk = Desk("truth")
    try:
        add_volume("CT")
        desk.turn()
        desk.analyze()
        desk.ui.editSection.click()
        desk.choose(0)
        old, window = desk.widget, desk.window
        listened = old.panel
        window.isEntered = True
        desk.widget.onReload()
        desk.widget = slicer.modules.LiverLesionAIWidget
        desk.turn(0.05)
        assert old.panel is None
        assert_lets_go(listened)
        assert desk.widget is not old
        assert type(desk.panel).__module__ == "LiverLesionAILib.panel.panel"
        assert sys.modules["LiverLesionAILib.panel.panel"] is not library["LiverLesionAILib.panel.panel"]
        # The new panel is bound to the scene, and the old one listens no more.
        assert desk.ui.findingsTable.model().rowCount() == 3
        assert desk.ui.inputSelector.currentNode().GetName() == "CT"
        desk.choose(0)
        desk.click("acceptButton")
        assert [row.status_text for row in desk.panel.case.rows] == ["accepted", "undecided", "undecided"]
        desk.scene.Clear(False)
        desk.turn(0.05)
        assert desk.ui.findingsTable.model().rowCount() == 0
        from LiverLesionAILib.panel.self_test import open_panel

        assert open_panel() is desk.widget
    finally:
        desk.close()
        del slicer.modules.LiverLesionAIWidget
