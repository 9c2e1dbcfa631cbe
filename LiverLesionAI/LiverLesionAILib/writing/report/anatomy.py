"""The report's part on segments, vessels and a planned resection, as finished texts in one language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...case.anatomy import DOUBT, SEGMENTS_IN_ORDER, LesionAnatomy, Vessel, VesselContact
from ...case.findings import CaseResult, Lesion
from ...case.resection import Resection
from .sentences import sentence
from .strings import Language
from .table import KeyImage, Table

KEYS = {Vessel.HEPATIC: "an.hepatic", Vessel.PORTAL: "an.portal", Vessel.IVC: "an.ivc"}
EITHER = "an.either"
"""Heads a column of its own where a vessel lies near whose tree is not sure."""


@dataclass(frozen=True)
class RemnantPart:
    """A planned resection: (label, value) pairs, and what to look at."""

    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class AnatomyPart:
    """What the report says of segments and vessels.

    Attributes:
        places: a row for every lesion that is listed; None where there is none.
        facts: (label, value) pairs: volumes of the segments.
        blank: what is left blank, and why; with `facts`, what the reader has to know of the segments.
        notes: what the figures are worth.
        remnant: None where no resection was planned.
        pictures: in 3D.
    """

    places: Table | None
    facts: tuple[tuple[str, str], ...]
    blank: tuple[str, ...]
    notes: tuple[str, ...]
    remnant: RemnantPart | None
    pictures: tuple[KeyImage, ...] = ()


def anatomy_part(
    result: CaseResult, listed: Sequence[Lesion], words: Language, picture: bytes | None = None
) -> AnatomyPart | None:
    """Put segments, vessels and resection into words; None where the case says nothing of them.

    Args:
        listed: the lesions of the report.
        picture: in 3D, of the resection where there is one; PNG or JPEG.
    """
    anatomy, resection = result.anatomy, result.resection
    if not result.is_placed and resection is None:
        return None
    facts: tuple[tuple[str, str], ...] = ()
    notes: list[str] = []
    if anatomy is not None and anatomy.has_segments:
        volumes = ((one, anatomy.volume_ml(one)) for one in SEGMENTS_IN_ORDER)
        said = ", ".join(f"{one.roman} {words.number(ml, 0)}" for one, ml in volumes if ml > 0)
        facts = ((words("an.volumes"), said),)
        notes.append(words("an.not_validated"))
        if any(share.share <= 0 for share in _shares(listed)):
            notes.insert(0, words("an.doubtful"))
    if has_unnamed(listed):
        notes.append(words("an.unnamed"))
    caption = words("rem.picture" if resection is not None else "an.picture")
    return AnatomyPart(
        _places(listed, words) if result.is_placed and listed else None,
        facts,
        () if anatomy is None else tuple(sentence(said, words) for said in anatomy.messages),
        tuple(notes),
        None if resection is None else remnant_part(resection, words),
        () if picture is None else (KeyImage(caption, picture),),
    )


def _shares(lesions: Iterable[Lesion]) -> Iterable:
    return (
        share
        for one in lesions
        if one.anatomy is not None and not one.anatomy.reader_segments
        for share in one.anatomy.shares
    )


def _places(listed: Sequence[Lesion], words: Language) -> Table:
    kinds = dict(KEYS)
    if has_unnamed(listed):
        kinds[Vessel.UNNAMED] = EITHER
    keys = ("number", "an.segment", "an.hemiliver", "an.surface", *kinds.values())
    return Table("", tuple(words(key) for key in keys), tuple(_row(one, words, kinds) for one in listed))


def has_unnamed(listed: Iterable[Lesion]) -> bool:
    """Whether a vessel lies near one of the lesions that may be of either tree."""
    return any(one.anatomy is not None and one.anatomy.contact(Vessel.UNNAMED) for one in listed)


def _row(lesion: Lesion, words: Language, kinds: Iterable[Vessel]) -> tuple[str, ...]:
    place = lesion.anatomy or LesionAnatomy()
    surface = "-"
    if lesion.measurement is not None:
        surface = f"{words.number(lesion.measurement.surface_distance_mm, 0)} mm"
    return (
        str(lesion.number),
        segment_text(place, words) or "-",
        hemiliver_text(place, words) or "-",
        surface,
        *(contact_text(place.contact(vessel), words) for vessel in kinds),
    )


def segment_text(place: LesionAnatomy, words: Language) -> str:
    """ "VII (82 %), VIII"; the reader's own are marked as theirs; "" where nothing is said."""
    return f"{place.text} ({words('by_reader')})" if place.reader_segments else place.text


def hemiliver_text(place: LesionAnatomy, words: Language) -> str:
    """ "right, left" in the report's language; "" where nothing is said."""
    return ", ".join(words(f"an.{side}") for side in place.hemiliver.split(", ") if side)


def contact_text(contact: VesselContact | None, words: Language) -> str:
    """Distance, or contact with its length and angle; a dash where no such vessel is seen.

    With a question mark where the vessel may be of the other tree.
    """
    if contact is None:
        return "-"
    doubt = "" if contact.sure else DOUBT
    if contact.length_mm <= 0:
        return f"{words.number(contact.distance_mm, 0)} mm{doubt}"
    degrees = words.number(contact.angle_deg, 0)
    said = words("an.contact", mm=words.number(contact.length_mm, 0), deg=degrees)
    return said + doubt


def remnant_part(resection: Resection, words: Language) -> RemnantPart:
    """The figures of a planned resection."""
    found = resection.remnant
    whole = words.number(found.liver_ml, 0)
    facts = [
        (words("rem.way"), words(f"rem.{resection.way.value}", d=resection.detail)),
        (words("rem.resected"), words("rem.of", a=words.number(found.resected_ml, 0), b=whole)),
        (words("rem.remaining"), words("rem.of", a=words.number(found.remaining_ml, 0), b=whole)),
        (
            words("rem.functional"),
            words(
                "rem.functional_value",
                ml=words.number(found.functional_ml, 0),
                p=words.number(found.functional_percent, 1),
            ),
        ),
    ]
    if found.remaining_tumour_ml > 0:
        left = f"{words.number(found.remaining_tumour_ml, 1)} {words('unit.ml')}"
        facts.append((words("rem.tumour"), left))
    ratios = (("Vauthey", found.vauthey_percent), ("Urata", found.urata_percent))
    if found.body is not None:
        said = ", ".join(f"{words.number(value, 1)} % ({name})" for name, value in ratios)
        facts.append((words("rem.standardised"), said))
    if found.enough is not None:
        key = "rem.enough" if found.enough else "rem.not_enough"
        facts.append((words("rem.minimum"), words(key, p=f"{found.least_percent:g}")))
    warnings = (*(sentence(said, words) for said in found.warnings), words("rem.measured"))
    return RemnantPart(tuple(facts), warnings)
