"""Whole synthetic abdominal CTs, drawn from a seed: anatomy, contrast phase and scanner.

`make_body` draws everything; `make_anatomy` and `acquire` are its two halves, for those who put lesions into
the noise-free anatomy before it is scanned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray
from scipy import ndimage

from .abdomen import Layer, Scene, add_heart, add_kidneys, add_muscles, add_pancreas, add_spleen, add_vessels
from .fields import Array, Box, Grid, smooth_field, smooth_max
from .gut import (
    add_colon,
    add_duodenum,
    add_gallbladder,
    add_small_bowel,
    add_stomach,
    isodense_fill,
    paint_gallbladder,
)
from .liver import LiverShape, liver_shape, liver_texture
from .liver_vessels import add_liver_trees
from .mesentery import add_mesentery
from .organs import HuTable, Organ, Phase, draw_hu
from .paint import Canvas
from .patient import LiverKind, Patient, draw_patient
from .scanner import Scanner, blur_z, correlated_noise, draw_scanner, noise_map, streaks
from .skeleton import paint_frame
from .torso import Torso, make_torso


@dataclass(frozen=True)
class BodySettings:
    """What to fix about a synthetic body; None is drawn.

    Attributes:
        spacing_zyx_mm: voxel spacing of the result, 0.5 to 10 mm slices.
        thickness_mm: slice thickness; None means the slice spacing.
        field_mm: side of the square field; None fits the body with a random margin.
        top_mm, bottom_mm: what is covered above and below the top of the liver; None draws a usual abdomen.
        phase, liver_kind, arms_down, noise_hu: see `Phase`, `LiverKind`, `Patient`, `Scanner`.
        coarse_mm: spacing of the grid that shapes are computed on.
        isodense_stomach: chance that a full stomach is as bright as the liver.
    """

    spacing_zyx_mm: tuple[float, float, float] = (2.5, 1.25, 1.25)
    thickness_mm: float | None = None
    field_mm: float | None = None
    top_mm: float | None = None
    bottom_mm: float | None = None
    phase: Phase | None = None
    liver_kind: LiverKind | None = None
    arms_down: bool | None = None
    noise_hu: float | None = None
    coarse_mm: float = 2.5
    isodense_stomach: float = 0.0


@dataclass(frozen=True, eq=False)
class SyntheticBody:
    """A synthetic CT with its truth.

    Attributes:
        hu_zyx: int16 HU, as scanned; in an anatomy that is not scanned yet float32 without noise.
        labels_zyx: uint8 `Organ` per voxel.
        liver_zyx: bool; the liver as a reader would outline it: parenchyma with the vessels inside.
        geometry: grid (LPS axes; slices run upwards).
        phase, patient, hu, scanner: what was drawn.
    """

    hu_zyx: NDArray
    labels_zyx: NDArray[np.uint8]
    liver_zyx: NDArray[np.bool_]
    geometry: Geometry
    phase: Phase
    patient: Patient
    hu: HuTable
    scanner: Scanner

    def volume(self, name: str = "Synthetic CT") -> CtVolume:
        """The CT as the library's volume."""
        return CtVolume(self.hu_zyx, self.geometry, name)


def make_body(rng: np.random.Generator, settings: BodySettings | None = None) -> SyntheticBody:
    """Draw a patient and scan it.

    Args:
        rng: the only source of randomness: the same state gives the same body.
        settings: what to fix.

    Returns:
        The body; `hu_zyx` int16.
    """
    return acquire(rng, make_anatomy(rng, settings))


def make_anatomy(rng: np.random.Generator, settings: BodySettings | None = None) -> SyntheticBody:
    """Draw a patient before the scanner: HU float32, no noise, no in-plane blur, slices averaged."""
    return paint_anatomy(rng, make_plan(rng, settings or BodySettings()))


def _usual_trees(scene: Scene, canvas: Canvas, part: Grid, shape: LiverShape) -> None:
    add_liver_trees(scene, canvas, part, shape.distance)


Trees = Callable[[Scene, Canvas, Grid, LiverShape], None]
"""Paints the vessels of a liver; `part` is the grid that the shape's arrays are on."""


