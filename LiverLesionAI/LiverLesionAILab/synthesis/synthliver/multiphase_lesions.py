"""Lesions of SynthLiver-2 put into a body before it is scanned: places once, densities phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import ball_diameter_mm, bounding_box
from numpy.typing import NDArray
from scipy import ndimage

from ..appearance import Appearance, LesionType, Phase
from ..body import SyntheticBody
from ..organs import HuTable, Organ
from ..rendering import blurred, coverage, inner_hu
from ..shapes import placed_depth, procedural_shape, random_rotation
from ..texture import Spacing, gaussian, smooth_noise
from .habits import HABITS, Make, Part, draw_make
from .kinetics import Bolus, Tissue

ATTEMPTS = 12
APHE_HU, WASHOUT_HU = 10.0, 10.0
"""Against the liver, in bulk and without noise: what is called hyperenhancement and washout in the truth."""

Field = NDArray[np.float32]
Box = tuple[slice, ...]
DrawMake = Callable[[str, float, Tissue, float, np.random.Generator], Make]
"""As :func:`~.habits.draw_make`."""


@dataclass(frozen=True, eq=False)
class PlacedLesion:
    """One lesion on the grid of the scans.

    Attributes:
        number: its label is one more.
        habit, make: what it is.
        box: of all fields; share: 0..1 of each voxel that it takes; mask: its outline.
        weights: part -> 0..1 of the lesion's own, "core", "rim" and "nodules"; extra_hu: calcium and texture.
        diameter_mm: of the ball of its volume.
    """

    number: int
    habit: str
    make: Make
    box: Box
    share: Field
    mask: NDArray[np.bool_]
    weights: Mapping[str, Field]
    extra_hu: Field
    diameter_mm: float

    @property
    def code(self) -> str:
        """Of its class."""
        return HABITS[self.habit].code


@dataclass(frozen=True, eq=False)
class Liver:
    """What lesions are put into."""

    body: SyntheticBody
    tissue: Tissue
    bolus: Bolus

    def part_hu(self, part: Part, table: HuTable) -> float:
        """HU of a lesion's part in a phase."""
        base = part.base_hu
        if part.beside_liver:
            base += table[Organ.LIVER] - self.bolus.at(self.bolus.uptake(self.tissue), table.phase)
        if part.tissue is None:
            return base
        return base + self.bolus.at(self.bolus.uptake(part.tissue), table.phase)


def kinds_of(habit: str, cyst_beside: bool, rng: np.random.Generator) -> list[str]:
    """The habit of each lesion of a patient."""
    kinds = [habit] * int(rng.integers(HABITS[habit].counts[0], HABITS[habit].counts[1] + 1))
    return kinds + ["cyst"] * cyst_beside


def place_lesions(
    liver: Liver, kinds: Sequence[str], rng: np.random.Generator, draw: DrawMake = draw_make
) -> list[PlacedLesion]:
    """Place the lesions of a patient, the largest first; fewer where there is no room."""
    body = liver.body
    spacing = body.geometry.spacing_zyx_mm
    near = bounding_box(body.liver_zyx, margin=2)
    assert near is not None
    depth = np.zeros(body.liver_zyx.shape, np.float32)
    depth[near] = ndimage.distance_transform_edt(body.liver_zyx[near], sampling=spacing)
    sizes = [_size(kind, float(depth.max()), rng) for kind in kinds]
    taken = np.zeros(depth.shape, bool)
    placed: list[PlacedLesion] = []
    for index in np.argsort([-size for size in sizes], kind="stable"):
        for _ in range(ATTEMPTS):
            one = _place(liver, kinds[index], sizes[index], depth, taken, len(placed) + 1, rng, draw)
            if one is not None:
                placed.append(one)
                # Three voxels of liver between two lesions.
                taken[one.box] |= ndimage.binary_dilation(one.share > 0.02, iterations=3)
                break
    return placed


def _size(kind: str, deepest_mm: float, rng: np.random.Generator) -> float:
    low, median, high = HABITS[kind].diameter_mm
    return float(np.clip(median * np.exp(rng.normal(0, 0.42)), low, min(high, 1.6 * deepest_mm)))


def _place(
    liver: Liver,
    kind: str,
    diameter: float,
    depth_zyx: Field,
    taken: NDArray[np.bool_],
    number: int,
    rng: np.random.Generator,
    draw: DrawMake,
) -> PlacedLesion | None:
    """A lesion somewhere in the liver; None where it does not fit there."""
    body = liver.body
    spacing, shape_zyx = body.geometry.spacing_zyx_mm, depth_zyx.shape
    make = draw(kind, diameter, liver.tissue, body.patient.fatty_hu, rng)
    shape = procedural_shape(rng, make.roughness, elongation=make.elongation)
    turn = random_rotation(rng)
    centre = _centre(kind, diameter, body, depth_zyx, taken, rng)
    if centre is None:
        return None
    reach = np.ceil((shape.extent * diameter + 3 * make.edge_mm + 2) / np.array(spacing))
    start = np.maximum(0, np.floor(centre - reach)).astype(int)
    stop = np.minimum(shape_zyx, np.ceil(centre + reach) + 1).astype(int)
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    depth = placed_depth(shape, diameter, turn, centre - start, tuple(stop - start), spacing)  # type: ignore[arg-type]
    inside = body.liver_zyx[box]
    whole = coverage(depth, make.edge_mm)
    share = blurred(whole, spacing, 0.0) * gaussian(inside, 0.8, spacing)
    if (share[taken[box]] > 0.02).any():
        return None
    mask = (share >= 0.5 * float(share.max())) & inside
    wanted = 0.45 if make.adds else 0.75
    if mask.sum() < 6 or mask.sum() < wanted * max(1, int((whole >= 0.5).sum())):
        return None
    weights, extra = _fields(make, depth, diameter, spacing, rng)
    volume = float(mask.sum() * np.prod(spacing))
    return PlacedLesion(number, kind, make, box, share, mask, weights, extra, float(ball_diameter_mm(volume)))


