"""What a segment is called: names, SNOMED CT codes and tags, in the form that 3D Slicer stores them.

A Slicer terminology entry reads ``context~category~type~modifier~region context~region~region modifier``
with each code as ``scheme^value^meaning``. Only codes in the lists that Slicer ships are used; classes those
lists lack (HCC, FNH, haemangioma) take the nearest shipped type and keep the class itself in the segment's
name and tags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..support.text import chance, printable
from .classes import LesionClass
from .findings import Lesion, LesionStatus

TAG_TERMINOLOGY = "TerminologyEntry"
TAG_ROLE = "LiverLesionAI.Role"
TAG_STATUS = "LiverLesionAI.Status"
TAG_SLICER_STATUS = "Segmentation.Status"
"""Slicer's own status of a segment, which its segments table and Segment Editor show and change."""
TAG_NUMBER = "LiverLesionAI.Number"
TAG_SCORE = "LiverLesionAI.Score"
TAG_SOURCE = "LiverLesionAI.Source"
TAG_CLASS = "LiverLesionAI.Class"
TAG_READER_CLASS = "LiverLesionAI.ReaderClass"
"""The class the reader gave; the model's stays in TAG_CLASS."""
TAG_PROBABILITIES = "LiverLesionAI.Probabilities"
TAG_CLASS_BOX = "LiverLesionAI.ClassBox"
"""Where the classifier saw the class: a deletion that is undone brings its box back."""
TAG_MASK = "LiverLesionAI.Mask"
"""Fingerprint of the mask as the AI drew it: another mask means that the reader has edited it."""
TAG_NAME = "LiverLesionAI.Name"
"""The name as the AI gave it: another name means that the reader has renamed it."""
TAG_NOTE = "LiverLesionAI.Note"
TAG_EDITED = "LiverLesionAI.Edited"
""""1" where the reader has drawn or changed the mask."""
EDITED_BEFORE = "edited"
"""What version 0.1 wrote as status of such a lesion."""
TAG_ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
TAG_ALGORITHM_NAME = "DICOM.SegmentAlgorithmName"

ROLE_LIVER = "liver"
ROLE_LESION = "lesion"
ROLE_NEIGHBOUR = "neighbour"
"""Of an organ beside the liver, which is neither liver nor lesion."""
LIVER_NAME = "Liver"
GALLBLADDER_NAME = "Gallbladder"

_TYPES = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"
_NONE = "^^"
_ANATOMY = "SCT^123037004^Anatomical Structure"
_ALTERED = "SCT^49755003^Morphologically Altered Structure"
_LIVER = "SCT^10200004^Liver"
_GALLBLADDER = "SCT^28231008^Gallbladder"
_MASS = "SCT^4147007^Mass"
_NO_TUMOUR = {LesionClass.CYST, LesionClass.BENIGN, LesionClass.ABSCESS, LesionClass.TREATED}


def anatomy_terminology(code: str) -> str:
    """Terminology entry of an anatomical structure; `code` as "SCT^10200004^Liver"."""
    return "~".join((_TYPES, _ANATOMY, code, _NONE, _REGIONS, _NONE, _NONE))


def liver_terminology() -> str:
    """Terminology entry of the liver segment."""
    return anatomy_terminology(_LIVER)


def gallbladder_terminology() -> str:
    """Terminology entry of the gallbladder's segment."""
    return anatomy_terminology(_GALLBLADDER)


def lesion_terminology(class_name: str | None) -> str:
    """Terminology entry of a lesion: a Mass, unless its class says that it is no tumour.

    Slicer-Liver takes a segment for what the first of its codes (liver, then vessels, then Mass) is anywhere
    in the entry: so every tumour is a Mass, whatever its class, and the liver is not named as its region.
    Class and region stand in the DICOM objects that are written here.
    """
    known = LesionClass.of(class_name)
    kind = known.kind.text if known in _NO_TUMOUR and known is not None else _MASS
    return "~".join((_TYPES, _ALTERED, kind, _NONE, _REGIONS, _NONE, _NONE))


def is_anatomy(entry: str) -> bool:
    """Whether a terminology entry names normal anatomy (a segment "Spleen" is no lesion)."""
    parts = entry.split("~")
    return len(parts) > 1 and parts[1].split("^")[1:2] == ["123037004"]


def lesion_name(number: int, class_name: str | None, probability: float | None = None) -> str:
    """ "Lesion 1", or "Lesion 1 (HCC 0.82)" when it is classified."""
    if not class_name:
        return f"Lesion {number}"
    name = printable(class_name)
    said = name if probability is None else f"{name} {chance(probability)}"
    return f"Lesion {number} ({said})"


def lesion_title(lesion: Lesion) -> str:
    """What a lesion is called: with the reader's class, or the model's and how sure it is of it."""
    said = None if lesion.reader_class else class_probability(lesion)
    return lesion_name(lesion.number, lesion.shown_class, said)


def class_box_name(title: str) -> str:
    """Of the box where the classifier saw the class of the lesion with this name."""
    return f"{title}: seen here"


