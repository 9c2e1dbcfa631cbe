"""Work beside the caller's: its errors arrive, its end is waited for, and nobody works on after a cancel."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from LiverLesionAILib.support.beside import Beside
from LiverLesionAILib.support.errors import Cancelled
from LiverLesionAILib.support.interrupts import as_keyboard_interrupt

LONG_S = 600.0


def test_results_arrive_and_all_has_ended() -> None:
    before = threading.active_count()
    with Beside() as beside:
        futures = [beside.begin(lambda n=n: n * n) for n in range(5)]
    assert [future.result() for future in futures] == [0, 1, 4, 9, 16]
    assert threading.active_count() == before


def test_an_error_nobody_asked_for_arrives_at_the_end() -> None:
    def fails() -> None:
        raise OSError(28, "No space left on device")

    def body() -> None:
        with Beside() as beside:
            beside.begin(lambda: None)
            beside.begin(fails)

    with pytest.raises(OSError, match="No space"):
        body()


@pytest.mark.parametrize("kind", [Cancelled, KeyboardInterrupt, OSError])
def test_work_stops_when_the_body_ends_early(kind: type[BaseException]) -> None:
    ended = threading.Event()
    begun = threading.Event()

    def works(beside: Beside) -> None:
        begun.set()
        try:
            while True:
                beside.check()
                beside._stopped.wait(LONG_S)
        finally:
            ended.set()

    def body() -> None:
        with Beside() as beside:
            beside.begin(lambda: works(beside))
            assert begun.wait(LONG_S)
            raise kind("early")

    with pytest.raises(kind, match="early"):
        body()
    assert ended.is_set()


def test_one_failure_stops_the_others() -> None:
    stopped = threading.Event()

    def waits(beside: Beside) -> None:
        beside._stopped.wait(LONG_S)
        stopped.set()
        beside.check()

    def fails() -> None:
        raise ValueError("first")

    def body() -> None:
        with Beside() as beside:
            beside.begin(lambda: waits(beside))
            beside.begin(fails)

    with pytest.raises(ValueError, match="first"):
        body()
    assert stopped.is_set()


def test_a_signal_while_others_work_ends_them_all() -> None:
    ended = []

    def works(beside: Beside) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        beside._stopped.wait(LONG_S)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt(), Beside() as beside:
        beside.begin(lambda: works(beside))
    assert ended == [True]
