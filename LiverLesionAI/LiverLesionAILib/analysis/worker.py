"""The process that computes for the panel: ``python -m LiverLesionAILib.analysis.worker``.

It reads one JSON object per line from standard input and answers with one per line on standard output; it
stays
warm between cases. Commands (``id`` is chosen by the sender and comes back in every answer)::

    {"command": "info", "id": 1}
    {"command": "analyze", "id": 2, "folder": "...", "settings": {...}}
    {"command": "attend", "id": 3, "folder": "...", "settings": {...}}
    {"command": "compare", "id": 4, "folder": "...", "settings": {...}}
    {"command": "anatomy", "id": 5, "folder": "...", "settings": {...}}
    {"command": "click", "id": 6, "folder": "...", "settings": {...}}
    {"command": "cancel", "id": 2}
    {"command": "quit"}

Answers: ``ready`` (once), ``info``, ``progress`` (stage, fraction, left_s), ``done`` (result folder,
seconds), ``failed`` (kind, text, details), ``cancelled``. The volume lies in ``folder`` (see
:mod:`.handover`), a second phase of the patient in ``folder/second``, phases that the reader names beside
it; the result is written to ``folder/result``. ``attend`` asks what networks attend to (see
:mod:`.attention`) in the same way, ``compare`` how an earlier scan, in ``folder/second``, lies on it (see
:mod:`.compared`), and ``anatomy`` where the liver's vessels and segments are (see
:mod:`.anatomy_handed_over`), ``click`` what belongs to the lesion that was clicked on (see
:mod:`.clicked`). When standard input ends, its reader is gone: the worker removes the case it
works on and exits.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..models.computer import describe_computer
from ..support.errors import Cancelled, InputError, LiverLesionAIError, ModelError, OutputError
from ..support.memory import keep_freed_memory
from ..support.progress import Progress, TimedProgress
from ..support.threads import let_threads_sleep
from .handover import SECOND_FOLDER, read_named_phases, read_volume

RESULT_FOLDER = "result"
PROGRESS_INTERVAL_S = 0.1


class Analysis(Protocol):
    """What the worker runs; made once, so that models stay loaded."""

    def info(self) -> Mapping[str, Any]:
        """What the panel shows about this computer and the models."""

    def run(self, folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        """Analyse the volume in `folder` and write the result to `folder/result`."""

    def attend(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """Write what networks attend to in the volume in `folder`, as maps, to `folder/result`."""

    def compare(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """Write how the earlier scan in `folder/second` lies on the volume in `folder` to `folder/result`."""

    def anatomy(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """Write the liver's vessels and segments in the volume in `folder` to `folder/result`."""

    def click(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """Write the outline of what was clicked on in the volume in `folder` to `folder/result`."""


class PipelineAnalysis:
    """The product's analysis; imports torch when first used."""

    def __init__(self) -> None:
        self._models: Any = None

    def _store(self) -> Any:
        if self._models is None:
            from ..models.weights import ModelStore

            self._models = ModelStore.bundled()
        return self._models

    def info(self) -> Mapping[str, Any]:
        computer = describe_computer()
        return {**asdict(computer), "line": computer.line}

    def run(self, folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        from ..case.store import save_result
        from ..case.surfaces import save_surfaces
        from ..volume.checking import check_ct, whole_hu
        from ..volume.ct import CtVolume
        from .pipeline import analyze
        from .settings import Settings

        def checked(place: Path) -> CtVolume:
            volume = read_volume(place)
            return check_ct(replace(volume, hu_zyx=whole_hu(volume.hu_zyx)))

        try:
            chosen = Settings.from_json(settings)
        except TypeError as error:
            raise InputError(f"The analysis does not know a setting it was given ({error}).") from error
        volume = checked(folder)
        second = checked(folder / SECOND_FOLDER) if (folder / SECOND_FOLDER).is_dir() else None
        phases = read_named_phases(folder, checked)
        result = analyze(volume, chosen, self._store(), progress, second, phases=phases)
        progress("handing over the result", 1.0)
        save_result(result, folder / RESULT_FOLDER)
        save_surfaces(result, folder / RESULT_FOLDER)

    def attend(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        from ..case.store import save_result
        from ..volume.checking import whole_hu
        from .attention import answer

        volume = read_volume(folder)
        volume = replace(volume, hu_zyx=whole_hu(volume.hu_zyx))
        save_result(answer(volume, request, self._store(), progress), folder / RESULT_FOLDER)

    def compare(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        from .compared import compare_handed_over

        compare_handed_over(folder, request, progress)

    def anatomy(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        from .anatomy_handed_over import find_handed_over

        try:
            store = self._store()
        except ModelError:
            store = None
        find_handed_over(folder, request, progress, store)

    def click(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        from ..case.store import save_result
        from ..volume.checking import whole_hu
        from .clicked import outline_clicked

        progress("outlining what was clicked on", 0.1)
        volume = read_volume(folder)
        volume = replace(volume, hu_zyx=whole_hu(volume.hu_zyx))
        save_result(outline_clicked(volume, request, self._store()), folder / RESULT_FOLDER)


class Channel:
    """Writes answers, one JSON line each, whole lines only, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: str, **content: Any) -> None:
        line = json.dumps({"event": event, **content}, default=str).encode() + b"\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads any more; the end of standard input will end this process.
                pass


def failure(error: BaseException) -> tuple[str, str]:
    """Kind ("input", "model", "memory", "output", "internal") of an error and a text for the reader."""
    if isinstance(error, ModelError):
        return "model", str(error)
    if isinstance(error, OutputError):
        return "output", str(error)
    if isinstance(error, LiverLesionAIError):
        return "input", str(error)
    if _is_out_of_memory(error):
        return "memory", (
            "Memory ran out. Close other programs or volumes, or crop the CT to the abdomen (Crop "
            "Volume module), "
            "and click Analyze again."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "output", (
            "The disk with the temporary folder is full. Free some space, or choose another "
            "temporary folder in "
            "Edit / Application Settings, and click Analyze again."
        )
    if isinstance(error, ModuleNotFoundError):
        return (
            "install",
            f"A needed package is missing: {error.name}. Install it with the button in the panel.",
        )
    return "internal", (
        f"The analysis stopped by an error of the program ({type(error).__name__}: {error}). The "
        "scene was not "
        "changed; the log below has the details."
    )


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


class Worker:
    """Runs commands one after the other; a second thread listens, so that cancel is heard at once."""

    def __init__(self, commands: BinaryIO, channel: Channel, make_analysis: Callable[[], Analysis]) -> None:
        self._commands = commands
        self._channel = channel
        self._make_analysis = make_analysis
        self._analysis: Analysis | None = None
        self._todo: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._folder: Path | None = None

    def serve(self) -> int:
        """Answer commands until quit or the end of input; the process's exit code."""
        self._channel.send("ready", pid=os.getpid())
        threading.Thread(target=self._listen, daemon=True).start()
        while (message := self._todo.get()) is not None:
            if message["command"] == "info":
                self._answer_info(message)
            else:
                self._answer_case(message)
        return 0

    def _listen(self) -> None:
        for line in iter(self._commands.readline, b""):
            try:
                message = json.loads(line)
                command = message["command"]
            except (ValueError, KeyError, TypeError):
                self._channel.send("failed", id=None, kind="internal", text="Unreadable command.", details="")
                continue
            if command == "cancel":
                self._cancelled.add(message.get("id"))
            elif command == "quit":
                break
            elif command in ("info", "analyze", "attend", "compare", "anatomy", "click"):
                self._todo.put(message)
            else:
                self._channel.send(
                    "failed", id=message.get("id"), kind="internal", text=f"No command {command}.", details=""
                )
        self._leave()

    def _leave(self) -> None:
        """End now, whatever the other thread computes: the reader is gone or wants it."""
        folder = self._folder
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    def _open(self) -> Analysis:
        if self._analysis is None:
            self._analysis = self._make_analysis()
        return self._analysis

    def _answer_info(self, message: Mapping[str, Any]) -> None:
        try:
            self._channel.send("info", id=message.get("id"), **self._open().info())
        except Exception as error:
            kind, text = failure(error)
            self._channel.send(
                "failed", id=message.get("id"), kind=kind, text=text, details=traceback.format_exc()
            )

    def _answer_case(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        start_s = time.monotonic()
        self._folder = Path(message["folder"])
        try:
            progress = self._progress(number)
            progress("Start", 0.0)
            name = {"analyze": "run"}.get(message["command"], message["command"])
            answer = getattr(self._open(), name)
            answer(self._folder, message.get("settings", {}), progress)
            if number in self._cancelled:
                raise Cancelled("Cancelled; nothing was kept.")
            self._channel.send(
                "done",
                id=number,
                result=str(self._folder / RESULT_FOLDER),
                seconds=round(time.monotonic() - start_s, 2),
            )
        except Cancelled:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._channel.send("cancelled", id=number)
        except Exception as error:
            kind, text = failure(error)
            details = traceback.format_exc()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._channel.send("failed", id=number, kind=kind, text=text, details=details)
        finally:
            self._folder = None
            self._cancelled.discard(number)

    def _progress(self, number: Any) -> Progress:
        last_stage, last_s = "", 0.0

        def report(stage: str, fraction: float, left_s: float | None) -> None:
            nonlocal last_stage, last_s
            now_s = time.monotonic()
            if stage == last_stage and now_s - last_s < PROGRESS_INTERVAL_S:
                return
            last_stage, last_s = stage, now_s
            self._channel.send("progress", id=number, stage=stage, fraction=round(fraction, 4), left_s=left_s)

        return TimedProgress(report, cancelled=lambda: number in self._cancelled)


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone.

    Whatever else in this process prints goes to standard error, whatever reads finds an empty input: a
    library
    that prints cannot break a line of the protocol.
    """
    if sys.platform == "win32":
        import msvcrt

        for stream in (0, 1):
            msvcrt.setmode(stream, os.O_BINARY)
    commands = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return commands, answers


def main(make_analysis: Callable[[], Analysis] = PipelineAnalysis) -> int:
    """Serve this process's standard input and output until they end."""
    let_threads_sleep()
    keep_freed_memory()
    commands, answers = private_streams()
    if hasattr(os, "nice"):
        os.nice(5)  # The reader's application comes first when both want the same core.
    return Worker(commands, Channel(answers), make_analysis).serve()


if __name__ == "__main__":
    sys.exit(main())