def class_probability(lesion: Lesion) -> float | None:
    """Probability of the class the model gave it; None where it gave none, or cannot tell."""
    if LesionClass.of(lesion.model_class) is LesionClass.INDETERMINATE:
        return None
    return None if lesion.model_class is None else lesion.class_probabilities.get(lesion.model_class)


def shown_probability(lesion: Lesion) -> float:
    """Of the class that is shown, where the model gives it one.

    Else the score, where no calibrated probability stands beside it; NaN for neither.
    """
    other = lesion.score if lesion.probability is None else math.nan
    if LesionClass.of(lesion.shown_class) is LesionClass.INDETERMINATE:
        return other
    return lesion.class_probabilities.get(lesion.shown_class or "", other)


LIKELY_ENOUGH = 0.1
"""A class less probable is not listed beside others."""


def left_open(lesion: Lesion) -> list[tuple[str, float]]:
    """What a lesion may be whose class the model leaves open: three classes at most, most probable first."""
    if not lesion.class_reasons or LesionClass.of(lesion.shown_class) is not LesionClass.INDETERMINATE:
        return []
    likely = ((name, p) for name, p in lesion.class_probabilities.items() if p >= LIKELY_ENOUGH)
    return sorted(likely, key=lambda one: -one[1])[:3]


def lesion_probability(lesion: Lesion) -> float:
    """That it is a lesion, calibrated; its score where nothing was calibrated. NaN for the reader's own."""
    return lesion.score if lesion.probability is None else lesion.probability


def by_probability(lesions: Iterable[Lesion]) -> list[Lesion]:
    """The surest first; what has no probability (a reader's own) last, each in order of number."""
    return sorted(lesions, key=lambda lesion: (-_or_least(lesion_probability(lesion)), lesion.number))


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -1.0


_SLICER_STATUS: Mapping[LesionStatus, str] = {
    LesionStatus.UNDECIDED: "notstarted",
    LesionStatus.ACCEPTED: "completed",
    LesionStatus.TREATED: "completed",
    LesionStatus.REJECTED: "flagged",
    LesionStatus.NOT_LIVER: "flagged",
}


def slicer_status(status: LesionStatus, *, edited: bool) -> str:
    """A decision as Slicer's status of a segment; undecided on a mask that was changed is in progress."""
    return "inprogress" if edited and status is LesionStatus.UNDECIDED else _SLICER_STATUS[status]


def followed_status(status: LesionStatus, slicer: str) -> LesionStatus:
    """The decision, once the reader may have changed Slicer's status of the segment in its own table.

    "Completed" accepts; "flagged" asks for another look, so that it never takes a finding out of the report.
    What is not liver was cut out of it, which only the panel takes back: it stays.

    Args:
        status: ours.
        slicer: Slicer's; "" and unknown ones change nothing.
    """
    mirrored = {slicer_status(status, edited=edited) for edited in (False, True)}
    known = {*_SLICER_STATUS.values(), "inprogress"}
    if slicer in mirrored or slicer not in known or status is LesionStatus.NOT_LIVER:
        return status
    return LesionStatus.ACCEPTED if slicer == "completed" else LesionStatus.UNDECIDED


def liver_tags(algorithm: str) -> dict[str, str]:
    """All tags of the liver segment; `algorithm` is shown in DICOM SEG as its algorithm's name."""
    return {
        TAG_TERMINOLOGY: liver_terminology(),
        TAG_ALGORITHM_TYPE: algorithm_type(edited=False),
        TAG_ALGORITHM_NAME: algorithm,
        TAG_ROLE: ROLE_LIVER,
        TAG_STATUS: LesionStatus.UNDECIDED.value,
        TAG_SLICER_STATUS: slicer_status(LesionStatus.UNDECIDED, edited=False),
    }


def gallbladder_tags(algorithm: str) -> dict[str, str]:
    """All tags of the gallbladder's segment; see :func:`liver_tags`."""
    return {
        **liver_tags(algorithm),
        TAG_TERMINOLOGY: gallbladder_terminology(),
        TAG_ROLE: ROLE_NEIGHBOUR,
    }


def probabilities_text(probabilities: Mapping[str, float]) -> str:
    """Class probabilities as a tag: "HCC=0.6200 FNH=0.2000"; a name's spaces become "_"."""
    return " ".join(f"{name.replace(' ', '_')}={p:.4f}" for name, p in probabilities.items())


def parse_probabilities(text: str) -> dict[str, float]:
    """The inverse of the probabilities tag; what cannot be read is left out."""
    found: dict[str, float] = {}
    for part in text.split():
        name, _, value = part.rpartition("=")
        try:
            found[name.replace("_", " ")] = float(value)
        except ValueError:
            continue
    return found


def tag_text(text: str) -> str:
    """A text as a segment's tag: files keep tags in one line, between vertical bars."""
    return text.replace("%", "%25").replace("|", "%7C")


def read_tag(tag: str) -> str:
    """The inverse of :func:`tag_text`."""
    return tag.replace("%7C", "|").replace("%25", "%")


def algorithm_type(*, edited: bool) -> str:
    """DICOM's SegmentAlgorithmType: SEMIAUTOMATIC once a reader has changed the mask."""
    return "SEMIAUTOMATIC" if edited else "AUTOMATIC"
