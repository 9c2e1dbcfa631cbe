"""What finds vessels in a liver's crop: ridge filter or network, behind one face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...support.progress import Progress, silent
from ...volume.ct import Geometry


@dataclass(frozen=True, eq=False)
class LiverView:
    """The liver's crop on a vessel finder's own grid.

    Attributes:
        geometry: axes along L, P, S (as nearly as the CT's allow), the finder's spacing.
        hu_zyx: float32, HU.
        liver_zyx: bool, the liver with its lesions; not the vessels beside it.
        lesion_zyx: bool, lesions inside it.
        level_hu: of the liver's tissue.
    """

    geometry: Geometry
    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    lesion_zyx: NDArray[np.bool_]
    level_hu: float


class VesselAnswer(NamedTuple):
    """A vessel finder's answer on the view's grid.

    Attributes:
        vessel_zyx: uint8, 0..255: probability of a vessel of any kind, in and close to the liver.
        kinds_zyx: uint8 (3, z, y, x), 0..255: of hepatic veins, portal vein and IVC, in the order of
            `case.anatomy.Vessel`; None where the finder cannot tell them apart and connectivity alone does.
        contrast_hu: of the vessels against the liver; negative where they are darker, NaN where unknown.
    """

    vessel_zyx: NDArray[np.uint8]
    kinds_zyx: NDArray[np.uint8] | None = None
    contrast_hu: float = float("nan")


class VesselFinder(Protocol):
    """Finds vessels in a liver."""

    spacing_zyx_mm: tuple[float, float, float]

    def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
        """On the grid of `view`, which has `spacing_zyx_mm`."""
