"""The button "What does a point attend to?": offered where a network that ran can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import slicer

from ...models.weights import Manifest, ModelEntry
from ...review.case_view import CaseView
from ...review.point_question import PointQuestion
from ...stages.faces import can_attend
from ...support.errors import LiverLesionAIError, ModelError
from ...volume.crops import Mask
from ..edit.place import PointPlacer
from ..parameters import PanelParameters
from ..run.queue import AnalysisQueue
from .views import jump_to

PLACED = "LiverLesionAI point"


class AttentionHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: PanelParameters | None

    def settings(self) -> dict[str, Any]:
        """The analysis' settings as the panel stands."""

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class AttentionPanel:
    """Asks for a point, has the worker follow it, and shows what comes back as a map."""

    def __init__(self, host: AttentionHost, queue: AnalysisQueue, liver: Callable[[], Mask | None]) -> None:
        """`liver`: the shown case's liver."""
        self._host, self._queue, self._liver = host, queue, liver
        self._points = PointPlacer(slicer.mrmlScene, host.ui.findingsTable)
        self._asked: PointQuestion | None = None
        try:
            self._models = tuple(entry for entry in Manifest.read().entries if can_attend(entry))
        except ModelError:
            self._models = ()
        host.ui.attendButton.connect("clicked()", self.start)

    def show(self) -> None:
        """Offer it where the shown case was made by a network that can tell, with the weights of today."""
        ui = self._host.ui
        ui.attendButton.setVisible(self._entry() is not None and not ui.overlaysSection.collapsed)

    def start(self) -> None:
        """The next click in a slice view is the point."""
        if self._entry() is None:
            return
        self._host.show_message("Click on a point of the liver in a slice view (Esc to leave it).")
        self._points.start(self._ask, lambda: self._host.show_message(""), PLACED)

    def close(self) -> None:
        """Wait for no click any more."""
        self._points.stop()

    def answered(self) -> None:
        """The maps are there: show the finest one, on the point's slice."""
        asked, parameters = self._asked, self._host.parameters
        self._asked = None
        if asked is None or parameters is None or not asked.shown:
            return
        parameters.mapName = asked.shown[0]
        parameters.showMap = True
        parameters.allHidden = False
        self._host.refresh()
        jump_to(slicer.mrmlScene, asked.point_world)

    def _entry(self) -> ModelEntry | None:
        case = self._host.case
        if case.segmentation is None or not case.liver_segment:
            return None
        return next((e for e in self._models if case.models.get(e.name) == e.sha256[:12]), None)

    def _ask(self, point_world: tuple[float, float, float]) -> None:
        entry, liver, case = self._entry(), self._liver(), self._host.case
        if entry is None or liver is None or not liver.count:
            return
        try:
            question = PointQuestion(slicer.mrmlScene, case, liver, point_world, entry, self._host.settings())
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "warning")
            return
        self._asked = question
        self._host.show_message("")
        self._queue.ask(case.volume, question)
