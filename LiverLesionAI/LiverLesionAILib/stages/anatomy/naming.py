"""Which tree each tube belongs to: hepatic veins or portal vein.

Hepatic veins run towards their confluence at the vena cava, portal branches towards the portal bifurcation,
and each is nearer to its own root along the tubes. None of these signs decides alone: trees touch where they
cross, and tubes have gaps. They are weighed together, the weights learnt on the training part of
SynthLiver-anatomy, and with a network that names, all tubes are told together by what is learnt of them
(:mod:`.tube_names`). Without it, what a tube's neighbours along its course say is taken in by fixed rules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from ...case.anatomy import Vessel
from ...support.progress import Progress, silent
from .found_tubes import FoundTubes
from .grid import LiverGrid
from .tree_view import TreeNamer, tree_view
from .tube_names import TubeView, learnt_evidence, tube_table
from .tube_shape import filled_around, voxel_pairs

NEIGHBOUR_VOXELS = 2.3
STEPS, OWN, ALIKE = 200, 0.01, 8
"""How often neighbours are asked, how much a voxel's own signs count each time, and how strictly a neighbour
must run the same way. So a twig has the name of the tube that it hangs on. Chosen on fourteen training bodies
that no network has learnt from: 0.81 of their tubes are named right, with 12 steps and OWN = 0.3 0.78."""
THICK, THIN = 0.5, 0.2
THIN_OWN, THIN_HEPATIC = 0.2, 0.25
"""A tube with less than THICK of its surroundings is thin, wholly from
THIN on: its own signs count a fifth, as they are little better than chance there, and speak for hepatic veins
too often, by so much."""
CLIPPED = 4.0
SURE, SURE_LEARNT = 0.7, 1.0
"""Log odds: a tube nearer to even than this may be of either tree; by fixed rules, and by the learnt table.
Chosen on those fourteen: of the names that are left nine of ten are right, and distances are best."""
WEIGHTS = (2.22, -1.76, -1.55, 1.74, -0.83, 0.78, 2.69, -0.86, -1.18, 0.78, 2.89, -2.84)
NETWORK_WEIGHTS = (2.98, -1.86, -1.32, 1.34, -1.02, 0.49, 1.88, -0.82, -0.76, -0.76, 3.75, 0.78, -1.05)
NAMER_WEIGHTS = (1.1, -1.87, 0.09, -0.19, -0.11, -0.16, -0.54, -0.55, 0.05, -0.11, 3.06, 0.31, 0.57, 1.07)
"""Of the signs in their order, then of none; positive for hepatic veins. Logistic regression on sixteen
portal venous training bodies (with a network that names: on thirteen that no network has learnt from), each
of one weight; the last signs are the networks' opinions."""


class NamedTrees(NamedTuple):
    """Tubes by their trees; uint8, 0 where neither root is reached.

    Attributes:
        likelier_zyx: :attr:`Vessel.HEPATIC` or :attr:`Vessel.PORTAL`; sure_zyx: the same, but
            :data:`~..case.anatomy.UNSURE` where the one is hardly likelier than the other.
        hepatic_zyx: float32, 0..1, how likely each is a hepatic vein's; 0 where it is of neither.
    """

    likelier_zyx: NDArray[np.uint8]
    sure_zyx: NDArray[np.uint8]
    hepatic_zyx: NDArray[np.float32]

    @property
    def portal_zyx(self) -> NDArray[np.float32]:
        """The same of the portal vein."""
        return np.where(self.likelier_zyx > 0, 1.0 - self.hepatic_zyx, np.float32(0.0))


def named_trees(
    grid: LiverGrid, found: FoundTubes, namer: TreeNamer | None = None, progress: Progress = silent
) -> NamedTrees:
    """Each tube voxel's tree.

    Args:
        namer: a network that names tubes by all that lies round them; asked where a vessel network was.
    """
    likelier = np.zeros(found.tubes_zyx.shape, np.uint8)
    at = np.nonzero(found.tubes_zyx)
    if len(at[0]) < 2:
        return NamedTrees(likelier, likelier, likelier.astype(np.float32))
    enough = SURE
    if found.networks is not None and namer is not None:
        view = tube_view(grid, found, namer, progress)
        table = tube_table()
        if table is None:
            evidence = _usual(found, view.usual)
        else:
            evidence, enough = learnt_evidence(view, table), SURE_LEARNT
    else:
        signs, weights = _signs(grid, at, found), WEIGHTS if found.networks is None else NETWORK_WEIGHTS
        evidence = _usual(found, _weighed(signs, weights))
    named = np.where(evidence > 0, np.uint8(Vessel.HEPATIC), np.uint8(Vessel.PORTAL))
    likelier[at] = np.where(np.isfinite(np.minimum(found.hepatic_mm, found.portal_mm)), named, 0)
    sure = likelier.copy()
    unsure = (np.abs(evidence) < enough) & (likelier[at] > 0)
    between = np.where(evidence > 0, Vessel.LIKELIER_HEPATIC, Vessel.LIKELIER_PORTAL)
    sure[at] = np.where(unsure, between, likelier[at])
    hepatic = np.zeros(likelier.shape, np.float32)
    hepatic[at] = np.where(likelier[at] > 0, 1.0 / (1.0 + np.exp(-np.clip(evidence, -30.0, 30.0))), 0.0)
    return NamedTrees(likelier, sure, hepatic)


