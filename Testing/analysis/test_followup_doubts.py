"""What is doubtful about two scans, and what a response is worth until the reader has gone through it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from LiverLesionAILib.analysis.followup import (
    Examined,
    follow_up,
    in_order,
    response,
    same_scan,
)
from LiverLesionAILib.case.comparison import NOTHING, REMOVED, ReaderWords, key_of, with_reader_words
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.case.followup import (
    LesionState,
    provisional,
)
from LiverLesionAILib.case.followup_json import course_of_json
from LiverLesionAILib.case.recist import Response
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.report.sentences import sentence
from LiverLesionAILib.writing.report.strings import Language
from support.follow_up_bodies import body, decided, json_of, text_of


def test_another_patient_is_told(first):
    other = body({1: ((0, 0, 0), 8.0)}, seed=4)
    stretched = Geometry.make(other.result.geometry.shape_zyx, (4.0, 1.4, 4.2), (-200, -60, -70))
    other = Examined(
        replace(other.result, geometry=stretched), CtVolume(other.volume.hu_zyx, stretched, "other")
    )
    found = follow_up(first, other)
    assert found.failed or any("fit badly" in warning for warning in found.warnings)


@pytest.mark.usefixtures("unbent")
def test_the_same_scan_twice_is_stable(first):
    found = follow_up(first, first)
    assert any("same scan" in warning for warning in found.warnings)
    assert {pair.state for pair in found.pairs} == {LesionState.STABLE}
    assert response(found).overall is Response.SD


@pytest.mark.usefixtures("registered")
def test_files_that_name_another_patient_are_told_without_a_name(first, second):
    one, other = (DicomSource((), patient_id=f"SECRET{k}", patient_sex="F") for k in (1, 2))
    found = follow_up(replace(first, source=one), replace(second, source=other))
    assert any("patient ID differs" in warning for warning in found.warnings)
    assert "SECRET" not in " ".join(found.warnings)


@pytest.mark.usefixtures("registered")
def test_wrong_order(first, second):
    found = follow_up(replace(first, day=second.day), replace(second, day=first.day))
    assert any("wrong way round" in warning for warning in found.warnings)
    assert found.days == -30


def test_no_liver(first, second):
    nothing = replace(first, result=replace(first.result, liver_zyx=np.zeros_like(first.result.liver_zyx)))
    found = follow_up(nothing, second)
    assert "no liver" in found.failed
    assert response(found) is None
    assert "no liver" in text_of(found, None)


@pytest.mark.usefixtures("registered")
def test_response_is_provisional_until_the_reader_has_confirmed(first, second, compared):
    judged = response(compared)
    assert judged.overall in (Response.PD, Response.SD)
    assert "not reviewed" in judged.provisional
    assert "not confirmed" in judged.provisional
    confirmed = follow_up(*(decided(e, LesionStatus.ACCEPTED) for e in (first, second)))
    assert "not reviewed" not in provisional(confirmed).text
    assert "not confirmed" in provisional(confirmed).text


def test_the_same_images_are_the_same_scan(first, second):
    images = [DicomSlice("1.2", f"1.2.{k}") for k in range(4)]
    one, other = (replace(e, source=DicomSource(tuple(images[:2]))) for e in (first, second))
    assert same_scan(one, other)
    assert not same_scan(one, replace(other, source=DicomSource(tuple(images[2:]))))
    assert same_scan(first, replace(first, day=None))
    assert not same_scan(first, second)
    noisy = replace(first, volume=replace(first.volume, hu_zyx=first.volume.hu_zyx + 1))
    assert not same_scan(first, noisy)


def test_earlier_scans_are_put_in_order(first):
    days = [replace(first, day=date(2026, month, 1)) for month in (3, 1, 2)]
    ordered, said = in_order(days)
    assert [scan.day.month for scan in ordered] == [1, 2, 3]
    assert "order of their dates" in said[0]
    assert in_order([days[0], days[2], days[1]])[1] == []
    undated, said = in_order([days[0], replace(days[1], day=None)])
    assert [scan.day for scan in undated] == [None, days[0].day]
    assert "in the order given" in said[0]
    with pytest.raises(ValueError, match="no earlier scan"):
        in_order([])


def test_what_was_resected_is_no_response(first):
    """The registration presses the removed part into the rest: its lesions are resected, and not gone."""
    geometry = first.result.geometry
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    removed = lps[..., 0] < -20.0
    liver = first.result.liver_zyx & ~removed
    labels = np.where(removed, 0, first.result.lesion_labels_zyx).astype(np.uint16)
    hu = np.where(first.result.liver_zyx & removed, -60.0, first.volume.hu_zyx).astype(np.float32)
    lesions = measure_case(labels, liver, hu, geometry)
    result = replace(first.result, liver_zyx=liver, lesion_labels_zyx=labels, lesions=lesions)
    found = follow_up(first, Examined(result, CtVolume(hu, geometry, "after"), day=date(2026, 3, 1)))
    assert not found.failed
    out = {x.number for x in first.result.lesions} - {x.number for x in lesions}
    assert out and lesions
    states = {n: pair.state for pair in found.pairs for n in pair.prior}
    assert {states[n] for n in out} == {LesionState.RESECTED}
    assert all(pair.proposed for pair in found.pairs if set(pair.prior) & out)
    assert {states[x.number] for x in lesions} == {LesionState.STABLE}
    (said,) = (warning for warning in found.warnings if "no liver any more" in warning)
    assert all(str(n) in said for n in out)
    assert "keine Leber mehr" in sentence(said, Language("de"))
    judged = response(found)
    assert judged is not None and judged.overall is Response.NE, "its size says nothing of response"
    assert "treated" in " ".join(judged.arithmetic)
    # By the reader's word it is resected, or gone after all; the file keeps which.
    number = min(out)
    key = key_of(found.prior.lesions[number])
    for current_key, state in ((REMOVED, LesionState.RESECTED), (NOTHING, LesionState.GONE)):
        words = ReaderWords().linking(key, NOTHING).linking(key, current_key)
        said = with_reader_words(found, ReaderWords.from_text(words.text))
        (pair,) = (pair for pair in said.pairs if number in pair.prior)
        assert (pair.state, pair.by_reader, pair.proposed) == (state, True, False)
        again = course_of_json(json_of(said, response(said))).course
        assert pair.state in {p.state for p in again.last.pairs if p.by_reader and p.prior == pair.prior}
        (track,) = (track for track in again.tracks if number in track.numbers[0])
        assert track.resected == (frozenset({1}) if state is LesionState.RESECTED else frozenset())
    assert "resected?" in text_of(found, judged)
