"""Where a PDF's pages end: no section's heading stands alone at the bottom of one."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from LiverLesionAILib.writing.report.content import Content, Options, report_content
from LiverLesionAILib.writing.report.pdf import report_pdf
from support.case_factory import small_case
from writing.test_report_follow_up import course_of


@pytest.fixture(scope="module")
def made() -> Content:
    result = small_case(lesions=4)[1]
    return report_content(result, None, Options(), judged=course_of(result))


@pytest.mark.parametrize("rows", range(20, 40, 2))
def test_a_comparison_begins_on_the_page_that_has_its_first_row(made: Content, rows: int) -> None:
    """Thirteen lesions of a patient left its heading alone on the first page."""
    shown = replace(made, rows=made.rows[:1] * rows, key_images=(), overview=None)
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(report_pdf(shown))).pages]
    [page] = [text for text in pages if f"\n{made.words('follow_up')}\n" in f"\n{text}"]
    below = page.split(made.words("follow_up"), 1)[1]
    assert "1 (target)" in " ".join(below.split())
