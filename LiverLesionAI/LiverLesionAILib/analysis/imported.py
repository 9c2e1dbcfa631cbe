"""A case made of a CT and the DICOM SEG and SR that somebody drew on it: ours or another program's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..case.anatomy_codes import read_notes, read_place
from ..case.findings import CaseResult, Lesion, LesionSource, LesionStatus
from ..reading.dicom_seg import Segment, SegmentationObject
from ..reading.dicom_sr import MeasurementGroup
from ..stages.followup.register import reduced_ct
from ..stages.measure.lesions import measure_case, measure_liver
from ..support.errors import InputError
from ..volume.ct import CtVolume
from ..volume.masks import components

_LIVER = {("10200004", "SCT"), ("T-62000", "SRT")}
_LESION_KINDS = {
    ("52988006", "SCT"), ("4147007", "SCT"), ("367643001", "SCT"), ("108369006", "SCT"), ("86049000", "SCT"),
    ("14799000", "SCT"), ("400210000", "SCT"), ("128462008", "SCT"), ("M-01000", "SRT"), ("M-03000", "SRT"),
    ("M-80000", "SRT"), ("M-33400", "SRT"),
}  # fmt: skip
_ALTERED = {("49755003", "SCT"), ("M-01000", "SRT")}
_LESION_WORDS = re.compile(
    r"lesion|tumou?r|metasta|cyst|mass|nodule|hcc|h[ae]{1,2}mangioma|fnh|abscess", re.IGNORECASE
)
_OTHER_ORGANS = re.compile(
    r"kidney|renal|pancrea|spleen|splenic|adrenal|lung|brain|bone|ovar|gall ?bladder|bowel|colon",
    re.IGNORECASE,
)
_LIVER_WORDS = re.compile(r"^(liver|leber|foie|lever|hepar)\b", re.IGNORECASE)
_OWN = "99LIVERLESIONAI"
_MEANING: Mapping[str, tuple[str, str]] = {
    name: (name, _OWN)
    for name in (
        *("class", "class-probability", "class-reasons"),
        *("decision", "note", "score", "probability"),
    )
}
_BY_READER = re.compile(r"\s*\(reader\)$")


@dataclass(frozen=True)
class Sorted:
    """Segments by what they are; `others` are left out."""

    liver: tuple[Segment, ...]
    lesions: tuple[Segment, ...]
    others: tuple[Segment, ...]


def sort_segments(segments: Sequence[Segment]) -> Sorted:
    """By their codes, and by their labels where the codes say nothing.

    A lesion of another organ (its anatomic region says so) is left out.
    """
    liver, lesions, others = [], [], []
    for segment in segments:
        kind, category, region = segment.kind[:2], segment.category[:2], segment.region[:2]
        named = segment.label.replace("_", " ").strip()
        elsewhere = (bool(region[0]) and region not in _LIVER) or _OTHER_ORGANS.search(named) is not None
        lesion_like = kind in _LESION_KINDS or category in _ALTERED or _LESION_WORDS.search(named) is not None
        if not segment.mask.count:
            others.append(segment)
        elif lesion_like and not elsewhere:
            lesions.append(segment)
        elif kind in _LIVER or _LIVER_WORDS.match(named):
            liver.append(segment)
        else:
            others.append(segment)
    return Sorted(tuple(liver), tuple(lesions), tuple(others))


def imported_case(
    volume: CtVolume, drawn: SegmentationObject, groups: Sequence[MeasurementGroup] = ()
) -> CaseResult:
    """Liver and lesions as a case to correct, compare and report; everything is measured anew.

    A segment with several lesions is taken apart into its pieces. Class, decision, note and score come from
    the report where it is ours; of others' the class-like texts are notes.

    Raises:
        InputError: no segment is a liver or a lesion of it.
    """
    kinds = sort_segments(drawn.segments)
    if not kinds.liver and not kinds.lesions:
        names = ", ".join(s.label or f"segment {s.number}" for s in drawn.segments[:6])
        raise InputError(
            f"None of the segments ({names}) is a liver or a lesion of it. Segments are recognised by their "
            "codes (liver SCT 10200004, lesion SCT 52988006) or by their names."
        )
    shape = volume.geometry.shape_zyx
    liver = np.zeros(shape, bool)
    for segment in kinds.liver:
        liver[segment.mask.slices] |= segment.mask.voxels_zyx
    labels, owners = _labels(kinds.lesions, shape)
    measured = measure_case(labels, liver, volume.hu_zyx, volume.geometry)
    organ = measure_liver(labels, liver | (labels > 0), volume.hu_zyx, volume.geometry)
    lesions = tuple(_with_report(x, owners[x.number], drawn, groups) for x in measured)
    whole = liver | (labels > 0)
    return CaseResult(
        case_name=volume.name,
        geometry=volume.geometry,
        liver_zyx=whole,
        lesion_labels_zyx=labels,
        lesions=lesions,
        liver_volume_ml=organ.volume_ml,
        liver_hu_mean=organ.hu_mean,
        tumour_burden_percent=organ.tumour_burden_percent,
        messages=(*_messages(kinds, drawn), *_said_of_segments(groups)),
        device="none (imported)",
        version=__version__,
        reduced_ct=reduced_ct(volume.hu_zyx, whole, volume.geometry),
    )


def _labels(
    segments: Sequence[Segment], shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint16], dict[int, Segment]]:
    """A label per lesion, largest first, and the segment that each came from."""
    from scipy import ndimage

    pieces: list[tuple[int, Segment, tuple[slice, ...], NDArray[np.bool_]]] = []
    for segment in segments:
        z0, y0, x0 = segment.mask.start_zyx
        own = bool(segment.tracking_uid)
        if own:
            parts, count = segment.mask.voxels_zyx.astype(np.int32), 1
        else:
            parts, count = components(segment.mask.voxels_zyx)
        for n, box in enumerate(ndimage.find_objects(parts, count), start=1):
            if box is None:
                continue
            piece = parts[box] == n
            where = tuple(slice(s.start + o, s.stop + o) for s, o in zip(box, (z0, y0, x0), strict=True))
            pieces.append((int(piece.sum()), segment, where, piece))
    labels = np.zeros(shape, np.uint16)
    owners = {}
    for number, (_, segment, where, piece) in enumerate(sorted(pieces, key=lambda p: -p[0]), start=1):
        labels[where][piece & (labels[where] == 0)] = number
        owners[number] = segment
    return labels, owners


def _with_report(
    lesion: Lesion, segment: Segment, drawn: SegmentationObject, groups: Sequence[MeasurementGroup]
) -> Lesion:
    """What the report says of the segment."""
    own = [
        group
        for group in groups
        if (segment.tracking_uid and group.tracking_uid == segment.tracking_uid)
        or group.segment == (drawn.sop_instance_uid, segment.number)
    ]
    texts = {code: text for group in own for code, text in group.texts.items()}
    numbers = {code: value for group in own for code, (value, _) in group.numbers.items()}
    name = texts.get(_MEANING["class"], "")
    by_reader = bool(_BY_READER.search(name))
    name = _BY_READER.sub("", name)
    manual = segment.algorithm_type == "MANUAL"
    of_class = numbers.get(_MEANING["class-probability"])
    return replace(
        lesion,
        score=float(numbers.get(_MEANING["score"], 1.0)),
        probability=numbers.get(_MEANING["probability"]),
        source=LesionSource.READER if manual else LesionSource.MASK,
        status=LesionStatus.read(texts.get(_MEANING["decision"])),
        edited=segment.algorithm_type == "SEMIAUTOMATIC",
        model_class=None if by_reader or not name else name,
        reader_class=name if by_reader and name else None,
        class_probabilities={} if of_class is None or by_reader or not name else {name: of_class},
        class_reasons=texts.get(_MEANING["class-reasons"], ""),
        note=texts.get(_MEANING["note"], ""),
        tracking_uid=segment.tracking_uid,
        anatomy=read_place(numbers, texts),
    )


def _said_of_segments(groups: Sequence[MeasurementGroup]) -> tuple[str, ...]:
    """What our own report says of segments and vessels as a whole: the lesions' places rest on it."""
    return tuple(dict.fromkeys(said for group in groups if (said := read_notes(group.texts))))


def _messages(kinds: Sorted, drawn: SegmentationObject) -> tuple[str, ...]:
    program = drawn.manufacturer or "an unnamed program"
    said = [f"Imported from a DICOM segmentation of {program}; the networks were not asked."]
    if kinds.others:
        names = ", ".join(s.label or f"segment {s.number}" for s in kinds.others[:6])
        said.append(f"Left out as neither liver nor a lesion of it: {names}.")
    if not kinds.liver:
        said.append("The segmentation has no liver: volumes relative to it are not known.")
    outside = [s.label for s in (*kinds.liver, *kinds.lesions) if s.outside > 0.001]
    if outside:
        said.append(f"Parts of {', '.join(outside)} lie outside of the CT and were cut off.")
    return tuple(said)
