"""Stomach, duodenum, small bowel, colon, gallbladder and bladder of the synthetic body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .abdomen import Scene
from .fields import Array, Box, smooth_field, spline_path, tube
from .organs import Organ

GAS_HU = -960.0


def add_hollow(
    scene: Scene,
    path_zyxr: NDArray,
    wall: Organ,
    content: Organ,
    wall_mm: float,
    fill: NDArray,
    gas: NDArray,
    lumps: float = 0.0,
    folds: float = 0.0,
    mottle: NDArray | None = None,
    halo_mm: float = 1.0,
) -> tuple[Box, Array]:
    """A tube with a wall, contents and gas above its fluid level (the patient lies on the back).

    Args:
        scene: where to.
        path_zyxr: dense path with outer radius, body mm.
        wall, content: labels.
        wall_mm: thickness of the wall.
        fill: HU of the contents per path point.
        gas: share of the lumen's height that is gas per path point, 0 to 1.
        lumps: SD of a smooth displacement of the surface, mm.
        folds: SD of a fine displacement of the inner surface (haustra, folds), mm.
        mottle: SD of the contents' HU per path point (food, stool).
        halo_mm: fat kept round it.

    Returns:
        The box and the outer signed distance.
    """
    rng = scene.rng
    box, sdf, nearest = tube(scene.grid, path_zyxr)
    if not sdf.size:
        return box, sdf
    part = scene.grid.part(box)
    if lumps:
        sdf = sdf + smooth_field(rng, part, 14) * np.float32(lumps)
    inside = sdf + np.float32(wall_mm)
    if folds:
        inside = inside + np.abs(smooth_field(rng, part, 5)) * np.float32(folds)
    hu = fill.astype(np.float32)[nearest]
    if mottle is not None and mottle.max() > 0:
        texture = smooth_field(rng, part, 3.2) + 0.6 * smooth_field(rng, part, 7)
        bubbles = np.minimum(texture, 0.6) * mottle.astype(np.float32)[nearest]
        hu = hu + bubbles
    scene.add(wall, box, sdf, halo_mm=halo_mm)
    scene.add(content, box, inside, hu)
    radius = np.maximum(path_zyxr[:, 3] - wall_mm, 0.5)
    level = (path_zyxr[:, 1] - radius + 2 * radius * gas).astype(np.float32)[nearest]
    y = part.axis_mm(1)[None, :, None]
    has_gas = np.where(gas[nearest] > 0.02, y - level, np.float32(9.0)).astype(np.float32)
    scene.add(content, box, np.maximum(inside + 0.4, has_gas), GAS_HU)
    return box, sdf


def _smooth_1d(rng: np.random.Generator, n: int, scale: float) -> NDArray[np.float64]:
    nodes = rng.standard_normal(int(n / scale) + 4)
    return np.interp(np.arange(n) / scale, np.arange(len(nodes)), nodes)


def isodense_fill(scene: Scene, chance: float) -> float | None:
    """HU of a stomach full of thin contrast medium or food, bright as the liver; None where it is not.

    Without a chance nothing is drawn, so that other bodies stay what they are.
    """
    if not chance or scene.rng.random() >= chance:
        return None
    return scene.hu[Organ.LIVER] + float(scene.rng.normal(0, 12))


def add_stomach(scene: Scene, full_hu: float | None = None) -> tuple[Box, Array]:
    """Stomach: fundus under the left dome, body, antrum across the midline; food, fluid, contrast and gas.

    Args:
        scene: where to.
        full_hu: HU of what fills it to a thin wall; None for a usual stomach.
    """
    rng = scene.rng
    size = float(np.clip(np.exp(rng.normal(0.08, 0.26)), 0.65, 1.6))
    if full_hu is not None:
        size = float(rng.uniform(1.1, 1.9))
    line = [
        (-32, 8, 52, 16),
        (-48, 6, 58, 30),
        (-78, -12, 58, 29),
        (-108, -36, 46, 24),
        (-132, -48, 22, 19),
        (-138, -44, -4, 15),
        (-130, -34, -24, 10),
    ]
    path = spline_path(scene.place([(z, y, x, r * (0.45 + 0.55 * size)) for z, y, x, r in line], 4), 4)
    n = len(path)
    contrast = rng.random() < 0.3
    base = rng.uniform(150, 500) if contrast else rng.uniform(5, 45)
    fill = np.full(n, base) + 10 * _smooth_1d(rng, n, 12)
    gas = np.clip(rng.uniform(0.05, 0.55) + 0.08 * _smooth_1d(rng, n, 10), 0, 0.8)
    mottle = np.full(n, rng.choice([2.0, 12.0, 60.0], p=[0.5, 0.3, 0.2]))
    wall_mm = rng.uniform(3, 6)
    if full_hu is not None:
        fill += full_hu - base
        gas, mottle, wall_mm = 0.6 * gas, np.minimum(mottle, 12.0), 0.5 * wall_mm
    return add_hollow(
        scene,
        path,
        Organ.STOMACH_WALL,
        Organ.STOMACH_CONTENT,
        wall_mm,
        fill,
        gas,
        3.0,
        2.2,
        mottle,
        2.0 if full_hu is None else 0.5,
    )


def add_duodenum(scene: Scene) -> None:
    """Duodenum: round the pancreatic head."""
    rng = scene.rng
    line = [
        (-128, -32, -28, 10),
        (-122, -28, -44, 11),
        (-136, -8, -52, 12),
        (-165, 6, -46, 12),
        (-178, 8, -18, 11),
        (-172, 6, 16, 10),
        (-158, -6, 34, 10),
    ]
    path = spline_path(scene.place(line, 3), 3)
    n = len(path)
    fill = np.full(n, rng.uniform(10, 50)) + 12 * _smooth_1d(rng, n, 6)
    gas = np.clip(0.35 * _smooth_1d(rng, n, 8), 0, 0.8)
    add_hollow(scene, path, Organ.DUODENUM, Organ.DUODENUM, 2.6, fill, gas, 1.5, 1.8)


def add_colon(scene: Scene) -> tuple[Box, Array]:
    """Colon from caecum to sigmoid: haustra, stool, gas; the right flexure lies under the liver."""
    rng = scene.rng
    sag = rng.uniform(-20, 60)
    high = rng.normal(0, 14)
    line = [
        (-285, 0, -88, 24), (-250, 8, -96, 24), (-205, 16, -98, 23), (-178 + high, 6, -90, 22),
        (-172 + high, -28, -78, 21), (-186 - sag * 0.5, -62, -48, 20), (-180 - sag, -76, 0, 19),
        (-160 - sag * 0.5, -70, 50, 19), (-118, -40, 92, 18),
        (-92, 2, 108, 17), (-125, 26, 112, 16), (-180, 28, 108, 15), (-250, 22, 104, 15), (-295, 0, 84, 15),
        (-320, -15, 40, 16), (-300, -5, 8, 16), (-330, 35, 0, 16), (-370, 52, 0, 18),
    ]  # fmt: skip
    belly = 26 * scene.patient.visceral
    line = [(z, y - (belly if y < -50 else 0), x, r) for z, y, x, r in line]
    path = spline_path(scene.place(line, 6), 4)
    n = len(path)
    size = float(np.clip(rng.normal(1, 0.2), 0.6, 1.5))
    haustra = 1 + 0.13 * np.sin(np.arange(n) * 4 / rng.uniform(4.5, 6.5))
    path[:, 3] *= size * haustra * np.clip(1 + 0.3 * _smooth_1d(rng, n, 18), 0.45, 1.5)
    stool = np.clip(_smooth_1d(rng, n, 16) + 0.2, 0, 1)
    contrast = rng.random() < 0.2
    fill = np.where(stool > 0.2, -60, 15.0) + (rng.uniform(100, 350) if contrast else 0) * (
        _smooth_1d(rng, n, 25) > 0
    )
    gas = np.clip(0.35 + 0.4 * _smooth_1d(rng, n, 14) - 0.35 * stool, 0, 1)
    return add_hollow(
        scene, path, Organ.COLON_WALL, Organ.COLON_CONTENT, 2.2, fill, gas, 2.0, 1.6, 160 * stool + 6, 1.5
    )


def add_small_bowel(scene: Scene, n_loops: int = 22) -> None:
    """Loops of small bowel in the space between colon and spine, with mesenteric vessels."""
    rng = scene.rng
    belly = 22 * scene.patient.visceral
    contrast = rng.random() < 0.3
    for _ in range(n_loops):
        p = np.array([rng.uniform(-330, -150), rng.uniform(-62, 0) - belly * 0.6, rng.uniform(-62, 72)])
        if p[0] > -190 and p[2] < 0:
            p[2] += 45
        points = [p]
        heading = rng.normal(0, 1, 3)
        for _ in range(int(rng.integers(5, 9))):
            heading = 0.55 * heading / (np.linalg.norm(heading) + 1e-6) + rng.normal(0, 0.75, 3) * (
                0.6,
                0.8,
                1.1,
            )
            q = points[-1] + 26 * heading / (np.linalg.norm(heading) + 1e-6)
            q[0] = np.clip(q[0], -345, -145)
            q[1] = np.clip(q[1], -72 - belly, 8)
            q[2] = np.clip(q[2], -72, 82)
            points.append(q)
        r = rng.uniform(8, 13)
        path = spline_path(scene.place([(*q, r) for q in points]), 4)
        n = len(path)
        path[:, 3] *= np.clip(1 + 0.22 * _smooth_1d(rng, n, 8), 0.55, 1.4)
        fill = np.full(n, rng.uniform(180, 420) if contrast and rng.random() < 0.6 else rng.uniform(8, 55))
        gas = np.clip(0.45 * _smooth_1d(rng, n, 9) - 0.25, 0, 0.8)
        add_hollow(scene, path, Organ.BOWEL_WALL, Organ.BOWEL_CONTENT, 2.4, fill, gas, 1.2, 1.8, None, 0.8)


def add_gallbladder(scene: Scene) -> tuple[Box, Array, Box, Array] | None:
    """Gallbladder: a pear under the liver's middle, absent in one of eight.

    Returns:
        Its box and signed distance, and those of the room below it that the liver keeps clear of.
    """
    rng = scene.rng
    if rng.random() < 0.125:
        return None
    size = float(np.clip(np.exp(rng.normal(0, 0.25)), 0.55, 1.6))
    line = [
        (-102, -18, -36, 4),
        (-108, -26, -42, 8),
        (-122, -42, -50, 12.5),
        (-138, -58, -55, 14.5),
        (-148, -66, -57, 9),
    ]
    path = spline_path(scene.place([(z, y, x, r * size) for z, y, x, r in line], 4), 2.5)
    box, sdf, _ = tube(scene.grid, path, 12.0)
    if not sdf.size:
        return None
    sdf = sdf + smooth_field(rng, scene.grid.part(box), 16) * np.float32(0.8)
    # What the liver must keep clear: the gallbladder and the way below it, for it lies on the liver's
    # surface.
    towards = np.array([-1.0, -0.4, 0.7, 0.0])
    below = np.vstack([path + d * towards for d in (0.0, 12.0, 24.0, 36.0, 48.0)])
    clear_box, clear, _ = tube(scene.grid, below, 12.0)
    return box, sdf, clear_box, clear


def paint_gallbladder(scene: Scene, gallbladder: tuple[Box, Array, Box, Array]) -> None:
    """Paint wall, bile and perhaps stones or sludge; after the liver."""
    rng = scene.rng
    box, sdf, _, _ = gallbladder
    scene.add(
        Organ.GALLBLADDER, box, sdf, scene.hu[Organ.GALLBLADDER] + 0.45 * (scene.hu[Organ.STOMACH_WALL] - 10)
    )
    bile = scene.hu[Organ.GALLBLADDER] + (rng.uniform(10, 50) if rng.random() < 0.12 else 0)
    scene.add(Organ.GALLBLADDER, box, sdf + np.float32(rng.uniform(1.2, 2.2)), float(bile))
    if rng.random() < 0.12:
        part = scene.grid.part(box)
        low = part.axis_mm(1)[None, :, None]
        stones = smooth_field(rng, part, 4.5) * 3 + 2.5
        inside = np.where(sdf < -3, low, -1e3)
        bottom = inside.max() - 8
        scene.add(
            Organ.GALLBLADDER,
            box,
            np.maximum(np.maximum(sdf + 2, stones), bottom - low),
            float(rng.uniform(60, 400)),
        )
