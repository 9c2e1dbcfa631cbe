"""Code values of where a lesion lies, as our structured reports have them; 16 characters at most."""

from __future__ import annotations

from collections.abc import Mapping

from .anatomy import (
    POSSIBLE,
    CouinaudSegment,
    LesionAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
    read_segments,
)

SCHEME = "99LIVERLESIONAI"
BY_READER = "reader"
_VESSELS = {Vessel.HEPATIC: "hepatic", Vessel.PORTAL: "portal", Vessel.IVC: "ivc", Vessel.UNNAMED: "either"}


def share_key(segment: CouinaudSegment) -> str:
    """Of a lesion's share in a segment, per cent."""
    return f"share_{segment.roman}"


def possible_key(segment: CouinaudSegment) -> str:
    """Of the share that is possible, per cent."""
    return f"possible_{segment.roman}"


def distance_key(vessel: Vessel) -> str:
    """Of the distance to a kind of vessel, mm."""
    return f"dist_{_VESSELS[vessel]}"


def contact_key(vessel: Vessel) -> str:
    """Of the length of contact, mm."""
    return f"contact_{_VESSELS[vessel]}"


def angle_key(vessel: Vessel) -> str:
    """Of the circumference that is touched, degrees."""
    return f"angle_{_VESSELS[vessel]}"


NOTES_KEYS = ("anatomy_notes", "anatomy_blank")
"""Of a text at the liver: what to know of segments and vessels, what is left blank and why. Reports of older
versions have the second one."""


def read_notes(texts: Mapping[tuple[str, str], str]) -> str:
    """What a report says of segments and vessels as a whole; "" where it says nothing."""
    return next((texts[key, SCHEME] for key in NOTES_KEYS if texts.get((key, SCHEME))), "")


UNSURE_KEY = "vessel_unsure"
"""Of a text: kinds of vessel whose nearest one may be of the other tree."""


def unsure_text(place: LesionAnatomy) -> str:
    """ "hepatic, portal"; "" where every name is sure."""
    return ", ".join(_VESSELS[one.vessel] for one in place.contacts if not one.sure)


def read_place(
    numbers: Mapping[tuple[str, str], float], texts: Mapping[tuple[str, str], str]
) -> LesionAnatomy | None:
    """The way back from a report's figures and texts by (code, scheme); None where it says nothing of it."""

    def number(key: str) -> float | None:
        return numbers.get((key, SCHEME))

    shares = []
    for segment in CouinaudSegment:
        if (share := number(share_key(segment))) is not None:
            possible = number(possible_key(segment)) or 0.0
            shares.append(SegmentShare(segment, share / 100.0, possible / 100.0))
    contacts = []
    doubtful = texts.get((UNSURE_KEY, SCHEME), "").split(", ")
    for vessel in POSSIBLE:
        if (away := number(distance_key(vessel))) is not None:
            length, angle = number(contact_key(vessel)) or 0.0, number(angle_key(vessel)) or 0.0
            contacts.append(VesselContact(vessel, away, length, angle, _VESSELS[vessel] not in doubtful))
    said: tuple[CouinaudSegment, ...] = ()
    if texts.get(("segment_by", SCHEME)) == BY_READER:
        try:
            said = read_segments(texts.get(("segment", SCHEME), ""))
        except ValueError:
            said = ()
    if not (shares or contacts or said):
        return None
    shares.sort(key=lambda one: (-one.share, -one.possible))
    return LesionAnatomy(tuple(shares), tuple(contacts), said)
