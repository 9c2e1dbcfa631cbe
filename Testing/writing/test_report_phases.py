"""What is said of contrast phases is said in the report's language, whatever it is put together of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.phase.hints import Hint, against_the_reader, hint_sentences
from LiverLesionAILib.writing.report.sentences import sentence
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language

PHASES = tuple(Phase)
WHAT = {
    "is called portal venous": (Phase.PORTAL,),
    "by its header was taken 25 s after the injection began (arterial)": (Phase.ARTERIAL,),
    "by its header was taken with contrast medium": (Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED),
    "by its header was taken without contrast medium": (Phase.UNENHANCED,),
}


def looking(phase: Phase, share: float) -> np.ndarray:
    """Probabilities by the picture alone."""
    rest = (1 - share) / (len(PHASES) - 1)
    return np.array([share if one is phase else rest for one in PHASES])


def said_of(who: str) -> list[str]:
    """All kinds of sentences, by the functions that make them."""
    made = []
    for what, phases in WHAT.items():
        for odds in (2.0, 500.0):
            hint = Hint(phases, odds, what)
            for phase in PHASES:
                for share in (0.95, 0.4):
                    made += hint_sentences(who, looking(phase, share), [hint], 0.8)
                made += against_the_reader(who, phase, [hint])
    return made


@pytest.mark.parametrize("who", ["The CT", "Phase late (5 mm)"])
def test_hints_are_told_in_every_language(who: str) -> None:
    made = said_of(who)
    assert len(set(made)) > 20 and any("It is taken for" in one for one in made)
    assert any("not surely" in one for one in made) and any("was named" in one for one in made)
    for code in LANGUAGES[1:]:
        words = Language(code)
        assert [one for one in made if sentence(one, words) == words("in_english", s=one)] == []


def test_the_words_of_a_phase_are_the_languages_own() -> None:
    german = sentence(
        "The CT is called arterial but looks unenhanced (0.95): check which it is. It is taken for arterial.",
        Language("de"),
    )
    assert (
        german
        == "Die CT heißt arteriell, wirkt aber nativ (0,95): bitte prüfen. Sie gilt hier als arteriell."
    )


@pytest.mark.parametrize(
    "said",
    [
        "The arterial phase (early) could not be brought into line with the first and was not used. Is it of "
        "the same patient, and does it show the liver?",
        "Phase early: arterial as named, moved by 3.1 mm on average to lie on the first; classes come from "
        "both.",
        "Phase early was named arterial but looks delayed (0.91): check which it is.",
        "The scan is portal venous; classes were learnt in the arterial phase and are less reliable here.",
        "No liver was found in thorax 1.5 mm. Check that it is a CT of the abdomen in Hounsfield units; "
        "nothing was marked.",
    ],
)
def test_other_sentences_of_a_named_phase_or_an_empty_scan(said: str) -> None:
    for code in LANGUAGES[1:]:
        words = Language(code)
        assert sentence(said, words) not in (said, words("in_english", s=said))


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_phase_that_is_not_sure_is_called_uncertain_where_it_stands(code: str) -> None:
    """Not in the small print alone: 'delayed' at 0.36 had stood among the technique like any other."""
    from LiverLesionAILib.case.findings import PhaseEstimate
    from LiverLesionAILib.writing.report.content import Options, report_content
    from support.case_factory import small_case

    result, words = small_case()[1], Language(code)
    for probability, named, key in ((0.36, False, "phase_unsure"), (0.9, False, "phase_note")):
        seen = replace(result, phase=PhaseEstimate("delayed", probability, named=named))
        told = report_content(seen, None, Options(language=code))
        assert (dict(told.liver)[words("fat")] == words("fat_doubt")) == (key == "phase_unsure")
        said = dict(told.technique)[words("phase")]
        assert said == f"{words('phase.delayed')} ({words(key, p=words.chance(probability))})"
    named = replace(result, phase=PhaseEstimate("delayed", 0.36, named=True))
    said = dict(report_content(named, None, Options(language=code)).technique)[words("phase")]
    assert words("phase_named") in said
