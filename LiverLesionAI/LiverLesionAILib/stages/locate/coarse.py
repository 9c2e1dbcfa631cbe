"""Where the liver is: the coarse U-Net on a 3 mm grid (SFAN paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import InputSpec
from ...support.progress import Progress, silent
from ...volume.ct import CtVolume, Geometry, resample
from ...volume.masks import bounding_box, largest_component

LiverProbability = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


@dataclass(frozen=True)
class LocateSettings:
    """What counts as a liver, and how much round it is looked at.

    Attributes:
        smallest_liver_ml: less is no liver.
        cut_off_mm2: area of liver in the first and last slice together from which it is cut off by the scan.
        margin_mm: added to the liver's box on every side.
    """

    smallest_liver_ml: float
    cut_off_mm2: float
    margin_mm: float


@dataclass(frozen=True, eq=False)
class LiverLocation:
    """The coarse liver.

    Attributes:
        mask_zyx: bool, on `geometry` (the coarse grid).
        geometry: its grid, axes along the reoriented CT's.
        start_zyx, stop_zyx: box in the reoriented CT's voxels, margin included, inside the CT.
        volume_ml: of the coarse mask.
        cut_off: the liver reaches the first or last slice of the scan, so parts may be missing.
    """

    mask_zyx: NDArray[np.bool_]
    geometry: Geometry
    start_zyx: tuple[int, int, int]
    stop_zyx: tuple[int, int, int]
    volume_ml: float
    cut_off: bool


def liver_from_coarse(probability_zyx: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Coarse probability (0..255) to one liver.

    Smoothed, thresholded, opened against bridges, largest part.
    """
    smooth = ndimage.gaussian_filter(probability_zyx.astype(np.float32), (1.0, 0.7, 0.7))
    mask = smooth > 127.5
    # A bridge of one or two voxels to spleen, heart or stomach must not make them liver.
    core = largest_component(ndimage.binary_erosion(mask))
    if not core.any():
        return largest_component(mask)
    return ndimage.binary_dilation(core, iterations=2) & mask


def locate(
    volume: CtVolume,
    probability_of: LiverProbability,
    spec: InputSpec,
    settings: LocateSettings,
    progress: Progress = silent,
) -> LiverLocation | None:
    """Find the liver and the box that the following stages work in.

    Args:
        volume: reoriented (axes along L, P, S).
        probability_of: coarse network over a volume on its grid, HU (z, y, x) -> uint8 (z, y, x).
        spec: the coarse network's input.

    Returns:
        None where no liver is seen.
    """
    coarse = volume.geometry.with_spacing(spec.spacing_zyx_mm)
    progress("looking for the liver", 0.0)
    hu_zyx = resample(volume.hu_zyx, volume.geometry, coarse)
    mask = liver_from_coarse(probability_of(hu_zyx))
    volume_ml = float(np.count_nonzero(mask)) * coarse.voxel_volume_mm3 / 1000
    box = bounding_box(mask)
    if box is None or volume_ml < settings.smallest_liver_ml:
        return None
    margin = settings.margin_mm / np.array(coarse.spacing_zyx_mm)
    low = np.array([s.start for s in box]) - 0.5 - margin
    high = np.array([s.stop - 1 for s in box]) + 0.5 + margin
    corners = volume.geometry.lps_to_index(coarse.index_to_lps(np.stack([low, high])))
    start = np.clip(np.floor(corners[0] + 0.5), 0, np.array(volume.geometry.shape_zyx) - 1).astype(int)
    stop = np.clip(np.ceil(corners[1] + 0.5), start + 1, volume.geometry.shape_zyx).astype(int)
    ends = mask[0].sum() + mask[-1].sum()
    area_mm2 = ends * coarse.spacing_zyx_mm[1] * coarse.spacing_zyx_mm[2]
    return LiverLocation(
        mask,
        coarse,
        tuple(int(v) for v in start),
        tuple(int(v) for v in stop),
        volume_ml,
        bool(area_mm2 > settings.cut_off_mm2),
    )
