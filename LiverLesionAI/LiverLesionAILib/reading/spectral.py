"""Series computed from dual-energy or photon-counting CT: what their values mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

# About what a virtual monoenergetic image of 70 keV shows: thresholds in HU hold there.
TYPICAL_KV = (100.0, 140.0)
TYPICAL_KEV = (60.0, 80.0)

_MATERIAL = re.compile(
    r"iodine|\biod(?:in)?\b|z[ -]?eff|effective atomic|electron density|uric acid|water ?\(|calcium ?\(|"
    r"fat (?:map|fraction|image)|\bpbv\b|perfused blood|\bmd ?[a-z]+ ?\(|material density|"
    r"\b(?:cbf|cbv|mtt|ttp|tmax)\b",
    re.IGNORECASE,
)
_KEV = re.compile(r"(\d{2,3})\s*kev", re.IGNORECASE)
_MONO = re.compile(r"monoe|mono[ -]?energ|monochrom|\bvmi\b", re.IGNORECASE)
_UNENHANCED = re.compile(r"\bvnc\b|\bvue\b|virtual (?:non|un)", re.IGNORECASE)


def material_map(description: str, image_type: Sequence[str]) -> str:
    """Why a series is no image in Hounsfield units: a map of a material; "" for others."""
    found = _MATERIAL.search(description) or _MATERIAL.search(" ".join(image_type).replace("_", " "))
    if found is None or _UNENHANCED.search(description):
        return ""
    return f"it is a map of a material ('{found.group().strip()}'), not an image in Hounsfield units"


def energy_doubt(description: str, image_type: Sequence[str], kv: float | None) -> str:
    """What to know about densities of a series that was not made at about 120 kV; "" for others.

    Args:
        kv: tube voltage; None where the images do not say.
    """
    words = f"{description} {' '.join(image_type)}".replace("_", " ")
    rules = "Thresholds in HU (contrast phase, cysts, fat) hold at about 120 kV"
    if _UNENHANCED.search(words):
        return (
            "The series looks virtually unenhanced (contrast taken away by computing): its densities are not "
            f"measured. {rules}."
        )
    if energy := _KEV.search(words):
        kev = float(energy.group(1))
        if TYPICAL_KEV[0] <= kev <= TYPICAL_KEV[1]:
            return ""
        side = "brighter" if kev < TYPICAL_KEV[0] else "darker"
        return (
            f"The series is a virtual image at {kev:.0f} keV: contrast medium is {side} than usual. {rules}."
        )
    if _MONO.search(words):
        return f"The series is a virtual monoenergetic image of an unknown energy. {rules}."
    if kv is not None and not TYPICAL_KV[0] <= kv <= TYPICAL_KV[1]:
        side = "brighter" if kv < TYPICAL_KV[0] else "darker"
        return f"The scan was made at {kv:.0f} kV: contrast medium is {side} than usual. {rules}."
    return ""
