"""Tubes: where they are, how they run, how thick they are, how far from a root, each by the plain way too."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.stages.anatomy.grid import LiverGrid
from LiverLesionAILib.stages.anatomy.tree_view import places
from LiverLesionAILib.stages.anatomy.tube_shape import courses, depth_inside, filled_around, voxel_pairs
from LiverLesionAILib.stages.anatomy.tube_ways import TubePairs
from LiverLesionAILib.stages.anatomy.tubes import middle_eigenvalue, seed_distances, tube_mask
from LiverLesionAILib.volume.geometry import Geometry
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


def branching(chance: np.random.Generator, shape: tuple[int, int, int] = (30, 40, 50)) -> np.ndarray:
    """Random walks of several widths, some of them up to the array's border."""
    mask = np.zeros(shape, bool)
    for radius in (1, 1, 2, 3):
        at, way = chance.integers(0, shape).astype(float), chance.normal(size=3)
        for _ in range(40):
            low = np.maximum(np.round(at).astype(int) - radius, 0)
            mask[tuple(slice(a, a + 2 * radius) for a in low)] = True
            way = 0.9 * way + 0.4 * chance.normal(size=3)
            at = np.clip(at + way / np.linalg.norm(way), 0, np.array(shape) - 1)
    return mask


def test_tubes_are_found_and_specks_are_not() -> None:
    strength = np.zeros((20, 20, 20), np.float32)
    strength[10, 10, 2:18] = 20
    strength[3, 3, 3] = 20
    mask = tube_mask(strength, 30.0, 0.1)
    assert mask[10, 10, 2:18].all() and not mask[3, 3, 3]


def test_distances_to_the_roots_are_along_the_tubes() -> None:
    tubes = np.zeros((3, 30, 30), bool)
    tubes[1, 5, :] = tubes[1, 20, :12] = True
    hepatic, portal = np.zeros_like(tubes), np.zeros_like(tubes)
    hepatic[1, 5, 0], portal[1, 20, 0] = True, True
    to_hepatic, to_portal = seed_distances(tubes, hepatic, portal)
    own, other = np.arange(30.0), np.full(12, np.inf)
    np.testing.assert_array_equal(to_hepatic, np.r_[own, other])
    np.testing.assert_array_equal(to_portal, np.r_[np.full(30, np.inf), own[:12]])
    assert np.isinf(seed_distances(tubes, tubes & False, tubes & False)).all(), "nothing to tell them by"


def test_a_tube_has_a_direction_and_a_lump_has_none() -> None:
    mask = np.zeros((24, 24, 40), bool)
    mask[11:13, 11:13, 4:36] = True
    course, straight = courses(mask)
    assert np.abs(course[:, 2]).min() > 0.99 and straight.min() > 0.8
    z, y, x = np.indices(mask.shape)
    _, of_a_ball = courses((z - 12) ** 2 + (y - 12) ** 2 + (x - 20) ** 2 < 60)
    assert np.median(of_a_ball) < 0.3


def test_a_tubes_course_is_that_of_what_lies_round_each_of_its_voxels() -> None:
    mask = branching(np.random.default_rng(2))
    nodes = np.argwhere(mask)
    course, straight = courses(mask, 2.0)
    filled = filled_around(mask)
    for k in range(0, len(nodes), 97):
        step = (nodes - nodes[k]).astype(float)
        for voxels, reach in ((2.0, 5), (1.5, 4)):
            own = np.exp(-0.5 * ((step / voxels) ** 2).sum(axis=1)) * (np.abs(step) <= reach).all(axis=1)
            if voxels == 1.5:
                line = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
                assert filled[k] == pytest.approx(own.sum() / line.sum() ** 3, abs=1e-6)
        own = np.exp(-0.5 * ((step / 2.0) ** 2).sum(axis=1)) * (np.abs(step) <= 5).all(axis=1)
        values, vectors = np.linalg.eigh(np.cov(step.T, aweights=own, ddof=0))
        assert straight[k] == pytest.approx(1 - values[1] / values[2], abs=1e-4)
        if values[2] - values[1] > 0.1:
            assert abs(course[k] @ vectors[:, 2]) == pytest.approx(1, abs=1e-4)


def test_the_depth_in_a_tube_is_that_of_a_distance_transform() -> None:
    mask = branching(np.random.default_rng(3))
    padded = np.pad(mask, 1)
    np.testing.assert_allclose(depth_inside(mask), ndimage.distance_transform_edt(padded)[padded])
    z, y, x = np.indices((31, 31, 31)) - 15
    lump = z**2 + y**2 + x**2 <= 13**2
    np.testing.assert_allclose(depth_inside(lump), ndimage.distance_transform_edt(lump)[lump])
    assert len(depth_inside(lump & False)) == 0


