"""Contrast phases of one examination, named by the reader."""

from __future__ import annotations

from dataclasses import dataclass

from ..volume.ct import CtVolume
from .classes import Phase


@dataclass(frozen=True, eq=False)
class NamedPhases:
    """Phases beside the CT that is analysed, and what that one is.

    Attributes:
        own: phase of the CT itself; None leaves it to the estimate.
        others: (phase, CT) of the same patient in any grid, each phase at most once; None leaves a phase to
            the estimate.
    """

    own: Phase | None = None
    others: tuple[tuple[Phase | None, CtVolume], ...] = ()
