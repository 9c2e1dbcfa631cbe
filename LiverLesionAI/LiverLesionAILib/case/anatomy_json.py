"""The liver's anatomy as JSON and arrays, in the case store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.steps import Steps
from ..volume.geometry import Geometry
from .anatomy import CouinaudSegment, Landmark, LiverAnatomy
from .store_arrays import cropped, placed
from .store_json import (
    Json,
    describe_geometry,
    read_geometry,
    read_number,
    read_triple,
    rounded,
    rounded_all,
)

VESSELS, SEGMENTS = "anatomy_vessels", "anatomy_segments"
"""Names of the arrays in the case's array file."""


def describe_anatomy(anatomy: LiverAnatomy, arrays: dict[str, NDArray[Any]]) -> Json:
    """The JSON part of a liver's anatomy; its arrays are added to `arrays`."""
    places = {}
    for name, labels_zyx in ((VESSELS, anatomy.vessels_zyx), (SEGMENTS, anatomy.segments_zyx)):
        arrays[name], place = cropped(labels_zyx)
        places[name] = {"array": name, **place}
    return {
        "geometry": describe_geometry(anatomy.geometry),
        **places,
        "landmarks": describe_landmarks(anatomy),
        "messages": list(anatomy.messages),
    }


def describe_landmarks(anatomy: LiverAnatomy) -> list[Json]:
    """Landmarks in their order."""
    return [_describe_landmark(one) for one in anatomy.landmarks.values()]


def landmarks_text(landmarks: Mapping[str, Landmark]) -> str:
    """Landmarks in their order, as text."""
    return json.dumps([_describe_landmark(one) for one in landmarks.values()], separators=(",", ":"))


def landmarks_from_text(text: str | None) -> dict[str, Landmark]:
    """The way back; none where it is damaged."""
    try:
        return _read_landmarks(json.loads(text)) if text else {}
    except (KeyError, TypeError, ValueError):
        return {}


def _describe_landmark(one: Landmark) -> Json:
    return {
        "name": one.name,
        "lps": rounded_all(one.lps, 3),
        "uncertainty_mm": rounded(one.uncertainty_mm, 3),
        "source": one.source,
    }


def _read_landmarks(entries: Iterable[Json]) -> dict[str, Landmark]:
    landmarks = [
        Landmark(
            str(one["name"]),
            read_triple(one["lps"]),
            read_number(one["uncertainty_mm"]),
            str(one["source"]),
        )
        for one in entries
    ]
    return {one.name: one for one in landmarks}


def anatomy_findings(anatomy: LiverAnatomy) -> Json:
    """What other programs are told: volumes of the segments, landmarks, what is blank and why."""
    segments = CouinaudSegment if anatomy.has_segments else ()
    return {
        "segment_volumes_ml": {one.roman: rounded(anatomy.volume_ml(one), 3) for one in segments},
        "landmarks": describe_landmarks(anatomy),
        "notes": list(anatomy.messages),
    }


def read_anatomy(entry: Json | None, arrays: Mapping[str, NDArray[Any]]) -> Steps[LiverAnatomy | None]:
    """The way back; KeyError, TypeError or ValueError where it is damaged."""
    if entry is None:
        return None
    geometry: Geometry = read_geometry(entry["geometry"])
    found = []
    for name in (VESSELS, SEGMENTS):
        place = entry[name]
        found.append((yield from placed(arrays[place["array"]], place, geometry, np.dtype(np.uint8))))
    return LiverAnatomy(
        geometry,
        found[0],
        found[1],
        _read_landmarks(entry["landmarks"]),
        tuple(str(message) for message in entry["messages"]),
    )
