"""*Add* and *Correct*: what density or the segmenter gives for a click, mended by the network for clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import slicer

from ...models.weights import Manifest, ModelEntry
from ...review.case_view import CaseView, ListedLesion
from ...review.click_question import ClickedPoints, ClickQuestion, first_click, next_click
from ...review.grow import corrected_at, grown_from
from ...review.reader_actions import ReaderActions
from ...support.errors import InputError, LiverLesionAIError, ModelError
from ...volume.crops import Mask, same_voxels
from ..run.queue import AnalysisQueue
from ..run.torch_install import torch_is_there
from .place import PointPlacer

PointRas = tuple[float, float, float]

TASK = "click"
AGAIN = "Not right? Correct (K), then click: on what is missing, or on what is too much."
STILL_ASKED = "The click before is still being outlined. Click again when it is there, or cancel it."
CHANGED_CT = "The CT was changed while the click was outlined: nothing was drawn. Click again."
CHANGED_OUTLINE = (
    "The lesion was edited while the click was outlined: the edit stays, the click was dropped. Click again."
)


class ClickHost(Protocol):
    """The panel, as this part sees it."""

    case: CaseView
    ui: Any

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""

    def select(self, segment_id: str) -> None:
        """Select a lesion."""

    def settings(self) -> dict[str, Any]:
        """The analysis' settings as the panel stands."""

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class Reader(Protocol):
    """The part of the panel below the findings' table, as this part sees it."""

    actions: ReaderActions
    changed: Callable[[], None]
    clicks: Any


