"""Organs of the synthetic abdomen and chest: layers to paint, in order.

Reference positions (z, y, x in mm) are those of a 175 cm man, z = 0 at the top of the liver's dome.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .fields import Array, Box, Grid, ellipsoid, rotation_zyx, smooth_field, smooth_max, spline_path, tube
from .organs import HuTable, Organ
from .patient import Patient


@dataclass(frozen=True, eq=False)
class Layer:
    """Something to paint: `hu` wherever `sdf` is negative, with an anti-aliased edge.

    Attributes:
        organ: label given.
        box: part of the coarse grid.
        sdf: signed distance on it, mm.
        hu: one value, or an array on the box.
        halo_mm: width of a rim of fat painted first, so that touching organs stay apart.
    """

    organ: Organ
    box: Box
    sdf: Array
    hu: float | Array
    halo_mm: float = 0.0


@dataclass(eq=False)
class Scene:
    """Coarse grid of a body under construction with its coordinates and warp.

    Attributes:
        grid: the coarse grid.
        warp_zyx: displacement (mm) added to grid coordinates to get the coordinates organs live in.
        patient, hu: whose body it is.
        layers: what has been placed so far, in painting order.
        bounds: distance (negative inside) that everything added is kept within, where set.
    """

    rng: np.random.Generator
    grid: Grid
    warp_zyx: tuple[Array, Array, Array]
    patient: Patient
    hu: HuTable
    layers: list[Layer] = field(default_factory=list)
    bounds: Array | None = None

    @property
    def scale(self) -> NDArray[np.float64]:
        return np.array(self.patient.scale_zyx)

    def coords(self, box: Box) -> tuple[Array, Array, Array]:
        """Warped z, y, x coordinates on a box."""
        part = self.grid.part(box)
        axes = [part.axis_mm(a) for a in range(3)]
        return (
            self.warp_zyx[0][box] + axes[0][:, None, None],
            self.warp_zyx[1][box] + axes[1][None, :, None],
            self.warp_zyx[2][box] + axes[2][None, None, :],
        )

    def place(self, points_zyx: NDArray | list, jitter_mm: float = 0.0) -> NDArray[np.float64]:
        """Reference points (n, 3 or 4) in this body: scaled, jittered, moved as the warp moves organs."""
        p = self.patient.points(np.array(points_zyx, float))
        p[:, :3] += self.rng.normal(0, jitter_mm, (len(p), 3)) if jitter_mm else 0.0
        index = (p[:, :3] - np.array(self.grid.origin_zyx_mm)) / np.array(self.grid.spacing_zyx_mm)
        index = np.clip(np.rint(index).astype(int), 0, np.array(self.grid.shape_zyx) - 1)
        p[:, :3] -= np.stack([w[tuple(index.T)] for w in self.warp_zyx], axis=1)
        return p

    def add(
        self, organ: Organ, box: Box, sdf: Array, hu: float | Array | None = None, halo_mm: float = 0.0
    ) -> None:
        """Append a layer; HU default to the patient's own for that organ."""
        if all(s.stop - s.start > 1 for s in box):
            if self.bounds is not None:
                sdf = np.maximum(sdf, self.bounds[box])
            self.layers.append(Layer(organ, box, sdf, self.hu[organ] if hu is None else hu, halo_mm))

    def ellipsoid_box(self, centre: NDArray, semi: NDArray, margin: float = 22.0) -> Box:
        """Box about an ellipsoid, wide enough for the warp."""
        reach = np.max(semi) + margin
        return self.grid.box(
            centre - np.minimum(reach, semi * 1.25 + margin), centre + np.minimum(reach, semi * 1.25 + margin)
        )

    def blob(
        self,
        centre: tuple[float, ...],
        semi: tuple[float, ...],
        turn: float = 8.0,
        jitter: float = 4.0,
        lumps: float = 1.2,
    ) -> tuple[Box, Array]:
        """A jittered, turned, slightly lumpy ellipsoid: its box and signed distance."""
        c = np.array(centre) * self.scale + self.rng.normal(0, jitter, 3)
        s = np.array(semi) * self.scale * np.exp(self.rng.normal(0, 0.08, 3))
        box = self.ellipsoid_box(c, s)
        sdf = ellipsoid(self.coords(box), c, s, rotation_zyx(self.rng, turn))
        if sdf.size and lumps:
            sdf = sdf + smooth_field(self.rng, self.grid.part(box), 18) * np.float32(lumps)
        return box, sdf

    def pipe(
        self,
        organ: Organ,
        points_zyxr: list,
        jitter: float = 2.0,
        lumps: float = 0.0,
        hu: float | None = None,
        halo_mm: float = 0.0,
    ) -> tuple[Box, Array]:
        """A smooth tube through reference points with radius, painted at once."""
        path = spline_path(self.place(points_zyxr, jitter), 2.5)
        path[:, 3] = np.maximum(path[:, 3], 0.8)
        box, sdf, _ = tube(self.grid, path)
        if lumps and sdf.size:
            sdf = sdf + smooth_field(self.rng, self.grid.part(box), 8) * np.float32(lumps)
        self.add(organ, box, sdf, hu, halo_mm)
        return box, sdf


