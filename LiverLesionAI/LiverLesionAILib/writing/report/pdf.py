"""The report as PDF, laid out by ReportLab: no browser and no system libraries."""

from __future__ import annotations

import importlib.util
import io
from functools import cache
from pathlib import Path
from typing import Any

from .content import Content
from .svg_drawing import svg_drawing
from .table import KeyImage
from .table import Table as Cells

_BLUE, _RED, _GREY = "#1d3a5f", "#8a1c1c", "#444444"
_WIDTHS_MM = (8, 37, 27, 21, 23, 18, 23, 29)
_PLACE_WIDTHS_MM = {7: (9, 45, 26, 28, 26, 26, 26), 8: (8, 33, 21, 28, 24, 24, 24, 24)}
"""By the number of columns: there is one more where a vessel's tree is not sure."""
_PAIR_WIDTHS_MM = {
    11: (9, 21, 29.5, 17, 17, 14, 13, 18, 18, 15, 14.5),
    12: (9, 19, 27.5, 15, 15, 13, 12, 16, 16, 13, 13, 17.5),
}
_FRAME_PT = 6.0
"""A frame's own padding, which the page's margins make up for."""


def report_pdf(content: Content) -> bytes:
    """The PDF's bytes; the same content gives the same bytes.

    Key images are as large as they can be without a further page.
    """
    made = [_laid_out(content, across) for across in (4, 5)]
    return min(made, key=lambda one: one[1])[0]


def _laid_out(content: Content, across: int) -> tuple[bytes, int]:
    """The PDF with this many key images in a row, and its pages."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=12 * mm - _FRAME_PT,
        rightMargin=12 * mm - _FRAME_PT,
        topMargin=12 * mm,
        bottomMargin=14 * mm,
        title=content.words("title"),
        author="LiverLesionAI",
        invariant=1,
        lang=content.words.code,
    )
    styles = _styles()
    story = [*_head(content, styles), *_facts(content, styles), *_table(content, styles)]
    story += [
        *_anatomy(content, styles),
        *_follow_up(content, styles),
        *_images(content, across, styles),
        *_end(content, styles),
    ]

    def page(canvas: Any, layout: Any) -> None:
        canvas.setFont(_fonts()[0], 7)
        canvas.setFillColor(_GREY)
        said = " - ".join(filter(None, (content.words("research"), content.draft)))
        canvas.drawString(12 * mm, 8 * mm, said)
        dated = f"{content.words('study_date')}: {content.study_date}"
        canvas.drawRightString(A4[0] - 12 * mm, 8 * mm, f"{dated}   {layout.page}")

    document.build(story, onFirstPage=page, onLaterPages=page)
    return buffer.getvalue(), int(document.page)


@cache
def _fonts() -> tuple[str, str]:
    """Regular and bold: DejaVu Sans where it is installed (names in most alphabets), else Helvetica."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    spec = importlib.util.find_spec("matplotlib")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(root) / "mpl-data" / "fonts" / "ttf"
        if (folder / "DejaVuSans-Bold.ttf").is_file():
            pdfmetrics.registerFont(TTFont("DejaVuSans", str(folder / "DejaVuSans.ttf")))
            pdfmetrics.registerFont(TTFont("DejaVuSans-Bold", str(folder / "DejaVuSans-Bold.ttf")))
            return "DejaVuSans", "DejaVuSans-Bold"
    return "Helvetica", "Helvetica-Bold"


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    regular, bold = _fonts()
    base = ParagraphStyle("base", fontName=regular, fontSize=8.5, leading=10.6)

    def like(name: str, **values: Any) -> Any:
        return ParagraphStyle(name, parent=base, **values)

    return {
        "base": base,
        "h1": like("h1", fontName=bold, fontSize=14, leading=17, textColor=_BLUE),
        "h2": like("h2", fontName=bold, fontSize=9.5, leading=12, textColor=_BLUE, spaceBefore=5),
        "leading": like("leading", fontName=bold, textColor=_RED, spaceAfter=2),
        "small": like("small", fontSize=7, leading=8.4, textColor=_GREY),
        "cell": like("cell", fontSize=8, leading=9.4),
        "below": like("below", fontSize=6.2, leading=7.2, textColor=_GREY),
        "head": like("head", fontName=bold, fontSize=7.5, leading=9),
        "banner": like(
            "banner",
            fontName=bold,
            textColor="white",
            backColor=_RED,
            borderPadding=3,
            leftIndent=3,
            rightIndent=3,
        ),
    }


