"""Where reference lesions lie in the liver, and how far from its density: what makes them easy or hard.

Dome, hilum and capsule are read off the reference's liver alone, by distances in mm; no network is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import bounding_box, copied
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Delaunay, QhullError

from .bands import INFINITY, Band
from .components import Components
from .segmentation import NAN

DOME_MM = 25.0
"""A lesion whose centre lies this close below the liver's highest slice is at the dome."""

HILUM_MM = 25.0
"""One whose border comes this close to the deepest notch of the liver is at the hilum."""

NOTCH_MM = 8.0
"""A notch that is less deep is no hilum: the liver is not seen there."""

CAPSULE_MM = 5.0
"""One whose border comes this close to the liver's surface is under the capsule."""

SHELL_MM = 10.0
"""Liver within this of a lesion is what its density is held against."""

COARSE_MM = 2.0
HULL_MM = 5.0

PLACES = ("dome", "hilum", "capsule", "deeper")
"""A lesion has the first that holds."""


DENSITY_BANDS = (
    Band("30 HU darker and more", -INFINITY, -30.0),
    Band("15-30 HU darker", -30.0, -15.0),
    Band("within 15 HU of liver", -15.0, 15.0),
    Band("15 HU brighter and more", 15.0, INFINITY),
)
"""By the difference from the liver's density, HU."""


@dataclass(frozen=True)
class Whereabouts:
    """One reference lesion.

    Attributes:
        place: one of `PLACES`.
        difference_hu: median of the lesion less median of the liver round it; NaN without HU or liver.
    """

    place: str
    difference_hu: float


def whereabouts(
    lesions: Components,
    count: int,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Sequence[float],
    hu_zyx: NDArray | None = None,
) -> tuple[Whereabouts, ...]:
    """Place and density of lesions 1..count.

    Args:
        lesions: components of the reference on the whole grid; axes z towards the head.
        count: of them, largest first; the rest is not asked for, and is no liver.
        liver_zyx: bool, the liver with its lesions.
        hu_zyx: HU there; None where it is not known.
    """
    box = bounding_box(liver_zyx)
    if box is None or not count:
        return tuple(Whereabouts(PLACES[-1], NAN) for _ in range(count))
    spacing = np.asarray(spacing_zyx_mm, float)
    corner = np.array([b.start for b in box])
    depth_mm, step = _depth(liver_zyx[box], spacing)
    hilum_mm = deepest_notch(liver_zyx[box], spacing)
    top_mm = (box[0].stop - 0.5) * spacing[0]
    centres = lesions.centres_zyx()
    out = []
    for number in range(1, count + 1):
        index = np.stack(np.unravel_index(lesions.places[lesions.numbers == number], lesions.labels.shape), 1)
        coarse = np.minimum((index - corner).clip(0) // step, np.array(depth_mm.shape) - 1)
        if top_mm - centres[number - 1, 0] * spacing[0] <= DOME_MM:
            place = "dome"
        elif hilum_mm is not None and _nearest_mm(index - corner, hilum_mm, spacing) <= HILUM_MM:
            place = "hilum"
        elif depth_mm[tuple(coarse.T)].min() <= CAPSULE_MM:
            place = "capsule"
        else:
            place = "deeper"
        out.append(
            Whereabouts(place, _difference_hu(index, lesions.labels, liver_zyx, spacing, hu_zyx, number))
        )
    return tuple(out)


def _depth(liver_zyx: NDArray[np.bool_], spacing: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to what is no liver, mm, on every `step`-th voxel; where the scan ends the liver does too."""
    step = np.maximum(1, np.round(COARSE_MM / spacing)).astype(int)
    coarse = np.pad(liver_zyx[tuple(slice(None, None, s) for s in step)], 1)
    # Distances are to the middle of the next voxel outside, the surface lies half a voxel before it.
    depth = ndimage.distance_transform_edt(coarse, sampling=spacing * step) - (spacing * step).min() / 2
    return depth[1:-1, 1:-1, 1:-1], step


def deepest_notch(liver_zyx: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float64] | None:
    """Where what is no liver reaches deepest into the liver's convex hull: the porta and its fissures.

    Returns:
        (3,) mm from the first voxel's centre, z, y, x; None where no notch is `NOTCH_MM` deep.
    """
    step = np.maximum(1, np.round(HULL_MM / np.asarray(spacing, float))).astype(int)
    size = np.asarray(spacing, float) * step
    coarse = np.pad(liver_zyx[tuple(slice(None, None, s) for s in step)], 1)
    edge = np.argwhere(coarse & ~ndimage.binary_erosion(coarse)) * size
    try:
        hull = Delaunay(edge)
    except (QhullError, ValueError):
        return None
    every = np.indices(coarse.shape).reshape(3, -1).T * size
    inside = (hull.find_simplex(every) >= 0).reshape(coarse.shape)
    # How deep a voxel lies in the hull, and only there where there is no liver.
    depth = np.where(
        coarse, 0.0, ndimage.distance_transform_edt(np.pad(inside, 1), sampling=size)[1:-1, 1:-1, 1:-1]
    )
    if depth.max() < NOTCH_MM:
        return None
    return (np.array(np.unravel_index(int(np.argmax(depth)), depth.shape)) - 1) * size


def _nearest_mm(index: NDArray, point_mm: NDArray, spacing: NDArray) -> float:
    return float(np.linalg.norm(index * spacing - point_mm, axis=1).min())


def _difference_hu(
    index: NDArray,
    labels: NDArray,
    liver_zyx: NDArray[np.bool_],
    spacing: NDArray,
    hu_zyx: NDArray | None,
    number: int,
) -> float:
    """A lesion's median density less that of the liver round it, HU."""
    if hu_zyx is None:
        return NAN
    margin = np.ceil(SHELL_MM / spacing).astype(int)
    low, high = np.maximum(index.min(axis=0) - margin, 0), index.max(axis=0) + margin + 1
    cut = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    own = copied(labels[cut] == number)
    near = ndimage.distance_transform_edt(~own, sampling=spacing) <= SHELL_MM
    around = near & liver_zyx[cut] & (labels[cut] == 0)
    if not around.any():
        return NAN
    return float(np.median(hu_zyx[cut][own]) - np.median(hu_zyx[cut][around]))
