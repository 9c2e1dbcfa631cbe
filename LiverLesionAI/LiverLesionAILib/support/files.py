"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_PATIENCE_S = 2.0
LONGEST_WINDOWS_PATH = 200
"""Of 259 characters, less what is written into a case folder, and its hidden name while it is filled."""

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """Write a file beside its place and rename it at the end, so that no reader ever sees half of it.

    The folder is made when it is missing. If the body fails, what was at `path` stays as it was and nothing
    else is left behind.

    Args:
        path: where the finished file goes; replaced if it exists.
        durable: forced onto the disk before it is renamed; too slow for thousands of small files.

    Yields:
        The path to write to, in the same folder, with the same suffix.

    Raises:
        OutputError: no space, no permission, or no such place.
    """
    # The suffix stays last: many writers choose the format by it.
    part = path.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            with part.open("r+b") as file:
                os.fsync(file.fileno())  # some file systems report a full disk only now
        rename(part, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder, over a file that is there.

    Windows refuses that while a virus scanner, an indexer or a preview holds one of them open, mostly for an
    instant: it is tried again for two seconds there.

    Raises:
        OSError: it cannot be renamed.
    """
    end_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            source.replace(target)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > end_s:
                raise
            time.sleep(0.05)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a text file with its line ends as they are; atomic like :func:`replacing`, same errors.

    What the encoding lacks (undecodable bytes of a file's name) is escaped.
    """
    with replacing(path) as part:
        part.write_bytes(text.encode(encoding, "backslashreplace"))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def output_error(path: Path, error: OSError) -> OutputError:
    """What to tell the person at the screen when `path` could not be written."""
    if error.errno in _FULL:
        return OutputError(
            f"{path} could not be written: the disk is full. Make room, or choose another folder, and save "
            "again."
        )
    if sys.platform == "win32" and len(str(path)) > LONGEST_WINDOWS_PATH:
        return OutputError(
            f"{path} could not be written: the path is {len(str(path))} characters long, and Windows takes "
            f"about {LONGEST_WINDOWS_PATH}. Choose a folder nearer to the drive's top, or a shorter name."
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return OutputError(
            f"{path} could not be written: no permission. Choose a folder that you may write to, and close "
            "the file if another program has it open."
        )
    return OutputError(f"{path} could not be written: {error.strerror or error}. Choose another folder.")