def add_vessels(scene: Scene) -> dict[str, tuple[Box, Array]]:
    """Aorta, vena cava, oesophagus and the branches of the aorta and portal vein outside the liver."""
    rng, grow = scene.rng, float(np.clip(scene.rng.normal(1, 0.13), 0.75, 1.5))
    out = {}
    aorta = [
        (230, 28, 14, 12.5),
        (120, 30, 20, 12),
        (40, 30, 18, 11.5),
        (-40, 22, 8, 11),
        (-120, 20, 7, 9.5),
        (-225, 22, 5, 8.5),
    ]
    aorta = [(z, y, x, r * grow) for z, y, x, r in aorta]
    out["aorta"] = scene.pipe(Organ.AORTA, aorta, 2.0)
    _add_paired_branches(scene)
    flat = rng.uniform(0.75, 1.1)
    ivc = [
        (-235, 24, -18, 9),
        (-150, 17, -24, 10),
        (-90, 14, -26, 11),
        (-40, 10, -25, 11.5),
        (-12, 2, -20, 12),
        (15, -8, -14, 12),
    ]
    out["ivc"] = scene.pipe(Organ.IVC, [(z, y, x, r * flat) for z, y, x, r in ivc], 2.0)
    scene.pipe(Organ.OESOPHAGUS, [(230, 20, 0, 7), (60, 18, 4, 7), (0, 12, 12, 7.5), (-30, 2, 24, 8)])
    scene.pipe(
        Organ.AORTA,
        [(-92, 12, 7, 3.6), (-94, -2, 6, 3.4), (-92, -6, 24, 3), (-88, 6, 50, 2.6), (-80, 25, 85, 2)],
    )
    scene.pipe(
        Organ.HEPATIC_ARTERY,
        [(-94, -2, 6, 3), (-97, -8, -10, 2.6), (-100, -14, -26, 2.2), (-95, -18, -36, 2)],
    )
    scene.pipe(
        Organ.AORTA, [(-112, 12, 7, 3.6), (-122, -4, 6, 3.4), (-160, -12, 2, 3), (-215, -18, -14, 2.4)]
    )
    scene.pipe(Organ.VESSEL, [(-215, -14, -22, 3.5), (-165, -12, -12, 5), (-132, -10, -12, 6)])
    scene.pipe(Organ.VESSEL, [(-84, 28, 88, 3), (-100, 12, 50, 4), (-118, -4, 12, 4.8), (-130, -10, -10, 6)])
    return out


def _add_paired_branches(scene: Scene) -> None:
    """Iliac and renal arteries and veins of both sides."""
    for side in (-1, 1):
        scene.pipe(
            Organ.AORTA,
            [
                (-222, 22, 5, 6.5),
                (-270, 30, 28 * side, 5.5),
                (-330, 8, 62 * side, 5),
                (-400, -30, 78 * side, 4.5),
            ],
        )
        scene.pipe(
            Organ.IVC,
            [
                (-230, 28, -16, 8),
                (-275, 38, 26 * side, 6.5),
                (-330, 18, 58 * side, 6),
                (-400, -20, 74 * side, 6),
            ],
        )
        scene.pipe(Organ.AORTA, [(-130, 19, 8, 3.4), (-134, 30, 30 * side, 3), (-138, 42, 52 * side, 2.6)])
        scene.pipe(
            Organ.IVC,
            [(-128, 16, -18 if side < 0 else -10, 4.5), (-130, 24, 26 * side, 4), (-134, 40, 52 * side, 3.5)],
        )


