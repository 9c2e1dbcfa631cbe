"""A child that crashes, hangs or takes too much memory is a message, and the next request is answered."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from LiverLesionAILib.support.limited_child import ChildFailure, LimitedChild, resident_bytes

HANG_S = 300.0
"""Bounds a hang, and nothing else."""

CHILD = """
import os, sys, time
from LiverLesionAILib.support.limited_child import serve

def handler(request):
    what = request["what"]
    if what == "double":
        return {"length": 2 * request["length"]}, bytes(2 * request["length"])
    if what == "raise":
        raise ValueError("no such\\n  slice")
    if what == "print":
        print("noise"); os.write(2, b"noise"); os.write(1, b"noise")
        return {}, b""
    if what == "crash":
        os.abort()
    if what == "exit":
        os._exit(0)
    if what == "sleep":
        time.sleep(60)
    if what == "spin":
        while True: pass
    if what == "memory":
        kept = bytearray(request["length"])
        kept[::4096] = bytes(len(kept[::4096]))
        time.sleep(request.get("held_s", 0))
        return {}, b""

serve(handler)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LimitedChild]:
    (tmp_path / "child_for_test.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with LimitedChild("child_for_test", memory_bytes=200_000_000) as child:
        yield child


def test_answers_come_back_whole(child: LimitedChild) -> None:
    for length in (0, 1, 3_000_000):
        answer, data = child.ask({"what": "double", "length": length}, HANG_S)
        assert answer["length"] == len(data) == 2 * length
    child.ask({"what": "print"}, HANG_S)
    assert child.ask({"what": "double", "length": 2}, HANG_S)[1] == bytes(4)


@pytest.mark.parametrize(
    ("what", "timeout_s", "words"),
    [
        ("raise", HANG_S, "no such slice"),
        ("crash", HANG_S, "crashed"),
        ("exit", HANG_S, "crashed"),
        ("sleep", 0.5, "does not end"),
        ("memory", HANG_S, "memory"),
    ],
)
def test_failures_are_told_and_survived(child: LimitedChild, what: str, timeout_s: float, words: str) -> None:
    for _ in range(2):
        with pytest.raises(ChildFailure, match=words):
            child.ask({"what": what, "length": 500_000_000, "held_s": 200}, timeout_s)
    assert child.ask({"what": "double", "length": 2}, HANG_S)[1] == bytes(4)
    assert child.ask({"what": "memory", "length": 50_000_000}, HANG_S)[1] == b""


def test_memory_is_watched_where_the_system_holds_no_limit(
    child: LimitedChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = "import sys; sys.modules['resource'] = None\n"
    (tmp_path / "child_for_test.py").write_text(quiet + CHILD)
    with pytest.raises(ChildFailure, match=r"more than 0\.2 GB of memory"):
        child.ask({"what": "memory", "length": 500_000_000, "held_s": 200}, HANG_S)


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path, child: LimitedChild) -> None:
    """In the middle of a request, too."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from LiverLesionAILib.support.limited_child import LimitedChild\n"
            "child = LimitedChild('child_for_test', 10**9)\n"
            "child.ask({'what': 'double', 'length': 1}, 300)\n"
            "print(child._process.pid, flush=True)\n"
            "child.ask({'what': 'spin'}, 1)",
        ],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 300
    while Path(f"/proc/{pid}/stat").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_memory_of_a_process_can_be_seen() -> None:
    program = "kept = bytes(range(256)) * 200_000; print('there', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    used = resident_bytes(process)
    process.kill()
    process.communicate()
    assert used is not None
    assert 51_000_000 < used < 200_000_000
