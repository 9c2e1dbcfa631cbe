"""What runs inside the child, run here: requests and answers, limits, and memory as three systems tell it."""

from __future__ import annotations

import ctypes
import io
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest
from LiverLesionAILib.support import limited_child
from LiverLesionAILib.support.limited_child import (
    ChildFailure,
    LimitedChild,
    Message,
    answer_requests,
    resident_bytes,
    serve,
)

MEGABYTE = 1024 * 1024


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The system's limits, noted and not set: this process would be held to them."""
    held: dict[str, tuple[int, int]] = {}
    system = types.ModuleType("resource")
    for name in ("RLIMIT_CORE", "RLIMIT_AS", "RLIMIT_CPU"):
        setattr(system, name, name)
    vars(system).update(
        setrlimit=held.__setitem__, getrlimit=lambda name: (-1, 86_400), getpagesize=lambda: 4096
    )
    monkeypatch.setitem(sys.modules, "resource", system)
    return held


def packed(message: Message, data: bytes = b"") -> bytes:
    head = json.dumps({**message, "bytes": len(data)}).encode()
    return len(head).to_bytes(8, "little") + head + data


def unpacked(raw: bytes) -> list[tuple[Message, bytes]]:
    stream, found = io.BytesIO(raw), []
    while length := stream.read(8):
        message = json.loads(stream.read(int.from_bytes(length, "little")))
        found.append((message, stream.read(message["bytes"])))
    return found


def handler(request: Message) -> tuple[Message, bytes]:
    if (error := request.get("raises")) is not None:
        raise error_named(error)
    return {"length": request["length"]}, bytes(request["length"])


def noisy(request: Message) -> tuple[Message, bytes]:
    os.write(1, b"a library prints to the descriptor of the answers")
    os.write(2, b"and complains")
    return handler(request)


def error_named(name: str) -> Exception:
    return {"memory": MemoryError(), "text": ValueError("no such\n  slice"), "nothing": KeyError()}[name]


def answered(*requests: bytes) -> list[tuple[Message, bytes]]:
    answers = io.BytesIO()
    answer_requests(io.BytesIO(b"".join(requests)), answers, handler)
    return unpacked(answers.getvalue())


def test_every_request_has_its_answer_whatever_became_of_the_one_before(limits) -> None:
    asked = [{"raises": "memory"}, {"raises": "text"}, {"raises": "nothing"}, {"length": 3}]
    made = answered(*(packed({**one, "timeout_s": 5.0}) for one in asked))
    assert [message.get("error") for message, _ in made] == [
        "decoding it takes too much memory",
        "no such slice",
        "KeyError",
        None,
    ]
    assert made[-1] == ({"length": 3, "bytes": 3}, bytes(3))


@pytest.mark.parametrize(
    "cut",
    [
        b"\x05\x00",
        (9).to_bytes(8, "little") + b"no json !",
        packed({"length": 1, "timeout_s": 1}, b"12")[:-1],
    ],
    ids=["length", "message", "data"],
)
def test_a_request_that_is_cut_short_or_damaged_ends_the_child(limits, cut: bytes) -> None:
    """The parent died while it wrote: nothing is answered, nothing raised."""
    whole = packed({"length": 1, "timeout_s": 1.0})
    assert [message["length"] for message, _ in answered(whole, cut)] == [1]


def test_a_request_has_its_seconds_of_the_processor_and_no_more(limits) -> None:
    """So that a child whose parent is gone does not compute for ever."""
    spent_s = time.process_time()
    answered(packed({"length": 1, "timeout_s": 50.0}))
    soft, hard = limits["RLIMIT_CPU"]
    assert spent_s + 50 < soft < time.process_time() + 50 + 4
    assert hard == 86_400


def test_a_child_serves_within_its_memory_and_what_libraries_print_is_lost(
    limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["child", str(300 * MEGABYTE)])
    request = io.BytesIO(packed({"length": 2, "timeout_s": 1.0}))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=request))
    kept, (read, write) = [os.dup(1), os.dup(2)], os.pipe()
    try:
        os.dup2(write, 1)
        os.close(write)
        serve(noisy)
    finally:
        for number, own in zip((1, 2), kept, strict=True):
            os.dup2(own, number)
            os.close(own)
    with os.fdopen(read, "rb") as said:
        ready, answer = unpacked(said.read())
    assert ready[0]["ready"] is True
    assert answer == ({"length": 2, "bytes": 2}, bytes(2))
    if sys.platform == "linux":
        mapped = limits["RLIMIT_AS"][0] - 300 * MEGABYTE
        assert mapped > 10 * MEGABYTE, "what the child needs to start comes on top"
        assert limits["RLIMIT_CORE"] == (0, 0)


def test_where_the_system_has_no_limits_it_answers_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    limited_child._limit_memory(1)
    assert answered(packed({"length": 1, "timeout_s": 0.001}))[0][0]["length"] == 1


def test_a_system_that_starts_no_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(ChildFailure, match=r"no process could be started .*temporarily unavailable"):
        LimitedChild("json", MEGABYTE).ask({}, 1.0)


class Ended:
    """A process that dies between the look at it and the question."""

    stdout = None

    class Pipe(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    def __init__(self) -> None:
        self.stdin, self.buried = self.Pipe(), False

    def poll(self) -> None:
        return None

    def kill(self) -> None:
        self.buried = True

    def wait(self) -> None:
        assert self.buried


def test_a_child_that_ended_unseen_is_told_and_the_next_question_takes_a_new_one() -> None:
    child, ended = LimitedChild("json", MEGABYTE), Ended()
    child._process = ended  # type: ignore[assignment]
    with pytest.raises(ChildFailure, match="ended") as caught:
        child.ask({"what": 1}, 1.0)
    assert caught.value.ended and ended.buried and child._process is None


class TestMemoryOnOtherSystems:
    """By the numbers that their own calls fill in."""

    process: Any = types.SimpleNamespace(pid=4711, _handle=12)

    def test_macos(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def proc_pidinfo(pid: int, flavour: int, _: Any, info: Any, size: int) -> int:
            assert (pid, flavour) == (4711, 4)
            info._obj[0], info._obj[1] = 900 * MEGABYTE, 70 * MEGABYTE  # virtual, resident
            return size

        monkeypatch.setattr(sys, "platform", "darwin")
        library = types.SimpleNamespace(proc_pidinfo=proc_pidinfo)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
        assert resident_bytes(self.process) == 70 * MEGABYTE
        library.proc_pidinfo = lambda *_: 0
        assert resident_bytes(self.process) is None, "it has ended"

    def test_windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def counters(handle: Any, info: Any, size: int) -> int:
            assert handle.value == 12 and size == ctypes.sizeof(info._obj)
            info._obj[2], info._obj[7] = 60 * MEGABYTE, 80 * MEGABYTE  # working set, page file
            return 1

        calls = types.SimpleNamespace(psapi=types.SimpleNamespace(GetProcessMemoryInfo=counters))
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(ctypes, "windll", calls, raising=False)
        assert resident_bytes(self.process) == 80 * MEGABYTE
        calls.psapi.GetProcessMemoryInfo = lambda *_: 0
        assert resident_bytes(self.process) is None

    def test_another_system_says_nothing_and_nothing_is_held_against_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "sunos5")
        assert resident_bytes(self.process) is None
        monkeypatch.setattr(sys, "platform", "linux")
        gone: Any = types.SimpleNamespace(pid=2**22 + 1)
        assert not Path(f"/proc/{gone.pid}").exists()
        assert resident_bytes(gone) is None
