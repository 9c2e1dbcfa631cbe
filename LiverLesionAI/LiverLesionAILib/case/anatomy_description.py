"""The liver's vessels and Couinaud segments in files and in the scene: IDs, names, tags, looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..support.text import printable
from .anatomy import CouinaudSegment, LiverAnatomy, Vessel
from .terminology import (
    TAG_ALGORITHM_NAME,
    TAG_ALGORITHM_TYPE,
    TAG_TERMINOLOGY,
    algorithm_type,
    anatomy_terminology,
)

Structure = CouinaudSegment | Vessel

ALGORITHM = "LiverLesionAI anatomy"
STRUCTURES: tuple[Structure, ...] = (*CouinaudSegment, *Vessel)
"""In the order of lists; a vessel's number equals a segment's, so that they are told apart by their IDs."""
SEGMENT_FILL, SEGMENT_OPACITY = 0.30, 0.35
"""Of Couinaud segments in 2D and 3D: the CT and the vessels are to be seen through them."""
VESSEL_FILL, VESSEL_OPACITY = 0.55, 1.0


@dataclass(frozen=True)
class Look:
    """2D fill and 3D opacity of a structure, 0..1."""

    fill: float
    opacity: float


def anatomy_name(case_name: str) -> str:
    """Of the segmentation that holds vessels and segments."""
    return f"{printable(case_name)} Anatomy"


def landmarks_name(case_name: str) -> str:
    """Of the list of points that the planes rest on."""
    return f"{printable(case_name)} Anatomy landmarks"


def structure_id(one: Structure) -> str:
    """In files and in the scene: "CouinaudSegment_VIII", "Vessel_PORTAL"."""
    return f"{type(one).__name__}_{one.name}"


def structure_of(segment_id: str) -> Structure | None:
    """The way back; None for what is no vessel and no Couinaud segment."""
    return next((one for one in STRUCTURES if structure_id(one) == segment_id), None)


def structure_tags(one: Structure) -> dict[str, str]:
    """What other programs know it by."""
    return {
        TAG_TERMINOLOGY: anatomy_terminology(one.code),
        TAG_ALGORITHM_TYPE: algorithm_type(edited=False),
        TAG_ALGORITHM_NAME: ALGORITHM,
    }


def structure_look(one: Structure) -> Look:
    """How it is drawn."""
    if isinstance(one, Vessel):
        return Look(VESSEL_FILL, VESSEL_OPACITY)
    return Look(SEGMENT_FILL, SEGMENT_OPACITY)


def layer_of(anatomy: LiverAnatomy, one: Structure) -> NDArray[np.uint8]:
    """The array that a structure lies in: vessels run through the segments, so they have one of their own."""
    return anatomy.vessels_zyx if isinstance(one, Vessel) else anatomy.segments_zyx
