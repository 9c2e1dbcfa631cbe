"""What tests of the report read: its words, cells and pages, and a small case's content."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.volume.dicom import DicomSource
from LiverLesionAILib.writing.report.content import Options, report_content
from support.case_factory import small_case

WHY = "too small to characterise; portal: core 61 HU (liver 104, vessels 162); border ill-defined (3.2 mm); "
WHY += "heterogeneous; 11 other lesions (score from 0.35), 3 of them alike"
SOURCE = DicomSource(
    (), patient_name="Secret^Person", patient_id="SECRET-1", study_date="20260131", kvp=120.0
)


class Page(HTMLParser):
    """The words of a page, its cells by row, and what it asks for from outside."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.outside: list[str] = []
        self.rows: list[list[str]] = []
        self._hidden = self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._hidden = tag == "style"
        values = dict(attrs)
        self.outside += [
            v for k, v in values.items() if k in ("src", "href") and not (v or "").startswith("data:")
        ]
        assert tag != "script"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        self._hidden = False
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)
            if self._in_cell:
                self.rows[-1][-1] += data.strip()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def pdf_text(data: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(data)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def content(language: str = "en", result: CaseResult | None = None, **options):
    return report_content(result or small_case()[1], SOURCE, Options(language, **options))
