"""Links in the panel's texts, in a colour that is read on a light and on a dark window."""

from __future__ import annotations

from html import escape

LINK_COLOUR = "#2a82da"
"""Qt's own is a blue that a dark window swallows, unless its style says otherwise."""


def link(target: str, text: str) -> str:
    """A link as rich text.

    Args:
        target: what is told when it is clicked; text: as it is read, rich text already.
    """
    return f'<a href="{escape(target)}" style="color: {LINK_COLOUR}">{text}</a>'
