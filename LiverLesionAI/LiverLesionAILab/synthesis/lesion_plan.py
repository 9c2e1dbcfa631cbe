"""Which lesions are put where: their sizes, places, shapes and looks, before anything is painted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance, LesionType, Phase, sample_appearance
from .lesion_records import LesionSettings
from .shapes import Shape, ShapeBank, procedural_shape
from .tissue import LiverTissue


@dataclass(eq=False)
class LiverScene:
    """The liver under work, and the lesions in it so far (centre in mm, diameter)."""

    tissue: LiverTissue
    labels: NDArray[np.uint16]
    vessels: NDArray[np.bool_] | None
    phase: Phase
    placed: list[tuple[NDArray[np.float64], float]] = field(default_factory=list)
    near: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class LesionPlan:
    """What is drawn of a lesion before its surroundings have their say; lengths in mm.

    Attributes:
        centre: of the whole grid, in voxels.
        at_surface: may bulge out of the liver.
        push: how far it pushes vessels and capsule away.
    """

    centre: NDArray[np.float64]
    diameter: float
    shape: Shape
    look: Appearance
    at_surface: bool
    push: float

    @property
    def reach(self) -> float:
        """How far from the centre it changes the image."""
        return (
            self.shape.extent * self.diameter
            + 2.5 * self.look.edge_mm
            + self.look.halo_mm
            + 2.0
            + 2.0 * self.push
        )


def fitting_diameters(diameters: list[float], liver_mm3: float, least_mm: float) -> list[float]:
    """Hold the sizes to what the liver holds: one over 45 mm at most, all under 60 % of its volume."""
    left = 0.6 * liver_mm3
    out = []
    for index, diameter in enumerate(diameters):
        most = min((6 / np.pi * 0.6 * left) ** (1 / 3), 45.0 if index else np.inf)
        size = max(least_mm, min(diameter, most))
        out.append(size)
        left = max(0.0, left - np.pi / 6 * size**3)
    return out


def draw_plan(
    scene: LiverScene,
    kind: LesionType,
    diameter: float,
    settings: LesionSettings,
    bank: ShapeBank | None,
    rng: np.random.Generator,
) -> LesionPlan | None:
    """Draw place, shape and appearance; None where there is no room for a centre."""
    at_surface = bool(rng.random() < settings.subcapsular_share)
    clustered = bool(rng.random() < settings.cluster_share)
    centre = _draw_centre(scene, diameter, at_surface, clustered, rng)
    if centre is None:
        return None
    shape = _draw_shape(kind, diameter, settings, bank, rng)
    level = scene.tissue.level_hu
    if settings.look is not None:
        look = settings.look(kind, scene.phase, diameter, level, rng)
    else:
        look = sample_appearance(kind, scene.phase, diameter, level, rng, settings.hard_share)
    if not settings.necrosis:
        look = replace(look, core_fraction=0.0, core_hu=0.0)
    push = float(rng.uniform(0.03, 0.14)) * diameter if rng.random() < settings.mass_effect_share else 0.0
    push = min(push, 7.0) if diameter >= 15 else 0.0
    return LesionPlan(centre, diameter, shape, look, at_surface, push)


def _draw_centre(
    scene: LiverScene, diameter: float, at_surface: bool, clustered: bool, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """A centre in voxels: inside, at the surface, or beside an earlier lesion; None when nothing fits."""
    tissue = scene.tissue
    radius = diameter / 2
    deepest = float(tissue.depth_mm.max())
    if at_surface:
        low, high = min(0.25 * radius, 0.5 * deepest), max(0.75 * radius, 4.0)
    else:
        low, high = min(radius + 2.0, 0.8 * deepest), np.inf
    depth = tissue.depth_mm
    spots = np.argwhere((depth >= low) & (depth <= high) & (depth > 0))
    if len(spots) == 0:
        spots = np.argwhere((depth >= min(low, 0.6 * deepest)) & (depth > 0))
    if scene.near is not None:
        spots = spots[scene.near[tuple((spots * tissue.step).T)]]
        if len(spots) == 0:
            return None
    spacing = np.array(tissue.spacing)
    for _ in range(12):
        if clustered and scene.placed:
            near_mm, near_d = scene.placed[int(rng.integers(len(scene.placed)))]
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            centre = (near_mm + direction * (near_d + diameter) / 2 * rng.uniform(0.8, 1.3)) / spacing
        else:
            spot = spots[int(rng.integers(len(spots)))]
            centre = (spot + rng.uniform(-0.5, 0.5, 3)) * tissue.step
        index = tuple(np.round(centre).astype(int))
        if min(index) < 0 or any(i >= n for i, n in zip(index, tissue.hu.shape, strict=True)):
            continue
        if not tissue.liver[index] or scene.labels[index]:
            continue
        if tissue.protected is not None and tissue.protected[index]:
            continue
        gap = 0.42 if clustered else 0.55
        centre_mm = centre * spacing
        if all(np.linalg.norm(centre_mm - other) > gap * (diameter + size) for other, size in scene.placed):
            return centre
    return None


def _draw_shape(
    kind: LesionType,
    diameter: float,
    settings: LesionSettings,
    bank: ShapeBank | None,
    rng: np.random.Generator,
) -> Shape:
    """A real outline for tumours, smooth ones for cysts and FNH, ellipsoids for ablation zones."""
    if kind is LesionType.CYST:
        return procedural_shape(rng, roughness=float(rng.uniform(0.01, 0.06)), elongation=0.6, samples=20)
    if kind is LesionType.TREATED:
        return procedural_shape(rng, roughness=float(rng.uniform(0.02, 0.1)), samples=20)
    if bank is not None and len(bank) and rng.random() < settings.bank_share:
        return bank.draw(diameter, rng)
    return procedural_shape(rng, samples=18 if diameter < 15 else 26)
