"""A child process for work that may crash, hang or eat the memory: decoding what strangers encoded.

The child's module calls :func:`serve` with a handler; the parent asks through :class:`LimitedChild`. Whatever
happens to the child is a :class:`ChildFailure` here, and the next question starts a new one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Message = dict[str, Any]
Handler = Callable[[Message], tuple[Message, bytes | memoryview]]

LOOK_S = 0.05
START_S = 60.0
"""For the child's imports, on a slow disk."""
_LENGTH = 8


class ChildFailure(Exception):
    """The child could not answer; the text says why, to stand behind the name of what it worked on.

    Attributes:
        ended: whether the child had to be ended, so that the next question takes a new one.
    """

    def __init__(self, text: str, ended: bool = True) -> None:
        super().__init__(text)
        self.ended = ended


class LimitedChild:
    """Asks a module in a process of its own; starts it when first asked and again after a failure.

    Args:
        module: its name, run by ``python -m``; it calls :func:`serve`.
        memory_bytes: what it may use beyond what it needs to start. Held by the system on Linux, by looking
            every 50 ms elsewhere.
    """

    def __init__(self, module: str, memory_bytes: int) -> None:
        self._module, self._memory = module, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[tuple[Message, bytes] | None] = queue.SimpleQueue()
        self._start_bytes = 0

    def __enter__(self) -> LimitedChild:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Message, timeout_s: float) -> tuple[Message, bytes]:
        """The handler's answer to a request.

        Raises:
            ChildFailure: the handler raised, crashed, took too long or too much memory.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            _send(process.stdin, {**request, "timeout_s": timeout_s})
        except OSError:
            self.close()
            raise ChildFailure("the process that decodes it ended") from None
        answer, data = self._wait(time.monotonic() + timeout_s)
        if "error" in answer:
            raise ChildFailure(str(answer["error"]), ended=False)
        return answer, data

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _start(self) -> None:
        self.close()
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(self._memory)],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise ChildFailure(f"no process could be started to decode it ({error.strerror})") from error
        self._process, self._answers = process, queue.SimpleQueue()
        threading.Thread(target=_collect, args=(process, self._answers), daemon=True).start()
        self._start_bytes = sys.maxsize
        self._wait(time.monotonic() + START_S)  # the child says when it is ready
        self._start_bytes = resident_bytes(process) or 0

    def _wait(self, until: float) -> tuple[Message, bytes]:
        assert self._process is not None
        while True:
            try:
                answer = self._answers.get(timeout=LOOK_S)
            except queue.Empty:
                answer = {}, b""
                used = (resident_bytes(self._process) or 0) - self._start_bytes
                if used > self._memory:
                    failure = f"decoding it takes more than {self._memory / 1e9:.1f} GB of memory"
                elif time.monotonic() > until:
                    failure = "decoding it does not end"
                else:
                    continue
            else:
                if answer is not None:
                    return answer
                failure = "the decoder crashed on it"
            self.close()
            raise ChildFailure(failure)


def serve(handler: Handler) -> None:
    """The child's side: answer requests until the parent is gone. Call it last in the child's module.

    What libraries print is thrown away; an exception of the handler is the answer to that request.
    """
    answers = os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    _limit_memory(int(sys.argv[1]))
    _send(answers, {"ready": True})
    answer_requests(sys.stdin.buffer, answers, handler)


def answer_requests(requests: IO[bytes], answers: IO[bytes], handler: Handler) -> None:
    """Answer what stands in one stream in the other, until it ends or is cut short."""
    while (request := _receive(requests)) is not None:
        _limit_time(float(request[0]["timeout_s"]))
        try:
            answer, data = handler(request[0])
        except MemoryError:
            answer, data = {"error": "decoding it takes too much memory"}, b""
        except Exception as error:
            answer, data = {"error": " ".join(str(error).split())[:300] or type(error).__name__}, b""
        _send(answers, answer, data)


def _limit_memory(memory_bytes: int) -> None:
    """Linux holds a process to an address space; what is mapped already comes on top."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        mapped = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))


def _limit_time(timeout_s: float) -> None:
    """So that it ends as well where its parent is gone in the middle of a request."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + timeout_s) + 2, hard))


def _send(stream: IO[bytes], message: Message, data: bytes | memoryview = b"") -> None:
    view = memoryview(data).cast("B")
    head = json.dumps({**message, "bytes": len(view)}).encode()
    stream.write(len(head).to_bytes(_LENGTH, "little") + head)
    stream.write(view)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[Message, bytes] | None:
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    head = stream.read(int.from_bytes(length, "little"))
    try:
        message = json.loads(head)
    except ValueError:
        return None
    data = stream.read(message["bytes"])
    return (message, data) if len(data) == message["bytes"] else None


def _collect(
    process: subprocess.Popen[bytes], answers: queue.SimpleQueue[tuple[Message, bytes] | None]
) -> None:
    assert process.stdout is not None
    # Closed from the other side, it has nothing more to say.
    with contextlib.suppress(OSError, ValueError):
        while (answer := _receive(process.stdout)) is not None:
            answers.put(answer)
    answers.put(None)


def resident_bytes(process: subprocess.Popen[bytes]) -> int | None:
    """Memory that a child uses now; None where the system does not say."""
    try:
        if sys.platform == "linux":
            return int(Path(f"/proc/{process.pid}/statm").read_bytes().split()[1]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
        if sys.platform == "darwin":
            info = (ctypes.c_uint64 * 12)()  # struct proc_taskinfo; its second number
            size = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pidinfo(
                process.pid, 4, ctypes.c_uint64(0), ctypes.byref(info), ctypes.sizeof(info)
            )
            return int(info[1]) if size == ctypes.sizeof(info) else None
        if sys.platform == "win32":
            counters = (ctypes.c_size_t * 9)()  # PROCESS_MEMORY_COUNTERS; the first is two 32-bit numbers
            counters_bytes = ctypes.sizeof(counters)
            handle = ctypes.c_void_p(int(process._handle))  # type: ignore[attr-defined]
            known = ctypes.windll.psapi.GetProcessMemoryInfo(handle, ctypes.byref(counters), counters_bytes)
            return max(int(counters[2]), int(counters[7])) if known else None
    except (OSError, AttributeError, ValueError, IndexError):
        return None
    return None
