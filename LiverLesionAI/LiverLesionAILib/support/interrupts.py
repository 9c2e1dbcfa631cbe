"""Ctrl+C and requests to end: heard as one exception, and held back where an exception would do harm."""

from __future__ import annotations

import signal
import threading
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


@contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Every one of SIGNALS raises :class:`Interrupted` in the body, so that it cleans up; main thread only.

    What is ignored outside (`nohup`) stays ignored.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    with _handled_by(stop):
        yield


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
