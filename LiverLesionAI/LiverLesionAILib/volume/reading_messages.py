"""What is said on reading a CT and known again later: which of several scans was taken, of which phase."""

from __future__ import annotations

import re

from ..support.message import Kind, Message

ONE_OF_SEVERAL = Message(
    "Series {name} holds {n} scans, of which one was analysed: {name_now}. Check that it is the one you "
    "want.",
    Kind.LEADS,
)
"""A warning: nobody has named the scan."""

TAKEN = Message("Of {n} {what}, {name} was taken. {which}")
"""A note: which series, or scan of one, and what else there is."""

SECOND_PHASE, FURTHER_PHASE = "Second phase", "Further phase"
_OF_A_PHASE = re.compile(
    f"({SECOND_PHASE}|{FURTHER_PHASE}|Phase (?:unenhanced|arterial|portal|delayed)): (.+)", re.DOTALL
)


def of_phase(which: str, said: str) -> str:
    """What is said on reading a further phase, as it stands beside what is said of the CT.

    Args:
        which: `SECOND_PHASE`, `FURTHER_PHASE`, or "Phase portal".
    """
    return f"{which}: {said}"


def phase_and_said(said: str) -> tuple[str, str]:
    """The inverse of :func:`of_phase`; "" and the same sentence where it is said of the CT."""
    found = _OF_A_PHASE.fullmatch(said)
    return ("", said) if found is None else (found[1], found[2])
