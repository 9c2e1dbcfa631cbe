"""What is known of the selected lesion beyond its row: the model's and the reader's class, its source."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from html import escape

from ...case.classes import LesionClass
from ...case.enhancement import Enhancement
from ...case.findings import LesionSource, LesionStatus
from ...case.wording import reaches_an_end
from ...review.case_view import ListedLesion
from ...support.text import chance
from ...volume.geometry import Geometry
from ..anatomy.anatomy_text import place_lines
from ..links import link
from .bars import bars_html

TREATED_LINK = "treated"
"""Where the suggestion's link leads: the reader takes it."""
TREATED_MARK = "treated? "


def details_html(row: ListedLesion, geometry: Geometry | None = None) -> str:
    """Rich text for the panel; "" where there is nothing more to say.

    Args:
        geometry: the CT's grid, which says whether the scan cuts the lesion.
    """
    lines = []
    if row.at_gallbladder:
        lines.append(
            "<b>At the gallbladder</b>: it may be a part or a mass of its wall, or grow from one into the "
            "other."
        )
    if geometry is not None and reaches_an_end(row, geometry):
        lines.append("<b>Cut by the scan's end</b>: it may be larger than measured.")
    if row.box_only:
        edges = " × ".join(f"{edge:.0f}" for edge in row.box.size_xyz_mm)
        lines.append(f"Found by a box of {edges} mm, without an outline.")
    elif row.source is LesionSource.BOX:
        lines.append("Its outline is a proposal, grown inside a detector's box.")
    elif row.source is LesionSource.BOTH:
        lines.append("Found by mask and box.")
    if row.probability is not None:
        lines.append(f"Probability that it is a lesion: {escape(chance(row.probability))}")
    lines += place_lines(row.anatomy)
    if row.reader_class:
        lines.append(f"Your class: <b>{escape(row.reader_class)}</b>")
    if row.model_class:
        lines.append(f"Model's class: {_model_class(row)}")
        if row.class_reasons:
            lines += _reasons(row)
    text = "<br>".join(lines)
    if row.class_probabilities:
        shares = dict(sorted(row.class_probabilities.items(), key=lambda item: -item[1]))
        text += bars_html(shares, text=chance)
    return text + curves_html(row.enhancement)


def curves_html(one: Enhancement | None) -> str:
    """The lesion's density over the phases as a picture; "" with less than two phases."""
    if one is None or len(one.levels) < 2:
        return ""
    return _picture(one)


@lru_cache(maxsize=64)
def _picture(one: Enhancement) -> str:
    """Drawn once for a lesion, as its details are asked for with every click."""
    from ...pictures.canvas import png_bytes
    from ...pictures.enhancement_plot import HEIGHT, WIDTH, enhancement_plot

    picture = enhancement_plot(one)
    if picture is None:
        return ""
    data = b64encode(png_bytes(picture)).decode("ascii")
    size = f'width="{round(0.75 * WIDTH)}" height="{round(0.75 * HEIGHT)}"'
    return f'<br><img {size} src="data:image/png;base64,{data}">'


def _reasons(row: ListedLesion) -> list[str]:
    """The line of figures, and apart from it what speaks for a treated lesion, with a link to say so."""
    parts = row.class_reasons.split("; ")
    asked = [part for part in parts if part.startswith(TREATED_MARK)]
    lines = [escape("; ".join(part for part in parts if part not in asked))]
    for part in asked:
        if row.status is LesionStatus.TREATED:
            lines.append(f"Treated, as you say ({escape(part.removeprefix(TREATED_MARK))}).")
        else:
            why = escape(part.removeprefix(TREATED_MARK))
            lines.append(f"<b>Treated?</b> {why}. {link(TREATED_LINK, 'Mark as treated')}")
    return [line for line in lines if line]


def _model_class(row: ListedLesion) -> str:
    if LesionClass.of(row.model_class) is LesionClass.INDETERMINATE:
        # Of measured classes the line of figures says why.
        why = "" if row.class_reasons else ": unlike the classes it was trained on"
        return f"<b>indeterminate</b>{why}"
    probability = row.class_probabilities.get(row.model_class or "")
    said = "" if probability is None else f" ({escape(chance(probability))})"
    return f"<b>{escape(row.model_class or '')}</b>{said}"
