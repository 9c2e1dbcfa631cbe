"""Segments, vessels and a planned resection in report, structured report, tables and case store."""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

from LiverLesionAILib.analysis.anatomy import NO_NAMER, NO_NETWORK, NOT_DELAYED
from LiverLesionAILib.case.anatomy import (
    CouinaudSegment,
    Landmark,
    LandmarkName,
    LesionAnatomy,
    LiverAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
)
from LiverLesionAILib.case.anatomy_codes import read_place
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.remnant import FED_BY, LOST, NOT_JUDGED, UNFOLLOWED, UNSEEN
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.pictures import anatomy_3d
from LiverLesionAILib.pictures.view_3d import HINT
from LiverLesionAILib.stages.anatomy import stage
from LiverLesionAILib.writing.dicom.anatomy import place_numbers, place_texts, resection_statement, sites
from LiverLesionAILib.writing.report.anatomy_texts import LANDMARKS
from LiverLesionAILib.writing.report.content import Content, Options, report_content
from LiverLesionAILib.writing.report.html import report_html, report_text
from LiverLesionAILib.writing.report.pdf import report_pdf
from LiverLesionAILib.writing.report.sentences import sentence
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language
from LiverLesionAILib.writing.schema import findings_schema
from LiverLesionAILib.writing.tables import findings_csv, findings_json
from support.results import measured_result

PLACE = LesionAnatomy(
    (
        SegmentShare(CouinaudSegment.VII, 0.82, 0.9),
        SegmentShare(CouinaudSegment.VIII, 0.18, 0.4),
        SegmentShare(CouinaudSegment.IVA, 0.0, 0.3),
    ),
    (VesselContact(Vessel.HEPATIC, 0.0, 14.0, 118.0), VesselContact(Vessel.IVC, 31.2)),
)


def placed_case() -> CaseResult:
    """Three lesions: one computed, one corrected by the reader, one that nothing is said of."""
    result = measured_result()
    segments = np.where(result.liver_zyx, np.uint8(CouinaudSegment.VII), 0)
    segments[:10] = np.where(result.liver_zyx[:10], np.uint8(CouinaudSegment.VI), 0)
    vessels = np.zeros_like(segments)
    vessels[4:16, 28:32, 28:32] = Vessel.HEPATIC
    mark = Landmark(LandmarkName.RIGHT_VEIN, (0.0, 0.0, 930.0), 14.0, "usual place")
    guessed = stage._remarks({mark.name: mark})
    anatomy = LiverAnatomy(result.geometry, vessels, segments, {mark.name: mark}, tuple(guessed))
    places = (PLACE, PLACE.with_reader((CouinaudSegment.V,)), LesionAnatomy())
    lesions = tuple(replace(x, anatomy=p) for x, p in zip(result.lesions, places, strict=True))
    return replace(result, lesions=lesions, anatomy=anatomy)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That case with a resection that the command kept."""
    folder = tmp_path_factory.mktemp("placed")
    save_result(placed_case(), folder)
    figures = ["--height", "170", "--weight", "70", "--minimum", "30"]
    assert main(["remnant", str(folder), "--segments", "VI", "--save", *figures]) == 0
    return folder


def said_by(made: Content) -> dict[str, str]:
    pages = pypdf.PdfReader(io.BytesIO(report_pdf(made))).pages
    said = {
        "html": html.unescape(report_html(made)),
        "pdf": " ".join(page.extract_text() for page in pages),
        "text": report_text(made),
    }
    return {name: " ".join(text.split()) for name, text in said.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_pdf_and_text_say_where_lesions_lie_and_what_is_resected(case: Path, language: str) -> None:
    words = Language(language)
    made = report_content(load_result(case), None, Options(language))
    part = made.anatomy
    assert part is not None and part.places is not None and part.remnant is not None
    computed, corrected, nothing = sorted(part.places.rows, key=lambda row: int(row[0]))
    assert computed[1:3] == ("VII (82 %), VIII, IVa?", words("an.right"))
    assert computed[4:] == (words("an.contact", mm="14", deg="118"), "-", "31 mm")
    assert corrected[1:3] == (f"V ({words('by_reader')})", words("an.right"))
    assert nothing[1:3] == ("-", "-") and nothing[4:] == ("-",) * 3
    (blank,) = part.blank
    assert (LandmarkName.RIGHT_VEIN in blank) is (language == "en"), "the landmark's name is translated too"
    for name, text in said_by(made).items():
        for once in (words("anatomy"), words("rem"), words("rem.measured"), words("an.doubtful"), blank):
            assert once in text, f"{once} is missing in {name}"
        for label, value in (*part.facts, *part.remnant.facts):
            assert label in text and value in text, f"{label}: {value} is missing in {name}"
        for row in part.places.rows:
            assert all(cell in text for cell in row), f"{row} is missing in {name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_vessel_of_either_tree_has_a_column_of_its_own(language: str) -> None:
    result = placed_case()
    near = LesionAnatomy(PLACE.shares, (*PLACE.contacts, VesselContact(Vessel.UNNAMED, 6.4)))
    lesions = (replace(result.lesions[0], anatomy=near), *result.lesions[1:])
    words = Language(language)
    part = report_content(replace(result, lesions=lesions), None, Options(language)).anatomy
    assert part is not None and part.places is not None
    assert part.places.headings[-1] == words("an.either") and words("an.unnamed") in part.notes
    assert sorted(row[-1] for row in part.places.rows) == ["-", "-", "6 mm"]
    doubtful = replace(near, contacts=(replace(near.contacts[0], sure=False), *near.contacts[1:]))
    asked = replace(result, lesions=(replace(lesions[0], anatomy=doubtful), *lesions[1:]))
    said = report_content(asked, None, Options(language)).anatomy
    assert said is not None and said.places is not None
    at = said.places.headings.index(words("an.hepatic"))
    before, after = ([row[at] for row in made.places.rows] for made in (part, said))
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [(text, f"{text} ?") for text, _ in changed] and len(changed) == 1
    without = report_content(result, None, Options(language)).anatomy
    assert without is not None and without.places is not None
    assert words("an.either") not in without.places.headings and words("an.unnamed") not in without.notes
    rows = list(csv.DictReader(io.StringIO(findings_csv(replace(result, lesions=lesions)))))
    assert [row["Portal or hepatic vein: distance (mm)"] for row in rows[:3]] == ["6.4", "", ""]


@pytest.mark.parametrize("either", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_places_lies_on_the_page(language: str, either: bool) -> None:
    """With the column of either tree it was wider than the page, and the lesions' numbers were cut off."""
    result = placed_case()
    if either:
        near = LesionAnatomy(PLACE.shares, (*PLACE.contacts, VesselContact(Vessel.UNNAMED, 6.4, 31.0, 108.0)))
        result = replace(result, lesions=(replace(result.lesions[0], anatomy=near), *result.lesions[1:]))
    made = report_content(result, None, Options(language))
    left: list[float] = []
    page = pypdf.PdfReader(io.BytesIO(report_pdf(made))).pages[0]

    def note(text: str, cm: list[float], tm: list[float], *_: object) -> None:
        if text.strip():
            left.append(tm[4] * cm[0] + tm[5] * cm[2] + cm[4])

    said = page.extract_text(visitor_text=note)
    margin = float(page.mediabox.width) * 12 / 210 - 1
    assert margin <= min(left) and max(left) <= float(page.mediabox.width) - margin
    assert made.anatomy is not None and made.anatomy.places is not None
    for word in " ".join(made.anatomy.places.headings).split():
        assert word in said.split(), "no heading is broken within a word"


