"""What `batch` is given (folders, files, patterns, a table, trees of DICOM studies) as a list of CTs."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..support.errors import InputError, LiverLesionAIError
from ..support.text import path_text

TABLE_COLUMNS = ("ct", "name", "series", "grid", "second phase", "second series", "second grid", "priors")


@dataclass(frozen=True)
class Request:
    """One CT to analyse.

    Attributes:
        path: file or folder.
        name: wanted for its case; "" takes that of the file or folder.
        series: of a DICOM folder or a file with several volumes, as `--series`; "" lets the reader choose.
        second_phase: another contrast phase, as `--second-phase`.
        priors: case folders, or names of earlier lines of the same table.
        grid: "sform" or "qform" where a NIfTI file's two contradict each other, as `--grid`.
        second_series, second_grid: the same for the second phase.
    """

    path: Path
    name: str = ""
    series: str = ""
    second_phase: Path | None = None
    priors: tuple[str, ...] = ()
    grid: str = ""
    second_series: str = ""
    second_grid: str = ""


def requests_of(inputs: Sequence[Path]) -> list[Request]:
    """All CTs that are meant, each once, in the order given.

    Args:
        inputs: folders of CTs, image files, patterns such as ``scans/*.nii.gz``, tables (``.csv``).

    Raises:
        LiverLesionAIError: one of them does not exist, cannot be read or holds nothing.
    """
    found: dict[tuple[Path, str], Request] = {}
    for given in inputs:
        for request in _requests(given):
            found.setdefault((Path(os.path.abspath(request.path)), request.series), request)  # noqa: PTH100
    return list(found.values())


def _requests(given: Path) -> list[Request]:
    if given.is_file() and given.suffix.lower() == ".csv":
        return table_requests(given)
    if given.is_dir() or not glob.has_magic(str(given)):
        return folder_requests(given) if given.is_dir() or not given.exists() else [Request(given)]
    matches = [Path(name) for name in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207
    if not matches:
        raise LiverLesionAIError(f"{path_text(given)}: nothing matches this pattern. Check the path.")
    # A folder that a pattern names is one CT, as a file is.
    return [
        request for path in matches for request in ([Request(path)] if path.is_file() else _studies(path))
    ]


def folder_requests(folder: Path) -> list[Request]:
    """Every image file in `folder`, and every study of every subfolder that holds DICOM files.

    Raises:
        LiverLesionAIError: the folder is missing or holds neither.
    """
    from ..reading.dicom_start import is_dicom
    from ..reading.image_files import is_image_file

    try:
        content = sorted(folder.iterdir())
    except OSError as error:
        raise LiverLesionAIError(
            f"{path_text(folder)}: the folder cannot be read ({error.strerror}). Check the path."
        ) from error
    visible = [path for path in content if not path.name.startswith(".")]
    requests: list[Request] = []
    for path in visible:
        if path.is_dir():
            requests += _studies(path) if _holds_dicom(path) else []
        elif is_image_file(path):
            requests.append(Request(path))
    if not requests:
        hint = ""
        if any(p.is_file() and is_dicom(p) for p in visible[:50]):
            hint = " It holds DICOM files itself: give it to `analyze`, or its parent folder to `batch`."
        raise LiverLesionAIError(
            f"{path_text(folder)}: holds no NIfTI, NRRD or MHA file and no folder with DICOM files.{hint}"
        )
    return requests


def _holds_dicom(folder: Path) -> bool:
    """Damaged ones count: their case fails with the reason instead of missing in the summary."""
    from ..reading.dicom_start import is_dicom

    try:
        files = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        return any(p.suffix.lower() in (".dcm", ".ima") or is_dicom(p) for p in files)
    except OSError:
        return True


def _studies(folder: Path) -> list[Request]:
    """The CT studies below a folder; the folder itself where it holds one, or none that can be read."""
    from ..reading.dicom_headers import scan_files
    from ..reading.dicom_series import stacks_of
    from ..support.progress import silent

    try:
        scan = scan_files(sorted(p for p in folder.rglob("*") if p.is_file()), silent)
        stacks = [stack for stack in stacks_of(scan) if not stack.info.refused]
    except (OSError, LiverLesionAIError):
        return [Request(folder)]
    places: dict[str, set[Path]] = {}
    for frame in scan.frames:
        places.setdefault(frame.study_uid, set()).add(frame.path.parent)
    best = {}
    for stack in stacks:
        best.setdefault(stack.frames[0].study_uid, stack)
    if len(best) < 2:
        return [Request(folder)]
    requests = []
    for study, stack in best.items():
        place = Path(os.path.commonpath([str(path) for path in places[study]]))
        others = {path for uid, paths in places.items() if uid != study for path in paths}
        alone = not any(path == place or place in path.parents for path in others)
        name = "_".join((folder.name, *place.relative_to(folder).parts))
        if alone:
            requests.append(Request(place, name))
        else:
            requests.append(Request(place, f"{name}_{stack.info.key}", series=stack.info.uid))
    return sorted(requests, key=lambda request: request.name)


def table_requests(table: Path) -> list[Request]:
    """A line of a CSV each; paths are relative to the table.

    Columns (upper or lower case, `_` for a space): ``ct``; and where wanted ``name``, ``series``, ``grid``,
    ``second phase``, ``second series``, ``second grid``, ``priors`` (case folders or names of earlier lines,
    with ``;`` between them).

    Raises:
        InputError: it cannot be read, has no column `ct`, an unknown one, or a line that makes no sense.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            sample = file.read(4096)
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=";" if sample.split("\n")[0].count(";") else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path_text(table)}: the table cannot be read ({error}). Save it as CSV, UTF-8."
        ) from error
    columns = {
        str(name): " ".join(str(name).lower().replace("_", " ").split()) for name in (rows[0] if rows else ())
    }
    unknown = [name for name, column in columns.items() if column not in TABLE_COLUMNS]
    if "ct" not in columns.values() or unknown:
        wrong = f"an unknown column {unknown[0]!r}" if unknown else "no line with a column 'ct'"
        raise InputError(f"{path_text(table)}: {wrong}. Its columns are {', '.join(TABLE_COLUMNS)}.")
    requests: list[Request] = []
    for number, row in enumerate(rows, start=2):
        cells = {columns[str(name)]: (cell or "").strip() for name, cell in row.items()}
        if not any(cells.values()):
            continue
        if not cells["ct"]:
            raise InputError(f"{path_text(table)}, line {number}: the column 'ct' is empty. Name the CT.")
        wrong_grid = next(
            (c for c in ("grid", "second grid") if cells.get(c, "") not in ("", "sform", "qform")), ""
        )
        if wrong_grid:
            raise InputError(
                f"{path_text(table)}, line {number}: the column '{wrong_grid}' says {cells[wrong_grid]!r}. "
                "Write sform or qform, or leave it empty."
            )
        requests.append(_from_cells(table.parent, cells, {r.name for r in requests if r.name}))
    names = [request.name for request in requests if request.name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path_text(table)}: two lines have the name {twice!r}. Give each its own.")
    return requests


def _from_cells(base: Path, cells: dict[str, str], earlier: Iterable[str]) -> Request:
    named = set(earlier)
    priors = [text.strip() for text in cells.get("priors", "").split(";") if text.strip()]
    second = cells.get("second phase", "")
    return Request(
        base / cells["ct"],
        cells.get("name", ""),
        cells.get("series", ""),
        base / second if second else None,
        tuple(text if text in named else str(base / text) for text in priors),
        cells.get("grid", ""),
        cells.get("second series", ""),
        cells.get("second grid", ""),
    )