@pytest.mark.parametrize(("reach", "beyond"), [(2.3, 0.0), (4.2, 2.3), (4.0, 0.0)])
def test_pairs_of_voxels_are_all_within_reach(reach: float, beyond: float) -> None:
    mask = branching(np.random.default_rng(4))
    nodes = np.argwhere(mask)
    expected = cKDTree(nodes).query_pairs(reach)
    expected = {(i, j) for i, j in expected if np.linalg.norm(nodes[i] - nodes[j]) > beyond}
    first, second, step = voxel_pairs(mask, reach, beyond)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected and len(first) == len(expected)
    np.testing.assert_array_equal(nodes[second] - nodes[first], step)
    assert not len(voxel_pairs(mask & False, reach)[0]) and not len(voxel_pairs(mask, 0.0)[0])


def test_the_way_along_tubes_is_the_same_without_the_leaps_that_no_way_takes() -> None:
    mask = branching(np.random.default_rng(5))
    hepatic, portal = np.zeros_like(mask), np.zeros_like(mask)
    hepatic[:8, :9, :10] = portal[20:, 25:, 40:] = True
    nodes = np.argwhere(mask | hepatic | portal)
    pairs = cKDTree(nodes).query_pairs(4.0, output_type="ndarray")
    length = np.linalg.norm(nodes[pairs[:, 0]] - nodes[pairs[:, 1]], axis=1)
    cost = np.where(length < 1.8, length, 2 * length**2)
    graph = coo_matrix((cost, tuple(pairs.T)), shape=(len(nodes),) * 2).tocsr()
    fewer, _, _ = voxel_pairs(mask | hepatic | portal, 4.0, around=True)
    assert len(fewer) < 0.5 * len(pairs)
    for seed, found in zip((hepatic, portal), seed_distances(mask, hepatic, portal), strict=True):
        seeds = np.flatnonzero(seed[tuple(nodes.T)])
        away = dijkstra(graph, directed=False, indices=seeds, min_only=True)
        np.testing.assert_allclose(found, away[mask[tuple(nodes.T)]], rtol=1e-9)


def test_the_middle_eigenvalue_is_that_of_the_matrix() -> None:
    chance = np.random.default_rng(6)
    matrices = chance.normal(size=(2000, 3, 3))
    matrices = matrices + matrices.swapaxes(1, 2)
    matrices[:100] *= 1e-3
    matrices[100] = 0
    matrices[101] = np.eye(3) * 4
    matrices[102] = np.diag((5, 5, -1))
    straight = [matrices[:, k, k] for k in range(3)]
    mixed = [matrices[:, a, b] for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(
        middle_eigenvalue(straight, mixed), np.linalg.eigvalsh(matrices)[:, 1], atol=1e-7
    )


def test_pairs_take_a_course_that_is_known_as_it_is() -> None:
    mask = branching(np.random.default_rng(7))
    usual = courses(mask)
    one, other = TubePairs.of(mask, usual), TubePairs.of(mask)
    assert one.directions[1] is usual[0] and one.straight[1] is usual[1]
    np.testing.assert_array_equal(one.same_course, other.same_course)
    for scale in (0, 2):
        np.testing.assert_array_equal(one.directions[scale], other.directions[scale])


def test_a_matrix_of_pairs_holds_each_value_at_its_place() -> None:
    pairs = TubePairs.of(branching(np.random.default_rng(8)))
    values = np.arange(1.0, len(pairs.first) + 1)
    expected = np.zeros((len(pairs.nodes),) * 2)
    expected[pairs.first, pairs.second] = expected[pairs.second, pairs.first] = values
    np.testing.assert_array_equal(pairs.matrix(values).toarray(), expected)
    rows = np.asarray(pairs.spreading.sum(axis=1)).ravel()
    np.testing.assert_allclose(rows[expected.any(axis=1)], 1.0)


def test_places_are_those_of_the_grid_however_it_lies() -> None:
    turned = Rotation.from_euler("xyz", (10, -20, 30), degrees=True).as_matrix()
    geometry = Geometry((7, 8, 9), (2.0, 2.0, 2.0), (10.0, -20.0, 30.0), turned)
    box = (slice(1, 6), slice(2, 8), slice(0, 9))
    nothing = np.zeros(geometry.shape_zyx, bool)
    grid = LiverGrid(geometry, nothing.astype(np.float32), nothing, nothing, nothing, 100.0, 0.0, None, None)
    index = np.stack(np.meshgrid(*(np.arange(b.start, b.stop) for b in box), indexing="ij"), axis=-1)
    np.testing.assert_allclose(np.stack(places(grid, box), axis=-1), geometry.index_to_lps(index), atol=1e-9)
