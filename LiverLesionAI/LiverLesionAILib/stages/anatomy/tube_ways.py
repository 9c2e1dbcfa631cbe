"""Ways along the tubes to the roots of both trees, and what a tube looks like on them.

What a reader follows: which root is nearer without sharp turns and without squeezing through a touching
point, how narrow the way gets, and whether the tube grows thinner away from a root, as a branch of it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import breadth_first_order, dijkstra, minimum_spanning_tree
from scipy.sparse.linalg import cg

from ...volume.masks import components
from .tube_shape import COURSE_VOXELS, Course, courses, filled_around, voxel_pairs

Floats = NDArray[np.float64]
NEIGHBOUR_VOXELS = 2.3
GAP_VOXELS = 4.2
"""Pieces of tubes so far apart may be one tube with a gap."""
COURSES_VOXELS = (1.2, 2.0, 3.5)
"""Neighbourhoods that the tubes' directions are read in; the middle one is the usual one."""
ALIKE, ACROSS_GAP = 8, 0.02
"""How strictly a neighbour must run the same way, and how much less it says across a gap."""
FARTHEST, TURN, LONGER_GAP = 3e3, 8.0, 4.0
"""The longest way, in voxels; how much longer a step across the course is, and one over a gap."""
LEAK = 1e-3
TAPER_STEPS, HEARD_STEPS = (8, 40, 150), (15, 80)
"""Steps along the tubes within which taper is read, and within which others' signs are heard."""
SOLVED, MOST_ROUNDS = 1e-3, 250
"""Of the equations along the tubes: residual, rounds of conjugate gradients."""


@dataclass(frozen=True, eq=False)
class TubePairs:
    """Tube voxels and which of them are beside each other, directly or over a gap between pieces.

    Attributes:
        nodes: (n, 3) index z, y, x; filled: (n,) 0..1, see :func:`~.tube_shape.filled_around`.
        directions, straight: by :data:`COURSES_VOXELS`, of :func:`~.tube_shape.courses`.
        first, second: (m,) of the nodes; gap: (m,) bool; length: (m,) voxels; step: (m, 3), of length 1.
    """

    nodes: NDArray[np.int64]
    filled: Floats
    directions: tuple[NDArray[np.float32], ...]
    straight: tuple[NDArray[np.float32], ...]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    gap: NDArray[np.bool_]
    length: NDArray[np.float32]
    step: NDArray[np.float32]

    @classmethod
    def of(cls, tubes_zyx: NDArray[np.bool_], usual: Course | None = None) -> TubePairs:
        """Pairs of a mask of at least two voxels.

        Args:
            usual: :func:`~.tube_shape.courses` of it in the usual neighbourhood, where they are known.
        """
        near = voxel_pairs(tubes_zyx, NEIGHBOUR_VOXELS)
        pieces, count = components(tubes_zyx)
        # Between voxels of two pieces nothing is filled all along the way.
        far = voxel_pairs(tubes_zyx, GAP_VOXELS if count > 1 else 0.0, NEIGHBOUR_VOXELS, around=True)
        piece = pieces[tubes_zyx]
        apart = piece[far[0]] != piece[far[1]]
        gap = np.r_[np.zeros(len(near[0]), bool), np.ones(np.count_nonzero(apart), bool)]
        first, second, steps = (np.concatenate([a, b[apart]]) for a, b in zip(near, far, strict=True))
        step = steps.astype(np.float32)
        length = np.linalg.norm(step, axis=1)
        known = {COURSE_VOXELS: usual}
        read = [known.get(voxels) or courses(tubes_zyx, voxels) for voxels in COURSES_VOXELS]
        directions, straight = zip(*read, strict=True)
        step /= length[:, None]
        filled = filled_around(tubes_zyx)
        return cls(np.argwhere(tubes_zyx), filled, directions, straight, first, second, gap, length, step)

    def along(self, scale: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Cosines (m,) of each pair's directions, and of either's with the step between them."""
        own = self.directions[scale]
        one, other = own[self.first], own[self.second]
        return _cosine(one, other), _cosine(one, self.step), _cosine(other, self.step)

    @cached_property
    def same_course(self) -> Floats:
        """(m,) how much a pair runs the same way, one behind the other."""
        alike, one, other = self.along(1)
        weight = alike**ALIKE * (0.1 + one * other) + 1e-4
        weight[self.gap] *= ACROSS_GAP
        return weight.astype(np.float64)

    @cached_property
    def thinner(self) -> Floats:
        """(m,) how filled the surroundings of the thinner one are."""
        return np.minimum(self.filled[self.first], self.filled[self.second])

    @cached_property
    def _places(self) -> csr_matrix:
        """Symmetric (n, n): at each pair its number, at each node the number of pairs and its own."""
        count, own = len(self.first), np.arange(len(self.nodes))
        numbers = np.r_[np.arange(count), np.arange(count), count + own]
        at = (np.r_[self.first, self.second, own], np.r_[self.second, self.first, own])
        return coo_matrix((numbers, at), shape=(len(own),) * 2).tocsr()

    @cached_property
    def _beside(self) -> csr_matrix:
        """The same without the nodes' own."""
        whole = self._places
        pairs = whole.data < len(self.first)
        ends = np.r_[0, np.cumsum(pairs)][whole.indptr]
        return csr_matrix((whole.data[pairs], whole.indices[pairs], ends), shape=whole.shape)

    def matrix(self, values: NDArray) -> csr_matrix:
        """Symmetric (n, n) with a value for each pair."""
        return _with(self._beside, values)

    @cached_property
    def spreading(self) -> csr_matrix:
        """(n, n) that gives each voxel the mean of those on the same course."""
        beside = self.matrix(self.same_course)
        sums = np.maximum(np.asarray(beside.sum(axis=1)).ravel(), 1e-9)
        beside.data *= np.repeat(1.0 / sums, np.diff(beside.indptr))
        return beside

    def solved(self, weights: NDArray, own: NDArray, signs: NDArray, begin: NDArray | None = None) -> Floats:
        """(n,) x of least sum own (x - signs)^2 + sum over pairs weights (x_i - x_j)^2.

        Args:
            begin: (n,) what is changed until it fits; by default `signs`.
        """
        weights = weights.astype(np.float64)
        whole = np.asarray(self.matrix(weights).sum(axis=1)).ravel() + own + 1e-9
        system, before = _with(self._places, np.r_[-weights, whole]), diags(1.0 / whole)
        found, _ = cg(
            system,
            own * signs,
            x0=signs if begin is None else begin,
            rtol=SOLVED,
            maxiter=MOST_ROUNDS,
            M=before,
        )
        return np.asarray(found)


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m,) of directions (m, 3) of either sign; numpy's sum over so short an axis is slow."""
    return np.asarray(np.abs(one[:, 0] * other[:, 0] + one[:, 1] * other[:, 1] + one[:, 2] * other[:, 2]))


