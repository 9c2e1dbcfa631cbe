"""The best star-shaped surface round a point: one radius a direction, found exactly as a minimum cut.

After Li, Wu, Chen and Sonka, "Optimal surface segmentation in volumetric images: a graph-theoretic
approach", IEEE TPAMI 28 (2006), in polar form with radii in equal ratios, so that large and small surfaces
may bend alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import ConvexHull, cKDTree

from ...volume.geometry import Index3

RATIO = 1.08
"""Of a radius to the one below it."""

SLACK = 2
"""Radii that two neighbouring directions, some 17 degrees apart, may differ by: a slope of 30 degrees."""

STIFFNESS = 0.02
"""Cost of a step between two neighbouring directions, in costs of as much volume."""

_UNITS = 20000.0
"""Whole numbers of the cut to one of the cost."""

_ALWAYS = 2**28


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions spread evenly over the sphere.

    Attributes:
        unit_zyx: (n, 3), of length 1.
        pairs: (m, 2), neighbours.
    """

    unit_zyx: NDArray[np.float64]
    pairs: NDArray[np.int_]


@lru_cache(maxsize=1)
def directions() -> Directions:
    """162 directions: an icosahedron's corners, its edges halved twice."""
    golden = (1 + 5**0.5) / 2
    unit = np.array(
        [np.roll((0.0, a, b * golden), turn) for turn in range(3) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    )
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    for _ in range(2):
        edges = _edges(unit)
        halves = unit[edges].sum(axis=1)
        unit = np.concatenate([unit, halves / np.linalg.norm(halves, axis=1, keepdims=True)])
    return Directions(unit, _edges(unit))


@lru_cache(maxsize=1)
def _tree() -> cKDTree:
    return cKDTree(directions().unit_zyx)


def _edges(unit: NDArray[np.float64]) -> NDArray[np.int_]:
    faces = ConvexHull(unit).simplices
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


@dataclass(frozen=True, eq=False)
class Shells:
    """Radii of the shells that a direction is cut into.

    Attributes:
        outer_mm: (k,), rising.
    """

    outer_mm: NDArray[np.float64]

    @classmethod
    def up_to(cls, reach_mm: float, first_mm: float = 1.0) -> Shells:
        """Shells from the point to `reach_mm`."""
        steps = int(np.log(reach_mm / first_mm) / np.log(RATIO))
        return cls(first_mm * RATIO ** np.arange(steps + 1))

    @property
    def middle_mm(self) -> NDArray[np.float64]:
        """(k,), where a shell is looked at."""
        return (self.outer_mm + np.concatenate([[0.0], self.outer_mm[:-1]])) / 2

    @property
    def volume(self) -> NDArray[np.float64]:
        """(k,), mm3 to the unit of solid angle."""
        inner = np.concatenate([[0.0], self.outer_mm[:-1]])
        return (self.outer_mm**3 - inner**3) / 3


def points_along(at: Index3, radius_mm: NDArray, spacing_zyx_mm: tuple[float, float, float]) -> NDArray:
    """Places on the rays from a voxel, (3, n, k) voxels; `radius_mm`: (n, k), or (1, k) for all of them."""
    rays = directions().unit_zyx.T[:, :, None] * radius_mm[None]
    return np.array(at, float)[:, None, None] + rays / np.array(spacing_zyx_mm)[:, None, None]


def best_surface(cost: NDArray[np.float64], shells: Shells) -> NDArray[np.int_]:
    """How many shells of every direction lie within the surface of least cost; at least one.

    Args:
        cost: (n, k), of having a shell within, for each mm3 of it; negative where it belongs there.

    Returns:
        (n,), 1 to k.
    """
    volume = shells.volume
    whole = np.round(cost * volume / volume.mean() * _UNITS).astype(np.int64)
    whole[:, 0] = -(_ALWAYS // 4)
    skeleton = _skeleton(*whole.shape)
    step = np.round(STIFFNESS * _UNITS * shells.outer_mm**3 / volume.mean()).astype(np.int64)
    values = np.concatenate(
        [
            np.maximum(-whole, 0).ravel(),
            np.maximum(whole, 0).ravel(),
            np.full(skeleton.always, _ALWAYS),
            np.tile(step, skeleton.stiff),
        ]
    )
    graph = skeleton.graph(np.minimum(values, _ALWAYS).astype(np.int32))
    flow = maximum_flow(graph, skeleton.source, skeleton.source + 1).flow
    left = graph - flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    within = np.zeros(skeleton.source + 2, bool)
    within[breadth_first_order(left, skeleton.source, return_predecessors=False)] = True
    return within[: skeleton.source].reshape(whole.shape).sum(axis=1)


@dataclass(frozen=True, eq=False)
class _Skeleton:
    """The graph of a cut, without capacities.

    Attributes:
        source: its node; the sink is the next, a shell's is direction * shells + shell.
        always, stiff: how many edges of these kinds there are: the latter in rows of one edge a shell.
        order, columns, starts: CSR, and which edge stands where.
    """

    source: int
    always: int
    stiff: int
    order: NDArray[np.int_]
    columns: NDArray[np.int32]
    starts: NDArray[np.int32]

    def graph(self, capacities: NDArray[np.int32]) -> sparse.csr_matrix:
        size = self.source + 2
        graph = sparse.csr_matrix(
            (capacities[self.order], self.columns.copy(), self.starts.copy()), shape=(size, size)
        )
        graph.sum_duplicates()
        return graph


@lru_cache(maxsize=8)
def _skeleton(count: int, shells: int) -> _Skeleton:
    node = np.arange(count * shells).reshape(count, shells)
    source = count * shells
    pairs = directions().pairs
    both = np.concatenate([pairs, pairs[:, ::-1]])
    here, there = node[both[:, 0]], node[both[:, 1]]
    # A shell within takes the one below it, and those of neighbours that are not too far below, with it.
    always = [(node[:, 1:], node[:, :-1]), (here[:, SLACK:], there[:, : shells - SLACK])]
    parts = [(np.full(source, source), node), (node, np.full(source, source + 1)), *always, (here, there)]
    rows = np.concatenate([np.ravel(a) for a, _ in parts])
    columns = np.concatenate([np.ravel(b) for _, b in parts])
    order = np.lexsort((columns, rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=source + 2))])
    return _Skeleton(
        source,
        sum(a.size for a, _ in always),
        len(both),
        order,
        columns[order].astype(np.int32),
        starts.astype(np.int32),
    )


