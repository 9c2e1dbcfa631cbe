"""The gallbladder's part in one analysis: found in the liver's box and below it, on the CT's own grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...support.progress import Progress, silent
from ...volume.crops import bounding_box
from ...volume.ct import CtVolume, Geometry, resample, resample_labels, resample_slabs
from ...volume.masks import copied, put, with_numbers
from ..faces import Neighbour
from ..locate.coarse import LiverLocation
from ..segment.segmented import Segmented
from .gallbladder import GallbladderSettings, Separated, gallbladder_mask


@dataclass(frozen=True, eq=False)
class FoundGallbladder:
    """The gallbladder on the CT's grid.

    Attributes:
        start_zyx: where `mask_zyx` begins in the oriented CT.
        mask_zyx: bool, empty where none is seen.
        voxel_mm3: volume of a voxel.
    """

    start_zyx: tuple[int, int, int]
    mask_zyx: NDArray[np.bool_]
    voxel_mm3: float

    @property
    def cut(self) -> tuple[slice, ...]:
        """Where `mask_zyx` lies in the oriented CT."""
        return tuple(slice(a, a + n) for a, n in zip(self.start_zyx, self.mask_zyx.shape, strict=True))

    @property
    def volume_ml(self) -> float:
        """Volume, mL."""
        return float(np.count_nonzero(self.mask_zyx)) * self.voxel_mm3 / 1000.0

    def within(self, box: tuple[slice, ...]) -> NDArray[np.bool_]:
        """The part in a box of the oriented CT, which lies inside the searched one."""
        return self.mask_zyx[self._inner(box)]

    def changed(self, box: tuple[slice, ...], mask_zyx: NDArray[np.bool_]) -> FoundGallbladder:
        """With another mask in a box of the oriented CT."""
        whole = copied(self.mask_zyx)
        whole[self._inner(box)] = mask_zyx
        return replace(self, mask_zyx=whole)

    def _inner(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        return tuple(slice(b.start - a, b.stop - a) for a, b in zip(self.start_zyx, box, strict=True))


def find_gallbladder(
    neighbour: Neighbour,
    oriented: CtVolume,
    where: LiverLocation,
    settings: GallbladderSettings,
    progress: Progress = silent,
) -> FoundGallbladder:
    """Look for the gallbladder in the liver's box and `below_mm` below it.

    Args:
        oriented: axes along L, P, S.
    """
    below = int(np.ceil(settings.below_mm / oriented.geometry.spacing_zyx_mm[0]))
    start = (max(0, where.start_zyx[0] - below), *where.start_zyx[1:])
    box = oriented.geometry.cropped(start, where.stop_zyx)
    cut = tuple(slice(a, b) for a, b in zip(start, where.stop_zyx, strict=True))
    grid = box.with_spacing(neighbour.entry.input.spacing_zyx_mm)
    hu_zyx = resample(oriented.hu_zyx[cut], box, grid)
    probability = neighbour.probability(hu_zyx, progress)
    high, left = _farthest(where, grid, settings)
    probability[high:] = 0
    probability[:, :, left:] = 0
    liver = resample_labels(where.mask_zyx.astype(np.uint8), where.geometry, grid) > 0
    mask = gallbladder_mask(probability, hu_zyx, grid.spacing_zyx_mm, settings, liver)
    return FoundGallbladder(
        start, on_box(mask, probability, grid, box, settings.threshold), box.voxel_volume_mm3
    )


def _farthest(where: LiverLocation, grid: Geometry, settings: GallbladderSettings) -> tuple[int, int]:
    """First slice, and first column, of a grid in which no gallbladder can lie."""
    occupied = bounding_box(where.mask_zyx)
    if occupied is None:
        return 0, 0
    low = np.array([b.start for b in occupied], float) - 0.5
    size = np.array([b.stop - b.start for b in occupied], float)
    ends = low + size * (settings.highest, 1.0, settings.leftmost)
    z, _, x = np.ceil(grid.lps_to_index(where.geometry.index_to_lps(ends[None]))[0])
    return max(0, int(z)), max(0, int(x))


def on_box(
    mask_zyx: NDArray[np.bool_],
    probability_zyx: NDArray[np.uint8],
    grid: Geometry,
    box: Geometry,
    threshold: float,
) -> NDArray[np.bool_]:
    """The mask on the CT's voxels: its probability is interpolated, then cut: its outline stays smooth."""
    if not mask_zyx.any():
        return np.zeros(box.shape_zyx, bool)
    # Filled holes are sure, and what lies beyond the next voxel belongs to something else.
    own = np.where(ndimage.binary_dilation(mask_zyx), probability_zyx, 0)
    level = max(1, round(threshold * 255))
    own = np.where(mask_zyx, np.maximum(own, level + 1), own).astype(np.uint8)
    # Slab by slab: a large box's probability would take a gigabyte.
    inside = np.zeros(box.shape_zyx, bool)
    for z, values in resample_slabs(own, grid, box):
        put(inside[z], values >= level)
    return inside


def without_gallbladder(found: Segmented, separated: Separated, labels_zyx: NDArray[np.uint16]) -> Segmented:
    """The segmenter's probabilities without the gallbladder: a lower threshold must not list it again.

    Args:
        labels_zyx: lesions on `found.box` before the gallbladder was taken out of them.
    """
    if not separated.gallbladder_zyx.any():
        return found

    def on_working(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return resample_labels(mask_zyx.astype(np.uint8), found.box, found.working) > 0

    organ = on_working(separated.gallbladder_zyx)
    gone = ndimage.binary_dilation(on_working(with_numbers(labels_zyx, separated.removed)))
    return Segmented(
        found.box,
        found.hu_zyx,
        found.working,
        found.level_hu,
        np.where(organ, 0, found.liver_zyx).astype(np.uint8),
        np.where(organ | gone, 0, found.tumour_zyx).astype(np.uint8),
        found.masks,
        found.explainers,
    )