def test_a_case_that_nobody_asked_has_no_such_part_and_one_that_is_blank_says_why() -> None:
    assert report_content(measured_result(), None, Options()).anatomy is None
    result = measured_result()
    blank = LiverAnatomy.blank(result.geometry, stage.UNENHANCED)
    lesions = tuple(replace(x, anatomy=LesionAnatomy()) for x in result.lesions)
    made = report_content(replace(result, anatomy=blank, lesions=lesions), None, Options("no"))
    assert made.anatomy is not None and made.anatomy.blank[0].startswith("Opptaket ser ut til å være uten")
    assert made.anatomy.facts == () and made.anatomy.remnant is None
    assert "Ikke angitt" in report_text(made)
    # What the reader says needs no computed segments.
    said = replace(result.lesions[0], anatomy=LesionAnatomy(reader_segments=(CouinaudSegment.VI,)))
    part = report_content(replace(result, lesions=(said,)), None, Options()).anatomy
    assert part is not None and part.places is not None
    assert part.places.rows[0][1] == "VI (by the reader)" and part.facts == ()


def test_every_reason_is_known_in_every_language() -> None:
    reasons = [
        stage.CUT,
        stage.MIRRORED,
        stage.UNENHANCED,
        stage.NO_CONTRAST.format(found=3.2, asked=7.0),
        stage.NO_CAVA,
        stage.HALVES.format(right=93.4, low=40.0, high=90.0),
        stage.NO_LATERAL.format(share=0.6, asked=2.0),
        stage.LOPSIDED.format(share=74.7, low=33.0, high=70.0),
        stage.UNFILLED.format(found=0.0, asked=0.1),
        stage.TOO_SMALL,
        NO_NETWORK,
        NO_NAMER,
        NOT_DELAYED,
        NOT_JUDGED,
        *(
            one.format(names="VI, VII", what=what, branch=branch)
            for one in (LOST, UNSEEN, UNFOLLOWED)
            for what, branch in FED_BY.values()
        ),
    ]
    for name in LandmarkName.ALL:
        reasons += stage._remarks({name: Landmark(name, (0.0, 0.0, 0.0), 9.0, "usual place")})
    for code in LANGUAGES[1:]:
        words = Language(code)
        for said in reasons:
            assert sentence(said, words) not in (said, words("in_english", s=said))


