"""Trees grown from labelled trunks to labelled terminals: every piece knows its branch.

The cost of joining is that of :mod:`..vessels`; here a terminal joins its own branch only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..vessels import murray_radii, spread_order


@dataclass(frozen=True, eq=False)
class Trunk:
    """A large vessel as it is laid.

    Attributes:
        branch: its label, see :class:`.habit.Branch`.
        points_zyx: (n, 3) mm from its origin outwards; the first lies on an earlier trunk.
    """

    branch: int
    points_zyx: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tree:
    """A grown tree.

    Attributes:
        nodes_zyx: (n, 3) body coordinates, mm; parents come before their children.
        parent: (n,) index of each node's parent, -1 of the root.
        radius_mm: (n,); branch: (n,) label of the piece that ends at the node.
    """

    nodes_zyx: NDArray[np.float64]
    parent: NDArray[np.intp]
    radius_mm: NDArray[np.float64]
    branch: NDArray[np.uint8]

    def pieces(self) -> list[tuple[NDArray[np.float64], int]]:
        """(2, 4) arrays of z, y, x, radius from parent to node, each with its branch."""
        out = []
        for i in range(1, len(self.nodes_zyx)):
            p = self.parent[i]
            near = (self.radius_mm[i] * 2 + self.radius_mm[p]) / 3
            ends = [[*self.nodes_zyx[p], near], [*self.nodes_zyx[i], self.radius_mm[i]]]
            out.append((np.array(ends), int(self.branch[i])))
        return out


def grow(
    rng: np.random.Generator,
    trunks: Sequence[Trunk],
    terminals: Sequence[tuple[NDArray[np.float64], tuple[int, ...]]],
    radius_mm: float,
    least_mm: float = 0.55,
) -> Tree:
    """Grow a tree.

    Args:
        rng: source of randomness.
        trunks: laid first; the first one's first point is the root.
        terminals: points (m, 3) to reach, with the branches they may join.
        radius_mm: at the root.
        least_mm: thinnest radius.
    """
    nodes, parent, branch = _laid(trunks)
    direction = [np.zeros(3)]
    for i in range(1, len(nodes)):
        direction.append(_unit(nodes[i] - nodes[parent[i]]))
    for points, allowed in terminals:
        for target in points[spread_order(points)] if len(points) else ():
            own = [i for i, label in enumerate(branch) if label in allowed]
            if own:
                _join(rng, target, own, nodes, parent, branch, direction)
    radius = np.maximum(murray_radii(parent, radius_mm, 2.8), least_mm)
    return Tree(np.array(nodes), np.array(parent), radius, np.array(branch, np.uint8))


def _laid(trunks: Sequence[Trunk]) -> tuple[list[NDArray], list[int], list[int]]:
    nodes: list[NDArray] = []
    parent: list[int] = []
    branch: list[int] = []
    for trunk in trunks:
        points = list(trunk.points_zyx)
        if nodes:
            last = int(np.argmin(np.linalg.norm(np.array(nodes) - points[0], axis=1)))
        else:
            nodes, parent, branch, last = [points[0]], [-1], [trunk.branch], 0
        for point in points[1:]:
            nodes.append(point)
            parent.append(last)
            branch.append(trunk.branch)
            last = len(nodes) - 1
    return nodes, parent, branch


def _join(
    rng: np.random.Generator,
    target: NDArray,
    own: list[int],
    nodes: list[NDArray],
    parent: list[int],
    branch: list[int],
    direction: list[NDArray],
) -> None:
    """One terminal: it leaves along its parent's direction, then bends to the target."""
    index = np.array(own)
    delta = target - np.array([nodes[i] for i in own])
    length = np.linalg.norm(delta, axis=1) + 1e-9
    cosine = np.einsum("ij,ij->i", delta, np.array([direction[i] for i in own])) / length
    pick = int(np.argmin(length * (1.45 - 0.45 * cosine)))
    at, reach = int(index[pick]), float(length[pick])
    steps = int(np.clip(np.ceil(reach / 8.0), 1, 8))
    start, heading, label = nodes[at], direction[at], branch[at]
    for k in range(1, steps + 1):
        t = k / steps
        wiggle = rng.normal(0, 0.03 * reach, 3) if k < steps else np.zeros(3)
        parent.append(at if k == 1 else len(nodes) - 1)
        nodes.append(start + delta[pick] * t + heading * reach * 0.3 * t * (1 - t) + wiggle)
        branch.append(label)
        direction.append(_unit(nodes[-1] - nodes[parent[-1]]))


def _unit(vector: NDArray) -> NDArray[np.float64]:
    return np.asarray(vector / (np.linalg.norm(vector) + 1e-9))


def dense_points(tree: Tree, step_mm: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points (n, 4) z, y, x, radius along the tree's middle lines, and each one's branch.

    No two neighbours are more than `step_mm` apart.
    """
    points, labels = [], []
    for piece, branch in tree.pieces():
        count = max(1, int(np.ceil(np.linalg.norm(piece[1, :3] - piece[0, :3]) / step_mm)))
        t = (np.arange(count) + 1)[:, None] / count
        points.append(piece[0] + (piece[1] - piece[0]) * t)
        labels.append(np.full(count, branch, np.uint8))
    return np.vstack(points), np.concatenate(labels)
