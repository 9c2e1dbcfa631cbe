"""The liver's anatomy in the panel's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ...case.anatomy import POSSIBLE, SEGMENTS_IN_ORDER, CouinaudSegment, LesionAnatomy, widened_text

NOT_YET = "Not looked for yet."
DOUBTFUL = "A distance with a question mark is to a vessel that may be of the other tree."
COLUMNS = 4
NO_BREAK = "\N{NO-BREAK SPACE}"


def volumes_html(volumes_ml: Mapping[CouinaudSegment, float], messages: Sequence[str]) -> str:
    """The segments' volumes with their colours, and what cannot be said and why.

    Args:
        volumes_ml: of each segment that there is; empty where the liver could not be divided.
    """
    parts = []
    if volumes_ml:
        cells = [
            f'<td style="white-space:nowrap"><span style="color:{_hex(one.colour)}">■</span> {one.roman}</td>'
            f'<td align="right">{volumes_ml[one]:.0f}&nbsp;mL&nbsp;&nbsp;</td>'
            for one in SEGMENTS_IN_ORDER
            if one in volumes_ml
        ]
        rows = ["<tr>" + "".join(cells[k : k + COLUMNS]) + "</tr>" for k in range(0, len(cells), COLUMNS)]
        parts.append(f"<table>{''.join(rows)}</table>")
    parts += [escape(message) for message in messages]
    return "<br>".join(parts)


def _hex(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def place_lines(place: LesionAnatomy | None) -> list[str]:
    """Where a lesion lies, in lines of rich text; none where nobody asked, or nothing can be said."""
    if place is None:
        return []
    lines = []
    if place.reader_segments:
        computed = LesionAnatomy(place.shares).text
        said = f" (computed: {computed})" if computed else ""
        lines.append(f"Your segment: <b>{place.text}</b>{said}, {_hemiliver(place)}")
    elif place.text:
        lines.append(f"Segment <b>{place.text}</b>, {_hemiliver(place)}")
        if widened := widened_text(place.shares):
            lines.append(f"If the planes are off by as much as their landmarks are uncertain: {widened}")
    near = [
        f"{vessel.title} {contact.text.replace(' ', NO_BREAK)}"
        for vessel in POSSIBLE
        if (contact := place.contact(vessel))
    ]
    if near:
        lines.append("; ".join(near))
    if any(not contact.sure for contact in place.contacts):
        lines.append(DOUBTFUL)
    return lines


def _hemiliver(place: LesionAnatomy) -> str:
    return {"caudate": "caudate lobe"}.get(place.hemiliver, f"{place.hemiliver} hemiliver")
