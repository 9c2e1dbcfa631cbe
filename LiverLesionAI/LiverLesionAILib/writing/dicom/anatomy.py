"""Where lesions lie in the liver, and a planned resection, as codes and figures for the structured report.

The codes of :mod:`...case.anatomy_codes` are read again where the report is imported.
"""

from __future__ import annotations

from ...case.anatomy import CouinaudSegment, LesionAnatomy
from ...case.anatomy_codes import (
    BY_READER,
    NOTES_KEYS,
    SCHEME,
    UNSURE_KEY,
    angle_key,
    contact_key,
    distance_key,
    possible_key,
    share_key,
    unsure_text,
)
from ...case.resection import Resection
from .content import Code, Statement
from .uids import uid_of

SEGMENT: Code = ("segment", SCHEME, "Couinaud segments")
HEMILIVER: Code = ("hemiliver", SCHEME, "Hemiliver")
SEGMENTS_BY: Code = ("segment_by", SCHEME, "Who said the Couinaud segments")
UNSURE_VESSELS: Code = (UNSURE_KEY, SCHEME, "Kinds whose nearest vessel may be of the other tree")
NOTES: Code = (NOTES_KEYS[0], SCHEME, "Segments and vessels: what to know, what is left blank")
RESECTION: Code = ("resection", SCHEME, "What is resected")
WARNINGS: Code = ("resection_warn", SCHEME, "Warnings of the resection")
FIGURES = {
    "resected_ml": ("resected", "mL", "Resected volume"),
    "remaining_ml": ("remaining", "mL", "Remaining volume"),
    "remaining_tumour_ml": ("tumour_left", "mL", "Tumour that remains"),
    "functional_ml": ("functional", "mL", "Functional remnant"),
    "functional_percent": ("functional_pct", "%", "Functional remnant of the functional liver"),
    "vauthey_percent": ("vauthey_pct", "%", "Standardised remnant, Vauthey"),
    "urata_percent": ("urata_pct", "%", "Standardised remnant, Urata"),
    "least_percent": ("minimum_pct", "%", "Minimum that the surgeon chose"),
}


def segment_code(segment: CouinaudSegment) -> Code:
    """SNOMED CT's code of a segment; IVa and IVb share that of IV."""
    scheme, value, meaning = segment.code.split("^")
    return value, scheme, meaning


def sites(place: LesionAnatomy | None) -> tuple[Code, ...]:
    """The segments that a lesion lies in, the main one first; the reader's where there are any.

    Segments that it merely could lie in are none.
    """
    if place is None:
        return ()
    return tuple(dict.fromkeys(segment_code(one) for one in place.segments))


def place_numbers(place: LesionAnatomy | None) -> dict[Code, tuple[float, str]]:
    """Shares of segments as computed, and the distance and contact of each kind of vessel."""
    if place is None:
        return {}
    numbers: dict[Code, tuple[float, str]] = {}
    for share in place.shares:
        of = f"Couinaud segment {share.segment.roman}, computed"
        numbers[share_key(share.segment), SCHEME, f"Share in {of}"] = (100.0 * share.share, "%")
        numbers[possible_key(share.segment), SCHEME, f"Possible share in {of}"] = (
            100.0 * share.possible,
            "%",
        )
    for one in place.contacts:
        title = one.vessel.title
        numbers[distance_key(one.vessel), SCHEME, f"Distance to: {title}"] = (one.distance_mm, "mm")
        numbers[contact_key(one.vessel), SCHEME, f"Length of contact: {title}"] = (one.length_mm, "mm")
        numbers[angle_key(one.vessel), SCHEME, f"Angle of contact: {title}"] = (one.angle_deg, "deg")
    return numbers


def place_texts(place: LesionAnatomy | None) -> dict[Code, str]:
    """Segments and hemiliver in words, and whose they are; vessels whose tree is not sure."""
    texts: dict[Code, str] = {}
    if place is None:
        return texts
    if place.text:
        by = BY_READER if place.reader_segments else "computed: planes through landmarks"
        texts = {SEGMENT: place.text, HEMILIVER: place.hemiliver, SEGMENTS_BY: by}
    if doubtful := unsure_text(place):
        texts[UNSURE_VESSELS] = doubtful
    return texts


def resection_statement(resection: Resection, frame_uid: str, site: Code) -> Statement:
    """A planned resection and its figures."""
    found = resection.remnant
    numbers: dict[Code, tuple[float, str]] = {}
    for name, (key, unit, meaning) in FIGURES.items():
        value = getattr(found, name)
        if value is not None:
            numbers[key, SCHEME, meaning] = (float(value), unit)
    texts = {RESECTION: resection.text}
    if found.warnings:
        texts[WARNINGS] = " ".join(found.warnings)
    uid = uid_of("resection", frame_uid, resection.text)
    return Statement("Planned resection", uid, site=(site,), numbers=numbers, texts=texts)
