"""Which tree a tube is of, told of all tubes together: ways to the roots, and the learnt table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.stages.anatomy.tube_names import (
    MOST_SIGN,
    TubeView,
    learnt_evidence,
    start,
    tube_signs,
    tube_table,
)
from LiverLesionAILib.stages.anatomy.tube_ways import TubePairs, tapers, ways

SHAPE = (24, 40, 40)


def line(
    a: tuple[float, float, float], b: tuple[float, float, float], thick: tuple[float, float]
) -> np.ndarray:
    """A tube from a to b whose radius runs from the one to the other, voxels."""
    points = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1) - np.array(
        a, float
    )
    way = np.subtract(b, a).astype(float)
    t = np.clip((points @ way) / (way @ way), 0, 1)
    return np.asarray(
        np.linalg.norm(points - t[..., None] * way, axis=-1) <= thick[0] + t * (thick[1] - thick[0])
    )


def crossing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two tapering tubes that touch where they cross, and the trunk of either: bool."""
    one, other = line((12, 20, 2), (12, 20, 37), (2.6, 1.0)), line((15, 2, 20), (15, 37, 20), (2.6, 1.0))
    x, y = np.indices(SHAPE)[2], np.indices(SHAPE)[1]
    return one | other, one & (x < 6), other & (y < 6)


def view_of(tubes: np.ndarray, hepatic: np.ndarray, portal: np.ndarray, usual: float = 0.0) -> TubeView:
    """No network has an opinion; only roots and shapes are known."""
    at = np.nonzero(tubes)
    count = len(at[0])
    nothing, even = np.zeros(count), np.full(count, 0.4)
    nodes = np.stack(at, axis=1)
    away = [
        np.linalg.norm(nodes[:, None] - np.argwhere(seed & tubes)[None], axis=2).min(axis=1)
        for seed in (hepatic, portal)
    ]
    return TubeView(
        tubes,
        np.ones(SHAPE, bool),
        np.zeros((count, 13)),
        nothing,
        np.full(count, usual),
        nodes[:, ::-1] * 2.0,
        even,
        even,
        *away,
        hepatic[at],
        portal[at],
    )


def test_a_gap_between_two_pieces_is_bridged_and_no_piece_leaps_onto_itself() -> None:
    tubes = line((12, 20, 2), (12, 20, 15), (1.5, 1.5)) | line((12, 20, 20), (12, 20, 37), (1.5, 1.5))
    pairs = TubePairs.of(tubes)
    x = pairs.nodes[:, 2]
    assert pairs.gap.any()
    assert ((x[pairs.first[pairs.gap]] < 18) != (x[pairs.second[pairs.gap]] < 18)).all()
    inside = ~pairs.gap
    assert pairs.length[inside].max() <= 2.3 < pairs.length[pairs.gap].min()
    assert np.median(pairs.same_course[pairs.gap]) < 0.1 * np.median(pairs.same_course[inside])


def test_all_tubes_are_told_together_as_the_equations_say() -> None:
    tubes, _, _ = crossing()
    pairs = TubePairs.of(tubes)
    chance = np.random.default_rng(0)
    own, signs = chance.uniform(0.05, 0.2, len(pairs.nodes)), chance.normal(size=len(pairs.nodes))
    found = pairs.solved(pairs.same_course, own, signs)
    beside = pairs.matrix(pairs.same_course).toarray()
    system = np.diag(beside.sum(axis=1) + own) - beside
    np.testing.assert_allclose(found, np.linalg.solve(system, own * signs), atol=0.02)


def test_the_way_to_a_root_is_shorter_without_a_turn_and_a_current_keeps_to_its_tube() -> None:
    tubes, hepatic, portal = crossing()
    pairs = TubePairs.of(tubes)
    at = tuple(pairs.nodes.T)
    led = ways(pairs, *(np.flatnonzero(seed[at]) for seed in (hepatic, portal)))
    of_hepatic = (pairs.nodes[:, 2] > 27) & (np.abs(pairs.nodes[:, 0] - 12) < 3)
    of_portal = (pairs.nodes[:, 1] > 27) & (np.abs(pairs.nodes[:, 0] - 15) < 3)
    for column in (0, 6):
        assert led[of_hepatic, column].max() < 0 < led[of_portal, column].min(), (
            "log of hepatic to portal way"
        )
    assert led[of_hepatic, 12].mean() > 0.3 and led[of_portal, 12].mean() < -0.3
    assert np.isfinite(led).all()
    nothing = np.zeros(0, np.intp)
    assert np.isfinite(ways(pairs, nothing, nothing)).all(), "no root is seen"


