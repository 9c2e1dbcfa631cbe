"""The report: one set of texts in HTML, PDF and plain text, in four languages, safe and small."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.enhancement import Enhancement, PhaseLevels
from LiverLesionAILib.case.findings import Box, CaseResult, DoubtfulPlace, LesionSource, LesionStatus
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.case.wording import fainter_kept, notes, told_of_listed
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.stages.classify.stage import NETWORK_NOT_VALIDATED, NOT_VALIDATED
from LiverLesionAILib.stages.measure.plausible import BodyMeasures, PlausibleSettings, implausible
from LiverLesionAILib.stages.neighbours.gallbladder import Separated
from LiverLesionAILib.stages.neighbours.gallbladder import messages as gallbladder_messages
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSource
from LiverLesionAILib.writing.export import Export, export_case
from LiverLesionAILib.writing.report.content import FAT_HU, Options, fat_text, report_content
from LiverLesionAILib.writing.report.html import report_html, report_text
from LiverLesionAILib.writing.report.key_images import (
    FOLDER,
    key_images,
    overview_image,
    read_key_images,
    write_key_images,
)
from LiverLesionAILib.writing.report.pdf import report_pdf
from LiverLesionAILib.writing.report.sentences import REASONS, SENTENCES, reasons, sentence
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language, keys, texts
from LiverLesionAILib.writing.tables import findings_csv
from support.case_factory import small_case

WHY = "too small to characterise; portal 61 HU (liver 104, vessels 162); border ill-defined (3.2 mm); "
WHY += "heterogeneous; 14 mm; "
WHY += "12 lesions, 3 others alike"
PLAUSIBLE = Rules().part(PlausibleSettings)
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
    assert re.search(rf"Look here, .*no probability\): slice \d+/{slices} \(8 mm, 0.34\)", said)
    table = list(csv.DictReader(io.StringIO(findings_csv(result))))
    assert [row["Number"] for row in table if row["Finding"] == "lesion"] == [
        str(one.number) for one in result.lesions
    ]


def test_every_language_has_every_text_with_the_same_fields():
    for key in keys():
        fields = [set(re.findall(r"{(\w+)}", text)) for text in texts(key)]
        assert all(one == fields[0] for one in fields), key


def test_decimal_marks_and_dates_follow_the_language():
    assert [Language(code).number(1234.5, 1) for code in LANGUAGES] == [
        "1234.5",
        "1234,5",
        "1234,5",
        "1234,5",
    ]
    dates = [Language(code).date("20260131") for code in LANGUAGES]
    assert dates == ["2026-01-31", "31.01.2026", "31.01.2026", "31/01/2026"]
    assert Language("en").number(math.nan) == "-"
    with pytest.raises(InputError, match="'xx'"):
        Language("xx")


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
        assert "No lesion above the threshold of 0.42" in text


def test_twelve_lesions_with_pictures_stay_small_and_self_contained(tmp_path):
    volume, result = small_case()
    pictures = dict(key_images(result, volume))
    twelve = {k + 1: pictures[k % 2 + 1] for k in range(12)}
    lesions = tuple(replace(result.lesions[k % 2], number=k + 1, class_reasons=WHY) for k in range(12))
    result = replace(result, lesions=lesions)
    made = report_content(result, SOURCE, Options(), twelve, overview_image(result, volume))
    page = report_html(made)
    assert len(page.encode()) < 2e6
    assert Page(page).outside == []
    assert page.count("<img ") == 13
    assert all(alt for alt in re.findall(r'<img alt="([^"]*)"', page))
    data = report_pdf(made)
    assert len(pypdf.PdfReader(io.BytesIO(data)).pages) <= 2
    assert data == report_pdf(made), "the same report, the same bytes"


def test_a_browser_without_a_network_prints_two_pages(tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    volume, result = small_case()
    pictures = dict(key_images(result, volume))
    lesions = tuple(replace(result.lesions[k % 2], number=k + 1, class_reasons=WHY) for k in range(12))
    twelve = {k + 1: pictures[k % 2 + 1] for k in range(12)}
    made = report_content(
        replace(result, lesions=lesions), SOURCE, Options("de"), twelve, overview_image(result, volume)
    )
    (tmp_path / "page.html").write_text(report_html(made), encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"]
    arguments += [f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri()]
    subprocess.run([browser, *arguments], check=True, capture_output=True, timeout=120)
    pages = [" ".join(p.extract_text().split()) for p in pypdf.PdfReader(tmp_path / "page.pdf").pages]
    assert len(pages) <= 2
    assert sum(len(p.images) for p in pypdf.PdfReader(tmp_path / "page.pdf").pages) >= 3
    for row in made.rows:
        assert row.axes in " ".join(pages)
    for page in pages:
        assert made.words("research") in page
        assert made.draft in page


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
    ("arterial", 60.0, "fat_unknown"), (None, 60.0, "fat_unknown"), ("portal", math.nan, "fat_unknown"),
])  # fmt: skip
def test_fat_by_density_and_phase(phase, hu, key):
    words = Language("en")
    likely, possible = FAT_HU.get(phase, (0, 0))
    cut = possible if key == "fat_possible" else likely
    assert fat_text(hu, phase, words) == words(
        key, hu=words.number(hu), cut=f"{cut:.0f}", low=f"{likely:.0f}"
    )


class TestKeptKeyImages:
    @pytest.fixture(scope="class")
    def kept(self, tmp_path_factory) -> Path:
        volume, result = small_case()
        folder = tmp_path_factory.mktemp("kept") / "case"
        folder.mkdir()
        save_result(result, folder)
        write_key_images(result, volume, folder)
        return folder

    def test_a_report_needs_no_ct_and_shows_the_same(self, kept):
        volume, result = small_case()
        images, overview = read_key_images(load_result(kept), kept)
        assert images == dict(key_images(result, volume))
        assert overview == overview_image(result, volume)

    def test_the_command_takes_them(self, kept, tmp_path, capsys):
        arguments = ["export", str(kept), "--out", str(tmp_path), "--report"]
        assert main(arguments) == 0
        assert "key image" not in capsys.readouterr().out
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert page.count("<img ") == 1 + len(small_case()[1].lesions)

    def test_a_changed_outline_loses_its_picture_and_it_is_said(self, kept, tmp_path):
        _, result = small_case()
        first = result.lesions[0]
        moved = replace(first, measurement=replace(first.measurement, volume_ml=1.0))
        changed = replace(result, lesions=(moved, *result.lesions[1:]))
        said: list[str] = []
        export_case(changed, None, tmp_path, Export(report=True), case_folder=kept, say=said.append)
        assert said[0].startswith("1 of 2 lesions have no key image")
        images, overview = read_key_images(changed, kept)
        assert sorted(images) == [2]
        assert overview is None

    def test_a_number_on_the_edge_of_rounding_loses_nothing(self, tmp_path):
        """Of 12.34349999 the store keeps 12.3435: what a picture is called by must not tell the two apart."""
        volume, result = small_case()
        edge = [
            replace(
                x,
                centre_lps=(12.34349999, 1.0, 1.0),
                measurement=replace(x.measurement, hu_mean=60.84500049),
            )
            for x in result.lesions
        ]
        result = replace(result, lesions=tuple(edge), liver_volume_ml=1402.49999951)
        folder = tmp_path / "case"
        folder.mkdir()
        save_result(result, folder)
        write_key_images(result, volume, folder)
        images, overview = read_key_images(load_result(folder), folder)
        assert sorted(images) == [1, 2] and overview is not None

    def test_a_damaged_picture_is_left_out(self, kept, tmp_path):
        _, result = small_case()
        shutil.copytree(kept, tmp_path / "case")
        broken = sorted((tmp_path / "case" / FOLDER).glob("lesion_1_*.png"))[0]
        broken.write_bytes(broken.read_bytes()[:200])
        assert sorted(read_key_images(result, tmp_path / "case")[0]) == [2]


GRID = Geometry.make((30, 60, 60), (3.0, 1.5, 1.5), (-45.0, -45.0, -45.0))


def fields(template: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", template))


class TestSentencesOfTheAnalysis:
    @pytest.mark.parametrize("table", [SENTENCES, REASONS], ids=["sentences", "reasons"])
    def test_every_translation_keeps_the_figures(self, table):
        for english, others in table.items():
            assert len(others) == len(LANGUAGES) - 1
            assert all(fields(text) == fields(english) for text in others), english
            words = {
                "phase": "portal venous",
                "phase_now": "arterial",
                "phase_taken": "delayed",
                "response": "partial response",
                "non_target": "all gone",
            }
            values = {name: words.get(name, "7.5") for name in fields(english)}
            said = english.format(**values)
            say = sentence if table is SENTENCES else reasons
            assert say(said, Language("en")) == said
            german = say(said, Language("de"))
            assert german != said or set(fields(english)) == {"mm"}
            assert "englisch" not in german
            assert german.count("7,5") == list(values.values()).count("7.5")

    def test_those_of_the_stages_are_known(self):
        one = np.ones((1, 1, 1), bool)
        found = Separated(one, one.astype(np.uint16), one, {3: 1.0}, (3,), (1, 2), 7.0)
        first = small_case(lesions=1)[1].lesions[0]
        ball = Box((0.0, 0.0, 0.0), (3.0, 3.0, 90.0))
        told = [
            lesions
            for change in ({"at_gallbladder": True}, {"source": LesionSource.BOX}, {"box": ball})
            for one in [replace(first, **change)]
            for lesions in ([one], [one, replace(one, number=2)])
        ]
        said = [
            NOT_VALIDATED,
            NETWORK_NOT_VALIDATED,
            *gallbladder_messages(found, {3}, 31.0),
            *(text for some in told for text in told_of_listed(some, GRID)),
            *(fainter_kept(scores) for scores in ([0.5], [0.3, 0.45])),
            *implausible(BodyMeasures(0.3, 500.0, True), 9000.0, cut_off=False, settings=PLAUSIBLE),
            *implausible(BodyMeasures(-0.3, 500.0, True), 90.0, cut_off=False, settings=PLAUSIBLE),
            *implausible(BodyMeasures(-0.3, 500.0, True), 90.0, cut_off=True, settings=PLAUSIBLE),
            *implausible(None, 900.0, cut_off=True, settings=PLAUSIBLE, liver_hu=-18.0),
            *implausible(None, 900.0, cut_off=True, settings=PLAUSIBLE, liver_hu=231.0),
            *notes(small_case(lesions=0)[1]),
        ]
        assert len(said) >= 16
        for code in LANGUAGES[1:]:
            words = Language(code)
            assert [s for s in said if sentence(s, words) in (s, words("in_english", s=s))] == []

    def test_those_of_a_real_run_are_known(self, slab_result):
        words = Language("fr")
        said = notes(slab_result)
        assert said
        assert [s for s in said if sentence(s, words) == words("in_english", s=s)] == []
        for lesion in slab_result.lesions:
            assert lesion.class_reasons
            said_in_french = reasons(lesion.class_reasons, words)
            assert not re.search("border|ogeneous|brighter|liver|vessels|lesions", said_in_french)

    def test_what_is_not_known_stays_english_and_says_so(self):
        _, result = small_case()
        result = replace(result, messages=("The file's header was odd.",))
        assert content("de", result).warnings == ("(englisch) The file's header was odd.",)
        assert content("en", result).warnings == ("The file's header was odd.",)


def test_a_lesion_left_open_has_its_differential_with_probabilities() -> None:
    from LiverLesionAILib.writing.report.content import _differential
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