def paint_anatomy(rng: np.random.Generator, plan: Plan, trees: Trees = _usual_trees) -> SyntheticBody:
    """Draw the patient of a plan before the scanner.

    The same state of `rng` and a plan that differs in its HU alone give the same anatomy in another phase.

    Args:
        trees: the liver's vessels.
    """
    canvas = Canvas.blank(plan.fine)
    liver = _draw(rng, plan, canvas, trees)
    return finish_anatomy(rng, plan, canvas, liver)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is drawn before anything is painted.

    Attributes:
        settings, patient, phase, hu: as in `SyntheticBody`.
        fine: grid that is painted.
        step: how many painted slices make one of the result.
        coarse: grid that shapes are computed on.
    """

    settings: BodySettings
    patient: Patient
    phase: Phase
    hu: HuTable
    fine: Grid
    step: int
    coarse: Grid


def make_plan(rng: np.random.Generator, settings: BodySettings, patient: Patient | None = None) -> Plan:
    """Draw patient, phase and grids."""
    patient = patient or draw_patient(rng, settings.liver_kind, settings.arms_down)
    phase = settings.phase
    if phase is None:
        phase = list(Phase)[rng.choice(4, p=[0.12, 0.22, 0.54, 0.12])]
    phase = Phase(phase)
    hu = draw_hu(rng, phase, patient.fatty_hu)
    fine, step = _fine_grid(rng, settings, patient)
    margin = 2 * settings.coarse_mm
    shape = (
        int(np.ceil(((n - 1) * s + 2 * margin) / settings.coarse_mm)) + 1
        for n, s in zip(fine.shape_zyx, fine.spacing_zyx_mm, strict=True)
    )
    origin = (o - margin for o in fine.origin_zyx_mm)
    coarse = Grid(tuple(shape), (settings.coarse_mm,) * 3, tuple(origin))  # type: ignore[arg-type]
    return Plan(settings, patient, phase, hu, fine, step, coarse)


def finish_anatomy(
    rng: np.random.Generator, plan: Plan, canvas: Canvas, liver_zyx: NDArray[np.bool_]
) -> SyntheticBody:
    """Average painted slices to the wanted thickness, draw a scanner, and place the body in patient space."""
    fine, step, spacing = plan.fine, plan.step, plan.settings.spacing_zyx_mm
    thickness = plan.settings.thickness_mm
    if thickness is None:  # thin slices are mostly reconstructed overlapping
        thickness = spacing[0] * (float(rng.uniform(1.0, 2.2)) if spacing[0] < 2 else 1.0)
    scanner = draw_scanner(rng, thickness, plan.settings.noise_hu)
    hu_zyx = (
        blur_z(canvas.hu_zyx, fine.spacing_zyx_mm[0], thickness)
        if thickness > 1.5 * fine.spacing_zyx_mm[0]
        else canvas.hu_zyx
    )
    keep = slice(step // 2, None, step)
    origin_z = fine.origin_zyx_mm[0] + (step // 2) * fine.spacing_zyx_mm[0]
    shift = rng.uniform(-30, 30, 3) * (1, 1, 10)
    origin_lps = np.array([fine.origin_zyx_mm[2], fine.origin_zyx_mm[1] - 150, origin_z]) + shift
    hu_zyx = np.ascontiguousarray(hu_zyx[keep])
    return SyntheticBody(
        hu_zyx,
        canvas.labels_zyx[keep].copy(),
        liver_zyx[keep].copy(),
        Geometry.make(hu_zyx.shape, spacing, tuple(origin_lps)),
        plan.phase,
        plan.patient,
        plan.hu,
        scanner,
    )


def acquire(rng: np.random.Generator, anatomy: SyntheticBody) -> SyntheticBody:
    """Scan an anatomy: point spread, noise, streaks; HU become int16 in [-1024, 3071]."""
    scanner, spacing = anatomy.scanner, anatomy.geometry.spacing_zyx_mm
    sigma = scanner.psf_mm / 2.355
    hu = ndimage.gaussian_filter(anatomy.hu_zyx, (0, sigma / spacing[1], sigma / spacing[2]), truncate=2.5)
    level = noise_map(anatomy.labels_zyx != Organ.AIR, spacing)
    noise = correlated_noise(rng, hu.shape, spacing, scanner)
    if scanner.streaks_hu:
        noise += streaks(rng, hu.shape) * np.float32(scanner.streaks_hu / scanner.noise_hu)
    level *= np.float32(scanner.noise_hu)
    hu += noise * level
    return replace(anatomy, hu_zyx=np.clip(np.rint(hu), -1024, 3071).astype(np.int16))


def _fine_grid(rng: np.random.Generator, settings: BodySettings, patient: Patient) -> tuple[Grid, int]:
    """The grid that is painted, and how many of its slices make one of the result's."""
    sz, _, sx = patient.scale_zyx
    spacing = settings.spacing_zyx_mm
    top, bottom = settings.top_mm, settings.bottom_mm
    usual = rng.choice(3, p=[0.3, 0.5, 0.2])
    drawn_top = (rng.uniform(5, 30), rng.uniform(15, 70), rng.uniform(120, 190))[usual] * sz
    drawn_bottom = (rng.uniform(-230, -190), rng.uniform(-330, -230), rng.uniform(-420, -380))[usual] * sz
    top = drawn_top if top is None else top
    bottom = drawn_bottom if bottom is None else bottom
    width = 2 * (131 * sx + 14 + patient.subcutaneous_mm) + 8 * patient.visceral
    margin = rng.uniform(8, 70)
    side = settings.field_mm if settings.field_mm is not None else float(np.clip(width + margin, 300, 500))
    step = max(1, int(np.ceil(spacing[0] / 2.6)))
    if step % 2 == 0:
        step += 1  # an odd number has a middle slice
    n = int(np.ceil((top - bottom) / spacing[0]))
    ny, nx = (round(side / s) for s in spacing[1:])
    dz = spacing[0] / step
    off_y, off_x = rng.normal(6, 8), rng.normal(0, 8)
    grid = Grid(
        (n * step, ny, nx),
        (dz, spacing[1], spacing[2]),
        (bottom + dz / 2, off_y - (ny - 1) / 2 * spacing[1], off_x - (nx - 1) / 2 * spacing[2]),
    )
    return grid, step


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """Organs that press into the liver, each with its box and signed distance on the coarse grid.

    Attributes:
        gallbladder: as :func:`add_gallbladder` hands it over; None in who has none.
        vessel_layers: of the great vessels, painted after the liver.
        full_hu: of a stomach that is as bright as the liver; None where it is not.
    """

    stomach: tuple[Box, Array]
    colon: tuple[Box, Array]
    spleen: tuple[Box, Array]
    kidneys: dict[str, tuple[Box, Array]]
    vessels: dict[str, tuple[Box, Array]]
    gallbladder: tuple[Box, Array, Box, Array] | None
    vessel_layers: list[Layer]
    full_hu: float | None

    def fossa_zyx(self, coarse: Grid) -> NDArray[np.float64] | None:
        """The deepest point of the gallbladder, mm; None in who has none."""
        if self.gallbladder is None:
            return None
        box, distance = self.gallbladder[:2]
        part = coarse.part(box)
        index = np.unravel_index(int(np.argmin(distance)), distance.shape)
        return np.array(part.origin_zyx_mm) + np.array(index) * np.array(part.spacing_zyx_mm)


