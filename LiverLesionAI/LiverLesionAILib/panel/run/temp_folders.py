"""Private temporary folders for cases, and the removal of those that a crashed Slicer left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "LiverLesionAI-case-"


def make_case_folder(root: str) -> Path:
    """A new folder below `root` that only this user can read.

    Raises:
        OSError: no space or no permission.
    """
    os.makedirs(root, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))


def remove_stale_folders(root: str) -> int:
    """Remove case folders whose process is gone; how many there were."""
    removed = 0
    for folder in Path(root).glob(PREFIX + "*"):
        pid = folder.name[len(PREFIX) :].split("-")[0]
        if pid.isdecimal() and int(pid) != os.getpid() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    if os.name == "nt":
        # Asking costs a handle and rights there; Windows clears its temporary folder by itself.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
