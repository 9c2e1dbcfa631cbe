"""Where a lesion lies in the liver, as JSON: in the case store and in the findings for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .anatomy import CouinaudSegment, LesionAnatomy, SegmentShare, Vessel, VesselContact, segments_line


def describe_lesion_anatomy(one: LesionAnatomy) -> dict[str, Any]:
    """Where a lesion lies."""
    return {
        "segments": [
            {
                "segment": share.segment.roman,
                "share": round(float(share.share), 4),
                "possible": round(float(share.possible), 4),
            }
            for share in one.shares
        ],
        "reader_segments": [segment.roman for segment in one.reader_segments],
        "hemiliver": one.hemiliver,
        "vessels": [
            {
                "vessel": contact.vessel.title,
                "distance_mm": round(float(contact.distance_mm), 2),
                "contact_mm": round(float(contact.length_mm), 2),
                "contact_degrees": round(float(contact.angle_deg), 1),
                "sure": bool(contact.sure),
            }
            for contact in one.contacts
        ],
    }


def segments_in(findings: Mapping[str, Any]) -> str:
    """Where the lesions of a findings file lie: "1: VII (82 %), VIII; 2: IVb"; "" where that is not said.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    places = ((one["number"], read_lesion_anatomy(one.get("anatomy"))) for one in findings["lesions"])
    return segments_line(places)


def read_lesion_anatomy(entry: Mapping[str, Any] | None) -> LesionAnatomy | None:
    """The way back; KeyError, TypeError or ValueError where it is damaged."""
    if entry is None:
        return None
    vessels = {vessel.title: vessel for vessel in Vessel}
    return LesionAnatomy(
        tuple(
            SegmentShare(
                CouinaudSegment.read(one["segment"]),
                float(one["share"]),
                float(one["possible"]),
            )
            for one in entry["segments"]
        ),
        tuple(
            VesselContact(
                vessels[one["vessel"]],
                float(one["distance_mm"]),
                float(one["contact_mm"]),
                float(one["contact_degrees"]),
                bool(one.get("sure", True)),
            )
            for one in entry["vessels"]
        ),
        tuple(CouinaudSegment.read(name) for name in entry["reader_segments"]),
    )
