"""The follow-up in the report and in the DICOM report: its numbers are those of followup.json."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pytest.importorskip("pypdf", reason="pypdf is not installed")
hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")

from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.course import Course, response_of
from LiverLesionAILib.case.criteria import ChoiAssessment, mrecist_of, not_arterial, of_other_phases
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.followup_columns import STABLE_CHANGED
from LiverLesionAILib.case.followup_json import course_json, course_of_json, read_course
from LiverLesionAILib.case.interval import intervals_of
from LiverLesionAILib.case.joined import JoinedOutline
from LiverLesionAILib.case.judged import JudgedCourse
from LiverLesionAILib.case.other_targets import OtherTarget, at_every_scan
from LiverLesionAILib.case.recist import NonTarget, Response
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.case.time_point import time_point_of
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.writing.dicom import follow_up as coded
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.uids import fingerprint
from LiverLesionAILib.writing.export import Export, export_case
from LiverLesionAILib.writing.followup_file import course_text
from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.follow_up import COLUMNS, follow_up_part
from LiverLesionAILib.writing.report.html import report_html, report_text
from LiverLesionAILib.writing.report.pdf import report_pdf
from LiverLesionAILib.writing.report.sentences import sentence
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language
from support.case_factory import small_case
from support.dicom_judged import judged as valid_object
from support.dicom_judged import objects, source_of
from support.report_pages import Page, pdf_text

WARNING = "The prior scan looks arterial, the current one portal venous: lesions can look larger or smaller, "
WARNING += "appear or vanish, by the phase alone."


@pytest.fixture(scope="module")
def result() -> CaseResult:
    found = small_case(lesions=4)[1]
    lesions = tuple(replace(x, status=LesionStatus.ACCEPTED) for x in found.lesions)
    return replace(found, lesions=lesions)


def course_of(result: CaseResult, *, sure: bool = True, scans: int = 2) -> JudgedCourse:
    """Two lesions that grew, one that is gone, one that is new; with `sure` the reader confirmed all."""
    now = time_point_of(result.lesions, {1: (20.1, 26.3)}, "now", date(2026, 3, 2), 3.0)
    lesions = {
        n: LesionSize(n, f"2.25.{n}", mm, 0.7 * mm, ml, mm - 2, mm + 2, confirmed=True, hu_mean=61.5)
        for n, mm, ml in ((1, 14.06, 1.4061), (2, 13.333, 1.21), (3, 11.7, 0.84))
    }
    points = [TimePoint(f"scan {k}", date(2026, k, 1), lesions, 3.0, decided=sure) for k in range(1, scans)]
    pairs = (
        Pair((1,), (1,), LesionState.GROWN, 1.2),
        Pair((2,), (2,), LesionState.STABLE, 2.0),
        Pair((), (3,), LesionState.NEW, by_reader=sure),
        Pair((3,), (), LesionState.GONE, by_reader=sure),
    )
    same = tuple(Pair((n,), (n,), LesionState.STABLE, 0.0) for n in lesions)
    steps = [FollowUp(a, b, same, dice=0.951, gap_mm=1.0) for a, b in pairwise(points)]
    steps.append(FollowUp(points[-1], now, pairs, "", (WARNING,), 0.912, 1.6))
    course = Course((*points, now), tuple(steps))
    node = OtherTarget((16.0, *[None] * (scans - 2), 17.0), node=True)
    elsewhere = at_every_scan([OtherTarget(tuple(20.0 - k for k in range(scans))), node], scans)
    word = NonTarget.PERSISTENT
    choi = ChoiAssessment(Response.SD, 4.2, -3.0)
    enhancing = at_every_scan([OtherTarget((*[30.0] * (scans - 1), 20.0))], scans)
    more = choi, word, mrecist_of(course, enhancing, word), enhancing
    return JudgedCourse(course, response_of(course, None, word, elsewhere), None, elsewhere, *more)


@pytest.mark.parametrize("scans", [2, 3])
def test_the_file_reads_back_to_what_was_written(result, scans):
    judged = course_of(result, scans=scans)
    again = course_of_json(course_json(judged))
    assert repr(again) == repr(judged)
    assert course_json(again) == course_json(judged)


@pytest.mark.parametrize("language", ["en", "de", "no", "fr"])
def test_without_dates_there_is_no_empty_column_and_the_reason_is_told(result, language):
    judged = course_of(result)
    last = judged.course.last
    dated = report_content(result, None, Options(language), judged=judged)
    undated = replace(last, prior=replace(last.prior, day=None))
    course = replace(judged.course, steps=(*judged.course.steps[:-1], undated))
    made = report_content(result, None, Options(language), judged=replace(judged, course=course))
    words = made.words
    heading = words("fu.head.doubling_days")
    assert heading in dated.follow_up.pairs.headings and heading not in made.follow_up.pairs.headings
    rows = (*made.follow_up.pairs.rows, *made.follow_up.pairs.small)
    assert {len(row) for row in rows} == {len(made.follow_up.pairs.headings)}
    assert (words("fu.days"), words("fu.no_days")) in made.follow_up.facts
    for text in (pdf_text(report_pdf(made)), report_text(made), Page(report_html(made)).text):
        flat = " ".join(text.split())
        assert words("fu.no_days") in flat and words("fu.head.doubling_days") not in flat
    name = last.prior.name
    assert (words("fu.prior"), words("fu.undated", name=name)) in made.follow_up.facts
    assert all(name not in value for _, value in dated.follow_up.facts)
    assert (words("fu.days"), words("fu.no_days")) not in dated.follow_up.facts


@pytest.mark.parametrize(("language", "scans"), [("en", 2), ("de", 3), ("no", 2), ("fr", 3)])
def test_page_pdf_and_text_hold_the_numbers_of_the_file(result, language, scans):
    judged = course_of(result, scans=scans, sure=language != "en")
    document = json.loads(course_json(judged))
    made = report_content(result, None, Options(language), judged=judged)
    words, part = made.words, made.follow_up
    page = report_html(made)
    forms = {"html": Page(page).text, "pdf": pdf_text(report_pdf(made)), "text": report_text(made)}
    rows = [r for r in Page(page).rows if len(r) == len(part.pairs.headings)][1:]
    assert len(rows) == len(document["pairs"]) == 4
    for row, pair, cells in zip(rows, document["pairs"], part.pairs.rows, strict=True):
        below = part.pairs.small[part.pairs.rows.index(cells)]
        assert tuple(row) == tuple(cell + small for cell, small in zip(cells, below, strict=True))
        for key, at, digits in (
            ("change_mm", 5, 1), ("change_percent", 6, 0), ("change_ml", 9, 2),
            ("change_volume_percent", 10, 0), ("doubling_days", 11, 0),
        ):  # fmt: skip
            shown = row[at].replace(",", ".")
            # A time of doubling is told of what has grown alone; the file has the arithmetic of all.
            told = pair[key] is not None and (key != "doubling_days" or pair["state"] == "grown")
            assert bool(shown) == told
            if shown:
                assert float(shown) == pytest.approx(pair[key], abs=0.5 * 10.0**-digits + 1e-9)
    sums = document["recist"]
    for name, said in forms.items():
        flat = " ".join(said.split())
        assert words("follow_up") in flat, name
        assert part.response in flat, name
        for mm in (sums["now_mm"], sums["baseline_mm"], sums["nadir_mm"]):
            assert words.number(mm, 1) in flat, name
        for row in part.pairs.rows:
            assert all(cell in flat for cell in row if cell), name
        assert all(small in flat for row in part.pairs.small for small in row), name
        for statement in (*part.statements, *part.warnings):
            assert statement in flat, (name, statement)
    other = next(one for one in part.statements if words("fu.node") in one)
    assert words.number(16.0, 1) in other and (words("state.not covered") in other) == (scans == 3)
    assert ("provisional" in part.response) == (language == "en")
    assert (part.over_time is not None) == (scans == 3)
    if scans == 3:
        # Which two scans are meant, in the language's words.
        assert part.warnings[0].startswith({"de": "scan 2 und now: ", "fr": "scan 2 et now : "}[language])
    if language != "en":
        assert words("in_english", s="") not in " ".join((*part.statements, *part.warnings))
        assert not re.search(
            "baseline|provisional|Overall|target|phase alone|lymph node|liver", " ".join(part.statements)
        )


@pytest.mark.parametrize("language", ["de", "no", "fr"])
def test_a_choice_of_targets_that_recist_does_not_make_is_said_in_each_language(result, language):
    small = [OtherTarget((9.0, 12.0))] * 6
    judged = course_of(result)
    others = at_every_scan(small, 2)
    judged = replace(judged, response=response_of(judged.course, elsewhere=others), elsewhere=others)
    part = report_content(result, None, Options(language), judged=judged).follow_up
    many, least = part.statements[5:7] if "6" in part.statements[5] else part.statements[6:8]
    assert {"2", "5", "6"} <= set(re.findall(r"\d+", many)) and "10 mm" in least and "15 mm" in least
    assert not re.search("here|target|measures", many + least)
    unlike = of_other_phases(judged.course, [Phase.UNENHANCED, Phase.PORTAL])
    for told, name in ((not_arterial(judged.course, [None, None]), "mRECIST"), (unlike, "Choi")):
        said = sentence(told, Language(language))
        assert name in said and all(point.name in said for point in judged.course.points)
        assert said != Language(language)("in_english", s=told) and "looks" not in said


def test_the_study_has_the_date_that_the_comparison_took_for_it(result):
    """A CT that is no DICOM: its date was "not known" above a comparison that has it."""
    words = Language("de")
    assert report_content(result, None, Options("de")).study_date == words("unknown")
    made = report_content(result, None, Options("de"), judged=course_of(result))
    assert made.study_date == dict(made.follow_up.facts)[words("fu.current")] == "02.03.2026"


def test_the_plot_is_on_the_page_in_its_language(result):
    made = report_content(result, None, Options("de"), judged=course_of(result))
    [svg] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', report_html(made))
    texts = [node.text for node in ET.fromstring(base64.b64decode(svg)) if node.tag.endswith("text")]
    assert {"Änderung vom Ausgangswert, %", "Läsion 1", "Summe"} <= set(texts)
    assert {"01.01.2026", "02.03.2026"} <= set(texts)
    assert not [text for text in texts if re.search(r"\d{4}-\d\d-\d\d", text or "")]


def test_findings_that_changed_since_lose_their_follow_up_and_it_is_said(result, tmp_path):
    rejected = replace(result.lesions[0], status=LesionStatus.REJECTED)
    changed = replace(result, lesions=(rejected, *result.lesions[1:]))
    made = report_content(changed, None, Options("fr"), judged=course_of(result))
    assert made.follow_up is None
    assert any("suivi" in warning for warning in made.warnings)
    said: list[str] = []
    export_case(changed, None, tmp_path, Export(text=True), judged=course_of(result), say=said.append)
    assert "before its findings changed" in said[0]


def test_scans_that_could_not_be_brought_into_line_are_told(result):
    judged = course_of(result)
    failed = (
        "Lesions could not be paired: the livers do not fit (Dice 0.41, outlines 19 mm apart). Is it the "
    )
    failed += "same patient?"
    step = replace(judged.course.last, pairs=(), failed=failed)
    judged = JudgedCourse(replace(judged.course, steps=(step,)), None)
    made = report_content(result, None, Options("no"), judged=judged)
    assert "0,41" in made.follow_up.failed and "samme pasient" in made.follow_up.failed
    for said in (Page(report_html(made)).text, pdf_text(report_pdf(made)), report_text(made)):
        assert made.follow_up.failed in " ".join(said.split())
        # But for the sum of all axes, which says that it is none of RECIST.
        assert "RECIST" not in said.replace("ingen RECIST-sum", "")


def groups(sr) -> list:
    report = hd.sr.MeasurementReport.from_sequence([sr])
    return [*report.get_volumetric_roi_measurement_groups(), *report.get_image_measurement_groups()]


def values(group) -> dict[str, float]:
    return {x.name.value: float(x.value) for x in group.get_measurements()}


def evaluations(group) -> dict[str, str]:
    return {x.name.value: x.value.value for x in group.get_qualitative_evaluations()}


@pytest.mark.parametrize("sure", [True, False])
def test_the_dicom_report_holds_the_numbers_of_the_file(result, sure, tmp_path):
    judged = course_of(result, sure=sure)
    document = json.loads(course_json(judged))
    _, _, sr = objects(result, source_of(result.geometry), judged=judged)
    if sure:
        valid_object(sr, tmp_path)
    found = groups(sr)
    by_label = {group.tracking_identifier: group for group in reversed(found)}
    pairs = {(*p["prior"], 0)[0] if not p["current"] else -p["current"][0]: p for p in document["pairs"]}
    for number in (1, 2, 3):
        pair, figures = pairs[-number], values(by_label[f"Lesion {number}"])
        for key, digits in (("change_mm", 1), ("change_percent", 1), ("change_ml", 3)):
            assert (key in figures) == (pair[key] is not None)
            if key in figures:
                assert figures[key] == pytest.approx(pair[key], abs=0.5001 * 10**-digits)
    assert evaluations(by_label["Lesion 1"]) == {"112016": "112074"}
    assert evaluations(by_label["Lesion 3"]) == {}
    assert values(by_label["Prior lesion 3"])["prior_long_axis"] == 11.7
    assert evaluations(by_label["Prior lesion 3"]) == {"112016": "112075"}
    sums = [group for group in found if group.tracking_identifier == "RECIST 1.1 targets"]
    recist = document["recist"]
    assert [round(values(g)["sum"], 1) for g in sums] == [
        recist["baseline_mm"], recist["nadir_mm"], recist["now_mm"],
    ]  # fmt: skip
    codes = evaluations(sums[-1])
    assert codes["112021"] == "126081"
    target = coded.TARGETS[Response(recist["targets"])][0]
    # What waits for the reader is no response: it stands there in words alone.
    assert codes.get("112048") == (target if sure else None)
    assert codes.get("non_target") == ("112046" if sure else None)
    texts = " ".join(e.value for e in sr.iterall() if e.keyword == "TextValue")
    assert recist["overall"] in texts and ("provisional" in texts) != sure
    assert "gone (proposed)" in texts or sure
    assert "Baseline" in [e.value for e in sr.iterall() if e.keyword == "CodeMeaning"]


def test_another_comparison_makes_another_object(result):
    source = source_of(result.geometry)
    made = {
        fingerprint(content_of(result, source, judged=judged))
        for judged in (None, course_of(result), course_of(result, sure=False))
    }
    assert len(made) == 3


def test_the_command_takes_the_follow_up_of_the_case_folder(result, tmp_path, capsys):
    case = tmp_path / "case"
    save_result(result, case)
    (case / "followup.json").write_text(course_json(course_of(result)), encoding="utf-8")
    assert repr(read_course(case)) == repr(course_of(result))
    out = tmp_path / "out"
    assert main(["export", str(case), "--out", str(out), "--report", "--text", "--language", "de"]) == 0
    assert "Verlauf" in (out / "report.txt").read_text(encoding="utf-8")
    assert "Verlauf" in Page((out / "report.html").read_text(encoding="utf-8")).text
    capsys.readouterr()
    (case / "followup.json").write_text(
        '{"format": "LiverLesionAI follow-up", "version": 1}', encoding="utf-8"
    )
    assert main(["export", str(case), "--out", str(tmp_path / "old"), "--text"]) == 0
    assert "without follow-up. Compare the scans again" in capsys.readouterr().out
    assert "Follow-up" not in (tmp_path / "old" / "report.txt").read_text(encoding="utf-8")


def test_every_state_and_category_has_its_word():
    for code in LANGUAGES[1:]:
        words = Language(code)
        for kind, members in (("state", LesionState), ("response", Response)):
            said = [words(f"{kind}.{one.value}") for one in members]
            assert len(set(said)) == len(said)
            same = {"stable"}  # in French too
            assert not {one.value for one in members} & set(said) - same


@pytest.mark.parametrize("in_current", [True, False])
def test_an_outline_round_several_lesions_is_told_with_its_parts(result, in_current):
    judged = course_of(result)
    course = judged.course
    ends = ((1, 2), (1,)) if in_current else ((1,), (1, 2))
    left = [
        Pair((3,), (), LesionState.GONE),
        *(Pair((), (n,), LesionState.NEW) for n in (2, 3) if n not in ends[1]),
    ]
    one = JoinedOutline(in_current, 1, (1, 2), (6.2, 8.0), (0.2, 0.4))
    step = replace(course.last, pairs=(Pair(*ends, LesionState.STABLE, 2.0), *left), joined=(one,))
    judged = replace(judged, course=replace(course, steps=(step,)))
    for language in LANGUAGES:
        made = report_content(result, None, Options(language), judged=judged)
        (said,) = (s for s in made.follow_up.warnings if "1 + 2" in s)
        assert "1: 6 mm" in said and "2: 8 mm" in said
        assert said in " ".join(Page(report_html(made)).text.split())
    assert course_of_json(course_json(judged)).course.last.joined == (one,)


@pytest.mark.parametrize("in_current", [True, False])
def test_an_outline_that_is_too_wide_is_a_question_in_each_language(result, in_current):
    judged = course_of(result)
    course, ends = judged.course, (((1, 2), (1,)) if in_current else ((1,), (1, 2)))
    one = Pair(*ends, LesionState.MERGED if in_current else LesionState.SPLIT, 2.0, wide=True)
    left = [Pair((3,), (), LesionState.GONE, by_reader=True)] + [
        Pair((), (n,), LesionState.NEW, by_reader=True) for n in (2, 3) if n not in ends[1]
    ]
    course = replace(course, steps=(replace(course.last, pairs=(one, *left)),))
    judged = replace(
        judged,
        course=course,
        response=response_of(course, None, judged.non_target),
        elsewhere=(),
        mrecist=None,
    )
    judged = replace(judged, enhancing=())
    for language in LANGUAGES:
        made, words = report_content(result, None, Options(language), judged=judged), Language(language)
        (said,) = (s for s in made.follow_up.warnings if "1 + 2" in s)
        assert said in " ".join(Page(report_html(made)).text.split())
        assert words("fu.proposed", state=words(f"state.{one.state.value}")) in made.follow_up.pairs.rows[0]
        assert words("fu.provisional") in made.follow_up.response
        if language != "en":
            assert words("in_english", s="") not in " ".join(made.follow_up.statements)
            assert not re.search("outline|together|Uncertain", said + " ".join(made.follow_up.statements))
    assert repr(course_of_json(course_json(judged))) == repr(judged)


def test_intervals_stand_in_small_type_beside_long_axis_and_volume(result):
    judged = course_of(result)
    first = judged.course.last.current.lesions[1]
    low, high = first.volume_interval_ml
    for language, other in (
        ("en", f"{low:.1f}-{high:.1f}"),
        ("de", f"{low:.1f}-{high:.1f}".replace(".", ",")),
    ):
        made = report_content(result, None, Options(language), judged=judged)
        row = next(r for r in made.rows if r.number == 1)
        assert (row.axes_interval, row.volume_interval) == ("20-26", other)
        own = intervals_of(result)
        assert all(r.axes_interval == made.words.interval(*own[r.number]) for r in made.rows if r.number > 1)
        table, heads = made.follow_up.pairs, [c.key for c in COLUMNS]
        small = dict(zip(heads, table.small[0], strict=True))
        assert small["prior_long_axis"] == "12-16" and small["long_axis"]
        assert small["volume"] == other and small["change_mm"] == small["number"] == ""
        page, text = report_html(made), report_text(made)
        for said in ("20-26", "12-16", other):
            assert f'<small class="below">{said}</small>' in page
        assert f"mm (20-26), {row.volume} {made.words('unit.ml')} ({other})" in text
        assert f"{made.words('fu.head.prior_long_axis')} {table.rows[0][3]} (12-16)" in text
        assert "12-16" in pdf_text(report_pdf(made)) and other in pdf_text(report_pdf(made))
        assert (made.words("intervals"), made.words("intervals_note")) in made.small_print
    without = report_content(replace(result, probabilities={}), None, Options("en"))
    assert "below" not in report_html(without).split("</style>")[1]
    assert "intervals" not in dict(without.small_print)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_a_pairs_heading_or_state_is_broken(language):
    """In the PDF a word that is wider than its column is cut in two."""
    pytest.importorskip("reportlab", reason="reportlab is not installed (the extra export)")
    from LiverLesionAILib.writing.report import pdf
    from reportlab.lib.units import mm
    from reportlab.pdfbase.pdfmetrics import stringWidth

    words, styles = Language(language), pdf._styles()
    states = [words("fu.proposed", state=words(f"state.{state.value}")) for state in LesionState]
    for widths in pdf._PAIR_WIDTHS_MM.values():
        columns = [c for c in COLUMNS if c.key != "doubling_days" or len(widths) == len(COLUMNS)]
        assert len(widths) == len(columns)
        heads = [words(f"fu.head.{column.key}") for column in columns]
        at = [column.key for column in columns].index("state")
        texts = [("head", k, head) for k, head in enumerate(heads)] + [("cell", at, said) for said in states]
        for style, column, text in texts:
            room = widths[column] * mm - 4  # both paddings
            for word in text.split():
                wide = stringWidth(word, styles[style].fontName, styles[style].fontSize)
                assert wide <= room, (text, word)
        assert sum(widths) == sum(pdf._WIDTHS_MM)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_change_of_a_fifth_that_is_called_stable_is_explained(result, language):
    """6 mm that are 10 mm now: less than RECIST's 5 mm, and five times the volume."""
    words, said = Language(language), {}
    for now_mm in (6.9, 10.2):
        judged = course_of(result)
        step = judged.course.last
        pair = next(p for p in step.pairs if len(p.prior) == len(p.current) == 1)
        points = [
            replace(point, lesions={**point.lesions, number: replace(point.lesions[number], long_axis_mm=mm)})
            for point, number, mm in (
                (step.prior, pair.prior[0], 6.0),
                (step.current, pair.current[0], now_mm),
            )
        ]
        pairs = (replace(pair, state=LesionState.STABLE),)
        step = replace(step, prior=points[0], current=points[1], pairs=pairs)
        judged = replace(judged, course=replace(judged.course, steps=(step,)))
        warnings = follow_up_part(judged, words).warnings
        said[now_mm] = [text for text in warnings if "20 %" in text]
        number = pair.current[0]
        # The terminal says it, too.
        english = STABLE_CHANGED.format(numbers=number)
        assert (english in course_text(judged)) == (now_mm == 10.2)
    assert said == {6.9: [], 10.2: [words("fu.stable_changed", numbers=number)]}


def test_the_terminal_marks_the_targets(result):
    judged = course_of(result)
    lines = course_text(judged).splitlines()[2:]
    marked = {pair.prior for pair, line in zip(judged.course.last.pairs, lines, strict=False) if "*" in line}
    assert marked == {(n,) for n in judged.chosen} and len(marked) == 2
    assert "* is a target of RECIST 1.1." in lines


def test_the_terminals_columns_stay_in_line_whatever_the_state_is_called(result):
    """'faint in one scan?' is longer than 'stable' and had pushed its row's sizes aside."""
    judged = course_of(result)
    step = judged.course.last
    pairs = (Pair((), (1,), LesionState.FAINT), *step.pairs[1:])
    long = replace(judged, course=replace(judged.course, steps=(replace(step, pairs=pairs),)))
    for one in (judged, long):
        lines = course_text(one).splitlines()[1 : 2 + len(pairs)]
        assert "long axis mm" in lines[0] and len({len(line) for line in lines}) == 1, lines
