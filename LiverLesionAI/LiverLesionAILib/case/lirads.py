"""LI-RADS CT v2018 as a pure function: whether a category can be given at all, and which, step by step.

It is asked only after the reader has said that the patient is at risk; the table comes last. LR-1, LR-2, LR-M
and LR-TIV are the reader's: a look that speaks for the last two gives no category, but the advice to consider
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .classes import Phase
from .enhancement import Enhancement

UNSAID = "not said"
"""The answer to a question that nobody has answered."""
ADULT_YEARS = 18.0
GROWTH_SHARE = 0.5
"""Threshold growth: larger by this share ..."""
GROWTH_MONTHS = 6.0
"""... within so many months."""
SMALL_MM, LARGE_MM = 10.0, 20.0
"""Sizes are told apart below 10 mm, from 10 to below 20 mm, and from 20 mm."""


class Category(str, Enum):
    """What the table can give."""

    LR3 = "LR-3"
    LR4 = "LR-4"
    LR5 = "LR-5"


class Consider(str, Enum):
    """What the reader has to consider where no category is given."""

    NOTHING = ""
    LR_M = "consider LR-M"
    LR_TIV = "consider LR-TIV"


@dataclass(frozen=True)
class AtRisk:
    """What the reader says of the patient; None where nothing was said.

    Attributes:
        at_risk: cirrhosis, chronic hepatitis B, or present or earlier hepatocellular carcinoma.
        vascular_or_congenital: the cirrhosis comes of a vascular disorder or of congenital fibrosis.
    """

    at_risk: bool | None = None
    age_years: float | None = None
    vascular_or_congenital: bool | None = None


@dataclass(frozen=True)
class Observation:
    """One lesion; None where it was not looked for or could not be seen.

    Attributes:
        size_mm: largest diameter.
        arterial_enhancement: more than the liver round it in the late arterial phase, not only at the rim.
        washout: darker than the liver round it later, not only at the edge.
        capsule: a bright rim in the portal venous or delayed phase.
        growth: threshold growth, see :func:`threshold_growth`; None without a prior.
        targetoid: rim enhancement, washout at the edge, or another target-like look.
        tumour_in_vein: the reader sees enhancing tissue in a vein.
        benign_excluded: the reader says that it is neither definitely nor probably benign.
        treated: ablated, embolised, or otherwise treated for itself.
    """

    size_mm: float
    arterial_enhancement: bool | None = None
    washout: bool | None = None
    capsule: bool | None = None
    growth: bool | None = None
    targetoid: bool | None = None
    tumour_in_vein: bool | None = None
    benign_excluded: bool | None = None
    treated: bool = False


@dataclass(frozen=True)
class Step:
    """One question on the way, in words, with its answer and whether the way ended there."""

    question: str
    answer: str
    ends: bool = False


@dataclass(frozen=True)
class LiRads:
    """The outcome.

    Attributes:
        category: None where none may be given; the last of the steps says why.
        steps: every question that was asked, in order.
    """

    category: Category | None
    steps: tuple[Step, ...]
    consider: Consider = Consider.NOTHING


@dataclass(frozen=True)
class Proposal:
    """What was measured of the features that the table asks for; only the reader's word makes it count.

    Attributes:
        arterial_enhancement, washout, capsule: as in :class:`Observation`; None where no phase shows it.
        targetoid: True where a rim enhances in the arterial phase; never False: there are other such looks.
        phases: that were measured.
    """

    arterial_enhancement: bool | None = None
    washout: bool | None = None
    capsule: bool | None = None
    targetoid: bool | None = None
    phases: tuple[Phase, ...] = ()

    @classmethod
    def of(cls, measured: Enhancement | None) -> Proposal:
        """From a lesion's densities over the phases; nothing where they were not measured."""
        if measured is None:
            return cls()
        return cls(measured.aphe, measured.washout, measured.capsule, measured.rim or None, measured.phases)


