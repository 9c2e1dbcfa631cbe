"""The button that writes the findings, as the reader has left them, into a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer

from ..support.errors import LiverLesionAIError
from .parameters import PanelParameters


class ReportHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    parameters: PanelParameters | None

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class ReportPanel:
    """Asks for a folder and writes a report of the chosen CT into a new one in it.

    Args:
        write: (volume node, folder) -> paths of the files; raises LiverLesionAIError with a text to show.
        choose: (parent widget, folder to start in) -> folder, "" when the reader thinks better of it.
    """

    def __init__(
        self,
        host: ReportHost,
        write: Callable[[Any, Path], tuple[Path, ...]],
        choose: Callable[[Any, str], str] | None = None,
    ) -> None:
        self._host, self._write, self._choose = host, write, choose or choose_folder
        host.ui.reportButton.connect("clicked()", self._report)

    def show(self, findings: bool) -> None:
        """Offer it where there is something to report."""
        self._host.ui.reportButton.setEnabled(findings)

    def _report(self) -> None:
        parameters = self._host.parameters
        volume = parameters.inputVolume if parameters is not None else None
        if volume is None:
            return
        chosen = self._choose(self._host.ui.reportButton, folder_of(volume))
        if not chosen:
            return
        folder = new_folder(Path(chosen), volume.GetName())
        try:
            slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
            written = self._write(volume, folder)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "error")
        else:
            names = " and ".join(path.name for path in written)
            self._host.show_message(f"Report written: {names} in {folder}")
        finally:
            slicer.app.restoreOverrideCursor()


def choose_folder(parent: Any, start: str) -> str:
    """Ask the reader for a folder."""
    return qt.QFileDialog.getExistingDirectory(parent, "Folder for the report of findings", start)


def folder_of(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Where a volume was loaded from; the home folder where nobody can tell."""
    storage = volume.GetStorageNode()
    file = storage.GetFileName() if storage is not None else None
    folder = Path(file).parent if file else Path.home()
    return str(folder if folder.is_dir() else Path.home())


def new_folder(parent: Path, name: str) -> Path:
    """A folder that is not there yet, so that no earlier report is written over; it is not made."""
    stem = re.sub(r"[^\w .()+-]+", "_", name).strip(" .") or "CT"
    number, folder = 1, parent / f"{stem} findings"
    while folder.exists():
        number += 1
        folder = parent / f"{stem} findings {number}"
    return folder
