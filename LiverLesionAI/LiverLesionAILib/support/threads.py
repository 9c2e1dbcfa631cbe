"""Computing threads that sleep while they wait for each other, on a machine that others use too."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import MutableMapping, Sequence
from contextlib import suppress

SLEEPING = {
    # GNU's OpenMP, in torch for Linux.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    # Intel's and LLVM's OpenMP, in torch for Windows and macOS: milliseconds before a thread sleeps.
    "KMP_BLOCKTIME": "0",
    # OpenBLAS, in numpy and scipy: 2 to the power of so many processor cycles; 4 is the least.
    "OPENBLAS_THREAD_TIMEOUT": "4",
}
"""What the libraries read, each once, when they are loaded."""


def let_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Tell the thread pools of torch, numpy and scipy to sleep instead of spin; call it before they load.

    A pool that spins takes every core it was given even while it waits: eight busy processes beside it on
    two cores made an analysis take four times as much processor time (Testing/Benchmarks/bench_loaded.py).
    What the user has set stays. Child processes inherit it.

    Args:
        environment: this process's, or the one that a child is to have.
    """
    for name, value in SLEEPING.items():
        environment.setdefault(name, value)


LOADING = "loading libraries"
"""Name of the threads that do so while others work."""

TURN_S = 0.0005
"""Python's threads take turns after so long while libraries load, for 0.005: what the networks do between two
layers takes less, and each would wait ten times as long for its turn."""


def load_ahead(*modules: str) -> None:
    """Load libraries in a thread, one after the other, while others work.

    One that is missing or damaged is no error here: whoever needs it says so.
    """
    if all(name in sys.modules for name in modules):
        return
    sys.setswitchinterval(TURN_S)
    # No daemon: what these libraries begin when they are loaded has to end before the interpreter does.
    threading.Thread(target=_load, args=(modules,), name=LOADING).start()


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def have_ended(name: str, within_s: float) -> bool:
    """Wait for the threads of that name, where there are any; False where one still runs.

    An interrupt that lands in the middle of an import can leave Python's import lock taken: a thread that
    imports then waits for ever, and the interpreter's end for that thread.
    """
    until = time.monotonic() + within_s
    named = [thread for thread in threading.enumerate() if thread.name == name]
    for thread in named:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in named)