class ClickPanel:
    """Asks the worker for the outline of what was clicked on; grows by density where it cannot be asked.

    Attributes:
        entry: the network that answers; None where there is none.
    """

    def __init__(self, host: ClickHost, queue: AnalysisQueue, reader: Reader) -> None:
        """`reader`: whose actions it uses, and which takes it among its parts."""
        self._host, self._queue, self._reader, self._actions = host, queue, reader, reader.actions
        reader.clicks = self
        self._points = PointPlacer(slicer.mrmlScene, host.ui.findingsTable)
        self._asked: tuple[ClickQuestion, PointRas] | None = None
        try:
            entries = Manifest.read().of_task(TASK)
        except ModelError:
            entries = ()
        self.entry: ModelEntry | None = entries[0] if entries else None
        host.ui.addButton.connect("clicked()", self.add)
        host.ui.correctButton.connect("clicked()", self.correct)

    def keys(self) -> dict[str, Callable[[], None]]:
        """Keys that work while the module is open."""
        return {"L": self.add, "K": self.correct}

    def close(self) -> None:
        """Wait for no click any more."""
        self._points.stop()
        self._asked = None

    def show(self) -> None:
        """Enable what can be done now."""
        ui, rows = self._host.ui, self._host.selection()
        ui.addButton.setEnabled(self._host.case.segmentation is not None)
        one = len(rows) == 1 and not rows[0].box_only
        ui.correctButton.setEnabled(one)

    def add(self) -> None:
        """The next click in a view is the new lesion's place."""
        if self._host.case.segmentation is None:
            return
        self._host.show_message("Click on the lesion's middle in a slice view (Esc to leave it).")
        self._points.start(self.add_at, lambda: self._host.show_message(""))

    def add_at(self, point_ras: PointRas) -> None:
        """Add what is outlined from a point of the world, RAS mm."""

        def act() -> None:
            liver = self._actions.liver_mask()
            points = first_click(self._host.case, point_ras, liver)
            if not self._ask(points, None, point_ras):
                self._add_grown(points, point_ras)

        self._guarded(act)

    def correct(self) -> None:
        """The next click in a view says what of the selected lesion is missing, or too much."""
        rows = self._host.selection()
        if len(rows) != 1 or rows[0].box_only:
            return
        name = rows[0].name
        self._host.show_message(
            f"Click outside the outline of {name} on what is missing, or inside it on what is no lesion "
            "(Esc to leave it)."
        )
        segment_id = rows[0].segment_id
        self._points.start(lambda p: self.correct_at(segment_id, p), lambda: self._host.show_message(""))

    def correct_at(self, segment_id: str, point_ras: PointRas) -> None:
        """Outline a lesion anew with one more click, RAS mm of the world."""

        def act() -> None:
            if self._host.case.row(segment_id) is None:
                return
            mask = self._actions.mask(segment_id)
            points = next_click(self._host.case, segment_id, mask, point_ras)
            if not self._ask(points, mask, point_ras, segment_id):
                self._correct_grown(segment_id, points, point_ras)

        self._guarded(act)

    def answered(self) -> None:
        """The answer to a question has come: draw it, where it was ours."""
        asked, self._asked = self._asked, None
        # One that was cancelled has none: the answer is another question's.
        if asked is not None and asked[0].answered:
            self._take(*asked, self._draw)

    def failed(self) -> None:
        """The question ended without an answer: density gives one."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self._take(*asked, self._draw_by_density)

    # -- parts

    def _take(
        self, question: ClickQuestion, point_ras: PointRas, draw: Callable[[ClickQuestion, PointRas], None]
    ) -> None:
        """Draw an answer, unless what was asked about has gone or has been changed."""
        if question.case.volume is not self._host.case.volume or self._host.case.segmentation is None:
            return
        if not question.still_there():
            self._host.show_message(CHANGED_CT, "warning")
            return
        self._actions.use(self._host.case)
        if question.segment_id:
            if self._host.case.row(question.segment_id) is None:
                self._host.show_message("The lesion is no longer listed: nothing was drawn.", "warning")
                return
            now = self._actions.mask(question.segment_id)
            if question.drawn is None or not same_voxels(now, question.drawn):
                self._host.show_message(CHANGED_OUTLINE, "warning")
                return
        self._guarded(lambda: draw(question, point_ras))

    def _draw_by_density(self, question: ClickQuestion, point_ras: PointRas) -> None:
        if question.segment_id:
            self._correct_grown(question.segment_id, question.points, point_ras)
        else:
            self._add_grown(question.points, point_ras)

    def _ask(
        self, points: ClickedPoints, drawn: Mask | None, point_ras: PointRas, segment_id: str = ""
    ) -> bool:
        """Ask the worker for an outline; False where it has other work, or there is nobody to ask.

        Raises:
            InputError: the click before has no answer yet.
        """
        under_way = (self._queue.current, *self._queue.waiting)
        if self._asked is not None and any(c is not None and c.question is self._asked[0] for c in under_way):
            raise InputError(STILL_ASKED)
        if self.entry is None or self._queue.current is not None or not torch_is_there():
            return False
        case, liver = self._host.case, self._actions.liver_mask()
        question = ClickQuestion(case, liver, self.entry, self._host.settings(), points, drawn, segment_id)
        self._asked = (question, point_ras)
        self._host.show_message("Outlining what was clicked on …")
        self._queue.ask(case.volume, question)
        return True

    def _draw(self, question: ClickQuestion, point_ras: PointRas) -> None:
        if question.segment_id:
            if question.mask is None:
                self._host.show_message(
                    "The network sees no lesion there: the outline stays as it was. Correct it under Edit.",
                    "warning",
                )
                return
            self._actions.redraw(question.segment_id, question.mask, question.points.text())
            self._host.refresh()
            self._host.select(question.segment_id)
            self._host.show_message(f"Outlined anew. {AGAIN}")
        elif question.mask is None:
            self._add_grown(question.points, point_ras)
        else:
            new = self._actions.add(question.mask, question.points.text())
            self._host.refresh()
            self._host.select(new)
            how = "Added by its density." if question.by_density else "Added."
            self._host.show_message(f"{how} {AGAIN}")

    def _add_grown(self, points: ClickedPoints, point_ras: PointRas) -> None:
        mask = grown_from(self._host.case, point_ras, self._actions.liver_mask())
        new = self._actions.add(mask, points.text())
        self._host.refresh()
        self._host.select(new)
        self._host.show_message(f"Added by its density. {AGAIN}")

    def _correct_grown(self, segment_id: str, points: ClickedPoints, point_ras: PointRas) -> None:
        drawn = self._actions.mask(segment_id)
        new = corrected_at(self._host.case, drawn, point_ras, self._actions.liver_mask())
        self._actions.redraw(segment_id, new, points.text())
        self._host.refresh()
        self._host.select(segment_id)
        self._host.show_message(f"Corrected by density. {AGAIN}")

    def _guarded(self, act: Callable[[], None]) -> None:
        self._actions.use(self._host.case)
        try:
            act()
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "warning")
        self._reader.changed()
        self._host.refresh()
