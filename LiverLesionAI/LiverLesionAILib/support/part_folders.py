"""Folders that are filled under a hidden name and appear when they are complete; what dead runs left of them.

A run that fills a part folder holds a lock on a file in it. The system lets go of the lock when the process
ends, however it ends, so that another run can tell a dead run's folder from a living one's, also beside other
containers and after process numbers were used again.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

OWNER = ".liverlesionai-part"
"""The file in a part folder that its run holds locked; by it others know the folder as one of ours."""

YOUNG_S = 10.0
"""A run may be between two steps (made and not yet locked, let go and not yet renamed) for so long."""

LONGEST_NAME = 200
"""Bytes; file systems take 255."""

_NAME = re.compile(r"\..+\.part-[0-9a-f]{8}")


def hidden_name(folder: Path) -> str:
    """A hidden name made from a folder's, short enough for what is appended to it."""
    name = folder.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    return f".{name}"


def is_old(path: Path) -> bool:
    """Whether a file or folder was made, changed and renamed long enough ago that no run is about it."""
    status = path.stat()
    return time.time() - max(status.st_mtime, status.st_ctime) >= YOUNG_S


class PartFolder:
    """A hidden folder beside the one that it will become.

    Attributes:
        path: where to write.
    """

    def __init__(self, folder: Path) -> None:
        """Make it, with its parents.

        Raises:
            OSError: no space or no permission.
        """
        self.path = folder.with_name(f"{hidden_name(folder)}.part-{secrets.token_hex(4)}")
        self.path.mkdir(parents=True)
        self._owner: IO[bytes] | None = (self.path / OWNER).open("wb")
        # Where the file system knows no locks, nobody can take this one either: never cleared, never lost.
        _lock(self._owner)

    def release(self) -> None:
        """Let go, before the folder is renamed: the owner's file goes."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        (self.path / OWNER).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the folder with everything in it."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        shutil.rmtree(self.path, ignore_errors=True)


def clear_dead_parts(parent: Path, complete: str) -> int:
    """Remove the part folders in `parent` whose run is gone; how many there were.

    Args:
        complete: a file that is in every finished folder: one killed between letting go and renaming.
    """
    removed = 0
    with suppress(OSError):
        for entry in list(parent.iterdir()):
            if _NAME.fullmatch(entry.name) and not entry.is_symlink() and _dead(entry, complete):
                shutil.rmtree(entry, ignore_errors=True)
                removed += 1
    return removed


def _dead(folder: Path, complete: str) -> bool:
    """Whether a folder is one of ours that nobody fills any more."""
    try:
        inside, owner = list(folder.iterdir()), folder / OWNER
        if owner in inside:
            if not is_old(owner):
                return False
            with owner.open("r+b") as file:
                return _lock(file)
        return is_old(folder) and (not inside or folder / complete in inside)
    except OSError:
        return False


def _lock(file: IO[bytes]) -> bool:
    """Take the lock on an open file, without waiting; whether it was free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def names_of(folder: Path) -> list[str]:
    """What a part folder holds, without the owner's file, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.name != OWNER)