def add_kidneys(scene: Scene) -> dict[str, tuple[Box, Array]]:
    """Kidneys with cortex, medulla, sinus fat and pelvis; adrenals above them."""
    rng, hu = scene.rng, scene.hu
    out = {}
    for name, side, z in (("right", -1, -142), ("left", 1, -128)):
        c = np.array([z, 52, 64 * side]) * scene.scale + rng.normal(0, (9, 3, 4))
        s = np.array([54, 27, 28]) * scene.scale**0.5 * np.exp(rng.normal(0, 0.07, 3))
        box = scene.ellipsoid_box(c, s)
        if any(b.stop - b.start < 2 for b in box):
            continue
        part = scene.grid.part(box)
        coords = scene.coords(box)
        angle = rng.normal(0.18, 0.05)
        # Upper poles lean towards the spine.
        coords = (coords[0], coords[1], coords[2] + side * angle * (coords[0] - c[0]))
        sdf = ellipsoid(coords, c, s) + smooth_field(rng, part, 14) * 0.9
        inner = c + np.array([0, -9, -20 * side]) * scene.scale
        sinus = ellipsoid(coords, inner, s * (0.52, 0.55, 0.62))
        sdf = smooth_max(sdf, -ellipsoid(coords, c + np.array([0, -14, -33 * side]), s * (0.3, 0.45, 0.5)), 5)
        pyramids = smooth_field(rng, part, 5.5) * 1.8
        medulla = np.maximum(sdf + 6.5 + pyramids, -sinus + 1)
        pelvis = (
            ellipsoid(coords, inner + np.array([0, 0, -2 * side]), s * (0.24, 0.26, 0.42))
            + smooth_field(rng, part, 5) * 2
        )
        scene.add(Organ.KIDNEY_CORTEX, box, sdf, halo_mm=2 + 4 * scene.patient.visceral)
        scene.add(Organ.KIDNEY_MEDULLA, box, medulla)
        scene.add(
            Organ.FAT,
            box,
            np.maximum(sinus + 2.5 + smooth_field(rng, part, 5) * 2.2, sdf - 2),
            hu[Organ.FAT] + 25,
        )
        scene.add(Organ.KIDNEY_PELVIS, box, pelvis)
        out[name] = (box, sdf)
        if rng.random() < 0.25:
            cyst = c + s * rng.normal(0, 0.55, 3)
            r = rng.uniform(4, 16)
            b2 = scene.ellipsoid_box(cyst, np.full(3, r), 10)
            scene.add(
                Organ.OTHER, b2, ellipsoid(scene.coords(b2), cyst, np.full(3, r)), float(rng.normal(8, 5))
            )
        top = c[0] + s[0]
        for dx, dy in ((-3, 14), (7, 10)):
            start = np.array([top - 4, 32 * scene.scale[1], (36 + 2) * side])
            path = np.array(
                [
                    [*start, 2.2],
                    [start[0] - 8, start[1] + dy * 0.6, start[2] + dx * side, 2.0],
                    [start[0] - 18, start[1] + dy, start[2] + 2 * dx * side, 1.6],
                ]
            )
            b3, d3, _ = tube(scene.grid, spline_path(path, 1.5))
            scene.add(Organ.ADRENAL, b3, d3)
    return out


def add_spleen(scene: Scene, wall: Array, diaphragm: Array) -> tuple[Box, Array]:
    """Spleen: against the left wall and diaphragm, hollow towards stomach and kidney."""
    big = float(np.exp(scene.rng.normal(0.35 if scene.patient.liver_kind == "cirrhotic" else 0, 0.16)))
    box, sdf = scene.blob((-72, 50, 96), (52 * big, 50 * big, 36 * big), 8, 6, 1.5)
    bounds = smooth_max(wall[box] + 1.2, diaphragm[box] + 1.0, 5)
    c = scene.coords(box)
    hollow = ellipsoid(c, np.array([-82, 22, 46]) * scene.scale, np.array([70, 52, 34]) * scene.scale)
    sdf = smooth_max(smooth_max(sdf, bounds, 4), -hollow, 8)
    scene.add(Organ.SPLEEN, box, sdf, halo_mm=1.5)
    return box, sdf


