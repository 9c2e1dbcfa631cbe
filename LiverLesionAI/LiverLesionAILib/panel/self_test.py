"""The module's self-test: the panel clicked through, with real inference on the sample case.

Runs in the application ("Reload and Test", Self Tests, --testing without a main window) and without it in the
stand-in. What cannot run says why: PyTorch is not installed, or this checkout has no weights.
"""

from __future__ import annotations

import html
import logging
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..support.errors import ModelError
from .run.sample_case import FOLLOW_UP_NAME
from .run.torch_install import torch_is_there

TIMEOUT_S = 600.0
SMALLEST_LIVER_DICE = 0.85
MOST_MISSED = 1

log = logging.getLogger(__name__)


def test_names(test: unittest.TestCase) -> list[str]:
    """The test's methods in order of name."""
    return sorted(name for name in dir(test) if name.startswith("test_"))


def run_all(test: Any) -> None:
    """What "Reload and Test" calls: every test method; a skipped one is told, not failed."""
    for name in test_names(test):
        test.setUp()
        try:
            getattr(test, name)()
            test.delayDisplay(f"{name}: passed")
        except unittest.SkipTest as reason:
            log.warning("%s: skipped: %s", name, reason)
            test.delayDisplay(f"{name}: skipped: {reason}")
        finally:
            test.tearDown()


def open_panel() -> Any:
    """The module's widget, opened."""
    made = slicer.util.getModuleWidget("LiverLesionAI")
    # After a reload that is the one that was cleaned up; the new one is told here.
    widget = getattr(slicer.modules, "LiverLesionAIWidget", None) or made
    if not widget.panel.entered:
        widget.enter()
    slicer.app.processEvents()
    return widget


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Let the application run until `condition` holds."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise AssertionError(f"{what} took longer than {timeout_s:.0f} s")
        slicer.app.processEvents()
        time.sleep(0.01)
    slicer.app.processEvents()


def idle(widget: Any) -> bool:
    """Whether nothing is analysed and nothing waits."""
    return widget.panel.queue.current is None and not widget.panel.queue.waiting


def opens_empty(test: Any) -> None:
    """An empty scene: the panel says what to do, and Analyze starts nothing."""
    widget = open_panel()
    test.assertTrue(idle(widget))
    test.assertEqual(widget.ui.findingsTable.model().rowCount(), 0)
    if widget.ui.analyzeButton.enabled:
        widget.ui.analyzeButton.click()
        test.assertIn("Load a CT", widget.ui.messageLabel.text)
    test.assertTrue(idle(widget))


def skip_without_networks() -> None:
    """What needs inference cannot run without PyTorch or without weights."""
    if not torch_is_there():
        raise unittest.SkipTest("PyTorch is not installed; the panel's button installs it")
    from ..models.weights import ModelStore

    try:
        entries = ModelStore.bundled().manifest.entries
    except ModelError as error:
        raise unittest.SkipTest(str(error)) from error
    if not entries:
        raise unittest.SkipTest("no weights are bundled")


def five_clicks(test: Any) -> None:
    """Sample, Analyze, a row, Accept: real inference, compared with the sample's truth."""
    skip_without_networks()
    widget = open_panel()
    test.delayDisplay("Loading the sample case")
    widget.ui.sampleButton.click()
    volume = widget.ui.inputSelector.currentNode()
    test.assertIsNotNone(volume, widget.ui.messageLabel.text)
    test.delayDisplay("Analyzing it")
    widget.ui.analyzeButton.click()
    wait_until(lambda: idle(widget), TIMEOUT_S, "the analysis")
    compare_with_truth(test, widget)
    widget.ui.nextButton.click()
    widget.ui.acceptButton.click()
    slicer.app.processEvents()
    test.assertEqual([row.status.value for row in widget.panel.case.rows].count("accepted"), 1)
    test.delayDisplay(f"Found: {widget.ui.summaryLabel.text}")
    segments_follow_a_landmark(test, widget)


def segments_follow_a_landmark(test: Any, widget: Any) -> None:
    """Vessels and segments of what was analysed fill the liver, or the panel says why there are none."""
    shown, ui = widget.panel.anatomy, widget.ui
    test.delayDisplay("Looking for vessels and segments")
    ui.anatomyButton.click()
    wait_until(lambda: idle(widget), TIMEOUT_S, "the search for vessels")
    case = widget.panel.case
    test.assertIsNotNone(case.anatomy, ui.messageLabel.text)
    first = shown.anatomy.cut(case)
    if not first.anatomy.has_segments:
        test.assertTrue(first.anatomy.messages)
        test.assertIn(html.escape(first.anatomy.messages[0]), ui.anatomyLabel.text)
        test.delayDisplay(f"No segments: {first.anatomy.messages[0]}")
        return
    test.assertTrue(np.array_equal(first.anatomy.segments_zyx > 0, first.liver_zyx))
    # A point is put elsewhere, and back by undo.
    points = case.anatomy.landmarks
    x, y, z = points.GetNthControlPointPosition(0)
    points.SetNthControlPointPosition(0, x + 20.0, y, z)
    wait_until(lambda: "landmark" in ui.undoButton.toolTip, TIMEOUT_S, "the segments to follow")
    moved = shown.anatomy.cut(widget.panel.case).anatomy.segments_zyx
    test.assertFalse(np.array_equal(moved, first.anatomy.segments_zyx))
    ui.undoButton.click()
    slicer.app.processEvents()
    back = shown.anatomy.cut(widget.panel.case).anatomy.segments_zyx
    test.assertTrue(np.array_equal(back, first.anatomy.segments_zyx))
    test.delayDisplay("Segments follow a landmark, and its undo")


