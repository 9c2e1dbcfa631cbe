"""Words, codes and shares of the liver's anatomy."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import (
    CouinaudSegment,
    LesionAnatomy,
    LiverAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
    shares_text,
    widened_text,
)
from LiverLesionAILib.stages.anatomy.relations import lesion_shares
from LiverLesionAILib.volume.geometry import Geometry


def test_codes_are_dicoms() -> None:
    codes = pytest.importorskip("pydicom.sr.codedict").codes.SCT
    for segment, name in (
        (CouinaudSegment.I, "I"),
        (CouinaudSegment.IVB, "IV"),
        (CouinaudSegment.VII, "VII"),
        (CouinaudSegment.VIII, "VIII"),
    ):
        known = getattr(codes, f"CouinaudHepaticSegment{name}")
        assert segment.code == f"SCT^{known.value}^{known.meaning}"
    for vessel, name in (
        (Vessel.HEPATIC, "HepaticVein"),
        (Vessel.PORTAL, "PortalVein"),
        (Vessel.IVC, "InferiorVenaCava"),
        (Vessel.UNNAMED, "BloodVessel"),
        (Vessel.LIKELIER_PORTAL, "BloodVessel"),
    ):
        known = getattr(codes, name)
        assert vessel.code == f"SCT^{known.value}^{known.meaning}"


def test_every_segment_has_its_own_name_and_colour() -> None:
    assert len({segment.roman for segment in CouinaudSegment}) == 9
    assert len({segment.colour for segment in CouinaudSegment}) == 9
    assert [CouinaudSegment.read(s.roman) for s in CouinaudSegment] == list(CouinaudSegment)
    assert CouinaudSegment.read("iv") is CouinaudSegment.IVA and CouinaudSegment.IVB.couinaud == 4
    with pytest.raises(ValueError, match="no Couinaud segment"):
        CouinaudSegment.read("IX")


def test_shares_in_words() -> None:
    segments = np.zeros((1, 1, 100), np.uint8)
    segments[..., :82], segments[..., 82:98], segments[..., 98:] = 7, 8, 5
    shares = lesion_shares(np.ones((1, 1, 100), bool), segments)
    assert shares_text(shares) == "VII (82 %), VIII", "2 % of it says nothing"
    assert shares_text(lesion_shares(segments == 7, segments)) == "VII"
    assert lesion_shares(np.zeros((1, 1, 100), bool), segments) == ()
    possible = (SegmentShare(CouinaudSegment.V, 1.0), SegmentShare(CouinaudSegment.IVB, 0.0, 0.3))
    assert shares_text(possible) == "V, IVb?"
    assert LesionAnatomy(shares).hemiliver == "right"


def test_widened_shares_in_words() -> None:
    sure = SegmentShare(CouinaudSegment.VII, 0.82, 0.9), SegmentShare(CouinaudSegment.VIII, 0.18, 0.18)
    maybe = SegmentShare(CouinaudSegment.IVA, 0.0, 0.3)
    assert widened_text((*sure, maybe)) == "VII up to 90 %, VIII 18 %, IVa up to 30 %"
    assert widened_text((SegmentShare(CouinaudSegment.V, 0.97, 1.0),)) == "", "no reader reads 3 per cent"


def test_the_readers_segments_win() -> None:
    shares = (SegmentShare(CouinaudSegment.VII, 1.0),)
    said = LesionAnatomy(shares, reader_segments=(CouinaudSegment.IVB,))
    assert (said.text, said.hemiliver) == ("IVb", "left")


def test_contact_in_words() -> None:
    assert VesselContact(Vessel.PORTAL, 11.6).text == "12 mm"
    assert VesselContact(Vessel.IVC, 0.0, 14.2, 118.0).text == "contact 14 mm, 118°"
    # Where one voxel touches there is a contact, however small its angle.
    assert VesselContact(Vessel.IVC, 0.0, 3.0, 0.0).text == "contact 3 mm, 1°"
    assert VesselContact(Vessel.IVC, 0.0, 3.0, 0.0).angle_deg == 1, "tables and SR say what the report says"
    assert VesselContact(Vessel.IVC, 5.0).angle_deg == 0
    assert LesionAnatomy().contact(Vessel.IVC) is None


def test_blank_says_why() -> None:
    blank = LiverAnatomy.blank(Geometry.make((2, 3, 4)), "The liver is cut.")
    assert not blank.has_segments and blank.messages == ("The liver is cut.",)
    assert blank.volume_ml(CouinaudSegment.V) == 0
