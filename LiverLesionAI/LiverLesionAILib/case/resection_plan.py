"""A resection as the surgeon plans it: how it is chosen, what its remnant is judged by. Nothing is preset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .anatomy import CouinaudSegment, read_segments, segments_text
from .remnant import Body
from .resection import ResectionWay

USUAL_MARGIN_MM = 10.0


class LiverState(Enum):
    """State of the liver, as the surgeon judges it."""

    HEALTHY = "healthy liver"
    CHEMOTHERAPY = "after chemotherapy"
    STEATOSIS = "steatosis"
    CIRRHOSIS = "cirrhosis"


@dataclass(frozen=True)
class ResectionPlan:
    """What is kept with a case.

    Attributes:
        way: how it is chosen; None where nothing is.
        segments: that are resected, of `ResectionWay.SEGMENTS`.
        margin_mm: round lesions, of `ResectionWay.MARGIN`.
        lesions: their numbers; empty for all that count.
        drawn: ID of the segment that was drawn elsewhere, of `ResectionWay.MASK`.
        height_cm, weight_kg: of the patient; None where they were not given.
        state: None where the surgeon has not said.
        least_percent: of the functional liver, that is to remain; None where the surgeon has not said.
    """

    way: ResectionWay | None = None
    segments: tuple[CouinaudSegment, ...] = ()
    margin_mm: float = USUAL_MARGIN_MM
    lesions: tuple[int, ...] = ()
    drawn: str = ""
    height_cm: float | None = None
    weight_kg: float | None = None
    state: LiverState | None = None
    least_percent: float | None = None

    @property
    def body(self) -> Body | None:
        """Height and weight; None unless both are given.

        Raises:
            InputError: no patient has these.
        """
        if self.height_cm is None or self.weight_kg is None:
            return None
        return Body(self.height_cm, self.weight_kg)

    @property
    def text(self) -> str:
        """To be kept; "" for a plan of nothing."""
        if self == ResectionPlan():
            return ""
        return json.dumps(
            {
                "way": None if self.way is None else self.way.value,
                "segments": segments_text(self.segments),
                "margin_mm": self.margin_mm,
                "lesions": list(self.lesions),
                "drawn": self.drawn,
                "height_cm": self.height_cm,
                "weight_kg": self.weight_kg,
                "state": None if self.state is None else self.state.value,
                "least_percent": self.least_percent,
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> ResectionPlan:
        """The way back; a plan of nothing where it is damaged."""
        try:
            said = json.loads(text) if text else {}
            return cls(
                None if said.get("way") is None else ResectionWay(said["way"]),
                read_segments(str(said.get("segments", ""))),
                float(said.get("margin_mm", USUAL_MARGIN_MM)),
                tuple(int(number) for number in said.get("lesions", ())),
                str(said.get("drawn", "")),
                _number(said.get("height_cm")),
                _number(said.get("weight_kg")),
                None if said.get("state") is None else LiverState(said["state"]),
                _number(said.get("least_percent")),
            )
        except (AttributeError, TypeError, ValueError):
            return cls()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
