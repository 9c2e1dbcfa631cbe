"""What a network that names tubes sees: the liver, its tubes, and where these lie from the trees' roots."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...support.progress import Progress, silent
from ...volume.masks import bounding_box
from .found_tubes import FoundTubes
from .grid import HALVED, LiverGrid

CHANNELS = 12
MARGIN_VOXELS = 6
"""Round the liver: the trunks of both trees lie within."""
SLICES = 4


class TreeView(NamedTuple):
    """The liver's box on the grid of its anatomy.

    Attributes:
        volumes: float32 (CHANNELS, z, y, x): density, tubes, liver, vena cava; from the portal bifurcation
            to the left, back and up; from the cava and from the confluence; nearer to which root along the
            tubes; what a vessel network says (hepatic less portal vein, and their sum).
        box: of it in the grid.
    """

    volumes: NDArray[np.float32]
    box: tuple[slice, ...]


class TreeNamer(Protocol):
    """Names tubes by all that lies round them."""

    def hepatic_log_odds(self, view: TreeView, progress: Progress = silent) -> NDArray[np.float32]:
        """(z, y, x) of the view: log odds that a tube there is a hepatic and no portal vein."""


def tree_view(grid: LiverGrid, found: FoundTubes) -> TreeView:
    """The view of tubes on the liver's grid, the liver not empty and asked of a vessel network too."""
    assert found.networks is not None
    tubes_zyx, roots = found.tubes_zyx, found.roots
    tight = bounding_box(grid.liver_zyx | tubes_zyx, MARGIN_VOXELS)
    assert tight is not None
    box = tuple(slice(one.start // HALVED * HALVED, one.stop) for one in tight)
    nearer = np.zeros(tubes_zyx.shape, np.float32)
    nearer[tubes_zyx] = np.log(
        (np.minimum(found.hepatic_mm, 300.0) + 8.0) / (np.minimum(found.portal_mm, 300.0) + 8.0)
    )
    smooth = ndimage.gaussian_filter(grid.hu_zyx[box], 0.5)
    volumes = np.empty((CHANNELS, *smooth.shape), np.float32)
    high, low = roots.confluence_lps, roots.ivc_low_lps
    # A few slices at a time: whole volumes of every step would take longer to get than to fill.
    for first in range(0, len(smooth), SLICES):
        own = slice(first, min(first + SLICES, len(smooth)))
        here = (slice(box[0].start + own.start, box[0].start + own.stop), *box[1:])
        x, y, z = at_lps = places(grid, here)
        t = np.clip((z - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
        aside, ahead = (one - low[k] - t * (high[k] - low[k]) for k, one in ((0, x), (1, y)))
        hepatic, portal = (values[here].astype(np.float32) / 255.0 for values in found.networks)
        channels = (
            np.clip((smooth[own] - grid.level_hu) / 60.0, -1.5, 1.5),
            tubes_zyx[here],
            grid.liver_zyx[here],
            found.cava_zyx[here],
            *((one - at) / 60.0 for one, at in zip(at_lps, roots.bifurcation_lps, strict=True)),
            np.sqrt(aside**2 + ahead**2) / 60.0,
            np.sqrt(sum((one - at) ** 2 for one, at in zip(at_lps, high, strict=True))) / 60.0,
            nearer[here] / 2.0,
            hepatic - portal,
            hepatic + portal,
        )
        for channel, values in zip(volumes, channels, strict=True):
            channel[own] = values
    return TreeView(volumes, box)


def places(grid: LiverGrid, box: tuple[slice, ...]) -> list[NDArray[np.float64]]:
    """x, y and z (LPS, mm) of a box's voxels, each (z, y, x): of an even grid sums of three lines' values."""
    matrix = grid.geometry.ijk_to_lps
    index = np.ogrid[box]
    return [
        np.asarray(matrix[k, 2] * index[0] + matrix[k, 1] * index[1] + matrix[k, 0] * index[2] + matrix[k, 3])
        for k in range(3)
    ]
