"""Candidates that need no network: places in and at the liver that are darker or brighter than round them.

Vessels in cross-section, fissures, the gallbladder and its neighbours are among them, and lesions: both
get their masks in the same way, so that the mask alone does not tell what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.volume.masks import bounding_box, components, within_mm
from numpy.typing import NDArray
from scipy import ndimage

Spacing = tuple[float, float, float]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class BlobSettings:
    """Which places are candidates.

    Attributes:
        sigma_mm: sizes that are looked for: SD of the smoothing, about a third of a blob's diameter.
        reach_mm: so far outside the liver they may lie.
        fat_hu: what is darker, smoothed, is fat or air, which no network takes for a lesion.
        bright_hu: nor what is brighter than the liver by more: bone, contrast medium in the gut.
        least_hu: a fainter one is noise.
        most: of one volume, the clearest first; at most a third of them outside the liver.
        half: a blob's voxels have at least so much of its contrast.
        largest: over so many SD from its middle a blob ends.
    """

    sigma_mm: tuple[float, ...] = (2.0, 3.2, 5.2, 8.5, 14.0)
    reach_mm: float = 4.0
    fat_hu: float = 0.0
    bright_hu: float = 90.0
    least_hu: float = 6.0
    most: int = 40
    half: float = 0.5
    largest: float = 3.0


def blobs(
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    settings: BlobSettings | None = None,
) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Boxes in the volume and the blobs' masks in them, clearest first.

    Args:
        hu_zyx: HU; liver_zyx: bool, lesions included; both (z, y, x).
    """
    settings = settings or BlobSettings()
    margin = [int(np.ceil(25.0 / s)) for s in spacing_zyx_mm]
    cut = bounding_box(liver_zyx, margin)
    if cut is None:
        return
    liver = liver_zyx[cut]
    level = liver_level_hu(hu_zyx[liver_zyx])
    smooth = ndimage.gaussian_filter(hu_zyx[cut], [1.5 / s for s in spacing_zyx_mm])
    tissue = (smooth > settings.fat_hu) & (smooth < level + settings.bright_hu)
    near = within_mm(liver, spacing_zyx_mm, settings.reach_mm) & tissue
    # Fat and bone beside the liver would drown what is sought in their contrast.
    hu = np.where(tissue, hu_zyx[cut], np.float32(level))
    outside = 0
    found: list[tuple[float, float, tuple[int, ...], NDArray[np.float32]]] = []
    for sigma in settings.sigma_mm:
        fine = ndimage.gaussian_filter(hu, [sigma / s for s in spacing_zyx_mm])
        coarse = ndimage.gaussian_filter(hu, [1.6 * sigma / s for s in spacing_zyx_mm])
        contrast = fine - coarse
        size = [2 * int(np.ceil(1.5 * sigma / s)) + 1 for s in spacing_zyx_mm]
        for sign in (-1, 1):
            value = sign * contrast
            peaks = (value == ndimage.maximum_filter(value, size)) & near & (value * 3 >= settings.least_hu)
            for place in np.argwhere(peaks):
                at = tuple(int(i) for i in place)
                found.append((float(value[at]), sigma, at, value))
    found.sort(key=lambda one: -one[0])
    taken = np.zeros(hu.shape, bool)
    count = 0
    for strength, sigma, at, value in found:
        if count == settings.most:
            return
        if taken[at]:
            continue
        outside += not liver[at]
        if not liver[at] and outside > settings.most // 3:
            continue
        box, mask = _grown(value, strength, sigma, at, near, spacing_zyx_mm, settings)
        if mask.sum() < 4 or (taken[box] & mask).sum() > 0.3 * mask.sum():
            continue
        taken[box] |= mask
        count += 1
        yield tuple(slice(b.start + c.start, b.stop + c.start) for b, c in zip(box, cut, strict=True)), mask


def _grown(
    value: NDArray[np.float32],
    strength: float,
    sigma: float,
    at: tuple[int, ...],
    near: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    settings: BlobSettings,
) -> tuple[Box, NDArray[np.bool_]]:
    """The connected voxels round a peak that have enough of its contrast, within a ball."""
    reach = [int(np.ceil(settings.largest * sigma / s)) for s in spacing_zyx_mm]
    box = tuple(slice(max(0, a - r), a + r + 1) for a, r in zip(at, reach, strict=True))
    inner = tuple(a - b.start for a, b in zip(at, box, strict=True))
    grid = np.ogrid[tuple(slice(0, n) for n in value[box].shape)]
    far = sum(((g - i) * s) ** 2 for g, i, s in zip(grid, inner, spacing_zyx_mm, strict=True))
    ball = far <= (settings.largest * sigma) ** 2
    parts, _ = components((value[box] >= settings.half * strength) & ball & near[box], 6)
    return box, parts == parts[inner]
