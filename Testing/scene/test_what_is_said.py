"""What the panel and its reports say of lesions fits the lesions that are listed at the chosen threshold."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("slicer")

from LiverLesionAILib.case.attributes import ATTR_NOTES
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.case.messages import TOO_DARK
from LiverLesionAILib.case.wording import LIVER_CUT, messages, notes, told_of_listed
from LiverLesionAILib.review.case_view import CaseView, read_case
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.review.result_steps import show_steps
from LiverLesionAILib.review.threshold import apply_threshold
from LiverLesionAILib.scene.offline import add_ct, new_scene
from support.review_machine import small_ct
from support.scripted_result import result_of

SCORES = {1: 0.9, 2: 0.4, 3: 0.8, 4: 0.3, 5: 0.2}
"""By number, which is by size: the faint ones get other numbers when they are kept aside."""
AT_GALLBLADDER = (2, 3)


@pytest.fixture
def desk():
    """A scene with a case of five lesions of which two are listed, and how to show it."""
    scene, ct = new_scene(), small_ct()
    result = result_of(ct, "CT")
    lesions = tuple(
        replace(one, score=SCORES[one.number], at_gallbladder=one.number in AT_GALLBLADDER)
        for one in result.lesions
    )
    volume = add_ct(scene, ct)
    shown = [*show_steps(scene, volume, replace(result, lesions=lesions, messages=("Of the run.",)), 0.5)]

    def at(threshold: float) -> CaseView:
        return apply_threshold(scene, read_case(scene, volume), threshold)

    return at, lambda: reader_result(scene, volume), shown[-1]


def said(texts) -> list[str]:
    return [text for text in texts if "gallbladder" in text]


def test_only_listed_lesions_are_named_and_by_the_numbers_they_have(desk) -> None:
    at, report, _ = desk
    case = at(0.5)
    (listed,) = [row for row in case.rows if row.at_gallbladder]
    assert listed.number == 2 and listed.score == 0.8, "the third before the second was kept aside"
    (told,) = said(case.notes)
    assert told.startswith("Lesion 2 lies at the gallbladder")
    assert said(notes(report())) == [told] and "Of the run." in notes(report())


def test_it_follows_the_threshold(desk) -> None:
    at, report, _ = desk
    case = at(0.35)
    numbers = [row.number for row in case.rows if row.at_gallbladder]
    assert len(numbers) == 2
    (told,) = said(case.notes)
    assert told.startswith(f"Lesions {numbers[0]}, {numbers[1]} lie at the gallbladder")
    assert said(notes(report())) == [told]
    case = at(0.85)
    assert len(case.rows) == 1 and said(case.notes) == said(notes(report())) == []


def test_what_makes_all_findings_doubtful_comes_first(desk) -> None:
    at, _, _ = desk
    case = at(0.35)
    doubt = TOO_DARK.say(hu=-18.0)
    case.table.SetAttribute(ATTR_NOTES, json.dumps(["Of the run.", doubt]))
    assert at(0.35).notes[0] == doubt


def test_an_empty_table_is_explained_as_long_as_it_is_empty(desk) -> None:
    at, report, made = desk
    assert made.notes == ("Of the run.",)
    kept = "No lesion reached the threshold. 5 fainter spots were kept aside (best 0.90)"
    case = at(0.95)
    assert not case.rows and case.notes[-1].startswith(kept) and notes(report())[-1] == case.notes[-1]
    case = at(0.5)
    assert not any("No lesion reached" in note for note in (*case.notes, *notes(report())))


def test_rejected_lesions_and_outlines_that_are_no_proposal_are_not_told_of() -> None:
    ct = small_ct()
    result = result_of(ct, "CT")
    first = replace(result.lesions[0], at_gallbladder=True, source=LesionSource.BOX)
    assert len(told_of_listed([first], result.geometry)) == 2
    for status in (LesionStatus.REJECTED, LesionStatus.NOT_LIVER):
        assert told_of_listed([replace(first, status=status)], result.geometry) == ()
    # What an older version kept with the case is not said twice.
    kept = replace(result, lesions=(first,), messages=told_of_listed([first], result.geometry))
    assert messages(kept) == told_of_listed([first], result.geometry)


def test_a_cyst_beside_metastases_is_doubted_until_the_reader_says_so() -> None:
    """A small necrotic metastasis looks like one; alone, or beside one metastasis, nothing is said."""
    ct = small_ct()
    first = result_of(ct, "CT").lesions[0]
    told = [replace(first, number=n, model_class=name) for n, name in enumerate("mmmcc", start=1)]
    names = {"m": "metastasis", "c": "cyst"}
    told = [replace(x, model_class=names[x.model_class], box=replace(first.box)) for x in told]

    def said(lesions) -> list[str]:
        return [text for text in told_of_listed(lesions, ct.geometry) if "cyst" in text]

    assert said(told[:4])[0].startswith("Lesion 4 is called a cyst beside 3 metastases: small or necrotic")
    assert said(told)[0].startswith("Lesions 4, 5 are called a cyst beside 3 metastases")
    assert said(told[2:]) == said(told[:3]) == []
    assert said([*told[:3], replace(told[3], reader_class="cyst")]) == []
    rejected = [replace(x, status=LesionStatus.REJECTED) for x in told[:2]]
    assert said([*rejected, *told[2:]]) == []


@pytest.mark.parametrize("flipped", [False, True], ids=["feet first", "head first"])
@pytest.mark.parametrize(("low", "cut"), [(0, True), (1, False), (11, False), (12, True)])
def test_a_lesion_that_the_scan_cuts_is_told_of(low: int, cut: bool, flipped: bool) -> None:
    """Its sizes are those of the part that is shown, whichever way the slices are stored."""
    ct = small_ct()
    array = np.where(ct.hu_zyx > 1000, 1000, ct.hu_zyx)
    array[low : low + 4, 5:9, 6:10] = 1001
    if flipped:
        axes = ct.geometry.directions_lps.copy()
        axes[:, 2] *= -1
        array, ct = array[::-1].copy(), replace(ct, geometry=replace(ct.geometry, directions_lps=axes))
    result = result_of(replace(ct, hu_zyx=array), "CT")
    (lesion,) = result.lesions
    told = [text for text in notes(result) if "first or last slice" in text]
    begin = "Lesion 1 reaches the first or last slice: what lies beyond is not seen"
    assert [text.startswith(begin) for text in told] == ([True] if cut else [])
    both = told_of_listed([lesion, replace(lesion, number=4)], result.geometry)
    assert any(text.startswith("Lesions 1, 4 reach") for text in both) == cut
    # That the liver is cut there is said once, however little of it lies on that slice.
    assert sum(text.startswith("The scan ends within the liver, at lesion 1, 4:") for text in both) == cut
    assert len(told_of_listed([lesion], result.geometry, [LIVER_CUT])) == cut
    assert sum("part that is shown" in text for text in messages(result)) == cut
    assert sum("part that is shown" in text for text in messages(replace(result, messages=(LIVER_CUT,)))) == 1


def test_what_the_threshold_leaves_out_is_pointed_at_as_long_as_it_does(desk) -> None:
    """The panel analyses down to faint lesions: they are places to look at until they are listed."""
    at, report, _ = desk
    for threshold, wanted in ((0.5, [0.4, 0.3, 0.2]), (0.25, [0.2]), (0.1, []), (0.85, [0.8, 0.4, 0.3, 0.2])):
        case = at(threshold)
        assert [place.score for place in case.doubtful] == pytest.approx(wanted)
        assert [place.score for place in report().doubtful] == pytest.approx(wanted)
        assert all(2.0 < place.diameter_mm < 30.0 for place in case.doubtful)
    assert len(at(0.95).doubtful) == 5 and at(0.95).doubtful[0].score == 0.9
