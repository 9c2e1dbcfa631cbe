"""The panel's side of the worker process: starts it, speaks its protocol, notices when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import qt

from ...support.package_folder import child_environment
from ...support.threads import let_threads_sleep

CANCEL_PATIENCE_MS = 1200
QUIT_PATIENCE_MS = 500


class WorkerListener(Protocol):
    """Who is told what the worker says.

    Called from the event loop, never from inside a call to the client.
    """

    def worker_info(self, info: Mapping[str, Any]) -> None:
        """The computer as the worker sees it."""

    def worker_progress(self, stage: str, fraction: float, left_s: float | None) -> None:
        """How far the analysis is."""

    def worker_done(self, result: Path) -> None:
        """The result's folder; the case folder above it now belongs to the listener."""

    def worker_failed(self, kind: str, text: str) -> None:
        """The analysis ended with an error told in `text`; nothing of it is left."""

    def worker_cancelled(self) -> None:
        """The analysis was cancelled; nothing of it is left."""

    def worker_log(self, text: str) -> None:
        """Something for the log."""


@dataclass(frozen=True)
class WorkerCommand:
    """What to start.

    Attributes:
        library: folder that holds `LiverLesionAILib`.
        packages: folder with Python packages that the process takes before its own; "" for none.
        button: what the reader clicks to try again.
    """

    program: str
    arguments: Sequence[str]
    library: str
    packages: str = ""
    button: str = "Analyze"

    @classmethod
    def for_slicer(cls, library: str, program: str) -> WorkerCommand:
        """The product's worker, run by Slicer's own Python."""
        return cls(program, ("-m", "LiverLesionAILib.analysis.worker"), library)


def python_program(slicer_home: str, executable: str) -> str:
    """The interpreter for a child process: PythonSlicer of this Slicer, or what runs now.

    Where there is none, the path at which Slicer should have it: the message that it is missing names it.
    """
    expected = os.path.join(slicer_home, "bin", "PythonSlicer")
    for path in (expected, f"{expected}.exe"):
        if os.path.isfile(path):
            return path
    return shutil.which("PythonSlicer") or executable or expected


def make_process() -> qt.QProcess:
    """A process object; replaced in tests."""
    return qt.QProcess()


