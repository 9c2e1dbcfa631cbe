"""What the segmenter leaves for the stages that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...volume.ct import Geometry, resample
from .masks import Masks

if TYPE_CHECKING:
    from ..faces import Explainer


@dataclass(frozen=True, eq=False)
class Segmented:
    """Liver and lesions inside the liver's box.

    Attributes:
        box: the CT's own grid there, axes along L, P, S; hu_zyx: HU on it.
        working: the network's grid there.
        level_hu: of the liver.
        liver_zyx, tumour_zyx: probabilities 0..255 on `working`, the tumour's only in and near the liver.
        masks: what they make, on `working`.
        explainers: of the networks that ran.
        working_hu_zyx: float32 HU on `working`; None where they are not kept.
    """

    box: Geometry
    hu_zyx: NDArray
    working: Geometry
    level_hu: float
    liver_zyx: NDArray[np.uint8]
    tumour_zyx: NDArray[np.uint8]
    masks: Masks
    explainers: tuple[Explainer, ...] = ()
    working_hu_zyx: NDArray[np.float32] | None = None

    def hu_on(self, geometry: Geometry) -> NDArray[np.float32]:
        """HU on another grid of the box; not resampled again for the segmenter's own."""
        if self.working_hu_zyx is not None and geometry.matches(self.working):
            return self.working_hu_zyx
        return resample(self.hu_zyx, self.box, geometry)
