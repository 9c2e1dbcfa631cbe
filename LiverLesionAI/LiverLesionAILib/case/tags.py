"""A lesion as tags, text by name, and back: on its segment, or on its box where it has no mask.

Coordinates in tags are LPS mm in the CT's own space, so that a grid that Slicer turns round on loading
changes nothing. What version 0.1 wrote is read too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from . import terminology as terms
from .anatomy import CouinaudSegment, LesionAnatomy, read_segments, segments_text
from .enhancement import Enhancement, describe_enhancement, read_enhancement
from .findings import Box, Lesion, LesionSource, LesionStatus, PointLps
from .lesion_anatomy_json import describe_lesion_anatomy, read_lesion_anatomy

TAG_TRACKING_UID = "LiverLesionAI.TrackingUID"
TAG_REASONS = "LiverLesionAI.ClassReasons"
TAG_PROBABILITY = "LiverLesionAI.Probability"
TAG_HALF_WIDTH = "LiverLesionAI.HalfWidth"
"""Half the width of the interval of the long axis that the AI measured, mm."""
TAG_AT_GALLBLADDER = "LiverLesionAI.AtGallbladder"
TAG_ENHANCEMENT = "LiverLesionAI.Enhancement"
TAG_BOX = "LiverLesionAI.Box"
TAG_AXES = "LiverLesionAI.Axes"
"""End points of the long, then of the short axis: 12 numbers, empty where nothing was measured."""
TAG_ANATOMY = "LiverLesionAI.Anatomy"
"""Where it lies among segments and vessels, as computed: JSON."""
TAG_READER_SEGMENTS = "LiverLesionAI.ReaderSegments"
"""The Couinaud segments that the reader says instead: "VII, VIII"."""

LESION_TAGS = (
    terms.TAG_STATUS,
    terms.TAG_SLICER_STATUS,
    terms.TAG_EDITED,
    terms.TAG_NUMBER,
    terms.TAG_SCORE,
    terms.TAG_SOURCE,
    terms.TAG_CLASS,
    terms.TAG_PROBABILITIES,
    terms.TAG_READER_CLASS,
    terms.TAG_NOTE,
    terms.TAG_CLASS_BOX,
    TAG_TRACKING_UID,
    TAG_REASONS,
    TAG_PROBABILITY,
    TAG_HALF_WIDTH,
    TAG_AT_GALLBLADDER,
    TAG_ENHANCEMENT,
    TAG_BOX,
    TAG_AXES,
    TAG_ANATOMY,
    TAG_READER_SEGMENTS,
)
"""All that :func:`write` writes."""

NOWHERE = Box((math.nan,) * 3, (0.0, 0.0, 0.0), score=math.nan)
"""Of a lesion whose tags name no box: one that the reader drew, or of a scene of version 0.1."""

Axis = tuple[PointLps, PointLps]
Missing = TypeVar("Missing", float, None)


def write(lesion: Lesion) -> dict[str, str]:
    """All that is known of a lesion but its voxels and numbers measured on them.

    What a lesion has not is left out, so that :func:`read` gives the same lesion from a segment, where a
    missing tag is missing, and from a node's attributes, where it may be "".
    """
    measured = lesion.measurement
    ends = None if measured is None else (measured.long_axis_lps, measured.short_axis_lps)
    tags = {
        terms.TAG_STATUS: lesion.status.value,
        terms.TAG_SLICER_STATUS: terms.slicer_status(lesion.status, edited=lesion.edited),
        terms.TAG_EDITED: "1" if lesion.edited else "",
        terms.TAG_NUMBER: str(lesion.number),
        terms.TAG_SCORE: f"{lesion.score:.4f}" if math.isfinite(lesion.score) else "",
        terms.TAG_SOURCE: lesion.source.value,
        terms.TAG_CLASS: lesion.model_class or "",
        terms.TAG_PROBABILITIES: terms.probabilities_text(lesion.class_probabilities),
        terms.TAG_READER_CLASS: lesion.reader_class or "",
        terms.TAG_NOTE: lesion.note,
        TAG_TRACKING_UID: lesion.tracking_uid,
        TAG_REASONS: lesion.class_reasons,
        TAG_PROBABILITY: "" if lesion.probability is None else f"{lesion.probability:.4f}",
        TAG_HALF_WIDTH: half_width_text(lesion),
        TAG_AT_GALLBLADDER: "1" if lesion.at_gallbladder else "",
        TAG_ENHANCEMENT: enhancement_text(lesion.enhancement),
        TAG_BOX: box_text(lesion.box),
        terms.TAG_CLASS_BOX: box_text(lesion.class_box),
        TAG_AXES: axes_text(*ends) if ends is not None else "",
        TAG_ANATOMY: anatomy_text(lesion.anatomy),
        TAG_READER_SEGMENTS: "" if lesion.anatomy is None else segments_text(lesion.anatomy.reader_segments),
    }
    return {name: text for name, text in tags.items() if text}


def read(tags: Mapping[str, str]) -> Lesion:
    """The way back from :func:`write`: a lesion without mask and measurement, its centre that of its box.

    Number 0 and score NaN where it has none. A damaged tag counts as
    missing.
    """

    def text(name: str) -> str:
        return tags.get(name) or ""

    number, said = text(terms.TAG_NUMBER), text(terms.TAG_STATUS)
    box = parse_box(text(TAG_BOX)) or NOWHERE
    return Lesion(
        number=int(number) if number.isdecimal() else 0,
        score=_number(text(terms.TAG_SCORE), math.nan),
        centre_lps=box.centre_lps,
        box=box,
        measurement=None,
        source=_source(text(terms.TAG_SOURCE)),
        status=terms.followed_status(LesionStatus.read(said), text(terms.TAG_SLICER_STATUS)),
        model_class=text(terms.TAG_CLASS) or None,
        class_probabilities=terms.parse_probabilities(text(terms.TAG_PROBABILITIES)),
        class_box=parse_box(text(terms.TAG_CLASS_BOX)),
        reader_class=text(terms.TAG_READER_CLASS) or None,
        note=text(terms.TAG_NOTE),
        # A segment without a status was added by the reader; version 0.1 had "edited" among the decisions.
        edited=bool(text(terms.TAG_EDITED)) or said in ("", terms.EDITED_BEFORE),
        tracking_uid=text(TAG_TRACKING_UID),
        class_reasons=text(TAG_REASONS),
        probability=_number(text(TAG_PROBABILITY), None),
        half_width_mm=_number(text(TAG_HALF_WIDTH), None),
        at_gallbladder=bool(text(TAG_AT_GALLBLADDER)),
        enhancement=parse_enhancement(text(TAG_ENHANCEMENT)),
        anatomy=parse_anatomy(text(TAG_ANATOMY), text(TAG_READER_SEGMENTS)),
    )


def half_width_text(lesion: Lesion) -> str:
    """Half the width of its interval as a tag; "" where it is not known."""
    return "" if lesion.half_width_mm is None else f"{lesion.half_width_mm:.4f}"


def anatomy_text(one: LesionAnatomy | None) -> str:
    """Where a lesion lies as a tag, without what the reader says; "" where nobody asked."""
    if one is None:
        return ""
    return json.dumps(describe_lesion_anatomy(one.with_reader()), separators=(",", ":"))


def parse_anatomy(computed: str, by_reader: str) -> LesionAnatomy | None:
    """Of both tags; None where both are empty or damaged."""
    try:
        found = read_lesion_anatomy(json.loads(computed)) if computed else None
    except (ValueError, KeyError, TypeError):
        found = None
    try:
        segments: tuple[CouinaudSegment, ...] = read_segments(by_reader)
    except ValueError:
        segments = ()
    return found if not segments else (found or LesionAnatomy()).with_reader(segments)


def enhancement_text(one: Enhancement | None) -> str:
    """Densities over the phases as a tag; "" for none."""
    return "" if one is None else json.dumps(describe_enhancement(one), separators=(",", ":"))


def parse_enhancement(text: str) -> Enhancement | None:
    """Of such a tag; None for an empty or damaged one."""
    try:
        return read_enhancement(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError):
        return None


def box_text(box: Box | None) -> str:
    """A box as a tag: centre (LPS, mm), edge lengths, directions, score; 16 numbers. "" for none."""
    if box is None:
        return ""
    return _numbers_text((*box.centre_lps, *box.size_xyz_mm, *box.directions_lps, box.score))


def parse_box(text: str) -> Box | None:
    """The box of such a tag; None for an empty or damaged one."""
    numbers = _numbers(text, 16)
    if numbers is None or min(numbers[3:6]) <= 0:
        return None
    return Box(_point(numbers), _point(numbers[3:]), tuple(numbers[6:15]), numbers[15])


def axes_text(long_axis_lps: Axis, short_axis_lps: Axis) -> str:
    """The end points of both axes as a tag."""
    return _numbers_text([value for end in (*long_axis_lps, *short_axis_lps) for value in end])


def parse_axes(text: str) -> tuple[Axis, Axis] | None:
    """Long and short axis of such a tag; None for an empty or damaged one."""
    numbers = _numbers(text, 12)
    if numbers is None:
        return None
    a, b, c, d = (_point(numbers[k:]) for k in range(0, 12, 3))
    return (a, b), (c, d)


def _source(text: str) -> LesionSource:
    return next((source for source in LesionSource if source.value == text), LesionSource.READER)


def _number(text: str, missing: Missing) -> float | Missing:
    try:
        return float(text)
    except ValueError:
        return missing


def _numbers_text(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)


def _numbers(text: str, length: int) -> list[float] | None:
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    return numbers if len(numbers) == length and all(map(math.isfinite, numbers)) else None


def _point(numbers: Sequence[float]) -> PointLps:
    return (numbers[0], numbers[1], numbers[2])
