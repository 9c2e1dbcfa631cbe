"""The contrast phase as attributes of a case's table node, written by both writers of scenes."""

from __future__ import annotations

import math
from collections.abc import Callable

from .findings import PhaseEstimate

ATTR_PHASE = "LiverLesionAI.Phase"
ATTR_PHASE_PROBABILITY = "LiverLesionAI.PhaseProbability"
ATTR_PHASE_WARNING = "LiverLesionAI.PhaseWarning"


def phase_attributes(phase: PhaseEstimate | None) -> dict[str, str]:
    """All attributes; "" throughout where the phase was not estimated."""
    return {
        ATTR_PHASE: phase.name if phase else "",
        ATTR_PHASE_PROBABILITY: f"{phase.probability:.4f}" if phase else "",
        ATTR_PHASE_WARNING: phase.warning if phase else "",
    }


def read_phase(get: Callable[[str], str | None]) -> PhaseEstimate | None:
    """The way back: `get` gives an attribute's value by name; None where there is no phase."""
    name = get(ATTR_PHASE)
    if not name:
        return None
    try:
        probability = float(get(ATTR_PHASE_PROBABILITY) or "nan")
    except ValueError:
        probability = math.nan
    return PhaseEstimate(name, probability, get(ATTR_PHASE_WARNING) or "")
