"""SynthLiver-2-other: bodies to choose and fit on, so that SynthLiver-2 is left to judge.

The same physics (:mod:`.kinetics`) and kinds of lesions with other seeds and ranges: injections, times of
scans, tissues and borders are drawn from wider ones, flow and volume scatter further lesion by lesion,
outlines are longer, and each body holds lesions of all classes whatever its liver is. No checksums are kept:
nothing is judged by it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..appearance import Phase
from ..body import BodySettings
from ..patient import LiverKind
from .habits import Make, Part, draw_make
from .kinetics import BolusRanges, Tissue
from .multiphase_plan import MultiphasePlan

NAME = "SynthLiver-2-other"
PART = "others"
SEED = 77_001
BODIES = 104

OTHER_BOLUS = BolusRanges(
    peak_hu=(180, 420),
    mixed_hu=(100, 210),
    length_s=(14, 40),
    arrival_s=(10, 24),
    heart_s=(3, 10),
    leaving_s=(170, 400),
    transit_s=(4, 10),
    gut_s=(8, 18),
    times_s={Phase.ARTERIAL: (29, 46), Phase.PORTAL_VENOUS: (56, 95), Phase.DELAYED: (140, 330)},
)
WIDER = 1.35
FLOW_SD, VOLUME_SD = 0.18, 0.12
"""Of the logarithm, beside what the ranges give: lesions that enhance as no range says."""
MASS_ELONGATION, BENIGN_ELONGATION = (0.6, 1.6), (0.9, 2.1)

_METASTASES = ("soft", "rim", "target", "cystic", "calcified", "hypervascular")
_LIVERS = (LiverKind.NORMAL, LiverKind.FATTY, LiverKind.NORMAL, LiverKind.CIRRHOTIC)


def plan_others(limit: int | None = None) -> list[MultiphasePlan]:
    """The bodies; the first `limit` of them are the same as in all."""
    plans = []
    for number in range(1, (limit or BODIES) + 1):
        rng = np.random.default_rng((SEED, 3, number))
        kind = _LIVERS[number % len(_LIVERS)]
        top = -float(rng.uniform(0, 30))
        pixel, thick = float(rng.uniform(1.0, 1.7)), float(rng.choice((1.5, 2.0, 3.0, 4.0, 5.0)))
        body = BodySettings(
            spacing_zyx_mm=(thick, pixel, pixel),
            thickness_mm=thick,
            top_mm=top,
            bottom_mm=top - 120.0,
            arms_down=False,
            liver_kind=kind,
            noise_hu=float(rng.uniform(6, 22)),
        )
        # A spared part is seen in a fatty liver alone.
        spared = kind is LiverKind.FATTY and rng.random() < 0.7
        kinds = [
            "cyst",
            "flash haemangioma" if rng.random() < 0.33 else "haemangioma",
            *["FNH"] * int(rng.integers(1, 3)),
            *["HCC"] * int(rng.integers(1, 3)),
            *(f"{habit} metastasis" for habit in rng.choice(_METASTASES, 3, replace=False)),
            "focal sparing" if spared else "focal fat",
            "perfusion difference",
        ]
        phases = tuple(Phase) if number % 2 else tuple(Phase)[1:]
        plans.append(
            MultiphasePlan(
                f"other{number:03d}", (SEED, 4, number), body, "mixed", False, phases, 1.0, tuple(kinds), PART
            )
        )
    return plans


def draw_other(
    habit: str, diameter_mm: float, liver: Tissue, fatty_hu: float, rng: np.random.Generator
) -> Make:
    """As :func:`~.habits.draw_make`, from wider ranges."""
    made = draw_make(habit, diameter_mm, liver, fatty_hu, rng, WIDER)
    flow, volume = np.exp(rng.normal(0, (FLOW_SD, VOLUME_SD)))
    span = BENIGN_ELONGATION if made.adds else MASS_ELONGATION
    longer = float(rng.uniform(*span))
    # What is liver, or follows it, enhances as this patient's does.
    if made.adds or habit == "cyst":
        return replace(made, elongation=longer)

    def moved(part: Part | None) -> Part | None:
        if part is None or part.tissue is None:
            return part
        tissue = part.tissue
        own = Tissue(tissue.flow * flow, min(1.1, tissue.volume * volume), tissue.arterial)
        return replace(part, tissue=own)

    bulk = moved(made.bulk)
    assert bulk is not None
    return replace(
        made,
        bulk=bulk,
        rim=moved(made.rim),
        core=moved(made.core),
        nodules=moved(made.nodules),
        elongation=longer,
    )
