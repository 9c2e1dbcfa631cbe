"""Slicer's classes loaded ahead, outside the Slicer application: it takes seconds."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

from ..support.threads import LOADING


def begin_loading() -> None:
    """Load Slicer's classes in a thread, while the networks compute.

    Where they are missing nothing happens; who writes a scene says so.
    """
    if "slicer" not in sys.modules:
        # No daemon: what these libraries begin when they are loaded has to end before the interpreter does.
        threading.Thread(target=_load, name=LOADING).start()


def _load() -> None:
    with suppress(ImportError):
        import slicer  # noqa: F401
        import vtk  # noqa: F401
