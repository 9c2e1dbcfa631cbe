"""Grad-CAM of a lesion's slices as one map in patient space, and the box round what it marks."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...case.findings import AttentionMap, Box
from ...networks.parts.gradients import localise
from ...volume.ct import Geometry
from ...volume.masks import bounding_box, components


def lesion_map(
    number: int,
    name: str,
    explained: str,
    planes: Tensor,
    slices: NDArray[np.intp],
    grids: list[Tensor],
    liver_zyx: NDArray[np.bool_],
    geometry: Geometry,
) -> tuple[AttentionMap, Box | None]:
    """Grad-CAM of the slices put onto the grid, from the first to the last of them; between them linear.

    Args:
        name, explained: the lesion's class, and the class that `planes` speak for.
        planes: (n, h, w) of `slices`; grids: where each lies, (H, W, 2) for `grid_sample`.
        liver_zyx: on `geometry`.

    Returns:
        The map, and the box of :func:`_box`.
    """
    first, last = int(slices[0]), int(slices[-1])
    shape = liver_zyx.shape[1:]
    known = np.zeros((len(slices), *shape), np.float32)
    for index, (plane, grid) in enumerate(zip(planes, grids, strict=True)):
        full = F.grid_sample(
            plane[None, None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
        )[0, 0].numpy()
        known[index] = full * liver_zyx[slices[index]]
    values = np.empty((last - first + 1, *shape), np.float32)
    for z in range(first, last + 1):
        after = int(np.searchsorted(slices, z))
        if slices[after] == z:
            values[z - first] = known[after]
            continue
        share = (z - slices[after - 1]) / (slices[after] - slices[after - 1])
        values[z - first] = (1 - share) * known[after - 1] + share * known[after]
    top = float(values.max())
    if top > 0:
        values /= top
    # Only what holds the liver travels on: empty columns would be most of the file.
    used = liver_zyx[first : last + 1].any(axis=0)
    _, *cut = bounding_box(used[None])  # type: ignore[misc]
    values = np.ascontiguousarray(values[(slice(None), *cut)])
    grid = geometry.cropped((first, cut[0].start, cut[1].start), (last + 1, cut[0].stop, cut[1].stop))
    said = f"{explained}" if name == explained else f"{explained}, its most probable class"
    shown = AttentionMap(
        name=f"Grad-CAM, lesion {number}",
        meaning=f"What in the slices through lesion {number} speaks for {said}; 1 is the strongest.",
        values_zyx=values,
        geometry=grid,
        value_range=(0.0, 1.0),
        unit="relative",
        lesion_number=number,
    )
    return shown, _box(values, grid)


def _box(values_zyx: NDArray[np.float32], geometry: Geometry) -> Box | None:
    """The paper's weakly supervised localisation, slice by slice, as one box.

    Where the map is above half of its largest value, connected with that.
    """
    peak = int(values_zyx.max(axis=(1, 2)).argmax())
    if localise(values_zyx[peak]) is None:
        return None
    parts, _ = components(values_zyx >= 0.5 * values_zyx.max())
    at = np.unravel_index(int(values_zyx.argmax()), values_zyx.shape)
    window = bounding_box(parts == parts[at])
    assert window is not None
    start = np.array([s.start for s in window], float)
    stop = np.array([s.stop for s in window], float)
    centre = geometry.index_to_lps((start + stop - 1) / 2)
    size_zyx_mm = (stop - start) * np.array(geometry.spacing_zyx_mm)
    return Box(
        tuple(float(c) for c in centre),  # type: ignore[arg-type]
        tuple(float(s) for s in size_zyx_mm[::-1]),  # type: ignore[arg-type]
        tuple(float(d) for d in np.ravel(geometry.directions_lps)),
    )
