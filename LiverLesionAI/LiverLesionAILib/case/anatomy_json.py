"""The liver's anatomy as JSON and arrays, in the case store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.steps import Steps
from ..volume.geometry import Geometry
from .anatomy import Landmark, LiverAnatomy
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
    return [
        {
            "name": one.name,
            "lps": rounded_all(one.lps, 3),
            "uncertainty_mm": rounded(one.uncertainty_mm, 3),
            "source": one.source,
        }
        for one in anatomy.landmarks.values()
    ]


def read_anatomy(entry: Json | None, arrays: Mapping[str, NDArray[Any]]) -> Steps[LiverAnatomy | None]:
    """The way back; KeyError, TypeError or ValueError where it is damaged."""
    if entry is None:
        return None
    geometry: Geometry = read_geometry(entry["geometry"])
    found = []
    for name in (VESSELS, SEGMENTS):
        place = entry[name]
        found.append((yield from placed(arrays[place["array"]], place, geometry, np.dtype(np.uint8))))
    landmarks = [
        Landmark(
            str(one["name"]),
            read_triple(one["lps"]),
            read_number(one["uncertainty_mm"]),
            str(one["source"]),
        )
        for one in entry["landmarks"]
    ]
    return LiverAnatomy(
        geometry,
        found[0],
        found[1],
        {one.name: one for one in landmarks},
        tuple(str(message) for message in entry["messages"]),
    )
