"""Runs killed at random moments leave nothing half-written; the command that looks would find it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.fuzz import kills
from LiverLesionAILab.fuzz.kills import PanelStand, Stand, add_kills_arguments, run_kills
from LiverLesionAILib.support import part_folders
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.writing.case_folder import MARKER
from LiverLesionAILib.writing.nrrd import write_image

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_kills_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.slow
def test_a_handful_of_kills(slab, tmp_path: Path, capsys) -> None:
    """`liverlesionai kills` with count 100 is the whole of it."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    # What is killed and when matters here, not what is found.
    hu, grid = np.ascontiguousarray(slab.volume.hu_zyx[1:17, ::2, ::2]), slab.volume.geometry
    z_mm, y_mm, x_mm = grid.spacing_zyx_mm
    coarse = Geometry.make(hu.shape, (z_mm, 2 * y_mm, 2 * x_mm), tuple(grid.origin_lps))
    write_image(tmp_path / "ct.nrrd", hu, coarse)
    arguments = options(str(tmp_path / "ct.nrrd"), "--out", str(tmp_path / "out"), "--count", "3")
    assert run_kills(arguments) == 0, capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "kills.json").read_text())
    assert [kill["command"] for kill in told] == ["analyze", "batch", "panel"]
    assert not [kill for kill in told if kill["wrong"]]


HALF = """
import sys, time
from pathlib import Path
results = Path(sys.argv[1])
folder = results / "case"
folder.mkdir(exist_ok=True)
(folder / "masks.seg.nrrd").write_text("half")
(results / ".case.part-0123abcd").mkdir(exist_ok=True)
time.sleep(600)
"""

STUBBORN = """
import signal, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""


def once(monkeypatch: pytest.MonkeyPatch, stand: Stand, ready: Callable[[int], object]) -> None:
    """The stand's next moments count from when its process is so far; `ready` is given its number."""
    begin = type(stand)._start

    def start() -> subprocess.Popen[bytes]:
        process = begin(stand)
        end_s = time.monotonic() + 300  # bounds a hang
        while not ready(process.pid):
            assert time.monotonic() < end_s and process.poll() is None
            time.sleep(0.02)
        return process

    monkeypatch.setattr(stand, "_start", start)


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setattr(kills, "END_S", 300.0)
    (tmp_path / "ct.nrrd").touch()
    return Stand(tmp_path / "ct.nrrd", tmp_path / "out", "analyze", ())


def test_a_half_written_case_and_leftovers_are_found(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "out" / "results"
    stand._call = (sys.executable, "-c", HALF, str(results))
    once(monkeypatch, stand, lambda _: (results / ".case.part-0123abcd").exists())
    kill = stand.kill(signal.SIGTERM, 0.0)
    assert "case is not whole" in kill.wrong
    assert "left behind: .case.part-0123abcd" in kill.wrong


def test_a_process_that_runs_on_is_found(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    orphans = Stand._orphans
    monkeypatch.setattr(Stand, "_orphans", staticmethod(lambda group: orphans(group, 0.5)))
    stand._call = (sys.executable, "-c", STUBBORN)
    once(monkeypatch, stand, lambda pid: len(kills._group(pid)) == 2)
    kill = stand.kill(signal.SIGKILL, 0.0)
    assert len(kill.wrong) == 1
    assert kill.wrong[0].startswith("processes run on")


def test_an_earlier_case_that_goes_is_found(stand: Stand, tmp_path: Path) -> None:
    case = tmp_path / "out" / "results" / "case"
    case.mkdir()
    (case / MARKER).write_text(json.dumps({"files": []}))
    stand._call = (sys.executable, "-c", f"import shutil; shutil.rmtree({str(case)!r})")
    assert stand.kill(signal.SIGKILL, 300.0).wrong == ("the earlier case is gone",)


PANEL = """
import subprocess, sys, time
from pathlib import Path
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", worker.pid, flush=True)
Path(sys.argv[1], "half").mkdir()
sys.exit(worker.wait() and 3)
"""


def test_nothing_runs_on_when_the_kills_are_ended(stand: Stand) -> None:
    stand._call = (sys.executable, "-c", STUBBORN)
    process = stand._start()
    stand.end()
    assert process.poll() is not None and not Stand._orphans(process.pid, 60.0)


def test_what_a_panel_or_its_worker_leaves_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphans = Stand._orphans
    monkeypatch.setattr(Stand, "_orphans", staticmethod(lambda group: orphans(group, 0.5)))
    stand = PanelStand(tmp_path / "ct.nrrd", tmp_path / "out", "panel", ())
    results = tmp_path / "out" / "results"
    stand._call = (sys.executable, "-c", PANEL, str(results))
    once(monkeypatch, stand, lambda _: (results / "half").exists())
    kill = stand.kill(signal.SIGINT, 0.0)
    assert (kill.signal, kill.status) == ("SIGKILL of the worker", 3)
    assert kill.wrong == ("left behind: half", "not cleared by the next panel: half")
    (results / "half").rmdir()
    kill = stand.kill(signal.SIGKILL, 0.0)
    assert kill.status == -signal.SIGKILL
    assert kill.wrong[0].startswith("processes run on") and "not cleared" in kill.wrong[1]


def test_the_wait_before_the_last_run_is_long_enough() -> None:
    """The next run clears what is older than this; the command waits a second longer."""
    assert kills.YOUNG_S == part_folders.YOUNG_S <= 15
