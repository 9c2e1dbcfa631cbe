"""Training of the network that names tubes: its patients, samples and loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.synthesis.known_trees.habit import Branch
from LiverLesionAILab.synthesis.known_trees.territory import FINE
from LiverLesionAILab.synthesis.synthliver.anatomy_case import AnatomyCase
from LiverLesionAILab.synthesis.synthliver.anatomy_plan import further_plans, plan_anatomy
from LiverLesionAILib.stages.anatomy.found_tubes import FoundTubes, Roots
from LiverLesionAILib.stages.anatomy.grid import GRID_MM, LiverGrid
from LiverLesionAILib.stages.anatomy.tree_view import CHANNELS
from LiverLesionAILib.volume.geometry import Geometry

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.optimisers import LoopSettings
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.tree_cases import (
    TreeCase,
    load_tree_case,
    poorer_scan,
    save_tree_case,
    tree_case,
)
from LiverLesionAILab.training.tree_training import (
    NEARER,
    TREES,
    TUBES,
    TreeAugment,
    TreeSampler,
    fit_trees,
    tree_loss,
)
from LiverLesionAILib.networks.tree_unet import TreeUnetConfig


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


def test_a_run_is_kept_with_its_patients(tmp_path: Path) -> None:
    chosen = recipe("tree_unet")
    loop = replace(chosen.loop, steps=2, warmup=1, checkpoint_every=1, log_every=1)
    toy = replace(chosen, config=TreeUnetConfig(channels=CHANNELS, widths=(4, 6)), loop=loop)
    network = fit_trees(toy, [case()], tmp_path, "cpu")
    assert not network.training and network.multiple == 4
    kept = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert kept["patients"] == ["one"] and kept["task"] == "trees"
    assert (tmp_path / "checkpoint.pt").is_file() and (tmp_path / "curve.csv").is_file()


def test_a_run_goes_on_from_earlier_weights(tmp_path: Path) -> None:
    chosen = recipe("tree_unet_finish")
    assert chosen.bundled_as == "tree_unet" and chosen.passed_over == recipe("tree_unet").anatomy
    loop = replace(chosen.loop, steps=1, warmup=1, checkpoint_every=1, log_every=1, learning_rate=1e-9)
    toy = replace(chosen, config=TreeUnetConfig(channels=CHANNELS, widths=(4, 6)), loop=loop)
    first = fit_trees(replace(toy, loop=replace(loop, seed=3)), [case()], tmp_path / "first", "cpu")
    torch.save(first.state_dict(), tmp_path / "first.pt")
    on = fit_trees(toy, [case()], tmp_path / "on", "cpu", start=tmp_path / "first.pt")
    anew = fit_trees(toy, [case()], tmp_path / "anew", "cpu")
    weight = "encoder.0.within.0.0.weight"
    torch.testing.assert_close(on.state_dict()[weight], first.state_dict()[weight], atol=1e-6, rtol=0)
    assert (anew.state_dict()[weight] - first.state_dict()[weight]).abs().max() > 1e-3
    assert json.loads((tmp_path / "on" / "run.json").read_text())["start"] == "first.pt"


def test_a_poorer_scan_shows_vessels_less_and_the_rest_as_it_was() -> None:
    geometry = Geometry.make((30, 40, 40), (2.5, 1.5, 1.5))
    hu, labels = np.full((30, 40, 40), -80, np.int16), np.zeros((30, 40, 40), np.uint8)
    labels[8:22, 12:30, 12:30] = 1
    hu[labels > 0] = 100
    hu[8:22, 18:24, 18:24] = 160
    hu[0], hu[:, :2] = -1000, 700
    body = AnatomyCase(hu, labels, labels, labels, geometry, {})
    rises = []
    for seed in range(4):
        poorer = poorer_scan(body, np.random.default_rng(seed)).hu_zyx
        again = poorer_scan(body, np.random.default_rng(seed)).hu_zyx
        np.testing.assert_array_equal(poorer, again)
        vessel, tissue = poorer[10:20, 20:22, 20:22].mean(), poorer[10:20, 13:15, 13:15].mean()
        rises.append(vessel - tissue)
        assert (poorer[0, 2:] == -1000).all() and (poorer[:, :2] == 700).all(), "neither air nor bone"
    assert 20 < min(rises) < max(rises) < 58 and np.ptp(rises) > 2


def test_every_tube_learns_from_the_branch_beside_it() -> None:
    body = Geometry.make((24, 24, 24), (GRID_MM,) * 3)
    liver = np.zeros(body.shape_zyx, bool)
    liver[2:22, 2:22, 2:22] = True
    tubes, branches = np.zeros_like(liver), np.zeros(body.shape_zyx, np.uint8)
    tubes[4:20, 6, 6] = tubes[4:20, 6, 16] = tubes[4:20, 18, 18] = True
    branches[4:20, 7, 6], branches[4:20, 6, 16] = Branch.HEPATIC_RIGHT, FINE + 1
    nothing, here = np.zeros(body.shape_zyx, np.uint8), np.zeros(3)
    away = np.full(int(tubes.sum()), 5.0)
    found = FoundTubes(
        tubes,
        tubes.astype(np.float32),
        liver & False,
        Roots(liver & False, liver & False, here, here, here),
        away,
        away,
        {},
        (nothing, nothing),
    )
    grid = LiverGrid(
        body,
        np.full(body.shape_zyx, 100, np.float32),
        liver,
        liver & False,
        liver & False,
        100.0,
        0,
        None,
        None,
    )
    made = tree_case("one", grid, found, branches)
    assert made.volumes.shape[1:] == made.labels_zyx.shape and made.volumes.dtype == np.float16
    counts = np.bincount(made.labels_zyx.ravel(), minlength=3)
    assert counts[1] == counts[2] == 16, "the third tube has no branch beside it; twigs are of a tree too"
    assert (made.volumes[1] > 0).sum() == 48