def _draw(rng: np.random.Generator, plan: Plan, canvas: Canvas, trees: Trees) -> NDArray[np.bool_]:
    """Paint the body; returns the liver mask on the canvas."""
    coarse, patient, hu = plan.coarse, plan.patient, plan.hu
    torso = make_torso(rng, coarse, patient)
    warp = tuple((smooth_field(rng, coarse, 48) * 5).astype(np.float32) for _ in range(3))
    scene = Scene(rng, coarse, warp, patient, hu)  # type: ignore[arg-type]
    paint_frame(scene, canvas, torso)

    def flush() -> None:
        for layer in scene.layers:
            canvas.paint(coarse, layer, hu[Organ.FAT])
        scene.layers.clear()

    beside = _add_neighbours(scene, torso, plan.settings.isodense_stomach)
    box = coarse.box(
        np.array([-235, -150, -170]) * patient.scale_zyx, np.array([25, 120, 135]) * patient.scale_zyx
    )
    part = coarse.part(box)
    shape = liver_shape(
        rng,
        part,
        scene.coords(box),
        torso.wall[box],
        torso.diaphragm[box],
        patient,
        _impressions(scene, torso, box, beside),
    )
    distance = shape.distance
    texture = liver_texture(rng, part, patient, hu)
    if patient.liver_kind is LiverKind.CIRRHOTIC and rng.random() < 0.5:
        depth = rng.uniform(2, 14)
        ascites = smooth_max(torso.wall + 1.5, torso.diaphragm + 1.5, 5)
        ascites = smooth_max(ascites[box], distance - np.float32(depth), 6)
        scene.add(Organ.ASCITES, box, ascites)
    scene.add(Organ.LIVER, box, distance, texture, halo_mm=0.3 + 0.8 * patient.visceral)
    flush()
    liver = canvas.mask(part, distance)
    trees(scene, canvas, part, replace(shape, fossa_zyx=beside.fossa_zyx(coarse)))
    scene.layers.extend(beside.vessel_layers)
    if beside.gallbladder is not None:
        paint_gallbladder(scene, beside.gallbladder)
    flush()
    inside = (Organ.LIVER, Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN, Organ.HEPATIC_ARTERY)
    liver &= np.isin(canvas.labels_zyx, inside)
    return liver


