"""How an earlier scan lies on the current one, as it is kept with the current case."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..volume.point_map import PointMap

MovementT = TypeVar("MovementT")


@dataclass(frozen=True, eq=False)
class Alignment(Generic[MovementT]):
    """What the registration of two scans said.

    Attributes:
        movement: from the earlier scan's patient space to the current one's; None where it failed.
        failed: why, "" where it did not.
        warnings: what is doubtful about the two scans.
        dice, gap_mm: how well the livers lie on each other; NaN where one has none.
    """

    movement: MovementT | None
    failed: str = ""
    warnings: tuple[str, ...] = ()
    dice: float = math.nan
    gap_mm: float = math.nan


@dataclass(frozen=True, eq=False)
class KeptAlignment(Alignment[PointMap]):
    """The same in a form that a scene can keep."""

    @property
    def text(self) -> str:
        """To be kept with a scene, and to go from one process to another."""
        return json.dumps({
            "movement": None if self.movement is None else self.movement.text,
            "failed": self.failed,
            "warnings": list(self.warnings),
            "dice": self.dice if math.isfinite(self.dice) else None,
            "gap_mm": self.gap_mm if math.isfinite(self.gap_mm) else None,
        })  # fmt: skip

    @classmethod
    def from_text(cls, text: str | None) -> KeptAlignment | None:
        """The way back from :attr:`text`; None where it is empty or damaged."""
        if not text:
            return None
        try:
            known = json.loads(text)
            movement = None if known["movement"] is None else PointMap.from_text(known["movement"])
            if movement is None and not known["failed"]:
                return None
            numbers = [math.nan if known[k] is None else float(known[k]) for k in ("dice", "gap_mm")]
            return cls(movement, str(known["failed"]), tuple(map(str, known["warnings"])), *numbers)
        except (ValueError, KeyError, TypeError):
            return None
