"""The reader's word on pairs: linked, unlinked, confirmed; kept as text and laid over any new pairing."""

from __future__ import annotations

import json
from datetime import date

import pytest
from LiverLesionAILib.case.alignment import KeptAlignment
from LiverLesionAILib.case.comparison import NOTHING, ReaderWords, laid_on, with_reader_words
from LiverLesionAILib.case.criteria import Diagnosis
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.followup_columns import CHANGES
from LiverLesionAILib.case.other_targets import OtherTarget
from LiverLesionAILib.case.recist import NonTarget


def point(name: str, axes: dict[int, float]) -> TimePoint:
    sizes = {n: LesionSize(n, f"{name}{n}", mm, mm, 1.0) for n, mm in axes.items()}
    return TimePoint(name, None, sizes, 1.0)


FOUND = FollowUp(
    point("a", {1: 20.0, 2: 12.0}),
    point("b", {1: 30.0, 2: 12.0}),
    (
        Pair((1,), (1,), LesionState.GROWN),
        Pair((), (2,), LesionState.NEW),
        Pair((2,), (), LesionState.GONE),
    ),
)


def said(words: ReaderWords) -> dict:
    return {(p.prior, p.current): (p.state.value, p.by_reader) for p in with_reader_words(FOUND, words).pairs}


def test_a_link_and_an_unlink():
    words = ReaderWords().linking("a2", "b2")
    assert said(words)[(2,), (2,)] == ("stable", True)
    words = words.unlinking("a1", "b1")
    assert said(words)[(1,), ()] == ("gone", True) and said(words)[(), (1,)] == ("new", True)
    # The newest of two that contradict each other.
    assert said(words.linking("a1", "b1"))[(1,), (1,)] == ("grown", True)


def test_proposals_are_confirmed_one_by_one():
    assert said(ReaderWords().linking(NOTHING, "b2"))[(), (2,)] == ("new", True)
    assert said(ReaderWords().linking("a2", NOTHING))[(2,), ()] == ("gone", True)
    apart = said(ReaderWords().linking("a1", NOTHING))
    assert apart[(1,), ()] == ("gone", True) and apart[(), (1,)] == ("new", False)


@pytest.mark.parametrize(("dragged", "target", "one"), [
    (((2,), ()), ((), (3,)), (2, 3)),
    (((), (3,)), ((2,), ()), (2, 3)),
    (((2,), ()), ((1,), (1,)), (2, 1)),
    (((), (3,)), ((1,), (1,)), (1, 3)),
    (((1,), (1,)), ((2,), ()), (2, 1)),
    (((1,), (1,)), ((), (3,)), (1, 3)),
    # Of two whole pairs: what the dragged one was is now the other.
    (((1,), (1,)), ((4,), (5,)), (1, 5)),
    # Two lesions of one scan, one row, several lesions in a row.
    (((2,), ()), ((4,), ()), None),
    (((), (2,)), ((), (3,)), None),
    (((1,), (1,)), ((1,), (1,)), None),
    (((2,), ()), ((1, 3), (1,)), None),
    (((1,), (1, 2)), ((), (3,)), None),
])  # fmt: skip
def test_a_row_laid_on_another_says_which_lesions_are_one(dragged, target, one):
    state = LesionState.STABLE
    assert laid_on(Pair(*dragged, state), Pair(*target, state)) == one


OTHERS = OtherTarget((31.5, 28.0)), OtherTarget((16.0, None), node=True)


def test_words_are_kept_as_text_and_lesions_that_went_are_let_be():
    words = ReaderWords(
        (("a9", "b1"), ("a2", "b2")),
        ("a1",),
        NonTarget.PERSISTENT,
        OTHERS,
        date(2026, 1, 2),
        diagnosis=Diagnosis.HCC,
        enhancing=(OtherTarget((30.0, 0.0)),),
    )
    assert ReaderWords.from_text(words.text) == words
    earlier = json.loads(words.text)
    for later in ("nodes", "diagnosis", "enhancing"):
        del earlier[later]
    known = ReaderWords.from_text(json.dumps(earlier))
    assert known.diagnosis is None and known.enhancing == ()
    told = known.elsewhere
    assert [one.axes_mm for one in told] == [one.axes_mm for one in OTHERS]
    assert not any(one.node for one in told), "what a scene of an earlier version says"
    assert ReaderWords.from_text("{broken") == ReaderWords.from_text(None) == ReaderWords()
    assert (1,) in [p.prior for p in with_reader_words(FOUND, words).pairs]


def test_columns_say_what_changed_and_nothing_where_there_is_nothing():
    texts = {c.key: [c.text(FOUND, pair) for pair in FOUND.pairs] for c in CHANGES}
    assert texts["change_mm"] == ["+10.0", "", ""] and texts["change_percent"] == ["+50", "", ""]
    assert texts["state"] == ["grown", "new", "gone"] and texts["prior_long_axis"] == ["20.0", "", "12.0"]


def test_a_failed_registration_is_kept_too():
    kept = KeptAlignment.from_text(KeptAlignment(None, "The livers do not fit.", ("Other phase.",)).text)
    assert kept is not None and kept.movement is None
    assert (kept.failed, kept.warnings) == ("The livers do not fit.", ("Other phase.",))
    assert KeptAlignment.from_text("") is None and KeptAlignment.from_text("{}") is None
