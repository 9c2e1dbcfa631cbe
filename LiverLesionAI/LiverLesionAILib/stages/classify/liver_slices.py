"""What a slice classifier sees of a slice: the liver alone, in the middle, all of it, on a square.

Training samples and analysed slices pass through the same functions; training adds chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...models.inputs import InputSpec
from ...volume.masks import bounding_box

EDGE_PX = 160
"""Edge of the input."""

SMOOTHING_PX = 1.0
"""SD of the smoothing of the input, input pixels."""

OUTLINE_LEVEL = 0.8
"""Of the liver's mask smoothed by 1 pixel: what is seen ends 0.8 pixels inside its outline."""

FITTED_SHARE = 0.94
"""A liver that is larger than this share of the edge is made smaller."""


@dataclass(frozen=True)
class Placement:
    """Where a square input lies on a slice.

    Input pixel (r, c) is slice pixel centre + scale * (r, c - middle).

    Attributes:
        centre_yx: middle of the liver in the slice, pixels.
        scale: slice pixels per input pixel; 1 but for livers that are wider than the input.
        edge: of the input, pixels.
    """

    centre_yx: tuple[float, float]
    scale: float
    edge: int = EDGE_PX

    def to_slice(self, rows: NDArray, columns: NDArray) -> tuple[NDArray, NDArray]:
        """Input pixels to slice pixels."""
        middle = (self.edge - 1) / 2
        return (
            self.centre_yx[0] + self.scale * (np.asarray(rows) - middle),
            self.centre_yx[1] + self.scale * (np.asarray(columns) - middle),
        )

    def sampling_grid(self, shape_yx: tuple[int, int]) -> Tensor:
        """For grid_sample(align_corners=True) from a slice of this shape, (edge, edge, 2)."""
        steps = np.arange(self.edge)
        ys, xs = self.to_slice(steps, steps)
        y, x = np.meshgrid(
            ys * (2 / max(1, shape_yx[0] - 1)) - 1, xs * (2 / max(1, shape_yx[1] - 1)) - 1, indexing="ij"
        )
        return torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))

    def inverse_grid(self, shape_yx: tuple[int, int], stride: int = 8) -> Tensor:
        """For grid_sample(align_corners=False) from a map of the network onto a slice of this shape.

        (H, W, 2).

        Cell i of a map made by odd kernels with `stride` looks at input pixel stride * i, its corner and not
        its
        middle: taken for the middle, every map would lie half a stride (6 mm) too far to posterior and left.
        """
        middle = (self.edge - 1) / 2
        rows = (np.arange(shape_yx[0]) - self.centre_yx[0]) / self.scale + middle + stride / 2
        columns = (np.arange(shape_yx[1]) - self.centre_yx[1]) / self.scale + middle + stride / 2
        y, x = np.meshgrid(rows * (2 / self.edge) - 1, columns * (2 / self.edge) - 1, indexing="ij")
        return torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))


def place(liver_yx: NDArray[np.bool_], edge: int = EDGE_PX) -> Placement:
    """The square around the liver of a slice; it must not be empty."""
    _, rows, columns = bounding_box(liver_yx[None])  # type: ignore[misc]
    extent = max(s.stop - s.start for s in (rows, columns))
    centre_yx = (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2
    return Placement(centre_yx, max(1.0, float(extent) / (FITTED_SHARE * edge)), edge)


def smoothed(image: Tensor, sigma_px: float = SMOOTHING_PX) -> Tensor:
    """Gaussian smoothing in plane of (S, H, W)."""
    radius = max(1, int(np.ceil(2.5 * sigma_px)))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float32) / sigma_px) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(image[:, None].float(), (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[:, 0]


def masked(image_hu: Tensor, liver: Tensor, spec: InputSpec) -> Tensor:
    """HU (S, H, W) and the liver (H, W; 0..1) to the input: windowed to -1..1, the liver's own level outside.

    What is masked away has to get some value. With the liver's median there is no edge around the liver,
    which would be the strongest thing to see in every slice; with air, training took several times as long.
    """
    low, high = spec.window_hu
    # Pixels on the outline hold as much fat or lung as liver, and would be a dark ring around every liver.
    inside = smoothed(liver[None], 1.0)[0] >= OUTLINE_LEVEL
    middle = image_hu[image_hu.shape[0] // 2]
    level = middle[inside].median() if bool(inside.any()) else torch.tensor((low + high) / 2)
    kept = smoothed(torch.where(inside, image_hu, level))
    return (kept * (2 / (high - low)) - (high + low) / (high - low)).clamp(-1, 1)


def slice_input(
    stack_hu: NDArray[np.float32], liver_yx: NDArray[np.bool_], spec: InputSpec, placement: Placement
) -> Tensor:
    """One slice and its neighbours as the network sees them, (S, edge, edge).

    From HU (S, H, W) on the network's grid.
    """
    shape = (liver_yx.shape[0], liver_yx.shape[1])
    grid = placement.sampling_grid(shape)[None]
    both = np.concatenate([np.asarray(stack_hu, np.float32), liver_yx[None].astype(np.float32)])
    sampled = F.grid_sample(
        torch.from_numpy(both)[None], grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )[0]
    return masked(sampled[:-1], sampled[-1], spec)


def fill_with_liver(
    stack_hu: NDArray[np.float32],
    area_yx: NDArray[np.bool_],
    liver_yx: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """The slices with an area made to look like liver: its median and its noise.

    Takes away the lesions that are not asked about.

    Args:
        stack_hu: (S, H, W) HU.
        area_yx: to fill.
        liver_yx: liver, of which what lies outside `area_yx` is taken for reference.
    """
    reference = liver_yx & ~area_yx
    if not area_yx.any() or int(reference.sum()) < 50:
        return stack_hu
    out = stack_hu.copy()
    for plane in out:
        values = plane[reference]
        level = float(np.median(values))
        # Half the spread between the quartiles of a Gaussian is 0.674 SD; lesions and vessels hardly move it.
        spread = float(np.subtract(*np.percentile(values, (75, 25)))) / 1.349
        plane[area_yx] = level + spread * rng.standard_normal(int(area_yx.sum())).astype(np.float32)
    return out
