"""The upper part of the panel: device line, Analyze and Cancel, queue, progress, how a case ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer

from ...scene.nodes import ROLE_SEGMENTATION
from ...scene.prepare import find_nodes
from ...support.errors import LiverLesionAIError
from ..parameters import PanelParameters
from ..show.views import show_volume
from .other_scans import ChosenPhases
from .queue import AnalysisQueue, Case
from .run_text import done_line, stage_line
from .sample_case import load_sample_volume
from .torch_install import install_torch, torch_is_there
from .volumes import all_cts, grid_warnings


class RunHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    parameters: PanelParameters | None

    def settings(self) -> dict[str, Any]:
        """The analysis' settings as the panel stands."""

    def score_threshold(self) -> float:
        """Lesions of a lower score are kept aside."""

    def prior_to_analyse(self) -> Any:
        """The chosen prior scan where it has to be analysed first; None else."""

    def phases_of(self, volume: Any) -> tuple[ChosenPhases, tuple[str, ...]]:
        """The contrast phases that go along with a volume, and what is doubtful about them."""

    def model_problem(self) -> str:
        """Why nothing can be analysed, "" where all is well."""

    def analysed(self, first: bool = False) -> None:
        """A case has come into the scene; `first`: its CT had none before."""

    def answered(self) -> None:
        """The answer to a question has come into the scene."""

    def unanswered(self) -> None:
        """A question ended without an answer; the reader has been told why."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class RunPanel:
    """Starts analyses and shows how they go; the queue's view.

    Attributes:
        queue: the analyses.
    """

    def __init__(self, host: RunHost, logic: Any, make_queue: Callable[[RunPanel], AnalysisQueue]) -> None:
        self._host, self._logic, self._ui = host, logic, host.ui
        self._torch_known = False
        self._first = False
        self.queue = make_queue(self)
        ui = host.ui
        ui.analyzeButton.connect("clicked()", self._analyze_or_cancel)
        ui.sampleButton.connect("clicked()", self._load_sample)
        ui.installButton.connect("clicked()", self._install)
        self._menu = qt.QMenu(ui.queueButton)
        self._menu.connect("aboutToShow()", self._fill_menu)
        ui.queueButton.setMenu(self._menu)
        self.show_torch()
        self.run_changed()

    def enter(self) -> None:
        """The module is opened: how does the computer stand?"""
        self.show_torch()
        if torch_is_there():
            self.queue.request_info()

    # -- analyse

    def _analyze_or_cancel(self) -> None:
        if self.queue.current is not None:
            self.queue.cancel()
            return
        parameters = self._host.parameters
        volume = parameters.inputVolume if parameters is not None else None
        if volume is None:
            self._host.show_message(
                "Load a CT first (drag its folder or file into Slicer), or click Sample.", "warning"
            )
        elif problem := self._host.model_problem():
            self._host.show_message(problem, "error")
        else:
            self._host.show_message("")
            prior = self._host.prior_to_analyse()
            if prior is not None:
                self._add(prior)
            self._add(volume, self._second(volume))

    def _add(self, volume: Any, second: Any = None) -> None:
        """Analyse a volume; where it does not lie as its file says, say so before."""
        warnings = grid_warnings(volume)
        if second is not None:
            warnings += tuple(f"Second phase: {text}" for text in grid_warnings(second))
        phases, doubts = self._host.phases_of(volume)
        warnings += doubts
        for phase, node in phases.others:
            warnings += tuple(f"The {phase.title} phase: {text}" for text in grid_warnings(node))
        if warnings:
            self._host.show_message(" ".join(warnings), "warning")
        self.queue.add(volume, self._host.settings(), second, warnings, phases)

    def _second(self, volume: Any) -> Any:
        """The second phase that is chosen for a volume; None without one or without classes."""
        parameters = self._host.parameters
        second = parameters.secondVolume if parameters is not None and parameters.findClasses else None
        named = [node for _, node in self._host.phases_of(volume)[0].others]
        return None if second is volume or second in named else second

    def _fill_menu(self) -> None:
        menu, parameters = self._menu, self._host.parameters
        menu.clear()
        volumes = [node for node in all_cts(slicer.mrmlScene) if not self.queue.holds(node)]
        chosen = parameters.inputVolume if parameters is not None else None
        if chosen is not None and not self.queue.holds(chosen):
            menu.addAction(f"Add {chosen.GetName()}").connect("triggered()", lambda: self._enqueue([chosen]))
        if len(volumes) > 1:
            menu.addAction(f"Add all {len(volumes)} CTs of the scene").connect(
                "triggered()", lambda: self._enqueue(volumes)
            )
        if self.queue.waiting:
            menu.addAction(f"Forget the {len(self.queue.waiting)} that wait").connect(
                "triggered()", self.queue.clear_waiting
            )
        if not menu.actions():
            menu.addAction("No other CT in the scene").setEnabled(False)

    def _enqueue(self, volumes: list[Any]) -> None:
        if problem := self._host.model_problem():
            self._host.show_message(problem, "error")
            return
        for volume in volumes:
            self._add(volume)

    def _load_sample(self) -> None:
        try:
            volume = load_sample_volume(slicer.mrmlScene)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "error")
            return
        if self._host.parameters is not None:
            self._host.parameters.inputVolume = volume
        show_volume(slicer.mrmlScene, volume)
        self._host.show_message("The sample case is loaded: a synthetic CT with five lesions. Click Analyze.")

    # -- QueueView

    def run_changed(self) -> None:
        """Phase, progress, or what waits has changed."""
        ui, case = self._ui, self.queue.current
        busy = case is not None
        ui.analyzeButton.text = "Cancel" if busy else "Analyze"
        ui.analyzeButton.setEnabled(busy or self._torch_known)
        ui.progressBar.setVisible(busy)
        ui.stageLabel.setVisible(busy)
        if case is not None:
            progress = self.queue.progress
            ui.progressBar.setValue(round(1000 * progress.fraction))
            ui.stageLabel.text = stage_line(
                case.name, progress.stage, progress.fraction, progress.left_s, len(self.queue.waiting)
            )

    def apply_steps(self, volume: Any, result: Path) -> Iterator[str]:
        """Put a result into the scene, in steps."""
        self._first = not find_nodes(slicer.mrmlScene, volume).get(ROLE_SEGMENTATION)
        yield from self._logic.applySteps(volume, result, self._host.score_threshold())

    def run_ended(self, case: Case, kind: str, text: str) -> None:
        """A case has ended: kind "done", "cancelled", or a failure told in `text`."""
        if kind == "done" and case.question is not None:
            self._host.show_message("")
            self._host.answered()
        elif kind == "done":
            outcome = self._logic.lastOutcome
            self._host.show_message(done_line(len(outcome.numbers), outcome.notes, outcome.messages))
            self.worker_log(f"{case.name}: done. {' '.join((*outcome.notes, *outcome.messages))}")
            parameters = self._host.parameters
            if parameters is not None and parameters.inputVolume is case.volume:
                show_volume(slicer.mrmlScene, case.volume)
            self._host.analysed(self._first)
        elif kind == "cancelled":
            self._host.show_message(f"{case.name}: cancelled. The scene is as before.")
        else:
            self._host.show_message(f"{case.name}: {text}", "error")
            self.worker_log(f"{case.name}: {kind}: {text}")
            if kind == "install":
                self.show_torch()
            if case.question is not None:
                self._host.unanswered()
        self.run_changed()

    def worker_info(self, info: Mapping[str, Any]) -> None:
        """The computer as the worker sees it."""
        if not info.get("torch_version"):
            self.show_torch(str(info.get("problem", "")))
            return
        problem = info.get("problem") or ""
        self._ui.deviceLabel.text = f"{info['line']}" + (f"<br>{problem}" if problem else "")

    def worker_log(self, text: str) -> None:
        """Something for the log."""
        self._ui.logText.appendPlainText(text)

    # -- PyTorch

    def show_torch(self, problem: str = "") -> None:
        """Offer to install PyTorch where it is missing."""
        there = self._torch_known = torch_is_there() and not problem
        label = self._ui.deviceLabel
        self._ui.installButton.setVisible(not there)
        if not there:
            label.text = problem or "PyTorch is missing: the networks need it."
        elif not label.text or label.text.startswith("PyTorch is missing"):
            label.text = "Looking at the device …"

    def _install(self) -> None:
        done, text = install_torch()
        self._host.show_message(text, "info" if done else "warning")
        self.show_torch()
        if done:
            self.queue.restart_worker()
            self.queue.request_info()
        self.run_changed()
