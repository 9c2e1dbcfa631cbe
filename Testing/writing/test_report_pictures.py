"""Pictures in reports: the same in every language, with what they show below them in the report's own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("PIL", reason="Pillow is not installed (the extra export)")

from LiverLesionAILib.pictures.canvas import Canvas
from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.html import report_text
from LiverLesionAILib.writing.report.key_images import key_images, overview_image, write_key_images
from support.case_factory import small_case


@pytest.fixture
def written(monkeypatch) -> list[str]:
    """All that is written into pictures from here on."""
    texts: list[str] = []
    draw = Canvas.text

    def text(canvas: Canvas, said: str, *args, **options):
        texts.append(said)
        return draw(canvas, said, *args, **options)

    monkeypatch.setattr(Canvas, "text", text)
    return texts


def test_no_picture_holds_a_word_of_a_language(written, tmp_path) -> None:
    volume, result = small_case()
    assert len(dict(key_images(result, volume))) == 2 and overview_image(result, volume)
    write_key_images(result, volume, tmp_path)
    assert "R" in written and any(said.startswith("W ") for said in written)
    assert [said for said in written if re.search("[a-z]{3}", said)] == []


@pytest.mark.parametrize(
    ("language", "slice_word", "lesion_word", "overview"),
    [
        ("en", "slice", "lesion", "Overview, coronal"),
        ("de", "Schicht", "Läsion", "Übersicht, koronar"),
        ("no", "snitt", "lesjon", "Oversikt, koronal"),
        ("fr", "coupe", "lésion", "Vue d'ensemble, coronale"),
    ],
)
def test_what_is_shown_stands_below_in_the_reports_language(language, slice_word, lesion_word, overview):
    _, result = small_case()
    first, second = result.lesions
    # One without a class, and one that has only a box.
    lesions = (replace(first, model_class=None, reader_class=None), replace(second, measurement=None))
    result = replace(result, lesions=lesions)
    pictures = {1: b"one", 2: b"two"}
    made = report_content(result, None, Options(language), pictures, b"overview")
    captions = {int(one.caption.partition(":")[0]): one.caption for one in made.key_images}
    rows = {row.number: row for row in made.rows}
    assert captions[1] == f"1: {lesion_word}, {rows[1].axes} mm, {slice_word} {rows[1].slice}"
    assert captions[2] == f"2: {rows[2].cls}, {slice_word} {rows[2].slice}" and "mm" not in captions[2]
    assert made.overview.caption == overview
    assert f"{slice_word} {rows[1].slice}" in report_text(made)
