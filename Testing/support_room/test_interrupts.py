"""Signals: one exception for all of them, held back where asked, handlers as before afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
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


IN_AN_IMPORT = """
import ctypes, importlib._bootstrap as bootstrap, pathlib, sys, threading, time
from LiverLesionAILib.support.interrupts import as_keyboard_interrupt

# When a module's lock is dropped, Python calls back into its import system, which looks that lock up between
# taking the lock of all imports and giving it back. The look-up is replaced by C code that asks for SIGINT:
# the handler runs there, and the innermost frame is Python's own.
class Locks(dict):
    get = ctypes.pythonapi.PyErr_SetInterrupt

pathlib.Path(sys.argv[1], "fresh_module.py").write_text("x = 1")
sys.path.insert(0, sys.argv[1])
usual = bootstrap._module_locks
try:
    with as_keyboard_interrupt():
        bootstrap._module_locks = Locks(usual)
        import fresh_module
        bootstrap._module_locks = usual
        time.sleep(60)
except KeyboardInterrupt:
    bootstrap._module_locks = usual
    print("heard", flush=True)
other = threading.Thread(target=__import__, args=("colorsys",), daemon=True)
other.start()
other.join(60)
print("imports go on:", not other.is_alive(), flush=True)
"""


def test_in_the_middle_of_an_import_it_is_heard_and_imports_go_on(tmp_path: Path) -> None:
    """Raised there, the exception was swallowed with the lock of all imports taken: Ctrl+C hung for ever."""
    (tmp_path / "in_an_import.py").write_text(IN_AN_IMPORT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "in_an_import.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout.splitlines() == ["heard", "imports go on: True"], done.stderr


def test_put_off_past_the_end_of_the_body_it_hits_nobody(monkeypatch) -> None:
    sent = []
    monkeypatch.setattr("LiverLesionAILib.support.interrupts.AGAIN_S", 0.05)
    monkeypatch.setattr(signal, "pthread_kill", lambda *what: sent.append(what), raising=False)
    monkeypatch.setattr("LiverLesionAILib.support.interrupts._inside_of_an_import", lambda frame: True)
    with as_keyboard_interrupt():
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.3)
    assert sent == []
