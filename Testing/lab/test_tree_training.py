"""Training of the network that names tubes: its patients, samples and loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.synthesis.synthliver.anatomy_plan import further_plans, plan_anatomy
from LiverLesionAILib.stages.anatomy.tree_view import CHANNELS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.optimisers import LoopSettings
from LiverLesionAILab.training.tree_cases import TreeCase, load_tree_case, save_tree_case
from LiverLesionAILab.training.tree_training import (
    NEARER,
    TREES,
    TUBES,
    TreeAugment,
    TreeSampler,
    tree_loss,
)


def case() -> TreeCase:
    volumes = np.zeros((CHANNELS, 20, 24, 28), np.float16)
    labels = np.zeros((20, 24, 28), np.uint8)
    for at, kind in ((8, 1), (16, 2)):
        volumes[TUBES, 4:16, at - 1 : at + 2, 10:20] = 1
        volumes[NEARER, 4:16, at - 1 : at + 2, 10:20] = 3 - 2 * kind
        volumes[TREES, 4:16, at - 1 : at + 2, 10:20] = 3 - 2 * kind
        labels[4:16, at - 1 : at + 2, 10:20] = kind
    return TreeCase("one", volumes, labels)


def test_patients_beyond_the_set_are_in_no_part_of_it() -> None:
    plans = further_plans(5)
    assert plans == further_plans(9)[:5], "the same, however many are asked for"
    inside = plan_anatomy()
    assert not {p.name for p in plans} & {p.name for p in inside}
    assert not {p.seed for p in plans} & {p.seed for p in inside}
    assert all(p.split == "train" and not p.isodense and not p.mirrored for p in plans)


def test_a_case_is_kept_whole(tmp_path: Path) -> None:
    save_tree_case(case(), tmp_path / "one")
    back = load_tree_case(tmp_path / "one")
    np.testing.assert_array_equal(back.volumes, case().volumes)
    np.testing.assert_array_equal(back.labels_zyx, case().labels_zyx)
    (tmp_path / "one" / "labels.npy").write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        load_tree_case(tmp_path / "one")


def test_samples_are_the_same_again_and_labels_stay_on_their_tubes() -> None:
    augment = TreeAugment(shape_zyx=(16, 24, 24), gaps=0, without=0.0)
    sampler = TreeSampler([case()], 0, augment)
    views, labels = sampler.batch(3, 2)
    again, _ = TreeSampler([case()], 0, augment).batch(3, 2)
    assert torch.equal(views, again) and not torch.equal(views[0], views[1])
    assert views.shape == (2, CHANNELS * 16, 24, 24) and labels.shape == (2, 16, 24, 24)
    volumes = views.reshape(2, CHANNELS, 16, 24, 24)
    for kind, sign in ((1, 1), (2, -1)):
        inside = labels == kind
        assert inside.any()
        assert (sign * volumes[:, TREES][inside] > 0).float().mean() > 0.95
        assert (volumes[:, TUBES][inside] > 0.3).float().mean() > 0.95


def test_gaps_take_a_tubes_every_sign_away() -> None:
    augment = TreeAugment(shape_zyx=(16, 24, 24), gaps=40, gap_voxels=(3.0, 4.0), without=0.0)
    volumes = TreeSampler([case()], 1, augment).batch(0, 1)[0].reshape(CHANNELS, 16, 24, 24)
    whole = TreeSampler([case()], 1, TreeAugment(shape_zyx=(16, 24, 24), gaps=0, without=0.0))
    before = whole.batch(0, 1)[0].reshape(CHANNELS, 16, 24, 24)
    assert (volumes[TUBES] > 0).sum() < (before[TUBES] > 0).sum()
    assert (volumes[NEARER][volumes[TUBES] == 0].abs() < 1e-6).all()


def test_the_loss_weighs_both_trees_alike_and_asks_nothing_of_the_rest() -> None:
    settings = LoopSettings()
    labels = torch.zeros(1, 2, 4, 4, dtype=torch.uint8)
    labels[0, 0, 0, :3], labels[0, 1, 0, 0] = 1, 2
    right = torch.where(labels == 1, 9.0, -9.0)
    assert float(tree_loss(right, labels, settings)) < 1e-3
    rest = torch.where(labels == 0, 50.0, right)
    assert torch.equal(tree_loss(rest, labels, settings), tree_loss(right, labels, settings))
    one_wrong, three_wrong = (torch.where(labels == kind, -right, right) for kind in (2, 1))
    torch.testing.assert_close(
        tree_loss(one_wrong, labels, settings), tree_loss(three_wrong, labels, settings)
    )
    assert float(tree_loss(right, torch.zeros_like(labels), settings)) == 0.0
