"""One outline round several lesions of the other scan, cut where that scan's separate outlines say.

Lesions that lie close together are often outlined as one in one of two scans. The other scan's outlines,
carried through the registration, are the seeds from which the joined outline is flooded (a watershed from
markers on the depth below its surface and the distance from the lesions): the seams run along the necks of
the mask, and between the lesions where it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ...case.followup import GROWN_VOLUME, LesionState, Pair
from ...case.joined import JoinedOutline
from ...volume.crops import Mask
from ...volume.geometry import Geometry, permuted, reoriented_geometry
from ...volume.point_map import Movement
from ..measure.calipers import measure_calipers
from .pair import Place


@dataclass(frozen=True)
class CutSettings:
    """How a joined outline is split; the page of rules has the reasons.

    Attributes:
        seed: share of a lesion's radius, round its middle, that is its seed.
        least_ml: a smaller part is none.
        neck: weight of the depth below the surface, of 1 at its deepest, against the distance in radii.
    """

    PREFIX: ClassVar[str] = "cut_"

    seed: float
    least_ml: float
    neck: float


@dataclass(frozen=True, eq=False)
class JoinedCut:
    """A joined outline with its parts, which together are the outline."""

    outline: JoinedOutline
    parts: tuple[Mask, ...]


def joined_cuts(
    pairs: Sequence[Pair],
    places: tuple[Mapping[int, Place], Mapping[int, Place]],
    transform: Movement,
    masks: tuple[Callable[[int], Mask], Callable[[int], Mask]],
    grids: tuple[Geometry, Geometry],
    settings: CutSettings,
) -> tuple[JoinedCut, ...]:
    """What the pairs' joined outlines come to if they are cut; those that cannot be are left out.

    So are those that hold more than the lesions in them can have grown to without being called grown: there
    is more in such an outline than these lesions, and its parts would be as wide as it is.

    Args:
        places: of the prior's and the current lesions, in their own scans' patient space.
        transform: from the prior's space to the current one's.
        masks: a lesion's mask by its number, in each scan.
        grids: the masks', in each scan.
    """
    made = []
    for pair in pairs:
        ends = pair.prior, pair.current
        if pair.state is LesionState.TREATED or pair.by_reader or 1 not in map(len, ends):
            continue
        side = 0 if len(pair.prior) == 1 else 1
        (number,), others = ends[side], ends[1 - side]
        if len(others) < 2:
            continue
        seeds = [places[1 - side][n] for n in others]
        joined = masks[side](number)
        volume_ml = joined.count * grids[side].voxel_volume_mm3 / 1000.0
        if volume_ml > GROWN_VOLUME * sum(seed.volume_ml for seed in seeds):
            continue
        seeds = [seed.moved(transform) if side else seed.moved_back(transform) for seed in seeds]
        parts = cut_by(joined, grids[side], seeds, settings)
        if parts is not None:
            axes = tuple(long_axis_mm(part, grids[side]) for part in parts)
            volumes = tuple(part.count * grids[side].voxel_volume_mm3 / 1000.0 for part in parts)
            made.append(JoinedCut(JoinedOutline(bool(side), number, others, axes, volumes), parts))
    return tuple(made)


def cut_by(
    mask: Mask, geometry: Geometry, seeds: Sequence[Place], settings: CutSettings
) -> tuple[Mask, ...] | None:
    """A part of a mask for each seed, in their order; None where one of them has none of it.

    Every voxel of the mask is in exactly one part.

    Args:
        mask: of the joined outline, on `geometry`.
        seeds: two lesions of the other scan or more, as they lie in this one.
    """
    inside = np.pad(mask.voxels_zyx, 1)
    index = np.argwhere(inside)
    if len(seeds) < 2 or not len(index):
        return None
    lps = np.asarray(geometry.index_to_lps(index + np.array(mask.start_zyx) - 1))
    away = np.stack([np.linalg.norm(lps - seed.centre_lps, axis=1) / seed.radius_mm for seed in seeds])
    nearest = away.argmin(axis=0)
    markers = np.zeros(inside.shape, np.uint16)
    for k in range(len(seeds)):
        own = (nearest == k) & (away[k] <= max(settings.seed, float(away[k].min())))
        if away[k].min() > 1.0 or not own.any():
            return None
        markers[tuple(index[own].T)] = k + 1
    depth = ndimage.distance_transform_edt(inside, sampling=geometry.spacing_zyx_mm)
    # The neck where there is one; in a mask without one, halfway between the lesions in their radii.
    height = np.full(inside.shape, np.inf)
    height[inside] = away.min(axis=0) - settings.neck * depth[inside] / depth.max()
    height[~inside] = height[inside].max() + 1.0
    flooded = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(height.astype(np.float32)),
        sitk.GetImageFromArray(markers),
        markWatershedLine=False,
    )
    labels = np.where(inside, sitk.GetArrayFromImage(flooded), 0)[1:-1, 1:-1, 1:-1]
    parts = tuple(Mask(labels == k + 1, mask.start_zyx) for k in range(len(seeds)))
    least = 1000.0 * settings.least_ml / geometry.voxel_volume_mm3
    return parts if all(part.count >= least for part in parts) else None


def long_axis_mm(mask: Mask, geometry: Geometry) -> float:
    """Of a mask that is not empty, as everywhere: the longest in an axial slice."""
    stop = tuple(a + n for a, n in zip(mask.start_zyx, mask.voxels_zyx.shape, strict=True))
    crop = geometry.cropped(mask.start_zyx, stop)
    axial = reoriented_geometry(crop)
    return measure_calipers(permuted(mask.voxels_zyx, crop, axial), axial.spacing_zyx_mm[1:]).long_mm
