"""The groups that results are reported in, by diameter (mm) or density (HU); equivalent diameter."""

from __future__ import annotations

import math
from dataclasses import dataclass

INFINITY = math.inf


@dataclass(frozen=True)
class Band:
    """A range of what lesions are grouped by: low <= value < high, in the unit that the name gives."""

    name: str
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a lesion of this value belongs to the group; NaN belongs to none."""
        return self.low <= value < self.high


def _through(limit_mm: float) -> float:
    """An upper end that still holds `limit_mm` itself."""
    return math.nextafter(limit_mm, INFINITY)


# Detection by size; every diameter is in exactly one group, so that the groups add up to the whole.
DETECTION_BANDS = (
    Band("< 5 mm", 0.0, 5.0),
    Band("5-10 mm", 5.0, 10.0),
    Band("10-20 mm", 10.0, _through(20.0)),
    Band("> 20 mm", _through(20.0), INFINITY),
)
# Dice per lesion: the VA paper's small, medium [15, 30] and large.
DICE_BANDS = (
    Band("< 15 mm", 0.0, 15.0),
    Band("15-30 mm", 15.0, _through(30.0)),
    Band("> 30 mm", _through(30.0), INFINITY),
)
# The groups of the CS-Att paper's table 2, by lesion diameter.
DEEPLESION_BANDS = (
    Band("< 10 mm", 0.0, 10.0),
    Band("10-30 mm", 10.0, _through(30.0)),
    Band("> 30 mm", _through(30.0), INFINITY),
)


def equivalent_diameter_mm(volume_mm3: float) -> float:
    """Diameter of the sphere with this volume."""
    return (6.0 * volume_mm3 / math.pi) ** (1.0 / 3.0)
