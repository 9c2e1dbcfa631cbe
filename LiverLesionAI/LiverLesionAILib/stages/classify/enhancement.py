"""How a lesion enhances over the phases at hand: APHE, washout and capsule as measured properties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .differential import ARTERIAL, DELAYED, PORTAL, DifferentialSettings
from .features import LesionFeatures


@dataclass(frozen=True)
class MeasuredEnhancement:
    """What the phases show; None where they cannot. As :class:`.case.enhancement.Enhancement` keeps it.

    Attributes:
        aphe, rim, washout, capsule: as there.
        text: the same in figures, HU; "" where nothing could be measured.
    """

    aphe: bool | None
    rim: bool | None
    washout: bool | None
    capsule: bool | None
    text: str


def measure_enhancement(
    phases: Mapping[str, LesionFeatures], settings: DifferentialSettings
) -> MeasuredEnhancement:
    """Enhancement of one lesion.

    Args:
        phases: its features by phase; a liver that could not be measured counts as no phase.
    """
    there = {name: one for name, one in phases.items() if math.isfinite(one.contrast_hu)}
    late = {name: there[name] for name in (PORTAL, DELAYED) if name in there}
    aphe = rim = washout = capsule = None
    said = []
    if ARTERIAL in there:
        seen = there[ARTERIAL]
        rim = _bright_rim(seen, settings)
        aphe = not rim and seen.contrast_hu >= settings.aphe_hu
        against = f"{seen.contrast_hu:+.0f} HU against liver"
        if rim:
            said.append(
                f"rim-like arterial enhancement (rim {seen.rim_hu - seen.liver_hu:+.0f} HU, core {against})"
            )
        else:
            said.append(f"{'APHE' if aphe else 'no APHE'} ({against})")
        if late:
            name, darkest = min(late.items(), key=lambda item: item[1].contrast_hu)
            fallen = seen.contrast_hu - darkest.contrast_hu >= settings.washout_hu
            # LI-RADS counts it without APHE as well: a fall from what was as bright as the liver. What was
            # dark from the start never enhanced, and washes nothing out.
            bright = not rim and seen.contrast_hu > -settings.washout_hu
            washout = bright and fallen and darkest.contrast_hu <= -settings.washout_hu
            figure = f"{name} {darkest.contrast_hu:+.0f} HU against liver"
            dark = darkest.contrast_hu <= -settings.washout_hu
            if dark and rim:
                said.append(f"washout not judged where a rim enhances ({figure})")
            elif dark and not bright:
                said.append(f"no washout, as it was dark from the start ({figure})")
            else:
                said.append(f"{'washout' if washout else 'no washout'} ({figure})")
    if late:
        capsule = any(_bright_rim(one, settings) for one in late.values())
        if ARTERIAL in there:
            said.append("enhancing capsule" if capsule else "no enhancing capsule")
    return MeasuredEnhancement(aphe, rim, washout, capsule, "; ".join(said))


def _bright_rim(seen: LesionFeatures, settings: DifferentialSettings) -> bool:
    return math.isfinite(seen.rim_contrast_hu) and seen.rim_contrast_hu > settings.rim_hu
