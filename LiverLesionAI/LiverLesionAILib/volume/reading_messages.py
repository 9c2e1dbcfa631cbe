"""What is said on reading a CT and known again later: which of several scans was taken."""

from __future__ import annotations

from ..support.message import Kind, Message

ONE_OF_SEVERAL = Message(
    "Series {name} holds {n} scans, of which one was analysed: {name_now}. Check that it is the one you "
    "want.",
    Kind.LEADS,
)
"""A warning: nobody has named the scan."""

TAKEN = Message("Of {n} {what}, {name} was taken. {which}")
"""A note: which series, or scan of one, and what else there is."""
