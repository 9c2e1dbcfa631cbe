"""Contrast phases of one examination, named by the reader or by the descriptions of its series."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .classes import Phase

if TYPE_CHECKING:
    from ..volume.ct import CtVolume


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


_START, _END = r"(?<![^\W\d_])", r"(?![^\W\d_])"
"""Where a word starts and ends; "_" parts words, as it does in names of files."""

HINTS = (
    (
        Phase.UNENHANCED,
        rf"{_START}(nativ\w*|un-?enh\w*|non.?(contrast|enh)\w*|without|plain|pre|nc(ct)?|ohne|sans){_END}",
    ),
    (Phase.ARTERIAL, rf"{_START}art{_END}|arter|artér"),
    (Phase.PORTAL, rf"portal|porto|{_START}(pv\w?|ven(ous|ös|øs|eux|euse)?){_END}|portalven"),
    (
        Phase.DELAYED,
        rf"delay|equilib|tardi|sp(ä|ae)t|{_START}(late|spat|sen(fase)?){_END}",
    ),
)
"""What descriptions of series call a phase, in several languages."""


def hinted(description: str) -> Phase | None:
    """The phase that a series' description names; None where it names none, or two ("art + portal")."""
    found = [phase for phase, pattern in HINTS if re.search(pattern, description, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None