def _centre(
    kind: str,
    diameter: float,
    body: SyntheticBody,
    depth_zyx: Field,
    taken: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64] | None:
    """Deep enough for a mass; perfusion under the capsule, fat and sparing near gallbladder and fissures."""
    low, high = 0.35 * diameter, np.inf
    if kind == "perfusion difference":
        low, high = 3.0, max(6.0, 0.3 * diameter)
    elif kind.startswith("focal"):
        low, high = 4.0, 0.5 * diameter
    free = (depth_zyx >= low) & (depth_zyx <= high) & ~taken
    # A mass that the first or last slice cuts shows little of what it is.
    rim = int(np.ceil(0.4 * diameter / body.geometry.spacing_zyx_mm[0]))
    free[:rim] = False
    free[-rim:] = False
    spots = np.argwhere(free)
    if not len(spots):
        return None
    if kind.startswith("focal"):
        gallbladder = np.argwhere(body.labels_zyx == Organ.GALLBLADDER)
        middle = gallbladder.mean(axis=0) if len(gallbladder) else spots[spots[:, 1].argmin()]
        away = np.linalg.norm((spots - middle) * body.geometry.spacing_zyx_mm, axis=1)
        spots = spots[np.argsort(away, kind="stable")[: max(1, len(spots) // 12)]]
    return spots[int(rng.integers(len(spots)))].astype(float)


def _fields(
    make: Make, depth: Field, diameter: float, spacing: Spacing, rng: np.random.Generator
) -> tuple[dict[str, Field], Field]:
    """Where each part lies, 0..1, and the HU of what is the same in all phases."""

    def drawn(**parts: float) -> Field:
        # The parts' places are those of the training's lesions at 1 HU; their densities are not.
        look = Appearance(
            LesionType.METASTASIS, Phase.PORTAL_VENOUS, "", body_hu=0.0, texture_hu=0.0, **parts
        )
        return np.clip(inner_hu(look, depth, diameter, spacing, rng), 0.0, None)

    weights: dict[str, Field] = {}
    if make.core is not None:
        weights["core"] = (
            drawn(scar_hu=1.0, scar_fraction=float(rng.uniform(0.25, 0.4)))
            if make.scar
            else drawn(core_hu=1.0, core_fraction=make.core_from, core_noise=0.3)
        )
    if make.rim is not None:
        weights["rim"] = drawn(rim_hu=1.0, rim_mm=make.rim_mm, rim_gap=make.rim_gap)
    if make.nodules is not None:
        weights["nodules"] = drawn(
            nodules_hu=1.0, nodules_mm=make.nodules_mm, nodules_share=make.nodules_share
        )
    extra = np.float32(make.texture_hu) * smooth_noise(
        depth.shape, spacing, max(2.5, min(8.0, diameter / 4)), rng
    )
    if make.calcium_hu:
        extra = extra + make.calcium_hu * drawn(calcium_hu=1.0, calcium_share=make.calcium_share)
    return {name: np.minimum(field, 1.0) for name, field in weights.items()}, extra.astype(np.float32)


def paint(hu_zyx: Field, lesions: list[PlacedLesion], liver: Liver, table: HuTable) -> None:
    """Put the lesions into the anatomy of a phase, in place."""
    level = table[Organ.LIVER]
    for lesion in lesions:
        make = lesion.make
        inner = np.full(lesion.share.shape, liver.part_hu(make.bulk, table), np.float32) + lesion.extra_hu
        for name, part in (("core", make.core), ("nodules", make.nodules), ("rim", make.rim)):
            if part is not None:
                inner += lesion.weights[name] * (np.float32(liver.part_hu(part, table)) - inner)
        hu = hu_zyx[lesion.box]
        hu += lesion.share * (inner - np.float32(level) if make.adds else inner - hu)


def lesion_truth(
    lesion: PlacedLesion, liver: Liver, tables: Mapping[Phase, HuTable], phases: tuple[Phase, ...]
) -> dict:
    """What is known of a lesion: class, size, density against the liver per phase, and what follows from it.

    "aphe", "washout", "rim" are of the noise-free bulk and rim; "contrast_hu" is the bulk's by phase.
    """
    make = lesion.make

    def against(part: Part, phase: Phase) -> float:
        return liver.part_hu(part, tables[phase]) - tables[phase][Organ.LIVER]

    contrast = {phase: against(make.bulk, phase) for phase in phases}
    late = min(contrast[Phase.PORTAL_VENOUS], contrast[Phase.DELAYED])
    arterial = contrast[Phase.ARTERIAL]
    rim = make.rim is not None and against(make.rim, Phase.ARTERIAL) >= max(APHE_HU, arterial + APHE_HU)
    aphe = arterial >= APHE_HU and not rim
    start = np.array([s.start for s in lesion.box])
    where = np.nonzero(lesion.mask)
    return {
        "number": lesion.number,
        "label": lesion.number + 1,
        "class": lesion.code,
        "habit": lesion.habit,
        "diameter_mm": round(lesion.diameter_mm, 2),
        "contrast_hu": {phase.value: round(value, 1) for phase, value in contrast.items()},
        "aphe": bool(aphe),
        "washout": bool(aphe and late <= -WASHOUT_HU),
        "rim": bool(rim),
        "capsule": bool(make.facts.get("capsule", False)),
        "box_zyx": [
            (start + [int(w.min()) for w in where]).tolist(),
            (start + [int(w.max()) + 1 for w in where]).tolist(),
        ],
    }
