"""Folders that are made once, whole or not at all, and then shared by every training process."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.support.files import rename
from LiverLesionAILib.support.progress import Progress, silent

from ..synthesis.pool import synthesis_pool

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Loader = Callable[[Path], object]
"""Reads a kept folder; raises OSError, ValueError or KeyError where it is missing or damaged."""


def settings_key(settings: DataclassInstance, version: int, without: str = "") -> str:
    """Names the folder of what is made with these settings (but one) by this version of the code."""
    counted = sorted((name, value) for name, value in asdict(settings).items() if name != without)
    return hashlib.sha256(f"{version} {counted}".encode()).hexdigest()[:12]


def name_digits(name: str) -> int:
    """A number that a case's name decides, for seeds."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def is_whole(folder: Path, load: Loader) -> bool:
    """Whether a folder is there and can be read."""
    try:
        load(folder)
    except (OSError, ValueError, KeyError):
        return False
    return True


def write_folder(folder: Path, write: Callable[[Path], None], load: Loader) -> None:
    """Make a folder beside its place and rename it when it is complete.

    Another training that uses the same cache may have made it meanwhile, and may be reading it: what is there
    and whole stays.

    Args:
        folder: the place.
        write: fills an empty folder.
        load: reads one.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write(beside)
    try:
        rename(beside, folder)
    except OSError:
        if not folder.is_dir():
            raise
        if is_whole(folder, load):
            shutil.rmtree(beside, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            rename(beside, folder)


def make_all(
    make: Callable[[Any], object],
    tasks: Sequence[Any],
    workers: int,
    what: str,
    progress: Progress = silent,
) -> None:
    """`make` every task in processes of one thread each.

    Args:
        make: at the top level of its module.
        tasks: its arguments; those that are done already are left out by the caller.
        workers: how many processes.
        what: the stage, for `progress`.
        progress: told of every task; may cancel.
    """
    if not tasks:
        return
    with synthesis_pool(workers) as pool:
        for done, _ in enumerate(pool.map(make, tasks), start=1):
            progress(what, done / len(tasks))
