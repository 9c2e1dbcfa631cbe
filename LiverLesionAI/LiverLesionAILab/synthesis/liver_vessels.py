"""Portal and hepatic veins inside the synthetic liver, painted on the fine grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .abdomen import Scene
from .fields import Array, Grid, upsample
from .organs import Organ
from .paint import Canvas
from .vessels import grow_tree

_PORTAL = (
    [(-130, -10, -12), (-112, -13, -20), (-96, -12, -28), (-89, -10, -42), (-82, -6, -58)],
    [(-82, -6, -58), (-76, -18, -72), (-70, -30, -82), (-62, -38, -88)],
    [(-82, -6, -58), (-90, 10, -76), (-102, 24, -92), (-112, 30, -102)],
    [(-82, -6, -58), (-62, 14, -78), (-45, 22, -86)],
    [(-92, -11, -36), (-82, -17, -18), (-72, -20, -4), (-66, -30, 3), (-66, -46, 3)],
    [(-72, -20, -4), (-62, -22, 16), (-54, -28, 34)],
)
_HEPATIC = (
    [(-14, 0, -20), (-20, 6, -36), (-32, 12, -56), (-52, 18, -80), (-80, 22, -100)],
    [(-14, 0, -20), (-20, -10, -26), (-36, -26, -36), (-58, -40, -44), (-80, -48, -48)],
    [(-14, 0, -20), (-18, -10, -8), (-28, -24, 10), (-38, -36, 28)],
)


# z, y, x extent of the reference liver, mm.
_EXTENT = np.array([[-160.0, -85.0, -128.0], [0.0, 85.0, 55.0]])


def add_liver_trees(scene: Scene, canvas: Canvas, part: Grid, liver_sdf: Array, within: bool = False) -> None:
    """Grow both trees through the liver and paint them, the large trunks in their usual places.

    Args:
        scene: the body.
        canvas: painted on.
        part: part of the coarse grid that `liver_sdf` is on.
        liver_sdf: signed distance to the liver.
        within: the liver is not a procedural one: trunks are fitted to its extent and stay inside it.
    """
    rng = scene.rng
    box = canvas.box_of(part)
    if any(s.stop <= s.start for s in box):
        return
    fine = canvas.grid.part(box)
    inside = upsample(liver_sdf, part, fine)
    deep = np.argwhere(liver_sdf < -3.5)
    if len(deep) < 500:
        return
    points = deep * np.array(part.spacing_zyx_mm) + np.array(part.origin_zyx_mm)
    density = rng.uniform(0.07, 0.14)
    n = int(np.clip(density * len(deep) * np.prod(part.spacing_zyx_mm) / 1000, 30, 260))
    sizes = np.clip(rng.normal(1, 0.12, 2), 0.7, 1.3)
    for lines, organ, radius in (
        (_HEPATIC, Organ.HEPATIC_VEIN, 6.8 * sizes[1]),
        (_PORTAL, Organ.PORTAL_VEIN, 7.0 * sizes[0]),
    ):
        terminals = points[rng.integers(len(points), size=n)] + rng.uniform(-1, 1, (n, 3))
        trunks = [_fitted(line, points) if within else scene.place(line, 2.0) for line in lines]
        for line in trunks[1:]:  # branches start where the others left off
            anchor = min((p for other in trunks for p in other if other is not line), key=_from(line[0]))
            line[0] = anchor
        segments = grow_tree(rng, trunks, terminals, radius)
        distance = np.full(fine.shape_zyx, 30.0, np.float32)
        for segment in segments:
            lower_to_capsule(fine, distance, segment)
        if within or organ is Organ.HEPATIC_VEIN:
            distance = np.maximum(distance, inside + np.float32(1.0))
        canvas.blend(box, distance, scene.hu[organ], organ)


def _fitted(line: list[tuple[int, int, int]], points: NDArray) -> NDArray[np.float64]:
    """Trunk points moved from the reference liver's extent to that of the given inner points."""
    share = (np.array(line, float) - _EXTENT[0]) / (_EXTENT[1] - _EXTENT[0])
    low, high = np.percentile(points, 2, axis=0), np.percentile(points, 98, axis=0)
    return low + np.clip(share, 0.0, 1.0) * (high - low)


def _from(point: NDArray) -> Callable[[NDArray], float]:
    return lambda other: float(np.linalg.norm(other - point))


def lower_to_capsule(grid: Grid, distance: Array, segment: NDArray) -> None:
    """Lower `distance` to that of a capsule with linearly varying radius."""
    a, b = segment
    reach = max(a[3], b[3]) + 2.5
    box = grid.box(np.minimum(a, b)[:3] - reach, np.maximum(a, b)[:3] + reach)
    if any(s.stop <= s.start for s in box):
        return
    part = grid.part(box)
    dz = part.axis_mm(0)[:, None, None] - np.float32(a[0])
    dy = part.axis_mm(1)[None, :, None] - np.float32(a[1])
    dx = part.axis_mm(2)[None, None, :] - np.float32(a[2])
    axis = (b - a)[:3].astype(np.float32)
    t = (dz * axis[0] + dy * axis[1] + dx * axis[2]) / np.float32(axis @ axis + 1e-6)
    np.clip(t, 0, 1, out=t)
    d = (dz - t * axis[0]) ** 2
    d += (dy - t * axis[1]) ** 2
    d += (dx - t * axis[2]) ** 2
    np.sqrt(d, out=d)
    d -= np.float32(a[3]) + t * np.float32(b[3] - a[3])
    np.minimum(distance[box], d, out=distance[box])