def _add_neighbours(scene: Scene, torso: Torso, isodense_stomach: float) -> _Neighbours:
    """Add muscles, gut, kidneys, spleen and heart to the scene; the great vessels wait for the liver."""
    add_muscles(scene, torso.spine_y, torso.spine_x)
    scene.bounds = np.maximum(torso.wall + np.float32(1.5), torso.diaphragm + np.float32(1.5))
    add_mesentery(scene)
    add_small_bowel(scene)
    colon = add_colon(scene)
    add_duodenum(scene)
    full_hu = isodense_fill(scene, isodense_stomach)
    stomach = add_stomach(scene, full_hu)
    add_pancreas(scene)
    kidneys = add_kidneys(scene)
    spleen = add_spleen(scene, torso.wall, torso.diaphragm)
    scene.bounds = None
    add_heart(scene, torso.wall, torso.diaphragm)
    gallbladder = add_gallbladder(scene)
    vessels_from = len(scene.layers)
    vessels = add_vessels(scene)
    vessel_layers = scene.layers[vessels_from:]
    del scene.layers[vessels_from:]
    return _Neighbours(stomach, colon, spleen, kidneys, vessels, gallbladder, vessel_layers, full_hu)


def _impressions(scene: Scene, torso: Torso, box: Box, beside: _Neighbours) -> list[tuple[Array, float]]:
    """Distances in the liver's box to what presses into it, each with the gap of fat kept, mm."""
    grid, visceral = scene.grid, scene.patient.visceral

    def seen(box_and_distance: tuple[Box, Array], gap: float) -> tuple[Array, float]:
        distance = np.full(grid.shape_zyx, 60.0, np.float32)
        distance[box_and_distance[0]] = box_and_distance[1]
        return distance[box], gap

    near = 1.2 + 1.8 * visceral
    pressing = [
        seen(beside.stomach, near if beside.full_hu is None else 0.2),
        seen(beside.colon, near),
        seen(beside.vessels["ivc"], -0.5),
        seen(beside.vessels["aorta"], 6.0),
        seen(beside.spleen, 1.5),
    ]
    if "right" in beside.kidneys:
        pressing.append(seen(beside.kidneys["right"], 2.5 + 4 * visceral))
    if beside.gallbladder is not None:
        pressing.append(seen(beside.gallbladder[2:], 0.4))
    part = grid.part(box)
    y, x = part.axis_mm(1), part.axis_mm(2)
    spine = np.sqrt(
        ((x[None, None] - torso.spine_x[box[0], None, None]) / 1.25) ** 2
        + (y[None, :, None] - torso.spine_y[box[0], None, None]) ** 2
    ) - np.float32(21)
    return [*pressing, (spine.astype(np.float32), 5.0)]