def tube_view(grid: LiverGrid, found: FoundTubes, namer: TreeNamer, progress: Progress = silent) -> TubeView:
    """What is told of the tubes, at least two voxels of them, where both networks were asked."""
    view = tree_view(grid, found)
    odds = namer.hepatic_log_odds(view, progress)
    inside = found.tubes_zyx[view.box]
    return with_odds(unnamed_view(grid, found, view.box), odds[inside].astype(np.float64))


def unnamed_view(grid: LiverGrid, found: FoundTubes, box: tuple[slice, ...]) -> TubeView:
    """The same before the naming network is asked: its odds are even, its sign the last column of zeros.

    Args:
        box: of the network's view, which holds all tubes.
    """
    assert found.networks is not None
    at, roots = np.nonzero(found.tubes_zyx), found.roots
    nothing = np.zeros(len(at[0]))
    return TubeView(
        found.tubes_zyx[box],
        grid.liver_zyx[box],
        np.column_stack([_signs(grid, at, found), nothing]),
        nothing,
        nothing,
        grid.geometry.index_to_lps(np.stack(at, axis=1)) - roots.bifurcation_lps,
        *(values[at] / 255.0 for values in found.networks),
        found.hepatic_mm,
        found.portal_mm,
        roots.hepatic_seed[at],
        roots.portal_seed[at],
        found.course,
        found.depth,
    )


def with_odds(view: TubeView, odds: NDArray[np.float64]) -> TubeView:
    """The view with what the naming network says: (n,) log odds of a hepatic vein at its tubes' voxels."""
    signs = np.column_stack([view.signs[:, :-1], np.clip(odds, -CLIPPED, CLIPPED)])
    return view._replace(signs=signs, odds=odds, usual=_weighed(signs, NAMER_WEIGHTS))


def _weighed(signs: NDArray[np.float64], weights: tuple[float, ...]) -> NDArray[np.float64]:
    return np.asarray(signs @ np.array(weights[:-1]) + weights[-1])


def _usual(found: FoundTubes, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signs' evidence spread along the tubes by fixed rules: what is left without the learnt table."""
    thin = _thin(found.tubes_zyx)
    own = np.clip(evidence, -CLIPPED, CLIPPED) - THIN_HEPATIC * thin
    return _along(found.tubes_zyx, found.course[0], own, OWN * (1.0 - (1.0 - THIN_OWN) * thin))


def _signs(grid: LiverGrid, at: tuple[NDArray, ...], found: FoundTubes) -> NDArray[np.float64]:
    """The signs (n, 11 or 12) by which a voxel's tree is told, in the order of their weights.

    The last one, where a vessel network was asked, is its opinion.
    """
    course, straight = found.course
    points = grid.geometry.index_to_lps(np.stack(at, axis=1))
    along = course[:, ::-1]
    roots, hepatic_mm, portal_mm = found.roots, found.hepatic_mm, found.portal_mm
    high, low, fork = roots.confluence_lps, roots.ivc_low_lps, roots.bifurcation_lps

    def towards(root: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        step = points - root
        away = np.linalg.norm(step, axis=1)
        return np.abs((step * along).sum(axis=1)) / np.maximum(away, 1.0) * straight, away

    to_hepatic, from_hepatic = towards(high)
    to_portal, from_portal = towards(fork)
    t = np.clip((points[:, 2] - low[2]) / max(high[2] - low[2], 5.0), -0.5, 1.3)
    from_ivc = np.hypot(*(points[:, :2] - low[:2] - t[:, None] * (high[:2] - low[:2])).T)
    signs = [
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
    if found.networks is not None:
        hepatic, portal = (values[at] / 255.0 for values in found.networks)
        signs.append(np.log((hepatic + 0.05) / (portal + 0.05)))
    return np.stack(signs, axis=1)


def _thin(tubes_zyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """0..1 at each of the tubes' voxels: how thin the tube is there."""
    return np.clip((THICK - filled_around(tubes_zyx)) / (THICK - THIN), 0.0, 1.0)


def _along(
    tubes_zyx: NDArray[np.bool_],
    course: NDArray[np.float32],
    evidence: NDArray[np.float64],
    own: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The evidence with that of neighbours on the same course: a tube that crosses has another one.

    Args:
        own: 0..1, how much a voxel's own evidence counts against its neighbours', each time.
    """
    first, second, steps = voxel_pairs(tubes_zyx, NEIGHBOUR_VOXELS)
    step = steps / np.linalg.norm(steps, axis=1)[:, None]
    alike = np.abs((course[first] * course[second]).sum(axis=1)) ** ALIKE
    ahead = np.abs((course[first] * step).sum(axis=1)) * np.abs((course[second] * step).sum(axis=1))
    weight = alike * (0.1 + ahead)
    pairs = (np.r_[first, second], np.r_[second, first])
    beside = coo_matrix((np.r_[weight, weight], pairs), shape=(len(course),) * 2).tocsr()
    total = np.asarray(beside.sum(axis=1)).ravel() + 1e-6
    said = evidence
    for _ in range(STEPS):
        said = own * evidence + (1 - own) * (beside @ said + 1e-6 * evidence) / total
    return np.asarray(said)
