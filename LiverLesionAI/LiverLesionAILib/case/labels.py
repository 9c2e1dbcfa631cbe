"""What a reader said of a case's lesions, as labels to train on; nothing of the patient.

A label names its CT and its mask by digests of what they hold, not by a name or a place: who has the CT and
the masks finds them again, nobody else learns whose they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .classes import LesionClass
from .findings import CaseResult, Lesion, LesionStatus
from .lesion_masks import lesion_masks

SCHEMA, SCHEMA_VERSION = "LiverLesionAI training labels", 1


@dataclass(frozen=True)
class TrainingLabel:
    """One lesion as its reader sees it.

    Attributes:
        ct: SHA-256 of the CT's voxels and grid, as the case's run keeps it.
        mask: fingerprint of the lesion's voxels and their place (:meth:`..volume.crops.Mask.fingerprint`).
        lesion: its number in the case.
        lesion_class: the reader's, a code of :class:`.classes.LesionClass`; "" where the reader gave none.
        decision: the reader's: "undecided", "accepted", "rejected", "not_liver", "treated".
        mask_edited: the reader drew or changed the mask.
        phase: contrast phase, a value of :class:`.classes.Phase`; "" where it is not known.
        phase_by: who says so: "reader", "estimate" or "".
        model_class: what the product had said; "" for nothing.
        diameter_mm: equivalent diameter; None where there is no mask.
    """

    ct: str
    mask: str
    lesion: int
    lesion_class: str
    decision: str
    mask_edited: bool
    phase: str
    phase_by: str
    model_class: str
    diameter_mm: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain types; the way back is :func:`read_label`."""
        return asdict(self)


COLUMNS = tuple(field.name for field in fields(TrainingLabel))


def read_label(entry: dict[str, Any]) -> TrainingLabel:
    """KeyError, TypeError or ValueError where it is damaged."""
    diameter = entry["diameter_mm"]
    if entry["lesion_class"] not in ("", *(known.code for known in LesionClass)):
        raise ValueError(f"there is no class {entry['lesion_class']!r}")
    return TrainingLabel(
        ct=str(entry["ct"]),
        mask=str(entry["mask"]),
        lesion=int(entry["lesion"]),
        lesion_class=str(entry["lesion_class"]),
        decision=LesionStatus(entry["decision"]).value,
        mask_edited=bool(entry["mask_edited"]),
        phase=str(entry["phase"]),
        phase_by=str(entry["phase_by"]),
        model_class=str(entry["model_class"]),
        diameter_mm=None if diameter is None else float(diameter),
    )


def training_labels(result: CaseResult, ct: str = "") -> tuple[tuple[TrainingLabel, ...], tuple[str, ...]]:
    """The labels of a case, and sentences on what could not be one.

    A lesion is a label where the reader has decided or named a class. A class of the reader's own words is
    left out: words may say more than a class.

    Args:
        ct: digest of the CT, for a case that does not keep it.
    """
    masks = lesion_masks(result)
    wanted = [x for x in result.lesions if x.reader_class or x.status is not LesionStatus.UNDECIDED]
    ct = (result.run.ct if result.run is not None else "") or ct
    if not ct:
        count = len(wanted)
        said = (f"The case does not say which CT it is of: {count} lesions left out.",) if count else ()
        return (), said
    phase, by = _phase(result)
    labels, own_words, unmasked = [], 0, 0
    for lesion in wanted:
        named = _class_code(lesion)
        own_words += named is None
        if lesion.number not in masks:
            unmasked += 1
            continue
        volume_ml = lesion.measurement.volume_ml if lesion.measurement is not None else math.nan
        diameter = 10.0 * (6.0 * volume_ml / math.pi) ** (1 / 3)
        labels.append(
            TrainingLabel(
                ct,
                masks[lesion.number].fingerprint(result.geometry),
                lesion.number,
                named or "",
                lesion.status.value,
                lesion.edited,
                phase,
                by,
                lesion.model_class or "",
                round(diameter, 2) if math.isfinite(diameter) else None,
            )
        )
    return tuple(labels), tuple(_left_out(own_words, unmasked))


def masks_only(result: CaseResult) -> CaseResult:
    """The case with what labels refer to and no more: no name, no words of the reader's, no maps."""
    lesions = tuple(
        replace(lesion, note="", reader_class=_class_code(lesion) or None) for lesion in result.lesions
    )
    return replace(
        result,
        case_name="",
        lesions=lesions,
        probabilities={},
        attention=(),
        messages=(),
        reduced_ct=None,
        anatomy=None,
        resection=None,
    )


def _left_out(own_words: int, unmasked: int) -> Iterable[str]:
    if own_words:
        yield f"{own_words} of the reader's classes are in the reader's own words and were left out."
    if unmasked:
        yield f"{unmasked} lesions have no mask and were left out."


def _class_code(lesion: Lesion) -> str | None:
    """The reader's class; "" where none was given, None where it is in words of the reader's own."""
    if lesion.reader_class:
        known = LesionClass.of(lesion.reader_class)
        return None if known is None else known.code
    return LesionClass.TREATED.code if lesion.status is LesionStatus.TREATED else ""


def _phase(result: CaseResult) -> tuple[str, str]:
    if result.run is not None and result.run.ct_phase:
        return result.run.ct_phase, "reader"
    if result.phase is not None and result.phase.phase is not None:
        return result.phase.phase.value, "estimate"
    return "", ""
