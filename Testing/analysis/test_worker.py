"""The worker process: protocol, warm state, failures, cancel, death of either side."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.analysis.handover import read_volume, stored_type, write_volume
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry

HANG_S = 300.0
"""Bounds a hang, and nothing else: what is expected comes long before, on a busy machine too."""
TESTING = Path(__file__).resolve().parents[1]
LIBRARY = TESTING.parent / "LiverLesionAI"


def volume(shape=(12, 16, 20)) -> CtVolume:
    array = np.full(shape, 40, np.int16)
    array[3:9, 4:12, 4:16] = 1000
    array[4:6, 6:9, 6:9] = 1001
    return CtVolume(array, Geometry.make(shape, (2.5, 0.8, 0.7), (-30.0, 10.0, 5.0)), "scripted")


def hand_over(folder: Path, case: CtVolume) -> Path:
    folder.mkdir(parents=True)
    for _ in write_volume(folder, case.hu_zyx, case.geometry, case.name):
        pass
    return folder


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(LIBRARY), str(TESTING)])
    return {**os.environ, "PYTHONPATH": path}


class Talk:
    """A worker process and what it answers."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        self.answers: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"event": "end"})

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(HANG_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def say(self, **message) -> None:
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, *events: str, timeout_s: float = HANG_S) -> dict:
        end_s = time.monotonic() + timeout_s
        while True:
            answer = self.answers.get(timeout=max(0.01, end_s - time.monotonic()))
            if answer["event"] in events:
                return answer
            assert answer["event"] in ("ready", "progress"), answer


@pytest.fixture
def talk():
    talk = Talk(str(TESTING / "support" / "scripted_worker.py"))
    yield talk
    talk.end()


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint16, np.int32, np.float64])
def test_a_volume_survives_the_handover(tmp_path, dtype):
    case = CtVolume(
        np.arange(7 * 5 * 3).reshape(7, 5, 3).astype(dtype),
        Geometry.make((7, 5, 3), (5.0, 0.7, 0.8), (1.0, 2.0, 3.0), np.diag([-1.0, -1.0, 1.0])),
        "Jürgens CT",
    )
    back = read_volume(hand_over(tmp_path / "case", case))
    assert np.array_equal(back.hu_zyx, case.hu_zyx)
    assert back.hu_zyx.dtype == stored_type(case.hu_zyx.dtype)
    assert back.geometry.matches(case.geometry)
    assert back.name == "Jürgens CT"


def test_the_handover_stops_in_between(tmp_path):
    case = CtVolume(np.zeros((64, 512, 512), np.int16), Geometry.make((64, 512, 512)))
    tmp_path.joinpath("case").mkdir()
    steps = list(write_volume(tmp_path / "case", case.hu_zyx, case.geometry, "x"))
    assert len(steps) >= 5
    assert steps[-1] == 1.0


def test_a_damaged_handover_is_refused(tmp_path):
    folder = hand_over(tmp_path / "case", volume())
    (folder / "volume.npy").write_bytes((folder / "volume.npy").read_bytes()[:-100])
    with pytest.raises(InputError, match="Analyze again"):
        read_volume(folder)
    with pytest.raises(InputError):
        read_volume(tmp_path)


def test_it_stays_warm_and_answers_in_order(talk, tmp_path):
    for number in (1, 2):
        talk.say(
            command="analyze", id=number, folder=str(hand_over(tmp_path / str(number), volume())), settings={}
        )
    talk.say(command="info", id=3)
    from LiverLesionAILib.case.store import load_result

    for number in (1, 2):
        done = talk.hear("done")
        assert done["id"] == number
        result = load_result(Path(done["result"]))
        assert result.case_name == f"case {number}"
        assert len(result.lesions) == 1
        assert int((result.lesion_labels_zyx == 1).sum()) == 2 * 3 * 3
    assert talk.hear("info")["pid"] == talk.process.pid


def test_progress_names_the_stage_and_grows(talk, tmp_path):
    talk.say(command="analyze", id=1, folder=str(hand_over(tmp_path / "a", volume())), settings={})
    fractions, stages = [], set()
    while (answer := talk.answers.get(timeout=HANG_S))["event"] != "done":
        if answer["event"] == "progress":
            fractions.append(answer["fraction"])
            stages.add(answer["stage"])
    assert fractions == sorted(fractions)
    assert {"Locate the liver", "Segment"} <= stages


def test_prints_of_libraries_do_not_break_the_protocol(talk, tmp_path):
    talk.say(
        command="analyze",
        id=1,
        folder=str(hand_over(tmp_path / "a", volume())),
        settings={"segmenter": "prints"},
    )
    assert talk.hear("done")["id"] == 1
    talk.say(command="quit")
    talk.process.wait(HANG_S)
    assert b"a library prints" in talk.process.stderr.read()


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("bad input", "input", "choose a CT"),
        ("crash", "internal", "ZeroDivisionError"),
        ("memory", "memory", "Crop Volume"),
        ("disk", "output", "disk"),
    ],
)
def test_failures_are_told_leave_nothing_and_the_next_case_runs(talk, tmp_path, mode, kind, words):
    folder = hand_over(tmp_path / "a", volume())
    talk.say(command="analyze", id=1, folder=str(folder), settings={"segmenter": mode})
    failed = talk.hear("failed")
    assert (failed["id"], failed["kind"]) == (1, kind)
    assert words in failed["text"]
    assert "Traceback" not in failed["text"]
    assert "Traceback" in failed["details"]
    assert not folder.exists()
    talk.say(command="analyze", id=2, folder=str(hand_over(tmp_path / "b", volume())), settings={})
    assert talk.hear("done")["id"] == 2


