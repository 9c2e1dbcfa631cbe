"""What a network that names tubes sees: the liver, its tubes, and where these lie from the trees' roots."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...support.progress import Progress, silent
from ...volume.masks import bounding_box
from .found_tubes import FoundTubes
from .grid import LiverGrid

CHANNELS = 12
MARGIN_VOXELS = 6
"""Round the liver: the trunks of both trees lie within."""


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
    box = bounding_box(grid.liver_zyx | tubes_zyx, MARGIN_VOXELS)
    assert box is not None
    shape = tuple(b.stop - b.start for b in box)
    index = np.stack(np.meshgrid(*(np.arange(b.start, b.stop) for b in box), indexing="ij"), axis=-1)
    points = grid.geometry.index_to_lps(index.reshape(-1, 3))
    from_fork = ((points - roots.bifurcation_lps) / 60.0).T.reshape(3, *shape)
    high, low = roots.confluence_lps, roots.ivc_low_lps
    t = np.clip((points[:, 2] - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
    from_ivc = np.hypot(*(points[:, :2] - low[:2] - t[:, None] * (high[:2] - low[:2])).T) / 60.0
    nearer = np.zeros(tubes_zyx.shape, np.float32)
    nearer[tubes_zyx] = np.log(
        (np.minimum(found.hepatic_mm, 300.0) + 8.0) / (np.minimum(found.portal_mm, 300.0) + 8.0)
    )
    hepatic, portal = (values[box].astype(np.float32) / 255.0 for values in found.networks)
    smooth = ndimage.gaussian_filter(grid.hu_zyx[box], 0.5)
    volumes = [
        np.clip((smooth - grid.level_hu) / 60.0, -1.5, 1.5),
        tubes_zyx[box],
        grid.liver_zyx[box],
        found.cava_zyx[box],
        *from_fork,
        from_ivc.reshape(shape),
        np.linalg.norm(points - high, axis=1).reshape(shape) / 60.0,
        nearer[box] / 2.0,
        hepatic - portal,
        hepatic + portal,
    ]
    return TreeView(np.stack([np.asarray(one, np.float32) for one in volumes]), box)
