"""What every patient of SynthLiver-1 is: a pure function of the set's seed.

Phases, kinds of liver, slice thicknesses and noise are dealt like cards from decks, so that each part of the
split holds all of them in fixed numbers; only the rest is left to chance. A patient's name, split and seed do
not depend on how many others are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..appearance import LesionType, Phase
from ..body import BodySettings
from ..patient import LiverKind

NAME = "SynthLiver-1"
SEED = 20_260_401
PARTS = ("volumes", "slices", "classes")
SPLITS = ("train", "validation", "test")

VOLUME_COUNTS = {"train": (60, 5), "validation": (20, 2), "test": (40, 3)}
"""Scans, and how many of them show a healthy liver."""
SERIES_COUNTS = {"train": 200, "validation": 30, "test": 70}
"""Patients of the slices, one series each; the shares of DeepLesion's official split, about."""

CLASSES = ("Normal", "CYST", "FNH", "HCC", "HEM")
"""Of the DADRN study, in the order of its tables."""
CLASS_SLICES = {"Normal": 227, "CYST": 293, "FNH": 130, "HCC": 251, "HEM": 190}
"""Its slices per class (DADRN paper, section 3); together 1091."""
SLICES_PER_PATIENT = 5.0
CLASS_TYPES = {
    "CYST": LesionType.CYST,
    "FNH": LesionType.FNH,
    "HCC": LesionType.HCC,
    "HEM": LesionType.HAEMANGIOMA,
}
CLASS_OF_TYPE = {
    **{t: name for name, t in CLASS_TYPES.items()},
    LesionType.METASTASIS: "MET",
    LesionType.TREATED: "TREATED",
}
CLASS_DIAMETERS_MM = {"CYST": (7.0, 80.0), "FNH": (12.0, 80.0), "HCC": (10.0, 110.0), "HEM": (8.0, 70.0)}
CLASS_MEDIANS_MM = {"CYST": 22.0, "FNH": 34.0, "HCC": 38.0, "HEM": 24.0}

# Card -> its share of a deck.
_PHASES = {Phase.PORTAL_VENOUS: 0.5, Phase.ARTERIAL: 0.25, Phase.DELAYED: 0.13, Phase.UNENHANCED: 0.12}
_KINDS = {LiverKind.NORMAL: 0.6, LiverKind.FATTY: 0.17, LiverKind.CIRRHOTIC: 0.15, LiverKind.RESECTED: 0.08}
_THICKNESS_MM = {2.5: 0.4, 5.0: 0.2, 3.0: 0.15, 2.0: 0.15, 1.5: 0.1}
_PIXEL_MM = {1.25: 0.4, 1.4: 0.3, 1.5: 0.3}
_NOISE_HU = {7.0: 0.2, 10.0: 0.25, 13.0: 0.25, 17.0: 0.18, 24.0: 0.12}
_MAIN_TYPES = {
    LesionType.METASTASIS: 0.4,
    LesionType.HCC: 0.2,
    LesionType.CYST: 0.13,
    LesionType.HAEMANGIOMA: 0.11,
    LesionType.FNH: 0.08,
    LesionType.TREATED: 0.08,
}
_LARGE = {True: 0.2, False: 0.8}
# The slice intervals of DeepLesion are mostly 1 and 5 mm.
_INTERVALS_MM = {1.0: 0.45, 5.0: 0.25, 2.0: 0.1, 2.5: 0.1, 1.25: 0.1}


@dataclass(frozen=True)
class PatientPlan:
    """One patient of the set.

    Attributes:
        name: unique within its part.
        split: "train", "validation" or "test" (of classes: of the first split).
        seed: of its body, distractors and lesions.
        body: how it is scanned.
        main_type: most lesions of the patient are of it; None: a healthy liver.
        only_main: all of them are.
        large: the largest lesion is drawn from 45 to 120 mm.
        diameter_mm, median_mm: of the other lesions.
        cost: how long it takes, roughly, in scans of a usual size.
        more: what only one part needs.
    """

    name: str
    split: str
    seed: tuple[int, ...]
    body: BodySettings
    main_type: LesionType | None
    only_main: bool = False
    large: bool = False
    diameter_mm: tuple[float, float] = (3.0, 60.0)
    median_mm: float = 11.0
    cost: float = 1.0
    more: Mapping[str, Any] = field(default_factory=dict)


def deck(shares: Mapping[Any, float], count: int, rng: np.random.Generator) -> list[Any]:
    """`count` cards in random order, each as often as its share says (largest remainders)."""
    cards = list(shares)
    exact = np.array([shares[c] for c in cards]) * count / sum(shares.values())
    whole = np.floor(exact).astype(int)
    for k in np.argsort(-(exact - whole), kind="stable")[: count - int(whole.sum())]:
        whole[k] += 1
    dealt = [card for card, n in zip(cards, whole, strict=True) for _ in range(int(n))]
    return [dealt[i] for i in rng.permutation(count)]


