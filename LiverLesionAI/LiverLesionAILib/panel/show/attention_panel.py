"""What the networks that ran attend to: a choice of questions, and the button that asks the chosen one.

A point's row in MSCD, all attentions of a network in a point's slice, the class of each slice. Nothing of it
is computed before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import slicer

from ...analysis.attention import Question
from ...models.weights import Manifest, ModelEntry
from ...review.attention_questions import AttentionQuestion, LiverQuestion, PointQuestion
from ...review.case_view import CaseView
from ...stages.faces import can_attend, can_weigh
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


@dataclass(frozen=True)
class Offer:
    """A question that can be asked.

    Attributes:
        text: in the list of choices.
    """

    kind: Question
    entry: ModelEntry
    text: str


BUTTON = {
    Question.POINT: "What does a point attend to?",
    Question.NETWORK: "What is weighed in a point's slice?",
    Question.CLASSES: "Which class has each slice?",
}


def offers_of(entries: tuple[ModelEntry, ...]) -> tuple[Offer, ...]:
    """What these networks can be asked: points first, then classes, then their attentions."""
    named = [(entry, entry.title.split(":")[0].strip() or entry.name) for entry in entries]
    points = [Offer(Question.POINT, e, f"A point's row: {title}") for e, title in named if can_attend(e)]
    classes = [
        Offer(Question.CLASSES, e, f"Class of each slice: {title}")
        for e, title in named
        if e.task == "classify"
    ]
    weights = [
        Offer(Question.NETWORK, e, f"Gates and affinities: {title}") for e, title in named if can_weigh(e)
    ]
    return (*points, *classes, *weights)


class AttentionPanel:
    """Asks for a point where the question needs one, and shows what comes back as maps."""

    def __init__(self, host: AttentionHost, queue: AnalysisQueue, liver: Callable[[], Mask | None]) -> None:
        """`liver`: the shown case's liver."""
        self._host, self._queue, self._liver = host, queue, liver
        self._points = PointPlacer(slicer.mrmlScene, host.ui.findingsTable)
        self._asked: AttentionQuestion | None = None
        self._listed: tuple[Offer, ...] = ()
        try:
            self._offers = offers_of(Manifest.read().entries)
        except ModelError:
            self._offers = ()
        host.ui.attendButton.connect("clicked()", self.start)
        host.ui.attentionBox.connect("currentIndexChanged(int)", self._name_button)

    def show(self) -> None:
        """Offer what networks can tell that made the shown case, with the weights of today."""
        ui, offers = self._host.ui, self._offered()
        if offers != self._listed:
            was = ui.attentionBox.blockSignals(True)
            ui.attentionBox.clear()
            ui.attentionBox.addItems([offer.text for offer in offers])
            ui.attentionBox.blockSignals(was)
            self._listed = offers
            self._name_button()
        visible = bool(offers) and not ui.overlaysSection.collapsed
        ui.attendButton.setVisible(visible)
        ui.attentionBox.setVisible(visible and len(offers) > 1)

    def start(self) -> None:
        """Ask; where the question is of a point, the next click in a slice view is the point."""
        offer = self._chosen()
        if offer is None:
            return
        if offer.kind is Question.CLASSES:
            self._ask(None)
            return
        self._host.show_message("Click on a point of the liver in a slice view (Esc to leave it).")
        self._points.start(self._ask, lambda: self._host.show_message(""), PLACED)

    def close(self) -> None:
        """Wait for no click any more."""
        self._points.stop()

    def answered(self) -> None:
        """The maps are there: show the first one, on the point's slice."""
        asked, parameters = self._asked, self._host.parameters
        self._asked = None
        if asked is None or parameters is None or not asked.shown:
            return
        parameters.mapName = asked.shown[0]
        parameters.showMap = True
        parameters.allHidden = False
        self._host.refresh()
        if asked.point_world is not None:
            jump_to(slicer.mrmlScene, asked.point_world)

    def _offered(self) -> tuple[Offer, ...]:
        case = self._host.case
        if case.segmentation is None or not case.liver_segment:
            return ()
        return tuple(o for o in self._offers if case.models.get(o.entry.name) == o.entry.sha256[:12])

    def _chosen(self) -> Offer | None:
        offers, index = self._offered(), self._host.ui.attentionBox.currentIndex
        if not offers or offers != self._listed:
            return offers[0] if offers else None
        return offers[index] if 0 <= index < len(offers) else offers[0]

    def _name_button(self, _index: int = 0) -> None:
        offer = self._chosen()
        if offer is not None:
            self._host.ui.attendButton.text = BUTTON[offer.kind]

    def _ask(self, point_world: tuple[float, float, float] | None) -> None:
        offer, liver, case = self._chosen(), self._liver(), self._host.case
        if offer is None or liver is None or not liver.count:
            return
        scene, settings = slicer.mrmlScene, self._host.settings()
        question: AttentionQuestion
        try:
            if offer.kind is Question.POINT and point_world is not None:
                question = PointQuestion(scene, case, liver, point_world, offer.entry, settings)
            else:
                question = LiverQuestion(offer.kind, scene, case, liver, offer.entry, settings, point_world)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "warning")
            return
        self._asked = question
        self._host.show_message("")
        self._queue.ask(case.volume, question)
