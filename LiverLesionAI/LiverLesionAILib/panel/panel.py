"""The panel: connects its parts, the parameters and the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..analysis.rules import Rules
from ..review.case_view import CaseView, ListedLesion, read_case
from ..review.derived import keep_moved_box
from ..review.reader_actions import ReaderActions
from ..scene.prepare import find_nodes
from ..scene.upgrade import upgrade
from ..volume.crops import Mask
from .anatomy.anatomy_panel import AnatomyPanel
from .anatomy.resection_panel import ResectionPanel
from .classes.classes_panel import ClassesPanel
from .cohort.cohort_panel import CohortPanel
from .edit.click_panel import ClickPanel
from .edit.edit_panel import EditPanel
from .edit.reader_panel import ReaderPanel
from .findings.findings_model import CLASS
from .findings.findings_panel import FindingsPanel
from .findings.threshold_panel import ThresholdPanel
from .follow_up.follow_up_panel import FollowUpPanel
from .follow_up.prior_panel import PriorPanel
from .icons import Icons
from .message_line import MessageLine
from .parameters import PanelParameters
from .report.report_panel import ReportPanel
from .run.model_panel import ModelPanel
from .run.run_panel import RunPanel
from .run.volumes import first_ct, hide_maps
from .run.worker_client import WorkerCommand
from .run.worker_queue import worker_queue
from .shortcuts import Shortcuts
from .show.attention_panel import AttentionPanel
from .show.map_panel import MapPanel
from .show.overlays import apply_overlays
from .show.views import Pulse, centre_ras, frame_in_3d, jump_to


class Panel(VTKObservationMixin):
    """Everything the reader sees in the module's panel.

    Attributes:
        case: what the scene holds for the chosen CT.
        parameters: what the scene remembers of the panel; None between scenes.
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
        self._widget, self.ui, self._logic = widget, ui, logic
        self.parameters: PanelParameters | None = None
        self._gui_tag: int | None = None
        self._parameter_node: Any = None
        self.case: CaseView = read_case(slicer.mrmlScene, None)
        self._pending_refresh = False
        self._entered = False
        icons = Icons(resource)
        self._message = MessageLine(widget, ui.messageLabel)
        self.findings = FindingsPanel(ui, icons, self._lesion_selected)
        self.reader = ReaderPanel(self, ReaderActions(slicer.mrmlScene))
        self.edit = EditPanel(self, self.reader.actions, self.refresh)
        self.reader.changed = self.edit.forget_own_changes
        self.maps = MapPanel(ui)
        self.report = ReportPanel.in_slicer(self, logic)
        self.models = ModelPanel(ui)
        self.threshold = ThresholdPanel(
            ui, slicer.mrmlScene, self.reader.actions, lambda: self.models.chosen("segment")
        )
        self.run = RunPanel(self, logic, lambda view: worker_queue(view, worker))
        self.queue = self.run.queue
        self.clicks = ClickPanel(self, self.queue, self.reader)
        self.unanswered = self.clicks.failed
        self.attention = AttentionPanel(self, self.queue, self._liver)
        self.anatomy = AnatomyPanel(
            self, self.queue, self.reader.actions, self._liver, self.edit.forget_own_changes
        )
        self.classes = ClassesPanel(self, self.reader.write_note)
        self.phases_of = self.classes.phases_of
        self.resection = ResectionPanel(self, self.reader.actions, self.anatomy.anatomy)
        self.prior = PriorPanel(self, self.queue)
        self.follow_up = FollowUpPanel(self, self.reader.actions)
        self.cohort = CohortPanel(self, lambda: self.queue.current is not None)
        self._pulse = Pulse()
        icons.dress(ui)
        self._connect()
        self._shortcuts = Shortcuts(
            widget,
            {
                "N": lambda: self.findings.step(1),
                "P": lambda: self.findings.step(-1),
                "H": lambda: self._toggle(ui.hideAllButton),
                "T": self.attention.start,
                **self.follow_up.keys(),
                **self.reader.keys(),
                **self.cohort.keys(),
            },
        )
        # Only in the table: elsewhere Delete means other things.
        self._table_keys = Shortcuts(ui.findingsTable, {"Delete": self.reader.delete}, window=False)

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
        self.refresh()
        self.run.enter()

    def exit(self) -> None:
        """The reader went to another module; an analysis goes on."""
        self._entered = False
        self._pulse.stop()
        self._shortcuts.disable()
        self._table_keys.disable()
        self.reader.close()
        self.attention.close()
        self.edit.leave()
        self._unbind()

    def cleanup(self) -> None:
        """The module is unloaded: nothing may be left that still runs or observes."""
        self._entered = False
        self._pulse.stop()
        self._shortcuts.disable()
        self._table_keys.disable()
        self.queue.stop()
        self.report.run.stop()
        self.follow_up.close()
        self.anatomy.close()
        self.resection.close()
        self.reader.close()
        self.attention.close()
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
        self._bind_parts(self.parameters)
        mapping = {
            child.property("SlicerParameterName"): child
            for child in self._widget.findChildren(qt.QWidget)
            if child.property("SlicerParameterName")
        }
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = first_ct(slicer.mrmlScene)
        # connectGui would do the same but returns no tag in 5.8, so it could never be disconnected.
        self._gui_tag = self.parameters.connectParametersToGui(mapping)
        self.addObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)

    def _unbind(self) -> None:
        if self._gui_tag is None or self.parameters is None:
            return
        self.parameters.disconnectGui(self._gui_tag)
        self._gui_tag = None
        self.parameters = None
        self._bind_parts(None)
        if self.hasObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed):
            self.removeObserver(self._parameter_node, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)

    def _bind_parts(self, parameters: PanelParameters | None) -> None:
        for part in (self.findings, self.maps, self.models, self.threshold):
            part.bind(parameters)

    def _connect(self) -> None:
        ui = self.ui
        ui.previousButton.connect("clicked()", lambda: self.findings.step(-1))
        ui.nextButton.connect("clicked()", lambda: self.findings.step(1))
        # A section that opens shows all that is in it: hide again what has nothing to say.
        for section in (ui.findingsSection, ui.overlaysSection, ui.followUpSection, ui.anatomySection):
            section.connect("contentsCollapsed(bool)", lambda collapsed: self._refresh_soon())
        ui.hideAllButton.connect("toggled(bool)", self._hide_all)
        ui.findingsTable.connect("doubleClicked(QModelIndex)", self._centre_on)

    def _toggle(self, button: qt.QPushButton) -> None:
        button.checked = not button.checked

    # -- scene and parameters

    def _scene_starts_closing(self, caller: Any = None, event: Any = None) -> None:
        self._pulse.stop()
        self.edit.let_go()
        self.follow_up.close()
        self.anatomy.close()
        self.resection.close()
        self.reader.close()
        self.attention.close()
        self.cohort.closed()
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
        self._hide_maps_from_choice()
        self.case = self._read_case()
        moved = self.anatomy.follow(self.threshold.follow(self.case))
        if moved is not self.case:
            self.case = moved
            self.edit.forget_own_changes()
        self.findings.show(self.case)
        self.maps.show(self.case)
        self.report.show(self.case.segmentation is not None)
        self.attention.show()
        self.anatomy.show()
        self.classes.show()
        self.resection.show()
        self.prior.show()
        self.follow_up.show()
        self.models.show()
        self.reader.show()
        self.edit.show()
        was = self.ui.hideAllButton.blockSignals(True)
        self.ui.hideAllButton.checked = self.parameters.allHidden
        self.ui.hideAllButton.blockSignals(was)
        apply_overlays(slicer.mrmlScene, self.case, self.parameters)
        self.run.run_changed()

    def _read_case(self) -> CaseView:
        """What the scene holds; a case of an older version is made one of today first."""
        scene, volume = slicer.mrmlScene, self.parameters.inputVolume if self.parameters else None
        if volume is not None and self.queue.current is None:
            upgrade(scene, volume, find_nodes(scene, volume))
        case = read_case(scene, volume)
        return read_case(scene, volume) if keep_moved_box(case) else case

    def answered(self) -> None:
        """The answer to a question has come into the scene."""
        self._refresh_now()
        self.clicks.answered()
        self.attention.answered()
        self.anatomy.answered()

    def _liver(self) -> Mask | None:
        self.reader.actions.use(self.case)
        return self.reader.actions.liver_mask()

    def _hide_maps_from_choice(self) -> None:
        """The lists of CTs are of CTs only, and a CT is no second phase of itself."""
        chosen = self.parameters.inputVolume if self.parameters is not None else None
        ui = self.ui
        others = (ui.secondSelector, ui.priorSelector, *self.classes.selectors)
        hide_maps(slicer.mrmlScene, chosen, ui.inputSelector, others)

    # -- what the parts ask of each other

    def settings(self) -> dict[str, Any]:
        """The analysis' settings as the panel stands."""
        chosen = {**self.models.settings(), **self.classes.settings()}
        # Fainter lesions are kept aside for the threshold slider.
        return {**chosen, "score_threshold": Rules().faintest_score, "faint_aside": True}

    def score_threshold(self) -> float:
        """Lesions of a lower score are kept aside."""
        return self.threshold.score()

    def prior_to_analyse(self) -> Any:
        """The chosen prior scan where it has to be analysed first; None else."""
        return self.prior.to_analyse_first()

    def model_problem(self) -> str:
        """Why nothing can be analysed, "" where all is well."""
        return self.models.problem

    def analysed(self, first: bool = False) -> None:
        """A case has come into the scene; `first`: its CT had none before, so no view looks at it yet."""
        # What could be undone was done to segments that the analysis may have replaced.
        self.reader.actions.history.clear()
        self._refresh_now()
        if first and self.case.segmentation is not None:
            bounds = [0.0] * 6
            self.case.segmentation.GetRASBounds(bounds)
            if bounds[0] <= bounds[1]:
                frame_in_3d(slicer.mrmlScene, bounds)

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""
        return self.findings.selection()

    def known_classes(self) -> list[str]:
        """The classes a lesion can be given."""
        return self.findings.known_classes()

    def select(self, segment_id: str) -> None:
        """Select a lesion; the views go there."""
        self.findings.select(segment_id)

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say what happened and what to do; kind "info", "warning" or "error"."""
        self._message.show(text, kind)

    def _lesion_selected(self) -> None:
        rows = self.findings.selection()
        if keep_moved_box(self.case) and self.parameters is not None:
            self.case = read_case(slicer.mrmlScene, self.parameters.inputVolume)
        self.reader.show()
        self.edit.show()
        self.anatomy.selected()
        self.classes.selected()
        if len(rows) == 1:
            self._go_to(rows[0].segment_id)

    def _go_to(self, segment_id: str, *, centred: bool = False) -> None:
        point = centre_ras(self.case, segment_id)
        if point is not None:
            jump_to(slicer.mrmlScene, point, centred=centred)
            self._pulse.start(self.case, segment_id)
            self.follow_up.lesion_selected(int(row.number) if (row := self.case.row(segment_id)) else 0)

    def _centre_on(self, index: Any) -> None:
        """A double click beside the class, which opens the choice of classes, centres the slice views."""
        if index.column() != CLASS:
            self._go_to(self.findings.proxy.finding(index.row()).segment_id, centred=True)

    def _hide_all(self, hidden: bool) -> None:
        if self.parameters is not None:
            self.parameters.allHidden = hidden
