"""The report as one HTML file and as plain text, by templates that a hospital may replace with its own."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from ...support.errors import InputError
from ...support.text import begun
from .content import Content

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parents[2] / "data" / "Report"
MISSING = (
    'The attention page needs jinja2 (pip install "liverlesionai[report]"). Everything else works without.'
)


def report_html(content: Content) -> str:
    """The page: no script, nothing outside of it."""
    template = _environment(TEMPLATES, html=True).get_template("report.html.j2")
    return template.render(
        c=content, w=content.words, lang=content.words.code, data_uri=_data_uri, svg_uri=_svg_uri
    )


def check_template_engine() -> None:
    """Find out before the work whether the page can be written.

    Raises:
        InputError: jinja2 is not installed.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise InputError(MISSING) from error


def page_html(name: str, **content: object) -> str:
    """Another page of one file, by its template in ``data/Attention``."""
    template = _environment(TEMPLATES.parent / "Attention", html=True).get_template(name)
    return template.render(data_uri=_data_uri, begun=begun, **content)


def report_text(content: Content, template: Path | None = None) -> str:
    """Plain text for the reporting system; `template` is the hospital's own, in Jinja2's form.

    Raises:
        InputError: the template cannot be read or has a fault; the message says where.
    """
    from jinja2 import TemplateError

    path = template or TEMPLATES / "report.txt.j2"
    try:
        environment = _environment(path.parent, html=False)
        return environment.get_template(path.name).render(c=content, w=content.words, zip=zip)
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        place = f", line {error.lineno}" if getattr(error, "lineno", None) else ""  # type: ignore[union-attr]
        raise InputError(f"{path}{place}: the report's template cannot be used: {error}.") from error


def _environment(folder: Path, *, html: bool) -> Environment:
    # A template is a hospital's own file, but it must not run code: sandboxed.
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(str(folder)),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _data_uri(png: bytes) -> str:
    kind = "png" if png.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(png).decode('ascii')}"


def _svg_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"
