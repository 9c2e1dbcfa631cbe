"""The files in which a header says that its voxels are: named, listed or counted.

Never tried out by a library.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from ..support.errors import InputError
from ..support.text import path_text, printable
from .decoding import BLOCK, open_regular
from .image_header import damaged, whole_numbers, wrong_header

LONGEST_NAME = 1024
MOST_FILES = 100_000


def data_files(path: Path, field: str, names: list[str]) -> tuple[Path, ...]:
    """The data files of a header, beside it or by their full paths.

    Args:
        path: the header's file.
        field: the header's field, for messages.
        names: as they stand in the header.

    Raises:
        InputError: none, too many, a name that is none, or one that is not there.
    """
    if not 1 <= len(names) <= MOST_FILES:
        raise damaged(path, f"its header names {len(names)} data files")
    parts = tuple(_data_path(path, field, name) for name in names)
    for part in parts:
        _refuse_missing(path, part)
    return parts


def _data_path(path: Path, field: str, name: str) -> Path:
    """The data file that a header names, beside it or by its full path; it is not looked at.

    Raises:
        InputError: the name is empty, endless, or no name.
    """
    shown = printable(name, 60)
    if not name or len(name) > LONGEST_NAME or "\0" in name or "\n" in name:
        raise damaged(path, f"its field '{field}' is no file's name ('{shown}', {len(name)} characters)")
    return path.parent / name


def _refuse_missing(path: Path, data: Path) -> None:
    """Raises: InputError where a header's data file is not there, or is no file."""
    name = path_text(Path(data.name))
    try:
        mode = data.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path_text(path)}: its data file is missing ({name} beside it). Copy both files into "
            "one folder, "
            "under the names they had."
        ) from error
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path_text(path)}: its data file ({name}) is a folder, a pipe or a device, not a "
            "file. Give the "
            "header with its data file."
        )


def pattern_names(path: Path, value: str) -> list[str]:
    """``slice%03d.raw 1 30 1``: first, last, step. Any other pattern is refused, not tried.

    Raises:
        InputError: another pattern, or it counts nowhere.
    """
    words = value.split()
    match = re.fullmatch(r"([^%]*)%(0?)(\d{0,2})d([^%]*)", words[0])
    if match is None or len(words) not in (4, 5):
        raise wrong_header(
            path,
            f"its field 'data file' is a pattern that is not read ('{printable(value, 60)}')",
            "Save the volume as one file.",
        )
    first, last, step = whole_numbers(path, "data file", " ".join(words[1:4]), 3)
    if step == 0 or not 0 <= (last - first) / step < 100_000:
        raise damaged(path, f"its field 'data file' counts from {first} to {last} by {step}")
    before, zero, width, after = match.groups()
    stop = last + (1 if step > 0 else -1)
    return [f"{before}{n:{zero}{width}d}{after}" for n in range(first, stop, step)]


def after_lines(path: Path, part: Path, start: int, lines: int) -> int:
    """Where a data file goes on after some lines of text.

    Raises:
        InputError: it does not have them.
    """
    with open_regular(part) as file:
        file.seek(start)
        for _ in range(lines):
            if not file.readline(BLOCK).endswith(b"\n"):
                raise damaged(path, f"its header skips {lines} lines, which its data do not have")
        return file.tell()
