"""Which tree each tube belongs to: hepatic veins or portal vein.

Hepatic veins run towards their confluence at the vena cava, portal branches towards the portal bifurcation,
and each is nearer to its own root along the tubes. None of these signs decides alone: trees touch where they
cross, and tubes have gaps. They are weighed together, the weights learnt on the training part of
SynthLiver-anatomy, and what a tube's neighbours along its course say is taken in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from ...case.anatomy import Vessel
from .grid import LiverGrid
from .tubes import seed_distances

COURSE_VOXELS = 2.0
"""Standard deviation of the neighbourhood that a tube's direction is read in."""
NEIGHBOUR_VOXELS = 2.3
STEPS, OWN = 12, 0.3
"""How often neighbours are asked, and how much a voxel's own signs count each time."""
CLIPPED = 4.0
WEIGHTS = (2.22, -1.76, -1.55, 1.74, -0.83, 0.78, 2.69, -0.86, -1.18, 0.78, 2.89, -2.84)
NETWORK_WEIGHTS = (2.98, -1.86, -1.32, 1.34, -1.02, 0.49, 1.88, -0.82, -0.76, -0.76, 3.75, 0.78, -1.05)
"""Of the signs in their order, then of none; positive for hepatic veins. Logistic regression on sixteen
portal venous training bodies, each of one weight; with a network its own opinion is the last sign."""


@dataclass(frozen=True, eq=False)
class Roots:
    """Where the trees begin.

    Attributes:
        hepatic_seed, portal_seed: bool, the IVC where the veins enter it, and the portal trunk.
        confluence_lps, bifurcation_lps: points of the two.
        ivc_low_lps: the vena cava at the hilum.
    """

    hepatic_seed: NDArray[np.bool_]
    portal_seed: NDArray[np.bool_]
    confluence_lps: NDArray[np.float64]
    bifurcation_lps: NDArray[np.float64]
    ivc_low_lps: NDArray[np.float64]


def named_trees(
    grid: LiverGrid,
    tubes_zyx: NDArray[np.bool_],
    roots: Roots,
    networks: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
) -> NDArray[np.uint8]:
    """Each tube voxel's tree.

    Args:
        networks: 0..255, what a network says of hepatic veins and of the portal vein.

    Returns:
        uint8: 0 where neither root is reached, :attr:`Vessel.HEPATIC`, :attr:`Vessel.PORTAL`.
    """
    out = np.zeros(tubes_zyx.shape, np.uint8)
    at = np.nonzero(tubes_zyx)
    if len(at[0]) < 2:
        return out
    hepatic_mm, portal_mm = seed_distances(tubes_zyx, roots.hepatic_seed, roots.portal_seed)
    course, straight = courses(tubes_zyx)
    signs = _signs(grid, at, course, straight, roots, hepatic_mm, portal_mm)
    weights: tuple[float, ...] = WEIGHTS
    if networks is not None:
        hepatic, portal = (values[at] / 255.0 for values in networks)
        signs.append(np.log((hepatic + 0.05) / (portal + 0.05)))
        weights = NETWORK_WEIGHTS
    evidence = np.stack(signs, axis=1) @ np.array(weights[:-1]) + weights[-1]
    evidence = _along(at, course, np.clip(evidence, -CLIPPED, CLIPPED))
    named = np.where(evidence > 0, np.uint8(Vessel.HEPATIC), np.uint8(Vessel.PORTAL))
    out[at] = np.where(np.isfinite(np.minimum(hepatic_mm, portal_mm)), named, 0)
    return out


def courses(tubes_zyx: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Direction (n, 3; z, y, x, of either sign) of the tube at each of its voxels, and 0..1 how straight."""
    at = np.nonzero(tubes_zyx)
    mask = tubes_zyx.astype(np.float32)
    axes = [np.arange(n, dtype=np.float32) - n / 2 for n in tubes_zyx.shape]
    places = np.meshgrid(*axes, indexing="ij", sparse=True)

    def about(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.gaussian_filter(values, COURSE_VOXELS, truncate=2.5)[at])

    weight = about(mask)
    middle = [about(mask * place) / weight for place in places]
    spread = np.empty((len(weight), 3, 3), np.float32)
    for a in range(3):
        for b in range(a + 1):
            mixed = about(mask * places[a] * places[b]) / weight - middle[a] * middle[b]
            spread[:, a, b] = spread[:, b, a] = mixed
    values, vectors = np.linalg.eigh(spread)
    return vectors[:, :, 2], 1.0 - values[:, 1] / np.maximum(values[:, 2], 1e-6)


def _signs(
    grid: LiverGrid,
    at: tuple[NDArray, ...],
    course: NDArray[np.float32],
    straight: NDArray[np.float32],
    roots: Roots,
    hepatic_mm: NDArray[np.float64],
    portal_mm: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """The signs by which a voxel's tree is told, in the order of their weights."""
    points = grid.geometry.index_to_lps(np.stack(at, axis=1))
    along = course[:, ::-1]
    high, low, fork = roots.confluence_lps, roots.ivc_low_lps, roots.bifurcation_lps

    def towards(root: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        step = points - root
        away = np.linalg.norm(step, axis=1)
        return np.abs((step * along).sum(axis=1)) / np.maximum(away, 1.0) * straight, away

    to_hepatic, from_hepatic = towards(high)
    to_portal, from_portal = towards(fork)
    t = np.clip((points[:, 2] - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
    from_ivc = np.hypot(*(points[:, :2] - low[:2] - t[:, None] * (high[:2] - low[:2])).T)
    return [
        to_hepatic,
        to_portal,
        np.log((np.minimum(hepatic_mm, 300.0) + 8.0) / (np.minimum(portal_mm, 300.0) + 8.0)),
        from_hepatic / 50.0,
        from_portal / 50.0,
        (points[:, 2] - fork[2]) / 40.0,
        np.exp(-((from_ivc / 25.0) ** 2)),
        np.abs(along[:, 2]) * straight,
        np.exp(-((from_portal / 20.0) ** 2)),
        np.asarray(straight, np.float64),
        np.exp(-((from_hepatic / 30.0) ** 2)),
    ]


def _along(
    at: tuple[NDArray, ...], course: NDArray[np.float32], evidence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The evidence with that of neighbours on the same course: a tube that crosses has another one."""
    nodes = np.stack(at, axis=1)
    first, second = cKDTree(nodes).query_pairs(NEIGHBOUR_VOXELS, output_type="ndarray").T
    step = (nodes[second] - nodes[first]).astype(np.float64)
    step /= np.linalg.norm(step, axis=1)[:, None]
    alike = np.abs((course[first] * course[second]).sum(axis=1)) ** 4
    ahead = np.abs((course[first] * step).sum(axis=1)) * np.abs((course[second] * step).sum(axis=1))
    weight = alike * (0.1 + ahead)
    pairs = (np.r_[first, second], np.r_[second, first])
    beside = coo_matrix((np.r_[weight, weight], pairs), shape=(len(nodes),) * 2).tocsr()
    total = np.asarray(beside.sum(axis=1)).ravel() + 1e-6
    said = evidence
    for _ in range(STEPS):
        said = OWN * evidence + (1 - OWN) * (beside @ said + 1e-6 * evidence) / total
    return np.asarray(said)
