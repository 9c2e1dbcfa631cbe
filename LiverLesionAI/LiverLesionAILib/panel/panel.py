"""The panel: connects widgets, parameters, the analysis queue and the scene."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from .analysis_queue import AnalysisQueue, Case
from .case_folder import remove_stale_folders
from .case_view import CaseView, FindingRow, read_case
from .edit_panel import EditPanel
from .findings_panel import FindingsPanel
from .map_panel import MapPanel
from .model_panel import ModelPanel
from .overlays import apply_overlays
from .parameters import PanelParameters
from .reader_actions import ReaderActions
from .reader_panel import ReaderPanel
from .run_text import stage_line
from .sample_case import find_sample, sample_steps
from .shortcuts import Shortcuts
from .threshold import FAINTEST_SCORE
from .threshold_panel import ThresholdPanel
from .torch_install import install_torch, torch_is_there
from .views import Pulse, centre_ras, jump_to, show_volume
from .worker_client import WorkerClient, WorkerCommand, python_program

INFO_INTERVAL_MS = 10_000


class Panel(VTKObservationMixin):
    """Everything the reader sees in the module's panel.

    Attributes:
        queue: the analyses.
        case: what the scene holds for the chosen CT.
    """

    def __init__(
        self,
        widget: qt.QWidget,
        ui: Any,
        logic: Any,
        resource: Callable[[str], str],
        worker: WorkerCommand | None = None,
    ) -> None:
        super().__init__()
        self._widget, self.ui, self._logic, self._resource = widget, ui, logic, resource
        self.parameters: PanelParameters | None = None
        self._gui_tag: int | None = None
        self._parameter_node: Any = None
        self.case: CaseView = read_case(slicer.mrmlScene, None)
        self._torch_known = False
        self._pending_refresh = False
        self._entered = False
        library = str(Path(__file__).resolve().parents[2])
        command = worker or WorkerCommand.for_slicer(
            library, python_program(slicer.app.slicerHome, sys.executable)
        )
        root = os.path.join(slicer.app.temporaryPath, "LiverLesionAI")
        remove_stale_folders(root)
        self.queue = AnalysisQueue(self, lambda queue: WorkerClient(command, queue), root)
        self.findings = FindingsPanel(ui, self._icon, self._lesion_selected)
        self.reader = ReaderPanel(self, ReaderActions(slicer.mrmlScene))
        self.edit = EditPanel(self, self.reader.actions, self.refresh)
        self.reader.changed = self.edit.forget_own_changes
        self.maps = MapPanel(ui)
        self.models = ModelPanel(ui)
        self.threshold = ThresholdPanel(
            ui, slicer.mrmlScene, self.reader.actions, lambda: self.models.chosen("segment")
        )
        self._pulse = Pulse()
        self._set_icons()
        self._connect()
        self._shortcuts = Shortcuts(
            widget,
            {
                "N": lambda: self.findings.step(1),
                "P": lambda: self.findings.step(-1),
                "H": lambda: self._toggle(ui.hideAllButton),
                **self.reader.keys(),
            },
        )
        # Only in the table: elsewhere Delete means other things.
        self._table_keys = Shortcuts(ui.findingsTable, {"Delete": self.reader.delete}, window=False)
        self._show_torch()
        self.run_changed()

    # -- life

    @property
    def entered(self) -> bool:
        """Whether the module is open."""
        return self._entered

    def enter(self) -> None:
        """The reader opened the module."""
        self._entered = True
        self._observe_scene()
        self._bind()
        self.edit.enter()
        self._shortcuts.enable()
        self._table_keys.enable()
        self._show_torch()
        self.refresh()
        if torch_is_there():
            self.queue.request_info()

    def exit(self) -> None:
        """The reader went to another module; an analysis goes on."""
        self._entered = False
        self._pulse.stop()
        self._shortcuts.disable()
        self._table_keys.disable()
        self.reader.close()
        self.edit.leave()
        self._unbind()

    def cleanup(self) -> None:
        """The module is unloaded: nothing may be left that still runs or observes."""
        self._entered = False
        self._pulse.stop()
        self._shortcuts.disable()
        self._table_keys.disable()
        self.queue.stop()
        self.reader.close()
        self.edit.close()
        self._unbind()
        self.removeObservers()

    def _observe_scene(self) -> None:
        scene = slicer.mrmlScene
        events = (
            (scene.StartCloseEvent, self._scene_starts_closing),
            (scene.EndCloseEvent, self._scene_replaced),
            (scene.EndImportEvent, self._scene_replaced),
            (scene.EndRestoreEvent, self._scene_replaced),
            (scene.NodeAddedEvent, self._nodes_changed),
            (scene.NodeRemovedEvent, self._nodes_changed),
        )
        for event, method in events:
            if not self.hasObserver(scene, event, method):
                self.addObserver(scene, event, method)

    def _bind(self) -> None:
        """Connect the widgets to the scene's parameter node."""
        if self._gui_tag is not None:
            return
        self.parameters = PanelParameters(self._logic.getParameterNode())
        self._parameter_node = self.parameters.parameterNode
        self.findings.bind(self.parameters)
        self.maps.bind(self.parameters)
        self.models.bind(self.parameters)
        self.threshold.bind(self.parameters)
        mapping = {
            child.property("SlicerParameterName"): child
            for child in self._widget.findChildren(qt.QWidget)
            if child.property("SlicerParameterName")
        }
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = _first_ct(slicer.mrmlScene)
        # connectGui would do the same but returns no tag in 5.8, so it could never be disconnected.
        self._gui_tag = self.parameters.connectParametersToGui(mapping)
        self.addObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)

    def _unbind(self) -> None:
        if self._gui_tag is None or self.parameters is None:
            return
        self.parameters.disconnectGui(self._gui_tag)
        self._gui_tag = None
        self.parameters = None
        self.findings.bind(None)
        self.maps.bind(None)
        self.models.bind(None)
        self.threshold.bind(None)
        if self.hasObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed):
            self.removeObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)

    def _connect(self) -> None:
        ui = self.ui
        ui.analyzeButton.connect("clicked()", self._analyze_or_cancel)
        ui.sampleButton.connect("clicked()", self._load_sample)
        ui.installButton.connect("clicked()", self._install)
        ui.previousButton.connect("clicked()", lambda: self.findings.step(-1))
        ui.nextButton.connect("clicked()", lambda: self.findings.step(1))
        self._queue_menu = qt.QMenu(ui.queueButton)
        self._queue_menu.connect("aboutToShow()", self._fill_queue_menu)
        ui.queueButton.setMenu(self._queue_menu)
        # A section that opens shows all that is in it: hide again what has nothing to say.
        ui.findingsSection.connect("contentsCollapsed(bool)", lambda collapsed: self._refresh_soon())
        ui.hideAllButton.connect("toggled(bool)", self._hide_all)

    def _icon(self, name: str) -> qt.QIcon:
        icon = qt.QIcon(self._resource(f"Icons/{name}.png"))
        selected = self._resource(f"Icons/{name}Selected.png")
        if os.path.isfile(selected):
            # Else Qt tints it with the selection's colour, on which it is not seen.
            icon.addFile(selected, qt.QSize(), qt.QIcon.Selected)
        return icon

    def _set_icons(self) -> None:
        ui = self.ui
        for button, name in (
            (ui.previousButton, "Previous"),
            (ui.nextButton, "Next"),
            (ui.acceptButton, "StatusAccepted"),
            (ui.rejectButton, "StatusRejected"),
            (ui.addButton, "Add"),
            (ui.mergeButton, "Merge"),
            (ui.splitButton, "Split"),
            (ui.deleteButton, "Delete"),
            (ui.undoButton, "Undo"),
            (ui.redoButton, "Redo"),
            (ui.sampleButton, "Sample"),
            (ui.queueButton, "Queue"),
        ):
            button.setIcon(self._icon(name))

    def _toggle(self, button: qt.QPushButton) -> None:
        button.checked = not button.checked

    # -- scene and parameters

    def _scene_starts_closing(self, caller: Any = None, event: Any = None) -> None:
        self._pulse.stop()
        self.edit.let_go()
        self.reader.close()
        self._unbind()
        self.queue.clear_waiting()
        self.queue.drop_missing(
            lambda volume: False,
            "The scene was closed, so the analysis was stopped. Load a CT and click Analyze.",
        )

    def _scene_replaced(self, caller: Any = None, event: Any = None) -> None:
        self._unbind()
        self.case = read_case(slicer.mrmlScene, None)
        self.findings.show(self.case)
        if self._entered:
            self._bind()
        self._refresh_soon()

    def _nodes_changed(self, caller: Any = None, event: Any = None) -> None:
        scene = slicer.mrmlScene
        if scene.IsClosing():
            return
        if self.queue.current is not None or self.queue.waiting:
            self.queue.drop_missing(
                lambda volume: bool(scene.IsNodePresent(volume)),
                "The CT was deleted, so its analysis was stopped.",
            )
        if not scene.IsImporting():
            self._refresh_soon()

    def _parameters_changed(self, caller: Any = None, event: Any = None) -> None:
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        """Refresh once after a burst of changes."""
        if not self._pending_refresh:
            self._pending_refresh = True
            qt.QTimer.singleShot(0, self._refresh_now)

    def _refresh_now(self) -> None:
        self._pending_refresh = False
        if self._gui_tag is not None:
            self.refresh()

    def refresh(self) -> None:
        """Read the case from the scene and show it."""
        if self.parameters is None:
            return
        self.case = read_case(slicer.mrmlScene, self.parameters.inputVolume)
        moved = self.threshold.follow(self.case)
        if moved is not self.case:
            self.case = moved
            self.edit.forget_own_changes()
        self.findings.show(self.case)
        self.maps.show(self.case)
        self.models.show()
        self.reader.show()
        self.edit.show()
        was = self.ui.hideAllButton.blockSignals(True)
        self.ui.hideAllButton.checked = self.parameters.allHidden
        self.ui.hideAllButton.blockSignals(was)
        apply_overlays(slicer.mrmlScene, self.case, self.parameters)
        self.run_changed()

    # -- run

    def settings(self) -> dict[str, Any]:
        """The analysis' settings as the panel stands."""
        # Fainter lesions are kept aside for the threshold slider.
        return {**self.models.settings(), "score_threshold": FAINTEST_SCORE}

    def _analyze_or_cancel(self) -> None:
        if self.queue.current is not None:
            self.queue.cancel()
            return
        volume = self.parameters.inputVolume if self.parameters is not None else None
        if volume is None:
            self.show_message(
                "Load a CT first (drag its folder or file into Slicer), or click Sample.", "warning"
            )
            return
        if self.models.problem:
            self.show_message(self.models.problem, "error")
            return
        self.show_message("")
        self.queue.add(volume, self.settings())

    def _fill_queue_menu(self) -> None:
        menu = self._queue_menu
        menu.clear()
        volumes = [node for node in all_cts(slicer.mrmlScene) if not self.queue.holds(node)]
        chosen = self.parameters.inputVolume if self.parameters is not None else None
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
        for volume in volumes:
            self.queue.add(volume, self.settings())

    def _load_sample(self) -> None:
        there = find_sample(slicer.mrmlScene)
        if there is None:
            self.show_message("")
            self.queue.add_sample()
        else:
            self._choose_sample(there)

    def _choose_sample(self, volume: Any) -> None:
        if self.parameters is not None:
            self.parameters.inputVolume = volume
        show_volume(slicer.mrmlScene, volume)
        self.show_message("The sample case is loaded: a synthetic CT with five lesions. Click Analyze.")

    # -- QueueView

    def run_changed(self) -> None:
        ui, case = self.ui, self.queue.current
        busy = case is not None
        ui.analyzeButton.text = "Cancel" if busy else "Analyze"
        ui.analyzeButton.setEnabled(busy or self._can_analyze())
        ui.progressBar.setVisible(busy)
        ui.stageLabel.setVisible(busy)
        if case is not None:
            progress = self.queue.progress
            ui.progressBar.setValue(round(1000 * progress.fraction))
            ui.stageLabel.text = stage_line(
                case.name, progress.stage, progress.fraction, progress.left_s, len(self.queue.waiting)
            )

    def _can_analyze(self) -> bool:
        return self._torch_known

    def apply_steps(self, volume: Any, result: Path) -> Iterator[str]:
        yield from self._logic.applySteps(volume, result, self.threshold.score())

    def sample_steps(self, folder: Path) -> Iterator[str]:
        return sample_steps(slicer.mrmlScene, folder)

    def run_ended(self, case: Case, kind: str, text: str) -> None:
        if kind == "done" and case.volume is None:
            self._choose_sample(find_sample(slicer.mrmlScene))
        elif kind == "done":
            outcome = self._logic.lastOutcome
            # What could be undone is said of segments that the new analysis may have replaced.
            self.reader.actions.history.clear()
            self.show_message(" ".join(outcome.messages) if outcome.messages else "Done.")
            self.worker_log(f"{case.name}: done. {' '.join(outcome.messages)}")
            if self.parameters is not None and self.parameters.inputVolume is case.volume:
                show_volume(slicer.mrmlScene, case.volume)
            self._refresh_now()
        elif kind == "cancelled":
            self.show_message(f"{case.name}: cancelled. The scene is as before.")
        else:
            self.show_message(f"{case.name}: {text}", "error")
            self.worker_log(f"{case.name}: {kind}: {text}")
            if kind == "install":
                self._show_torch()
        self.run_changed()

    def worker_info(self, info: Mapping[str, Any]) -> None:
        if not info.get("torch_version"):
            self._show_torch(str(info.get("problem", "")))
            return
        problem = info.get("problem") or ""
        self.ui.deviceLabel.text = f"{info['line']}" + (f"<br>{problem}" if problem else "")

    def worker_log(self, text: str) -> None:
        self.ui.logText.appendPlainText(text)

    # -- PyTorch

    def _show_torch(self, problem: str = "") -> None:
        there = self._torch_known = torch_is_there() and not problem
        self.ui.installButton.setVisible(not there)
        if there:
            if not self.ui.deviceLabel.text or self.ui.deviceLabel.text.startswith("PyTorch is missing"):
                self.ui.deviceLabel.text = "Looking at the device …"
        else:
            self.ui.deviceLabel.text = problem or "PyTorch is missing: the networks need it."

    def _install(self) -> None:
        done, text = install_torch()
        self.show_message(text, "info" if done else "warning")
        self._show_torch()
        if done:
            self.queue.restart_worker()
            self.queue.request_info()
        self.run_changed()

    # -- findings and overlays

    def selection(self) -> list[FindingRow]:
        """The selected lesions."""
        return self.findings.selection()

    def known_classes(self) -> list[str]:
        """The classes a lesion can be given."""
        return self.findings.known_classes()

    def select(self, segment_id: str) -> None:
        """Select a lesion; the views go there."""
        self.findings.select(segment_id)

    def _lesion_selected(self) -> None:
        rows = self.findings.selection()
        self.reader.show()
        self.edit.show()
        if len(rows) == 1:
            point = centre_ras(self.case, rows[0].segment_id)
            if point is not None:
                jump_to(slicer.mrmlScene, point)
                self._pulse.start(self.case, rows[0].segment_id)

    def _hide_all(self, hidden: bool) -> None:
        if self.parameters is not None:
            self.parameters.allHidden = hidden

    # -- message

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say what happened and what to do; kind "info", "warning" or "error"."""
        label = self.ui.messageLabel
        label.text = text
        label.setVisible(bool(text))
        dark = self._widget.palette.color(qt.QPalette.Window).lightness() < 128
        colour = {
            "warning": "#ffc14d" if dark else "#8a5200",
            "error": "#ff9085" if dark else "#b3261e",
        }.get(kind)
        label.setStyleSheet(f"color: {colour}" if colour else "")


def all_cts(scene: Any) -> list[Any]:
    """Scalar volumes of the scene that may be CTs: no label maps, none of our maps."""
    found = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetAttribute("LiverLesionAI.Role"):
            found.append(node)
    return found


def _first_ct(scene: Any) -> Any:
    """The volume that slice views show, or the first one."""
    cts = all_cts(scene)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        shown = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID()
        for node in cts:
            if node.GetID() == shown:
                return node
    return cts[0] if cts else None
