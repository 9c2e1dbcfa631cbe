"""Training samples of networks that look at a bag of images: slabs of a volume with several target slices.

One slab holds K 2.5D images, `bag_step` slices apart; all but the first and last `bag` // 2 are targets with
a label map. The targets' bags overlap, so features of an image are used by several of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..data.cases import HU_LOW, HU_RANGE, UNKNOWN
from .sampling import CropSampler, affine_grid, augment_intensity

SMALLEST_PIXELS = 6
"""A lesion's cross-section of fewer pixels is no object; what it covers is unknown."""


class SlabSampler(CropSampler):
    """Draws slabs; the sample for (seed, number) is always the same one.

    Args:
        targets: per slab; bag, bag_step: of the network.
        others: see :class:`.sampling.CropSampler`.
    """

    def __init__(self, *crops: Any, targets: int, bag: int, bag_step: int, **more: Any) -> None:
        super().__init__(*crops, **more)
        self.targets, self.bag, self.bag_step = targets, bag, bag_step

    def sample(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`.

        Returns:
            images (K, in_slices, crop, crop) float32 in -1..1, K = targets + bag - 1, in order along z
            (either way); labels (targets, 2, crop, crop) int64: 0 background, 1 liver, 2 lesion, 255
            unknown; and lesions numbered 1... slice by slice.
        """
        rng = np.random.default_rng((self.seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        index, z, centre = self.draw(rng)
        case = index.case
        depth = case.grey_zyx.shape[0]
        # The drawn slice is one of the targets, and as many of the others as can be lie in the volume.
        reach = (self.targets - 1) * self.bag_step
        low, high = max(0, z + reach - (depth - 1)), min(reach, z)
        steps = np.arange(self.targets)
        able = steps[(steps * self.bag_step >= low) & (steps * self.bag_step <= high)]
        before = int(rng.choice(able if len(able) else steps)) * self.bag_step
        half = self.bag // 2 * self.bag_step
        centres = np.arange(z - before - half, z - before + reach + half + 1, self.bag_step)
        edge = self.spec.in_slices // 2
        slices = np.clip(np.arange(centres[0] - edge, centres[-1] + edge + 1), 0, depth - 1)
        grid = affine_grid(rng, self.augment, centre, self.crop, case.grey_zyx.shape[1:], self.spec.magnify)
        volume = torch.from_numpy(case.grey_zyx[slices].astype(np.float32))[None]
        volume = F.grid_sample(volume, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
        volume = volume * (HU_RANGE / 255) + (HU_LOW + self.spec.shift_hu(index.level_hu))
        volume = augment_intensity(volume, rng, self.augment, generator)
        low_hu, high_hu = self.spec.window_hu
        volume = (volume * (2 / (high_hu - low_hu)) - (high_hu + low_hu) / (high_hu - low_hu)).clamp_(-1, 1)
        images = volume.unfold(0, self.spec.in_slices, 1)[centres - centres[0]].permute(0, 3, 1, 2)
        inner = centres[self.bag // 2 : len(centres) - self.bag // 2]
        planes = case.labels_zyx[np.clip(inner, 0, depth - 1)].astype(np.float32)
        sampled = F.grid_sample(
            torch.from_numpy(planes)[None], grid, mode="nearest", padding_mode="zeros", align_corners=True
        )[0]
        labels = torch.from_numpy(np.stack([numbered(p) for p in sampled.round().to(torch.uint8).numpy()]))
        if rng.random() < 0.5:
            images, labels = images.flip(0, 1), labels.flip(0)
        return images.contiguous(), labels.long()

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1, as (size * K, S, H, W) and (size * targets, 2, H, W)."""
        images, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.cat(images), torch.cat(labels)


def numbered(labels_yx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A label map and its lesions numbered from 1, (2, y, x); specks become unknown."""
    components, count = ndimage.label(labels_yx == 2, structure=np.ones((3, 3), bool))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    renumber = np.zeros(count + 1, np.uint8)
    large = np.flatnonzero(sizes[1:] >= SMALLEST_PIXELS) + 1
    renumber[large] = np.arange(1, len(large) + 1)
    numbers = renumber[components]
    meaning = np.where((components > 0) & (numbers == 0), UNKNOWN, labels_yx).astype(np.uint8)
    return np.stack([meaning, numbers])
