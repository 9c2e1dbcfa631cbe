"""The frame of a synthetic body on the canvas: skin, fat, muscle, bones, lungs, arms and the table."""

from __future__ import annotations

import numpy as np

from .abdomen import Layer, Scene
from .fields import Array, ellipsoid, smooth_field, smooth_max, smooth_min
from .organs import Organ
from .paint import Canvas
from .torso import Torso, pelvis_distance, rib_distance, spine_distance


def paint_frame(scene: Scene, canvas: Canvas, torso: Torso) -> None:
    """Paint everything that is not an abdominal organ."""
    rng, grid, hu, patient = scene.rng, scene.grid, scene.hu, scene.patient
    whole = grid.whole
    fat = hu[Organ.FAT]

    def paint(organ: Organ, sdf: Array, value: float | Array | None = None) -> None:
        canvas.paint(grid, Layer(organ, whole, sdf, hu[organ] if value is None else value), fat)

    paint_table(scene, canvas, torso.skin)
    if patient.arms_down:
        _paint_arms(scene, canvas, torso)
    fat_hu = fat_texture(scene)
    paint(Organ.SKIN, torso.skin)
    paint(Organ.FAT, torso.skin + np.float32(1.8), fat_hu)
    # The flank's three muscles are divided by thin fat; so are the two straight muscles in front.
    share = torso.wall / np.maximum(torso.wall - torso.muscle, 1.0)
    flank = np.clip((torso.angle - 0.9) * 3, 0, 1) * np.clip((2.55 - torso.angle) * 4, 0, 1)
    planes = np.maximum(0, 1 - np.abs(share - 0.36) * 11) + np.maximum(0, 1 - np.abs(share - 0.68) * 11)
    middle = np.maximum(0, 1 - np.abs(torso.angle - 3.14159) * 22)
    middle = middle + np.maximum(0, 1 - np.abs(torso.angle - 2.6) * 22)
    between = (flank * planes + middle) * np.float32(rng.uniform(40, 130))
    paint(Organ.MUSCLE, torso.muscle, muscle_texture(scene) - between)
    mesentery = np.maximum(0.0, smooth_field(rng, grid, (7, 4.5, 4.5)) - 1.75) * 90
    paint(Organ.FAT, torso.wall + np.float32(0.8), fat_hu + np.minimum(mesentery, 130))
    bone, cartilage = rib_distance(rng, grid, torso, patient)
    paint(Organ.CARTILAGE, cartilage)
    paint_bone(scene, canvas, bone, 1.3, 60.0)
    spine = spine_distance(rng, grid, torso, patient)
    paint(Organ.MUSCLE, np.maximum(torso.wall, np.abs(torso.diaphragm) - np.float32(1.2)))
    paint(Organ.LUNG, _lungs(scene, torso, spine["body"]), lung_texture(scene))
    paint_bone(scene, canvas, np.minimum(spine["bone"], spine["arch"]), 1.2, 15.0)
    paint(Organ.CARTILAGE, spine["disc"], hu[Organ.CARTILAGE] - 10)
    paint(Organ.SPINAL_CANAL, spine["canal"] + 0.5)
    pelvis = pelvis_distance(rng, grid, patient)
    if pelvis is not None:
        paint_bone(scene, canvas, pelvis, 1.6, -20.0)
    sz, _, sx = patient.scale_zyx
    coords = (grid.axis_mm(0)[:, None, None], torso.wall, grid.axis_mm(2)[None, None, :])
    front = np.where(torso.angle > 2.2, np.float32(0), np.float32(30))
    sternum = ellipsoid(coords, np.array([60 * sz, 7, 0]), np.array([95 * sz, 5.5, 18 * sx])) + front
    paint_bone(scene, canvas, sternum, 1.2, -20.0)


def fat_texture(scene: Scene) -> Array:
    """HU of fat: septa run through it, thin sheets where a smooth field crosses zero."""
    rng, grid = scene.rng, scene.grid
    septa = np.maximum(0.0, 1 - np.abs(smooth_field(rng, grid, (16, 9, 12))) * 9)
    return scene.hu[Organ.FAT] + smooth_field(rng, grid, 12) * 3 + septa * np.float32(rng.uniform(4, 16))


def muscle_texture(scene: Scene) -> Array:
    """HU of muscle: fatty lines between groups and marbling, more in some patients."""
    rng, grid = scene.rng, scene.grid
    streak = np.maximum(0.0, 1 - np.abs(smooth_field(rng, grid, (60, 13, 17))) * 7)
    streak += np.maximum(0.0, smooth_field(rng, grid, (20, 4, 4)) - 1.5) * np.float32(0.6)
    return scene.hu[Organ.MUSCLE] - np.float32(rng.uniform(15, 75)) * streak


