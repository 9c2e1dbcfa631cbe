"""What the lesions of SynthLiver-2 are made of: habits, and the tissues of their parts.

A lesion is a few tissues (bulk, core, rim, nodules) in places that do not depend on the phase; what each
phase shows of them comes from :mod:`.kinetics`. Flow and volume are drawn per lesion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..patient import LiverKind
from .kinetics import Tissue


@dataclass(frozen=True)
class Habit:
    """One look of one class.

    Attributes:
        code: of the class, as :class:`~LiverLesionAILib.case.classes.LesionClass` has it.
        patients: of the set that have it.
        livers: kind -> its share.
        diameter_mm: smallest, median and largest.
        counts: fewest and most in one patient.
    """

    code: str
    patients: int
    livers: Mapping[LiverKind, float]
    diameter_mm: tuple[float, float, float]
    counts: tuple[int, int]


_ANY = {LiverKind.NORMAL: 0.75, LiverKind.FATTY: 0.25}
_SICK = {LiverKind.CIRRHOTIC: 0.75, LiverKind.NORMAL: 0.25}
_EVEN, _FAT = {LiverKind.NORMAL: 1.0}, {LiverKind.FATTY: 1.0}

HABITS: dict[str, Habit] = {
    "cyst": Habit("cyst", 9, _ANY, (6, 15, 60), (1, 5)),
    "haemangioma": Habit("haemangioma", 7, _ANY, (10, 24, 70), (1, 3)),
    "flash haemangioma": Habit("haemangioma", 2, _ANY, (7, 12, 18), (1, 3)),
    "FNH": Habit("FNH", 7, _ANY, (12, 32, 70), (1, 2)),
    "HCC": Habit("HCC", 9, _SICK, (10, 28, 80), (1, 3)),
    "soft metastasis": Habit("metastasis", 4, _ANY, (6, 16, 50), (2, 6)),
    "rim metastasis": Habit("metastasis", 3, _ANY, (9, 20, 50), (2, 5)),
    "target metastasis": Habit("metastasis", 3, _ANY, (14, 28, 60), (1, 4)),
    "cystic metastasis": Habit("metastasis", 3, _ANY, (9, 20, 50), (1, 4)),
    "calcified metastasis": Habit("metastasis", 2, _ANY, (9, 20, 50), (2, 5)),
    "hypervascular metastasis": Habit("metastasis", 3, _ANY, (7, 16, 45), (2, 5)),
    "focal fat": Habit("benign", 3, _EVEN, (14, 24, 40), (1, 1)),
    "focal sparing": Habit("benign", 2, _FAT, (14, 24, 40), (1, 1)),
    "perfusion difference": Habit("benign", 3, _ANY, (16, 28, 45), (1, 1)),
}
"""60 patients. A third of those without cysts have one beside."""


@dataclass(frozen=True)
class Part:
    """A tissue of a lesion.

    Attributes:
        tissue: None does not enhance.
        base_hu: unenhanced; absolute, or against the liver's where `beside_liver`.
    """

    tissue: Tissue | None
    base_hu: float
    beside_liver: bool = True


@dataclass(frozen=True)
class Make:
    """One lesion's parts and where they lie, lengths in mm.

    Attributes:
        bulk: all that is not another part.
        edge_mm: SD of the border.
        roughness, elongation: of the outline.
        rim, rim_mm: a shell inside the border; rim_gap: share of it that is missing.
        core, core_from: from this share of the depth inwards; scar: the core is a star.
        nodules, nodules_mm, nodules_share: lumps along the border.
        calcium_hu, calcium_share: dense spots.
        texture_hu: SD of what is uneven in it.
        adds: it changes the liver by its HU instead of replacing it: vessels run through.
    """

    bulk: Part
    edge_mm: float
    roughness: float = 0.08
    elongation: float = 1.0
    rim: Part | None = None
    rim_mm: float = 0.0
    rim_gap: float = 0.0
    core: Part | None = None
    core_from: float = 1.0
    scar: bool = False
    nodules: Part | None = None
    nodules_mm: float = 0.0
    nodules_share: float = 0.0
    calcium_hu: float = 0.0
    calcium_share: float = 0.0
    texture_hu: float = 2.0
    adds: bool = False
    facts: Mapping[str, bool] = field(default_factory=dict)


def _between(rng: np.random.Generator, wider: float, low: float, high: float) -> float:
    if wider == 1.0:
        return float(rng.uniform(low, high))
    middle, half = (low + high) / 2, wider * (high - low) / 2
    return float(rng.uniform(max(middle - half, 0.4 * low) if low >= 0 else middle - half, middle + half))


def draw_make(
    habit: str,
    diameter_mm: float,
    liver: Tissue,
    fatty_hu: float,
    rng: np.random.Generator,
    wider: float = 1.0,
) -> Make:
    """Draw the parts of one lesion.

    Args:
        liver: of the patient; what is made like liver follows it.
        fatty_hu: HU that the liver has lost to fat; tumours have none of it.
        wider: ranges are so many times as wide about their middle; 1 is the set's own.
    """
    between = partial(_between, rng, wider)

    def tissue(flow: tuple[float, float], volume: tuple[float, float]) -> Tissue:
        return Tissue(between(*flow), between(*volume))

    def solid(low: float, high: float, made: Tissue) -> Part:
        return Part(made, between(low, high) + 0.8 * fatty_hu)

    d = diameter_mm
    if habit == "cyst":
        water = Part(None, between(-3, 14), beside_liver=False)
        return Make(water, between(0.2, 0.7), between(0.01, 0.05), 0.5, texture_hu=1.0)
    if habit == "FNH":
        like = Tissue(between(0.019, 0.034), liver.volume * between(0.98, 1.15))
        scar = d > 25 and rng.random() < 0.65
        return Make(
            solid(-7, 2, like),
            between(0.5, 1.4),
            core=solid(-18, -8, tissue((0.0015, 0.003), (0.75, 1.0))) if scar else None,
            core_from=0.72,
            scar=scar,
            texture_hu=between(1.5, 4),
        )
    if habit == "HCC":
        return _hcc(d, between, tissue, solid, rng)
    if habit == "haemangioma":
        slow = tissue((0.002, 0.005), (0.72, 0.88))
        return Make(
            solid(-20, -10, slow),
            between(0.5, 1.2),
            nodules=Part(tissue((0.12, 0.2), (0.9, 1.0)), -14 + 0.8 * fatty_hu),
            nodules_mm=max(2.5, d * between(0.12, 0.24)),
            nodules_share=between(0.3, 0.6),
            texture_hu=between(1.5, 4),
        )
    if habit == "flash haemangioma":
        return Make(solid(-18, -10, tissue((0.07, 0.12), (0.82, 0.95))), between(0.5, 1.0), 0.05)
    if habit.endswith("metastasis"):
        return _metastasis(habit, between, tissue, solid)
    if habit == "perfusion difference":
        # As much blood, more of it from the artery: nothing is seen before and after that phase.
        more = Tissue(liver.flow * between(1.0, 1.2), liver.volume, between(0.75, 1.0))
        return Make(Part(more, 0.0), between(1.5, 3.0), between(0.12, 0.2), 1.5, adds=True, texture_hu=1.0)
    fat = -between(14, 34) if habit == "focal fat" else between(0.6, 0.95) * max(fatty_hu, 16.0)
    return Make(Part(liver, fat), between(1.2, 2.6), between(0.15, 0.25), 1.6, adds=True, texture_hu=1.5)


def _hcc(d: float, between, tissue, solid, rng: np.random.Generator) -> Make:
    """Arterial blood in, and out again; a capsule that stays bright; dead parts where it is large."""
    capsule = d > 10 and rng.random() < 0.5
    dead = d > 35 and rng.random() < 0.4
    return Make(
        solid(-14, -2, tissue((0.014, 0.032), (0.2, 0.38))),
        between(0.6, 1.8),
        rim=solid(-8, 0, tissue((0.004, 0.008), (0.8, 1.1))) if capsule else None,
        rim_mm=between(1.2, 2.2),
        core=Part(None, between(16, 34), beside_liver=False) if dead else None,
        core_from=between(0.5, 0.75),
        texture_hu=between(3, 8) if d > 20 else between(2, 4),
        facts={"capsule": capsule},
    )


def _metastasis(habit: str, between, tissue, solid) -> Make:
    """Six habits; all but one live on little blood."""
    soft, bright = habit == "soft metastasis", habit == "hypervascular metastasis"
    poor = solid(-18, -6, tissue((0.0035, 0.009), (0.16, 0.36)))
    fed = solid(-14, -2, tissue((0.02, 0.042), (0.26, 0.46)))
    edge = between(1.4, 3.0) if soft else between(0.7, 1.8)
    rough, texture = between(0.05, 0.2), between(2, 6)
    if habit == "rim metastasis":
        return Make(poor, edge, rough, rim=fed, rim_mm=between(1.5, 3.0), rim_gap=0.2, texture_hu=texture)
    if habit == "target metastasis":
        dead = Part(None, between(16, 34), beside_liver=False)
        middle = solid(-14, -4, tissue((0.006, 0.013), (0.25, 0.42)))
        return Make(
            middle,
            edge,
            rough,
            rim=fed,
            rim_mm=between(1.5, 3.0),
            core=dead,
            core_from=between(0.35, 0.6),
            texture_hu=texture,
        )
    if habit == "cystic metastasis":
        fluid = Part(None, between(14, 30), beside_liver=False)
        wall = solid(-14, -4, tissue((0.012, 0.025), (0.3, 0.45)))
        return Make(fluid, edge, rough, rim=wall, rim_mm=between(1.5, 3.0), rim_gap=0.15, texture_hu=3.0)
    if habit == "calcified metastasis":
        share = between(0.02, 0.1)
        return Make(poor, edge, rough, calcium_hu=between(90, 320), calcium_share=share, texture_hu=texture)
    return Make(fed if bright else poor, edge, rough, texture_hu=texture)
