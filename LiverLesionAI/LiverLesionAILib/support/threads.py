"""Computing threads that sleep while they wait for each other, on a machine that others use too."""

from __future__ import annotations

import os
import threading
from collections.abc import MutableMapping

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


LOADING = "loading Slicer's classes"
"""Name of the thread that does so while the networks compute."""


def has_ended(name: str, within_s: float) -> bool:
    """Wait for the thread of that name, where there is one; False where it still runs.

    An interrupt that lands in the middle of an import can leave Python's import lock taken: a thread that
    imports then waits for ever, and the interpreter's end for that thread.
    """
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(within_s)
            return not thread.is_alive()
    return True
