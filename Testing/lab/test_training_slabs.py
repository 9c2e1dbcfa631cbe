"""Slabs: the samples that networks with a bag of images learn from."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import UNKNOWN, TrainingCase, encode_hu
from LiverLesionAILab.training.bundling import bundle
from LiverLesionAILab.training.fitting import fit
from LiverLesionAILab.training.loop import take_weights
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.sampling import AugmentSettings
from LiverLesionAILab.training.slabs import SlabSampler, numbered
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import build_network, load_network, save_weights
from LiverLesionAILib.networks.va_rcnn import slab_layout

SPEC = InputSpec((2.5, 1.25, 1.25), (-160.0, 240.0), 3)
PLAIN = AugmentSettings(
    rotate_degree=0, scale=0, shear=0, level_hu=0, contrast=0, noise_hu=0, blur_px=0.31, thick_chance=0
)


def make_case(depth: int = 40) -> TrainingCase:
    """A liver slab with two lesions; every slice's HU says which slice it is."""
    labels = np.zeros((depth, 60, 64), np.uint8)
    labels[2:-2, 8:52, 8:56] = 1
    labels[10:30, 15:25, 15:30] = 2
    labels[12:20, 35:40, 35:45] = 2
    hu = np.broadcast_to(np.arange(depth, dtype=np.float32)[:, None, None] * 4, labels.shape)
    return TrainingCase("case", "P", encode_hu(hu), labels, SPEC.spacing_zyx_mm)


def make_sampler(depth: int = 40, augment: AugmentSettings = PLAIN, **changes: int) -> SlabSampler:
    settings = {"targets": 3, "bag": 5, "bag_step": 3, **changes}
    return SlabSampler([make_case(depth)], {"real": 1.0}, SPEC, 48, 0, augment, **settings)


def slice_numbers(images: torch.Tensor) -> np.ndarray:
    """Which slice each channel is, read off its HU."""
    hu = images[:, :, 20:28, 20:28].median(dim=3).values.median(dim=2).values * 200 + 40
    return np.rint(hu.numpy() / 4).astype(int)


class TestSlab:
    def test_images_are_adjacent_slices_a_step_apart(self) -> None:
        sampler = make_sampler()
        ways = set()
        for number in range(12):
            images, labels = sampler.sample(number)
            assert images.shape == (7, 3, 48, 48) and labels.shape == (3, 2, 48, 48)
            slices = slice_numbers(images)
            way = np.sign(slices[-1, 0] - slices[0, 0])
            ways.add(int(way))
            middle = slices[3, 1]
            expected = middle + way * ((np.arange(7) - 3)[:, None] * 3 + np.arange(-1, 2))
            assert np.abs(slices - expected.clip(0, 39)).max() <= 1, "8 bits and blur cost a little"
        assert ways == {-1, 1}

    def test_labels_are_of_the_middle_images(self) -> None:
        sampler = make_sampler()
        truth = make_case().labels_zyx
        for number in range(12):
            images, labels = sampler.sample(number)
            for target, slices in enumerate(slice_numbers(images)[2:5]):
                near = truth[max(0, slices[1] - 1) : slices[1] + 2]
                assert bool((labels[target, 0] == 2).any()) in {bool((p == 2).any()) for p in near}

    def test_other_steps_and_bags(self) -> None:
        images, labels = make_sampler(bag=3, bag_step=1, targets=5).sample(0)
        assert images.shape[0] == 7 and labels.shape[0] == 5
        slices = slice_numbers(images)
        assert set(np.abs(np.diff(slices[:, 1])).tolist()) <= {0, 1, 2}
        images, labels = make_sampler(bag=1, targets=2).sample(0)
        assert images.shape[0] == labels.shape[0] == 2

    def test_a_thin_volume_repeats_its_ends(self) -> None:
        images, labels = make_sampler(depth=32, bag=11, bag_step=4, targets=4).sample(1)
        assert images.shape[0] == 14 and labels.shape[0] == 4
        assert slice_numbers(images).min() >= 0

    def test_the_same_number_is_the_same_slab(self) -> None:
        augment = AugmentSettings()
        one, other = make_sampler(augment=augment), make_sampler(augment=augment)
        other.sample(1)
        for a, b in zip(one.sample(3), other.sample(3), strict=True):
            assert torch.equal(a, b)
        assert not torch.equal(one.sample(3)[0], one.sample(4)[0])

    def test_batches_follow_one_another(self) -> None:
        sampler = make_sampler()
        images, labels = sampler.batch(4, 2)
        assert torch.equal(images[7:], sampler.sample(5)[0])
        assert torch.equal(labels[3:], sampler.sample(5)[1])
        assert slab_layout(len(images), len(labels), 5) == (2, 7)
        assert slab_layout(6, 6, 1) == (6, 1)


