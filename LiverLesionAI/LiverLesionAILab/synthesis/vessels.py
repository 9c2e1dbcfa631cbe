"""Branching vessel trees that fill an organ, grown by constrained attachment of terminals.

Every new terminal joins the tree where that costs least length against the direction of flow; radii follow
Murray's law (Murray CD, Proc Natl Acad Sci 1926;12:207-214: r^3 of the parent is the sum of the children's).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grow_tree(
    rng: np.random.Generator,
    trunk_zyx: list[NDArray],
    terminals_zyx: NDArray,
    root_radius_mm: float,
    exponent: float = 2.8,
) -> list[NDArray]:
    """Grow a tree from trunk lines to terminals.

    Args:
        rng: source of randomness.
        trunk_zyx: polylines (n, 3); the first starts at the root, each other one starts at a point of an
            earlier one.
        terminals_zyx: (m, 3) points to reach.
        root_radius_mm: radius at the root.
        exponent: of Murray's law.

    Returns:
        Segments as (2, 4) arrays of z, y, x, radius, ordered from the root outwards.
    """
    nodes, parent = _trunk(trunk_zyx)
    n_max = len(nodes) + 8 * len(terminals_zyx) + 8
    xyz = np.empty((n_max, 3))
    direction = np.zeros((n_max, 3))
    n = len(nodes)
    xyz[:n] = nodes
    for i in range(1, n):
        d = xyz[i] - xyz[parent[i]]
        direction[i] = d / (np.linalg.norm(d) + 1e-9)
    # Far apart first: the big branches form before the small ones fill in.
    for target in terminals_zyx[spread_order(terminals_zyx)]:
        delta = target - xyz[:n]
        length = np.linalg.norm(delta, axis=1) + 1e-9
        cosine = np.einsum("ij,ij->i", delta, direction[:n]) / length
        at = int(np.argmin(length * (1.45 - 0.45 * cosine)))
        steps = int(np.clip(np.ceil(length[at] / 9.0), 1, 6))
        start, heading = xyz[at].copy(), direction[at].copy()
        for k in range(1, steps + 1):
            t = k / steps
            # Leaves along the parent's direction, then bends to the target.
            bend = heading * length[at] * 0.35 * t * (1 - t)
            wiggle = rng.normal(0, 0.035 * length[at], 3) if k < steps else 0.0
            xyz[n] = start + delta[at] * t + bend + wiggle
            parent.append(at if k == 1 else n - 1)
            d = xyz[n] - xyz[parent[n]]
            direction[n] = d / (np.linalg.norm(d) + 1e-9)
            n += 1
    radius = murray_radii(parent, root_radius_mm, exponent)
    return [
        np.array([[*xyz[parent[i]], (radius[i] * 2 + radius[parent[i]]) / 3], [*xyz[i], radius[i]]])
        for i in range(1, n)
    ]


def _trunk(lines_zyx: list[NDArray]) -> tuple[list[NDArray], list[int]]:
    """Points of the trunk lines, and each one's parent; -1 is the root's."""
    nodes: list[NDArray] = []
    parent: list[int] = []
    for line in lines_zyx:
        points = np.asarray(line, float)
        if not nodes:
            nodes.append(points[0])
            parent.append(-1)
            last = 0
        else:
            last = int(np.argmin(np.linalg.norm(np.array(nodes) - points[0], axis=1)))
        for p in points[1:]:
            nodes.append(p)
            parent.append(last)
            last = len(nodes) - 1
    return nodes, parent


def murray_radii(parent: list[int], root_radius_mm: float, exponent: float) -> NDArray[np.float64]:
    """Murray's law: every leaf takes the same flow; parents come before their children."""
    n = len(parent)
    flow = np.zeros(n)
    has_child = np.zeros(n, bool)
    has_child[[p for p in parent if p >= 0]] = True
    flow[~has_child] = 1.0
    for i in range(n - 1, 0, -1):
        flow[parent[i]] += flow[i]
    return root_radius_mm * (flow / flow[0]) ** (1 / exponent)


def spread_order(points: NDArray) -> NDArray[np.intp]:
    """Farthest-point order of (m, 3) points."""
    distance = np.linalg.norm(points - points.mean(0), axis=1)
    order = np.empty(len(points), int)
    for i in range(len(points)):
        order[i] = int(np.argmax(distance))
        distance = np.minimum(distance, np.linalg.norm(points - points[order[i]], axis=1))
        distance[order[i]] = -1
    return order


def dense(segments: list[NDArray], step_share: float = 0.6) -> NDArray[np.float64]:
    """Points along the segments, closer than `step_share` of the radius: (n, 4) z, y, x, radius."""
    out = []
    for a, b in segments:
        r = max(0.4, min(a[3], b[3]))
        n = max(1, int(np.ceil(np.linalg.norm((b - a)[:3]) / (step_share * r))))
        t = (np.arange(n) / n)[:, None]
        out.append(a + (b - a) * t)
    return np.vstack(out) if out else np.zeros((0, 4))
