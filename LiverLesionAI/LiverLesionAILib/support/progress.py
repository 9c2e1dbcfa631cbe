"""Progress of long work: stage, fraction, time left, and the wish to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .errors import Cancelled


class Progress(Protocol):
    """Called often by long work; raises :class:`~LiverLesionAILib.support.errors.Cancelled` to stop it."""

    def __call__(self, stage: str, fraction: float) -> None:
        """Report that `fraction` (0..1) of the whole work is done and `stage` is under way."""


def silent(stage: str, fraction: float) -> None:
    """A progress that tells nobody."""


@dataclass
class TimedProgress:
    """Forwards progress with an estimate of the seconds left; `cancelled()` true stops the work.

    Attributes:
        report: called as report(stage, fraction, seconds_left or None).
        cancelled: asked at every call.
        clock: seconds, monotonic; replaced in tests.
    """

    report: Callable[[str, float, float | None], None]
    cancelled: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    _start_s: float | None = field(default=None, repr=False)

    def __call__(self, stage: str, fraction: float) -> None:
        if self.cancelled():
            raise Cancelled("Cancelled; nothing was kept.")
        now_s = self.clock()
        if self._start_s is None:
            self._start_s = now_s
        fraction = min(max(fraction, 0.0), 1.0)
        elapsed_s = now_s - self._start_s
        left_s = elapsed_s * (1.0 - fraction) / fraction if fraction > 0.02 and elapsed_s > 0.5 else None
        self.report(stage, fraction, left_s)


def part(progress: Progress, start: float, end: float) -> Progress:
    """A progress for one part of the work: its 0..1 is `start`..`end` of `progress`."""

    def scaled(stage: str, fraction: float) -> None:
        progress(stage, start + (end - start) * min(max(fraction, 0.0), 1.0))

    return scaled
