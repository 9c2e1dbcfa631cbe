"""The command stopped from outside: killed, interrupted, out of disk; never half a case under its name."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.cli import main as cli
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.writing.case_folder import MARKER
from LiverLesionAILib.writing.nrrd import write_image

LIBRARY = Path(cli.__file__).resolve().parents[2]
FILES = {"masks.seg.nrrd", "boxes.mrk.json", "findings.json", "findings.csv", "scene.mrb", "case.json"}

HANG_S = 600.0
"""Bounds a hang; a busy machine takes its time."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX systems"),
]


@pytest.fixture(scope="module")
def ct_file(slab: SampleCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some coarse slices through the liver, so that a run is short."""
    path = tmp_path_factory.mktemp("ct") / "ct.nrrd"
    hu, grid = np.ascontiguousarray(slab.volume.hu_zyx[:, ::2, ::2]), slab.volume.geometry
    z_mm, y_mm, x_mm = grid.spacing_zyx_mm
    write_image(path, hu, Geometry.make(hu.shape, (z_mm, 2 * y_mm, 2 * x_mm), tuple(grid.origin_lps)))
    return path


class Command:
    """`liverlesionai analyze` in a process group of its own, so that whoever it starts can be found."""

    def __init__(self, ct: Path, out: Path, *options: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
        self.log = open(out.parent / ".." / f"{out.parent.name}.log", "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "LiverLesionAILib.cli.main",
                "analyze",
                str(ct),
                "--out",
                str(out),
                "--device",
                "cpu",
                # One small scale: what is killed and when matters here, not what is found.
                "--pyramid",
                "0.6",
                *options,
            ],
            env=environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8")

    def until(self, words: str, timeout_s: float = HANG_S) -> None:
        """Wait until the command has printed `words`."""
        end_s = time.monotonic() + timeout_s
        while words not in self.said():
            assert self.process.poll() is None, f"ended before {words!r}: {self.said()}"
            assert time.monotonic() < end_s, f"no {words!r} within {timeout_s} s: {self.said()}"
            time.sleep(0.02)

    def orphans(self) -> list[int]:
        """Processes of its group that still run."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.process.pid and fields[0] not in "ZX":
                found.append(int(entry.name))
        return found

    def no_orphans(self, within_s: float = 60.0) -> bool:
        end_s = time.monotonic() + within_s
        while self.orphans() and time.monotonic() < end_s:
            time.sleep(0.1)
        return not self.orphans()

    def close(self) -> None:
        for number in (*self.orphans(), *([self.process.pid] if self.process.poll() is None else [])):
            os.kill(number, signal.SIGKILL)
        self.process.wait(HANG_S)
        self.log.close()


@pytest.fixture
def start(tmp_path: Path, ct_file: Path) -> Iterator:
    started: list[Command] = []

    def begin(out: Path, *options: str, ct: Path = ct_file) -> Command:
        started.append(Command(ct, out, *options))
        return started[-1]

    yield begin
    for command in started:
        command.close()


def whole(folder: Path) -> bool:
    """Every file is there, and every one that the marker names."""
    named = set(json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"])
    there = {path.name for path in folder.iterdir()}
    return named | {MARKER} == there and named >= FILES


MOMENTS = ["looking for the liver", "segmenting", "measuring", "Writing the scene", "Drawing pictures"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find orphans")
@pytest.mark.parametrize("seed", range(len(MOMENTS)))
def test_killed_at_any_moment_it_leaves_no_half_case_and_no_orphan(start, tmp_path: Path, seed: int) -> None:
    out = tmp_path / "case"
    command = start(out)
    command.until(MOMENTS[seed])
    time.sleep(random.Random(seed).uniform(0.0, 0.6))
    command.process.kill()
    command.process.wait(HANG_S)
    assert command.no_orphans(), f"still running: {command.orphans()}"
    assert not out.exists() or whole(out)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "segmenting"),
        (signal.SIGTERM, "segmenting"),
        # Pictures are drawn meanwhile; when that is said they may be there already.
        (signal.SIGINT, "Writing the scene"),
        (signal.SIGTERM, "Writing the scene"),
    ],
    ids=lambda value: getattr(value, "name", str(value).replace(" ", "_")),
)
def test_interrupted_it_says_so_and_leaves_nothing(
    start, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    command = start(folder / "case")
    command.until(moment)
    command.process.send_signal(number)
    assert command.process.wait(HANG_S) == 130
    said = command.said()
    assert "Cancelled; nothing was kept." in said
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []
    assert command.no_orphans(), f"still running: {command.orphans()}"


def test_an_earlier_case_stays_when_the_next_run_is_killed(start, tmp_path: Path) -> None:
    out = tmp_path / "case"
    quick = ("--no-pictures", "--no-attention", "--no-classify", "--detector", "none")
    first = start(out, *quick)
    assert first.process.wait(HANG_S) == 0, first.said()
    assert whole(out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    second = start(out, *quick, "--smallest-mm", "30")
    second.until("Writing the scene")
    second.process.kill()
    second.process.wait(HANG_S)
    assert whole(out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    third = start(out, *quick, "--smallest-mm", "30")
    assert third.process.wait(HANG_S) == 0, third.said()
    assert whole(out)
    assert (out / "findings.csv").read_bytes() != before["findings.csv"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"mounting a small disk is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_is_left(start, small_disk: Path, tmp_path: Path) -> None:
    command = start(small_disk / "case")
    assert command.process.wait(HANG_S) == 1
    said = [line for line in command.said().splitlines() if line.startswith("liverlesionai:")]
    assert len(said) == 1
    assert "the disk is full" in said[0]
    assert str(small_disk / "case") in said[0]
    assert "Traceback" not in command.said()
    assert list(small_disk.iterdir()) == []
    assert command.no_orphans()


def test_names_that_are_no_utf8_in_and_out_on_a_terminal_of_ascii(
    start, ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file and a folder named by some other system; the terminal takes ASCII only."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Bef\xfcnde"))
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    ct = place / os.fsdecode(b"M\xfcller.nrrd")
    ct.write_bytes(ct_file.read_bytes())
    command = start(place / "case", "--no-attention", "--no-classify", "--detector", "none", ct=ct)
    assert command.process.wait(HANG_S) == 0, command.said()
    assert {p.name for p in (place / "case").iterdir()} >= FILES
    assert "M\\xfcller" in command.said()
    assert json.loads((place / "case" / "findings.json").read_text(encoding="utf-8"))
    # Damaged, it is refused by the name that it has.
    ct.write_bytes(ct_file.read_bytes()[:-5000])
    command = start(place / "other", ct=ct)
    assert command.process.wait(HANG_S) == 1
    assert "M\\xfcller.nrrd" in command.said() and "Traceback" not in command.said()
