"""What a case's table node says of the whole case, as attributes, written by both writers of scenes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

from .findings import CaseResult, PhaseEstimate

ATTR_PHASE = "LiverLesionAI.Phase"
ATTR_PHASE_PROBABILITY = "LiverLesionAI.PhaseProbability"
ATTR_PHASE_WARNING = "LiverLesionAI.PhaseWarning"
ATTR_MODELS = "LiverLesionAI.Models"
ATTR_NOTES = "LiverLesionAI.Notes"
"""The analysis' messages to the reader, as a JSON list: they are read again when the scene is."""


def case_attributes(result: CaseResult) -> dict[str, str]:
    """Contrast phase ("" throughout where it was not estimated), the models that ran, and the messages."""
    phase = result.phase
    return {
        ATTR_PHASE: phase.name if phase else "",
        ATTR_PHASE_PROBABILITY: f"{phase.probability:.4f}" if phase else "",
        ATTR_PHASE_WARNING: phase.warning if phase else "",
        ATTR_MODELS: json.dumps(dict(result.models)),
        ATTR_NOTES: json.dumps(list(result.messages)),
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


def read_models(get: Callable[[str], str | None]) -> Mapping[str, str]:
    """Model -> first 12 digits of its weights' SHA-256, of the models that ran."""
    try:
        found = json.loads(get(ATTR_MODELS) or "{}")
    except ValueError:
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def read_notes(get: Callable[[str], str | None]) -> tuple[str, ...]:
    """The analysis' messages to the reader."""
    try:
        notes = json.loads(get(ATTR_NOTES) or "[]")
    except ValueError:
        return ()
    return tuple(str(note) for note in notes) if isinstance(notes, list) else ()
