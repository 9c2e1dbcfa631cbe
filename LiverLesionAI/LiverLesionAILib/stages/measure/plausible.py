"""Whether a result can be true: a liver on the wrong side, or of a size or density that no body has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.messages import (
    CHECK_SIDE,
    TOO_BRIGHT,
    TOO_DARK,
    TOO_LARGE,
    TOO_SMALL,
    TOO_SMALL_AND_CUT,
)
from ...volume.ct import CtVolume, Geometry, resample, resample_labels
from ...volume.masks import largest_component

SPACING_MM = (5.0, 3.0, 3.0)
# Some CTs come with everything below -160 cut off.
TISSUE_HU, BONE_HU = -150.0, 150.0


@dataclass(frozen=True)
class PlausibleSettings:
    """What is plausible; the page of rules has the reasons.

    Attributes:
        side_share: how far left of the middle the liver may lie, of the body's width.
        least_ml_per_cm2, most_ml_per_cm2: liver volume against the body's cross-section at the liver.
        liver_hu: lowest and highest density of a liver without its lesions.
    """

    PREFIX: ClassVar[str] = "plausible_"

    side_share: float
    least_ml_per_cm2: float
    most_ml_per_cm2: float
    liver_hu: tuple[float, float]


@dataclass(frozen=True)
class BodyMeasures:
    """What is looked at.

    Attributes:
        side: how far left of the middle (spine, else body) the liver's centre lies, of the body's width;
            positive is left.
        section_cm2: area of the body in the slices of the liver, median.
        whole: whether the body lies inside the image there (no arm of it cut away).
    """

    side: float
    section_cm2: float
    whole: bool


def measure_body(volume: CtVolume, liver_zyx: NDArray[np.bool_], geometry: Geometry) -> BodyMeasures | None:
    """Measure liver against body; None where there is no liver or no body.

    Args:
        volume: reoriented, axes along L, P, S.
        liver_zyx: on `geometry`, a part of the volume's grid.
    """
    grid = volume.geometry.with_spacing(SPACING_MM)
    liver = resample_labels(liver_zyx.astype(np.uint8), geometry, grid) > 0
    slices = np.flatnonzero(liver.any(axis=(1, 2)))
    if not slices.size:
        return None
    hu = np.asarray(resample(volume.hu_zyx, volume.geometry, grid), np.float32)[slices[0] : slices[-1] + 1]
    liver = liver[slices[0] : slices[-1] + 1]
    body = np.stack([_body(plane) for plane in hu])
    if not body.any():
        return None
    areas = body.sum(axis=(1, 2)) * SPACING_MM[1] * SPACING_MM[2] / 100
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    width = float(columns[-1] - columns[0] + 1)
    middle = _spine_column(hu, body)
    if middle is None:
        middle = float(columns[0] + columns[-1]) / 2
    # Columns of a reoriented CT run to the patient's left.
    side = (float(np.argwhere(liver)[:, 2].mean()) - middle) / width
    edges = body[:, :, 0].any(axis=1).mean() + body[:, :, -1].any(axis=1).mean()
    return BodyMeasures(side, float(np.median(areas)), bool(edges < 0.2))


def implausible(
    body: BodyMeasures | None,
    liver_ml: float,
    *,
    cut_off: bool,
    settings: PlausibleSettings,
    liver_hu: float = float("nan"),
) -> tuple[str, ...]:
    """Sentences that lead the findings; nothing is changed or refused.

    Args:
        liver_ml: the liver's volume.
        cut_off: whether the scan cuts the liver: then it may be small, and that is said.
        liver_hu: the liver's mean density without lesions; NaN says nothing.
    """
    if not liver_ml > 0:
        return ()
    low, high = settings.liver_hu
    said = [] if body is None else _of_side_and_size(body, liver_ml, cut_off, settings)
    if liver_hu < low:
        said.append(TOO_DARK.say(hu=liver_hu))
    elif liver_hu > high:
        said.append(TOO_BRIGHT.say(hu=liver_hu))
    return tuple(said)


def _of_side_and_size(
    body: BodyMeasures, liver_ml: float, cut_off: bool, settings: PlausibleSettings
) -> list[str]:
    said = []
    if body.side > settings.side_share:
        said.append(CHECK_SIDE.say())
    ratio = liver_ml / body.section_cm2
    if ratio > settings.most_ml_per_cm2:
        said.append(TOO_LARGE.say(ml=liver_ml))
    elif ratio < settings.least_ml_per_cm2 and body.whole and cut_off:
        said.append(TOO_SMALL_AND_CUT.say(ml=liver_ml))
    elif ratio < settings.least_ml_per_cm2 and body.whole:
        said.append(TOO_SMALL.say(ml=liver_ml))
    return said


def _body(plane: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The body in a slice, its inside filled."""
    tissue = ndimage.binary_opening(plane > TISSUE_HU, iterations=1)
    if not tissue.any():
        return tissue
    return ndimage.binary_fill_holes(largest_component(tissue[None])[0])


def _spine_column(hu: NDArray[np.float32], body: NDArray[np.bool_]) -> float | None:
    """Middle column of the bone in the back third of the body; None where there is hardly any.

    Ribs lie on both sides alike; the vertebra's body is the largest piece.
    """
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    back = rows[0] + int(0.5 * (rows[-1] - rows[0]))
    bone = (hu > BONE_HU) & body
    bone[:, :back] = False
    bone = ndimage.binary_opening(bone, structure=np.ones((1, 3, 3)))
    found = []
    for plane in bone:
        if plane.sum() >= 20:
            found.append(float(np.argwhere(largest_component(plane[None])[0])[:, 1].mean()))
    return float(np.median(found)) if len(found) >= 3 else None
