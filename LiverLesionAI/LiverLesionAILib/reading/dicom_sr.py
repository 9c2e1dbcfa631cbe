"""Measurement groups of TID 1500 structured reports, ours or others'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from ..support.errors import InputError

GROUP, TRACKING, TRACKING_UID = ("125007", "DCM"), ("112039", "DCM"), ("112040", "DCM")
REFERENCED_SEGMENT, FINDING = ("121191", "DCM"), ("121071", "DCM")
MOST_DEPTH = 40


@dataclass(frozen=True)
class MeasurementGroup:
    """One group: what was measured on one thing.

    Attributes:
        tracking_id, tracking_uid: "" where absent.
        segment: (SOP instance UID of the SEG, segment number), None where the group refers to none.
        numbers: (code value, scheme) -> (value, unit).
        texts: (code value, scheme) -> text, of TEXT items; of CODE items their meaning.
    """

    tracking_id: str = ""
    tracking_uid: str = ""
    segment: tuple[str, int] | None = None
    numbers: Mapping[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)


def read_report(path: Path) -> tuple[MeasurementGroup, ...]:
    """The measurement groups of a structured report; groups of one tracking UID stay apart.

    Raises:
        InputError: no SR, or damaged.
    """
    try:
        dataset = dcmread(path)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no DICOM file that can be read ({error}).") from error
    if dataset.get("Modality") != "SR" or "ContentSequence" not in dataset:
        raise InputError(f"{path.name} is no DICOM structured report.")
    try:
        return tuple(_group(item) for item in _containers(dataset, 0))
    except (AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path.name}: the report is damaged or incomplete ({error}).") from error


def _containers(item: Dataset, depth: int) -> Iterator[Dataset]:
    """Every measurement group, however deep; deeper than any template is no report."""
    if depth > MOST_DEPTH:
        raise ValueError("items within items without end")
    for child in item.get("ContentSequence", ()):
        if child.get("ValueType") == "CONTAINER" and _concept(child) == GROUP:
            yield child
        else:
            yield from _containers(child, depth + 1)


def _concept(item: Dataset) -> tuple[str, str]:
    names = item.get("ConceptNameCodeSequence")
    if not names:
        return ("", "")
    return (str(names[0].get("CodeValue", "")), str(names[0].get("CodingSchemeDesignator", "")))


def _group(container: Dataset) -> MeasurementGroup:
    numbers: dict[tuple[str, str], tuple[float, str]] = {}
    texts: dict[tuple[str, str], str] = {}
    segment: tuple[str, int] | None = None
    for item in container.get("ContentSequence", ()):
        concept, kind = _concept(item), item.get("ValueType")
        if kind == "NUM" and item.get("MeasuredValueSequence"):
            value = item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            numbers.setdefault(concept, (float(value.NumericValue), str(unit)))
        elif kind == "TEXT":
            texts.setdefault(concept, str(item.TextValue))
        elif kind == "UIDREF":
            texts.setdefault(concept, str(item.UID))
        elif kind == "CODE" and item.get("ConceptCodeSequence"):
            texts.setdefault(concept, str(item.ConceptCodeSequence[0].get("CodeMeaning", "")))
        elif kind == "IMAGE" and item.get("ReferencedSOPSequence"):
            reference = item.ReferencedSOPSequence[0]
            number = reference.get("ReferencedSegmentNumber")
            if number is not None:
                number = number[0] if hasattr(number, "__len__") else number
                segment = (str(reference.ReferencedSOPInstanceUID), int(number))
    return MeasurementGroup(texts.pop(TRACKING, ""), texts.pop(TRACKING_UID, ""), segment, numbers, texts)
