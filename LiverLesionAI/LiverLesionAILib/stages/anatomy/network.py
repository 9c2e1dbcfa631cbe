"""What a vessel network says of a liver, on the scan's own grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...case.anatomy import NAMED, Vessel
from ...models.inputs import liver_level_hu
from ...support.progress import Progress, silent
from ...volume.geometry import Geometry, permuted, reoriented_geometry
from ...volume.resampling import resample, resample_labels
from .face import LiverView, VesselFinder
from .grid import grid_round

MARGIN_MM = 20.0
"""Round the liver, as in training: the vena cava and the portal trunk lie within."""
HALVED_YX = 16
"""The network halves a slice's sides four times: the same voxels come together wherever the scan's lie."""


def vessel_probability(
    finder: VesselFinder,
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_],
    lesions_zyx: NDArray[np.bool_],
    progress: Progress = silent,
    onto: Geometry | None = None,
) -> dict[Vessel, NDArray[np.uint8]]:
    """0..255 by kind of vessel; empty where there is no liver or the finder knows no kinds.

    Args:
        hu_zyx: HU on `geometry`, whose axes may run anyhow.
        liver_zyx: bool, lesions included.
        onto: grid of the answer, axes along L, P, S; by default `geometry`, and lesions are
            no vessels.
    """
    oriented = reoriented_geometry(geometry)
    liver = permuted(liver_zyx, geometry, oriented)
    if not liver.any():
        return {}
    box, grid = grid_round(liver, oriented, MARGIN_MM, finder.spacing_zyx_mm, (1, HALVED_YX, HALVED_YX))
    part = oriented.cropped([b.start for b in box], [b.stop for b in box])

    def mask(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        inner = permuted(values, geometry, oriented)[box]
        return np.asarray(resample_labels(inner.astype(np.uint8), part, grid)) > 0

    hu = np.asarray(resample(permuted(hu_zyx, geometry, oriented)[box], part, grid), np.float32)
    inside, lesions = mask(liver_zyx), mask(lesions_zyx)
    healthy = hu[inside & ~lesions]
    if not healthy.size:
        return {}
    answer = finder.vessels(LiverView(grid, hu, inside, lesions, liver_level_hu(healthy)), progress)
    if answer.kinds_zyx is None:
        return {}
    if onto is not None:
        kinds = {vessel: answer.kinds_zyx[vessel - 1] for vessel in NAMED}
        return {vessel: resample(kind, grid, onto, fill=0, dtype=np.uint8) for vessel, kind in kinds.items()}
    out = {}
    for vessel in NAMED:
        whole = np.zeros(oriented.shape_zyx, np.uint8)
        kind = answer.kinds_zyx[vessel - 1]
        whole[box] = resample(kind, grid, part, fill=0, dtype=np.uint8)
        # A lesion is no vessel.
        out[vessel] = np.where(lesions_zyx, np.uint8(0), permuted(whole, oriented, geometry))
    return out
