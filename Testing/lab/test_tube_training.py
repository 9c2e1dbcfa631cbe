"""Learning which tubes are of one tree: the gradient through the equations, and that something is learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from LiverLesionAILab.training.tube_training import TubeCase, learn, loss_of, right, save_table
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.stages.anatomy.tube_names import tube_table
from LiverLesionAILib.stages.anatomy.tube_ways import TubePairs


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