def test_a_cancel_is_heard_at_the_next_step_and_leaves_nothing(talk, tmp_path):
    """Of a thousand steps, which would take minutes, a few are done."""
    folder = hand_over(tmp_path / "a", volume())
    talk.say(command="analyze", id=1, folder=str(folder), settings={"segmenter": "long"})
    talk.hear("progress")
    talk.say(command="cancel", id=1)
    done = 0.0
    while (answer := talk.answers.get(timeout=HANG_S))["event"] == "progress":
        done = answer["fraction"]
    assert (answer["event"], answer["id"]) == ("cancelled", 1)
    assert done < 0.5
    assert not folder.exists()


def test_a_waiting_case_is_cancelled_before_it_starts(talk, tmp_path):
    for number in (1, 2):
        folder = hand_over(tmp_path / str(number), volume())
        talk.say(command="analyze", id=number, folder=str(folder), settings={})
    talk.say(command="cancel", id=2)
    assert talk.hear("done")["id"] == 1
    assert talk.hear("cancelled")["id"] == 2


@pytest.mark.parametrize("mode", ["long", "deaf"])
def test_it_goes_when_its_reader_goes(talk, tmp_path, mode):
    folder = hand_over(tmp_path / "a", volume())
    talk.say(command="analyze", id=1, folder=str(folder), settings={"segmenter": mode})
    talk.hear("progress")
    talk.process.stdin.close()
    # Left alone it would run for minutes, and then keep its result.
    assert talk.process.wait(100) == 0
    assert not folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_parent_leaves_no_orphan(tmp_path):
    folder = hand_over(tmp_path / "a", volume())
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, subprocess, sys, time\n"
            f"w = subprocess.Popen([sys.executable, {str(TESTING / 'support' / 'scripted_worker.py')!r}],"
            " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
            "w.stdin.write(json.dumps({'command': 'analyze', 'id': 1, 'folder': sys.argv[1],"
            " 'settings': {'segmenter': 'deaf'}}).encode() + b'\\n'); w.stdin.flush()\n"
            "for line in w.stdout:\n"
            "    if b'Segment' in line: break\n"
            "print(w.pid, flush=True); time.sleep(600)\n",
            str(folder),
        ],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end_s = time.monotonic() + 100
    while time.monotonic() < end_s and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)
    assert not folder.exists()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def product():
    talk = Talk("-m", "LiverLesionAILib.analysis.worker")
    yield talk
    talk.end()


def test_the_products_worker_reports_the_computer(product):
    pytest.importorskip("torch")
    product.say(command="info", id=7)
    info = product.hear("info")
    assert info["id"] == 7
    assert info["device"] in ("cpu", "cuda", "mps")
    assert info["total_gb"] >= info["free_gb"] > 0
    assert "PyTorch" in info["line"]


def test_an_unknown_command_is_answered(product):
    product.say(command="nonsense", id=3)
    failed = product.hear("failed")
    assert failed["id"] == 3
    assert "nonsense" in failed["text"]


def test_the_product_gives_a_second_phase_to_the_analysis(tmp_path, monkeypatch):
    from LiverLesionAILib.analysis import pipeline
    from LiverLesionAILib.analysis.handover import SECOND_FOLDER
    from LiverLesionAILib.analysis.worker import PipelineAnalysis
    from LiverLesionAILib.support.errors import Cancelled

    given = []

    def analyze(volume, settings, models, progress, second_phase=None, *, phases):
        given.append((volume, second_phase))
        assert phases is None, "none was named"
        raise Cancelled("seen enough")

    monkeypatch.setattr(pipeline, "analyze", analyze)
    geometry = Geometry.make((24, 90, 90), (5.0, 2.5, 2.5))
    rng = np.random.default_rng(0)
    for folder, name in ((tmp_path, "arterial"), (tmp_path / SECOND_FOLDER, "late")):
        folder.mkdir(exist_ok=True)
        hu = rng.integers(-900, 300, geometry.shape_zyx).astype(np.int16)
        list(write_volume(folder, hu, geometry, name))
        with pytest.raises(Cancelled):
            PipelineAnalysis().run(tmp_path, {}, lambda stage, fraction: None)
    (_, without), (first, second) = given
    assert without is None
    assert (first.name, second.name) == ("arterial", "late")
    assert second.hu_zyx.shape == geometry.shape_zyx and not np.array_equal(first.hu_zyx, second.hu_zyx)