def threshold_growth(before_mm: float, now_mm: float, months: float) -> bool | None:
    """Whether a lesion grew by at least half within six months; None where the prior is older or later.

    Raises:
        ValueError: a size is not above 0.
    """
    if not (before_mm > 0 and now_mm > 0):
        raise ValueError(f"Sizes have to be above 0 mm, not {before_mm:g} and {now_mm:g}.")
    if not 0 < months <= GROWTH_MONTHS:
        return None
    # Sizes are given to 0.1 mm: 15 of 10 mm is half as much again, whatever the last bit says.
    return now_mm - before_mm >= GROWTH_SHARE * before_mm - 1e-6


def lirads(
    patient: AtRisk, phases: Iterable[Phase], seen: Observation, unconfirmed: Iterable[Phase] = ()
) -> LiRads:
    """The category of an observation, with every step to it.

    Args:
        phases: that the examination has; "arterial" has to be the late arterial one, which the reader sees.
        unconfirmed: that were measured, but not confirmed by the reader: they do not count, and are not
            missing either.
    """
    there, measured, steps = set(phases), set(unconfirmed), []

    def ask(question: str, answer: str, ends: bool) -> bool:
        steps.append(Step(question, answer, ends))
        return ends

    def none(consider: Consider = Consider.NOTHING) -> LiRads:
        return LiRads(None, tuple(steps), consider)

    if ask("Is the patient at risk?", _said(patient.at_risk), patient.at_risk is not True):
        return none()
    young = patient.age_years is None or patient.age_years < ADULT_YEARS
    age = UNSAID if patient.age_years is None else f"{patient.age_years:g} years"
    if ask("At least 18 years old?", age, young):
        return none()
    other = patient.vascular_or_congenital
    if ask("Cirrhosis of a vascular or congenital cause?", _said(other), other is not False):
        return none()
    if ask("Was the lesion treated?", _said(seen.treated), seen.treated):
        return none()
    open_ = [p for p in (Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED) if p not in there]
    lists = {
        "missing": [p.title for p in open_ if p not in measured],
        "there, but not confirmed": [p.title for p in open_ if p in measured],
    }
    answer = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists.items() if names)
    if ask("Late arterial, portal venous and delayed phase?", answer or "all there", bool(open_)):
        return none()
    benign = seen.benign_excluded
    if ask("Definitely and probably benign excluded?", _said(benign), benign is not True):
        return none()
    if ask("Tumour in a vein?", _said(seen.tumour_in_vein), seen.tumour_in_vein is not False):
        return none(Consider.LR_TIV if seen.tumour_in_vein else Consider.NOTHING)
    if ask("A targetoid look?", _said(seen.targetoid), seen.targetoid is not False):
        return none(Consider.LR_M if seen.targetoid else Consider.NOTHING)
    enhances = seen.arterial_enhancement
    if ask("Arterial enhancement, not of the rim alone?", _said(enhances), enhances is None):
        return none()
    if ask("Size", f"{seen.size_mm:.1f} mm", not seen.size_mm > 0):
        return none()
    for question, value in (
        ("Washout, not at the edge alone?", seen.washout),
        ("A capsule?", seen.capsule),
        ("Threshold growth?", seen.growth),
    ):
        # What is not known is not counted: it can only raise the category.
        ask(question, _said(value), False)
    return LiRads(table(seen), tuple(steps))


def table(seen: Observation) -> Category:
    """The diagnostic table of v2018, by arterial enhancement, size and the number of other major features."""
    features = sum(value is True for value in (seen.washout, seen.capsule, seen.growth))
    if seen.arterial_enhancement is not True:
        if features >= 2 or (features == 1 and seen.size_mm >= LARGE_MM):
            return Category.LR4
        return Category.LR3
    if seen.size_mm >= LARGE_MM:
        return Category.LR5 if features else Category.LR4
    if seen.size_mm < SMALL_MM:
        return Category.LR4 if features else Category.LR3
    if features >= 2 or (features == 1 and not seen.capsule):
        return Category.LR5
    return Category.LR4 if features else Category.LR3


def _said(value: bool | None) -> str:
    return UNSAID if value is None else "yes" if value else "no"
