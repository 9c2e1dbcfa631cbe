"""The section *Cohort*: case after case of a folder, each with a tick; what is decided goes back to it."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer

from ...review.case_view import CaseView
from ...review.reader_result import reader_result
from ...review.saved import case_state
from ...scene.offline import write_bundle
from ...support.errors import LiverLesionAIError
from ...writing.review_file import review_of
from ...writing.tables import write_tables
from .cohort_folder import CohortFolder

REVIEW_FOLDER = "review"
SETTING = "LiverLesionAI/Cohort"


class CohortHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class CohortPanel:
    """Opens cases, saves what was decided when another one is opened or the tick is set.

    Args:
        busy: whether an analysis runs, which another scene would stop.
        choose: (parent widget, folder to start in) -> folder, "" when the reader thinks better of it.
        load: scene file -> it takes the place of the scene that is open.
    """

    def __init__(
        self,
        host: CohortHost,
        busy: Callable[[], bool],
        choose: Callable[[Any, str], str] | None = None,
        load: Callable[[Path], None] | None = None,
    ) -> None:
        self._host, self._busy = host, busy
        self._choose, self._load = choose or _choose_folder, load or _load_scene
        self._folder: CohortFolder | None = None
        self._saved: object = None
        self._loading = False
        ui = host.ui
        ui.cohortOpenButton.connect("clicked()", self.open)
        ui.cohortNextButton.connect("clicked()", lambda: self.step(1))
        ui.cohortPreviousButton.connect("clicked()", lambda: self.step(-1))
        ui.cohortReviewedBox.connect("toggled(bool)", self._ticked)
        self._show()

    def keys(self) -> dict[str, Callable[[], None]]:
        """Keys of the panel and what they do."""
        return {
            "Shift+N": lambda: self.step(1),
            "Shift+P": lambda: self.step(-1),
            "Shift+R": self._toggle,
        }

    def open(self) -> None:
        """Choose a folder; the case that was open last in it is opened."""
        if self._is_busy():
            return
        start = str(slicer.app.settings().value(SETTING) or Path.home())
        chosen = self._choose(self._host.ui.cohortOpenButton, start)
        if not chosen or not self._leave():
            return
        try:
            folder = CohortFolder(Path(chosen))
        except LiverLesionAIError as error:
            self._say(error)
            return
        slicer.app.settings().setValue(SETTING, chosen)
        self._folder = folder
        self._enter(folder, folder.index)

    def step(self, by: int) -> None:
        """The next or the previous case; what was decided on this one is saved first."""
        folder = self._folder
        if folder is None or self._is_busy() or not self._leave():
            return
        self._enter(folder, folder.index + by)

    def closed(self) -> None:
        """The scene was closed or replaced by another: it is no case of the cohort any more."""
        if not self._loading:
            self._folder = None
            self._show()

    def _enter(self, folder: CohortFolder, index: int) -> None:
        self._loading = True
        try:
            folder.go(index)
            self._load(folder.scene)
        except (LiverLesionAIError, OSError, RuntimeError) as error:
            self._folder = None
            self._say(error)
        else:
            self._host.refresh()
            self._saved = case_state(self._host.case)
            self._host.show_message("")
        finally:
            self._loading = False
            self._show()

    def _leave(self) -> bool:
        """Save what was decided; whether that went well."""
        folder = self._folder
        if folder is None:
            return True
        return self._save(folder, self._reviewed(folder))

    def _ticked(self, reviewed: bool) -> None:
        if self._folder is not None and self._save(self._folder, reviewed):
            folder = self._folder
            if reviewed and folder.reviewed == len(folder.cases):
                self._host.show_message("All cases of the cohort are reviewed.")
        self._show()

    def _toggle(self) -> None:
        if self._folder is not None:
            box = self._host.ui.cohortReviewedBox
            box.checked = not box.checked

    def _save(self, folder: CohortFolder, reviewed: bool) -> bool:
        """The scene where something in it was changed, and the decisions; whether that went well."""
        self._host.refresh()
        case = self._host.case
        state = case_state(case)
        if case.segmentation is None or (state == self._saved and reviewed == self._reviewed(folder)):
            return True
        try:
            burden = folder.review.burden_percent if folder.review is not None else None
            if state != self._saved:
                result = reader_result(slicer.mrmlScene, case.volume)
                write_bundle(slicer.mrmlScene, folder.scene)
                (folder.case / REVIEW_FOLDER).mkdir(exist_ok=True)
                write_tables(result, folder.case / REVIEW_FOLDER)
                burden = result.tumour_burden_percent
            folder.keep(review_of(((row.number, row.status) for row in case.rows), reviewed, burden))
        except (LiverLesionAIError, OSError) as error:
            self._say(error)
            return False
        self._saved = state
        return True

    def _reviewed(self, folder: CohortFolder) -> bool:
        return folder.review is not None and folder.review.reviewed

    def _is_busy(self) -> bool:
        if self._busy():
            self._host.show_message("An analysis is running: wait for it, or cancel it first.", "warning")
            return True
        return False

    def _show(self) -> None:
        ui, folder = self._host.ui, self._folder
        for widget in (ui.cohortNextButton, ui.cohortPreviousButton, ui.cohortReviewedBox):
            widget.setEnabled(folder is not None)
        was = ui.cohortReviewedBox.blockSignals(True)
        ui.cohortReviewedBox.checked = folder is not None and self._reviewed(folder)
        ui.cohortReviewedBox.blockSignals(was)
        if folder is None:
            ui.cohortLabel.text = "No folder is open."
        else:
            place = f"{folder.case.name}, {folder.index + 1} of {len(folder.cases)}"
            ui.cohortLabel.text = f"{place}; {folder.reviewed} reviewed"

    def _say(self, error: Exception) -> None:
        self._host.show_message(html.escape(str(error), quote=False), "error")


def _choose_folder(parent: Any, start: str) -> str:
    return str(qt.QFileDialog.getExistingDirectory(parent, "Folder that batch filled", start))


def _load_scene(path: Path) -> None:
    slicer.util.loadScene(str(path), {"clear": True})
