"""Smooth random fields and signed distances on regular grids: the bricks of the synthetic bodies.

A signed distance ("sdf") is in mm, negative inside. Distances here are approximate: right at the surface,
within some ten per cent a few millimetres away, which is all that painting needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.resampling import apply_along
from numpy.typing import NDArray

Array = NDArray[np.float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grid:
    """An axis-parallel grid in body space (LPS mm, z = 0 at the top of the liver's dome).

    Attributes:
        shape_zyx: number of nodes.
        spacing_zyx_mm: distance between nodes.
        origin_zyx_mm: body coordinate (z, y, x) of node (0, 0, 0).
    """

    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    origin_zyx_mm: tuple[float, float, float]

    def axis_mm(self, axis: int) -> Array:
        """Body coordinates of the nodes along one axis (0 = z, 1 = y, 2 = x), mm."""
        start, step = self.origin_zyx_mm[axis], self.spacing_zyx_mm[axis]
        return (start + step * np.arange(self.shape_zyx[axis])).astype(np.float32)

    @property
    def whole(self) -> Box:
        """All of the grid as index slices."""
        return tuple(slice(0, n) for n in self.shape_zyx)  # type: ignore[return-value]

    def box(self, low_zyx_mm: NDArray, high_zyx_mm: NDArray) -> Box:
        """Index slices that cover a box in body space, clipped to the grid (may be empty)."""
        origin, step = np.array(self.origin_zyx_mm), np.array(self.spacing_zyx_mm)
        lo = np.floor((np.asarray(low_zyx_mm) - origin) / step).astype(int)
        hi = np.ceil((np.asarray(high_zyx_mm) - origin) / step).astype(int) + 1
        lo = np.clip(lo, 0, self.shape_zyx)
        hi = np.clip(hi, lo, self.shape_zyx)
        return tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))  # type: ignore[return-value]

    def part(self, box: Box) -> Grid:
        """The sub-grid that `box` cuts out."""
        shape = tuple(s.stop - s.start for s in box)
        origin = tuple(
            o + s.start * d for o, s, d in zip(self.origin_zyx_mm, box, self.spacing_zyx_mm, strict=True)
        )
        return Grid(shape, self.spacing_zyx_mm, origin)  # type: ignore[arg-type]


def along_axes(array: Array, matrices: tuple[Array, Array, Array]) -> Array:
    """Apply one matrix (n_out, n_in) per axis z, y, x to a 3D array."""
    # In small blocks: one large product starts OpenBLAS threads, which stand in each other's way for tens of
    # seconds where other work keeps the cores busy.
    for axis, matrix in enumerate(matrices):
        array = apply_along(matrix, array, axis)
    return array


def linear_weights(positions: NDArray, n_in: int) -> Array:
    """Matrix (len(positions), n_in) of linear interpolation at fractional indices, clamped at the ends."""
    position = np.clip(positions, 0, n_in - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(n_in)[None])).astype(np.float32)


def bspline_weights(positions: NDArray, n_in: int) -> Array:
    """Matrix (len(positions), n_in) of cubic B-splines centred on nodes 0 .. n_in - 1."""
    t = np.abs(np.asarray(positions, float)[:, None] - np.arange(n_in)[None])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)


def upsample(coarse: Array, source: Grid, target: Grid) -> Array:
    """Linear interpolation of `coarse` (on `source`) at the nodes of `target`."""
    matrices = []
    for axis in range(3):
        position = (target.axis_mm(axis) - source.origin_zyx_mm[axis]) / source.spacing_zyx_mm[axis]
        matrices.append(linear_weights(position, source.shape_zyx[axis]))
    return along_axes(coarse, tuple(matrices))  # type: ignore[arg-type]


def smooth_field(rng: np.random.Generator, grid: Grid, scale_mm: float | tuple[float, float, float]) -> Array:
    """Gaussian random field of mean 0 and standard deviation 1, correlated over about `scale_mm`.

    Args:
        rng: source of randomness.
        grid: where it is evaluated.
        scale_mm: distance of the B-spline nodes, one for all axes or (z, y, x); structures are about twice
            as wide.

    Returns:
        float32 array of `grid.shape_zyx`.
    """
    scales = (scale_mm,) * 3 if np.isscalar(scale_mm) else scale_mm
    matrices, counts, variance = [], [], 1.0
    for axis, scale in enumerate(scales):  # type: ignore[arg-type]
        span = (grid.shape_zyx[axis] - 1) * grid.spacing_zyx_mm[axis] / scale
        n = int(np.ceil(span)) + 4
        position = np.arange(grid.shape_zyx[axis]) * (grid.spacing_zyx_mm[axis] / scale) + 1 + rng.random()
        matrices.append(bspline_weights(position, n))
        counts.append(n)
        variance *= 0.4794  # mean over positions of the sum of squared cubic B-spline weights (151/315)
    nodes = rng.standard_normal(counts, dtype=np.float32) / np.float32(np.sqrt(variance))
    return along_axes(nodes, tuple(matrices))  # type: ignore[arg-type]


def smooth_max(a: Array, b: Array | float, k: float) -> Array:
    """Maximum with the edge rounded over about `k` mm (intersection of two sdf)."""
    h = np.maximum(k - np.abs(a - b), 0.0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / k)


def smooth_min(a: Array, b: Array | float, k: float) -> Array:
    """Minimum with the edge rounded over about `k` mm (union of two sdf)."""
    h = np.maximum(k - np.abs(a - b), 0.0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / k)


def ellipsoid(
    coords_zyx: tuple[Array, Array, Array],
    centre_zyx: NDArray,
    semi_zyx: NDArray,
    rotation: NDArray | None = None,
) -> Array:
    """Approximate signed distance to an ellipsoid.

    Args:
        coords_zyx: z, y, x body coordinates, mm, broadcastable against each other.
        centre_zyx, semi_zyx: mm.
        rotation: 3 x 3 in z, y, x order, from body axes to the ellipsoid's own.
    """
    d = [c - np.float32(m) for c, m in zip(coords_zyx, centre_zyx, strict=True)]
    if rotation is not None:
        r = np.asarray(rotation, np.float32)
        d = [r[i, 0] * d[0] + r[i, 1] * d[1] + r[i, 2] * d[2] for i in range(3)]
    u = [v * np.float32(1 / s) for v, s in zip(d, semi_zyx, strict=True)]
    w = [v * np.float32(1 / s) for v, s in zip(u, semi_zyx, strict=True)]
    k0 = np.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]) + np.float32(1e-6)
    k1 = np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]) + np.float32(1e-6)
    return k0 * (k0 - 1) / k1


def rotation_zyx(rng: np.random.Generator, degrees: float) -> NDArray:
    """A random small rotation (z, y, x order), angles about each axis of the given standard deviation."""
    a = np.deg2rad(rng.normal(0, degrees, 3))
    return rotation_about(a[0], a[1], a[2])


def rotation_about(about_z: float, about_y: float, about_x: float) -> NDArray:
    """Rotation matrix in z, y, x order from three angles in radians."""
    cz, sz, cy, sy, cx, sx = (f(v) for v in (about_z, about_y, about_x) for f in (np.cos, np.sin))
    rz = np.array([[1, 0, 0], [0, cz, sz], [0, -sz, cz]])
    ry = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    rx = np.array([[cx, sx, 0], [-sx, cx, 0], [0, 0, 1]])
    return rz @ ry @ rx


def spline_path(points_zyx: NDArray, step_mm: float) -> NDArray[np.float64]:
    """Points about `step_mm` apart on a Catmull-Rom curve through `points_zyx` (n, k).

    Columns past z, y, x (radii and the like) are interpolated along.
    """
    p = np.asarray(points_zyx, float)
    padded = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    out = []
    for i in range(len(p) - 1):
        a, b, c, d = padded[i : i + 4]
        n = max(2, int(np.ceil(np.linalg.norm((c - b)[:3]) / step_mm)))
        t = (np.arange(n) / n)[:, None]
        out.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.vstack([*out, p[-1:]])


def tube(grid: Grid, path_zyxr: NDArray, margin_mm: float = 6.0) -> tuple[Box, Array, NDArray[np.int16]]:
    """Signed distance to a tube of varying radius.

    Args:
        grid: where it is wanted.
        path_zyxr: (n, 4) points z, y, x with radius, mm, dense (a step below the radius).
        margin_mm: how far outside the tube distances are right; beyond, they are large.

    Returns:
        (box, sdf, nearest): the part of the grid, distances on it, and the index of the nearest path point.
    """
    path = np.asarray(path_zyxr, np.float32)
    reach = path[:, 3:] + np.float32(margin_mm)
    low, high = path[:, :3] - reach, path[:, :3] + reach
    box = grid.box(low.min(0), high.max(0))
    part = grid.part(box)
    sdf = np.full(part.shape_zyx, 60.0, np.float32)
    nearest = np.zeros(part.shape_zyx, np.int16)
    axes = [part.axis_mm(a) for a in range(3)]
    for i in range(len(path)):
        b = part.box(low[i], high[i])
        if any(s.stop <= s.start for s in b):
            continue
        z, y, x = ((axes[a][b[a]] - path[i, a]) ** 2 for a in range(3))
        d = np.sqrt(z[:, None, None] + y[:, None] + x) - path[i, 3]
        closer = d < sdf[b]
        sdf[b][closer] = d[closer]
        nearest[b][closer] = i
    return box, sdf, nearest
