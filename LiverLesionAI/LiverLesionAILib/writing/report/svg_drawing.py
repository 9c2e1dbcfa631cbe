"""Our own plots, which are plain SVG, as drawings of a PDF: text stays text and lines stay sharp."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any

from ...support.errors import InputError

_NS = "{http://www.w3.org/2000/svg}"


def svg_drawing(svg: str, width: float, fonts: tuple[str, str]) -> Any:
    """A ReportLab drawing.

    Args:
        svg: lines, polylines, rectangles, circles and text without transforms or styles.
        width: in points; the height follows.
        fonts: regular and bold.

    Raises:
        InputError: it holds something else.
    """
    from reportlab.graphics.shapes import Drawing, Group

    root = ET.fromstring(svg)
    wide, high = (float(value) for value in root.get("viewBox", "").split()[2:])
    scale = width / wide
    group = Group(transform=(scale, 0, 0, scale, 0, 0))
    for node in root:
        name = node.tag.removeprefix(_NS)
        if name == "title":
            continue
        if name not in _SHAPES:
            raise InputError(f"a plot holds {name}, which cannot be drawn in a PDF")
        group.add(_SHAPES[name](node.attrib, node.text or "", high, fonts))
    drawing = Drawing(width, high * scale)
    drawing.add(group)
    return drawing


Attributes = Mapping[str, str]


def _line(a: Attributes, _text: str, high: float, _fonts: tuple[str, str]) -> Any:
    from reportlab.graphics.shapes import Line

    dash = [float(v) for v in a["stroke-dasharray"].split()] if "stroke-dasharray" in a else None
    ends = float(a["x1"]), high - float(a["y1"]), float(a["x2"]), high - float(a["y2"])
    return Line(*ends, strokeColor=_colour(a["stroke"]), strokeWidth=1, strokeDashArray=dash)


def _polyline(a: Attributes, _text: str, high: float, _fonts: tuple[str, str]) -> Any:
    from reportlab.graphics.shapes import PolyLine

    points = [tuple(map(float, point.split(","))) for point in a["points"].split()]
    flat = [v for x, y in points for v in (x, high - y)]
    return PolyLine(flat, strokeColor=_colour(a["stroke"]), strokeWidth=float(a["stroke-width"]))


def _rect(a: Attributes, _text: str, high: float, _fonts: tuple[str, str]) -> Any:
    from reportlab.graphics.shapes import Rect

    x, y, w, h = (float(a.get(name, 0)) for name in ("x", "y", "width", "height"))
    return Rect(x, high - y - h, w, h, fillColor=_colour(a["fill"]), strokeColor=None)


def _circle(a: Attributes, _text: str, high: float, _fonts: tuple[str, str]) -> Any:
    from reportlab.graphics.shapes import Circle

    x, y, r = float(a["cx"]), float(a["cy"]), float(a["r"])
    return Circle(x, high - y, r, fillColor=_colour(a["fill"]), strokeColor=None)


def _words(a: Attributes, text: str, high: float, fonts: tuple[str, str]) -> Any:
    from reportlab.graphics.shapes import Rect, String
    from reportlab.pdfbase.pdfmetrics import stringWidth

    font, size = fonts[a.get("font-weight") == "bold"], float(a["font-size"])
    x, y, anchor = float(a["x"]), high - float(a["y"]), a.get("text-anchor", "start")
    if "stroke" in a:
        # The same words in thick white, below the ones to read: text of a PDF has no outline, so a patch.
        wide = stringWidth(text, font, size)
        left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * wide
        return Rect(left, y - 0.2 * size, wide, size, fillColor=_colour(a["stroke"]), strokeColor=None)
    return String(x, y, text, fontName=font, fontSize=size, textAnchor=anchor, fillColor=_colour(a["fill"]))


_SHAPES: Mapping[str, Callable[[Attributes, str, float, tuple[str, str]], Any]] = {
    "line": _line,
    "polyline": _polyline,
    "rect": _rect,
    "circle": _circle,
    "text": _words,
}


def _colour(text: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(text)
