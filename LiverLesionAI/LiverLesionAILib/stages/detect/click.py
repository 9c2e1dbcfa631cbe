"""A lesion's outline by the network that answers clicks, at the scan's own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ...models.inputs import InputSpec
from ...networks.click_unet import EDGE
from ...volume.masks import bounding_box, components
from .click_input import FILLS, SCALES, ClickCrop, Clicks, click_crop, network_input

if TYPE_CHECKING:
    from torch import nn

LEAST = 0.1
"""A probability at the click under which the network has no answer."""

NEAR_MM = 2.5
"""What is most probable so near a click stands for what was clicked on."""


def outline(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
    clicks: Clicks,
    level_hu: float,
    probability_zyx: NDArray | None = None,
) -> NDArray[np.bool_] | None:
    """The mask of what was clicked on.

    It is looked at on fine voxels first, and on coarser ones while it fills the crop. The threshold is
    half, or
    half of what the network gives the click where it is in doubt: that there is a lesion is the reader's
        word.

    Args:
        network: eval mode.
        hu_zyx: the CT, or the part of it within some 100 mm of the clicks.
        clicks: voxels of it.
        level_hu: of the liver; NaN where it is not known.
        probability_zyx: of tumour, 0..1, on the same grid.

    Returns:
        The mask on the grid of `hu_zyx`; None where the network sees nothing at the click.
    """
    shift, found = spec.shift_hu(level_hu), None
    for scale in SCALES:
        crop = click_crop(hu_zyx, probability_zyx, spacing_zyx_mm, clicks.middle, scale, spec, EDGE)
        seen = crop.inside_crop((*clicks.inside, *clicks.outside))
        if scale < SCALES[-1] and (np.abs(seen - _middle(crop)) > 0.4 * np.array(crop.hu.shape)).any():
            continue
        mask = _one_piece(answer(network, network_input(crop, clicks, spec, shift)), crop, clicks, spec)
        if mask is None:
            return found
        found = _on_grid(*mask, crop, hu_zyx.shape)
        if _fits(mask[0] > mask[1]):
            break
    return found


def answer(network: nn.Module, seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of every voxel of a crop, (D, H, W)."""
    parameter = next(network.parameters())
    with torch.inference_mode():
        logits = network(torch.from_numpy(seen)[None].to(parameter.device, parameter.dtype)).logits
        values: NDArray[np.float32] = logits[0].float().sigmoid().cpu().numpy()
    return values


def _middle(crop: ClickCrop) -> NDArray[np.float64]:
    return (np.array(crop.hu.shape) - 1) / 2


def _one_piece(
    probability: NDArray[np.float32], crop: ClickCrop, clicks: Clicks, spec: InputSpec
) -> tuple[NDArray[np.float32], float] | None:
    """The probability of the pieces that the clicks are in, without the others, and the threshold."""
    near = np.zeros(probability.shape, bool)
    reach = np.maximum(NEAR_MM / (crop.scale * np.array(spec.spacing_zyx_mm)), 1.0)
    for point in crop.inside_crop(clicks.inside):
        low = np.maximum(np.floor(point - reach), 0).astype(int)
        high = np.ceil(point + reach).astype(int) + 1
        near[tuple(slice(a, max(a + 1, b)) for a, b in zip(low, high, strict=True))] = True
    peak = float(probability[near].max(initial=0.0))
    if peak < LEAST:
        return None
    threshold = min(0.5, 0.5 * peak)
    pieces, _ = components(probability > threshold, 6)
    hit = np.unique(pieces[near & (pieces > 0)])
    kept = ndimage.binary_fill_holes(np.isin(pieces, hit))
    # The rim of a piece keeps its probability, so that its border lies between voxels where it was.
    rim = ndimage.binary_dilation(kept)
    others = (pieces > 0) & ~kept
    values = np.where(rim & ~others, probability, 0)
    return np.where(kept, np.maximum(values, threshold + 1e-3), values).astype(np.float32), threshold


def _fits(mask: NDArray[np.bool_]) -> bool:
    box = bounding_box(mask)
    return box is None or all(s.stop - s.start <= FILLS * n for s, n in zip(box, mask.shape, strict=True))


def _on_grid(
    values: NDArray[np.float32], threshold: float, crop: ClickCrop, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """A crop's mask on the CT's voxels."""
    low = np.clip(np.floor(crop.first).astype(int), 0, shape)
    high = np.clip(np.ceil(crop.first + crop.step * np.array(values.shape)).astype(int), low, shape)
    out = np.zeros(shape, bool)
    if (high <= low).any():
        return out
    size = tuple(int(n) for n in high - low)
    fine = ndimage.affine_transform(
        values, 1 / crop.step, (low - crop.first) / crop.step, size, np.float32, order=1, mode="constant"
    )
    out[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] = fine > threshold
    return out