def _with(places: csr_matrix, values: NDArray) -> csr_matrix:
    """A matrix of the values that another one has the numbers of."""
    return csr_matrix((values[places.data], places.indices, places.indptr), shape=places.shape)


def ways(pairs: TubePairs, hepatic: NDArray[np.intp], portal: NDArray[np.intp]) -> Floats:
    """(n, 18) of the tubes' voxels.

    By length with turns, by narrowness, and by both: logarithm of hepatic to portal way, then each of the
    two; the narrowest place on the widest way to either root, and the difference; then for two ways to lead a
    current between the roots (by course, by course and width): its potential, that without loss, and what is
    left of it.

    Args:
        hepatic, portal: of the tubes' voxels those in either root.
    """
    turns = 1.0 + TURN * (1.0 - np.sqrt(np.minimum(pairs.same_course, 1.0)))
    leap = np.where(pairs.gap, LONGER_GAP, 1.0)
    narrow = pairs.length / (0.1 + pairs.thinner)
    columns: list[Floats] = []
    for cost in (pairs.length * turns, narrow, narrow * turns):
        graph = pairs.matrix(cost * leap)
        one, other = (_shortest(graph, seeds) for seeds in (hepatic, portal))
        usual = np.median(np.minimum(one, other)) + 1.0
        ratio = np.log((one + 0.1 * usual) / (other + 0.1 * usual))
        columns += [ratio, np.log1p(one / usual), np.log1p(other / usual)]
    tightness = 1.5 - pairs.thinner + np.where(pairs.gap, 0.5, 0.0)
    tree = minimum_spanning_tree(pairs.matrix(tightness))
    widths = [_narrowest(tree, seeds) for seeds in (hepatic, portal)]
    columns += [*widths, widths[0] - widths[1]]
    for weights in (pairs.same_course, pairs.same_course * pairs.thinner**2):
        columns += _potential(pairs, weights, hepatic, portal)
    return np.stack(columns, axis=1)


