"""What a scan's network sees where the other scan has a lesion and this one lists none.

A lesion that is listed in one scan only is new or gone, or it is there in both and stays below the list's
threshold in one. The kept probability of the tumour tells the two apart better than the list does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.followup import LesionState, Pair
from ...volume.geometry import Geometry
from ...volume.point_map import Movement, came_from
from .pair import Place

STEPS = 9
"""Points across the ball that is looked at."""

Look = Callable[[NDArray[np.float64], float, Sequence[Place]], bool]
"""(centre in LPS mm, radius in mm, the listed lesions of the scan) -> whether the network sees something
there that is none of those."""


@dataclass(frozen=True)
class FaintSettings:
    """When something faint is there; the page of rules has the reasons.

    Attributes:
        least: probability that half of a lesion's volume has to reach.
        reach_mm: so far beside its expected place it may lie.
    """

    PREFIX: ClassVar[str] = "faint_"

    least: float
    reach_mm: float


def level_at(
    centre_lps: NDArray[np.float64],
    radius_mm: float,
    values_zyx: NDArray[np.uint8] | NDArray[np.float32],
    geometry: Geometry,
    reach_mm: float,
    listed: Sequence[Place] = (),
) -> float:
    """The probability (0..1) that half of a ball's volume reaches, within `reach_mm` more around it.

    Args:
        listed: lesions whose own voxels are no sign of another one.
        values_zyx: on `geometry`; uint8 stands for 0..1. Outside of it there is nothing.
    """
    outer = radius_mm + reach_mm
    steps = np.linspace(-outer, outer, STEPS)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= outer]
    points = centre_lps + offsets
    index = np.asarray(geometry.lps_to_index(points)).T
    values = ndimage.map_coordinates(values_zyx, index, np.float32, 1, mode="constant", cval=0.0)
    for lesion in listed:
        values[lesion.holds(points)] = 0.0
    wanted = max(1, math.ceil(0.5 * len(offsets) * (radius_mm / outer) ** 3))
    return float(np.sort(values)[-wanted]) / (255.0 if values_zyx.dtype == np.uint8 else 1.0)


def look_in(
    values_zyx: NDArray[np.uint8] | NDArray[np.float32], geometry: Geometry, settings: FaintSettings
) -> Look:
    """Whether a scan's network sees something at a place, by the tumour's probability that was kept."""
    least, reach_mm = settings.least, settings.reach_mm
    return lambda centre, radius, listed: (
        level_at(centre, radius, values_zyx, geometry, reach_mm, listed) >= least
    )


def with_faint(
    pairs: Sequence[Pair],
    places: tuple[Mapping[int, Place], Mapping[int, Place]],
    transform: Movement,
    looks: tuple[Look | None, Look | None],
) -> tuple[Pair, ...]:
    """Pairs, with what is no more than unlisted in one scan called so instead of new or gone.

    A place inside another lesion's outline is not called faint for that outline's sake.

    Args:
        places: of the prior's and the current lesions, in their own scans' patient space.
        transform: from the prior's space to the current one's.
        looks: into the prior and into the current scan; None where it keeps no probability.
    """
    return tuple(_looked_at(pair, places, transform, looks) for pair in pairs)


def _looked_at(
    pair: Pair,
    places: tuple[Mapping[int, Place], Mapping[int, Place]],
    transform: Movement,
    looks: tuple[Look | None, Look | None],
) -> Pair:
    faint = False
    if pair.state is LesionState.GONE and looks[1] is not None:
        place = places[0][pair.prior[0]]
        there = transform.points(place.centre_lps[None])[0]
        faint = looks[1](there, place.radius_mm, tuple(places[1].values()))
    elif pair.state is LesionState.NEW and looks[0] is not None:
        place = places[1][pair.current[0]]
        back = came_from(place.centre_lps, transform)
        faint = back is not None and looks[0](back, place.radius_mm, tuple(places[0].values()))
    return replace(pair, state=LesionState.FAINT) if faint else pair