def _text(said: str, style: Any) -> Any:
    from xml.sax.saxutils import escape

    from reportlab.platypus import Paragraph

    return Paragraph(escape(said), style)


def _cell(said: str, below: str, styles: dict[str, Any]) -> Any:
    """A table's cell, with what stands beneath it in small type."""
    return (
        [_text(said, styles["cell"]), _text(below, styles["below"])] if below else _text(said, styles["cell"])
    )


def _pairs(pairs: tuple[tuple[str, str], ...], styles: dict[str, Any]) -> list[Any]:
    from xml.sax.saxutils import escape

    from reportlab.platypus import Paragraph

    return [
        Paragraph(f'<font color="{_GREY}">{escape(k)}:</font> {escape(v)}', styles["base"]) for k, v in pairs
    ]


def _head(content: Content, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Spacer, Table, TableStyle

    words = content.words
    left = [
        _text(words("title"), styles["h1"]),
        _text(words("research"), styles["base"]),
        _text(f"{words('study_date')}: {content.study_date}", styles["base"]),
    ]
    right = _pairs(content.patient, styles) or [_text(words("sticker"), styles["small"])]
    table = Table([[left, right]], colWidths=[116 * mm, 70 * mm], rowHeights=[22 * mm])
    dash = None if content.patient else (2, 2)
    table.setStyle(
        TableStyle(
            [
                ("BOX", (1, 0), (1, 0), 0.6, _GREY, None, dash),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (0, 0), 0),
            ]
        )
    )
    story: list[Any] = [table, Spacer(1, 2 * mm)]
    if content.draft:
        story += [_text(content.draft, styles["banner"]), Spacer(1, 1.5 * mm)]
    return story + [_text(said, styles["leading"]) for said in content.leading]


def _facts(content: Content, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    words = content.words
    left = [_text(words("technique"), styles["h2"]), *_pairs(content.technique, styles)]
    right = [_text(words("liver"), styles["h2"]), *_pairs(content.liver, styles)]
    table = Table([[left, right]], colWidths=[93 * mm, 93 * mm])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    return [table]


def _table(content: Content, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    story = [_text(content.words("findings"), styles["h2"])]
    if not content.rows:
        return [*story, _text(content.summary, styles["base"])]
    body: list[list[Any]] = []
    lines: list[tuple[Any, ...]] = []
    for row in content.rows:
        cells = (str(row.number), row.cls, row.axes, row.volume, row.density, row.slice)
        below = {2: row.axes_interval, 3: row.volume_interval}
        body.append(
            [_cell(c, below.get(k, ""), styles) for k, c in enumerate((*cells, row.score, row.decision))]
        )
        if more := ". ".join(filter(None, (row.reasons, row.note))):
            # Over the whole width in a line of their own.
            body.append(["", _text(more, styles["small"]), *[""] * (len(_WIDTHS_MM) - 2)])
            at = len(body)
            lines += [("SPAN", (1, at), (-1, at)), ("NOSPLIT", (0, at - 1), (-1, at))]
        lines.append(("LINEBELOW", (0, len(body)), (-1, len(body)), 0.3, "#bbbbbb"))
    table = Table(
        [[_text(h, styles["head"]) for h in content.headings], *body],
        colWidths=[w * mm for w in _WIDTHS_MM],
        repeatRows=1,
    )
    table.setStyle(
        TableStyle([
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, _BLUE),
            *lines,
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
        ])
    )  # fmt: skip
    return [*story, table]


def _begun(heading: str, styles: dict[str, Any]) -> list[Any]:
    """A section's heading, on a page that has room for its beginning too."""
    from reportlab.lib.units import mm
    from reportlab.platypus import CondPageBreak

    return [CondPageBreak(BEGINNING_MM * mm), _text(heading, styles["h2"])]


BEGINNING_MM = 32
"""Heading, a line or two, and a table's headings with its first row."""


def _anatomy(content: Content, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    said, words = content.anatomy, content.words
    if said is None:
        return []
    story = _begun(words("anatomy"), styles)
    if said.places is not None:
        story.append(_cells(said.places, _PLACE_WIDTHS_MM[len(said.places.headings)], styles))
    text = _pairs(said.facts, styles)
    # Where segments are there, what is said of them leaves nothing blank.
    label = "" if said.facts else f"{words('an.blank')}: "
    text += [_text(f"{label}{one}", styles["base"]) for one in said.blank]
    text += [_text(one, styles["small"]) for one in said.notes]
    if said.remnant is not None:
        text += [_text(words("rem"), styles["h2"]), *_pairs(said.remnant.facts, styles)]
        text += [_text(one, styles["small"]) for one in said.remnant.warnings]
    if not said.pictures:
        return [*story, *text]
    pictures = [
        part for i in said.pictures for part in (_picture(i, 68 * mm), _text(i.caption, styles["small"]))
    ]
    table = Table([[text, pictures]], colWidths=[114 * mm, 72 * mm])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0)]))
    return [*story, table]