def test_the_resection_is_kept_with_the_case_and_in_its_tables(case: Path) -> None:
    kept = load_result(case)
    assert kept.resection is not None and kept.resection.text == "segments VI"
    expected = kept.liver_zyx & (np.arange(20)[:, None, None] < 10)
    np.testing.assert_array_equal(kept.resection.mask_zyx, expected)
    found = kept.resection.remnant
    assert found.resected_ml + found.remaining_ml == pytest.approx(found.liver_ml)
    assert found.body is not None and found.urata_percent is not None
    written = json.loads((case / "findings.json").read_text(encoding="utf-8"))
    assert written["resection"]["resected_ml"] == pytest.approx(found.resected_ml, abs=1e-3)
    assert (written["resection"]["way"], written["resection"]["detail"]) == ("segments", "VI")
    jsonschema.validate(written, findings_schema())
    assert written["lesions"][1]["anatomy"]["reader_segments"] == ["V"]


def test_the_readers_segments_alone_have_their_columns() -> None:
    result = measured_result()
    assert "Couinaud segment" not in findings_csv(result)
    said = replace(result.lesions[0], anatomy=LesionAnatomy(reader_segments=(CouinaudSegment.VI,)))
    result = replace(result, lesions=(said, *result.lesions[1:]))
    rows = list(csv.DictReader(io.StringIO(findings_csv(result))))
    assert [row["Couinaud segment"] for row in rows[:2]] == ["VI", ""] and rows[0]["Hemiliver"] == "right"
    jsonschema.validate(findings_json(result), findings_schema())


def test_the_structured_report_has_codes_that_import_reads_again(case: Path) -> None:
    codes = [code[0] for code in sites(PLACE)]
    assert codes == ["277961009", "277962002"], "a segment that is merely possible is no site"
    assert [code[0] for code in sites(PLACE.with_reader((CouinaudSegment.IVA, CouinaudSegment.IVB)))] == [
        "277958008"
    ]
    either = replace(PLACE, contacts=(*PLACE.contacts, VesselContact(Vessel.UNNAMED, 6.4)))
    doubtful = replace(either, contacts=(replace(either.contacts[0], sure=False), *either.contacts[1:]))
    for place in (
        PLACE,
        either,
        doubtful,
        PLACE.with_reader((CouinaudSegment.V, CouinaudSegment.IVB)),
        LesionAnatomy(),
    ):
        numbers, texts = place_numbers(place), place_texts(place)
        assert all(len(code) <= 16 and len(meaning) <= 64 for code, _, meaning in (*numbers, *texts))
        back = read_place(
            {code[:2]: value for code, (value, _) in numbers.items()},
            {code[:2]: text for code, text in texts.items()},
        )
        assert back == (place if place.text else None)
    kept = load_result(case).resection
    assert kept is not None
    statement = resection_statement(kept, "1.2.3", ("10200004", "SCT", "Liver"))
    assert all(len(code) <= 16 and len(meaning) <= 64 for code, _, meaning in statement.numbers)
    assert statement.numbers["resected", "99LIVERLESIONAI", "Resected volume"][0] == pytest.approx(
        kept.remnant.resected_ml
    )


def test_the_resection_is_drawn_in_red(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anatomy_3d, "WIDTH", 150)
    monkeypatch.setattr(anatomy_3d, "HEIGHT", 120)
    with anatomy_3d.start_anatomy_3d(load_result(case)) as job:
        drawn, why = job.wait()
    if drawn is None:
        assert why == HINT
        return
    r, g, b = (drawn.rgb[..., k].astype(int) for k in range(3))
    assert np.count_nonzero((r > g + 40) & (r > b + 40)) > 100


def test_landmarks_that_are_not_seen_can_be_told_apart() -> None:
    """Some of their names hold a comma: they are joined by semicolons."""
    names = (LandmarkName.RIGHT_VEIN, LandmarkName.GALLBLADDER, LandmarkName.UMBILICAL_BEND)
    (said,) = stage._remarks({name: Landmark(name, (0.0, 0.0, 0.0), 9.0, "usual place") for name in names})
    assert said.endswith(": " + "; ".join(names) + ".") and any("," in name for name in names)
    for code in LANGUAGES[1:]:
        told = sentence(said, Language(code)).rpartition(": ")[2].rstrip(".").split("; ")
        assert told == [LANDMARKS[name][LANGUAGES.index(code) - 1] for name in names]
