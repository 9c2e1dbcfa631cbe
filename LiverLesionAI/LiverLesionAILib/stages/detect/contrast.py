"""Whether a spot stands out of the liver round it.

Asked of the detector's proposals and of what the reader grows from a point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SD_OF_MAD = 1.4826
"""SD of a Gaussian by its median absolute deviation."""


@dataclass(frozen=True)
class ContrastSettings:
    """When a spot stands out.

    Attributes:
        contrast_hu: difference in density from which its outline can be seen.
        contrast_spread: the same in SDs of the liver round it.
        noise_mm: the CT is smoothed by this SD before.
    """

    contrast_hu: float
    contrast_spread: float
    noise_mm: float


def level_and_spread(values_hu: NDArray) -> tuple[float, float]:
    """Median and robust SD, HU, of the liver round a spot."""
    level = float(np.median(values_hu))
    return level, SD_OF_MAD * float(np.median(np.abs(values_hu - level)))


def stands_out(spot_hu: float, liver_hu: float, spread_hu: float, settings: ContrastSettings) -> bool:
    """Whether a spot of that density has an outline to be grown to."""
    return abs(spot_hu - liver_hu) >= max(settings.contrast_hu, settings.contrast_spread * spread_hu)
