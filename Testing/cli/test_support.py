"""`support`: all that a report of a fault needs, and nothing of a patient."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib import __version__
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.main import main
from support.results import measured_result

LOG = """[INFO][Qt] 2026 loading Meier^Anna from C:/Users/meier/scan.dcm
Traceback (most recent call last):
  File "C:\\Users\\meier\\LiverLesionAI\\LiverLesionAILib\\reading\\slices.py", line 41, in slice_step
    raise InputError("Meier^Anna has one slice")
LiverLesionAILib.support.errors.InputError: Meier^Anna has one slice
  File "/opt/meier/LiverLesionAI/LiverLesionAILib/cli/main.py", line 7, in main
KeyError: 'Meier'
"""


def test_nothing_of_a_patient_gets_in(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "meier"
    folder.mkdir()
    lesions = tuple(replace(x, note="Meier") for x in measured_result().lesions)
    save_result(measured_result(case_name="Meier^Anna", messages=("of Meier",), lesions=lesions), folder)
    (tmp_path / "slicer.log").write_text(LOG)
    out = tmp_path / "report.txt"
    command = ["support", "--device", "cpu", "--case", str(folder), "--log", str(tmp_path / "slicer.log")]
    assert main([*command, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "meier" not in text.lower()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    there = json.loads(text)
    assert there["version"] == __version__
    assert there["packages"]["torch"]
    assert there["memory_gb"]["total"] > 0
    assert "CPU" in there["device"]
    assert there["case"]["lesions"] == 3
    assert there["case"]["models"] == {"sfan": "0123456789ab"}
    assert there["log"] == [
        "LiverLesionAILib/reading/slices.py:41 slice_step",
        "InputError",
        "LiverLesionAILib/cli/main.py:7 main",
        "KeyError",
    ]


def test_what_cannot_be_read_is_named(tmp_path: Path, capsys) -> None:
    for option in ("--case", "--log"):
        given = tmp_path / "nowhere"
        assert main(["support", "--device", "cpu", "--out", str(tmp_path / "r"), option, str(given)]) == 1
        assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
