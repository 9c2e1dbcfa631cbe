"""The large vessels: portal trunk to the segments' branches, hepatic veins along the sectors' borders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..abdomen import Scene
from ..fields import Array, Grid, spline_path
from .growth import Trunk
from .habit import Branch, Habit, PortalForm
from .sectors import Frame

# Which segments lie on either side of each hepatic vein, and which way it comes from (z, y, x).
BORDERS: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[float, float, float]]] = {
    Branch.HEPATIC_RIGHT: ((5, 8), (6, 7), (-0.7, 0.1, -0.7)),
    Branch.HEPATIC_MIDDLE: ((4, 9), (5, 8), (-0.7, -0.7, -0.15)),
    Branch.HEPATIC_LEFT: ((2,), (3,), (-0.2, -0.45, 0.85)),
}
LEAST_VOXELS = 40
"""A segment of fewer voxels of the coarse grid has no branch of its own: it is cut away."""


def centres(part: Grid, codes: NDArray[np.uint8], distance: Array) -> dict[int, NDArray[np.float64]]:
    """Deep middle of every segment that is there: the point its branch heads for, mm."""
    out = {}
    for code in range(1, 10):
        where = np.argwhere(codes == code)
        if len(where) < LEAST_VOXELS:
            continue
        middle = where.mean(0)
        deep = where[distance[tuple(where.T)] <= np.median(distance[tuple(where.T)])]
        nearest = deep[np.argmin(np.linalg.norm(deep - middle, axis=1))]
        out[code] = nearest * np.array(part.spacing_zyx_mm) + np.array(part.origin_zyx_mm)
    return out


def portal_trunks(
    scene: Scene, frame: Frame, habit: Habit, goals: Mapping[int, NDArray[np.float64]]
) -> tuple[list[Trunk], dict[str, NDArray[np.float64]]]:
    """Trunks of the portal vein, and the landmarks on them (z, y, x, mm).

    Args:
        goals: of :func:`centres`.
    """
    b = frame.bifurcation
    root = scene.place([(-130, -10, -12), (-112, -12, -22)], 2.0)
    right_fork = b + _jittered(scene, (6, 4, -17))
    anterior_fork = right_fork + _jittered(scene, (5, -14, -13))
    posterior_fork = right_fork + _jittered(scene, (-3, 13, -16))
    bend_y, end_y = b[1] - 9, b[1] - 34
    bend = np.array([b[0] + 14, bend_y, frame.fissure_x(bend_y)])
    end = np.array([b[0] + 17, end_y, frame.fissure_x(end_y)])
    left_from = b + _jittered(scene, (4, -3, 11))
    lines: list[tuple[int, list[NDArray]]] = [(Branch.PORTAL_MAIN, [*root, b])]
    has_right = any(code in goals for code in (5, 6, 7, 8))
    right_origin = right_fork
    if habit.portal in (PortalForm.TRIFURCATION, PortalForm.POSTERIOR_FIRST):
        right_origin = b
    elif has_right:
        lines.append((Branch.PORTAL_RIGHT, [b, (b + right_fork) / 2 + (1, 0, 0), right_fork]))
    left_lines = [b, left_from, (left_from + bend) / 2 + (2, 2, 0), bend]
    if any(code in goals for code in (1, 2, 3, 4, 9)):
        lines.append((Branch.PORTAL_LEFT, left_lines))
    if any(code in goals for code in (5, 8)):
        start = left_from if habit.portal is PortalForm.ANTERIOR_FROM_LEFT else right_origin
        lines.append((Branch.PORTAL_RIGHT_ANTERIOR, [start, (start + anterior_fork) / 2, anterior_fork]))
    if any(code in goals for code in (6, 7)):
        start = root[-1] if habit.portal is PortalForm.POSTERIOR_FIRST else right_origin
        lines.append((Branch.PORTAL_RIGHT_POSTERIOR, [start, (start + posterior_fork) / 2, posterior_fork]))
    if any(code in goals for code in (2, 3, 4, 9)):
        lines.append((Branch.PORTAL_UMBILICAL, [bend, (bend + end) / 2, end]))
    origin = {
        1: left_lines[2],
        2: bend,
        3: end,
        4: (bend + 2 * end) / 3,
        9: end,
        5: anterior_fork,
        8: anterior_fork,
        6: posterior_fork,
        7: posterior_fork,
    }
    for code, goal in goals.items():
        start = origin[code]
        side = scene.rng.normal(0, 0.07 * np.linalg.norm(goal - start), 3)
        lines.append((Branch.SEGMENT + code, [start, (start + goal) / 2 + side, goal]))
    landmarks = {"portal bifurcation": b}
    if has_right and habit.portal is PortalForm.USUAL:
        landmarks["right portal fork"] = right_fork
    if any(code in goals for code in (2, 3, 4, 9)):
        landmarks |= {"umbilical portion, bend": bend, "umbilical portion, end": end}
    return [Trunk(branch, _smooth(points)) for branch, points in lines], landmarks


def hepatic_trunks(
    scene: Scene,
    part: Grid,
    codes: NDArray[np.uint8],
    distance: Array,
    frame: Frame,
    habit: Habit,
    goals: Mapping[int, NDArray[np.float64]],
) -> tuple[dict[int, list[Trunk]], dict[str, NDArray[np.float64]]]:
    """Trunks of every hepatic vein by its branch, each from the IVC, and the landmarks on them."""
    c = frame.confluence
    joint = c + _jittered(scene, (-4, -19, 5), 1.5)
    starts = {
        Branch.HEPATIC_RIGHT: c + np.array([-2.0, -1.0, -11.0]),
        Branch.HEPATIC_MIDDLE: joint if habit.common_trunk else c + np.array([0.0, -11.0, -3.0]),
        Branch.HEPATIC_LEFT: joint if habit.common_trunk else c + np.array([0.0, -11.0, 5.0]),
    }
    trunks: dict[int, list[Trunk]] = {}
    landmarks: dict[str, NDArray[np.float64]] = {}
    for branch, (one, other, towards) in BORDERS.items():
        course = border_course(part, codes, distance, (one, other), starts[Branch(branch)], towards)
        if course is None:
            continue
        begin = [c, joint] if branch != Branch.HEPATIC_RIGHT and habit.common_trunk else [c]
        common = [Trunk(Branch.HEPATIC_COMMON, _smooth(begin))] if len(begin) > 1 else []
        own = Trunk(branch, np.vstack([begin[-1][None], course]))
        trunks[branch] = [*common, own]
        name = {31: "right", 32: "middle", 33: "left"}[int(branch)]
        landmarks[f"{name} hepatic vein, mouth"] = starts[Branch(branch)]
        landmarks[f"{name} hepatic vein, middle"] = course[len(course) // 2]
    if habit.right_inferior and 6 in goals:
        low = frame.ivc_low + np.array([-4.0, 0.0, 0.0])
        beside = low + np.array([-2.0, 2.0, -13.0])
        points = _smooth([low, beside, (beside + goals[6]) / 2, goals[6]])
        trunks[Branch.HEPATIC_RIGHT_INFERIOR] = [Trunk(Branch.HEPATIC_RIGHT_INFERIOR, points)]
        landmarks["right inferior hepatic vein, mouth"] = beside
    if trunks:
        landmarks["hepatic vein confluence"] = c
    return trunks, landmarks


def border_course(
    part: Grid,
    codes: NDArray[np.uint8],
    distance: Array,
    sides: tuple[tuple[int, ...], tuple[int, ...]],
    start_zyx: NDArray[np.float64],
    towards_zyx: tuple[float, float, float],
) -> NDArray[np.float64] | None:
    """A line (n, 3) in the border between two groups of segments, from near `start_zyx` outwards.

    The shortest way in the border's sheet, smoothed; None where there is no such border.
    """
    one, other = np.isin(codes, sides[0]), np.isin(codes, sides[1])
    sheet = one & ndimage.binary_dilation(other) & (distance < -6)
    where = np.argwhere(sheet)
    if len(where) < LEAST_VOXELS:
        return None
    mm = where * np.array(part.spacing_zyx_mm) + np.array(part.origin_zyx_mm)
    pairs = cKDTree(mm).query_pairs(2.3 * max(part.spacing_zyx_mm), output_type="ndarray")
    cost = np.linalg.norm(mm[pairs[:, 0]] - mm[pairs[:, 1]], axis=1)
    graph = coo_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=(len(mm), len(mm)))
    first = int(np.argmin(np.linalg.norm(mm - start_zyx, axis=1)))
    length, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    outwards = np.where(np.isfinite(length), (mm - start_zyx) @ np.array(towards_zyx), -np.inf)
    last = int(np.argmax(outwards))
    way = [last]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    if len(way) < 4:
        return None
    line = mm[way[::-1]]
    smooth = ndimage.gaussian_filter1d(line, 3.0, axis=0, mode="nearest")
    return np.asarray(smooth[:: max(1, len(smooth) // 14)])


def _jittered(scene: Scene, offset: tuple[float, float, float], sd: float = 2.5) -> NDArray[np.float64]:
    return np.array(offset) * scene.scale + scene.rng.normal(0, sd, 3)


def _smooth(points: list[NDArray]) -> NDArray[np.float64]:
    return spline_path(np.array(points), 5.0)