def plan_volumes() -> list[PatientPlan]:
    """The 120 scans, train, validation, test."""
    plans: list[PatientPlan] = []
    for part, split in enumerate(SPLITS):
        count, healthy = VOLUME_COUNTS[split]
        rng = np.random.default_rng((SEED, 1, part))
        phases, kinds = deck(_PHASES, count, rng), deck(_KINDS, count, rng)
        thick, pixel = deck(_THICKNESS_MM, count, rng), deck(_PIXEL_MM, count, rng)
        noise, large = deck(_NOISE_HU, count, rng), deck(_LARGE, count, rng)
        types = deck(_MAIN_TYPES, count, rng)
        free = set(rng.permutation(count)[:healthy].tolist())
        for k in range(count):
            number = len(plans) + 1
            own = np.random.default_rng((SEED, 2, number))
            covers = own.choice(3, p=[0.5, 0.3, 0.2])  # the liver; with the lung bases; to the pelvis
            body = BodySettings(
                spacing_zyx_mm=(thick[k], pixel[k], pixel[k]),
                thickness_mm=thick[k],
                top_mm=float((own.uniform(10, 30), own.uniform(40, 110), own.uniform(10, 40))[covers]),
                bottom_mm=-float(
                    (own.uniform(215, 250), own.uniform(215, 260), own.uniform(330, 400))[covers]
                ),
                field_mm=None if own.random() < 0.7 else float(own.uniform(400, 470)),
                phase=phases[k],
                liver_kind=kinds[k],
                noise_hu=noise[k] * float(own.uniform(0.85, 1.15)),
            )
            height = body.top_mm - body.bottom_mm  # type: ignore[operator]
            plans.append(
                PatientPlan(
                    f"synth{number:03d}",
                    split,
                    (SEED, 3, number),
                    body,
                    None if k in free else types[k],
                    large=large[k],
                    cost=height / 250 * (2.5 / thick[k]) ** 0.5,
                )
            )
    return plans


def plan_slices() -> list[PatientPlan]:
    """The patients of the slices; `more["key_slices"]` is how many key slices each may have."""
    plans: list[PatientPlan] = []
    for part, split in enumerate(SPLITS):
        count = SERIES_COUNTS[split]
        rng = np.random.default_rng((SEED, 4, part))
        phases, kinds = deck(_PHASES, count, rng), deck(_KINDS, count, rng)
        apart, noise = deck(_INTERVALS_MM, count, rng), deck(_NOISE_HU, count, rng)
        types, large = deck(_MAIN_TYPES, count, rng), deck(_LARGE, count, rng)
        for k in range(count):
            number = len(plans) + 1
            own = np.random.default_rng((SEED, 5, number))
            pixel = float(np.round(own.uniform(1.0, 1.35), 3))
            top = -float(own.uniform(5, 75))
            body = BodySettings(
                spacing_zyx_mm=(apart[k], pixel, pixel),
                thickness_mm=max(1.0, apart[k]),
                top_mm=top,
                bottom_mm=top - 90.0,
                phase=phases[k],
                liver_kind=kinds[k],
                noise_hu=noise[k] * float(own.uniform(0.85, 1.15)),
            )
            plans.append(
                PatientPlan(
                    f"{number:06d}",
                    split,
                    (SEED, 6, number),
                    body,
                    types[k],
                    large=large[k],
                    cost=0.7,
                    more={"key_slices": int(own.integers(1, 5))},
                )
            )
    return plans


def plan_classes() -> list[PatientPlan]:
    """The patients of the classes, one class each; `more` holds class, slices and the second split.

    Both splits share out each class's patients 60 : 20 : 20, as the study's did its slices.
    """
    plans: list[PatientPlan] = []
    for index, name in enumerate(CLASSES):
        rng = np.random.default_rng((SEED, 7, index))
        quotas = _quotas(CLASS_SLICES[name], rng)
        count = len(quotas)
        kinds, noise = deck(_KINDS, count, rng), deck(_NOISE_HU, count, rng)
        splits = [deck({"train": 0.6, "validation": 0.2, "test": 0.2}, count, rng) for _ in range(2)]
        for k in range(count):
            number = len(plans) + 1
            own = np.random.default_rng((SEED, 8, number))
            pixel = float(np.round(own.uniform(1.15, 1.4), 3))
            top = -float(own.uniform(15, 70))
            body = BodySettings(
                spacing_zyx_mm=(2.5, pixel, pixel),
                thickness_mm=2.5,
                top_mm=top,
                bottom_mm=top - 80.0,
                phase=Phase.ARTERIAL,
                liver_kind=kinds[k],  # of the same kinds in every class: only the lesion tells
                noise_hu=noise[k] * float(own.uniform(0.85, 1.15)),
            )
            kind = CLASS_TYPES.get(name)
            plans.append(
                PatientPlan(
                    f"patient{number:03d}",
                    splits[0][k],
                    (SEED, 9, number),
                    body,
                    kind,
                    only_main=True,
                    diameter_mm=CLASS_DIAMETERS_MM.get(name, (8.0, 80.0)),
                    median_mm=CLASS_MEDIANS_MM.get(name, 20.0),
                    cost=0.3,
                    more={"class": name, "slices": quotas[k], "split_2": splits[1][k]},
                )
            )
    return plans


def plan(part: str, limit: int | None = None) -> list[PatientPlan]:
    """The patients of a part.

    Args:
        part: one of :data:`PARTS`.
        limit: only so many of each split (of classes: of each class and split); they are the same patients as
            in the whole set.
    """
    plans = {"volumes": plan_volumes, "slices": plan_slices, "classes": plan_classes}[part]()
    if limit is None:
        return plans
    seen: dict[tuple, int] = {}
    kept = []
    for one in plans:
        group = (one.split, one.more.get("class"))
        seen[group] = seen.get(group, 0) + 1
        if seen[group] <= limit:
            kept.append(one)
    return kept


def _quotas(total: int, rng: np.random.Generator) -> Sequence[int]:
    """Slices per patient, 3 to 7, that add up to `total`."""
    count = round(total / SLICES_PER_PATIENT)
    quotas = rng.integers(3, 8, count)
    while (gap := total - int(quotas.sum())) != 0:
        room = np.flatnonzero(quotas < 7 if gap > 0 else quotas > 3)
        quotas[rng.choice(room)] += np.sign(gap)
    return quotas.tolist()
