"""Windows and macOS: nothing that only POSIX has without its twin, read from the sources and simulated."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from LiverLesionAILib.support import files

PACKAGES = Path(__file__).resolve().parents[2] / "LiverLesionAI"
SOURCES = sorted((PACKAGES / "LiverLesionAILib").rglob("*.py"))
LAB_SOURCES = sorted((PACKAGES / "LiverLesionAILab").rglob("*.py"))

POSIX_OS = """
    chown chroot fork forkpty getegid geteuid getgid getgroups getpgid getpgrp getuid initgroups killpg mkfifo
    mknod nice openpty pathconf sched_getaffinity sched_setaffinity setpgid setsid setuid statvfs sysconf
    ttyname uname wait3 wait4 waitid
"""
POSIX_SIGNAL = "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGPIPE SIGALRM SIGCHLD SIGSTOP SIGCONT alarm"
POSIX_NAMES = {"os": set(POSIX_OS.split()), "signal": set(POSIX_SIGNAL.split())}
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "syslog"}
GUARDS = ("hasattr(", "getattr(", "sys.platform", "os.name", "ImportError", "AttributeError")
"""One of these has to stand in the same function."""


def uses(path: Path) -> Iterator[tuple[str, int, str]]:
    """(what, line, source of the function round it) of everything that only POSIX has."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in POSIX_NAMES.get(node.value.id, ()):
                found = [f"{node.value.id}.{node.attr}"]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name in POSIX_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            found = [node.module]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [node.value] if node.value.startswith(("/dev/", "/proc/", "/sys/", "/tmp")) else []
        for what in found:
            inside = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
            yield what, node.lineno, ast.get_source_segment(text, inside[-1]) or "" if inside else ""


GUARDED = {
    # Each returns before it gets there on Windows, or falls back where the file is missing.
    ("computer.py", "/proc/meminfo"),
    ("computer.py", "/sys/fs/cgroup/memory.max"),
    ("computer.py", "/sys/fs/cgroup/memory.current"),
    ("computer.py", "/dev/nvidia0"),
    ("computer.py", "/proc/driver/nvidia/version"),
}


def test_what_only_posix_has_stands_behind_a_question() -> None:
    wrong = [
        f"{path.relative_to(PACKAGES)}:{line} {what}"
        for path in SOURCES
        for what, line, function in uses(path)
        if not any(guard in function for guard in GUARDS) and (path.name, what) not in GUARDED
    ]
    assert wrong == []


def test_processes_are_spawned() -> None:
    """Windows cannot fork, and macOS must not."""
    wrong = []
    for path in (*SOURCES, *LAB_SOURCES):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node)
            if "get_context" in ast.unparse(node.func) and "spawn" not in call:
                wrong.append(f"{path.name}:{node.lineno} {call}")
            if ast.unparse(node.func).endswith("ProcessPoolExecutor") and "mp_context" not in call:
                wrong.append(f"{path.name}:{node.lineno} {call}")
            if ast.unparse(node.func) in ("multiprocessing.Process", "multiprocessing.Pool", "os.fork"):
                wrong.append(f"{path.name}:{node.lineno} {call}")
    assert wrong == []


def test_text_files_have_an_encoding() -> None:
    """Windows would read and write its own code page."""
    wrong = []
    for path in (*SOURCES, *LAB_SOURCES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            keywords = {word.arg for word in node.keywords}
            if name == "read_text" and not node.args and "encoding" not in keywords:
                wrong.append(f"{path.relative_to(PACKAGES)}:{node.lineno}")
            if name == "open" and isinstance(node.func, ast.Name) and "encoding" not in keywords:
                modes = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant)]
                if not modes or "b" not in str(modes[0]):
                    wrong.append(f"{path.relative_to(PACKAGES)}:{node.lineno}")
    assert wrong == []


WITHOUT_POSIX = f"""
import importlib.abc, os, signal, sys
# Other people's libraries know on which system they are; it is ours that are looked at.
import numpy, pydicom, scipy.ndimage, SimpleITK, subprocess, tempfile
for name in {sorted(POSIX_NAMES["os"] - {"sysconf"})!r}:
    if hasattr(os, name):
        delattr(os, name)
for name in {sorted(POSIX_NAMES["signal"])!r}:
    if hasattr(signal, name):
        delattr(signal, name)

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {sorted(POSIX_MODULES - {"fcntl"})!r}:
            raise ModuleNotFoundError(f"No module named {{name}}", name=name)

sys.meta_path.insert(0, Missing())
for name in {sorted(POSIX_MODULES - {"fcntl"})!r}:
    sys.modules.pop(name, None)

from pathlib import Path
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.support.limited_child import LimitedChild
from LiverLesionAILib.models.computer import host_memory_gb
from LiverLesionAILib.writing.case_folder import write_case_folder

host_memory_gb()
assert main(["rules", "--json"]) == 0
print("WELL")
"""


def test_the_product_loads_where_posix_is_missing() -> None:
    """As Windows has it: no fork, nice, killpg, sysconf, SIGKILL, SIGHUP; no resource, pwd, termios."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("WELL")


def test_a_path_that_is_too_long_for_windows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = FileNotFoundError(errno.ENOENT, "The system cannot find the path specified")
    path = Path("C:/") / ("x" * 100) / ("y" * 150)
    assert "characters long" not in str(files.output_error(path, error))
    monkeypatch.setattr(files.sys, "platform", "win32")
    said = str(files.output_error(path, error))
    assert "characters long" in said
    assert "shorter name" in said
    assert "characters long" not in str(files.output_error(Path("C:/case"), error))
