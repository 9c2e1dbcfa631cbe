"""One task of the export's child process: prepared in steps, run with progress, taken over in steps."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import qt

from ...support.errors import LiverLesionAIError
from ..run.queue import STEP_BUDGET_S, RunProgress
from ..run.temp_folders import make_case_folder
from ..run.worker_client import WorkerClient, WorkerListener

log = logging.getLogger(__name__)

Prepare = Callable[[Path], Generator[Any, None, Mapping[str, Any]]]
"""Fills a private folder in steps; what it returns is the task."""


@dataclass(frozen=True)
class Task:
    """What is asked of the child process.

    Attributes:
        name: for the progress line.
        take: what to do with the result's folder, in steps.
        done: called when all is over.
    """

    name: str
    prepare: Prepare
    take: Callable[[Path], Iterator[Any]] = lambda result: iter(())
    done: Callable[[], None] = lambda: None


class RunView(Protocol):
    """The panel, as a run sees it."""

    def run_changed(self) -> None:
        """Progress has changed, or a task has begun or ended."""

    def run_failed(self, text: str, kind: str) -> None:
        """A task came to nothing; "" where the reader cancelled it."""

    def run_log(self, text: str) -> None:
        """Something for the log."""


class ChildRun:
    """At most one task at a time, on the event loop; its process ends with it.

    Attributes:
        progress: of the task under way.
    """

    def __init__(
        self, view: RunView, make_client: Callable[[WorkerListener], WorkerClient], temporary_root: str
    ) -> None:
        self._view, self._client, self._root = view, make_client(self), temporary_root
        self._task: Task | None = None
        self._folder: Path | None = None
        self._steps: Iterator[Any] | None = None
        self.progress = RunProgress()
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)

    @property
    def task(self) -> Task | None:
        """What is under way."""
        return self._task

    def start(self, task: Task) -> None:
        """Begin; ignored while another task is under way."""
        if self._task is not None:
            return
        self._task, self.progress = task, RunProgress("start", 0.0)
        self._go(self._preparing(task))
        self._view.run_changed()

    def cancel(self) -> None:
        """End the task; nothing of it is left."""
        if self._task is None:
            return
        if self._client.busy:
            self.progress = RunProgress("Cancelling", self.progress.fraction)
            self._client.cancel()
            self._view.run_changed()
        else:
            self._end("", "cancelled")

    def stop(self) -> None:
        """End everything at once, silently."""
        self._task = None
        self._client.stop()
        self._clear()

    # -- steps

    def _preparing(self, task: Task) -> Iterator[Any]:
        self._folder = make_case_folder(self._root)
        request = yield from task.prepare(self._folder)
        self._client.analyze(self._folder, request)

    def _taking(self, task: Task, result: Path) -> Iterator[Any]:
        yield from task.take(result)
        self._end(None)
        task.done()

    def _go(self, steps: Iterator[Any]) -> None:
        self._steps = steps
        self._timer.start()

    def _step(self) -> None:
        end_s, steps = time.monotonic() + STEP_BUDGET_S, self._steps
        try:
            while steps is not None and self._steps is steps and time.monotonic() < end_s:
                next(steps)
        except StopIteration:
            if self._steps is steps:
                self._steps = None
                self._timer.stop()
        except LiverLesionAIError as error:
            self._end(str(error))
        except OSError as error:
            self._end(f"The temporary folder {self._root} cannot be used: {error.strerror}.")
        except Exception as error:
            log.exception("A task of the export failed in the panel")
            self._end(f"An error of the program ({type(error).__name__}: {error}).")

    def _end(self, failure: str | None, kind: str = "error") -> None:
        """Over; `failure` says why it came to nothing, None where it did not."""
        if self._task is None:
            return
        self._task = None
        self._clear()
        # From the event loop: the client may be in the middle of telling.
        qt.QTimer.singleShot(0, self._stop_process)
        if failure is not None:
            self._view.run_failed(failure, kind)
        self._view.run_changed()

    def _stop_process(self) -> None:
        """A process more than one task old would go on with packages of yesterday, and hold memory."""
        if self._task is None:
            self._client.stop()

    def _clear(self) -> None:
        self._timer.stop()
        self._steps, self.progress = None, RunProgress()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    # -- the process's side (WorkerListener)

    def worker_info(self, info: Mapping[str, Any]) -> None:
        """Nobody asks."""

    def worker_log(self, text: str) -> None:
        self._view.run_log(text)

    def worker_progress(self, stage: str, fraction: float, left_s: float | None) -> None:
        if self._task is not None:
            self.progress = RunProgress(stage, fraction, left_s)
            self._view.run_changed()

    def worker_done(self, result: Path) -> None:
        if self._task is None:
            shutil.rmtree(result.parent, ignore_errors=True)
            return
        self._go(self._taking(self._task, result))

    def worker_failed(self, kind: str, text: str) -> None:
        self._end(text)

    def worker_cancelled(self) -> None:
        self._end("", "cancelled")
