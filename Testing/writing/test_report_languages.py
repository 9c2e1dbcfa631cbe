"""The report's languages: every text, number and sentence of the analysis in each of them."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.findings import Box, LesionSource
from LiverLesionAILib.case.wording import fainter_kept, notes, told_of_listed
from LiverLesionAILib.reading.slices import SliceStack, _gap_sentence
from LiverLesionAILib.stages.classify.stage import NETWORK_NOT_VALIDATED, NOT_VALIDATED
from LiverLesionAILib.stages.measure.plausible import BodyMeasures, PlausibleSettings, implausible
from LiverLesionAILib.stages.neighbours.gallbladder import Separated
from LiverLesionAILib.stages.neighbours.gallbladder import messages as gallbladder_messages
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.reading_messages import FURTHER_PHASE, ONE_OF_SEVERAL, SECOND_PHASE, of_phase
from LiverLesionAILib.writing.report import header_texts
from LiverLesionAILib.writing.report.sentences import REASONS, SENTENCES, reasons, sentence
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language, keys, texts
from support.case_factory import small_case
from support.report_pages import content

PLAUSIBLE = Rules().part(PlausibleSettings)


GRID = Geometry.make((30, 60, 60), (3.0, 1.5, 1.5), (-45.0, -45.0, -45.0))


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


def fields(template: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", template))


class TestSentencesOfTheAnalysis:
    @pytest.mark.parametrize("table", [SENTENCES, REASONS], ids=["sentences", "reasons"])
    def test_every_translation_keeps_the_figures(self, table):
        for english, others in table.items():
            assert len(others) == len(LANGUAGES) - 1
            assert all(fields(text) == fields(english) for text in others), english
            assert not any("} mL" in text for text in others), "elsewhere it is ml in these languages"
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
        spread = [replace(first, number=n, model_class="metastasis") for n in (1, 2)]
        cysts = [replace(first, number=n, model_class="cyst") for n in (3, 4)]
        said = [
            NOT_VALIDATED,
            *(text for n in (1, 2) for text in told_of_listed([*spread, *cysts[:n]], GRID)),
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

    @pytest.mark.parametrize("which", [SECOND_PHASE, FURTHER_PHASE, "Phase portal"])
    def test_what_is_said_of_a_further_phase_leads_in_the_reports_language(self, which):
        said = ONE_OF_SEVERAL.say(name="3", n=2, name_now="late, 1.2 mm")
        _, result = small_case()
        shown = content("de", replace(result, messages=("Rest.", of_phase(which, said))))
        wanted = {SECOND_PHASE: "Zweite Phase", FURTHER_PHASE: "Weitere Phase"}
        begin = f"{wanted.get(which, 'Phase portalvenös')}: Serie 3 "
        assert [text.startswith(begin) for text in shown.leading] == [True]
        assert "englisch" not in shown.leading[0] and "late, 1.2 mm" in shown.leading[0]
        odd = of_phase(which, "The header was odd.")
        assert sentence(odd, Language("fr")) == f"(en anglais) {odd}" and sentence(odd, Language("en")) == odd

    def test_what_is_not_known_stays_english_and_says_so(self):
        _, result = small_case()
        result = replace(result, messages=("The file's header was odd.",))
        assert content("de", result).warnings == ("(englisch) The file's header was odd.",)
        assert content("en", result).warnings == ("The file's header was odd.",)


def sentences_of(folder: Path) -> set[str]:
    """Every text of the code in a folder, fields as {}."""
    found = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [x.value if isinstance(x, ast.Constant) else "{}" for x in node.values]
                found.add("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_what_is_translated_of_headers_is_what_the_readers_of_files_say():
    """A remark that is reworded there would stay English in the report, and nobody would be told."""
    folder = Path(header_texts.__file__).parents[2] / "reading"
    said = sentences_of(folder)
    for english in header_texts.HEADER_SENTENCES:
        form = re.sub(r"\{\w+\}", "{}", english).replace("{} follow the", "{} byte{} follow the")
        assert form in said, english


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_a_header_with_two_voxel_sizes_is_told_in_the_language(code: str):
    said = sentence(
        "The header gives two voxel sizes: 3 x 3 x 3 mm by its sform, 3 x 3 x 5 mm by pixdim. The sform was "
        "taken; check a known length, and volumes, before you trust sizes.",
        Language(code),
    )
    assert "3 x 3 x 3 mm" in said and "3 x 3 x 5 mm" in said and "The header" not in said
    assert said != Language(code)("in_english", s=said)


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_missing_and_uneven_slices_are_told_in_the_language(code: str):
    words = Language(code)
    for places_mm in ((0, 8, 16, 32, 40, 56, 64), (0, 5, 10.4, 15, 19.8, 25)):
        positions = np.array([(0.0, 0.0, float(mm)) for mm in places_mm])
        stack = SliceStack(positions, np.array((1.0, 0.0, 0.0)), np.array((0.0, 1.0, 0.0)), (1.0, 1.0))
        english = _gap_sentence(stack, 8.0)
        said = sentence(english, words)
        assert words("in_english", s="") not in said
        assert "between" not in said and " and " not in said and not re.search(r"\d\.\d", said)
        assert len(re.findall(r"\d+", said)) == len(re.findall(r"\d+", english))
    thick = sentence("The slices are 8.0 mm apart; lesions smaller than that may be missed.", words)
    assert "8,0" in thick and words("in_english", s="") not in thick
