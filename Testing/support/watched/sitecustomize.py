"""On the path of a process and of those that it starts: notes sockets, and files that are made, in $WATCHED.

A line an event: its name and what Python's audit hook says of it. At the end of the process a line for every
socket among its open files, so that one that no Python code opened is seen too.
"""

from __future__ import annotations

import atexit
import os
import sys

MADE = {"os.mkdir", "os.rename", "os.link", "os.symlink", "tempfile.mkstemp", "tempfile.mkdtemp"}
_LOG = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _note(event: str, arguments: object) -> None:
    os.write(_LOG, f"{event} {arguments!r}\n".encode("utf-8", "backslashreplace"))


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith("socket.") or event in MADE:
        _note(event, arguments)
    elif event == "open" and (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
        _note(event, arguments[:1])


def _left() -> None:
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            _note("open socket", target)


_note("process", sys.orig_argv)
sys.addaudithook(_heard)
atexit.register(_left)
