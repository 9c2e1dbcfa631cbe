"""A case for others: DICOM objects for the archive, a report for the meeting, tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..case.findings import CaseResult
from ..case.judged import JudgedCourse
from ..case.labels import masks_only, training_labels
from ..case.manifest import ct_digest
from ..case.store import save_result
from ..support.errors import InputError, OutputError
from ..support.files import replacing, write_text
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from ..volume.dicom import DicomSource
from .report.content import OUTDATED, Options, report_content

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NEEDS = {"dicom": ("highdicom",), "report": ("jinja2", "PIL"), "pdf": ("reportlab",)}
LARGE_SEG_BYTES = 25_000_000
"""From here on the reader hears that a SEG can be compressed."""
MASKS_FOLDER = "masks"
"""Beside training labels: the case's masks as they stand, without name and words."""
UNFINISHED = "UNFINISHED.txt"
"""In the folder as long as files are missing in it: also where the run was killed or the disk became full."""
UNFINISHED_TEXT = (
    "This export did not come to its end: files may be missing here, and objects that refer to one another. "
    "Do not send it to an archive. Export the case again, into this folder or another one.\n"
)
REPORT_HTML, REPORT_PDF, REPORT_TEXT = "report.html", "report.pdf", "report.txt"


@dataclass(frozen=True)
class Export:
    """What to write.

    Attributes:
        dicom: SEG and SR, and the report as Encapsulated PDF where `pdf` is asked for too.
        as_dicom: write the CT itself as a derived series where it did not come from DICOM.
        deflate: compress the SEG (Deflated Explicit VR Little Endian).
        report, pdf, text, csv: those files.
        labels: what the reader decided, as training labels, and the masks that they are of.
        template: the hospital's own text template.
        verified_by, organisation: who signs the SR; "" leaves it UNVERIFIED and PARTIAL.
    """

    dicom: bool = False
    as_dicom: bool = False
    deflate: bool = False
    report: bool = False
    pdf: bool = False
    text: bool = False
    csv: bool = False
    labels: bool = False
    template: Path | None = None
    verified_by: str = ""
    organisation: str = ""
    options: Options = field(default_factory=Options)

    @property
    def anything(self) -> bool:
        return self.dicom or self.report or self.pdf or self.text or self.csv or self.labels


def export_case(
    result: CaseResult,
    source: DicomSource | None,
    folder: Path,
    what: Export,
    *,
    volume: CtVolume | None = None,
    case_folder: Path | None = None,
    judged: JudgedCourse | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    progress: Progress = silent,
    now: datetime | None = None,
) -> dict[str, Path]:
    """Write what is asked for into a folder; nothing that is there already is touched.

    As long as it is not whole, the folder holds :data:`UNFINISHED`.

    Args:
        source: the CT's DICOM images; None where it did not come from DICOM.
        volume: the CT, for `as_dicom`, and for key images where the case keeps none.
        case_folder: where the case keeps its key images.
        judged: the case beside earlier ones (see :func:`..case.followup_json.read_course`).
        say: hears sentences for the reader (what was left out and why).

    Returns:
        The files by what they are.

    Raises:
        InputError: DICOM is asked for without a DICOM source, or a needed package is missing.
        OutputError: no space, no permission, or a file of that name is there already.
        Cancelled: `progress` asked for it.
    """
    check_packages(what)
    now = now or datetime.now()
    made_source = what.dicom and source is None
    if made_source:
        source = _derived(volume, what)
    images, overview = {}, None
    if what.report or what.pdf:
        images, overview = _images(result, volume, case_folder, say, progress)
    if judged is not None and not judged.belongs_to(result):
        say(OUTDATED)
    files = dict(_report_files(result, source, what, images, overview, judged, say))
    files |= dict(_label_files(result, volume, say)) if what.labels else {}
    progress("DICOM" if what.dicom else "writing", 0.6)
    objects = dict(_objects(result, source, what, files.get(REPORT_PDF), now, judged)) if what.dicom else {}  # type: ignore[arg-type]
    # Everything is made before anything is written, and what is written is told to be unfinished until it is.
    _refuse_others(folder, files, objects)
    written: dict[str, Path] = {}
    with _told_unfinished(folder):
        if made_source:
            written |= _write_series(volume, source, folder, now)  # type: ignore[arg-type]
        written |= _write_files(folder, files, objects)
        if what.labels:
            written[MASKS_FOLDER] = save_result(masks_only(result), folder / MASKS_FOLDER)
    _offer_deflate(written, what, say)
    progress("Exported", 1.0)
    return written


