"""A small bar list as rich text, for a label of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

BAR_PX = 140
BAR_COLOUR = "#4a90a4"


def bars_html(values: Mapping[str, float], full: float = 1.0) -> str:
    """A bar for each value, in the order given; one of `full` or more fills its place."""
    lines = []
    for name, value in values.items():
        width = max(1, round(BAR_PX * min(1.0, max(0.0, value / full))))
        lines.append(
            f"<tr><td>{escape(name)}&nbsp;</td>"
            f'<td><table cellspacing="0" cellpadding="0"><tr><td width="{width}" bgcolor="{BAR_COLOUR}">'
            f'&nbsp;</td><td width="{BAR_PX - width}"></td></tr></table></td>'
            f'<td align="right">&nbsp;{value:.2f}</td></tr>'
        )
    return f'<table cellspacing="1" cellpadding="0">{"".join(lines)}</table>'
