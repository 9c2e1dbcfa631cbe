"""Training of the detectors: crops with one label per lesion instead of one per class, and their loss.

A sample is an image (S, H, W) and its instances (H, W): 0 nothing, k > 0 lesion k, -1 unknown. Boxes and
masks of the lesions follow from it, so that every detector learns from the same samples.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from ..data.cases import UNKNOWN
from .sampling import CropSampler

TUMOUR = 2
SMALLEST_PX = 9
"""Pieces of fewer pixels are no lesion to learn: ends of lesions in the slice above, corners at the crop's
edge."""


def instances_of(labels: Tensor, smallest_px: int = SMALLEST_PX) -> Tensor:
    """Lesions of one slice told apart: pieces of label 2 that touch, corners included.

    Args:
        labels: (H, W) int64: 0 background, 1 liver, 2 tumour, 255 unknown.
        smallest_px: smaller pieces are unknown.

    Returns:
        (H, W) int64: 0, 1.. in order of the first pixel, -1 unknown.
    """
    values = labels.numpy()
    pieces, count = ndimage.label(values == TUMOUR, structure=np.ones((3, 3), bool))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    number = np.zeros(count + 1, np.int64)
    large = sizes >= smallest_px
    large[0] = False
    number[large] = np.arange(1, large.sum() + 1)
    number[1:][~large[1:]] = -1
    instances = number[pieces]
    instances[values == UNKNOWN] = -1
    return torch.from_numpy(instances)


def instance_boxes(instances: Tensor) -> Tensor:
    """(H, W) instances -> (G, 4) float32 boxes y0, x0, y1, x1, outer edges, in order of number."""
    found = ndimage.find_objects(instances.numpy().clip(0))
    edges = [(y.start, x.start, y.stop, x.stop) for y, x in (box for box in found if box is not None)]
    return torch.tensor(edges, dtype=torch.float32).reshape(-1, 4)


class DetectionSampler(CropSampler):
    """Draws crops as :class:`CropSampler` does, with instances of the middle slice as labels.

    Crops are of all slices of the network's window.
    """

    def sample(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`: image (in_slices, crop, crop) float32 in -1..1, instances (crop, crop) int64."""
        image, labels = super().sample(number)
        return image, instances_of(labels)


def detection_loss(network: nn.Module, seed: int, images: Tensor, truth: Tensor, step: int) -> Tensor:
    """The sum of a detector's losses on one batch; what it draws at random depends on seed and step alone.

    Args:
        network: its `losses(images, truths, unknown, generator)` are named parts of the loss, to be summed.
        images: (B, S, H, W).
        truth: instances (B, H, W) int64; or boxes (B, G, 4) float, NaN where there are fewer.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    if truth.is_floating_point():
        truths = [boxes[boxes.isfinite().all(dim=1)] for boxes in truth]
        unknown = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    else:
        truths = [instance_boxes(one.cpu()).to(images.device) for one in truth]
        unknown = truth < 0
    parts = network.losses(images, truths, unknown, generator)  # type: ignore[operator]
    return torch.stack(list(parts.values())).sum()
