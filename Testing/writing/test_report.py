"""The report: one set of texts in HTML, PDF and plain text, in four languages, safe and small."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.attributes import case_attributes
from LiverLesionAILib.case.attributes import read_phase as read_kept_phase
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.enhancement import Enhancement, PhaseLevels
from LiverLesionAILib.case.findings import DoubtfulPlace, LesionStatus, PhaseEstimate
from LiverLesionAILib.case.messages import BETWEEN_PHASES, TOO_DARK, TOO_LARGE, TOO_SMALL_AND_CUT
from LiverLesionAILib.case.store_json import describe_phase, read_phase
from LiverLesionAILib.case.terminology import lesion_title
from LiverLesionAILib.stages.measure.plausible import PlausibleSettings, implausible
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.text import chance
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.fat import FAT_HU, fat_text
from LiverLesionAILib.writing.report.html import report_html, report_text
from LiverLesionAILib.writing.report.key_images import key_images, overview_image
from LiverLesionAILib.writing.report.pdf import report_pdf
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language
from LiverLesionAILib.writing.tables import findings_csv, findings_text
from support.case_factory import small_case
from support.report_pages import SOURCE, WHY, Page, content, pdf_text

PLAUSIBLE = Rules().part(PlausibleSettings)


def test_a_lesion_over_two_phases_has_its_plot_in_the_reports_language() -> None:
    result = small_case()[1]
    levels = tuple(PhaseLevels(phase, 90.0, 100.0, 200.0) for phase in (Phase.ARTERIAL, Phase.PORTAL))
    first = replace(result.lesions[0], enhancement=Enhancement(levels))
    with_curves = content("de", replace(result, lesions=(first, *result.lesions[1:])))
    (plot,) = with_curves.key_images
    assert plot.caption == f"{first.number}: HU über die Phasen"
    assert plot.data.startswith(b"\x89PNG")
    assert "data:image/png" in report_html(with_curves)
    assert not content("de", result).key_images


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_pdf_and_text_say_the_same(language):
    made = content(language)
    said = {
        "html": Page(report_html(made)).text,
        "pdf": pdf_text(report_pdf(made)),
        "text": report_text(made),
    }
    for row in made.rows:
        for cell in (row.axes, row.volume, row.density, row.slice, row.score):
            for name, text in said.items():
                assert " ".join(cell.split()) in " ".join(text.split()), f"{cell} is missing in {name}"
    for name, text in said.items():
        for said_once in (made.words("research"), made.draft, made.study_date):
            assert said_once in " ".join(text.split()), f"{said_once} is missing in {name}"
    # A language's own units, whichever of the forms is read.
    units = (made.words("unit.ml"), made.words("unit.hu"))
    assert units == {"en": ("mL", "HU"), "fr": ("ml", "UH")}.get(language, ("ml", "HU"))
    first, text = made.rows[0], " ".join(said["text"].split())
    assert f"{first.volume} {units[0]}" in text and f"{first.density} {units[1]}" in text
    assert ("mL" in said["text"]) == (language == "en")


def test_the_numbers_are_those_of_the_table():
    _, result = small_case()
    rows = [row for row in csv.DictReader(io.StringIO(findings_csv(result))) if row["Finding"] == "lesion"]
    report = content(result=result)
    page = Page(report_html(report))
    cells = [row for row in page.rows if row and row[0].isdigit()]
    assert len(rows) == len(cells) == len(result.lesions)
    for row, shown, made in zip(rows, cells, report.rows, strict=True):
        assert shown[0] == row["Number"]
        # With their intervals in small type below.
        axes, volume = (made.axes_interval, made.volume_interval)
        assert shown[2] == f"{row['Long axis (mm)']} x {row['Short axis (mm)']}{axes}"
        assert float(shown[3].removesuffix(volume)) == pytest.approx(float(row["Volume (mL)"]), abs=0.0051)
        assert float(shown[4].split()[0]) == pytest.approx(float(row["Mean density (HU)"]), abs=0.51)
        sure = float(row["Lesion probability"] or row["Score"])
        assert float(shown[6]) == pytest.approx(sure, abs=0.0051)


def test_the_surest_lesion_comes_first_under_its_own_number_and_doubtful_places_are_a_note():
    _, result = small_case()
    first, *others = result.lesions
    place = DoubtfulPlace(first.centre_lps, 8.0, 0.34)
    sure = [replace(one, probability=0.9 - 0.01 * k) for k, one in enumerate(others)]
    result = replace(result, lesions=(replace(first, probability=0.2), *sure), doubtful=(place,))
    made = content(result=result)
    assert [row.number for row in made.rows] == [*(one.number for one in others), first.number]
    assert made.rows[-1].score == "0.20"
    said = report_text(made)
    slices = result.geometry.shape_zyx[0]
    assert re.search(rf"Look here, .*against a lesion\): slice \d+/{slices} \(8 mm, 0.34\)", said)
    table = list(csv.DictReader(io.StringIO(findings_csv(result))))
    assert [row["Number"] for row in table if row["Finding"] == "lesion"] == [
        str(one.number) for one in result.lesions
    ]


def test_no_name_unless_asked_for():
    for made in (content(), content("de")):
        for text in (report_html(made), report_text(made), pdf_text(report_pdf(made))):
            assert "Secret" not in text
            assert "SECRET" not in text
    named = content(with_patient=True)
    assert "Person Secret, SECRET-1" in Page(report_html(named)).text
    assert "Person Secret, SECRET-1" in pdf_text(report_pdf(named))


def test_a_report_without_a_name_has_the_date_and_a_field_for_the_label():
    page = Page(report_html(content())).text
    assert "2026-01-31" in page
    assert "Patient label" in page


def test_draft_until_every_finding_is_reviewed():
    _, result = small_case()
    assert (
        content(result=result).draft == f"DRAFT, {len(result.lesions)} of {len(result.lesions)} not reviewed"
    )
    lesions = tuple(replace(x, status=LesionStatus.ACCEPTED) for x in result.lesions)
    assert content(result=replace(result, lesions=lesions)).draft == ""


def test_rejected_findings_are_counted_not_listed():
    _, result = small_case()
    lesions = (replace(result.lesions[0], status=LesionStatus.REJECTED), *result.lesions[1:])
    made = content(result=replace(result, lesions=lesions))
    assert [row.number for row in made.rows] == [x.number for x in lesions[1:]]
    assert any("1 finding(s) rejected" in warning for warning in made.warnings)
    with_rejected = content(result=replace(result, lesions=lesions), with_rejected=True)
    assert [row.number for row in with_rejected.rows] == [x.number for x in lesions]


def test_nothing_found_says_so():
    volume, result = small_case(lesions=0)
    made = content(result=result)
    assert made.rows == ()
    for text in (Page(report_html(made)).text, pdf_text(report_pdf(made)), report_text(made)):
        # The score that none has reached is among the warnings: no second threshold beside it.
        assert "No lesion was found." in text and text.count("0.42") <= 1


def test_what_makes_all_findings_doubtful_stands_before_them():
    """On the page, in the PDF and in the text; the other warnings stand at the end, under a heading."""
    _, result = small_case()
    doubt = implausible(None, 900.0, cut_off=True, settings=PLAUSIBLE, liver_hu=-18.0)[0]
    series = "Series 3 holds 2 scans, of which one was analysed: acquisition 2. Check that it is the one you "
    series += "want."
    made = content(result=replace(result, messages=("The file is compressed.", series, doubt)))
    assert made.leading == (series, doubt) and "The file is compressed." in made.remarks
    assert set(made.warnings) == {*made.leading, *made.remarks}, "a hospital's own template has all of them"
    for text in (Page(report_html(made)).text, pdf_text(report_pdf(made)), report_text(made)):
        words = " ".join(text.split())
        places = [words.index(said) for said in (series, doubt, "Technique", "The file is compressed.")]
        assert places == sorted(places)
        assert words.count(doubt) == 1
    text = report_text(made)
    assert text.index("Conclusion:") < text.index("Warnings and limits") < text.index("The file is compr")
    german = content("de", replace(result, messages=(series, doubt)))
    assert [said.split()[0] for said in german.leading] == ["Serie", "Dichte"]


def test_slices_are_axial_whichever_way_the_voxels_are_stored():
    """30 slices of 3 mm, also where the file holds them as 60 coronal ones of 1.5 mm."""
    from LiverLesionAILib.analysis.followup import Examined, time_point

    coronal = Geometry.make((60, 30, 60), (1.5, 3.0, 1.5), directions_lps=(1, 0, 0, 0, 0, 1, 0, 1, 0))
    result = replace(small_case()[1], geometry=coronal, lesions=())
    assert dict(content(result=result).technique)["Series"].startswith("30 slices of 3.0 mm")
    assert time_point(Examined(result)).slice_thickness_mm == 3.0


def test_a_phase_that_the_reader_named_is_called_no_estimate():
    _, result = small_case()
    assert dict(content(result=replace(result, phase=None)).technique)["Contrast phase"] == "not known"
    for named, said in ((True, "delayed (as named by the reader)"), (False, "delayed (estimated")):
        phase = PhaseEstimate("delayed", 1.0, named=named)
        made = content(result=replace(result, phase=phase))
        assert dict(made.technique)["Contrast phase"].startswith(said)
        assert read_phase(describe_phase(phase)) == phase
        kept = case_attributes(replace(result, phase=phase))
        assert read_kept_phase(kept.get) == phase
    without = dict(content(result=replace(result, phase=None)).liver)
    assert without["Steatosis"] == "not judged, as the phase is not known"


@pytest.mark.parametrize(("lesions", "pages"), [(0, 1), (1, 1), (4, 1), (6, 2), (12, 2), (80, 8)])
def test_a_pdf_has_as_few_pages_as_can_be_and_no_small_print_alone(lesions, pages):
    volume, result = small_case()
    pictures = dict(key_images(result, volume))
    rows = tuple(replace(result.lesions[k % 2], number=k + 1, class_reasons=WHY) for k in range(lesions))
    result = replace(result, lesions=rows, models={"segmenter": "0123456789ab"})
    shown = {k + 1: pictures[k % 2 + 1] for k in range(lesions)}
    made = report_content(result, SOURCE, Options(), shown, overview_image(result, volume))
    read = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(report_pdf(made))).pages]
    assert len(read) <= pages
    assert "0123456789ab" in read[-1] and made.words("for_reader") in read[-1]
    for page in read:
        assert made.words("research") in page and made.draft in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_gallbladder_that_is_seen_has_a_line(language):
    _, result = small_case()
    gallbladder = np.zeros_like(result.liver_zyx)
    gallbladder[2:6, 3:9, 4:10] = True
    made = content(language, replace(result, gallbladder_zyx=gallbladder))
    expected = made.words.number(replace(result, gallbladder_zyx=gallbladder).gallbladder_ml, 0)
    expected = f"≈ {expected} {'mL' if language == 'en' else 'ml'}"
    line = f"{made.words('gallbladder')}: {expected}"
    assert line in report_text(made) and line in pdf_text(report_pdf(made))
    assert f"{made.words('gallbladder')} {expected}" in Page(report_html(made)).text
    assert made.words("gallbladder") not in report_text(content(language, result))


def test_a_note_cannot_break_the_page():
    _, result = small_case()
    note = '<script>alert("x")</script> & {{ c }} 100 %'
    lesions = (replace(result.lesions[0], note=note), *result.lesions[1:])
    made = content(result=replace(result, lesions=lesions))
    assert note in Page(report_html(made)).text
    assert note in report_text(made)
    assert "alert" in pdf_text(report_pdf(made))


@pytest.mark.parametrize(("language", "shown"), [("en", ">0.99"), ("de", ">0,99"), ("fr", ">0,99")])
def test_no_probability_is_shown_as_certain(language, shown):
    """0.998 is not 1; the number itself stays in tables for programs and in the DICOM SR."""
    _, result = small_case()
    first = replace(result.lesions[0], probability=0.998, model_class="HCC", class_probabilities={"HCC": 1.0})
    phase = PhaseEstimate("arterial", 0.9999)
    sure = replace(result, lesions=(first, *result.lesions[1:]), phase=phase)
    made = content(language, sure)
    assert made.rows[0].score == shown and shown in dict(made.technique)[made.words("phase")]
    assert shown in Page(report_html(made)).text and shown in pdf_text(report_pdf(made))
    assert f"{made.sureness} {shown}, " in report_text(made)
    said = f"The CT is called delayed but looks arterial ({chance(0.9999)}): check which it is."
    (told,) = content(language, replace(sure, messages=(said,))).warnings[:1]
    assert f"({shown})" in told and (language == "en" or made.words("in_english", s=said) != told)
    text = findings_text(sure, 200)
    assert "HCC >0.99" in text and "1.00" not in text and "Arterial phase (>0.99)" in text
    assert lesion_title(first) == f"Lesion {first.number} (HCC >0.99)"
    assert [chance(p) for p in (0.0, 0.001, 0.4, 0.994, 1.0, math.nan)] == [
        *("0.00", "<0.01", "0.40", "0.99", ">0.99", "-")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sum_of_all_lesions_is_not_taken_for_that_of_targets(language):
    """RECIST sums at most two targets of the liver, here and over all scans."""
    (label,) = [name for name, _ in content(language).liver if name == Language(language)("sum_of_diameters")]
    assert "RECIST" in label


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_without_lesions_is_a_draft_until_somebody_signs_it(language):
    """That nothing was found is a finding, which nobody has confirmed."""
    _, empty = small_case(lesions=0)
    made = content(language, empty)
    assert made.draft == made.words("draft_empty") and made.draft.isupper() is False
    for text in (Page(report_html(made)).text, pdf_text(report_pdf(made)), report_text(made)):
        assert made.draft in text
    signed = report_content(empty, SOURCE, Options(language), signed=True)
    assert signed.draft == "" and made.draft not in report_text(signed)


@pytest.mark.parametrize("said", [
    BETWEEN_PHASES.say(phase="portal venous", p="0.55", phase_now="delayed", p_now="0.45"),
    "The CT is called delayed but looks portal venous (0.90): check which it is.",
    "The CT was named portal venous but looks unenhanced (>0.99): check which it is.",
    TOO_DARK.say(hu=-18.0),
    TOO_SMALL_AND_CUT.say(ml=208.0),
    TOO_LARGE.say(ml=9000.0),
])  # fmt: skip
def test_fat_is_not_judged_where_the_phase_is_in_doubt(said):
    """45 HU are fat in the portal venous phase and none without contrast medium."""
    fatty = replace(small_case()[1], liver_hu_mean=45.0, phase=PhaseEstimate("portal venous", 0.9))
    assert "at least moderate" in dict(content(result=fatty).liver)["Steatosis"]
    doubted = content(result=replace(fatty, messages=(said,)))
    assert dict(doubted.liver)["Steatosis"].startswith("not judged, as phase or densities")


def test_a_hospitals_own_text_template(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("Findings: {{ c.rows | length }}\n", encoding="utf-8")
    assert report_text(content(), mine) == f"Findings: {len(small_case()[1].lesions)}\n"
    mine.write_text("ok\n{{ c.nothing_like_it.x }}", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.txt"):
        report_text(content(), mine)
    mine.write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}", encoding="utf-8")
    with pytest.raises(InputError):
        report_text(content(), mine)
    with pytest.raises(InputError, match=r"gone\.txt"):
        report_text(content(), Path(tmp_path / "gone.txt"))


@pytest.mark.parametrize(("phase", "hu", "key"), [
    ("portal", 79.9, "fat_moderate"), ("portal", 80.0, "fat_possible"), ("portal", 89.9, "fat_possible"),
    ("portal", 90.0, "fat_none"), ("unenhanced", 39.9, "fat_moderate"), ("unenhanced", 40.0, "fat_none"),
    ("arterial", 60.0, "fat_unknown"), (None, 60.0, "fat_no_phase"), ("portal", math.nan, "fat_unknown"),
])  # fmt: skip
def test_fat_by_density_and_phase(phase, hu, key):
    words = Language("en")
    likely, possible = FAT_HU.get(phase, (0, 0))
    cut = possible if key == "fat_possible" else likely
    assert fat_text(hu, phase, words) == words(
        key, hu=words.number(hu), cut=f"{cut:.0f}", low=f"{likely:.0f}"
    )


def test_a_lesion_left_open_has_its_differential_with_probabilities() -> None:
    from LiverLesionAILib.writing.report.content import _class, _differential
    from support.results import measured_result

    lesion = replace(
        measured_result().lesions[0],
        model_class="indeterminate",
        class_reasons="no class stands out; 15 mm",
        class_probabilities={"HCC": 0.577, "metastasis": 0.353, "benign": 0.057},
    )
    assert _differential(lesion, Language("en")) == "HCC 0.58, metastasis 0.35; "
    assert _differential(lesion, Language("de")).startswith("HCC 0,58, ")
    assert _differential(replace(lesion, model_class="HCC"), Language("en")) == ""
    assert _differential(replace(lesion, reader_class="FNH"), Language("en")) == ""
    # A class that the model names stands with its probability, the reader's with the reader.
    for cls, own, said in (("indeterminate", None, "unbestimmt"), ("HCC", None, "HCC (0,58)")):
        assert _class(replace(lesion, model_class=cls, reader_class=own), Language("de")) == said
    assert _class(replace(lesion, reader_class="FNH"), Language("en")) == "FNH (by the reader)"
    assert _class(replace(lesion, model_class=None), Language("en")) == ""
