"""Small bar lists, and the strip of slices with their classes, as rich text for labels of the panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

from ...case.colours import class_colour
from ...stages.explain.names import read_label
from ...support.text import chance

BAR_PX = 140
BAR_COLOUR = "#4a90a4"
STRIP_PX = 320


def bars_html(
    values: Mapping[str, float], full: float = 1.0, text: Callable[[float], str] = "{:.2f}".format
) -> str:
    """A bar for each value, in the order given; one of `full` or more fills its place."""
    lines = []
    for name, value in values.items():
        width = max(1, round(BAR_PX * min(1.0, max(0.0, value / full))))
        lines.append(
            f"<tr><td>{escape(name)}&nbsp;</td>"
            f'<td><table cellspacing="0" cellpadding="0"><tr><td width="{width}" bgcolor="{BAR_COLOUR}">'
            f'&nbsp;</td><td width="{BAR_PX - width}"></td></tr></table></td>'
            f'<td align="right">&nbsp;{escape(text(value))}</td></tr>'
        )
    return f'<table cellspacing="1" cellpadding="0">{"".join(lines)}</table>'


def strip_html(slices: Mapping[str, float]) -> str:
    """Slices in a row, feet first, in their classes' colours, the paler the less sure; then the classes.

    Args:
        slices: labels of :func:`~...stages.explain.names.slice_label` -> probability, feet first.
    """
    width = max(2, STRIP_PX // max(1, len(slices)))
    cells, of_class = [], {}
    for label, share in slices.items():
        height, name = read_label(label)
        cells.append(f'<td width="{width}" bgcolor="{_mixed(name, share)}">&nbsp;</td>')
        of_class.setdefault(name, []).append((height, share))
    lines = []
    for name, found in sorted(of_class.items(), key=lambda item: -len(item[1])):
        heights, shares = zip(*found, strict=True)
        lines.append(
            f'<tr><td width="12" bgcolor="{_mixed(name, 1.0)}">&nbsp;</td><td>&nbsp;<b>{escape(name)}</b>: '
            f"{len(found)} slices between S {min(heights):.0f} and {max(heights):.0f} mm, "
            f"probability {escape(chance(min(shares)))} to {escape(chance(max(shares)))}</td></tr>"
        )
    strip = f'<table cellspacing="0" cellpadding="0"><tr>{"".join(cells)}</tr></table>'
    ends = "Slices of the liver from feet (left) to head, each by its class, the paler the less sure:"
    return f'{ends}{strip}<table cellspacing="1" cellpadding="0">{"".join(lines)}</table>'


def _mixed(name: str, share: float) -> str:
    parts = (255 * (1 - (1 - c) * max(0.15, min(1.0, share))) for c in class_colour(name))
    return "#" + "".join(f"{round(part):02x}" for part in parts)
