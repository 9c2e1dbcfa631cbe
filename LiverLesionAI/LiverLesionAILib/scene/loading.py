"""Slicer's classes loaded ahead, outside the Slicer application: it takes seconds."""

from __future__ import annotations

import importlib.util

from ..support.threads import load_ahead


def begin_loading() -> bool:
    """Load Slicer's classes in a thread, while the networks compute; whether they are there at all.

    Where they are missing nothing happens; who writes a scene says so.
    """
    if importlib.util.find_spec("slicer") is None:
        return False
    load_ahead("slicer")
    return True