def compare_with_truth(test: Any, widget: Any) -> None:
    """The findings in the scene against the sample case's known liver and lesions."""
    from ..case.sample import load_sample
    from ..scene.show import read_back
    from ..volume.overlap import dice

    case = widget.panel.case
    test.assertIsNotNone(case.segmentation, widget.ui.messageLabel.text)
    found = read_back(case.segmentation, case.volume)
    truth = load_sample()
    liver_dice = dice(found.liver_zyx, truth.liver_zyx)
    test.assertGreater(liver_dice, SMALLEST_LIVER_DICE)
    numbers = np.unique(truth.lesion_labels_zyx[truth.lesion_labels_zyx > 0])
    hit = [n for n in numbers if (found.lesion_labels_zyx[truth.lesion_labels_zyx == n] > 0).any()]
    test.assertGreaterEqual(len(hit), len(numbers) - MOST_MISSED)
    log.info("Sample case: liver Dice %.3f, %d of %d lesions found", liver_dice, len(hit), len(numbers))


def follow_up_story(test: Any) -> None:
    """The sample and its follow-up: both analyzed, blended, a pair corrected, undone, confirmed, kept."""
    skip_without_networks()
    widget = open_panel()
    shown, ui = widget.panel.follow_up, widget.ui
    test.delayDisplay("Loading the sample case and its follow-up")
    widget.panel.prior.open_sample()
    slicer.app.processEvents()
    test.delayDisplay("Analyzing both")
    ui.analyzeButton.click()
    wait_until(lambda: idle(widget), TIMEOUT_S, "the analysis of both scans")
    test.assertIsNotNone(shown.compared, ui.messageLabel.text)
    test.assertEqual(shown.compared.followup.failed, "")
    test.assertEqual(shown.compared.followup.days, 91)
    first = pair_states(shown)
    test.assertIn("grown", first.values())
    test.assertIn("provisional", ui.recistLabel.text)
    # The prior over the scan, mixed in or left of a divider, and away again.
    for button, swipe in ((ui.blendButton, False), (ui.swipeButton, True)):
        for over in (True, False):
            button.checked = over
            slicer.app.processEvents()
            test.assertEqual((shown.over.blend.active, shown.over.blend.swiping), (over, over and swipe))
    new = next(pair for pair, state in first.items() if state == "new")
    gone = next(pair for pair, state in first.items() if state == "gone")
    # Linked by the menu, and back.
    choose_pair(shown, new)
    shown.link(gone[0][0])
    slicer.app.processEvents()
    test.assertIn((gone[0], new[1]), pair_states(shown))
    ui.undoButton.click()
    slicer.app.processEvents()
    test.assertEqual(pair_states(shown), first)
    answer_proposals(test, shown, ui)
    test.assertEqual(pair_states(shown)[new], "new")
    test.assertEqual(pair_states(shown)[gone], "gone")
    test.assertNotIn("not confirmed", ui.recistLabel.text)
    # Kept with the scene: read anew it is the same.
    kept = (pair_states(shown), shown.compared.words.text, shown.compared.response)
    reload_scene(widget)
    wait_until(lambda: shown.compared is not None, TIMEOUT_S, "the scene that was read again")
    test.assertEqual((pair_states(shown), shown.compared.words.text, shown.compared.response), kept)
    test.delayDisplay(f"Follow-up: {', '.join(sorted(kept[0].values()))}")


def answer_proposals(test: Any, shown: Any, ui: Any) -> None:
    """Confirm every proposal; of what is faint in one scan the reader says that it is not there."""
    for _ in range(len(pair_states(shown))):
        open_ones = [pair for pair in shown.compared.followup.pairs if pair.proposed]
        if not open_ones:
            break
        choose_pair(shown, (open_ones[0].prior, open_ones[0].current))
        (ui.unlinkButton if open_ones[0].state.value.startswith("faint") else ui.confirmButton).click()
        slicer.app.processEvents()
    test.assertFalse([pair for pair in shown.compared.followup.pairs if pair.proposed])


def pair_states(shown: Any) -> dict[tuple[tuple[int, ...], tuple[int, ...]], str]:
    """(Numbers before, numbers now) -> state."""
    return {(p.prior, p.current): p.state.value for p in shown.compared.followup.pairs}


def choose_pair(shown: Any, wanted: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Select a row of the follow-up table."""
    model = shown.model
    rows = [(model.pair(row).prior, model.pair(row).current) for row in range(model.rowCount())]
    slicer.util.getModuleWidget("LiverLesionAI").ui.pairTable.selectRow(rows.index(wanted))
    slicer.app.processEvents()


def reload_scene(widget: Any) -> None:
    """Save the scene, close it, read it again, and choose the follow-up as before."""
    with tempfile.TemporaryDirectory() as folder:
        scene = slicer.mrmlScene
        scene.SaveSceneToSlicerDataBundleDirectory(folder)
        scene.Clear(False)
        slicer.app.processEvents()
        scene.SetURL(str(next(Path(folder).glob("*.mrml"))))
        scene.Import()
        slicer.app.processEvents()
    widget.panel.parameters.inputVolume = slicer.mrmlScene.GetFirstNodeByName(FOLLOW_UP_NAME)
    slicer.app.processEvents()
