"""Work in threads beside the caller's own, whose errors reach the caller and whose end is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from .errors import Cancelled
from .interrupts import held_back

T = TypeVar("T")


class Beside:
    """Threads that work while the body of `with` does.

    Leaving waits until all of them have ended. Where the body ends by an exception they are asked to stop
    (:meth:`check`); else the first of their own errors is raised, and the others are asked to stop.
    """

    def __init__(self, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="beside")
        self._begun: list[Future[object]] = []
        self._stopped = threading.Event()

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Begin some work; its result is what the future gives, and its errors."""
        # Cut short, a pool would not know of a thread that has started.
        with held_back():
            future = self._pool.submit(work)
            self._begun.append(future)  # type: ignore[arg-type]
        return future

    def check(self) -> None:
        """Called by the work now and then.

        Raises:
            Cancelled: the body has ended early, and nobody wants the rest.
        """
        if self._stopped.is_set():
            raise Cancelled("Cancelled; nothing was kept.")

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                # Outside of what is held back: an interrupt is heard while all is well.
                ended = wait(self._begun, return_when="FIRST_EXCEPTION").done
                for future in self._begun:
                    if future in ended:
                        future.result()
        finally:
            self._stopped.set()
            with held_back():
                self._pool.shutdown(cancel_futures=True)