def test_lesions_are_numbered_and_specks_unknown() -> None:
    labels = np.ones((20, 20), np.uint8)
    labels[2:6, 2:6] = 2
    labels[6, 6] = 2  # touches at a corner
    labels[12:15, 12:15] = 2
    labels[18, 1:4] = 2
    meaning, numbers = numbered(labels)
    assert sorted(np.unique(numbers)) == [0, 1, 2]
    assert numbers[6, 6] == numbers[3, 3] != numbers[13, 13]
    assert (meaning[18, 1:4] == UNKNOWN).all() and not numbers[18].any()
    assert (meaning[2:6, 2:6] == 2).all() and meaning[0, 0] == 1


@pytest.mark.parametrize("name", ["va_mask_rcnn", "va_faster_rcnn"])
def test_recipe_trains_and_bundles(name: str, tmp_path: Path) -> None:
    chosen = recipe(name)
    small = {
        "depths": (1, 1),
        "widths": (8, 12),
        "pyramid_channels": 8,
        "anchor_sizes": (8.0, 16.0, 32.0),
        "head_width": 16,
        "mask_width": 8,
    }
    chosen = replace(
        chosen,
        config=replace(chosen.config, **small),
        crop=48,
        shares={"real": 1.0},
        loop=replace(chosen.loop, steps=4, batch=2, warmup=1),
    )
    chosen = replace(chosen, loop=replace(chosen.loop, validate_every=2))
    network = fit(
        chosen,
        [make_case()],
        tmp_path / "run",
        "cpu",
        lambda stage, fraction: None,
        watched=[make_case(30)],
    )
    rows = (tmp_path / "run" / "validation.csv").read_text().split()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "4"]
    save_weights(network, tmp_path / "run" / "weights.pt")
    entry = bundle(chosen, name, tmp_path / "run", tmp_path / "models")
    assert entry.task == ("segment" if name == "va_mask_rcnn" else "detect")
    assert json.loads((tmp_path / "models" / "manifest.json").read_text())["models"][0]["name"] == name
    loaded = load_network(entry, tmp_path / "models")
    assert loaded.config == chosen.config
    with torch.inference_mode():
        assert loaded(torch.zeros(2, 3, 32, 32)).detections.boxes.shape[1] == 4


def test_a_box_detector_goes_on_from_mask_weights() -> None:
    torch.manual_seed(0)
    masks = build_network("va_mask_rcnn", asdict(recipe("va_mask_rcnn").config))
    boxes = build_network("va_faster_rcnn", asdict(recipe("va_faster_rcnn").config))
    left = take_weights(boxes, masks.state_dict())
    assert torch.equal(boxes.rpn.shared.weight, masks.rpn.shared.weight)
    assert torch.equal(boxes.encoder.stem[0].weight, masks.encoder.stem[0].weight)
    parts = {".".join(name.split(".")[:2]) for name in left}
    assert parts <= {"box_head.score", "box_head.deltas", "dense.weight", "dense.bias"}
