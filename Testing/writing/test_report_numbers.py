"""A report's numbers are those of the terminal's table, with its names and decimals."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")

from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.html import report_html, report_text
from LiverLesionAILib.writing.report.strings import LANGUAGES
from LiverLesionAILib.writing.tables import findings_text
from support.case_factory import small_case


def with_probabilities(result):
    """Every lesion has a calibrated probability beside its score."""
    return replace(result, lesions=tuple(replace(one, probability=0.7 * one.score) for one in result.lesions))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_score_that_was_never_calibrated_is_called_no_probability(language: str) -> None:
    for result, name in ((small_case()[1], "score"), (with_probabilities(small_case()[1]), "probability")):
        made = report_content(result, None, Options(language))
        assert made.sureness == made.words(name) and made.headings[6] == made.sureness
        assert f'<th scope="col">{made.sureness}</th>' in report_html(made)
        assert f"{made.sureness} {made.rows[0].score}" in report_text(made)
    assert ("Score" in findings_text(small_case()[1], 200)) == (name == "probability")


def test_large_volumes_have_the_tables_decimals() -> None:
    result = small_case()[1]
    first, second = result.lesions
    for volume_ml, wanted in ((1155.969, "1156"), (99.4, "99.40"), (0.578, "0.58")):
        measured = replace(first.measurement, volume_ml=volume_ml)
        shown = replace(result, lesions=(replace(first, measurement=measured), second))
        row = next(row for row in report_content(shown, None, Options()).rows if row.number == 1)
        assert row.volume == wanted
        assert f" {wanted} " in findings_text(shown, 200)
