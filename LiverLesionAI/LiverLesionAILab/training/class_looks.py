"""Looks that training needs beside :mod:`..synthesis.appearance`: metastases of all habits, benign changes.

HU are relative to the liver, by phase. Sources are those of :mod:`..synthesis.appearance`; hypervascular
metastases (neuroendocrine, renal, thyroid): arterial enhancement that is iso- or hypodense later (Sica 2000).
Focal fat and sparing are as much darker or brighter in every phase, with soft borders and no mass; a
perfusion difference is bright in the arterial phase alone (LI-RADS v2018: "perfusion alteration").
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..synthesis.appearance import Appearance, LesionType, Phase, sample_appearance

HABITS = {"plain": 0.5, "hypervascular": 0.2, "cystic": 0.15, "target": 0.15}
"""How often a metastasis has which; "plain" is soft, rim, necrotic or calcified, by chance."""

HYPERVASCULAR_HU = {
    Phase.UNENHANCED: (-25.0, -6.0),
    Phase.ARTERIAL: (14.0, 75.0),
    Phase.PORTAL_VENOUS: (-35.0, 8.0),
    Phase.DELAYED: (-38.0, -6.0),
}
RIM_HU = {Phase.UNENHANCED: 0.0, Phase.ARTERIAL: 45.0, Phase.PORTAL_VENOUS: 28.0, Phase.DELAYED: 18.0}


def metastasis_look(
    kind: LesionType, phase: Phase, diameter_mm: float, liver_hu: float, rng: np.random.Generator
) -> Appearance:
    """A metastasis of one of :data:`HABITS`; see :attr:`~..synthesis.lesion_records.LesionSettings.look`."""
    habit = str(rng.choice(list(HABITS), p=list(HABITS.values())))
    plain = sample_appearance(kind, phase, diameter_mm, liver_hu, rng)
    if habit == "plain" or diameter_mm < 8:
        return plain
    if habit == "hypervascular":
        return replace(
            _bare(plain), subtype=habit, body_hu=float(rng.uniform(*HYPERVASCULAR_HU[phase])), gradient_hu=0.0
        )
    fluid = float(rng.uniform(10, 34)) - liver_hu
    rim = float(rng.uniform(0.5, 1.3)) * RIM_HU[phase]
    body = fluid if habit == "cystic" else plain.body_hu
    return replace(
        _bare(plain),
        subtype=habit,
        body_hu=body,
        core_hu=0.0 if habit == "cystic" else min(-6.0, fluid - body),
        core_fraction=0.0 if habit == "cystic" else float(rng.uniform(0.3, 0.6)),
        core_noise=0.3,
        # A wall stands out of the fluid, not out of the liver.
        rim_hu=rim + (-0.7 * body if phase is not Phase.UNENHANCED else -0.4 * body),
        rim_mm=float(rng.uniform(1.2, 3.0)),
        rim_gap=float(rng.uniform(0.0, 0.35)),
    )


def benign_look(
    kind: LesionType, phase: Phase, _diameter_mm: float, _liver_hu: float, rng: np.random.Generator
) -> Appearance:
    """Focal fat, focal sparing, or in the arterial phase a perfusion difference; no mass, soft borders."""
    what = str(rng.choice(("focal fat", "focal sparing", "perfusion"), p=(0.45, 0.2, 0.35)))
    if what == "perfusion" and phase is not Phase.ARTERIAL:
        what = "focal fat"
    low, high = {"focal fat": (-38.0, -12.0), "focal sparing": (11.0, 28.0), "perfusion": (11.0, 45.0)}[what]
    return Appearance(
        kind,
        phase,
        what,
        body_hu=float(rng.uniform(low, high)),
        texture_hu=float(rng.uniform(0.5, 2.5)),
        texture_mm=8.0,
        edge_mm=float(rng.uniform(1.2, 3.2)),
    )


def _bare(look: Appearance) -> Appearance:
    """Without core, rim, halo and calcium."""
    return replace(
        look, core_hu=0.0, core_fraction=0.0, rim_hu=0.0, halo_hu=0.0, calcium_hu=0.0, calcium_share=0.0
    )
