"""The parts of a result as JSON: lesions, grids, numbers. :mod:`.store` documents the whole schema."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..volume.geometry import Geometry, Vec3
from .classes import Phase
from .enhancement import describe_enhancement, read_enhancement
from .findings import (
    MEASURED_DIGITS,
    Box,
    DoubtfulPlace,
    Lesion,
    LesionSource,
    LesionStatus,
    Measurement,
    PhaseEstimate,
)
from .lesion_anatomy_json import describe_lesion_anatomy, read_lesion_anatomy
from .terminology import EDITED_BEFORE

Json = dict[str, Any]
_STATUS_BEFORE = ("AI", EDITED_BEFORE)
"""In schema version 1, for lesions that the reader had not decided on."""


def describe_lesion(lesion: Lesion) -> Json:
    """A lesion as numbers, texts, lists and dictionaries."""
    described = {
        "number": lesion.number,
        "score": rounded(lesion.score, 6),
        "centre_lps": rounded_all(lesion.centre_lps, 4),
        "box": _describe_box(lesion.box),
        "measurement": None if lesion.measurement is None else _describe_measurement(lesion.measurement),
        "source": lesion.source.value,
        "status": lesion.status.value,
        "model_class": lesion.model_class,
        "class_probabilities": {name: rounded(p, 6) for name, p in lesion.class_probabilities.items()},
        "reader_class": lesion.reader_class,
        "note": lesion.note,
        "edited": lesion.edited,
        "tracking_uid": lesion.tracking_uid,
        "class_reasons": lesion.class_reasons,
        "probability": None if lesion.probability is None else rounded(lesion.probability, 6),
    }
    if lesion.class_box is not None:
        described["class_box"] = _describe_box(lesion.class_box)
    if lesion.enhancement is not None:
        described["enhancement"] = describe_enhancement(lesion.enhancement)
    if lesion.half_width_mm is not None:
        described["half_width_mm"] = rounded(lesion.half_width_mm, 4)
    if lesion.at_gallbladder:
        described["at_gallbladder"] = True
    if lesion.anatomy is not None:
        described["anatomy"] = describe_lesion_anatomy(lesion.anatomy)
    return described


def _describe_measurement(measured: Measurement) -> Json:
    return {
        "long_axis_lps": [rounded_all(p, 4) for p in measured.long_axis_lps],
        "short_axis_lps": [rounded_all(p, 4) for p in measured.short_axis_lps],
        **{name: rounded(getattr(measured, name), digits) for name, digits in MEASURED_DIGITS.items()},
    }


def _read_measurement(entry: Json | None) -> Measurement | None:
    if entry is None:
        return None
    long_axis, short_axis = (_read_ends(entry[name]) for name in ("long_axis_lps", "short_axis_lps"))
    numbers = {name: read_number(entry[name]) for name in MEASURED_DIGITS}
    # Version 1 had numbers that do not exist for a lesion without a mask.
    if not numbers["volume_ml"] > 0:
        return None
    return Measurement(long_axis_lps=long_axis, short_axis_lps=short_axis, **numbers)


def _read_ends(points: list[list[float]]) -> tuple[Vec3, Vec3]:
    if len(points) != 2:
        raise ValueError("an axis of a lesion does not have two ends")
    return read_triple(points[0]), read_triple(points[1])


def _describe_box(box: Box) -> Json:
    return {
        "centre_lps": rounded_all(box.centre_lps, 4),
        "size_xyz_mm": rounded_all(box.size_xyz_mm, 4),
        "directions_lps": [rounded(d) for d in box.directions_lps],
        "score": rounded(box.score, 6),
    }


def _read_box(entry: Json) -> Box:
    return Box(
        read_triple(entry["centre_lps"]),
        read_triple(entry["size_xyz_mm"]),
        read_numbers(entry["directions_lps"], 9),
        read_number(entry["score"]),
    )


def read_lesion(entry: Json) -> Lesion:
    """The way back from :func:`describe_lesion`; KeyError, TypeError or ValueError where it is damaged."""
    # Version 1 had the model's class under another name, and "edited" among the decisions.
    predicted = entry["model_class"] if "model_class" in entry else entry["predicted_class"]
    return Lesion(
        number=int(entry["number"]),
        score=read_number(entry["score"]),
        centre_lps=read_triple(entry["centre_lps"]),
        box=_read_box(entry["box"]),
        measurement=_read_measurement(entry["measurement"]),
        source=LesionSource(entry["source"]),
        status=LesionStatus(entry["status"] if entry["status"] not in _STATUS_BEFORE else "undecided"),
        model_class=None if predicted is None else str(predicted),
        class_probabilities={str(k): read_number(v) for k, v in entry["class_probabilities"].items()},
        class_box=None if entry.get("class_box") is None else _read_box(entry["class_box"]),
        reader_class=str(entry["reader_class"]) if entry.get("reader_class") else None,
        note=str(entry.get("note") or ""),
        edited=bool(entry.get("edited", entry["status"] == EDITED_BEFORE)),
        tracking_uid=str(entry.get("tracking_uid") or ""),
        class_reasons=str(entry.get("class_reasons") or ""),
        probability=_read_optional(entry.get("probability")),
        enhancement=None if entry.get("enhancement") is None else read_enhancement(entry["enhancement"]),
        anatomy=read_lesion_anatomy(entry.get("anatomy")),
        half_width_mm=_read_optional(entry.get("half_width_mm")),
        at_gallbladder=bool(entry.get("at_gallbladder")),
    )


def _read_optional(value: float | None) -> float | None:
    return None if value is None else read_number(value)


def describe_place(place: DoubtfulPlace) -> Json:
    """A place that is not listed."""
    return {
        "centre_lps": rounded_all(place.centre_lps, 4),
        "diameter_mm": rounded(place.diameter_mm, 4),
        "score": rounded(place.score, 6),
    }


def read_place(entry: Json) -> DoubtfulPlace:
    """The way back from :func:`describe_place`."""
    return DoubtfulPlace(
        read_triple(entry["centre_lps"]), read_number(entry["diameter_mm"]), read_number(entry["score"])
    )


def describe_phase(phase: PhaseEstimate | None) -> Json | None:
    """A contrast phase; None where there is none."""
    if phase is None:
        return None
    return {
        "name": phase.name,
        "probability": rounded(phase.probability, 6),
        "warning": phase.warning,
        "named": phase.named,
    }


def read_phase(entry: Json | None) -> PhaseEstimate | None:
    """The way back from :func:`describe_phase`."""
    if entry is None:
        return None
    probability, named = read_number(entry["probability"]), bool(entry.get("named", False))
    return PhaseEstimate(Phase.title_of(str(entry["name"])), probability, str(entry["warning"]), named)


def describe_geometry(geometry: Geometry) -> Json:
    """A grid, exactly."""
    return {
        "shape_zyx": [int(n) for n in geometry.shape_zyx],
        "spacing_zyx_mm": [float(s) for s in geometry.spacing_zyx_mm],
        "origin_lps": [float(o) for o in geometry.origin_lps],
        "directions_lps": [float(d) for d in np.ravel(geometry.directions_lps)],
    }


def read_geometry(entry: Json) -> Geometry:
    """The way back from :func:`describe_geometry`."""
    return Geometry.make(
        tuple(entry["shape_zyx"]),
        read_numbers(entry["spacing_zyx_mm"], 3),
        read_numbers(entry["origin_lps"], 3),
        np.array(read_numbers(entry["directions_lps"], 9)).reshape(3, 3),
    )


def rounded(value: float, digits: int | None = None) -> float | None:
    """A number for JSON: None where it is not finite."""
    value = float(value)
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def rounded_all(values: Iterable[float], digits: int) -> list[float | None]:
    """:func:`rounded` for every number of a point or a size."""
    return [rounded(v, digits) for v in values]


def read_number(value: float | None) -> float:
    """The way back from :func:`rounded`: NaN for None."""
    return float("nan") if value is None else float(value)


def read_triple(values: Sequence[float | None]) -> Vec3:
    """:func:`read_numbers` of a point or three lengths."""
    first, second, third = read_numbers(values, 3)
    return first, second, third


def read_numbers(values: Sequence[float | None], length: int) -> tuple[float, ...]:
    """The way back from :func:`rounded_all`; ValueError unless there are `length` of them."""
    if len(values) != length:
        raise ValueError(f"{length} numbers expected, {len(values)} found")
    return tuple(read_number(v) for v in values)
