"""The module's self-test: the panel clicked through, with real inference on the sample case.

Runs in the application ("Reload and Test", Self Tests, --testing without a main window) and without it in the
stand-in. What cannot run says why: PyTorch is not installed, or this checkout has no weights.
"""

from __future__ import annotations

import logging
import time
import unittest
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer

from ..support.errors import ModelError
from .run.torch_install import torch_is_there

TIMEOUT_S = 600.0
SMALLEST_LIVER_DICE = 0.85
FEWEST_FOUND = 4

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


def five_clicks(test: Any) -> None:
    """Sample, Analyze, a row, Accept: real inference, compared with the sample's truth."""
    if not torch_is_there():
        raise unittest.SkipTest("PyTorch is not installed; the panel's button installs it")
    from ..models.weights import ModelStore

    try:
        entries = ModelStore.bundled().manifest.entries
    except ModelError as error:
        raise unittest.SkipTest(str(error)) from error
    if not entries:
        raise unittest.SkipTest("no weights are bundled")
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
    test.assertGreaterEqual(len(hit), FEWEST_FOUND)
    log.info("Sample case: liver Dice %.3f, %d of %d lesions found", liver_dice, len(hit), len(numbers))