def within_surface(
    shape_zyx: Index3, at: Index3, radius_mm: NDArray[np.float64], spacing_zyx_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """The voxels within a surface, between directions by the nearest three."""
    spacing = np.array(spacing_zyx_mm)
    reach = np.ceil(radius_mm.max() / spacing).astype(int)
    box = tuple(slice(max(0, a - r), min(n, a + r + 1)) for a, r, n in zip(at, reach, shape_zyx, strict=True))
    axes = [(np.arange(s.start, s.stop) - a) * step for s, a, step in zip(box, at, spacing, strict=True)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm(offset, axis=1)
    within = distance <= radius_mm.min()
    # Between directions a surface lies between theirs, so that nothing nearer or farther is in doubt.
    (doubt,) = np.nonzero(~within & (distance <= radius_mm.max()))
    way = offset[doubt] / distance[doubt, None]
    apart, near = _tree().query(way, k=3)
    # Minus half of a squared chord is a cosine less one.
    weight = np.exp(-np.square(apart) / 0.04)
    radius = np.exp((weight * np.log(radius_mm[near])).sum(axis=1) / weight.sum(axis=1))
    within[doubt] = distance[doubt] <= radius
    found = np.zeros(shape_zyx, bool)
    found[box] = within.reshape([s.stop - s.start for s in box])
    return found