@contextmanager
def _told_unfinished(folder: Path) -> Iterator[None]:
    """The folder says that it is unfinished until the body is through; not where nothing is in it."""
    write_text(folder / UNFINISHED, UNFINISHED_TEXT)
    try:
        yield
    except BaseException:
        if all(path.name == UNFINISHED for path in folder.iterdir()):
            (folder / UNFINISHED).unlink(missing_ok=True)
        raise
    (folder / UNFINISHED).unlink(missing_ok=True)


def _write_files(folder: Path, files: Mapping[str, bytes], objects: Mapping[str, Dataset]) -> dict[str, Path]:
    for name, data in files.items():
        with replacing(folder / name) as part:
            part.write_bytes(data)
    written = {name: folder / name for name in files}
    return written | {name: save_object(one, folder / f"{name}.dcm") for name, one in objects.items()}


def _refuse_others(folder: Path, files: Mapping[str, bytes], objects: Mapping[str, Dataset]) -> None:
    for name, data in files.items():
        _refuse_other(folder / name, data)
    for name, dataset in objects.items():
        _refuse_other_object(folder / f"{name}.dcm", dataset)


def _offer_deflate(written: Mapping[str, Path], what: Export, say: Callable[[str], None]) -> None:
    size = written["SEG"].stat().st_size if "SEG" in written else 0
    if size > LARGE_SEG_BYTES and not what.deflate:
        say(f"The SEG has {size / 1e6:.0f} MB: --deflate makes it smaller, where the archive takes it.")


def check_packages(what: Export) -> None:
    """Refuse before any work where a package is missing.

    Raises:
        InputError: names the packages and the extra that brings them.
    """
    from importlib.util import find_spec

    asked = [k for k, wanted in (("dicom", what.dicom), ("report", what.report or what.text or what.pdf),
                                 ("pdf", what.pdf)) if wanted]  # fmt: skip
    missing = [name for key in asked for name in NEEDS[key] if find_spec(name) is None]
    if missing:
        raise InputError(
            f"The export needs {', '.join(missing)}. Install {'them' if len(missing) > 1 else 'it'} with: "
            'pip install "liverlesionai[export]"'
        )


def check_source(what: Export, volume: CtVolume) -> None:
    """Refuse DICOM of a CT that is none, before any work.

    Raises:
        InputError: the CT did not come from DICOM and no derived series is asked for.
    """
    if what.dicom and volume.dicom is None and not what.as_dicom:
        raise InputError(_NO_STUDY)


_NO_STUDY = (
    "The CT did not come from DICOM, so there is no study to file results in. Analyse the DICOM series, or "
    "use --as-dicom: it writes the CT as a derived series of a new study without a patient."
)


def _derived(volume: CtVolume | None, what: Export) -> DicomSource:
    if not what.as_dicom:
        raise InputError(_NO_STUDY)
    if volume is None:
        raise InputError("--as-dicom writes the CT as DICOM: name its file with --ct.")
    from .dicom.ct_series import derived_source

    return derived_source(volume)


def _write_series(volume: CtVolume, source: DicomSource, folder: Path, now: datetime) -> dict[str, Path]:
    from .dicom.ct_series import ct_series

    for number, image in enumerate(ct_series(volume, source, now), start=1):
        save_object(image, folder / "CT" / f"CT{number:04d}.dcm")
    return {"CT": folder / "CT"}


def _images(
    result: CaseResult,
    volume: CtVolume | None,
    case_folder: Path | None,
    say: Callable[[str], None],
    progress: Progress,
) -> tuple[dict[int, bytes], bytes | None]:
    """Key images and overview: of the CT where it is at hand, else those that the case keeps."""
    from .report.key_images import key_images, overview_image, read_key_images

    if volume is None:
        images, overview = read_key_images(result, case_folder) if case_folder is not None else ({}, None)
        missing = sum(x.number not in images for x in result.lesions)
        if missing or overview is None:
            say(
                "The report has no key images: the case keeps none. Name the CT with --ct."
                if not images
                else f"{missing} of {len(result.lesions)} lesions have no key image, since they changed "
                "after the case was written. Name the CT with --ct."
            )
        return images, overview
    if not volume.geometry.matches(result.geometry):
        raise InputError(f"{volume.name} is not the CT that was analysed: its size or place differs.")
    images = {}
    for done, (number, data) in enumerate(key_images(result, volume)):
        progress("Key images", 0.5 * done / max(1, len(result.lesions)))
        images[number] = data
    return images, overview_image(result, volume)


