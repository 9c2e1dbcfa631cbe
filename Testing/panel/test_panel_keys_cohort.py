"""A cohort in the panel by keyboard alone: decisions are kept, and tomorrow it goes on where it was."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("slicer", reason="slicer-core is not installed")

from support.desk import Desk, _paths
from support.results import measured_result

# As `batch` does, in a process of its own.
BUNDLE = """
import sys
import numpy as np
from pathlib import Path
from LiverLesionAILib.scene.offline import case_scene, write_bundle
from LiverLesionAILib.volume.ct import CtVolume
from support.results import measured_result
result = measured_result()
hu_zyx = np.random.default_rng(0).normal(100, 10, result.geometry.shape_zyx).astype(np.int16)
scene, _ = case_scene(result, CtVolume(hu_zyx, result.geometry, "CT"))
write_bundle(scene, Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Three cases as `batch` leaves them, the second without a scene, and their summary."""
    from LiverLesionAILib.writing.case_folder import MARKER
    from LiverLesionAILib.writing.summary import write_summary
    from LiverLesionAILib.writing.tables import write_tables

    out = tmp_path_factory.mktemp("cohort") / "out"
    result = measured_result()
    for name in ("a", "b", "c"):
        (out / name).mkdir(parents=True)
        write_tables(result, out / name)
        (out / name / MARKER).write_text(json.dumps({"files": []}))
    bundle = out / "a" / "scene.mrb"
    environment = {**os.environ, "PYTHONPATH": _paths()}
    subprocess.run([sys.executable, "-c", BUNDLE, str(bundle)], env=environment, check=True)
    shutil.copy(out / "a" / "scene.mrb", out / "c" / "scene.mrb")
    write_summary(out, [{"case": name, "status": "done", "lesions": "3"} for name in "abc"])
    return out


@pytest.fixture
def out(desk: Desk, made: Path, tmp_path: Path) -> Path:
    """A folder of its own for a test, opened by the space bar."""
    out = Path(shutil.copytree(made, tmp_path / "out"))
    open_folder(desk, out)
    yield out
    desk.scene.Clear(False)


def open_folder(desk: Desk, out: Path) -> None:
    desk.window.activateWindow()
    desk.panel.cohort._choose = lambda parent, start: str(out)
    desk.ui.cohortSection.collapsed = False
    desk.turn(0.02)
    desk.ui.cohortOpenButton.setFocus()
    press(desk, "Space", desk.ui.cohortOpenButton)


def press(desk: Desk, key: str, widget=None) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QKeySequence
    from PySide6.QtTest import QTest

    combination = QKeySequence(key)[0]
    QTest.keyClick(widget or desk.ui.findingsTable, combination.key(), combination.keyboardModifiers())
    # Else Shift or Ctrl stays down for whoever asks the application, in the next file's desk too.
    QTest.keyRelease(widget or desk.ui.findingsTable, Qt.Key_Shift)
    desk.turn(0.01)


def statuses(desk: Desk) -> list[str]:
    return [row.status_text for row in desk.panel.case.rows]


def summary(out: Path) -> dict[str, dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_decisions_by_keyboard_are_kept_and_tomorrow_it_goes_on(desk: Desk, out: Path) -> None:
    assert desk.ui.cohortLabel.text == "a, 1 of 2; 0 reviewed", desk.message()
    untouched = (out / "a" / "scene.mrb").stat().st_mtime_ns
    for key in ("Shift+N", "Shift+P"):
        press(desk, key)
    assert (out / "a" / "scene.mrb").stat().st_mtime_ns == untouched, "looking at a case saves nothing"
    desk.ui.findingsTable.setFocus()
    for key in ("N", "A", "N", "X", "Shift+R", "Shift+N"):
        press(desk, key)
    assert desk.ui.cohortLabel.text == "c, 2 of 2; 1 reviewed", desk.message()
    assert statuses(desk) == ["undecided"] * 3
    assert not desk.ui.cohortReviewedBox.checked
    rows = summary(out)
    cells = ("reviewed", "accepted", "rejected", "lesions after review")
    assert [rows["a"][name] for name in cells] == ["yes", "1", "1", "2"]
    assert float(rows["a"]["tumour burden after review (%)"]) > 0
    assert [rows["c"][name] for name in cells] == [""] * 4
    press(desk, "N")
    press(desk, "X")
    press(desk, "Shift+N")
    assert summary(out)["c"]["rejected"] == "1"
    assert statuses(desk)[:2] == ["accepted", "rejected"], "round to the first case, with its decisions"
    press(desk, "Shift+P")
    desk.scene.Clear(False)
    desk.turn()
    assert desk.ui.cohortLabel.text == "No folder is open."

    open_folder(desk, out)
    assert desk.ui.cohortLabel.text == "c, 2 of 2; 1 reviewed"
    assert statuses(desk) == ["rejected", "undecided", "undecided"]
    press(desk, "Shift+R")
    assert "All cases" in desk.message()
    assert summary(out)["c"]["reviewed"] == "yes"


def test_what_cannot_be_saved_is_said_and_the_case_stays(desk: Desk, out: Path, monkeypatch) -> None:
    from LiverLesionAILib.panel.cohort import cohort_panel
    from LiverLesionAILib.support.errors import OutputError

    def full(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr(cohort_panel, "write_bundle", full)
    desk.ui.findingsTable.setFocus()
    for key in ("N", "A", "Shift+N"):
        press(desk, key)
    assert "the disk is full" in desk.message()
    assert desk.ui.cohortLabel.text.startswith("a, 1 of 2")
    assert statuses(desk)[0] == "accepted"
    monkeypatch.undo()
    press(desk, "Shift+N")
    assert summary(out)["a"]["accepted"] == "1"
    (out / "a" / "scene.mrb").write_bytes(b"damaged")
    press(desk, "Shift+N")
    assert "scene.mrb" in desk.message()


def test_another_scene_ends_the_cohort(desk: Desk, out: Path) -> None:
    desk.scene.Clear(False)
    desk.turn()
    press(desk, "Shift+N")
    assert desk.ui.cohortLabel.text == "No folder is open."


def test_no_cases_and_a_running_analysis_are_told(desk: Desk, out: Path, tmp_path: Path) -> None:
    busy = desk.panel.cohort._busy
    desk.panel.cohort._busy = lambda: True
    press(desk, "Shift+N")
    assert "analysis is running" in desk.message()
    desk.panel.cohort._busy = busy
    desk.panel.cohort._choose = lambda parent, start: str(tmp_path)
    desk.click("cohortOpenButton")
    assert "no case" in desk.message()
