"""Body wall, skeleton and diaphragm of a synthetic body, as signed distances on a coarse grid.

Body space is LPS in mm: x to the patient's left, y to the back, z up, with z = 0 at the top of the liver's
dome and (x, y) = (0, 0) in the middle of the abdomen. Reference numbers are those of a 175 cm man; `Patient`
scales them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, Grid, ellipsoid, smooth_field, smooth_max, smooth_min
from .patient import Patient

# Per level z: half-width, half-depth to the front and to the back of the inner body wall, mm.
_LEVELS_MM = np.array([-420.0, -330, -270, -220, -160, -90, -20, 50, 120, 220])
_HALF_WIDTH = np.array([128.0, 124, 118, 116, 124, 131, 129, 121, 108, 80])
_FRONT = np.array([76.0, 80, 84, 86, 92, 98, 99, 92, 80, 60])
_BACK = np.array([74.0, 76, 76, 78, 88, 97, 99, 98, 92, 74])
_WALL = np.array([20.0, 18, 15, 14, 14, 13, 13, 14, 16, 20])


@dataclass(frozen=True, eq=False)
class Torso:
    """Distances of the body wall on the coarse grid, negative inside, mm.

    Attributes:
        wall: to the inner surface of the chest and abdominal wall.
        muscle: to the outer surface of that wall (muscle and ribs lie between).
        skin: to the body's surface.
        diaphragm: to the diaphragm, negative below.
        spine_y, spine_x: centre of the vertebral bodies per slice, mm.
        angle: angle about the body's axis, 0 at the back, pi at the front (both sides).
    """

    wall: Array
    muscle: Array
    skin: Array
    diaphragm: Array
    spine_y: Array
    spine_x: Array
    angle: Array


def normalised(field: Array, spacing_zyx_mm: tuple[float, float, float]) -> Array:
    """Turn an implicit function into an approximate signed distance by dividing by its gradient."""
    gz, gy, gx = np.gradient(field, *spacing_zyx_mm)
    return field / np.maximum(np.sqrt(gz * gz + gy * gy + gx * gx), np.float32(0.3))


def make_torso(rng: np.random.Generator, grid: Grid, patient: Patient) -> Torso:
    """Draw the body wall of a patient on a coarse grid."""
    sz, sy, sx = patient.scale_zyx
    z, y, x = (grid.axis_mm(a) for a in range(3))
    level = z / sz
    belly = np.exp(-(((level + 190) / 110) ** 2)) * patient.visceral
    half_width = np.interp(level, _LEVELS_MM, _HALF_WIDTH) * sx + 10 * belly
    front = np.interp(level, _LEVELS_MM, _FRONT) * sy + 34 * belly
    back = np.interp(level, _LEVELS_MM, _BACK) * sy
    half_width, front, back = (v.astype(np.float32) for v in (half_width, front, back))
    curve = rng.normal(0, 3) * np.sin(level / 90 + rng.uniform(0, 6))
    spine_x = curve + rng.normal(0, 2)
    spine_y = (50 + 7 * np.sin((level + 40) / 95)) * sy + rng.normal(0, 2)
    col = (slice(None), None, None)
    warp_x, warp_y = (smooth_field(rng, grid, (90, 70, 70)) * 4 for _ in range(2))
    px = x[None, None, :] - (0.4 * curve)[col].astype(np.float32) + warp_x
    py = y[None, :, None] + warp_y
    half_depth = np.where(py > 0, back[col], front[col])
    p = np.float32(2.22)
    q = (np.abs(px / half_width[col]) ** p + np.abs(py / half_depth) ** p) ** np.float32(1 / p)
    radius = np.sqrt(px * px + py * py)
    # Distance along the ray; the true one is shorter by the slant, which the factor allows for on average.
    wall = ((radius - radius / np.maximum(q, 1e-3)) * 0.93).astype(np.float32)
    angle = np.arctan2(np.abs(px), py).astype(np.float32)
    thickness = np.interp(level, _LEVELS_MM, _WALL).astype(np.float32)[col] * np.float32(patient.muscularity)
    # Muscle is thickest beside the spine (erector spinae), thinnest at the flank's front.
    beside = np.exp(-(((np.abs(px - spine_x[col]) - 32 * sx) / (26 * sx)) ** 2)) * (py > 0)
    thickness = thickness * np.interp(angle, [0, 1.0, 1.7, 2.4, 3.14], [0.9, 1.15, 1.0, 0.7, 0.75]).astype(
        np.float32
    )
    muscle = wall - thickness - 5 * patient.muscularity * beside
    # The back's muscles and the spine push in from behind; chest and abdomen reach back on both sides of
    # them.
    groove_x = (44 - 6 * np.clip(level / 100, 0, 1)) * sx
    groove_y = spine_y + (47 * sy)
    groove = np.sqrt((px / groove_x[col]) ** 2 + ((py - groove_y[col]) / (36 * sy)) ** 2) - 1
    wall = smooth_max(wall, (-groove * 38 * sy).astype(np.float32), 10)
    fat = patient.subcutaneous_mm
    seat = np.interp(level, [-420, -250, -120, 200], [1.5, 1.15, 0.85, 0.7])[col]
    uneven = 1 + 0.18 * smooth_field(rng, grid, 60)
    padding = 2 + fat * seat * uneven * (0.85 - 0.2 * np.cos(angle * 2) + 0.15 * np.cos(angle))
    skin = muscle - padding - (_breast_mm(level, px, py, fat) if patient.female else 0.0)
    # Lying on the table flattens the back.
    table_y = float(np.median(back)) + 20 + 0.5 * fat
    skin = smooth_max(skin, y[None, :, None] - np.float32(table_y), 24.0)
    return Torso(
        wall,
        muscle.astype(np.float32),
        skin.astype(np.float32),
        _diaphragm(rng, grid, patient, px, py),
        spine_y.astype(np.float32),
        spine_x.astype(np.float32),
        angle,
    )


def _breast_mm(level: Array, px: Array, py: Array, fat_mm: float) -> Array:
    """Thickness in front of the chest wall, by level and place."""
    height = np.exp(-(((level - 45) / 45) ** 2))[:, None, None]
    return (16 + 0.7 * fat_mm) * height * np.exp(-(((np.abs(px) - 72) / 42) ** 2)) * (py < 0)


def _diaphragm(rng: np.random.Generator, grid: Grid, patient: Patient, px: Array, py: Array) -> Array:
    """Two domes joined by the central tendon; steep towards the walls, deep behind."""
    sz, sy, sx = patient.scale_zyx
    left_drop = rng.uniform(10, 32)
    z = grid.axis_mm(0)[:, None, None]
    heights = []
    for cx, cy, top, wide in ((-62, -8, 0.0, 76), (60, 2, -left_drop, 74), (0, -30, -24.0, 70)):
        u = (px / sx - cx - rng.normal(0, 4)) / wide
        yy = py / sy - cy - rng.normal(0, 4)
        v = yy / np.where(yy > 0, np.float32(86), np.float32(88))
        s = u * u + v * v
        heights.append(top - 40 * s - 26 * s**4)
    height = -smooth_min(smooth_min(-heights[0], -heights[1], 14), -heights[2], 18)
    wave = smooth_field(rng, grid, (400, 45, 45)) * 3.0
    return normalised((z - (height + wave) * sz).astype(np.float32), grid.spacing_zyx_mm)


def rib_distance(rng: np.random.Generator, grid: Grid, torso: Torso, patient: Patient) -> tuple[Array, Array]:
    """Distances to the bony ribs and to the costal cartilage."""
    sz = patient.scale_zyx[0]
    z = grid.axis_mm(0)[:, None, None]
    period = 29.0 * sz
    slope = rng.uniform(46, 60) * sz
    u = z + slope * (torso.angle - 1.5) + smooth_field(rng, grid, 80) * 3 + rng.uniform(0, period)
    along = (np.abs(np.mod(u, period) - period / 2)) * np.float32(0.86)
    middle = np.float32(0.42) * np.interp(z / sz, _LEVELS_MM, _WALL).astype(np.float32)
    depth = torso.wall - middle
    # A rib's section: 6.5 mm thick, 13 mm high.
    rib = np.sqrt((depth * 1.0) ** 2 + (along * 0.6) ** 2) - np.float32(3.3)
    margin = np.interp(torso.angle, [0, 0.6, 1.3, 2.0, 2.6, 3.14], [-118, -150, -165, -118, -62, -35]).astype(
        np.float32
    ) * np.float32(sz)
    rib = np.maximum(rib, margin - z)
    front = torso.angle - np.float32(2.15)
    cartilage = np.maximum(rib, -front * 60)
    bone = np.maximum(rib, front * 60)
    return bone.astype(np.float32), cartilage.astype(np.float32)


def spine_distance(rng: np.random.Generator, grid: Grid, torso: Torso, patient: Patient) -> dict[str, Array]:
    """Distances to vertebral bodies, discs, arches and the canal, in a box about the spine's axis.

    Returns:
        name -> distance on the whole grid's x-y, keys "body" (bodies and discs), "bone", "disc", "arch",
        "canal".
    """
    sz, sy, sx = patient.scale_zyx
    z, y, x = (grid.axis_mm(a) for a in range(3))
    lumbar = np.clip((-60 - z / sz) / 120, 0, 1)
    period = 31 * sz
    phase = np.mod(z + rng.uniform(0, period), period) / period  # 0 .. 1 within one segment
    waist = 1 - 0.07 * np.cos((phase - 0.5) * 2 * np.pi)
    rx = (18.5 + 6 * lumbar) * sx * waist
    ry = (15.5 + 3 * lumbar) * sy * waist
    col = (slice(None), None, None)
    dx = x[None, None, :] - torso.spine_x[col]
    dy = y[None, :, None] - torso.spine_y[col]
    wobble = smooth_field(rng, grid, 14) * 0.5
    body = (np.sqrt((dx / rx[col]) ** 2 + (dy / ry[col]) ** 2) - 1) * (0.5 * (rx + ry))[col] + wobble
    # The back of the body is flat.
    body = smooth_max(body, dy - (0.78 * ry)[col], 4)
    gap = (np.abs(phase - 0.5) - 0.5 + 0.09) * period  # positive within the disc's height
    disc = np.maximum(body, -gap[col])
    bone = smooth_max(body, gap[col] + 0 * body, 1.5)
    canal_y = (0.78 * ry + 8.5 * sy)[col]
    canal = np.sqrt((dx / 1.15) ** 2 + (dy - canal_y) ** 2) - 7.8 * sx
    ring = np.abs(canal - 3.0) - 3.2
    ring = np.maximum(ring, (np.abs(phase - 0.45) - 0.34)[col] * period)
    spinous_top = np.cos((phase - 0.62) * 2 * np.pi)[col] * 6
    spinous = np.maximum(np.abs(dx) - 4.0 + 0.05 * (dy - canal_y), np.abs(dy - canal_y - 22 * sy) - 15)
    spinous = np.maximum(spinous, -spinous_top + 1)
    reach = 24 + 14 * lumbar[col]
    transverse = (
        np.sqrt((np.maximum(np.abs(dx) - reach, 0)) ** 2 + (dy - canal_y - 1 - 0.12 * np.abs(dx)) ** 2) - 4
    )
    transverse = np.maximum(transverse, (np.abs(phase - 0.4) - 0.2)[col] * period)
    arch = smooth_min(smooth_min(ring, spinous, 3), transverse, 3) + wobble
    return {
        "body": body.astype(np.float32),
        "bone": bone.astype(np.float32),
        "disc": disc.astype(np.float32),
        "arch": np.maximum(arch, -canal + 0.5).astype(np.float32),
        "canal": canal.astype(np.float32),
    }


def pelvis_distance(rng: np.random.Generator, grid: Grid, patient: Patient) -> Array | None:
    """Distance to the pelvic bones and femoral heads, or None where the grid does not reach them."""
    sz, sy, sx = patient.scale_zyx
    if grid.origin_zyx_mm[0] > -225 * sz:
        return None
    coords = (
        grid.axis_mm(0)[:, None, None],
        grid.axis_mm(1)[None, :, None],
        np.abs(grid.axis_mm(2))[None, None, :],
    )
    s = np.array([sz, sy, sx])
    # The iliac wings: a bowl's shell, cut open in front and below.
    bowl = ellipsoid(coords, np.array([-235, 10, 0]) * s, np.array([130, 95, 138]) * s)
    wing = np.abs(bowl) - 5 + smooth_field(rng, grid, 25) * 1.2
    wing = np.maximum(wing, coords[0] + 235 * sz)
    wing = np.maximum(wing, -coords[0] - 345 * sz)
    wing = np.maximum(wing, -coords[1] - 30 * sy)
    wing = np.maximum(wing, 40 * sx - coords[2])
    sacrum = ellipsoid(coords, np.array([-290, 72, 0]) * s, np.array([62, 22, 48]) * s)
    head = ellipsoid(coords, np.array([-365, 5, 92]) * s, np.array([24, 24, 24]) * s)
    socket = np.maximum(np.abs(head - 6) - 5, coords[2] - 100 * sx)
    shaft = ellipsoid(coords, np.array([-410, 12, 122]) * s, np.array([60, 16, 18]) * s)
    bone = wing
    for part in (sacrum, head, socket, shaft):
        bone = np.minimum(bone, part)
    return bone.astype(np.float32)
