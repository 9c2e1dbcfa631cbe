"""The process that exports and imports for the panel: ``python -m LiverLesionAILib.cli.export_child``.

It speaks the protocol of :mod:`..analysis.worker` and sees the packages of its own folder first (see
:mod:`..support.package_folder`). The ``settings`` of its ``analyze`` command say what to do::

    {"task": "install"}
    {"task": "export", "destination": "...", "options": {...}, "dicom_files": [...]}
    {"task": "text", "options": {...}, "dicom_files": [...]}
    {"task": "import", "files": [...], "dicom_files": [...]}

``folder/case`` holds the findings (:func:`..case.store.save_result`); ``folder`` itself the CT
(:mod:`..analysis.handover`) where key images are drawn or a segmentation is measured. The export appears at
``destination`` whole or not at all; text and an imported case lie in ``folder/result``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.package_folder import put_first

# Before anything that the folder may hold in another version than this Python's own.
put_first()

from ..support.package_folder import CASE_FOLDER, REQUIREMENTS, RESULT_FOLDER  # noqa: E402

if TYPE_CHECKING:
    from ..case.findings import CaseResult
    from ..support.progress import Progress
    from ..volume.ct import Geometry
    from ..volume.dicom import DicomSource

FORMATS = ("report", "pdf", "text", "csv", "dicom", "labels")


class ExportTasks:
    """What the worker runs."""

    def info(self) -> Mapping[str, Any]:
        """The file that each package would be taken from; "" for one that is missing."""
        from importlib.util import find_spec

        specs = {name: find_spec(name) for name in ("highdicom", "pydicom", "jinja2", "reportlab", "PIL")}
        return {"packages": {name: (spec and spec.origin) or "" for name, spec in specs.items()}}

    def run(self, folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        """Do one task.

        Raises:
            LiverLesionAIError: with a text for the reader.
        """
        task = {"install": _install, "export": _export, "text": _text, "import": _import}[settings["task"]]
        task(folder, settings, progress)

    def attend(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """No network runs here.

        Raises:
            InputError: always.
        """
        from ..support.errors import InputError

        raise InputError("This process exports and imports; it cannot tell what networks attend to.")


def _install(_folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
    import os

    from ..support.package_folder import VARIABLE, install_packages

    requirements = tuple(settings.get("requirements") or REQUIREMENTS)
    install_packages(requirements, Path(os.environ[VARIABLE]), progress)


def _export(folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
    from ..analysis.handover import GEOMETRY_FILE, read_volume
    from ..case.followup_json import read_course
    from ..case.store import load_result
    from ..support.errors import InputError
    from ..support.files import output_error, rename
    from ..support.part_folders import PartFolder, clear_dead_parts
    from ..support.progress import part
    from ..writing.export import Export, export_case
    from ..writing.report.content import Options
    from ..writing.tables import CSV_FILE, write_tables

    options, destination = settings["options"], Path(settings["destination"])
    wanted = {name: bool(options.get(name)) for name in FORMATS}
    csv = wanted.pop("csv")
    what = Export(**wanted, options=Options(options.get("language", "en"), bool(options.get("with_patient"))))
    if not (csv or what.anything):
        raise InputError("Nothing is ticked: choose what the report is to hold.")
    progress("Reading the findings", 0.0)
    result, judged = load_result(folder / CASE_FOLDER), read_course(folder / CASE_FOLDER)
    needed = what.dicom or what.options.with_patient
    source = dicom_source(settings["dicom_files"], result.geometry, needed=needed)
    if needed and source is None:
        raise InputError(
            "The CT did not come from DICOM, so there is neither a study to file results in nor a patient's "
            "name. Load the series from Slicer's DICOM database and analyse that, or leave both out."
        )
    volume = read_volume(folder) if (folder / GEOMETRY_FILE).is_file() else None
    clear_dead_parts(destination.parent, CSV_FILE)
    try:
        made = PartFolder(destination)
    except OSError as error:
        raise output_error(destination, error) from error
    try:
        export_case(
            result, source, made.path, what, volume=volume, judged=judged, progress=part(progress, 0.1, 0.95)
        )
        if csv:
            write_tables(result, made.path)
        progress("Done", 1.0)
        made.release()
        rename(made.path, destination)
    except OSError as error:
        raise output_error(destination, error) from error
    finally:
        made.discard()


def _text(folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
    from ..case.followup_json import read_course
    from ..case.store import load_result
    from ..writing.export import Export, export_case
    from ..writing.report.content import Options

    result, judged = load_result(folder / CASE_FOLDER), read_course(folder / CASE_FOLDER)
    source = dicom_source(settings["dicom_files"], result.geometry)
    what = Export(text=True, options=Options(settings["options"].get("language", "en")))
    export_case(result, source, folder / RESULT_FOLDER, what, judged=judged, progress=progress)


def _import(folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
    from ..analysis.handover import read_volume
    from ..analysis.imported import imported_case
    from ..case.store import save_result
    from ..case.surfaces import save_surfaces
    from ..reading.dicom_seg import read_segmentation, seg_and_sr
    from ..reading.dicom_sr import read_report

    progress("Reading the segmentation", 0.1)
    seg, sr = seg_and_sr([Path(name) for name in settings["files"]])
    volume = read_volume(folder)
    source = dicom_source(settings["dicom_files"], volume.geometry)
    frame = source.frame_of_reference_uid if source is not None else ""
    drawn = read_segmentation(seg, volume.geometry, frame)
    groups = read_report(sr) if sr is not None else ()
    progress("Measuring", 0.4)
    result: CaseResult = imported_case(replace(volume, dicom=source), drawn, groups)
    progress("Handing over the case", 0.9)
    save_result(result, folder / RESULT_FOLDER)
    save_surfaces(result, folder / RESULT_FOLDER)


def dicom_source(files: Sequence[str], geometry: Geometry, *, needed: bool = False) -> DicomSource | None:
    """The DICOM images of a CT that Slicer loaded; None where it came from none.

    Args:
        files: of the CT's series, as the application's DICOM database names them; "" where it knows none.
        needed: nothing can be done without them.

    Raises:
        InputError: they are needed and are gone, or the CT no longer lies as they do.
    """
    from ..reading.dicom_source import source_of_files
    from ..support.errors import InputError

    paths = [Path(name) for name in files if name]
    there = [path for path in paths if path.is_file()]
    if needed and len(there) < len(files):
        first = next((str(path) for path in paths if not path.is_file()), "unknown to the DICOM database")
        raise InputError(
            f"{len(files) - len(there)} of the {len(files)} DICOM images of the CT are no longer where they "
            f"were loaded from ({first}). Load the series again from where it is now, or leave DICOM out."
        )
    source = source_of_files(there, geometry) if there else None
    if needed and there and source is None:
        raise InputError(
            "The CT no longer lies as its DICOM images do: it was cropped, resampled, turned or moved. "
            "Results could not be filed with them. Analyse the series as it was loaded, or leave DICOM out."
        )
    return source


def main() -> int:
    """Serve this process's standard input and output until they end."""
    from ..analysis import worker

    return worker.main(ExportTasks)


if __name__ == "__main__":
    import sys

    sys.exit(main())
