"""A CT out of DICOM files: of a folder, or of the series that one file belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..support.errors import InputError
from ..support.progress import Progress, part, silent
from ..support.text import path_text, printable
from ..volume.ct import CtVolume
from ..volume.reading_messages import ONE_OF_SEVERAL, TAKEN
from .dicom_choice import choose, describe_all
from .dicom_headers import Scan, scan_files
from .dicom_load import load_stack
from .dicom_series import SeriesInfo, Stack, stacks_of
from .image_files import FORMATS, is_image_file

# How much of the progress reading the headers takes.
_HEADERS = 0.3


def list_series(folder: Path | str, progress: Progress = silent) -> list[SeriesInfo]:
    """What a folder's DICOM files hold, subfolders included, the one that would be taken first.

    Series that cannot be analysed are listed last; their `refused` says why.

    Raises:
        InputError: there is no such folder.
        Cancelled: `progress` asked for it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{path_text(folder)}: there is no such folder. Check the path.")
    scan = scan_files(_files(folder.rglob("*")), progress)
    return [stack.info for stack in stacks_of(scan)]


def load_folder(folder: Path, series: str | None, progress: Progress) -> CtVolume:
    """The scan of a folder that is best for the analysis, or the one asked for.

    Raises:
        InputError: the folder holds no CT that can be analysed, or not the one asked for.
        Cancelled: `progress` asked for it.
    """
    paths = _files(folder.rglob("*"))
    scan = scan_files(paths, part(progress, 0.0, _HEADERS))
    stacks = stacks_of(scan)
    if not stacks:
        raise InputError(f"{path_text(folder)}: {_nothing(paths, scan)}.")
    chosen = choose(stacks, series, path_text(folder))
    volume = load_stack(chosen, printable(folder.name), part(progress, _HEADERS, 1.0))
    notes, warnings = list(volume.notes), list(volume.warnings)
    if len(stacks) > 1:
        notes.insert(0, _choice(stacks, chosen))
    warnings[:0] = _one_of_several(stacks, chosen, series)
    warnings += _unreadable(scan, "the folder")
    if len(scan.patients) > 1:
        warnings.append(
            f"The folder holds scans of {len(scan.patients)} patients; only {chosen.info.label} was read."
        )
    return replace(volume, notes=tuple(notes), warnings=tuple(warnings))


def load_dicom_file(path: Path, series: str | None, progress: Progress) -> CtVolume:
    """The scan that a file belongs to: itself where it holds several images, else with those beside it.

    Raises:
        InputError: the file cannot be read, or is no CT that can be analysed.
        Cancelled: `progress` asked for it.
    """
    own = scan_files([path], silent)
    if own.is_directory_file:
        return load_folder(path.parent, series, progress)
    if not own.frames:
        why = own.unreadable.get(path, "it may be incomplete")
        raise InputError(f"{path_text(path)}: the DICOM file cannot be read: {why}; copy or export it again.")
    if len(own.frames) > 1 or not own.frames[0].usable:
        stacks = stacks_of(own)
        stack = choose(stacks, series, path_text(path))
        volume = load_stack(stack, printable(path.name), progress)
        if len(stacks) > 1:
            warnings = (*_one_of_several(stacks, stack, series), *volume.warnings)
            volume = replace(volume, notes=(_choice(stacks, stack), *volume.notes), warnings=warnings)
        return volume
    # One slice stands for its series: the slices beside it.
    scan = scan_files(_files(path.parent.iterdir()), part(progress, 0.0, _HEADERS))
    stacks = stacks_of(scan)
    uid = own.frames[0].series_uid
    of_series = [s for s in stacks if any(f.series_uid == uid for f in s.frames)]
    holding = [s for s in of_series if any(f.path == path for f in s.frames)] or of_series
    if not holding:
        raise InputError(f"{path_text(path)}: the DICOM file cannot be read. Copy or export it again.")
    stack = choose(holding, series, path_text(path))
    volume = load_stack(stack, printable(path.parent.name), part(progress, _HEADERS, 1.0))
    notes = [
        f"{printable(path.name)} is one slice of {stack.info.label}; the whole series was read.",
        *volume.notes,
    ]
    others = [s for s in of_series if s is not stack and not s.info.refused]
    if others:
        notes.insert(0, _choice([stack, *others], stack))
    several = _one_of_several(holding, stack, series)
    warnings = (*several, *volume.warnings, *_unreadable(scan, "the folder beside it"))
    return replace(volume, notes=tuple(notes), warnings=warnings)


def _files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, without what desktops leave beside them (.DS_Store, ._copy.dcm)."""
    return [p for p in sorted(paths) if p.is_file() and not p.name.startswith(".")]


def _choice(stacks: list[Stack], chosen: Stack) -> str:
    """Which scan was taken, and what else there is."""
    one_series = len({s.info.uid for s in stacks}) == 1
    detail = f" ({chosen.info.detail})" if chosen.info.detail else ""
    kind = "scans in one series" if one_series else "series"
    taken, others = f"{chosen.info.label}{detail}", describe_all(stacks, chosen)
    return TAKEN.say(n=len(stacks), what=kind, name=taken, which=others)


def _one_of_several(stacks: list[Stack], chosen: Stack, wanted: str | None) -> list[str]:
    """What is doubtful where one of a series' scans was taken that nobody has named by its key."""
    shared = [s.info for s in stacks if s.info.uid == chosen.info.uid and not s.info.refused]
    if len(shared) < 2 or wanted in {info.key for info in shared}:
        return []
    series = chosen.info.key.split(".")[0]
    which = chosen.info.detail or chosen.info.key
    return [ONE_OF_SEVERAL.say(name=series, n=len(shared), name_now=which)]


def _nothing(paths: list[Path], scan: Scan) -> str:
    """Why a folder gives no series."""
    volumes = [p for p in paths if is_image_file(p)]
    wanted = f". A CT is read from {FORMATS}, or from a folder with DICOM files"
    if not paths:
        return f"the folder is empty{wanted}"
    if scan.unreadable and len(scan.unreadable) == len(paths):
        return f"no file in the folder can be read ({_reasons(scan)}). Copy or export them again"
    if volumes:
        named = f"but {printable(volumes[0].name)}: give the path of that file itself"
        return f"the folder holds no DICOM files, {named}{wanted}"
    return f"the folder holds no DICOM files{wanted}"


def _unreadable(scan: Scan, where: str) -> list[str]:
    count = len(scan.unreadable)
    if not count:
        return []
    return [
        f"{count} file{'s' if count > 1 else ''} in {where} could not be read ({_reasons(scan)}); "
        "if they belong to the scan, slices are missing."
    ]


def _reasons(scan: Scan) -> str:
    """The first few unreadable files, with why."""
    said = [f"{printable(path.name)}: {why}" for path, why in list(scan.unreadable.items())[:3]]
    return "; ".join(said) + ("; ..." if len(scan.unreadable) > 3 else "")
