"""Position-sensitive RoI pooling (R-FCN, Dai et al. 2016, equation 1).

Bin (i, j) of a box reads maps of its own, so that the pooled vector says which part of a lesion is where.

Maps are (B, K * K * D, H, W); channel (i * K + j) * D + d belongs to bin (i, j) of output channel d: in
channels_last memory what one bin reads at one place lies together, so that nothing is copied.
Boxes are (y0, x0, y1, x1), outer edges in pixels of the image; a cell of the maps is `stride` pixels wide.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def ps_roi_pool(maps: Tensor, boxes: Tensor, images: Tensor, bins: int, stride: float) -> Tensor:
    """Mean over all cells that a bin touches, as R-FCN has it: edges are rounded outwards to whole cells.

    Means come from an integral image, so that the cost does not depend on the boxes' sizes.

    Args:
        maps: (B, bins * bins * D, H, W).
        boxes: (R, 4), of no gradient.
        images: (R,) int64, which image of the batch a box is in.

    Returns:
        (R, D, bins, bins), float32 at least; 0 where a bin lies outside the maps.
    """
    batch, channels, height, width = maps.shape
    depth = channels // (bins * bins)
    wide = maps.to(torch.promote_types(maps.dtype, torch.float32))
    summed = torch.nn.functional.pad(wide.cumsum(dim=2).cumsum(dim=3), (1, 0, 1, 0))
    rows = _rows(summed, depth)
    edges = _bin_edges(boxes, bins, stride)
    low_y = edges[:, 0, :-1].floor().clamp(0, height).long()
    high_y = edges[:, 0, 1:].ceil().clamp(0, height).long()
    low_x = edges[:, 1, :-1].floor().clamp(0, width).long()
    high_x = edges[:, 1, 1:].ceil().clamp(0, width).long()

    def corner(y: Tensor, x: Tensor) -> Tensor:
        return rows.index_select(0, _row_index(y, x, images, bins, (height + 1, width + 1)))

    total = corner(high_y, high_x) - corner(low_y, high_x) - corner(high_y, low_x) + corner(low_y, low_x)
    count = ((high_y - low_y)[:, :, None] * (high_x - low_x)[:, None, :]).reshape(-1, 1)
    mean = torch.where(count > 0, total / count.clamp_min(1).to(total.dtype), 0.0)
    return mean.reshape(len(boxes), bins, bins, depth).permute(0, 3, 1, 2)


def ps_roi_align(
    maps: Tensor, boxes: Tensor, images: Tensor, bins: int, stride: float, points: int = 2
) -> Tensor:
    """Mean over `points` x `points` evenly spread places of every bin, read bilinearly.

    Edges are not rounded, which matters for boxes of one or two cells.

    Args and returns as :func:`ps_roi_pool`; beyond the maps their border goes on.
    """
    _, channels, height, width = maps.shape
    depth = channels // (bins * bins)
    wide = torch.promote_types(maps.dtype, torch.float32)
    read = aligned_reading(boxes, bins, stride, (height, width), points)
    number = torch.arange(bins * bins, device=boxes.device)[:, None]
    index = (read.cells + images[:, None, None] * (height * width)) * (bins * bins) + number
    mean = bag_mean(index, _rows(maps, depth).to(wide), read.shares.to(wide))
    return mean.reshape(len(boxes), bins, bins, depth).permute(0, 3, 1, 2)


class Reading(NamedTuple):
    """Where :func:`ps_roi_align` reads, P times a bin.

    Attributes:
        cells: (R, K * K, P) int64, row * W + column.
        shares: (R, K * K, P), sum 1 over P.
    """

    cells: Tensor
    shares: Tensor


def aligned_reading(
    boxes: Tensor, bins: int, stride: float, size_yx: tuple[int, int], points: int = 2
) -> Reading:
    """What each bin of boxes (R, 4) is the mean of, on maps of `size_yx` cells."""
    height, width = size_yx
    edges = _bin_edges(boxes, bins, stride)
    sides = edges[:, :, 1:] - edges[:, :, :-1]
    along = (torch.arange(points, device=boxes.device, dtype=boxes.dtype) + 0.5) / points
    places, weights = [], []
    for axis, length in ((0, height), (1, width)):
        at = edges[:, axis, :-1, None] + sides[:, axis, :, None] * along - 0.5
        low, beyond = _split(at, length)
        # (R, K, 2 * points): the cells on both sides of every point.
        places.append(torch.cat([low, (low + 1).clamp_max(length - 1)], dim=2))
        weights.append(torch.cat([1 - beyond, beyond], dim=2) / points)
    y, x = places
    cells = y[:, :, None, :, None] * width + x[:, None, :, None, :]
    shares = weights[0][:, :, None, :, None] * weights[1][:, None, :, None, :]
    return Reading(*(one.flatten(3).flatten(1, 2) for one in (cells, shares)))


def bag_mean(index: Tensor, rows: Tensor, shares: Tensor) -> Tensor:
    """Weighted sums of `rows` (N, D): `index` and `shares` (R, K * K, P) -> (R * K * K, D).

    One fused read: neither what is read nor, in training, a gradient of the rows' size is made P times.
    """
    return torch.nn.functional.embedding_bag(
        index.flatten(0, 1), rows, per_sample_weights=shares.flatten(0, 1), mode="sum"
    )


def _bin_edges(boxes: Tensor, bins: int, stride: float) -> Tensor:
    """(R, 4) -> (R, 2, bins + 1): the bins' edges along y and x, in cells."""
    corners = boxes.reshape(-1, 2, 2) / stride
    low, high = corners[:, 0], corners[:, 1]
    # R-FCN's least size: a box without area still reads the cell it lies in.
    side = (high - low).clamp_min(0.1)
    steps = torch.arange(bins + 1, device=boxes.device, dtype=boxes.dtype) / bins
    return low[:, :, None] + side[:, :, None] * steps


def _split(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    position = position.clamp(0, length - 1)
    low = position.floor()
    return low.long(), position - low


def _rows(maps: Tensor, depth: int) -> Tensor:
    """(B, K * K * D, H, W) -> (B * H * W * K * K, D); a view where the memory is channels_last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, depth)


def _row_index(y: Tensor, x: Tensor, images: Tensor, bins: int, size_yx: tuple[int, int]) -> Tensor:
    """Rows for every box and bin: y, x (R, K) -> (R * K * K,)."""
    height, width = size_yx
    place = (images[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]
    number = torch.arange(bins * bins, device=y.device).reshape(bins, bins)
    return (place * (bins * bins) + number).reshape(-1)