def _anatomy_picture(result: CaseResult, say: Callable[[str], None]) -> bytes | None:
    """Segments and vessels, or the planned resection, in 3D; None where there is nothing to draw."""
    anatomy = result.anatomy
    drawn = anatomy is not None and (anatomy.has_segments or anatomy.vessels_zyx.any())
    if not drawn and result.resection is None:
        return None
    from ..pictures.anatomy_3d import start_anatomy_3d
    from .report.key_images import jpeg_bytes

    with start_anatomy_3d(result) as job:
        rendered, why = job.wait()
    if why:
        say(why)
    return None if rendered is None else jpeg_bytes(rendered.rgb)


def _report_files(
    result: CaseResult,
    source: DicomSource | None,
    what: Export,
    images: Mapping[int, bytes],
    overview: bytes | None,
    judged: JudgedCourse | None,
    say: Callable[[str], None],
) -> Iterator[tuple[str, bytes]]:
    if what.csv:
        from .tables import findings_csv

        yield "findings.csv", findings_csv(result).encode("utf-8-sig")
    if not (what.report or what.pdf or what.text):
        return
    anatomy_3d = _anatomy_picture(result, say) if what.report or what.pdf else None
    content = report_content(
        result, source, what.options, images, overview, judged, anatomy_3d, signed=bool(what.verified_by)
    )
    from .report.html import report_html, report_text

    if what.report:
        yield REPORT_HTML, report_html(content).encode()
    if what.text:
        yield REPORT_TEXT, report_text(content, what.template).encode()
    if what.pdf:
        from .report.pdf import report_pdf

        yield REPORT_PDF, report_pdf(content)


def _label_files(
    result: CaseResult, volume: CtVolume | None, say: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    from .labels import labels_csv, labels_json

    labels, left_out = training_labels(result, "" if volume is None else ct_digest(volume))
    for sentence in left_out:
        say(sentence)
    if not labels:
        say("No lesion has a decision or a class of the reader's: the training labels are empty.")
    yield "labels.json", labels_json(labels).encode()
    yield "labels.csv", labels_csv(labels).encode()


def _objects(
    result: CaseResult,
    source: DicomSource,
    what: Export,
    pdf: bytes | None,
    now: datetime,
    judged: JudgedCourse | None,
) -> Iterator[tuple[str, Dataset]]:
    from .dicom.from_case import content_of
    from .dicom.images import checked_source
    from .dicom.pdf_object import encapsulated_pdf
    from .dicom.segmentation import segmentation
    from .dicom.structured_report import structured_report

    content = content_of(
        result,
        source,
        with_rejected=what.options.with_rejected,
        verified_by=what.verified_by,
        organisation=what.organisation,
        judged=judged,
    )
    seg = _quietly(lambda: segmentation(content, deflate=what.deflate))
    yield "SEG", seg
    yield "SR", _quietly(lambda: structured_report(content, seg))
    if pdf is not None:
        title = "Liver CT report"
        yield (
            "PDF",
            encapsulated_pdf(
                pdf, checked_source(source), title=title, version=result.version, draft=content.draft, now=now
            ),
        )


def _quietly(make: Callable[[], Dataset]) -> Dataset:
    """Without the warning that a name is of one component, as anonymous ones are: it would print the name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The string .* is unlikely to represent the intended person name")
        return make()


def save_object(dataset: Dataset, path: Path) -> Path:
    """Write an object: beside, then renamed; the preamble is empty.

    One that is there with the same UID holds the same content and stays.

    Raises:
        OutputError: another file is there under that name, no space or no permission.
    """
    _refuse_other_object(path, dataset)
    if not path.exists():
        with replacing(path) as part:
            dataset.preamble = b"\0" * 128
            dataset.save_as(part, enforce_file_format=True)
    return path


def _refuse_other_object(path: Path, dataset: Dataset) -> None:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if not path.exists():
        return
    try:
        there = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    except (InvalidDicomError, OSError):
        there = None
    if there is None or there.get("SOPInstanceUID") != dataset.SOPInstanceUID:
        raise _is_there(path)


def _refuse_other(path: Path, data: bytes) -> None:
    if path.exists() and (not path.is_file() or path.read_bytes() != data):
        raise _is_there(path)


def _is_there(path: Path) -> OutputError:
    return OutputError(
        f"{path} is there already and is not overwritten: choose another folder with --out, or move it away."
    )
