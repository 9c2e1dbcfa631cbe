"""Which tree a tube is likelier of, learnt: its signs, and which of two tube voxels are of one tree.

Two small perceptrons, one of a voxel's signs (how much it speaks for hepatic veins, and how much that
counts), one of what lies between two voxels (how surely they are of one tree). The answer is the one least at
odds with both, all tubes together: a Gaussian random field whose terms are learnt end to end. Where two trees
touch, the pairs there count little, and a whole branch hangs on the root that its width and its course speak
for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .grid import GRID_MM
from .tube_shape import Course, depth_inside, filled_around
from .tube_ways import TubePairs, heard, tapers, ways

TABLE = Path(__file__).parents[2] / "data" / "Anatomy" / "tube_names.npz"
CLIPPED = 4.0
OWN, THIN_OWN, THICK, THIN, THIN_HEPATIC = 0.01, 0.2, 0.5, 0.2, 0.25
"""What the perceptrons change: a voxel's own share, that of thin ones, and what those say too often."""
MOST_SIGN, MOST_SHARE, MOST_PAIR = 2.0, 6.0, 8.0
"""Scale of what a perceptron adds to a sign; bounds of what it adds to the logarithm of the other two."""


class TubeView(NamedTuple):
    """What the perceptrons are told of a liver's tubes besides their shape, each by voxel.

    Attributes:
        tubes_zyx, liver_zyx: bool.
        signs: (n, 13) of :mod:`.naming`, the vessel network's and the naming network's last.
        odds: (n,) the naming network's log odds; usual: (n,) the signs as weighed without what is learnt.
        from_fork_mm: (n, 3) from the portal bifurcation to the left, back and up.
        hepatic, portal: (n,) 0..1, the vessel network's.
        hepatic_mm, portal_mm: (n,) from the roots along the tubes.
        in_hepatic, in_portal: (n,) bool, in either root.
        course, depth: :func:`~.tube_shape.courses` and :func:`~.tube_shape.depth_inside` of the tubes where
            they are known already.
    """

    tubes_zyx: NDArray[np.bool_]
    liver_zyx: NDArray[np.bool_]
    signs: NDArray[np.float64]
    odds: NDArray[np.float64]
    usual: NDArray[np.float64]
    from_fork_mm: NDArray[np.float64]
    hepatic: NDArray[np.float64]
    portal: NDArray[np.float64]
    hepatic_mm: NDArray[np.float64]
    portal_mm: NDArray[np.float64]
    in_hepatic: NDArray[np.bool_]
    in_portal: NDArray[np.bool_]
    course: Course | None = None
    depth: NDArray[np.float64] | None = None


@lru_cache(maxsize=1)
def tube_table(path: Path = TABLE) -> Mapping[str, NDArray[np.float32]] | None:
    """The perceptrons' weights by name; None where they are missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as table:
            return {name: table[name].astype(np.float32) for name in table.files}
    except (OSError, ValueError):
        return None


def learnt_evidence(view: TubeView, table: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n,) of the tubes' voxels: log odds that they are hepatic veins, all tubes told together."""
    pairs = TubePairs.of(view.tubes_zyx, view.course)
    of_voxels, of_pairs = tube_signs(view, pairs)
    said = _perceptron(table, "voxel", of_voxels)
    alike = _perceptron(table, "pair", of_pairs)[:, 0]
    signs, own = start(view.usual, pairs)
    weights = pairs.same_course * np.exp(np.clip(alike, -MOST_PAIR, MOST_PAIR))
    own = own * np.exp(np.clip(said[:, 1], -MOST_SHARE, MOST_SHARE))
    return pairs.solved(weights, own, signs + MOST_SIGN * said[:, 0])


