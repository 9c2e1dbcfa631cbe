"""From files to a CT: NIfTI, NRRD, MetaImage, single DICOM files and whole DICOM folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..support.errors import InputError
from ..support.progress import Progress, silent
from ..support.text import path_text, printable
from ..volume.checking import check_ct
from ..volume.ct import CtVolume
from .decoding import open_regular
from .dicom_headers import is_dicom, scan_files
from .dicom_load import load_stack
from .dicom_series import SeriesInfo, Stack, choose, describe_all, stacks_of
from .image_files import FORMATS, is_image_file, load_image_file

__all__ = ["SeriesInfo", "list_series", "load_ct", "read_ct"]


def read_ct(
    path: Path | str, series: str | None = None, progress: Progress = silent, grid: str = ""
) -> CtVolume:
    """Read a CT from a file or folder and check that it can be analysed.

    Args:
        path: NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file; a DICOM file (with
            the rest of its series beside it); or a folder searched for DICOM, subfolders included.
        series: for DICOM, the series to take: number ("4", or "4.2" for the second of its scans), UID or a
            part of its description. None takes the largest CT series that covers an abdomen. For a file of
            several volumes (phases), the volume's number from 1 or a part of its name.
        progress: told of 0..1; may cancel.
        grid: "sform" or "qform": which to take of a NIfTI file whose two contradict each other.

    Returns:
        int16 HU on the scan's own grid, in patient space (LPS); `notes` say what was chosen, `warnings` what
        was changed or is doubtful.

    Raises:
        InputError: missing, unreadable or not an abdominal CT; the text says why and what to do.
        Cancelled: `progress` asked for it.
    """
    path = Path(path)
    volume = load_ct(path, series, progress, grid)
    # Refusals name what the user gave.
    given = printable(path.name) if path.is_file() else volume.name
    return replace(check_ct(replace(volume, name=given)), name=volume.name)


def load_ct(
    path: Path | str, series: str | None = None, progress: Progress = silent, grid: str = ""
) -> CtVolume:
    """:func:`read_ct` without the check of the content: whatever three-dimensional image the file holds.

    Values that cannot be whole Hounsfield units (NaN, a range of 0 to 1) stay float32.
    """
    path = Path(path)
    progress("Reading", 0.0)
    if _is_folder(path):
        volume = _load_folder(path, series, progress)
    elif is_dicom(path):
        volume = _load_dicom_file(path, series, progress)
    elif is_image_file(path):
        volume = load_image_file(path, series, grid, progress)
    else:
        size = path.stat().st_size
        what = (
            "the file is empty"
            if size == 0
            else "the file is none of the formats that can be read, or is damaged"
        )
        raise InputError(
            f"{path_text(path)}: {what}. A CT is read from {FORMATS}, or from a folder with DICOM files."
        )
    progress("Reading", 1.0)
    return volume


def _is_folder(path: Path) -> bool:
    """Raises: InputError where it is neither a folder nor a regular file that can be opened."""
    try:
        if path.is_dir():
            return True
    except (OSError, ValueError):
        pass  # such names are refused below
    open_regular(path).close()
    return False


def list_series(folder: Path | str, progress: Progress = silent) -> list[SeriesInfo]:
    """What a folder's DICOM files hold, subfolders included, the one that would be taken first.

    Series that cannot be analysed are listed last; their `refused` says why.

    Raises:
        InputError: there is no such folder.
        Cancelled: `progress` asked for it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder. Check the path.")
    scan = scan_files(_files(folder.rglob("*")), progress)
    return [stack.info for stack in stacks_of(scan)]


def _files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, without what desktops leave beside them (.DS_Store, ._copy.dcm)."""
    return [p for p in sorted(paths) if p.is_file() and not p.name.startswith(".")]


def _load_folder(folder: Path, series: str | None, progress: Progress) -> CtVolume:
    paths = _files(folder.rglob("*"))
    scan = scan_files(paths, lambda stage, fraction: progress(stage, 0.3 * fraction))
    stacks = stacks_of(scan)
    if not stacks:
        volumes = [p for p in paths if is_image_file(p)]
        if not paths:
            what = "the folder is empty"
        elif scan.unreadable and len(scan.unreadable) == len(paths):
            what = "no file in the folder can be read"
        elif volumes:
            what = (
                f"the folder holds no DICOM files, but {volumes[0].name}: give the path of that file itself"
            )
        else:
            what = "the folder holds no DICOM files"
        raise InputError(f"{folder}: {what}. A CT is read from {FORMATS}, or from a folder with DICOM files.")
    chosen = choose(stacks, series, str(folder))
    volume = load_stack(chosen, folder.name, lambda stage, fraction: progress(stage, 0.3 + 0.7 * fraction))
    notes, warnings = list(volume.notes), list(volume.warnings)
    if len(stacks) > 1:
        notes.insert(
            0, f"Of {len(stacks)} series, {chosen.info.label} was taken. {describe_all(stacks, chosen)}"
        )
    if scan.unreadable:
        names = ", ".join(p.name for p in scan.unreadable[:3]) + (" ..." if len(scan.unreadable) > 3 else "")
        count = len(scan.unreadable)
        warnings.append(
            f"{count} file{'s' if count > 1 else ''} in the folder could not be read ({names}); "
            "if they belong to the scan, slices are missing."
        )
    if len(scan.patients) > 1:
        warnings.append(
            f"The folder holds scans of {len(scan.patients)} patients; only {chosen.info.label} was read."
        )
    return replace(volume, notes=tuple(notes), warnings=tuple(warnings))


def _load_dicom_file(path: Path, series: str | None, progress: Progress) -> CtVolume:
    own = scan_files([path], silent)
    if own.is_directory_file:
        return _load_folder(path.parent, series, progress)
    if not own.frames:
        raise InputError(
            f"{path}: the DICOM file cannot be read. It may be incomplete: copy or export it again."
        )
    if len(own.frames) > 1 or not own.frames[0].usable:
        stack: Stack = choose(stacks_of(own), series, str(path))
        return load_stack(stack, path.stem, progress)
    # One slice stands for its series: the slices beside it.
    beside = _files(path.parent.iterdir())
    scan = scan_files(beside, lambda stage, fraction: progress(stage, 0.3 * fraction))
    holding = [s for s in stacks_of(scan) if any(f.path == path for f in s.frames)]
    if not holding:
        raise InputError(
            f"{path}: the DICOM file cannot be read. It may be incomplete: copy or export it again."
        )
    stack = choose(holding, series, str(path))
    volume = load_stack(
        stack, path.parent.name, lambda stage, fraction: progress(stage, 0.3 + 0.7 * fraction)
    )
    note = f"{path.name} is one slice of {stack.info.label}; the whole series was read."
    return replace(volume, notes=(note, *volume.notes))