def _shortest(graph: csr_matrix, seeds: NDArray[np.intp]) -> Floats:
    if not len(seeds):
        return np.full(graph.shape[0], FARTHEST)
    away = dijkstra(graph, directed=False, indices=seeds, min_only=True)
    return np.asarray(np.minimum(away, FARTHEST))


def _narrowest(tree: csr_matrix, seeds: NDArray[np.intp]) -> Floats:
    """(n,) how filled the narrowest place is on the widest way from a root; -0.5 where there is none.

    Args:
        tree: minimum spanning tree of the pairs' tightness.
    """
    count = tree.shape[0]
    if not len(seeds):
        return np.zeros(count)
    # One node beyond them all stands for the root.
    one, edges = tree.tocoo(), np.full(len(seeds), 1e-3)
    rows, columns = np.r_[one.row, np.full(len(seeds), count)], np.r_[one.col, seeds]
    joined = coo_matrix((np.r_[one.data, edges], (rows, columns)), shape=(count + 1,) * 2)
    rooted = minimum_spanning_tree(joined.tocsr())
    rooted = (rooted + rooted.T).tocsr()
    order, before = breadth_first_order(rooted, count, directed=False)
    reached = order[1:]
    above, worst = np.arange(count + 1), np.full(count + 1, 2.0)
    above[reached], worst[reached] = before[reached], np.asarray(rooted[reached, before[reached]]).ravel()
    worst[count] = 0.0
    # Each looks as far up as what it looked at last does: twice as far every time.
    while (above[reached] != count).any():
        worst, above = np.maximum(worst, worst[above]), above[above]
    return np.asarray(1.5 - worst[:count])


def _potential(
    pairs: TubePairs, weights: Floats, hepatic: NDArray[np.intp], portal: NDArray[np.intp]
) -> list[Floats]:
    """1 in the hepatic root, -1 in the portal one, between them by what the tubes lead; lost on the way."""
    count = len(pairs.nodes)
    beside = np.bincount(pairs.first, weights, count) + np.bincount(pairs.second, weights, count)
    own, signs = LEAK * beside, np.zeros(count)
    for seeds in (hepatic, portal):
        own[seeds] += beside[seeds]
    signs[portal], signs[hepatic] = -1.0, 1.0
    potential = pairs.solved(weights, own, signs)
    kept = pairs.solved(weights, own, np.abs(signs))
    return [potential, potential / np.maximum(kept, 1e-3), np.log(np.maximum(kept, 1e-4))]


def tapers(pairs: TubePairs, hepatic_mm: Floats, portal_mm: Floats) -> Floats:
    """(n, 18) of the tubes' voxels: how their width changes away from either root.

    Within each of :data:`TAPER_STEPS`: slope of the width over the hepatic and over the portal way, spread of
    both ways (logarithm), their correlation, and the mean width.

    Args:
        hepatic_mm, portal_mm: (n,) along the tubes.
    """
    one, other = (np.minimum(way, 300.0) / 10.0 for way in (hepatic_mm, portal_mm))
    wide = pairs.filled
    moved = pairs.spreading
    means = np.stack([one, other, wide, one * one, other * other, one * wide, other * wide, one * other], 1)
    columns: list[Floats] = []
    done = 0
    for steps in TAPER_STEPS:
        for _ in range(steps - done):
            means = 0.2 * means + 0.8 * (moved @ means)
        done = steps
        a, b, w, aa, bb, aw, bw, ab = means.T
        spread_a, spread_b = aa - a * a + 0.05, bb - b * b + 0.05
        together = (ab - a * b) / np.sqrt(spread_a * spread_b)
        slopes = [(aw - a * w) / spread_a, (bw - b * w) / spread_b]
        columns += [*slopes, np.log(spread_a), np.log(spread_b), together, w]
    return np.stack(columns, axis=1)


def heard(pairs: TubePairs, signs: Floats) -> Floats:
    """(n, 2 k) of the tubes' voxels: their signs (n, k) spread along the tubes by :data:`HEARD_STEPS`."""
    moved, columns, done = pairs.spreading, [], 0
    for steps in HEARD_STEPS:
        for _ in range(steps - done):
            signs = moved @ signs
        done = steps
        columns.append(signs)
    return np.concatenate(columns, axis=1)
