"""Commands by themselves, without a network: what is printed, and how they end where something is amiss."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.cli import demo, info, main
from LiverLesionAILib.cli.prior import _lengths, _numbers
from LiverLesionAILib.cli.progress_bar import ProgressBar
from LiverLesionAILib.models import device
from support.case_factory import small_case


class TestDemo:
    """The sample's analysis is given; what is said of it is the command's."""

    @pytest.fixture
    def analysed(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """Every call for an analysis; of two lesions that are reported one is none, and one is missed."""
        volume, result = small_case()
        truth = np.where(result.lesion_labels_zyx == 2, 0, result.lesion_labels_zyx)
        truth[1:3, 18:21, 20:24] = 2
        sample = SampleCase(volume, result.liver_zyx, truth.astype(np.uint16))
        calls: list[dict[str, Any]] = []

        def analyse_into(job, ct, folder, progress, *_, priors=None):
            progress("segment", 0.5)
            calls.append({"ct": ct, "folder": folder, "priors": priors})
            return result, {"case.json": folder / "case.json"}, ["A remark."], {"segment": 1.5}

        pair = SimpleNamespace(
            prior=sample, current=sample, changes=SimpleNamespace(days=("2026-01-01", "2026-04-01"))
        )
        monkeypatch.setattr(demo, "analyse_into", analyse_into)
        monkeypatch.setattr(demo, "Job", SimpleNamespace(of=lambda args: None))
        monkeypatch.setattr("LiverLesionAILib.case.sample.load_sample", lambda: sample)
        monkeypatch.setattr("LiverLesionAILib.case.sample_follow_up.load_follow_up", lambda: pair)
        return calls

    def test_the_findings_stand_beside_the_truth(self, analysed, tmp_path: Path, capsys) -> None:
        assert main.main(["demo", "--out", str(tmp_path / "case"), "--timings"]) == 0
        said = capsys.readouterr().out
        assert "1 of 2 lesions found, 1 false; Dice liver 1.000" in said
        assert "A remark." in said and "segment      1.50 s  100 %" in said
        assert [call["folder"].name for call in analysed] == ["case"]

    def test_the_follow_up_is_compared_with_the_case_before_it(
        self, analysed, tmp_path: Path, capsys
    ) -> None:
        assert main.main(["demo", "--follow-up", "--out", str(tmp_path / "case"), "--timings"]) == 0
        first, second = analysed
        assert (first["folder"].name, second["folder"].name) == ("case_prior", "case")
        assert first["priors"] is None and second["priors"].day == "2026-04-01"
        (earlier,) = second["priors"].scans
        assert earlier.day == "2026-01-01" and earlier.volume is first["ct"]
        said = capsys.readouterr().out
        assert "The prior case: " in said and "case_prior" in said
        assert "segment      3.00 s" in said, "of both"


class TestHowCommandsEnd:
    """One line for the person at the screen, whatever happened, and an exit status."""

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch):
        def run(action) -> int:
            monkeypatch.setattr(info, "run_info", action)
            return main.main(["info"])

        return run

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (MemoryError(), "the memory ran out. Close other programs or crop the CT."),
            (OSError(28, "No space left on device"), "No space left on device. Check the disk"),
        ],
        ids=["memory", "disk"],
    )
    def test_what_the_computer_lacks_is_one_line(self, run, error: Exception, says: str, capsys) -> None:
        def fail(_: argparse.Namespace) -> int:
            raise error

        assert run(fail) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("liverlesionai: ") and says in line

    def test_a_reader_that_goes_away_gets_no_traceback(self, run, monkeypatch: pytest.MonkeyPatch) -> None:
        """`liverlesionai info | head -1`."""
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w", encoding="utf-8") as out:
            monkeypatch.setattr(sys, "stdout", out)

            def speak(_: argparse.Namespace) -> int:
                print("something", flush=True)
                return 0

            assert run(speak) == 1
            print("what is said at the very end is lost, and raises nothing", flush=True)


class TestInfo:
    @pytest.mark.parametrize("option", [["--networks"], ["--attention", "ct.nii"]], ids=lambda o: o[0])
    def test_without_torch_it_says_what_to_install(
        self, option: list[str], monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        monkeypatch.setattr(device, "torch_missing", lambda: "PyTorch is missing: install it.")
        assert main.main(["info", *option]) == 1
        assert "PyTorch is missing: install it." in capsys.readouterr().err

    def test_a_model_whose_file_is_gone_is_named(self, tmp_path: Path) -> None:
        entry: Any = SimpleNamespace(name="sfan", task="segment", file="gone.pt", sha256="0", members=())
        model = info._model(SimpleNamespace(folder=tmp_path), entry)
        assert (model["state"], model["bytes"]) == ("damaged", None)
        there = {
            "version": "1",
            "python": "3.12",
            "system": "Linux",
            "torch_missing": "PyTorch is missing: install it.",
            "models_folder": str(tmp_path),
            "models": [model],
        }
        said = info.installation_text(there)
        assert "PyTorch is missing: install it." in said and "Device" not in said
        assert "MISSING: install the extension again" in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_redrawn_and_cleared_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("LiverLesionAILib.cli.progress_bar.time.monotonic", lambda: now[0])
    stream = Terminal()
    bar = ProgressBar(stream, width=10)
    bar("segment", 0.25, None)
    bar("segment", 0.26, None)  # too soon to be drawn
    now[0] += 1
    bar("measure" + 200 * "!", 0.5, 12.4)
    bar("done", 1.0, 0.0)  # the end always is
    bar.done()
    drawn = stream.getvalue().split("\r\033[K")
    assert drawn[1] == "[##........]  25 %  segment"
    assert drawn[2].startswith("[#####.....]  50 %  12 s left  measure!") and len(drawn[2]) == 110
    assert drawn[3:] == ["[##########] 100 %  0 s left  done", ""]


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (_numbers, "1,two", "give lesion numbers such as 1,3"),
        (_lengths, "31,five", "give lengths in mm such as 31.5,28"),
        (_lengths, "-3", "give lengths in mm"),
    ],
)
def test_options_that_make_no_sense_are_answered_with_an_example(parse, text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=says):
        parse(text)


def test_a_cancel_ends_though_slicers_classes_never_finish_loading(tmp_path: Path) -> None:
    """An interrupt within an import can leave the import lock taken: their thread waits for ever."""
    (tmp_path / "slicer.py").write_text("import threading\nthreading.Event().wait()\n", encoding="utf-8")
    script = (
        "import sys\n"
        "from LiverLesionAILib.cli import main\n"
        "from LiverLesionAILib.scene.loading import begin_loading\n"
        "def cancelled(args):\n"
        "    begin_loading()\n"
        "    raise KeyboardInterrupt\n"
        "main.LOADING_S = 0.1\n"
        "main.add_rules_command = lambda commands: commands.add_parser('rules').set_defaults(run=cancelled)\n"
        "sys.exit(main.main(['rules']))\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 130, done.stderr
    assert "Cancelled" in done.stderr


def test_a_refusal_waits_for_no_library_that_loads_ahead(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import threading\nthreading.Event().wait()\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "LiverLesionAILib.cli.main", "analyze", str(tmp_path / "missing.nii.gz")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert "missing.nii.gz" in done.stderr and "Traceback" not in done.stderr
