"""Signals: one exception for all of them, held back where asked, handlers as before afterwards."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from LiverLesionAILib.support.interrupts import SIGNALS, as_keyboard_interrupt, held_back


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_held_back_until_the_body_has_ended(number: signal.Signals) -> None:
    done = []

    def work() -> None:
        with held_back():
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGINT)
            done.append("the rest")
        done.append("not reached")

    with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt():
        work()
    assert done == ["the rest"]


def test_an_error_in_a_held_body_comes_first() -> None:
    def work() -> None:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            raise OSError("full")

    with pytest.raises(OSError, match="full"), as_keyboard_interrupt():
        work()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_what_is_ignored_stays_ignored() -> None:
    """`nohup liverlesionai batch ...` goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with as_keyboard_interrupt(), held_back():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_run_as_they_are() -> None:
    seen = []

    def run() -> None:
        with as_keyboard_interrupt(), held_back():
            seen.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [True]
