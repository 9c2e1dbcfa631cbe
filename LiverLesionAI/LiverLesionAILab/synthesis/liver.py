"""The synthetic liver: lobes, fissures and neighbours' impressions, as a signed distance on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import largest_component
from numpy.typing import NDArray

from .fields import Array, Grid, ellipsoid, rotation_about, smooth_field, smooth_max, smooth_min
from .organs import HuTable, Organ
from .patient import LiverKind, Patient

Coords = tuple[Array, Array, Array]


@dataclass(frozen=True, eq=False)
class LiverShape:
    """A liver before its vessels; arrays on one part of the coarse grid.

    Attributes:
        distance: signed distance to the liver, mm.
        falciform: signed distance to the sheet of the falciform and round ligament (the umbilical fissure).
        fossa_zyx: middle of the gallbladder in body coordinates, mm; None in who has none.
    """

    distance: Array
    falciform: Array
    fossa_zyx: NDArray[np.float64] | None = None


def liver_shape(
    rng: np.random.Generator,
    grid: Grid,
    coords_zyx: Coords,
    wall: Array,
    diaphragm: Array,
    patient: Patient,
    neighbours: list[tuple[Array, float]],
) -> LiverShape:
    """The liver on `grid`.

    The diaphragm and the wall bound it above and outside; lobes (ellipsoids, smoothly joined) bound it below
    and to the left; neighbours press into it; fissures cut it. The lobes are grown or shrunk until the
    volume is the patient's.

    Args:
        rng: source of randomness.
        grid: the part of the coarse grid the liver may lie in; all arrays are on it.
        coords_zyx: warped coordinates the lobes live in.
        wall, diaphragm: signed distances to the inner body wall and the diaphragm.
        patient: whose liver it is.
        neighbours: signed distances of organs that press into it, each with the gap (fat) kept, mm.
    """
    cirrhotic = patient.liver_kind is LiverKind.CIRRHOTIC
    lobes = _lobes(rng, coords_zyx, patient)
    lumps = smooth_field(rng, grid, 30) * 2.2 + smooth_field(rng, grid, 15) * 0.5
    if cirrhotic:
        lumps = lumps + smooth_field(rng, grid, 6.5) * rng.uniform(0.8, 1.7)
    # Liver and diaphragm touch; fat comes between them only in the obese.
    fat = patient.visceral
    bounds = smooth_max(wall + np.float32(0.9 + 1.4 * fat), diaphragm + np.float32(0.9 + 0.5 * fat), 8)
    for distance, gap in neighbours:
        bounds = smooth_max(bounds, np.float32(gap) - distance, 5)
    cuts = _fissures(rng, grid, coords_zyx, patient, cirrhotic)
    for cut in cuts:
        bounds = smooth_max(bounds, -cut, 3)
    lobes = lobes + lumps
    if cirrhotic:
        bounds = bounds + np.maximum(lumps, 0) * 0.6
    if patient.liver_kind is LiverKind.RESECTED:
        kept = _resection(rng, coords_zyx, np.array(patient.scale_zyx))
        bounds = smooth_max(bounds, kept + 2.5 * lumps, 22)

    voxel_ml = float(np.prod(grid.spacing_zyx_mm)) / 1000
    candidates = lobes[bounds < 0]
    wanted = int(patient.liver_ml / voxel_ml)
    offset = 0.0
    if candidates.size > 100:
        rank = min(wanted, candidates.size - 1)
        offset = float(np.clip(np.partition(candidates, rank)[rank], -20.0, 22.0))
    return LiverShape(keep_largest(smooth_max(lobes - np.float32(offset), bounds, 6)), cuts[0])


def _lobes(rng: np.random.Generator, coords_zyx: Coords, patient: Patient) -> Array:
    """Signed distance to right, quadrate, left and caudate lobe, smoothly joined."""
    scale = np.array(patient.scale_zyx)
    size = float(np.clip((patient.liver_ml / 1650) ** (1 / 3), 0.8, 1.12))

    def blob(
        centre: tuple[float, ...], semi: tuple[float, ...], turn: tuple[float, ...], sd: float = 4.0
    ) -> Array:
        c = (np.array(centre) + rng.normal(0, sd, 3)) * scale
        s = np.array(semi) * scale * size * np.exp(rng.normal(0, 0.07, 3))
        a = np.deg2rad(np.array(turn) + rng.normal(0, 6, 3))
        return ellipsoid(coords_zyx, c, s, rotation_about(*a))

    cirrhotic = patient.liver_kind is LiverKind.CIRRHOTIC
    left_size = float(np.clip(rng.normal(1.05 if cirrhotic else 0.88, 0.2), 0.5, 1.4))
    caudate_size = float(np.clip(rng.normal(1.4 if cirrhotic else 1.0, 0.12), 0.75, 1.8))
    right = blob((-72, 10, -74), (94, 98, 74), (0, 12, 0))
    longer = patient.riedel_mm / 2  # Riedel's lobe: a tongue of the right lobe, downwards
    tip = blob((-128 - longer, 12, -100), (62 * rng.uniform(0.7, 1.25) + longer, 58, 27), (0, 14, 0))
    quadrate = blob((-72, -44, -32), (50, 46, 46), (0, 10, 0))
    left = blob((-50, -46, 26), (36, 44, 86 * left_size), (0, 22, 0), 6.0)
    left_top = blob((-34, -18, 10), (26, 44, 62 * left_size), (0, 10, 0), 5.0)
    caudate = blob((-66, 12, -14), (34 * caudate_size, 20 * caudate_size, 20 * caudate_size), (0, 0, 0), 3.0)
    lobes = smooth_min(smooth_min(right, tip, 25), quadrate, 18)
    return smooth_min(smooth_min(lobes, smooth_min(left, left_top, 14), 16), caudate, 7)


def liver_texture(rng: np.random.Generator, part: Grid, patient: Patient, hu: HuTable) -> Array:
    """Noise-free HU of the parenchyma: even, patchy where fatty, finely nodular in cirrhosis."""
    texture = hu[Organ.LIVER] + smooth_field(rng, part, 22) * np.float32(1.5)
    if patient.fatty_hu > 10:
        patchy = rng.uniform(0, 0.5)
        texture = texture + patchy * patient.fatty_hu * np.maximum(smooth_field(rng, part, 28) - 0.8, 0)
    if patient.liver_kind is LiverKind.CIRRHOTIC:
        texture = texture + smooth_field(rng, part, 5) * 4
    return texture.astype(np.float32)


def _fissures(
    rng: np.random.Generator, grid: Grid, coords_zyx: Coords, patient: Patient, cirrhotic: bool
) -> list[Array]:
    """Distances (negative inside) to the fat-filled clefts of the liver."""
    sz, sy, sx = patient.scale_zyx
    bend = [smooth_field(rng, grid, 20) * 3.5 for _ in range(2)]
    z, y, x = coords_zyx[0], coords_zyx[1] + bend[0], coords_zyx[2] + bend[1]
    width = 0.2 + 1.0 * patient.visceral + (1.2 if cirrhotic else 0.0)
    cuts = []
    # Falciform ligament and ligamentum teres: a sagittal sheet, open in front and below.
    fx = (-8 + rng.normal(0, 7)) * sx
    lean = rng.normal(0.15, 0.12)
    top = rng.uniform(-88, -50) * sz
    back = rng.uniform(-42, -28) * sy
    sheet = np.abs(x - fx + lean * (y + 50)) - np.float32(width + 0.5) - np.clip((top - z) * 0.07, 0, 6)
    cuts.append(smooth_max(smooth_max(sheet, z - top, 4), y - back, 4))
    # Ligamentum venosum: an oblique sheet in front of the caudate lobe, open to the left.
    vy = (-6 + rng.normal(0, 3)) * sy
    sheet = np.abs(y - vy + 0.28 * (x + 10) + 0.1 * (z + 60)) - np.float32(0.5 + 0.5 * width)
    sheet = smooth_max(sheet, -(x + (24 + rng.normal(0, 4)) * sx), 4)
    cuts.append(smooth_max(smooth_max(sheet, z + 42 * sz, 4), x - 60 * sx, 4))
    # Hilum: fat about the portal vein, from below and the left.
    hilum = ellipsoid(
        coords_zyx,
        np.array([-92, -12, -22]) * (sz, sy, sx) + rng.normal(0, 3, 3),
        np.array([15, 8 + 3 * patient.visceral, 27]) * (sz, sy, sx),
        rotation_about(0.3, 0.25, 0),
    )
    cuts.append(hilum)
    return [c.astype(np.float32) for c in cuts]


def _resection(rng: np.random.Generator, coords_zyx: Coords, scale: NDArray) -> Array:
    """Half space kept after a resection of the left lateral, the lower right or the lateral right part."""
    z, y, x = coords_zyx
    kind = rng.integers(3)
    if kind == 0:  # left lateral sectionectomy
        return (x + 8 * scale[2]).astype(np.float32)
    if kind == 1:  # lower right
        return (-(0.8 * z + 0.5 * x + 0.3 * y) - 125 * scale[0]).astype(np.float32)
    return (-(x + 0.5 * y) - rng.uniform(80, 100) * scale[2]).astype(np.float32)


def keep_largest(distance: Array) -> Array:
    """Only the largest connected part of what is inside; the rest is put outside."""
    inside = distance < 0
    other = inside & ~largest_component(inside)
    return np.where(other, np.maximum(np.abs(distance), 1.5), distance).astype(np.float32)
