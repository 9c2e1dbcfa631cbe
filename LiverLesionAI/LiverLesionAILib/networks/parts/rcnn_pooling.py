"""RoIAlign over a feature pyramid, and its way back: masks pasted into the image (He et al., ICCV 2017).

Coordinates are those of :mod:`.boxes`: outer edges in pixels. A feature map of stride s has its cell (i, j)'s
value at pixel ((i + 0.5) s, (j + 0.5) s).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import box_sides


def pyramid_level(boxes: Tensor, strides: Sequence[int]) -> Tensor:
    """Which level a box is pooled from, (R, 4) -> (R,) int64 in 0..len(strides) - 1.

    The FPN paper's equation 1, k = floor(k0 + log2(sqrt(wh) / 224)) with k0 = 4 for its strides 4, 8, 16, 32;
    in other words 14 to 28 cells of the level across, the finest level for what is smaller.
    """
    sides = box_sides(boxes).clamp_min(1e-6)
    size = (sides[:, 0] * sides[:, 1]).sqrt()
    level = torch.floor(torch.log2(size / (14.0 * strides[0])) + 1e-6)
    return level.clamp(0, len(strides) - 1).to(torch.int64)


def roi_align(
    levels: Sequence[Tensor],
    strides: Sequence[float],
    boxes: Tensor,
    images: Tensor,
    level_of: Tensor,
    size: int,
    samples: int = 2,
) -> Tensor:
    """The features inside each box on a size x size raster.

    Every cell of the raster is the mean of samples x samples points, each bilinear between the four cell
    values around it; beyond the outermost cell values the map goes on unchanged, and points more than a
    cell outside it are 0. A cell is thus one weighted sum of map cells, which is how it is computed: all
    boxes, images and levels in a single gather.

    Args:
        levels: per level (B, C, H, W).
        strides: of the levels, pixels.
        boxes: (R, 4) in pixels.
        images: (R,) int64, which image of the batch each box lies in.
        level_of: (R,) int64, which level it is pooled from.

    Returns:
        (R, C, size, size) float32, or float64 where the levels are.
    """
    channels = levels[0].shape[1]
    dtype = torch.promote_types(levels[0].dtype, torch.float32)
    table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels]).to(dtype)
    if not len(boxes):
        return table.new_zeros(0, channels, size, size) + 0 * table[:1].sum()
    with torch.no_grad():
        indices, weights = _sample_table(levels, strides, boxes, images, level_of, size, samples)
    rows = F.embedding_bag(indices, table, per_sample_weights=weights.to(dtype), mode="sum")
    return rows.reshape(len(boxes), size, size, channels).permute(0, 3, 1, 2)


def _sample_table(
    levels: Sequence[Tensor],
    strides: Sequence[float],
    boxes: Tensor,
    images: Tensor,
    level_of: Tensor,
    size: int,
    samples: int,
) -> tuple[Tensor, Tensor]:
    """For every raster cell the table rows it is the weighted sum of: (R * size * size, 4 * samples ** 2)."""
    device = boxes.device
    heights = torch.tensor([level.shape[2] for level in levels], device=device)[level_of]
    widths = torch.tensor([level.shape[3] for level in levels], device=device)[level_of]
    counts = [level.shape[0] * level.shape[2] * level.shape[3] for level in levels]
    first = torch.tensor([sum(counts[:i]) for i in range(len(counts))], device=device)[level_of]
    stride = torch.tensor([float(s) for s in strides], device=device, dtype=boxes.dtype)[level_of]
    along = (torch.arange(size * samples, device=device, dtype=boxes.dtype) + 0.5) / (size * samples)
    edges = boxes / stride[:, None]
    axes = []
    for axis, length in ((0, heights), (1, widths)):
        low, high = edges[:, axis], edges[:, axis + 2]
        point = low[:, None] + along * (high - low)[:, None] - 0.5
        inside = (point >= -1.0) & (point <= length[:, None])
        point = torch.minimum(point.clamp_min(0.0), (length[:, None] - 1).to(point.dtype))
        floor = point.floor()
        share = point - floor
        lower = floor.to(torch.int64)
        upper = torch.minimum(lower + 1, length[:, None] - 1)
        # (R, size * samples, 2): the two cells on this axis and their weights.
        cells = torch.stack([lower, upper], dim=-1)
        weights = torch.stack([1 - share, share], dim=-1) * inside[..., None]
        axes.append((cells, weights))
    (rows, row_weights), (columns, column_weights) = axes
    base = first + images * heights * widths
    count = len(boxes)

    def spread(by_row: Tensor, by_column: Tensor) -> tuple[Tensor, Tensor]:
        shape = (count, size, samples, 2, size, samples, 2)
        return (
            by_row.reshape(count, size, samples, 2, 1, 1, 1).expand(shape),
            by_column.reshape(count, 1, 1, 1, size, samples, 2).expand(shape),
        )

    row, column = spread(rows * widths[:, None, None] + base[:, None, None], columns)
    row_weight, column_weight = spread(row_weights, column_weights)
    order = (0, 1, 4, 2, 5, 3, 6)
    flat = (count * size * size, 4 * samples * samples)
    indices = (row + column).permute(order).reshape(flat)
    weights = (row_weight * column_weight).permute(order).reshape(flat) / samples**2
    return indices, weights


def paste_masks(masks: Tensor, boxes: Tensor, size_yx: tuple[int, int]) -> Tensor:
    """Masks on their boxes' raster, put into the image.

    Args:
        masks: (R, m, m), probabilities.
        boxes: (R, 4) in pixels.

    Returns:
        (R, H, W): bilinear between raster cells' middles; 0 outside the box (half a raster cell beyond it).
    """
    if not len(masks):
        return masks.new_zeros(0, *size_yx)
    axes = []
    for axis, length in enumerate(size_yx):
        middle = torch.arange(length, device=masks.device, dtype=boxes.dtype) + 0.5
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        axes.append((middle - low) / (high - low).clamp_min(1e-6) * 2 - 1)
    y = axes[0][:, :, None].expand(-1, -1, size_yx[1])
    x = axes[1][:, None, :].expand(-1, size_yx[0], -1)
    grid = torch.stack([x, y], dim=-1).to(masks.dtype)
    return F.grid_sample(masks[:, None], grid, padding_mode="zeros", align_corners=False)[:, 0]
