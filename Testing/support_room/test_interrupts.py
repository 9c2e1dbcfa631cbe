"""Signals: one exception for all of them, held back where asked, handlers as before afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from LiverLesionAILib.support.interrupts import SIGNALS, as_keyboard_interrupt, held_back

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"


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
def test_held_back_until_the_body_have_ended(number: signal.Signals) -> None:
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


FROM_C = """
import ctypes, signal, sys
from LiverLesionAILib.support.interrupts import as_keyboard_interrupt
run = ctypes.pythonapi.PyRun_StringFlags
run.restype = ctypes.py_object
run.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_void_p]
names = {"signal": signal, "__builtins__": __builtins__}
try:
    with as_keyboard_interrupt():
        run(b"signal.raise_signal(signal.SIGTERM)\\n[None for _ in range(9)]", 257, names, names, None)
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(1)
"""


def test_heard_in_code_that_a_library_runs_from_c_the_exit_status_stays(tmp_path: Path) -> None:
    """Python itself would end by SIGINT (-2) afterwards: seen once in a hundred kills, during an import."""
    (tmp_path / "from_c.py").write_text(FROM_C, encoding="utf-8")
    path = os.pathsep.join((str(tmp_path), str(LIBRARY), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "from_c"], env={**os.environ, "PYTHONPATH": path}, timeout=600
    )
    assert done.returncode == 130
