"""A lesion as tags and back, on segments and boxes alike."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.case import tags
from LiverLesionAILib.case import terminology as terms
from LiverLesionAILib.case.anatomy import (
    CouinaudSegment,
    LesionAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
    read_segments,
)
from LiverLesionAILib.case.findings import Lesion, LesionSource, LesionStatus
from support.results import any_lesion, measured_result


@given(any_lesion())
def test_what_is_written_is_read(lesion: Lesion):
    back = tags.read(tags.write(lesion))
    for field in (
        "number",
        "source",
        "status",
        "edited",
        "tracking_uid",
        "note",
        "model_class",
        "reader_class",
        "shown_class",
    ):
        assert getattr(back, field) == (getattr(lesion, field) or type(getattr(back, field))()), field
    assert back.score == pytest.approx(lesion.score, abs=1e-4)
    assert back.box.centre_lps == pytest.approx(lesion.box.centre_lps, rel=1e-6, abs=1e-6)
    assert back.box.size_xyz_mm == pytest.approx(lesion.box.size_xyz_mm, rel=1e-6)
    assert (back.class_box is None) == (lesion.class_box is None)
    written = tags.write(lesion).get(tags.TAG_AXES, "")
    assert (tags.parse_axes(written) is None) == (lesion.measurement is None)


@given(any_lesion())
def test_empty_texts_are_left_out_and_missing_ones_read_like_empty_ones(lesion: Lesion):
    written = tags.write(lesion)
    assert "" not in written.values()
    assert set(written) <= set(tags.LESION_TAGS), "a segment is read by these names"
    everything = dict.fromkeys(
        (
            terms.TAG_EDITED,
            terms.TAG_CLASS,
            terms.TAG_READER_CLASS,
            terms.TAG_NOTE,
            terms.TAG_CLASS_BOX,
            terms.TAG_PROBABILITIES,
            tags.TAG_TRACKING_UID,
            tags.TAG_AXES,
        ),
        "",
    )
    assert tags.read({**everything, **written}) == tags.read(written)


@pytest.mark.parametrize(
    ("said", "status", "edited"),
    [
        ("AI", LesionStatus.UNDECIDED, False),
        ("edited", LesionStatus.UNDECIDED, True),
        ("accepted", LesionStatus.ACCEPTED, False),
        ("rejected", LesionStatus.REJECTED, False),
        ("not_liver", LesionStatus.NOT_LIVER, False),
        ("", LesionStatus.UNDECIDED, True),
    ],
)
def test_the_status_of_version_0_1_is_read(said, status, edited):
    lesion = tags.read({terms.TAG_STATUS: said, terms.TAG_NUMBER: "3"})
    assert (lesion.status, lesion.edited, lesion.number) == (status, edited, 3)


@pytest.mark.parametrize(("status", "edited", "slicer"), [
    ("undecided", False, "notstarted"), ("undecided", True, "inprogress"), ("accepted", False, "completed"),
    ("accepted", True, "completed"), ("treated", False, "completed"), ("rejected", False, "flagged"),
    ("not_liver", True, "flagged"),
])  # fmt: skip
def test_decisions_are_mirrored_in_slicers_own_status(status, edited, slicer):
    lesion = replace(measured_result().lesions[0], status=LesionStatus(status), edited=edited)
    written = tags.write(lesion)
    assert written["Segmentation.Status"] == slicer
    assert tags.read(written).status is lesion.status


@pytest.mark.parametrize(("own", "slicer", "read"), [
    ("undecided", "completed", "accepted"), ("undecided", "inprogress", "undecided"),
    ("rejected", "completed", "accepted"), ("rejected", "notstarted", "undecided"),
    ("accepted", "notstarted", "undecided"), ("treated", "completed", "treated"),
    ("accepted", "inprogress", "undecided"), ("not_liver", "completed", "not_liver"),
    ("rejected", "", "rejected"), ("accepted", "somethingnew", "accepted"),
])  # fmt: skip
def test_slicers_status_is_followed_where_it_was_changed(own, slicer, read):
    said = {terms.TAG_STATUS: own, terms.TAG_SLICER_STATUS: slicer, terms.TAG_NUMBER: "1"}
    assert tags.read(said).status.value == read


@pytest.mark.parametrize("own", ["undecided", "accepted", "treated"])
def test_a_flag_asks_for_another_look_and_takes_no_finding_out(own):
    said = {terms.TAG_STATUS: own, terms.TAG_SLICER_STATUS: "flagged", terms.TAG_NUMBER: "1"}
    assert tags.read(said).status is LesionStatus.UNDECIDED


@given(
    st.dictionaries(
        st.sampled_from(
            [
                terms.TAG_NUMBER,
                terms.TAG_SCORE,
                tags.TAG_BOX,
                tags.TAG_AXES,
                terms.TAG_STATUS,
                terms.TAG_SOURCE,
                terms.TAG_PROBABILITIES,
            ]
        ),
        st.text(max_size=20),
    )
)
def test_damaged_tags_count_as_missing(damaged):
    lesion = tags.read(damaged)
    assert isinstance(lesion.status, LesionStatus) and isinstance(lesion.source, LesionSource)
    assert lesion.number >= 0


def test_a_lesion_without_a_box_lies_nowhere():
    lesion = tags.read({})
    assert lesion.source is LesionSource.READER and math.isnan(lesion.centre_lps[0])


def test_decisions_in_words():
    lesion = measured_result().lesions[0]
    assert lesion.status_text == "undecided"
    assert replace(lesion, edited=True).status_text == "edited"
    assert replace(lesion, edited=True, status=LesionStatus.NOT_LIVER).status_text == "not liver, edited"
    counted = {status for status in LesionStatus if status.counts}
    assert counted == {LesionStatus.UNDECIDED, LesionStatus.ACCEPTED, LesionStatus.TREATED}


def test_a_lesions_place_and_what_the_reader_says_of_it_are_read_back():
    shares = (SegmentShare(CouinaudSegment.VII, 0.82, 0.9), SegmentShare(CouinaudSegment.V, 0.18, 0.2))
    place = LesionAnatomy(shares, (VesselContact(Vessel.IVC, 0.0, 14.0, 118.0),))
    lesion = replace(measured_result().lesions[0], anatomy=place)
    assert tags.read(tags.write(lesion)).anatomy == place
    said = replace(lesion, anatomy=place.with_reader(read_segments("viii, IV")))
    written = tags.write(said)
    assert written[tags.TAG_READER_SEGMENTS] == "VIII, IVa, IVb"
    assert tags.read(written).anatomy == said.anatomy
    # Without the reader's tag the computed place is back; without a computed one the reader's stands alone.
    assert tags.read({**written, tags.TAG_READER_SEGMENTS: ""}).anatomy == place
    alone = tags.read({tags.TAG_READER_SEGMENTS: "VI", tags.TAG_ANATOMY: "{damaged"}).anatomy
    assert alone == LesionAnatomy(reader_segments=(CouinaudSegment.VI,))
    assert tags.read({tags.TAG_READER_SEGMENTS: "IX", tags.TAG_ANATOMY: "[]"}).anatomy is None
