"""The part of a CT that a segmenter is shown, and what its answer may claim there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import InputSpec, liver_level_hu
from ...volume.ct import CtVolume, Geometry, resample, resample_labels
from ..locate.coarse import LiverLocation

FARTHEST = 4
"""Distances are cut off at this many times the farthest that counts."""


@dataclass(frozen=True)
class FinerSettings:
    """Where lesions are looked at in the finest of their scales too, which costs most.

    Attributes:
        finer_suspicion: probability of tumour, 0..1, that the other scales have to see in a slice, in or near
            the liver.
        finer_reach_mm: slices this near to such a one are looked at as well.
    """

    finer_suspicion: float
    finer_reach_mm: float


@dataclass(frozen=True)
class ReachSettings(FinerSettings):
    """How far from the coarse liver things are believed, and what is looked at closely.

    Attributes:
        tumour_reach_mm: nothing is looked for farther away.
        liver_reach_mm: farther away a voxel is liver only as part of a tumour.
        shown_reach_mm: the tumour's probability is kept this far from the liver: what a reader may add.
    """

    tumour_reach_mm: float
    liver_reach_mm: float
    shown_reach_mm: float


@dataclass(frozen=True, eq=False)
class Region:
    """The CT round the coarse liver on a network's grid.

    Attributes:
        hu_zyx: float32 HU on `geometry`, as they are in the CT.
        level_hu: the liver's, see :func:`~LiverLesionAILib.models.inputs.liver_level_hu`.
        near_zyx: bool, where a liver can be at all.
        beyond_zyx: bool, where only a tumour is believed to be part of the liver.
        finer: where lesions are looked at most closely; None for everywhere.
    """

    hu_zyx: NDArray[np.float32]
    geometry: Geometry
    level_hu: float
    near_zyx: NDArray[np.bool_]
    beyond_zyx: NDArray[np.bool_]
    finer: FinerSettings | None = None

    def shifted(self, spec: InputSpec) -> NDArray[np.float32]:
        """HU with the liver's level where the network wants it."""
        return self.hu_zyx + np.float32(spec.shift_hu(self.level_hu))


def region_of(volume: CtVolume, where: LiverLocation, spec: InputSpec, settings: ReachSettings) -> Region:
    """The region of a reoriented CT on the grid of `spec`."""
    box = volume.geometry.cropped(where.start_zyx, where.stop_zyx)
    working = box.with_spacing(spec.spacing_zyx_mm)
    cut = tuple(slice(a, b) for a, b in zip(where.start_zyx, where.stop_zyx, strict=True))
    hu_zyx = resample(volume.hu_zyx[cut], box, working)
    distance_mm = distance_to_coarse(where, working, FARTHEST * settings.tumour_reach_mm)
    coarse_liver = resample_labels(where.mask_zyx.astype(np.uint8), where.geometry, working) > 0
    return Region(
        hu_zyx,
        working,
        liver_level_hu(hu_zyx[coarse_liver]),
        distance_mm <= settings.tumour_reach_mm,
        distance_mm > settings.liver_reach_mm,
        settings,
    )


def distance_to_coarse(where: LiverLocation, working: Geometry, farthest_mm: float) -> NDArray[np.float32]:
    """Distance of every voxel of the working grid to the coarse liver, mm.

    0 inside, cut off at the farthest.
    """
    distance = ndimage.distance_transform_edt(~where.mask_zyx, sampling=where.geometry.spacing_zyx_mm)
    return resample(np.minimum(distance, farthest_mm).astype(np.float32), where.geometry, working)


def near_liver(
    liver_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], reach_mm: float
) -> NDArray[np.bool_]:
    """Voxels within a box, of about `reach_mm` to every side, round a voxel of the liver."""
    sizes = [2 * int(np.ceil(reach_mm / spacing)) + 1 for spacing in spacing_zyx_mm]
    return ndimage.maximum_filter(liver_zyx, size=sizes)


def agreed_liver(
    liver: NDArray[np.uint8], tumour: NDArray[np.uint8], beyond: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The probability of liver or tumour where both networks are heard, 0..255.

    Far from the coarse liver (`beyond`) only a tumour is believed: a network that was trained on scans cut
    off at the liver's dome takes heart muscle for liver, and the coarse one knows better. The coarse one
    often misses a large tumour at the capsule, though.
    """
    return np.where(beyond, np.minimum(liver, tumour), liver)
