"""Cases one after the other: hand over, compute, put into the scene.

Each in short steps on the event loop.
"""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer
from numpy.typing import NDArray

from ...analysis.handover import write_volume
from ...support.errors import LiverLesionAIError
from ...volume.ct import Geometry
from .other_scans import NO_PHASES, ChosenPhases, hand_over_others, with_geometry
from .temp_folders import make_case_folder
from .volumes import checked_geometry, header_contrast
from .worker_client import WorkerClient

HANDOVER_SHARE = 0.05
COMPUTE_SHARE = 0.95
STEP_BUDGET_S = 0.02


log = logging.getLogger(__name__)


class RunPhase(Enum):
    """What is under way."""

    IDLE = "idle"
    HANDOVER = "hand over"
    COMPUTING = "computing"
    APPLYING = "applying"


@dataclass(frozen=True)
class RunProgress:
    """What the progress line shows; `left_s` is None while nobody can tell."""

    stage: str = ""
    fraction: float = 0.0
    left_s: float | None = None


class Question(Protocol):
    """Something that is asked of a volume, or of a part of it.

    Attributes:
        command: what the worker is to do.
    """

    command: str

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The part's voxels and grid, and the question as plain types."""

    def answer(self, result: Path) -> Iterator[str]:
        """Put the answer into the scene, in steps; yields what each step does."""


