"""Lesions that look treated: a suggestion with its reasons; the reader sets the state."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .differential import DifferentialSettings
from .features import LesionFeatures


def treated_suggestion(phases: Mapping[str, LesionFeatures], settings: DifferentialSettings) -> str:
    """Why a lesion may have been treated; "" where nothing speaks for it.

    Lipiodol is denser than contrast is, in every phase at hand, as a calcification is: a haemangioma that is
    as bright as the blood of an arterial phase fades with it. An ablated zone is denser than water and at
    most as dense as dead tissue, does not enhance from phase to phase, and has a sharp edge; it takes two
    phases to see that.

    Args:
        phases: its features by phase.
    """
    palest, seen = min(phases.items(), key=lambda item: item[1].core_hu)
    if seen.core_hu >= settings.lipiodol_hu:
        return f"treated? {seen.core_hu:.0f} HU ({palest}) is lipiodol or calcification"
    whole = [one for one in phases.values() if one.whole_core]
    if len(whole) < 2:
        return ""
    cores = [one.core_hu for one in whole]
    change = max(cores) - min(cores)
    # The liver has to have enhanced between the phases, or nothing was there to see.
    livers = [one.liver_hu for one in whole if math.isfinite(one.liver_hu)]
    enhanced = len(livers) >= 2 and max(livers) - min(livers) >= 2 * settings.still_hu
    sharp = all(math.isfinite(one.edge_mm) and one.edge_mm <= settings.sharp_mm for one in whole)
    dead = settings.water_hu < min(cores) and max(cores) <= settings.ablated_hu
    if enhanced and sharp and change <= settings.still_hu and dead:
        return (
            f"treated? {min(cores):.0f} HU, {change:.0f} HU of change over {len(whole)} phases, sharp edge: "
            "an ablated zone looks so"
        )
    return ""
