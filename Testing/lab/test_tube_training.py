"""Learning which tubes are of one tree: the gradient through the equations, and that something is learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from LiverLesionAILab.training.tree_cases import tree_case
from LiverLesionAILab.training.tube_training import (
    SeenTubes,
    TubeCase,
    learn,
    load_seen,
    loss_of,
    right,
    save_seen,
    save_table,
    tube_case,
)
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.stages.anatomy.found_tubes import FoundTubes, Roots
from LiverLesionAILib.stages.anatomy.grid import GRID_MM, LiverGrid
from LiverLesionAILib.stages.anatomy.naming import tube_view, unnamed_view
from LiverLesionAILib.stages.anatomy.tree_view import TreeView, tree_view
from LiverLesionAILib.stages.anatomy.tube_names import tube_signs, tube_table
from LiverLesionAILib.stages.anatomy.tube_ways import TubePairs
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.geometry import Geometry


def touching(seed: int) -> TubeCase:
    """Two straight tubes side by side, touching; a sign tells them apart at one end, and one tells pairs."""
    chance = np.random.default_rng(seed)
    tubes = np.zeros((5, 10, 30), bool)
    tubes[1:4, 2:8] = True
    pairs = TubePairs.of(tubes)
    own = pairs.nodes[:, 1] < 5
    near = pairs.nodes[:, 2] < 8
    voxels = np.stack([np.where(near, np.where(own, 1.0, -1.0), 0.0), chance.normal(size=len(own))], axis=1)
    between = np.stack([own[pairs.first] == own[pairs.second], chance.random(len(pairs.first)) > 0.5], axis=1)
    labels = np.where(own, Vessel.HEPATIC, Vessel.PORTAL).astype(np.uint8)
    return TubeCase(
        str(seed), pairs, voxels.astype(np.float16), between.astype(np.float16), np.zeros(len(own)), labels
    )


def test_the_gradient_is_that_of_the_equations() -> None:
    field, _ = learn([touching(0)], 3)
    case = touching(1)
    for parameter in (field.voxel[-1].bias, field.pair[-1].weight):
        field.zero_grad()
        loss_of(field, case).backward()
        slope = parameter.grad.flatten()[0].item()
        steps = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.flatten()[0] += sign * 0.02
                steps.append(loss_of(field, case).item())
                parameter.flatten()[0] -= sign * 0.02
        expected = (steps[0] - steps[1]) / 0.04
        assert abs(slope - expected) < 0.1 * abs(expected) + 2e-3


def test_names_are_carried_along_a_tube_and_not_across_where_two_touch(tmp_path: Path) -> None:
    cases = [touching(seed) for seed in range(3)]
    field, losses = learn(cases, 40)
    assert losses[-1] < 0.5 * losses[0]
    before, after = right(None, touching(9)), right(field, touching(9))
    assert after[0] > 0.95 > before[0]
    save_table(field.table(), tmp_path / "tube_names.npz")
    table = tube_table(tmp_path / "tube_names.npz")
    assert table is not None
    for name, value in field.table().items():
        np.testing.assert_allclose(table[name], value, rtol=2e-3, atol=1e-4)


class _LeftIsHepatic:
    """A naming network that says how far left of the bifurcation a voxel lies."""

    def hepatic_log_odds(self, view: TreeView, _progress: Progress = silent) -> np.ndarray:
        return np.asarray(view.volumes[4] * 60.0 / 8.0, np.float32)


def test_a_kept_patient_is_asked_as_in_an_analysis(tmp_path: Path) -> None:
    shape = (24, 26, 28)
    body = Geometry.make(shape, (GRID_MM,) * 3)
    liver, tubes = np.zeros(shape, bool), np.zeros(shape, bool)
    liver[2:22, 2:24, 2:24] = True
    tubes[4:20, 6:9, 6:9] = tubes[4:20, 16:19, 18:21] = True
    tubes[10:12, 7, 6:26] = True
    branches = np.zeros(shape, np.uint8)
    branches[4:20, 6:9, 6:9] = 31
    away = np.random.default_rng(0).uniform(1, 90, (2, int(tubes.sum())))
    away[0, :5] = np.inf
    hepatic, portal = liver & False, liver & False
    hepatic[18:20, 5:10, 5:10] = portal[4:6, 15:20, 17:22] = True
    roots = Roots(hepatic, portal, *(np.array(at) for at in ((20.0, 20, 38), (30.0, 30, 10), (20.0, 30, 8))))
    said = tuple(np.where(tubes, value, 0).astype(np.uint8) for value in (200, 90))
    found = FoundTubes(tubes, tubes.astype(np.float32), liver & False, roots, *away, {}, (said[0], said[1]))
    hu, nothing = np.full(shape, 100, np.float32), liver & False
    grid = LiverGrid(body, hu, liver, nothing, nothing, 100.0, 0, None, None)
    truth = tree_case("one", grid, found, branches)
    seen = SeenTubes(unnamed_view(grid, found, tree_view(grid, found).box), truth.volumes, truth.labels_zyx)
    save_seen(seen, tmp_path / "one")
    case = tube_case("one", load_seen(tmp_path / "one"), _LeftIsHepatic())
    view = tube_view(grid, found, _LeftIsHepatic())
    # Kept volumes have half precision.
    np.testing.assert_allclose(case.usual, view.usual, atol=0.02)
    assert np.ptp(view.odds) > 2 and not np.allclose(view.usual, seen.view.usual, atol=0.5)
    voxels, between = tube_signs(view, TubePairs.of(view.tubes_zyx))
    np.testing.assert_allclose(case.voxels, voxels, atol=0.05, rtol=0.01)
    np.testing.assert_allclose(case.between, between, atol=0.05, rtol=0.01)
    at = np.stack(np.nonzero(tubes), axis=1)
    hit = case.labels == Vessel.HEPATIC
    assert hit.any() and at[hit, 2].max() < 14 and (case.labels[at[:, 2] > 23] == 0).all()


def test_a_damaged_patient_is_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "seen.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="whole"):
        load_seen(tmp_path)
