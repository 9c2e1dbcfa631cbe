"""The part of a CT that holds the liver, for classes and contrast phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...case.findings import CaseResult
from ...volume.ct import CtVolume, Geometry, permuted, reorient, resample, resample_labels
from ...volume.masks import bounding_box

MARGIN_MM = 12.0


@dataclass(frozen=True, eq=False)
class LiverCrop:
    """A CT cut to its liver.

    Attributes:
        hu_zyx, liver_zyx, labels_zyx: HU, liver with its lesions, and lesions on `geometry`.
        geometry: axes along L, P, S.
    """

    hu_zyx: NDArray
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    geometry: Geometry

    def on_spacing(self, spacing_zyx_mm: tuple[float, float, float]) -> LiverCrop:
        """The same on a grid of another spacing; every lesion keeps a voxel."""
        working = self.geometry.with_spacing(spacing_zyx_mm)
        labels = labels_on_grid(self.labels_zyx, self.geometry, working)
        liver = resample_labels(self.liver_zyx.astype(np.uint8), self.geometry, working) > 0
        hu = np.asarray(resample(self.hu_zyx, self.geometry, working), np.float32)
        return LiverCrop(hu, liver | (labels > 0), labels, working)


@dataclass(frozen=True, eq=False)
class LiverBox(LiverCrop):
    """The part of a reoriented CT that holds the liver.

    Attributes:
        volume: the whole CT, reoriented.
        heights_lps_z: lower and upper end of the liver, mm.
    """

    volume: CtVolume
    heights_lps_z: tuple[float, float]


def liver_box(result: CaseResult, volume: CtVolume) -> LiverBox:
    """Cut the liver out of a CT and its result; the liver must not be empty."""
    oriented = reorient(volume)
    liver = permuted(result.liver_zyx, volume.geometry, oriented.geometry)
    labels = permuted(result.lesion_labels_zyx, volume.geometry, oriented.geometry)
    margin = [int(np.ceil(MARGIN_MM / s)) for s in oriented.geometry.spacing_zyx_mm]
    tight, cut = bounding_box(liver), bounding_box(liver, margin)
    assert tight is not None and cut is not None, "the liver must not be empty"
    ends = (tight[0].start, tight[0].stop - 1)
    heights = [float(oriented.geometry.index_to_lps((z, 0, 0))[2]) for z in ends]
    return LiverBox(
        oriented.hu_zyx[cut],
        liver[cut],
        labels[cut],
        oriented.geometry.cropped([s.start for s in cut], [s.stop for s in cut]),
        oriented,
        (min(heights), max(heights)),
    )


def labels_on_grid(
    labels_zyx: NDArray[np.uint16], geometry: Geometry, working: Geometry
) -> NDArray[np.uint16]:
    """Labels on another grid; one that falls between its voxels keeps the voxel nearest to its middle."""
    labels = resample_labels(labels_zyx, geometry, working)
    count = int(labels_zyx.max(initial=0))
    present = np.bincount(labels.ravel(), minlength=count + 1)
    for number in range(1, count + 1):
        if present[number]:
            continue
        where = np.argwhere(labels_zyx == number)
        if len(where):
            index = working.lps_to_index(geometry.index_to_lps(where.mean(axis=0)))
            nearest = np.clip(np.rint(index).astype(int), 0, np.array(working.shape_zyx) - 1)
            labels[tuple(nearest)] = number
    return labels
