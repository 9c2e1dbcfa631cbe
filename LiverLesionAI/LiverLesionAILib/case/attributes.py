"""What a case's table node says of the whole case, as attributes, written by both writers of scenes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

from .classes import Phase
from .findings import CaseResult, DoubtfulPlace, PhaseEstimate
from .store_json import describe_place, read_place

ATTR_PHASE = "LiverLesionAI.Phase"
ATTR_PHASE_PROBABILITY = "LiverLesionAI.PhaseProbability"
ATTR_PHASE_WARNING = "LiverLesionAI.PhaseWarning"
ATTR_PHASE_NAMED = "LiverLesionAI.PhaseNamed"
"""Whether the reader has named it: "1", else ""."""
ATTR_MODELS = "LiverLesionAI.Models"
ATTR_NOTES = "LiverLesionAI.Notes"
"""The analysis' messages to the reader, as a JSON list: they are read again when the scene is."""
ATTR_DEVICE = "LiverLesionAI.Device"
ATTR_THRESHOLD = "LiverLesionAI.TumourThreshold"
"""Probability from which a voxel was taken for a lesion's; "" where no mask was made by probability."""
ATTR_DOUBTFUL = "LiverLesionAI.LookHere"
"""Places to look at that are not listed, as a JSON list, likeliest first."""


def case_attributes(result: CaseResult) -> dict[str, str]:
    """Contrast phase ("" where it was not estimated), what ran, threshold, messages, doubtful places."""
    phase, tumour = result.phase, result.probabilities.get("tumour")
    return {
        ATTR_PHASE: phase.name if phase else "",
        ATTR_PHASE_PROBABILITY: f"{phase.probability:.4f}" if phase else "",
        ATTR_PHASE_WARNING: phase.warning if phase else "",
        ATTR_PHASE_NAMED: "1" if phase and phase.named else "",
        ATTR_MODELS: json.dumps(dict(result.models)),
        ATTR_NOTES: json.dumps(list(result.messages)),
        ATTR_DEVICE: result.device,
        ATTR_THRESHOLD: "" if tumour is None else f"{tumour.threshold:.4f}",
        ATTR_DOUBTFUL: json.dumps([describe_place(place) for place in result.doubtful]),
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
    named = get(ATTR_PHASE_NAMED) == "1"
    return PhaseEstimate(Phase.title_of(name), probability, get(ATTR_PHASE_WARNING) or "", named)


def read_models(get: Callable[[str], str | None]) -> Mapping[str, str]:
    """Model -> first 12 digits of its weights' SHA-256, of the models that ran."""
    try:
        found = json.loads(get(ATTR_MODELS) or "{}")
    except ValueError:
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def read_threshold(get: Callable[[str], str | None]) -> float | None:
    """Probability from which a voxel was taken for a lesion's; None where it is not known."""
    try:
        return float(get(ATTR_THRESHOLD) or "")
    except ValueError:
        return None


def read_notes(get: Callable[[str], str | None]) -> tuple[str, ...]:
    """The analysis' messages to the reader."""
    try:
        notes = json.loads(get(ATTR_NOTES) or "[]")
    except ValueError:
        return ()
    return tuple(str(note) for note in notes) if isinstance(notes, list) else ()


def read_doubtful(get: Callable[[str], str | None]) -> tuple[DoubtfulPlace, ...]:
    """The places to look at that are not listed; none where the attribute is missing or damaged."""
    try:
        return tuple(read_place(entry) for entry in json.loads(get(ATTR_DOUBTFUL) or "[]"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()