def start(usual: NDArray[np.float64], pairs: TubePairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signs and their shares before anything is learnt: what perceptrons of nothing but zeros would give."""
    thin = np.clip((THICK - pairs.filled) / (THICK - THIN), 0.0, 1.0)
    count, weights = len(pairs.nodes), pairs.same_course
    beside = np.bincount(pairs.first, weights, count) + np.bincount(pairs.second, weights, count)
    share = OWN * (1.0 - (1.0 - THIN_OWN) * thin)
    return np.clip(usual, -CLIPPED, CLIPPED) - THIN_HEPATIC * thin, beside * share / (1.0 - share) + 1e-6


def tube_signs(view: TubeView, pairs: TubePairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the perceptrons are asked with: of voxels (n, 72) and of pairs (m, 43)."""
    at = tuple(pairs.nodes.T)
    near = filled_around(view.tubes_zyx, 1.0)
    inner = np.zeros(view.tubes_zyx.shape)
    inner[at] = depth_inside(view.tubes_zyx) if view.depth is None else view.depth
    radius = ndimage.maximum_filter(inner, 3)[at]
    depth = _depth(view.liver_zyx, pairs.nodes) * GRID_MM
    odds = np.clip(view.odds, -CLIPPED, CLIPPED)
    roots = (np.flatnonzero(view.in_hepatic), np.flatnonzero(view.in_portal))
    led = ways(pairs, *roots)
    lengths = [np.minimum(way, 300.0) / 100.0 for way in (view.hepatic_mm, view.portal_mm)]
    opinion = view.signs[:, -2]
    of_voxels = [
        view.signs,
        view.usual,
        view.odds,
        pairs.filled,
        near,
        radius,
        np.minimum(depth, 40.0) / 20.0,
        view.liver_zyx[at],
        view.from_fork_mm / 60.0,
        *lengths,
        np.isfinite(view.hepatic_mm),
        np.isfinite(view.portal_mm),
        *pairs.straight,
        view.hepatic,
        view.portal,
        led,
        tapers(pairs, view.hepatic_mm, view.portal_mm),
        heard(pairs, np.stack([odds, opinion], axis=1)),
    ]
    one, other = pairs.first, pairs.second
    of_pairs = [pairs.length / 2.0, pairs.gap]
    for scale, straight in enumerate(pairs.straight):
        alike, ahead, behind = pairs.along(scale)
        of_pairs += [alike, alike**4, ahead * behind, np.minimum(ahead, behind), np.maximum(ahead, behind)]
        of_pairs += [np.minimum(straight[one], straight[other]), np.maximum(straight[one], straight[other])]
    for values, unit in ((pairs.filled, 0.3), (near, 0.3), (radius, 2.0)):
        of_pairs += [np.minimum(values[one], values[other]) / unit, _apart(values, pairs) / unit]
    of_pairs += [_apart(v, pairs) / unit for v, unit in ((view.odds, 4.0), (opinion, 2.0), (view.usual, 4.0))]
    of_pairs += [np.minimum(odds[one] * odds[other], 4.0) / 4.0]
    of_pairs += [np.minimum(np.abs(odds[one]), np.abs(odds[other])) / 4.0]
    of_pairs += [_apart(way, pairs) / pairs.length * 50.0 for way in lengths]
    of_pairs += [_apart(led[:, k], pairs) for k in (0, 3, 6, 12, 15)]
    of_pairs += [np.minimum(np.abs(led[one, k]), np.abs(led[other, k])) for k in (0, 12)]
    return _columns(of_voxels), _columns(of_pairs)


def _columns(values: Sequence[NDArray]) -> NDArray[np.float32]:
    """(n, k) of columns (n,) and of several ones (n, k)."""
    parts = [one[:, None] if one.ndim == 1 else one for one in values]
    out = np.empty((len(parts[0]), sum(one.shape[1] for one in parts)), np.float32)
    first = 0
    for one in parts:
        out[:, first : first + one.shape[1]] = one
        first += one.shape[1]
    return out


def _depth(liver_zyx: NDArray[np.bool_], nodes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) voxels from each node to the nearest one outside the liver, 0 outside: a side of it is liver."""
    border = np.argwhere(ndimage.binary_dilation(liver_zyx) & ~liver_zyx)
    inside = liver_zyx[tuple(nodes.T)]
    out = np.zeros(len(nodes))
    out[inside] = (
        cKDTree(border, compact_nodes=False, balanced_tree=False).query(nodes[inside])[0]
        if len(border)
        else 0.0
    )
    return out


def _apart(values: NDArray, pairs: TubePairs) -> NDArray:
    return np.asarray(np.abs(values[pairs.first] - values[pairs.second]))


def _perceptron(
    table: Mapping[str, NDArray[np.float32]], name: str, signs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Answers (n, k) of three layers with x / (1 + exp(-x)) between them."""
    values = np.clip((signs - table[f"{name}_mean"]) / table[f"{name}_spread"], -4.0, 4.0)
    for layer in range(3):
        values = values @ table[f"{name}_weight_{layer}"].T + table[f"{name}_bias_{layer}"]
        if layer < 2:
            values = values / (1.0 + np.exp(-np.clip(values, -50.0, 50.0)))
    return np.asarray(values, np.float32)