def paint_bone(scene: Scene, canvas: Canvas, sdf: Array, shell_mm: float, more_hu: float) -> None:
    """Cortical shell and trabecular inside."""
    hu, bone = scene.hu, scene.patient.bone
    whole = scene.grid.whole
    fat = hu[Organ.FAT]
    canvas.paint(scene.grid, Layer(Organ.BONE_CORTICAL, whole, sdf, hu[Organ.BONE_CORTICAL] * bone), fat)
    marrow = hu[Organ.BONE_MARROW] * bone + more_hu + smooth_field(scene.rng, scene.grid, 3.0) * 26
    canvas.paint(scene.grid, Layer(Organ.BONE_MARROW, whole, sdf + np.float32(shell_mm), marrow), fat)


def _lungs(scene: Scene, torso: Torso, spine: Array) -> Array:
    """Distance to the lungs: inside the chest, above the diaphragm, beside the mediastinum."""
    grid = scene.grid
    _, sy, sx = scene.patient.scale_zyx
    y, x = grid.axis_mm(1)[None, :, None], grid.axis_mm(2)[None, None, :]
    lungs = smooth_max(torso.wall + 2.2, np.float32(1.8) - torso.diaphragm, 3)
    wide = 24 + 6 * scene.patient.visceral
    middle = (np.sqrt(((x - 4 * sx) / wide) ** 2 + ((y + 20 * sy) / (72 * sy)) ** 2) - 1) * wide
    middle = smooth_min((middle + 0 * spine).astype(np.float32), spine - 3, 8)
    return smooth_max(lungs, -middle, 6)


def lung_texture(scene: Scene) -> Array:
    """Lung HU: vessels as bright spots, denser towards the back."""
    rng, grid = scene.rng, scene.grid
    y = grid.axis_mm(1)[None, :, None]
    vessels = np.maximum(0.0, smooth_field(rng, grid, 4.5) - 1.7) * 700
    basal = np.maximum(0.0, smooth_field(rng, grid, 16) + y / 60 - 1.6) * 120
    return scene.hu[Organ.LUNG] + y * 0.45 + np.minimum(vessels, 800) + np.minimum(basal, 500)


def paint_table(scene: Scene, canvas: Canvas, skin: Array) -> None:
    """The table: a thin curved shell under the back with foam above."""
    rng, grid = scene.rng, scene.grid
    y, x = grid.axis_mm(1)[None, :, None], grid.axis_mm(2)[None, None, :]
    inside = skin < 0
    rows = np.flatnonzero(inside.any(axis=(0, 2)))
    if rows.size == 0:
        return
    back = float(grid.axis_mm(1)[rows[-1]]) + rng.uniform(4, 25)
    bend = rng.choice([0.0, rng.uniform(0.0004, 0.0011)], p=[0.25, 0.75])
    height = y - (back - bend * x * x)
    shell = np.broadcast_to(np.abs(height) - 1.1, grid.shape_zyx).astype(np.float32)
    shell = np.maximum(shell, np.abs(x) - rng.uniform(190, 230))
    whole = grid.whole
    value = float(rng.uniform(-250, 150))
    canvas.paint(grid, Layer(Organ.TABLE, whole, shell, value), -1000.0)


def _paint_arms(scene: Scene, canvas: Canvas, torso: Torso) -> None:
    """Arms beside the body: skin, fat, muscle and a bone."""
    grid, hu, patient = scene.grid, scene.hu, scene.patient
    rng = scene.rng
    z, y, x = (grid.axis_mm(a) for a in range(3))
    half = np.array([np.abs(x[np.any(plane < 0, axis=0)]).max(initial=120.0) for plane in torso.skin])
    whole = grid.whole
    for side in (-1, 1):
        r = (34 + 0.45 * patient.subcutaneous_mm) * rng.uniform(0.9, 1.1)
        cx = side * (np.median(half) + r + rng.uniform(2, 10))
        cy = rng.uniform(10, 45)
        d = np.sqrt((x[None, None] - cx) ** 2 + (y[None, :, None] - cy - 0.1 * z[:, None, None]) ** 2)
        d = (d + smooth_field(rng, grid, 50) * 2).astype(np.float32)
        muscle = r - 3 - 0.4 * patient.subcutaneous_mm
        for organ, radius, value in (
            (Organ.SKIN, r, hu[Organ.SKIN]),
            (Organ.FAT, r - 1.8, hu[Organ.FAT]),
            (Organ.MUSCLE, muscle, hu[Organ.MUSCLE]),
            (Organ.BONE_CORTICAL, 11.0, 1100.0),
            (Organ.BONE_MARROW, 6.5, -20.0),
        ):
            canvas.paint(grid, Layer(organ, whole, d - np.float32(radius), float(value)), -1000.0)