@dataclass(eq=False)
class Case:
    """A volume that waits or is worked on.

    Attributes:
        second: another contrast phase of the same patient, for the lesions' classes.
        question: what is asked of a point of it, instead of an analysis.
        warnings: what is doubtful about it, for the findings.
        phases: contrast phases that the reader names.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    question: Question | None = None
    second: slicer.vtkMRMLScalarVolumeNode | None = None
    warnings: tuple[str, ...] = ()
    phases: ChosenPhases = NO_PHASES


class QueueView(Protocol):
    """The panel, as the queue sees it."""

    def run_changed(self) -> None:
        """Phase, progress, or what waits has changed."""

    def apply_steps(self, volume: slicer.vtkMRMLScalarVolumeNode, result: Path) -> Iterator[str]:
        """Put a result into the scene, in steps; yields what each step does."""

    def run_ended(self, case: Case, kind: str, text: str) -> None:
        """A case has ended: kind "done", "cancelled", or a failure told in `text`."""

    def worker_info(self, info: Mapping[str, Any]) -> None:
        """The computer as the worker sees it."""

    def worker_log(self, text: str) -> None:
        """Something for the log."""


class AnalysisQueue:
    """Runs cases through one warm worker. Never blocks: long work is done in steps of about 30 ms."""

    def __init__(
        self,
        view: QueueView,
        make_client: Callable[[AnalysisQueue], WorkerClient],
        temporary_root: str,
    ) -> None:
        self._view = view
        self._client = make_client(self)
        self._root = temporary_root
        self._waiting: list[Case] = []
        self._current: Case | None = None
        self._steps: Iterator[Any] | None = None
        self.phase = RunPhase.IDLE
        self.progress = RunProgress()
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)

    @property
    def current(self) -> Case | None:
        """The case that is worked on."""
        return self._current

    @property
    def waiting(self) -> tuple[Case, ...]:
        """Cases that wait, next one first."""
        return tuple(self._waiting)

    def holds(self, volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Whether a volume is worked on or waits."""
        cases = [*self._waiting, self._current] if self._current else self._waiting
        return any(case.volume is volume and case.question is None for case in cases)

    def request_info(self) -> None:
        """Ask the worker about the computer; the view is told."""
        if self._current is None:
            self._client.request_info()

    def add(
        self,
        volume: slicer.vtkMRMLScalarVolumeNode,
        settings: Mapping[str, Any],
        second: slicer.vtkMRMLScalarVolumeNode | None = None,
        warnings: tuple[str, ...] = (),
        phases: ChosenPhases = NO_PHASES,
    ) -> None:
        """Analyse a volume now, or after those that wait.

        One that is already in the queue is not added again.

        Args:
            second: another contrast phase of the same patient.
            warnings: what is doubtful about the volume, for the findings.
            phases: that the reader names.
        """
        if self.holds(volume):
            return
        case = Case(volume, volume.GetName(), settings, second=second, warnings=warnings, phases=phases)
        self._waiting.append(case)
        if self._current is None:
            self._next()
        else:
            self._view.run_changed()

    def ask(
        self,
        volume: slicer.vtkMRMLScalarVolumeNode,
        question: Question,
        second: slicer.vtkMRMLScalarVolumeNode | None = None,
    ) -> None:
        """Ask something of a volume, now or after those that wait; one of its kind that waits is dropped.

        Args:
            second: another volume that the worker needs for the answer.
        """
        self._waiting = [
            case
            for case in self._waiting
            if case.question is None or case.question.command != question.command
        ]
        self._waiting.append(Case(volume, volume.GetName(), question=question, second=second))
        if self._current is None:
            self._next()
        else:
            self._view.run_changed()

    def cancel(self) -> None:
        """Stop the case under way; the next one starts."""
        if self.phase is RunPhase.COMPUTING:
            self.progress = RunProgress("Cancelling", self.progress.fraction)
            self._client.cancel()
            self._view.run_changed()
        elif self._current is not None:
            self._end("cancelled", "")

    def clear_waiting(self) -> None:
        """Forget the cases that wait."""
        self._waiting.clear()
        self._view.run_changed()

    def drop_missing(self, present: Callable[[Any], bool], why: str) -> None:
        """Forget the cases whose volume is gone; the one under way is ended and told with `why`."""
        self._waiting = [case for case in self._waiting if present(case.volume)]
        # A phase less is an analysis all the same; a question about two scans is none without one.
        self._waiting = [
            case
            for case in self._waiting
            if case.question is None or case.second is None or present(case.second)
        ]
        for waiting in self._waiting:
            if waiting.second is not None and not present(waiting.second):
                waiting.second = None
            waiting.phases = waiting.phases.those(present)
        case = self._current
        if case is not None and not present(case.volume):
            if self.phase is RunPhase.COMPUTING:
                self._client.cancel()
                self._detach(case)
            self._end("gone", why)
        else:
            self._view.run_changed()

    def stop(self) -> None:
        """End everything at once, silently."""
        self._waiting.clear()
        self._timer.stop()
        case, self._current, self._steps = self._current, None, None
        self.phase = RunPhase.IDLE
        self._client.stop()
        if case is not None:
            self._remove_folder(case)

    def restart_worker(self) -> None:
        """Let the next case start a fresh worker (PyTorch was installed, say)."""
        if self._current is None:
            self._client.stop()

    # -- one case

    def _next(self) -> None:
        if self._current is not None:
            return
        if not self._waiting or self._client.busy:
            self._view.run_changed()
            return
        self._current = self._waiting.pop(0)
        self.phase = RunPhase.HANDOVER
        self.progress = RunProgress("hand over the volume", 0.0)
        self._run_steps(self._handover(self._current))
        self._view.run_changed()

    def _handover(self, case: Case) -> Iterator[Any]:
        geometry = checked_geometry(case.volume)
        # The image is held here: should the node go, its voxels stay until this step ends.
        image = case.volume.GetImageData()
        array = slicer.util.arrayFromVolume(case.volume)
        request: Mapping[str, Any] = {}
        if case.question is not None:
            array, geometry, request = case.question.prepare()
        others = with_geometry(case.second, case.phases)
        case.folder = make_case_folder(self._root)
        said = header_contrast(case.volume)
        for share in write_volume(case.folder, array, geometry, case.name, case.warnings, contrast=said):
            self.progress = RunProgress("hand over the volume", HANDOVER_SHARE * share)
            yield image
        for image in hand_over_others(case.folder, others, case.phases.own):
            self.progress = RunProgress("hand over the other scans", HANDOVER_SHARE)
            yield image
        self.phase = RunPhase.COMPUTING
        self.progress = RunProgress("start the computing process", HANDOVER_SHARE)
        if case.question is not None:
            self._client.ask(case.question.command, case.folder, request)
        else:
            self._client.analyze(case.folder, case.settings)

    def _applying(self, case: Case, result: Path) -> Iterator[Any]:
        if case.question is not None:
            steps = case.question.answer(result)
        else:
            steps = self._view.apply_steps(case.volume, result)
        for stage in steps:
            self.progress = RunProgress(stage, 1.0)
            yield None
        self._end("done", "")

    def _run_steps(self, steps: Iterator[Any]) -> None:
        self._steps = steps
        self._timer.start()

    def _step(self) -> None:
        end_s = time.monotonic() + STEP_BUDGET_S
        steps = self._steps
        try:
            while self._steps is steps and steps is not None and time.monotonic() < end_s:
                next(steps)
        except StopIteration:
            if self._steps is steps:
                self._steps = None
                self._timer.stop()
        except Exception as error:
            self._fail(error)
        if self._current is not None:
            self._view.run_changed()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, LiverLesionAIError):
            self._end("failed", str(error))
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            self._end(
                "failed",
                f"The disk with the temporary folder {self._root} is full. Free some space, or choose "
                "another folder "
                "in Edit / Application Settings / General, and click Analyze again.",
            )
        elif isinstance(error, OSError):
            self._end("failed", f"The temporary folder {self._root} cannot be used: {error.strerror}.")
        elif isinstance(error, MemoryError):
            self._end("failed", "Memory ran out. Close other volumes, then click Analyze again.")
        else:
            log.exception("Analysis of a case failed in the panel")
            self._end("failed", f"The result could not be shown ({type(error).__name__}: {error}).")

    def _end(self, kind: str, text: str) -> None:
        case = self._current
        self._current, self._steps = None, None
        self._timer.stop()
        self.phase, self.progress = RunPhase.IDLE, RunProgress()
        if case is None:
            return
        self._remove_folder(case)
        self._view.run_ended(case, kind, text)
        # From the event loop: the client may be in the middle of telling.
        qt.QTimer.singleShot(0, self._next)

    def _detach(self, case: Case) -> None:
        """The client removes the folder itself when the worker has let go of it."""
        case.folder = None

    def _remove_folder(self, case: Case) -> None:
        if case.folder is not None:
            shutil.rmtree(case.folder, ignore_errors=True)
            case.folder = None

    # -- the worker's side (WorkerListener)

    def worker_info(self, info: Mapping[str, Any]) -> None:
        self._view.worker_info(info)

    def worker_log(self, text: str) -> None:
        self._view.worker_log(text)

    def worker_progress(self, stage: str, fraction: float, left_s: float | None) -> None:
        if self.phase is RunPhase.COMPUTING:
            share = HANDOVER_SHARE + (COMPUTE_SHARE - HANDOVER_SHARE) * fraction
            self.progress = RunProgress(stage, share, left_s)
            self._view.run_changed()

    def worker_done(self, result: Path) -> None:
        case = self._current
        if case is None or self.phase is not RunPhase.COMPUTING:
            shutil.rmtree(result.parent, ignore_errors=True)
            qt.QTimer.singleShot(0, self._next)
            return
        self.phase = RunPhase.APPLYING
        self.progress = RunProgress("show the result", COMPUTE_SHARE)
        self._run_steps(self._applying(case, result))
        self._view.run_changed()

    def worker_failed(self, kind: str, text: str) -> None:
        if self.phase is RunPhase.COMPUTING:
            self._end(kind, text)
        else:
            qt.QTimer.singleShot(0, self._next)

    def worker_cancelled(self) -> None:
        if self.phase is RunPhase.COMPUTING:
            self._end("cancelled", "")
        else:
            qt.QTimer.singleShot(0, self._next)
