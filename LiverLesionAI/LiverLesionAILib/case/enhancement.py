"""A lesion's density in each contrast phase beside liver and vessels, and what follows from it.

Measured properties, for the reader to confirm: none of them is a diagnosis, and LI-RADS asks the reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .classes import Phase

CURVES = ("lesion", "liver", "aorta", "cava")
"""What is drawn over the phases."""


@dataclass(frozen=True)
class PhaseLevels:
    """Densities in one phase, HU, and the lesion's edge, mm; NaN where they could not be measured.

    Attributes:
        phase: as named, or as the picture looks.
        lesion_hu: of the lesion's core; liver_hu: of the liver round it.
        aorta_hu, cava_hu: of aorta and vena cava; vessels_hu: of the brightest vessels in the liver.
        edge_mm: from the core's density to the liver's.
        rim_hu: how much brighter a rim is than core and liver; negative without one.
    """

    phase: Phase
    lesion_hu: float
    liver_hu: float = math.nan
    aorta_hu: float = math.nan
    cava_hu: float = math.nan
    vessels_hu: float = math.nan
    edge_mm: float = math.nan
    rim_hu: float = math.nan

    @property
    def contrast_hu(self) -> float:
        """Lesion minus liver."""
        return self.lesion_hu - self.liver_hu

    def curve(self, name: str) -> float:
        """The density of one of :data:`CURVES`."""
        return float(getattr(self, f"{name}_hu"))


@dataclass(frozen=True)
class Enhancement:
    """What the phases show of a lesion; None where they cannot.

    Attributes:
        levels: one per phase, in the order of time.
        aphe: brighter than the liver round it in the arterial phase, and not only at the rim.
        rim: a rim brighter than core and liver in the arterial phase.
        washout: darker than the liver in the portal venous or delayed phase, after having been at least as
            bright in the arterial phase, with APHE or without.
        capsule: a bright rim in the portal venous or delayed phase.
        own: phase of the CT that was analysed.
    """

    levels: tuple[PhaseLevels, ...]
    aphe: bool | None = None
    rim: bool | None = None
    washout: bool | None = None
    capsule: bool | None = None
    own: Phase | None = None

    @property
    def analysed(self) -> PhaseLevels | None:
        """Of the CT that was analysed."""
        return None if self.own is None else self.level(self.own)

    def level(self, phase: Phase) -> PhaseLevels | None:
        """Of one phase; None where it is not at hand."""
        return next((one for one in self.levels if one.phase is phase), None)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """That are at hand."""
        return tuple(one.phase for one in self.levels)


_LEVELS = ("lesion_hu", "liver_hu", "aorta_hu", "cava_hu", "vessels_hu", "edge_mm", "rim_hu")
_PROPERTIES = ("aphe", "rim", "washout", "capsule")


def describe_enhancement(one: Enhancement) -> dict[str, Any]:
    """As JSON; numbers that do not exist are None."""
    return {
        "levels": [
            {
                "phase": level.phase.value,
                **{name: _rounded(getattr(level, name)) for name in _LEVELS},
            }
            for level in one.levels
        ],
        **{name: getattr(one, name) for name in _PROPERTIES},
        "own": None if one.own is None else one.own.value,
    }


def read_enhancement(entry: Mapping[str, Any]) -> Enhancement:
    """The way back; KeyError, TypeError or ValueError where it is damaged."""
    levels = tuple(
        PhaseLevels(
            Phase(level["phase"]),
            **{name: math.nan if level[name] is None else float(level[name]) for name in _LEVELS},
        )
        for level in entry["levels"]
    )
    said = {name: None if entry[name] is None else bool(entry[name]) for name in _PROPERTIES}
    own = entry.get("own")
    return Enhancement(levels, **said, own=None if own is None else Phase(own))


def _rounded(value: float) -> float | None:
    return round(float(value), 2) if math.isfinite(value) else None
