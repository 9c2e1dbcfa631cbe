"""How the vessels of a liver branch, and the codes of what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class PortalForm(str, Enum):
    """How the portal vein divides (Nakamura et al., Transplantation 2002: types A, B, C, D)."""

    USUAL = "usual"
    TRIFURCATION = "trifurcation"
    POSTERIOR_FIRST = "right posterior branch from the main trunk"
    ANTERIOR_FROM_LEFT = "right anterior branch from the left trunk"


class Vessel(IntEnum):
    """Labels of the vessels of a known liver."""

    NONE = 0
    PORTAL = 1
    HEPATIC = 2
    IVC = 3


class Branch(IntEnum):
    """Branches of the trees. `SEGMENT + s` is the portal branch of segment code `s`."""

    NONE = 0
    PORTAL_MAIN = 1
    PORTAL_RIGHT = 2
    PORTAL_LEFT = 3
    PORTAL_RIGHT_ANTERIOR = 4
    PORTAL_RIGHT_POSTERIOR = 5
    PORTAL_UMBILICAL = 6
    SEGMENT = 10
    HEPATIC_RIGHT = 31
    HEPATIC_MIDDLE = 32
    HEPATIC_LEFT = 33
    HEPATIC_COMMON = 34
    HEPATIC_RIGHT_INFERIOR = 35
    IVC = 40


SEGMENTS: dict[int, str] = {
    1: "I",
    2: "II",
    3: "III",
    4: "IVa",
    5: "V",
    6: "VI",
    7: "VII",
    8: "VIII",
    9: "IVb",
}
"""Codes of the segments' truth: 1 to 8 as Couinaud counts, 4 for IVa alone and 9 for IVb."""


@dataclass(frozen=True)
class Habit:
    """How the vessels of one liver branch.

    Attributes:
        portal: form of the portal bifurcation.
        right_inferior: a large right inferior hepatic vein drains segment VI into the IVC.
        common_trunk: middle and left hepatic vein join before the IVC.
        turn_degree: by which the boundaries of the sectors are turned about the IVC: middle, right.
        rise_mm: by which the level that parts upper from lower segments is moved, right, left.
    """

    portal: PortalForm = PortalForm.USUAL
    right_inferior: bool = False
    common_trunk: bool = True
    turn_degree: tuple[float, float] = (0.0, 0.0)
    rise_mm: tuple[float, float] = (0.0, 0.0)
