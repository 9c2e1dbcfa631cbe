"""What every patient of SynthLiver-anatomy is: a pure function of the set's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..appearance import Phase
from ..body import BodySettings
from ..known_trees.habit import Habit, PortalForm
from ..patient import LiverKind
from .plan import deck

NAME = "SynthLiver-anatomy"
VERSION = 1
"""Of the generator: what it draws is the same for the same version."""
SEED = 20_261_130
PART = "anatomy"

FURTHER = 101
"""Number of the first patient beyond the set."""

VARIANTS: dict[str, int] = {
    "usual": 21,
    "posterior first": 6,
    "anterior from left": 3,
    "trifurcation": 6,
    "right inferior vein": 6,
    "resected": 6,
    "cirrhotic": 6,
    "Riedel": 3,
    "situs inversus": 3,
}
"""How many patients of each. Every third of each is held out."""

_PORTAL = {
    "posterior first": PortalForm.POSTERIOR_FIRST,
    "anterior from left": PortalForm.ANTERIOR_FROM_LEFT,
    "trifurcation": PortalForm.TRIFURCATION,
}
_KIND = {"resected": LiverKind.RESECTED, "cirrhotic": LiverKind.CIRRHOTIC}
_SCAN = {"portal venous": 0.62, "delayed": 0.1, "arterial": 0.1, "unenhanced": 0.08, "isodense": 0.1}
_THICKNESS_MM = {2.5: 0.5, 2.0: 0.2, 3.0: 0.2, 5.0: 0.1}
_PIXEL_MM = {1.2: 0.4, 1.35: 0.4, 1.5: 0.2}
_NOISE_HU = {8.0: 0.3, 11.0: 0.3, 14.0: 0.25, 19.0: 0.15}


@dataclass(frozen=True)
class AnatomyPlan:
    """One patient.

    Attributes:
        name: unique; split: "train" or "held-out".
        seed: of everything.
        variant: of :data:`VARIANTS`.
        body: how it is scanned; habit: how its vessels branch.
        isodense: vessels are as dense as the liver.
        riedel_mm: by how much the right lobe is longer.
        mirrored: situs inversus.
        cost: how long it takes, roughly.
    """

    name: str
    split: str
    seed: tuple[int, ...]
    variant: str
    body: BodySettings
    habit: Habit
    isodense: bool = False
    riedel_mm: float = 0.0
    mirrored: bool = False
    cost: float = 1.0


def plan_anatomy(limit: int | None = None) -> list[AnatomyPlan]:
    """The 60 patients, variants in turn.

    Args:
        limit: only so many of each variant; they are the same patients as in the whole set.
    """
    left, order = dict(VARIANTS), []
    while any(left.values()):
        for variant in VARIANTS:
            if left[variant]:
                left[variant] -= 1
                order.append(variant)
    rng = np.random.default_rng((SEED, 1))
    count = len(order)
    scans, thick, pixel, noise = (deck(d, count, rng) for d in (_SCAN, _THICKNESS_MM, _PIXEL_MM, _NOISE_HU))
    plans, seen = [], dict.fromkeys(VARIANTS, 0)
    for index, variant in enumerate(order):
        split = "held-out" if seen[variant] % 3 == 2 else "train"
        seen[variant] += 1
        one = _patient(index + 1, variant, split)
        scan = scans[index]
        body = replace(
            one.body,
            spacing_zyx_mm=(thick[index], pixel[index], pixel[index]),
            thickness_mm=thick[index],
            phase=Phase(scan) if scan != "isodense" else Phase.PORTAL_VENOUS,
            noise_hu=noise[index] * float(np.random.default_rng((SEED, 2, index)).uniform(0.85, 1.15)),
        )
        if limit is None or seen[variant] <= limit:
            plans.append(replace(one, body=body, isodense=scan == "isodense"))
    return plans


def further_plans(count: int) -> list[AnatomyPlan]:
    """Patients beyond the set, of as many variants but situs inversus; their vessels can be seen.

    None of them is in the set or judged by: they are only learnt from.
    """
    rng = np.random.default_rng((SEED, 5))
    shares = {name: float(many) for name, many in VARIANTS.items() if name != "situs inversus"}
    seen = {scan: _SCAN[scan] for scan in ("portal venous", "delayed")}
    decks = (shares, seen, _THICKNESS_MM, _PIXEL_MM, _NOISE_HU)
    # Each drawn by itself: the first ones are the same however many are asked for.
    plans = []
    for number in range(FURTHER, FURTHER + count):
        variant, scan, thick, pixel, noise = (_drawn(of, rng) for of in decks)
        one = _patient(number, str(variant), "train")
        body = replace(
            one.body,
            spacing_zyx_mm=(thick, pixel, pixel),
            thickness_mm=thick,
            phase=Phase(scan),
            noise_hu=noise * float(rng.uniform(0.85, 1.15)),
        )
        plans.append(replace(one, body=body))
    return plans


def _drawn(shares: Mapping[Any, float], rng: np.random.Generator) -> Any:
    names, weights = list(shares), np.array(list(shares.values()))
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _patient(number: int, variant: str, split: str) -> AnatomyPlan:
    own = np.random.default_rng((SEED, 3, number))
    kind = _KIND.get(variant, LiverKind.FATTY if own.random() < 0.15 else LiverKind.NORMAL)
    riedel = float(own.uniform(45, 75)) if variant == "Riedel" else 0.0
    top = float(own.uniform(8, 25))
    turns, rises = own.normal(0, 5.0, 2), own.normal(0, 4.0, 2)
    habit = Habit(
        portal=_PORTAL.get(variant, PortalForm.USUAL),
        right_inferior=variant == "right inferior vein" or bool(own.random() < 0.1),
        common_trunk=bool(own.random() < 0.8),
        turn_degree=(float(turns[0]), float(turns[1])),
        rise_mm=(float(rises[0]), float(rises[1])),
    )
    body = BodySettings(
        top_mm=top,
        bottom_mm=-205.0 - riedel,
        field_mm=float(own.uniform(320, 370)),
        arms_down=False,
        liver_kind=kind,
    )
    mirrored = variant == "situs inversus"
    name = f"anatomy{number:02d}"
    return AnatomyPlan(
        name, split, (SEED, 4, number), variant, body, habit, riedel_mm=riedel, mirrored=mirrored
    )
