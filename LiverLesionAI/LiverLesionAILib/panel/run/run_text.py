"""Sentences of the run: progress, time left, how a case ended."""

from __future__ import annotations

from collections.abc import Sequence

from ...case.wording import lesions_text, percent_text
from ...support.text import begun


def time_left(seconds: float | None) -> str:
    """ "about 40 s left", in steps that do not flicker; "" when unknown."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 60:
        return f"about {5 * round(seconds / 5)} s left"
    if seconds < 570:
        return f"about {round(seconds / 30) / 2:g} min left"
    return f"about {round(seconds / 60)} min left"


def stage_line(case: str, stage: str, fraction: float, left_s: float | None, waiting: int) -> str:
    """The line under the progress bar."""
    parts = [f"{case}: {begun(stage)}", f"{100 * fraction:.0f} %"]
    if left := time_left(left_s):
        parts.append(left)
    if waiting:
        parts.append(f"{waiting} more waiting")
    return " · ".join(parts)


def findings_line(lesions: int, liver_ml: float, burden_percent: float) -> str:
    """The headline of the findings."""
    share = f", {percent_text(burden_percent)} of it" if lesions else ""
    return f"Liver {liver_ml:.0f} mL, {lesions_text(lesions)}{share}."


def done_line(lesions: int, notes: Sequence[str], messages: Sequence[str]) -> str:
    """What is said when a result has come: what was kept, and the notes only where no lesion stands below."""
    if lesions:
        return " ".join(messages)
    return " ".join((*notes, *messages)) or "Done."
