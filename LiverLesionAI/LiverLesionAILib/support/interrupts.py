"""Ctrl+C and requests to end: heard as one exception, and held back where an exception would do harm."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""Ctrl+C; a batch system or a shutdown; a closed terminal; Ctrl+Break and a closed console of Windows."""


class Interrupted(KeyboardInterrupt):
    """A signal was heard.

    A class of its own: where a KeyboardInterrupt itself passes through code that a library runs from C (as
    some do while they are imported), Python ends by SIGINT later on, whatever the exit status was to be.
    """


AGAIN_S = 0.01
"""A signal that came while Python took or gave back a lock of its imports is heard so much later."""


@contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Every one of SIGNALS raises :class:`Interrupted` in the body, so that it cleans up; main thread only.

    What is ignored outside (`nohup`) stays ignored. Between two lines of Python's own import system nothing
    is raised, but a moment later: an exception there can be swallowed with a lock taken, and then this thread
    and every other that imports wait for ever.
    """
    later = _Later()

    def stop(number: int, frame: FrameType | None) -> None:
        if _inside_of_an_import(frame):
            later.again(number)
        else:
            raise Interrupted

    with _handled_by(stop):
        try:
            yield
        finally:
            later.never()


class _Later:
    """Signals sent again to the main thread, as long as somebody is there who hears them."""

    def __init__(self) -> None:
        # Made here, of the lowest kind: a handler may not wait for a lock that what it interrupted holds.
        self._lock = _thread.allocate_lock()
        self._heard = True

    def again(self, number: int) -> None:
        """Send the signal again after AGAIN_S, from a thread; called by a handler, so in the main thread."""
        _thread.start_new_thread(self._send, (number, threading.get_ident()))

    def never(self) -> None:
        """Send nothing from now on: the handlers are about to be taken away."""
        with self._lock:
            self._heard = False

    def _send(self, number: int, thread: int) -> None:
        time.sleep(AGAIN_S)
        with self._lock:
            if not self._heard:
                return
            if hasattr(signal, "pthread_kill"):
                # Wakes the thread where it waits for the lock of a module that another one imports.
                signal.pthread_kill(thread, number)
            else:
                _thread.interrupt_main(signal.Signals(number))


def _inside_of_an_import(frame: FrameType | None) -> bool:
    """Whether the innermost frame is Python's own import system's (not a module's that is being imported)."""
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


@contextmanager
def held_back() -> Iterator[None]:
    """Let the body end before a signal is heard.

    For work inside a library that an exception from a signal handler may leave broken (Slicer's MRML classes
    end the process then), and for tidying up.

    Raises:
        KeyboardInterrupt: at the end of the body, where a signal came meanwhile.
    """
    came: list[int] = []
    with _handled_by(lambda number, frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def _handled_by(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
