"""No error on the console: Slicer's own views show a case while it comes and is worked on; VTK says nothing.

A red icon in the application's status bar is such a line. What costs.md saw: display pipelines without data.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trame_slicer", reason="trame-slicer is not installed")

TESTING = Path(__file__).resolve().parents[1]
STEPS = (
    "nothing found",
    "first result",
    "second result",
    "select",
    "switched off",
    "map",
    "reject",
    "delete",
)


def test_nothing_is_written_on_the_console(tmp_path):
    path = os.pathsep.join([str(TESTING.parent / "LiverLesionAI"), str(TESTING)])
    done = subprocess.run(
        [sys.executable, str(TESTING / "support" / "live_views.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    text = re.sub(r"0x[0-9a-f]+", "", (tmp_path / "console.txt").read_text())
    lines = [line for line in text.splitlines() if line.strip()]
    # What these views say of every volume that they are given, the plain CT first, is not ours.
    before, ours = set(lines[: lines.index("-- CT")]), lines[lines.index("-- CT") + 1 :]
    assert not any("input data" in line for line in before)
    assert [line for line in ours if not line.startswith("-- ") and line not in before] == []
    assert ours[-1] == "-- end"
    for step in STEPS:
        assert any(line.startswith(f"-- {step}") for line in ours), step
