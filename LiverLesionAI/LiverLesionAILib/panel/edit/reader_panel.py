"""The buttons below the findings table: what the reader does to the selected lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import qt
import slicer

from ...case.findings import LesionStatus
from ...review.case_view import CaseView, ListedLesion
from ...review.grow import grown_in_box
from ...review.reader_actions import ReaderActions
from ...scene.ras import to_volume
from ...support.errors import LiverLesionAIError
from ..findings.doubtful_panel import DoubtfulPanel
from ..findings.findings_model import CLASS
from ..findings.lesion_details import TREATED_LINK
from .click_panel import ClickPanel
from .place import PlanePlacer


class Host(Protocol):
    """The panel, as its parts see it."""

    case: CaseView
    ui: Any

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""

    def select(self, segment_id: str) -> None:
        """Select a lesion."""

    def known_classes(self) -> list[str]:
        """The classes a lesion can be given."""

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class ReaderPanel:
    """Connects buttons and keys to :class:`ReaderActions`.

    Attributes:
        changed: called after an action, before the panel is refreshed.
        clicks: adds lesions and corrects them by clicks; made when the worker's queue is there.
    """

    def __init__(self, host: Host, actions: ReaderActions) -> None:
        self._host, self.actions = host, actions
        self.changed: Callable[[], None] = lambda: None
        self.clicks: ClickPanel | None = None
        ui = host.ui
        self._planes = PlanePlacer(slicer.mrmlScene)
        self._doubtful = DoubtfulPanel(host, self._add_at)
        for button, method in (
            (ui.acceptButton, self.accept),
            (ui.rejectButton, self.reject),
            (ui.notLiverButton, self.not_liver),
            (ui.treatedButton, self.treated),
            (ui.deleteButton, self.delete),
            (ui.mergeButton, self.merge),
            (ui.splitButton, self.split),
            (ui.undoButton, self.undo),
            (ui.redoButton, self.redo),
            (ui.outlineButton, self.outline),
        ):
            button.connect("clicked()", method)
        ui.noteEdit.connect("editingFinished()", self._note)
        ui.detailLabel.connect("linkActivated(QString)", self._link_clicked)
        self._class_menu = qt.QMenu(ui.findingsTable)
        ui.findingsTable.connect("doubleClicked(QModelIndex)", self._double_clicked)

    def keys(self) -> dict[str, Callable[[], None]]:
        """Keys that work while the module is open."""
        return {
            "A": self.accept,
            "X": self.reject,
            "G": self.not_liver,
            "R": self.treated,
            "M": self.merge,
            "C": self.choose_class,
            "S": self.split,
            "O": self.outline,
            "Ctrl+Z": self.undo,
            "Ctrl+Shift+Z": self.redo,
            **(self.clicks.keys() if self.clicks is not None else {}),
        }

    def close(self) -> None:
        """Take away what is being placed."""
        if self.clicks is not None:
            self.clicks.close()
        self._planes.stop()

    def show(self) -> None:
        """Enable what can be done now."""
        ui, rows = self._host.ui, self._host.selection()
        self.actions.use(self._host.case)
        if self.clicks is not None:
            self.clicks.show()
        some, one = bool(rows), len(rows) == 1
        ui.acceptButton.setEnabled(some)
        ui.rejectButton.setEnabled(some)
        ui.notLiverButton.setEnabled(some)
        ui.treatedButton.setEnabled(some)
        ui.deleteButton.setEnabled(some)
        ui.mergeButton.setEnabled(len(rows) > 1 and not any(row.box_only for row in rows))
        ui.splitButton.setEnabled(one and not rows[0].box_only)
        ui.outlineButton.setVisible(one and rows[0].box_only and not ui.findingsSection.collapsed)
        history = self.actions.history
        ui.undoButton.setEnabled(bool(history.next_undo))
        ui.redoButton.setEnabled(bool(history.next_redo))
        ui.undoButton.toolTip = (
            f"Undo: {history.next_undo} (Ctrl+Z)" if history.next_undo else "Nothing to undo"
        )
        ui.redoButton.toolTip = (
            f"Redo: {history.next_redo} (Ctrl+Shift+Z)" if history.next_redo else "Nothing to redo"
        )
        self._doubtful.show()
        ui.noteEdit.setEnabled(one)
        if not ui.noteEdit.focus:
            ui.noteEdit.text = rows[0].note if one else ""

    def accept(self) -> None:
        self._mark(LesionStatus.ACCEPTED)

    def reject(self) -> None:
        self._mark(LesionStatus.REJECTED)

    def not_liver(self) -> None:
        self._mark(LesionStatus.NOT_LIVER)

    def treated(self) -> None:
        self._mark(LesionStatus.TREATED)

    def _link_clicked(self, link: str) -> None:
        """The suggestion in the selected lesion's details was taken."""
        if str(link) == TREATED_LINK:
            self.treated()

    def delete(self) -> None:
        self._act(lambda ids: self.actions.delete(ids))

    def merge(self) -> None:
        def act(ids: list[str]) -> None:
            kept = self.actions.merge(ids)
            self._host.refresh()
            self._host.select(kept)

        self._act(act)

    def split(self) -> None:
        """Into its parts; a lesion in one piece by a plane.

        This button first draws the plane and then applies it.
        """
        if self._planes.active:
            origin, normal = self._planes.take()
            ahead = tuple(a + b for a, b in zip(origin, normal, strict=True))
            volume = self._host.case.volume
            plane = (to_volume(volume, origin), to_volume(volume, ahead))
            self._act(lambda ids: self.actions.split(ids[0], plane))
            return

        def act(ids: list[str]) -> None:
            try:
                self.actions.split(ids[0])
            except LiverLesionAIError:
                self._planes.start(self._host.case, ids[0])
                self._host.show_message(
                    "This lesion is in one piece. Move and turn the plane to where it should be cut, "
                    "then click Split "
                    "again."
                )

        self._act(act)

    def outline(self) -> None:
        """A proposal for the outline of a lesion that has only a box."""
        rows = self._host.selection()
        if len(rows) != 1 or not rows[0].box_only:
            return
        row_id = rows[0].segment_id

        def act() -> None:
            box = self._host.case.box(row_id)
            new = self.actions.outline(
                row_id, grown_in_box(self._host.case, box.lesion.box, self.actions.liver_mask())
            )
            self._host.refresh()
            self._host.select(new)
            self._host.show_message("This outline is a proposal. Correct it under Edit.")

        self._guarded(act)

    def undo(self) -> None:
        self._moved(self.actions.undo(), "Undone")

    def redo(self) -> None:
        self._moved(self.actions.redo(), "Done again")

    def choose_class(self) -> None:
        """Offer the classes for the selected lesion."""
        rows = self._host.selection()
        if len(rows) != 1:
            return
        segment_id, menu = rows[0].segment_id, self._class_menu
        menu.clear()
        for name in self._host.known_classes():
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(name == rows[0].shown_class)
            action.connect("triggered()", lambda name=name: self.set_class(segment_id, name))
        if rows[0].reader_class:
            back = menu.addAction(f"Back to the model's class ({rows[0].model_class or 'none'})")
            back.connect("triggered()", lambda: self.set_class(segment_id, ""))
        menu.popup(qt.QCursor.pos())

    def _double_clicked(self, index: Any) -> None:
        if index.column() == CLASS:
            self.choose_class()

    def set_class(self, segment_id: str, name: str) -> None:
        """Give a lesion another class."""
        self._guarded(lambda: self.actions.set_class(segment_id, name))

    def _add_at(self, point_ras: tuple[float, float, float]) -> None:
        if self.clicks is not None:
            self.clicks.add_at(point_ras)

    def _note(self) -> None:
        rows = self._host.selection()
        if len(rows) == 1:
            self.write_note(rows[0].segment_id, self._host.ui.noteEdit.text)

    def write_note(self, segment_id: str, text: str) -> None:
        """Write a note on a lesion."""
        self._guarded(lambda: self.actions.set_note(segment_id, text))

    def _mark(self, status: LesionStatus) -> None:
        self._act(lambda ids: self.actions.set_status(ids, status))

    def _moved(self, label: str, word: str) -> None:
        if label:
            self._host.show_message(f"{word}: {label}.")
            self.changed()
            self._host.refresh()

    def _act(self, act: Callable[[list[str]], None]) -> None:
        ids = [row.segment_id for row in self._host.selection()]
        if ids:
            self._guarded(lambda: act(ids))

    def _guarded(self, act: Callable[[], None]) -> None:
        self.actions.use(self._host.case)
        try:
            act()
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "warning")
        self.changed()
        self._host.refresh()
