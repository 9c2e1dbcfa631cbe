"""The progress of a command: a bar in a terminal, lines in a log, JSON lines for another program."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Protocol, TextIO

PROGRESS_VERSION = 1
"""Of the JSON lines; a version may gain fields, none goes or changes its meaning."""


class CommandProgress(Protocol):
    """What a command reports to: called with (stage, fraction 0..1, seconds left or None)."""

    def __call__(self, stage: str, fraction: float, left_s: float | None) -> None:
        """Report where the work is."""

    def event(self, name: str, **fields: Any) -> None:
        """Report what happened: a case ended, the command ended."""

    def done(self) -> None:
        """The work is over."""


class ProgressBar:
    """One line that is redrawn: bar, per cent, time left, stage.

    Silent where nobody watches (no terminal).
    """

    def __init__(self, stream: TextIO | None = None, width: int = 28) -> None:
        self.stream, self.width = stream or sys.stderr, width
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())
        self._last_s = 0.0
        self._stage = ""

    def __call__(self, stage: str, fraction: float, left_s: float | None) -> None:
        now_s = time.monotonic()
        if not self.live:
            # A log gets a line per stage instead of a redrawn one.
            if stage != self._stage:
                print(f"{100 * fraction:3.0f} %  {stage}", file=self.stream, flush=True)
                self._stage = stage
            return
        if now_s - self._last_s < 0.1 and fraction < 1:
            return
        self._last_s = now_s
        filled = round(self.width * fraction)
        left = "" if left_s is None else f"  {left_s:.0f} s left"
        text = f"[{'#' * filled}{'.' * (self.width - filled)}] {100 * fraction:3.0f} %{left}  {stage}"
        self.stream.write("\r\033[K" + text[:110])
        self.stream.flush()

    def event(self, name: str, **fields: Any) -> None:
        """What happened is printed by the command itself."""

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()


class JsonLines:
    """A JSON object a line on standard error, for a program that starts the command.

    Every line has ``v``, ``event`` and ``time_s`` (since the command began). ``progress``: ``stage``,
    ``fraction`` 0..1, ``seconds_left`` or null; at most ten a second, and every change of stage. ``case`` (of
    `batch`): the cells of its line in the summary. The last line is ``done`` or ``failed``, with
    ``exit_code``; ``failed`` also has ``error`` and ``message``.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._start_s = time.monotonic()
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, fraction: float, left_s: float | None) -> None:
        now_s = time.monotonic()
        if stage == self._last[0] and now_s - self._last[1] < 0.1 and fraction < 1:
            return
        self._last = (stage, now_s)
        left = None if left_s is None else round(left_s, 1)
        self.event("progress", stage=stage, fraction=round(fraction, 4), seconds_left=left)

    def event(self, name: str, **fields: Any) -> None:
        """One line."""
        line = {"v": PROGRESS_VERSION, "event": name, "time_s": round(time.monotonic() - self._start_s, 3)}
        # ASCII only, one write: readable whatever the encoding, and never mixed with another line.
        self.stream.write(json.dumps({**line, **fields}) + "\n")
        self.stream.flush()

    def done(self) -> None:
        """The last line is the command's."""


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    """`--progress`."""
    parser.add_argument(
        "--progress",
        choices=["bar", "json"],
        default="bar",
        help="bar: for people (default); json: JSON lines on standard error, for programs",
    )


def progress_of(args: argparse.Namespace) -> CommandProgress:
    """What the command's options ask for; the same object however often it is asked."""
    if getattr(args, "progress", "bar") != "json":
        return ProgressBar()
    if not hasattr(args, "json_lines"):
        args.json_lines = JsonLines()
    return args.json_lines
