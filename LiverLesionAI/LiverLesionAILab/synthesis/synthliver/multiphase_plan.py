"""What every patient of SynthLiver-2 and SynthLiver-2-second is: a pure function of the set's seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..appearance import Phase
from ..body import BodySettings
from .habits import HABITS
from .plan import deck

NAME = "SynthLiver-2"
SEED = 20_261_129
PART = "patients"
NAME_SECOND = "SynthLiver-2-second"
SEED_SECOND = 20_261_130
PART_SECOND = "second"
"""60 further patients of the same generator: another seed, nothing else."""

WITH_UNENHANCED = ("HCC", "haemangioma", "calcified metastasis", "focal fat", "focal sparing", "cyst")
"""Habits for which a scan without contrast is made as well: it tells something there."""
CYST_BESIDE = 0.33
_THICKNESS_MM = {2.5: 0.6, 5.0: 0.2, 3.0: 0.2}
_PIXEL_MM = {1.2: 0.4, 1.35: 0.4, 1.5: 0.2}
_NOISE_HU = {8.0: 0.3, 11.0: 0.3, 14.0: 0.25, 19.0: 0.15}


@dataclass(frozen=True)
class MultiphasePlan:
    """One patient.

    Attributes:
        name: unique.
        seed: of its body and lesions; each phase's noise has its own.
        body: how it is scanned, in every phase.
        habit: of its lesions; cyst_beside: it has a cyst as well.
        phases: that are scanned, in the order of time.
        cost: how long it takes, roughly.
        kinds: lesions of several habits in one body, drawn from other ranges (:mod:`.multiphase_other`); ()
            those of `habit`.
        part: folder in the set.
    """

    name: str
    seed: tuple[int, ...]
    body: BodySettings
    habit: str
    cyst_beside: bool
    phases: tuple[Phase, ...]
    cost: float = 1.0
    kinds: tuple[str, ...] = ()
    part: str = PART


def plan_second(limit: int | None = None) -> list[MultiphasePlan]:
    """The 60 patients of SynthLiver-2-second, as :func:`plan_patients`."""
    return plan_patients(limit, SEED_SECOND, PART_SECOND, "second")


def plan_patients(
    limit: int | None = None, seed: int = SEED, part: str = PART, prefix: str = "multi"
) -> list[MultiphasePlan]:
    """The 60 patients, habits in turn.

    Args:
        limit: only so many of each habit; they are the same patients as in the whole set.
        seed, part, prefix: of the set, its folder and its patients' names; SynthLiver-2's.
    """
    left = {habit: one.patients for habit, one in HABITS.items()}
    count = sum(left.values())
    # In turn: whoever takes the first 20 has all of them.
    order = []
    while any(left.values()):
        for habit in HABITS:
            if left[habit]:
                left[habit] -= 1
                order.append(habit)
    rng = np.random.default_rng((seed, 1))
    thick, pixel, noise = (deck(d, count, rng) for d in (_THICKNESS_MM, _PIXEL_MM, _NOISE_HU))
    livers = {
        name: deck(one.livers, one.patients, np.random.default_rng((seed, 2, number)))
        for number, (name, one) in enumerate(HABITS.items())
    }
    plans, seen = [], dict.fromkeys(HABITS, 0)
    for index, habit in enumerate(order):
        number = index + 1
        own = np.random.default_rng((seed, 3, number))
        kind = livers[habit][seen[habit]]
        seen[habit] += 1
        top = -float(own.uniform(5, 25))
        body = BodySettings(
            spacing_zyx_mm=(thick[index], pixel[index], pixel[index]),
            thickness_mm=thick[index],
            top_mm=top,
            bottom_mm=top - 115.0,
            arms_down=False,
            liver_kind=kind,
            noise_hu=noise[index] * float(own.uniform(0.85, 1.15)),
        )
        beside = habit != "cyst" and bool(own.random() < CYST_BESIDE)
        phases = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)
        if habit in WITH_UNENHANCED:
            phases = (Phase.UNENHANCED, *phases)
        plan = MultiphasePlan(
            f"{prefix}{number:02d}", (seed, 4, number), body, habit, beside, phases, part=part
        )
        if limit is None or seen[habit] <= limit:
            plans.append(plan)
    return plans