class WorkerClient:
    """One worker process, at most one analysis at a time.

    A worker that dies is told to the listener; the next request starts a new one.
    """

    def __init__(
        self,
        command: WorkerCommand,
        listener: WorkerListener,
        make: Callable[[], qt.QProcess] = make_process,
    ) -> None:
        self._command = command
        self._listener = listener
        self._make = make
        self._process: qt.QProcess | None = None
        self._pid: int | None = None
        self._pending = b""
        self._errors: list[str] = []
        self._number = 0
        self._job: int | None = None
        self._folder: Path | None = None
        self._cancelling = False
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.connect("timeout()", self._lose_patience)

    @property
    def busy(self) -> bool:
        """Whether an analysis is under way."""
        return self._job is not None

    @property
    def running(self) -> bool:
        """Whether a worker process exists."""
        return self._process is not None

    def request_info(self) -> None:
        """Ask about the computer; starts the worker, which is then warm for the first case."""
        self._number += 1
        self._say({"command": "info", "id": self._number})

    def analyze(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Analyse the volume in `folder`, which is removed when anything but `worker_done` comes of it."""
        self._begin("analyze", folder, settings=dict(settings))

    def ask(self, command: str, folder: Path, request: Mapping[str, Any]) -> None:
        """Ask "attend" or "compare" of the volume in `folder`, which goes as in :meth:`analyze`."""
        self._begin(command, folder, settings=dict(request))

    def _begin(self, command: str, folder: Path, **content: Any) -> None:
        if self.busy:
            raise RuntimeError("The worker has a case.")
        self._number += 1
        self._job, self._folder, self._cancelling = self._number, folder, False
        self._say({"command": command, "id": self._job, "folder": str(folder), **content})

    def cancel(self) -> None:
        """Stop the analysis: asked first, and killed if the worker has not answered after 1.2 s."""
        if not self.busy or self._cancelling:
            return
        self._cancelling = True
        self._say({"command": "cancel", "id": self._job})
        self._patience.start(CANCEL_PATIENCE_MS)

    def stop(self) -> None:
        """End the worker and whatever it does; the listener hears nothing more of it."""
        self._patience.stop()
        process = self._process
        if process is not None:
            self._disconnect(process)
            self._process = None
            process.write(b'{"command": "quit"}\n')
            process.closeWriteChannel()
            if not process.waitForFinished(QUIT_PATIENCE_MS):
                self._kill(process)
                process.waitForFinished(QUIT_PATIENCE_MS)
            process.deleteLater()
        self._forget_job()

    # -- the process

    def _start(self) -> None:
        process = self._make()
        command = self._command
        environment = child_environment(os.environ, command.library, command.packages)
        let_threads_sleep(environment)
        environment["PYTHONUNBUFFERED"] = "1"
        environment["PYTHONIOENCODING"] = "utf-8"
        process.setEnvironment([f"{name}={value}" for name, value in environment.items()])
        process.connect("readyReadStandardOutput()", self._read)
        process.connect("readyReadStandardError()", self._read_errors)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._error)
        self._process, self._pid, self._pending, self._errors = process, None, b"", []
        process.start(self._command.program, list(self._command.arguments))

    def _disconnect(self, process: qt.QProcess) -> None:
        process.disconnect("readyReadStandardOutput()", self._read)
        process.disconnect("readyReadStandardError()", self._read_errors)
        process.disconnect("finished(int,QProcess::ExitStatus)", self._finished)
        process.disconnect("errorOccurred(QProcess::ProcessError)", self._error)

    def _kill(self, process: qt.QProcess) -> None:
        process.kill()
        if self._pid is not None:
            # Slicer's Python is started by a launcher: killing that one alone would leave the worker to
            # notice.
            with contextlib.suppress(OSError):
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _say(self, message: Mapping[str, Any]) -> None:
        if self._process is None:
            self._start()
        if self._process is not None:
            self._process.write(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        if self._process is None:
            return
        self._pending += bytes(self._process.readAllStandardOutput().data())
        *lines, self._pending = self._pending.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                self._listener.worker_log(line.decode(errors="replace"))
                continue
            self._heard(message)

    def _read_errors(self) -> None:
        if self._process is None:
            return
        text = bytes(self._process.readAllStandardError().data()).decode(errors="replace").rstrip()
        if text:
            self._errors = (self._errors + text.splitlines())[-50:]
            self._listener.worker_log(text)

    def _heard(self, message: Mapping[str, Any]) -> None:
        event = message.get("event")
        if event == "ready":
            self._pid = message.get("pid")
        elif event == "info":
            self._listener.worker_info(message)
        elif message.get("id") != self._job or self._job is None:
            if event == "failed":
                self._listener.worker_log(str(message.get("text")))
        elif event == "progress":
            if not self._cancelling:
                self._listener.worker_progress(message["stage"], message["fraction"], message["left_s"])
        elif event == "done":
            if self._cancelling:
                self._end_cancelled()
            else:
                self._job = self._folder = None
                self._listener.worker_done(Path(message["result"]))
        elif event == "cancelled":
            self._end_cancelled()
        elif event == "failed":
            cancelled = self._cancelling
            self._forget_job()
            if message.get("details"):
                self._listener.worker_log(message["details"])
            if cancelled:
                self._listener.worker_cancelled()
            else:
                self._listener.worker_failed(message["kind"], message["text"])

    def _end_cancelled(self) -> None:
        self._forget_job()
        self._listener.worker_cancelled()

    def _forget_job(self) -> None:
        self._patience.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._job = self._folder = None
        self._cancelling = False

    def _lose_patience(self) -> None:
        process = self._process
        if process is None or not self.busy:
            return
        self._listener.worker_log("The worker did not stop when asked; it was ended.")
        self._disconnect(process)
        self._kill(process)
        self._process = None
        process.connect("finished(int,QProcess::ExitStatus)", lambda *_: process.deleteLater())
        self._end_cancelled()

    def _finished(self, code: int, status: Any = None) -> None:
        process = self._process
        if process is None:
            return
        self._read()
        self._read_errors()
        crashed = process.exitStatus() == qt.QProcess.CrashExit
        self._process = None
        self._disconnect(process)
        process.deleteLater()
        if not self.busy:
            return
        cancelled = self._cancelling
        self._forget_job()
        if cancelled:
            self._listener.worker_cancelled()
        else:
            self._listener.worker_failed("lost", self._why_lost(code, crashed))

    def _why_lost(self, code: int, crashed: bool) -> str:
        if crashed or code in (-signal.SIGTERM, 137, 9):
            return (
                "The computing process was ended from outside, most often by the system because "
                "memory ran out. The "
                "scene was not changed. Close other volumes or programs and click "
                f"{self._command.button} again: a new process starts."
            )
        last = next((line for line in reversed(self._errors) if line.strip()), "")
        reason = f" ({last.strip()})" if last else ""
        return (
            f"The computing process ended unexpectedly with code {code}{reason}. The scene was not "
            f"changed. Click {self._command.button} again: a new process starts."
        )

    def _error(self, error: Any) -> None:
        process = self._process
        if process is None or error != qt.QProcess.FailedToStart:
            return
        self._process = None
        self._disconnect(process)
        process.deleteLater()
        text = (
            f"The computing process could not be started: {self._command.program or 'PythonSlicer'} is "
            "missing or may not be run. Reinstall the extension, or Slicer."
        )
        had_job = self.busy
        self._forget_job()
        if had_job:
            self._listener.worker_failed("lost", text)
        else:
            self._listener.worker_log(text)
