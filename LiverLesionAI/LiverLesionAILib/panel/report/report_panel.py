"""The section *Report and import*: reports and DICOM out, a DICOM SEG and SR in, text to the clipboard."""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer

from ...scene.nodes import ROLE_SEGMENTATION
from ...scene.prepare import find_nodes
from ...support.package_folder import ABOUT_MB, CHILD, REQUIREMENTS, missing_packages, package_folder
from ..links import link
from ..parameters import PanelParameters
from ..run.run_text import stage_line
from ..run.worker_client import WorkerClient, WorkerCommand, python_program
from .child_run import ChildRun, RunView
from .tasks import ReportOptions, from_dicom, import_task, install_task, report_task, text_task

LANGUAGES = {"en": "English", "de": "Deutsch", "no": "Norsk", "fr": "Français"}
FORMATS = {
    "report": "reportHtmlBox",
    "pdf": "reportPdfBox",
    "text": "reportTextBox",
    "csv": "reportTableBox",
    "dicom": "reportDicomBox",
    "labels": "reportLabelsBox",
}
SETTINGS = "LiverLesionAI/Report"
QUESTION = (
    "Reports and DICOM need packages that are not part of Slicer: {names}. Install them now? About {mb} MB "
    "are downloaded once into a folder of their own, {folder}. Slicer's own packages are not changed, and "
    "Slicer can be used meanwhile."
)
MISSING = "Reports, PDF and DICOM need packages that are not part of Slicer; the table does not."


class ReportHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    parameters: PanelParameters | None

    def score_threshold(self) -> float:
        """Lesions of a lower score are kept aside."""

    def analysed(self, first: bool = False) -> None:
        """A case has come into the scene; `first`: its CT had none before."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


@dataclass(frozen=True)
class Questions:
    """What the reader is asked; replaced in tests.

    Attributes:
        folder: (widget, folder to start in) -> folder, "" when the reader thinks better of it.
        files: (widget, folder to start in) -> files, () likewise.
        agrees: text -> whether the reader agrees.
    """

    folder: Callable[[Any, str], str]
    files: Callable[[Any, str], tuple[str, ...]]
    agrees: Callable[[str], bool]


class ReportPanel:
    """Buttons over the tasks of the child process.

    Args:
        logic: with `applySteps`, as the module's.
        make_run: what runs the tasks, for this view.
        packages: the folder of packages that only the child process sees.
        questions: what to ask the reader with.
    """

    def __init__(
        self,
        host: ReportHost,
        logic: Any,
        make_run: Callable[[RunView], ChildRun],
        packages: Path,
        questions: Questions | None = None,
    ) -> None:
        self._host, self._logic, self._packages = host, logic, packages
        self._ask = questions or Questions(choose_folder, choose_files, confirm)
        self._findings = False
        self._first = False
        self._missing: tuple[str, ...] = ()
        self.run = make_run(self)
        ui = host.ui
        for code, name in LANGUAGES.items():
            ui.reportLanguage.addItem(name, code)
        self._restore()
        ui.reportButton.connect("clicked()", self._report)
        ui.copyTextButton.connect("clicked()", self._copy)
        ui.importButton.connect("clicked()", self._import)
        ui.packagesButton.connect("clicked()", self._install)
        ui.exportCancelButton.connect("clicked()", self.run.cancel)
        ui.reportSection.connect("contentsCollapsed(bool)", lambda collapsed: self.look())

    @classmethod
    def in_slicer(cls, host: ReportHost, logic: Any) -> ReportPanel:
        """With this Slicer's Python, its temporary folder, and packages beside its settings."""
        packages = package_folder(Path(slicer.app.slicerUserSettingsFilePath).parent)
        command = WorkerCommand(
            python_program(slicer.app.slicerHome, sys.executable),
            ("-m", CHILD),
            str(Path(__file__).resolve().parents[3]),
            str(packages),
            "the button",
        )
        root = os.path.join(slicer.app.temporaryPath, "LiverLesionAI")

        def make_run(view: RunView) -> ChildRun:
            return ChildRun(view, lambda listener: WorkerClient(command, listener), root)

        return cls(host, logic, make_run, packages)

    # -- what can be done

    def look(self) -> None:
        """See which packages there are; some milliseconds, so not at every change."""
        self._missing = missing_packages(REQUIREMENTS, self._packages)
        self.run_changed()

    def show(self, findings: bool) -> None:
        """Offer it where there is something to report."""
        self._findings = findings
        self.run_changed()

    def run_changed(self) -> None:
        """Show what can be done now, and how far a task is."""
        ui, task, volume = self._host.ui, self.run.task, self._volume()
        free = task is None
        ui.reportButton.setEnabled(free and self._findings)
        ui.copyTextButton.setEnabled(free and self._findings)
        ui.importButton.setEnabled(free and volume is not None)
        ui.packagesButton.setEnabled(free)
        ui.reportDicomBox.setEnabled(from_dicom(volume))
        is_open = not ui.reportSection.collapsed
        for widget in (ui.packagesLabel, ui.packagesButton):
            widget.setVisible(is_open and bool(self._missing))
        for widget in (ui.exportProgressBar, ui.exportStageLabel, ui.exportCancelButton):
            widget.setVisible(is_open and not free)
        if task is not None:
            progress = self.run.progress
            ui.exportProgressBar.setValue(round(1000 * progress.fraction))
            ui.exportStageLabel.text = stage_line(
                task.name, progress.stage, progress.fraction, progress.left_s, 0
            )

    def run_failed(self, text: str, kind: str) -> None:
        """A task came to nothing."""
        if kind == "cancelled":
            self._host.show_message("Cancelled; nothing was written.")
        else:
            self._host.show_message(html.escape(text, quote=False), "error")

    def run_log(self, text: str) -> None:
        """Something for the log."""
        self._host.ui.logText.appendPlainText(text)

    # -- the buttons

    def _report(self) -> None:
        volume, options = self._volume(), self._options()
        if volume is None:
            return
        if not options.anything:
            self._host.show_message("Tick what the report is to hold.", "warning")
            return
        if not options.only_table and not self._have_packages():
            return
        chosen = self._ask.folder(self._host.ui.reportButton, folder_of(volume))
        if not chosen:
            return
        self._keep(options)
        folder = new_folder(Path(chosen), volume.GetName())
        self._host.show_message("")
        self.run.start(report_task(volume, folder, options, lambda: self._written(folder)))

    def _written(self, folder: Path) -> None:
        names = ", ".join(sorted(html.escape(path.name) for path in folder.iterdir()))
        where = link(folder.as_uri(), html.escape(str(folder)))
        self._host.show_message(f"Report written: {names} in {where}")

    def _copy(self) -> None:
        volume, options = self._volume(), self._options()
        if volume is None or not self._have_packages():
            return
        self._host.show_message("")
        self.run.start(text_task(volume, options, self._to_clipboard))

    def _to_clipboard(self, text: str) -> None:
        slicer.app.clipboard().setText(text)
        words = len(text.split())
        self._host.show_message(f"The report's text ({words} words) is in the clipboard: paste it.")

    def _import(self) -> None:
        volume = self._volume()
        if volume is None:
            return
        files = self._ask.files(self._host.ui.importButton, folder_of(volume))
        if not files:
            return

        def show(result: Path) -> Iterator[str]:
            self._first = not find_nodes(slicer.mrmlScene, volume).get(ROLE_SEGMENTATION)
            yield from self._logic.applySteps(volume, result, self._host.score_threshold())

        self._host.show_message("")
        self.run.start(import_task(volume, files, show, self._imported))

    def _imported(self) -> None:
        outcome = self._logic.lastOutcome
        said = " ".join((*outcome.notes, *outcome.messages))
        self._host.show_message(html.escape(f"Imported {len(outcome.numbers)} lesions. {said}", quote=False))
        self._host.analysed(self._first)

    def _install(self) -> None:
        names = ", ".join(requirement.split(">=")[0] for requirement in REQUIREMENTS)
        question = QUESTION.format(names=names, mb=ABOUT_MB, folder=self._packages)
        if self._ask.agrees(question):
            self._host.show_message("")
            self.run.start(install_task(self._installed))

    def _installed(self) -> None:
        self.look()
        self._host.show_message("The packages are installed. Click Report.")

    def _have_packages(self) -> bool:
        self.look()
        if self._missing:
            self._host.show_message(f"{MISSING} Click Install packages.", "warning")
        return not self._missing

    def _volume(self) -> Any:
        parameters = self._host.parameters
        return parameters.inputVolume if parameters is not None else None

    # -- what is ticked

    def _options(self) -> ReportOptions:
        ui = self._host.ui
        ticked = {name: bool(getattr(ui, box).checked) for name, box in FORMATS.items()}
        ticked["dicom"] &= from_dicom(self._volume())
        language = list(LANGUAGES)[max(0, int(ui.reportLanguage.currentIndex))]
        return ReportOptions(language, **ticked, with_patient=bool(ui.reportPatientBox.checked))

    def _keep(self, options: ReportOptions) -> None:
        """What was ticked last is ticked next time; the patient's name never is."""
        settings, ui = slicer.app.settings(), self._host.ui
        settings.setValue(f"{SETTINGS}/Language", options.language)
        ticked = [name for name, box in FORMATS.items() if getattr(ui, box).checked]
        settings.setValue(f"{SETTINGS}/Formats", ",".join(ticked))

    def _restore(self) -> None:
        settings, ui = slicer.app.settings(), self._host.ui
        language = str(settings.value(f"{SETTINGS}/Language") or local_language())
        if language in LANGUAGES:
            ui.reportLanguage.setCurrentIndex(list(LANGUAGES).index(language))
        formats = settings.value(f"{SETTINGS}/Formats")
        if formats is not None:
            for name, box in FORMATS.items():
                getattr(ui, box).checked = name in str(formats).split(",")


def local_language() -> str:
    """The system's language where the report has it, else English."""
    code = qt.QLocale.system().name()[:2]
    code = {"nb": "no", "nn": "no"}.get(code, code)
    return code if code in LANGUAGES else "en"


def choose_folder(parent: Any, start: str) -> str:
    """Ask the reader for a folder."""
    return qt.QFileDialog.getExistingDirectory(parent, "Folder for the report", start)


def choose_files(parent: Any, start: str) -> tuple[str, ...]:
    """Ask the reader for a segmentation and its report."""
    title = "DICOM Segmentation and, if there is one, its structured report (SEG and SR)"
    chosen = qt.QFileDialog.getOpenFileNames(parent, title, start, "DICOM (*.dcm *.DCM);;All files (*)")
    # PythonQt gives the list alone, others with the filter that was chosen.
    return tuple(chosen[0] if len(chosen) == 2 and isinstance(chosen[0], (list, tuple)) else chosen)


def confirm(text: str) -> bool:
    """Ask the reader."""
    return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle="Install packages"))


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
