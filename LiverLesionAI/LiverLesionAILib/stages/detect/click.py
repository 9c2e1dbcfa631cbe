"""A lesion's outline mended by the network that answers clicks, at the scan's own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import components
from .click_input import HU_LIMITS, Clicks, CropGrid, crop_grid, distance_channel, stacked

if TYPE_CHECKING:
    from torch import nn

    from .star import Surroundings

LEAST = 0.25
"""Log odds from which a voxel belongs to the lesion. Real outlines are drawn a little tighter than those of
the synthetic lesions that most crops are of; chosen on patients left out."""

BELOW = -20.0
"""Log odds of what lies outside a crop."""


def outline(
    network: nn.Module,
    seen: Surroundings,
    drawn_zyx: NDArray[np.bool_],
    clicks: Clicks,
) -> NDArray[np.bool_]:
    """The outline of what was clicked on, on the grid of the surroundings.

    Args:
        network: eval mode.
        seen: at least half as much round the outline as it is long.
        drawn_zyx: what is drawn so far, by surfaces or by what was answered before; it may be empty.
        clicks: voxels of the surroundings, all there were.

    Returns:
        The pieces that the clicks in the lesion lie in or beside; what was drawn where there are none.
    """
    grid = crop_grid(drawn_zyx, clicks, seen.spacing_zyx_mm)
    channels = stacked(
        grid.drawn(np.clip(seen.hu_zyx, *HU_LIMITS), HU_LIMITS[0]),
        seen.liver.hu,
        seen.liver.spread_hu,
        distance_channel(drawn_zyx, grid),
        grid.drawn(seen.inside_zyx, 0.0) > 0.5,
        grid.inside_crop(clicks.inside),
        grid.inside_crop(clicks.outside),
        grid.pixel_mm,
        grid.depth_mm,
    )
    found = (_on_grid(answer(network, channels), grid, seen.hu_zyx.shape) > LEAST) & seen.inside_zyx
    pieces, _ = components(found)
    hit: set[int] = set()
    for point in clicks.inside:
        z, y, x = (round(v) for v in point)
        hit |= set(
            np.unique(pieces[max(0, z - 1) : z + 2, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]).tolist()
        )
    kept = np.isin(pieces, sorted(hit - {0}))
    if not kept.any():
        return drawn_zyx & seen.inside_zyx
    whole: NDArray[np.bool_] = ndimage.binary_fill_holes(kept)
    return whole


def answer(network: nn.Module, channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log odds of every voxel of a crop, (D, H, W), for its channels (C, D, H, W)."""
    parameter = next(network.parameters())
    images = torch.from_numpy(channels).flatten(0, 1)[None]
    with torch.inference_mode():
        logits = network(images.to(parameter.device, parameter.dtype)).logits
        values: NDArray[np.float32] = logits[0].float().cpu().numpy()
    return values


def _on_grid(values: NDArray[np.float32], grid: CropGrid, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A crop's values on the CT's voxels."""
    low = np.clip(np.ceil(grid.first).astype(int), 0, shape)
    last = grid.first + grid.step * (np.array(values.shape) - 1)
    high = np.clip(np.floor(last).astype(int) + 1, low, shape)
    out = np.full(shape, BELOW, np.float32)
    if (high > low).all():
        size = tuple(int(n) for n in high - low)
        part = ndimage.affine_transform(
            values, 1 / grid.step, (low - grid.first) / grid.step, size, np.float32, order=1, cval=BELOW
        )
        out[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] = part
    return out
