"""Memory that is used again instead of being handed back and asked for anew."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

APART_BYTES = 32 << 20
"""Larger pieces are asked for, and handed back, one by one: the most that glibc allows."""

KEPT_BYTES = 128 << 20
"""So much that is free is kept, for each thread that computes."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell glibc to keep what the networks free: between two layers it handed tens of megabytes back.

    To be given each page anew, emptied, took up to a third of a layer's time. What the user has set stays;
    elsewhere than on Linux with glibc nothing happens.

    Returns:
        Whether glibc was told.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in environment):
        return False
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_MMAP_THRESHOLD, APART_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
    return False