def _follow_up(content: Content, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm

    told = content.follow_up
    if told is None:
        return []
    facts = "; ".join(f"{k}: {v}" for k, v in told.facts)
    story = [*_begun(content.words("follow_up"), styles), _text(facts, styles["base"])]
    if told.failed:
        story.append(_text(told.failed, styles["banner"]))
    if told.pairs is not None:
        story.append(_cells(told.pairs, _PAIR_WIDTHS_MM[len(told.pairs.headings)], styles))
    if told.over_time is not None:
        story.append(_text(told.over_time.caption, styles["head"]))
        count = len(told.over_time.headings)
        story.append(_cells(told.over_time, (186 / count,) * count, styles))
    if told.response:
        story.append(_text(told.response, styles["head"]))
    story += [_text(said, styles["small"]) for said in (*told.statements, *told.warnings)]
    if told.plot:
        story.append(svg_drawing(told.plot, 110 * mm, _fonts()))
        story.append(_text(told.plot_caption, styles["small"]))
    return story


def _cells(table: Cells, widths_mm: tuple[float, ...], styles: dict[str, Any]) -> Any:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    made = Table(
        [
            [_text(h, styles["head"]) for h in table.headings],
            *(
                [_cell(cell, table.below(at, k), styles) for k, cell in enumerate(row)]
                for at, row in enumerate(table.rows)
            ),
        ],
        # One width a column: a column without one makes a table that is wider than the page.
        colWidths=[w * mm for w, _ in zip(widths_mm, table.headings, strict=True)],
        repeatRows=1,
    )
    made.setStyle(
        TableStyle([
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, _BLUE),
            ("LINEBELOW", (0, 1), (-1, -1), 0.3, "#bbbbbb"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("LEFTPADDING", (1, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ])
    )  # fmt: skip
    return made


def _images(content: Content, across: int, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    shown = [*content.key_images, *([content.overview] if content.overview else [])]
    if not shown:
        return []
    width = sum(_WIDTHS_MM) / across
    cells = [[_picture(i, (width - 2.5) * mm), _text(i.caption, styles["small"])] for i in shown]
    rows = [cells[k : k + across] for k in range(0, len(cells), across)]
    rows[-1] += [""] * (across - len(rows[-1]))
    table = Table(rows, colWidths=[width * mm] * across)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    heading = _text(content.words("key_images"), styles["h2"])
    heading.keepWithNext = 1
    return [heading, table]


def _picture(image: KeyImage, width: float) -> Any:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    wide, high = ImageReader(io.BytesIO(image.data)).getSize()
    return Image(io.BytesIO(image.data), width=width, height=width * high / wide)


def _end(content: Content, styles: dict[str, Any]) -> list[Any]:
    """What the reader fills in, changes, warnings, small print: on one page, so that none stands alone."""
    from reportlab.platypus import KeepTogether

    words = content.words
    blank = "." * 60
    story = [_text(words("for_reader"), styles["h2"])]
    story += _pairs(tuple((words(k), blank) for k in ("spleen", "cirrhosis", "conclusion")), styles)
    story.append(_text(words("changes"), styles["h2"]))
    story += [_text(s, styles["base"]) for s in content.changes or (words("none"),)]
    if content.remarks:
        story.append(_text(words("warnings"), styles["h2"]))
        story += [_text(s, styles["small"]) for s in content.remarks]
    story.append(_text("; ".join(f"{k}: {v}" for k, v in content.small_print), styles["small"]))
    return [KeepTogether(story)]
