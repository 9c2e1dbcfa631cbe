"""The progress of a command, in a terminal or a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class ProgressBar:
    """One line that is redrawn: bar, per cent, time left, stage.

    Silent where nobody watches (no terminal).
    """

    def __init__(self, stream: TextIO = sys.stderr, width: int = 28) -> None:
        self.stream, self.width = stream, width
        self.live = bool(getattr(stream, "isatty", lambda: False)())
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

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()
