"""What the child process is asked for, each as a task with what it needs from the scene."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import slicer

from ...analysis.handover import write_volume
from ...case.followup_json import FOLLOWUP_FILE, course_json
from ...case.store import save_result
from ...review.case_view import read_case
from ...review.comparing import Comparisons
from ...review.planning import with_resection
from ...review.reader_result import reader_result
from ...support.files import write_text
from ...support.package_folder import CASE_FOLDER, RESULT_TEXT
from ..run.queue import checked_geometry
from .child_run import Task


@dataclass(frozen=True)
class ReportOptions:
    """What is ticked.

    Attributes:
        language: code of the report's language.
        report, pdf, text, csv, dicom: page, its PDF, plain text, table with JSON, DICOM objects.
        labels: the reader's decisions and classes as training labels.
        with_patient: the patient's name and ID stand on the report.
    """

    language: str = "en"
    report: bool = True
    pdf: bool = False
    text: bool = False
    csv: bool = True
    dicom: bool = False
    labels: bool = False
    with_patient: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is something to write."""
        return self.report or self.pdf or self.text or self.csv or self.dicom or self.labels

    @property
    def only_table(self) -> bool:
        """Whether it can be done without further packages."""
        return (self.csv or self.labels) and not replace(self, csv=False, labels=False).anything


def install_task(done: Callable[[], None]) -> Task:
    """Fill the folder of packages."""

    def prepare(_folder: Path) -> Generator[Any, None, Mapping[str, Any]]:
        yield None
        return {"task": "install"}

    return Task("Install packages", prepare, done=done)


def report_task(volume: Any, destination: Path, options: ReportOptions, done: Callable[[], None]) -> Task:
    """Write what is ticked into a new folder."""

    def prepare(folder: Path) -> Generator[Any, None, Mapping[str, Any]]:
        yield from _hand_over_case(volume, folder)
        if options.report or options.pdf or options.labels:
            # Key images are drawn on the CT; labels name it by what it holds.
            yield from _hand_over_volume(volume, folder)
        return {
            "task": "export",
            "destination": str(destination),
            "options": asdict(options),
            "dicom_files": dicom_files(volume),
        }

    return Task("Report", prepare, done=done)


def text_task(volume: Any, options: ReportOptions, take: Callable[[str], None]) -> Task:
    """The report's text."""

    def prepare(folder: Path) -> Generator[Any, None, Mapping[str, Any]]:
        yield from _hand_over_case(volume, folder)
        return {"task": "text", "options": asdict(options), "dicom_files": dicom_files(volume)}

    def read(result: Path) -> Iterator[Any]:
        yield take((result / RESULT_TEXT).read_text(encoding="utf-8"))

    return Task("Report text", prepare, read)


def import_task(
    volume: Any, files: Sequence[str], show: Callable[[Path], Iterator[str]], done: Callable[[], None]
) -> Task:
    """A DICOM SEG, with its SR, as the CT's case; `show` puts a result into the scene in steps."""

    def prepare(folder: Path) -> Generator[Any, None, Mapping[str, Any]]:
        yield from _hand_over_volume(volume, folder)
        return {"task": "import", "files": list(files), "dicom_files": dicom_files(volume)}

    return Task("Import", prepare, show, done)


def _hand_over_case(volume: Any, folder: Path) -> Iterator[Any]:
    yield None
    case, result = read_case(slicer.mrmlScene, volume), reader_result(slicer.mrmlScene, volume)
    yield None
    result = with_resection(slicer.mrmlScene, result, case)
    yield None
    save_result(result, folder / CASE_FOLDER)
    yield None
    compared = Comparisons(slicer.mrmlScene).read(case)
    if compared is not None:
        write_text(folder / CASE_FOLDER / FOLLOWUP_FILE, course_json(compared.judged))


def _hand_over_volume(volume: Any, folder: Path) -> Iterator[Any]:
    # Held here: should the node go, its voxels stay until this step ends.
    image, geometry = volume.GetImageData(), checked_geometry(volume)
    for _ in write_volume(folder, slicer.util.arrayFromVolume(volume), geometry, volume.GetName()):
        yield image


def from_dicom(volume: Any) -> bool:
    """Whether Slicer's DICOM module loaded the volume."""
    return bool(volume is not None and volume.GetAttribute("DICOM.instanceUIDs"))


def dicom_files(volume: Any) -> list[str]:
    """The files that the volume was loaded from; "" for one that the DICOM database no longer knows."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    return ["" if database is None else str(database.fileForInstance(uid) or "") for uid in uids]