def add_pancreas(scene: Scene) -> None:
    """Pancreas: lobulated, from the duodenum's loop to the hilum of the spleen; fattier with visceral fat."""
    fat = scene.patient.visceral
    size = float(np.clip(scene.rng.normal(1.3, 0.17), 0.9, 1.7))
    line = [
        (-158, 2, -26, 11),
        (-138, -8, -20, 12),
        (-122, -16, 2, 8),
        (-112, -8, 28, 9),
        (-100, 8, 56, 9),
        (-88, 22, 78, 8),
    ]
    path = spline_path(scene.place([(z, y, x, r * size) for z, y, x, r in line], 3), 2.5)
    box, sdf, _ = tube(scene.grid, path)
    if sdf.size:
        part = scene.grid.part(box)
        sdf = sdf + smooth_field(scene.rng, part, 5) * (1.2 + 1.6 * fat) + 0.8 * fat
        hu = scene.hu[Organ.PANCREAS] + smooth_field(scene.rng, part, 4) * (6 + 14 * fat)
        scene.add(Organ.PANCREAS, box, sdf, hu)


def add_heart(scene: Scene, wall: Array, diaphragm: Array) -> None:
    """Heart with its chambers, in fat, on the diaphragm."""
    rng, hu = scene.rng, scene.hu
    if scene.grid.origin_zyx_mm[0] + scene.grid.shape_zyx[0] * scene.grid.spacing_zyx_mm[0] < -30:
        return
    size = float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.3))
    box, sdf = scene.blob((42, -42, 22), (72 * size, 54 * size, 68 * size), 6, 5, 2)
    if not sdf.size:
        return
    c = scene.coords(box)
    sdf = smooth_max(smooth_max(sdf, diaphragm[box] * -1 + 3.0, 6), wall[box] + 4, 8)
    scene.add(Organ.FAT, box, sdf - (2 + 5 * scene.patient.visceral))
    muscle = 0.55 * hu[Organ.HEART] + 0.45 * hu[Organ.MUSCLE]
    scene.add(Organ.HEART, box, sdf, float(min(muscle, hu[Organ.HEART])))
    centre = np.array([42, -38, 22]) * scene.scale
    for dz, dy, dx, semi in (
        (-5, 0, 24, (36, 21, 27)),
        (-8, -18, -6, (38, 20, 24)),
        (14, 6, -26, (34, 24, 20)),
        (22, 24, 10, (26, 16, 24)),
    ):
        chamber = ellipsoid(
            c, centre + np.array([dz, dy, dx]) * size + rng.normal(0, 2, 3), np.array(semi) * size
        )
        scene.add(
            Organ.HEART, box, smooth_max(chamber, sdf + 4.5, 4), hu[Organ.HEART] + float(rng.normal(0, 6))
        )


def add_muscles(scene: Scene, spine_y: Array, spine_x: Array) -> None:
    """Psoas, quadratus lumborum and the crura of the diaphragm, following the spine."""
    z = scene.grid.axis_mm(0)
    sz, sy, sx = scene.patient.scale_zyx
    strong = scene.patient.muscularity
    for side in (-1, 1):
        for organ_points in (
            [
                (-105, -2, 24, 3),
                (-150, -4, 30, 10),
                (-200, -6, 38, 16),
                (-260, -12, 48, 19),
                (-330, -30, 66, 17),
                (-400, -40, 84, 14),
            ],
            [(-112, 22, 50, 6), (-150, 24, 56, 11), (-200, 24, 64, 13), (-235, 24, 70, 13)],
            [(-30, -28, 5, 3), (-75, -26, 11, 4.5), (-110, -24, 14, 4.5), (-160, -22, 16, 2.5)],
        ):
            points = np.array(organ_points, float) * (sz, sy, sx * side, strong)
            points[:, 1] += np.interp(points[:, 0], z, spine_y)
            points[:, 2] += np.interp(points[:, 0], z, spine_x)
            points[:, 3] = np.abs(points[:, 3])
            path = spline_path(points, 3)
            path[:, 3] = np.maximum(path[:, 3], 1.5)
            box, sdf, _ = tube(scene.grid, path)
            scene.add(Organ.MUSCLE, box, sdf)
