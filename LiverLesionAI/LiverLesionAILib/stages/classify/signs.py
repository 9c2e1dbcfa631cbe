"""Signs that take more than the core's density: lumps as bright as blood, and a contrast that stays.

Peripheral lumps as bright as the blood pool are what a haemangioma is told by (EASL 2016); fat and spared
liver enhance as the liver does, so that their contrast is the same in every phase.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .features import LesionFeatures

ENHANCED_HU = 20.0
"""A liver that enhances by less from one phase to another shows nothing of what stays."""


def lumps_share(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> float:
    """How far the brightest tenth of a lesion is on the way from liver to aorta.

    Of the arterial phase where it is there, as the way is longest in it; else of the portal venous one. 0 of
    one that is bright throughout or brighter than liver in its core. NaN where no phase shows it: without
    contrast or without an aorta.
    """
    for phase in ("arterial", "portal"):
        seen = phases.get(phase)
        if seen is None:
            continue
        span = aorta_hu.get(phase, math.nan) - seen.liver_hu
        if math.isfinite(span) and span >= ENHANCED_HU and math.isfinite(seen.bright_hu):
            lumpy = seen.bright_hu - seen.core_hu >= max(ENHANCED_HU, 3 * seen.noise_hu)
            dark = seen.contrast_hu < ENHANCED_HU / 2
            return (seen.bright_hu - seen.liver_hu) / span if lumpy and dark else 0.0
    return math.nan


def blood_share(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> float:
    """How far a lesion's core is on the way from liver to aorta in the arterial phase; NaN without."""
    seen = phases.get("arterial")
    span = math.nan if seen is None else aorta_hu.get("arterial", math.nan) - seen.liver_hu
    if seen is None or not math.isfinite(span) or span < ENHANCED_HU:
        return math.nan
    return seen.contrast_hu / span


def contrast_change(phases: Mapping[str, LesionFeatures]) -> float:
    """Largest change of the contrast to liver between phases in which it enhanced unlike; NaN without."""
    changes = [
        abs(one.contrast_hu - other.contrast_hu)
        for one, other in combinations(phases.values(), 2)
        if abs(one.liver_hu - other.liver_hu) >= ENHANCED_HU
    ]
    return max(changes, default=math.nan)