def test_the_narrowest_place_is_the_narrowest_on_the_widest_way() -> None:
    chance = np.random.default_rng(1)
    tubes = line((12, 20, 2), (12, 20, 37), (2.6, 1.0)) | (chance.random(SHAPE) > 0.85)
    pairs = TubePairs.of(tubes)
    seeds, nothing = np.flatnonzero(pairs.nodes[:, 2] < 3), np.zeros(0, np.intp)
    narrowest = ways(pairs, seeds, nothing)[:, 9]
    # Floods from the root, over what is widest first.
    width = 1.5 - (1.5 - pairs.thinner + np.where(pairs.gap, 0.5, 0.0))
    expected = np.full(len(pairs.nodes), -0.5)
    expected[seeds] = 1.499
    for _ in range(200):
        before = expected.copy()
        for a, b in ((pairs.first, pairs.second), (pairs.second, pairs.first)):
            np.maximum.at(expected, b, np.minimum(expected[a], width))
        if (before == expected).all():
            break
    np.testing.assert_allclose(narrowest, expected, atol=1e-6)


def test_a_branch_grows_thinner_away_from_its_root() -> None:
    tubes, hepatic, portal = crossing()
    pairs, view = TubePairs.of(tubes), view_of(tubes, hepatic, portal)
    slopes = tapers(pairs, view.hepatic_mm, view.portal_mm)
    of_hepatic = (np.abs(pairs.nodes[:, 2] - 30) < 4) & (np.abs(pairs.nodes[:, 0] - 12) < 3)
    assert slopes[of_hepatic, 6].mean() < 0, "width over the way from its own root, within 40 steps"


def test_the_shipped_table_hangs_each_tube_on_the_root_that_it_runs_to() -> None:
    tubes, hepatic, portal = crossing()
    table = tube_table()
    assert table is not None
    evidence = learnt_evidence(view_of(tubes, hepatic, portal), table)
    z, y, x = np.nonzero(tubes)
    of_hepatic, of_portal = (x > 27) & (abs(z - 12) < 3), (y > 27) & (abs(z - 15) < 3)
    assert np.isfinite(evidence).all()
    assert evidence[of_hepatic].mean() > evidence[of_portal].mean() + 0.5
    surely = learnt_evidence(view_of(tubes, hepatic, portal, 4.0), table)
    assert surely.mean() > evidence.mean(), "what the networks say still counts"


def test_the_shipped_table_fits_what_it_is_asked_with() -> None:
    tubes, hepatic, portal = crossing()
    pairs, table = TubePairs.of(tubes), tube_table()
    assert table is not None
    of_voxels, of_pairs = tube_signs(view_of(tubes, hepatic, portal), pairs)
    for name, values in (("voxel", of_voxels), ("pair", of_pairs)):
        assert values.shape[1] == len(table[f"{name}_mean"]) == table[f"{name}_weight_0"].shape[1]
        assert np.isfinite(values).all()
    assert len(of_pairs) == len(pairs.first)


def test_perceptrons_of_zeros_leave_the_rules_as_they_were() -> None:
    tubes, hepatic, portal = crossing()
    table = tube_table()
    assert table is not None
    zeros = {name: value * 0 if "spread" not in name else value for name, value in table.items()}
    view, pairs = view_of(tubes, hepatic, portal, 1.0), TubePairs.of(tubes)
    signs, own = start(view.usual, pairs)
    expected = pairs.solved(pairs.same_course, own, signs)
    np.testing.assert_allclose(learnt_evidence(view, zeros), expected, atol=1e-6)
    zeros["voxel_bias_2"] = np.array([1.0, 0.0], np.float32)
    moved = learnt_evidence(view, zeros) - expected
    np.testing.assert_allclose(moved, MOST_SIGN, atol=0.05)


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_missing_or_damaged_table_is_told_as_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tube_names.npz"
    if content is not None:
        path.write_bytes(content)
    assert tube_table(path) is None
