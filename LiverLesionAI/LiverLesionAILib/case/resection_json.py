"""A planned resection as JSON: in the case store, and its figures for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.steps import Steps
from ..volume.geometry import Geometry
from .remnant import Body, Remnant
from .resection import Resection, ResectionWay
from .store_arrays import cropped, placed
from .store_json import Json

ARRAY = "resection"
"""Name of the mask in the case's array file."""
FIGURES = (
    "liver_ml",
    "resected_ml",
    "remaining_ml",
    "tumour_ml",
    "remaining_tumour_ml",
    "functional_ml",
    "functional_percent",
    "vauthey_percent",
    "urata_percent",
    "least_percent",
)
_VOLUMES = ("liver", "resected", "remaining", "tumour", "remaining_tumour")


def remnant_json(found: Remnant) -> dict[str, Any]:
    """The figures for programs; those that do not exist are None."""
    numbers = {name: getattr(found, name) for name in FIGURES}
    rounded = {k: None if v is None or v != v else round(float(v), 3) for k, v in numbers.items()}
    return {**rounded, "enough": found.enough, "warnings": list(found.warnings)}


def resection_json(resection: Resection) -> dict[str, Any]:
    """A resection for programs: how it was chosen, and the figures."""
    return {"way": resection.way.value, "detail": resection.detail, **remnant_json(resection.remnant)}


def describe_resection(resection: Resection, arrays: dict[str, NDArray[Any]]) -> Json:
    """The JSON part of a resection in the case store; its mask is added to `arrays`."""
    arrays[ARRAY], place = cropped(resection.mask_zyx.astype(np.uint8))
    remnant, body = resection.remnant, resection.remnant.body
    return {
        "way": resection.way.value,
        "detail": resection.detail,
        "mask": {"array": ARRAY, **place},
        "volumes_ml": {name: float(getattr(remnant, f"{name}_ml")) for name in _VOLUMES},
        "body": None if body is None else {"height_cm": body.height_cm, "weight_kg": body.weight_kg},
        "least_percent": remnant.least_percent,
        "warnings": list(remnant.warnings),
    }


def read_resection(
    entry: Json | None, arrays: Mapping[str, NDArray[Any]], geometry: Geometry
) -> Steps[Resection | None]:
    """The way back, on the case's grid; KeyError, TypeError or ValueError where it is damaged."""
    if entry is None:
        return None
    place, volumes, body = entry["mask"], entry["volumes_ml"], entry["body"]
    mask = yield from placed(arrays[place["array"]], place, geometry, np.dtype(np.uint8))
    least = entry["least_percent"]
    remnant = Remnant(
        **{f"{name}_ml": float(volumes[name]) for name in _VOLUMES},
        body=None if body is None else Body(float(body["height_cm"]), float(body["weight_kg"])),
        least_percent=None if least is None else float(least),
        warnings=tuple(str(said) for said in entry["warnings"]),
    )
    return Resection(ResectionWay(entry["way"]), str(entry["detail"]), mask > 0, remnant)
