"""Detectors on key slices in DeepLesion's layout: preprocessing, samples, training and the comparison."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.detector_kept import kept_answers, kept_images, paired_gain, read_run
from LiverLesionAILab.compare.detector_rows import AS_WRITTEN, VARIANTS
from LiverLesionAILab.compare.detectors import Comparison, add_compare_arguments, alike, run_compare
from LiverLesionAILab.compare.kept import read_rows
from LiverLesionAILab.compare.key_detectors import key_slice_detector, map_detector
from LiverLesionAILab.data.deeplesion import read_deeplesion
from LiverLesionAILab.metrics.froc import ImageBoxes, summarise_detection
from LiverLesionAILab.training.detector_families import RFcn, families, image_loss
from LiverLesionAILab.training.key_maps import MapSampler, MapStore, map_loss
from LiverLesionAILab.training.key_slices import MOST_BOXES, PAPER_INPUT, KeySliceSampler, body_box, prepare
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt
from LiverLesionAILib.support.errors import InputError

PIXEL_MM, INTERVAL_MM, SIZE = 0.9, 5.0, 96
SPEC = replace(PAPER_INPUT, in_slices=9, window_hu=(-150.0, 250.0))
BODY = (slice(10, 86), slice(20, 90))
HEADER = [
    *("File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index"),
    *("Measurement_coordinates", "Bounding_boxes", "Lesion_diameters_Pixel_"),
    *("Normalized_lesion_location", "Coarse_lesion_type", "Possibly_noisy", "Slice_range"),
    *("Spacing_mm_px_", "Image_size", "DICOM_windows", "Patient_gender", "Patient_age", "Train_Val_Test"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients, a dark disc each, in DeepLesion's own layout: 16-bit PNGs, HU + 32768, rows from 1."""
    root = tmp_path_factory.mktemp("deeplesion")
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(1, 7):
        series = f"{patient:06d}_01_01"
        (root / "Images_png" / series).mkdir(parents=True)
        y0, x0, side = int(rng.integers(24, 54)), int(rng.integers(32, 60)), int(rng.integers(12, 18))
        for number in range(100, 109):
            hu = np.full((SIZE, SIZE), -1024.0)
            hu[BODY] = 100 + rng.normal(0, 8, (76, 70))
            if abs(number - 104) <= 1:
                hu[y0 : y0 + side, x0 : x0 + side] -= 90
            image = sitk.GetImageFromArray((np.rint(hu) + 32768).astype(np.uint16))
            sitk.WriteImage(image, str(root / "Images_png" / series / f"{number:03d}.png"))
        box = (x0 + 1, y0 + 1, x0 + side + 1, y0 + side + 1)
        row = dict.fromkeys(HEADER, "")
        row |= {
            "File_name": f"{series}_104.png",
            "Patient_index": str(patient),
            "Key_slice_index": "104",
            "Bounding_boxes": ", ".join(f"{v:.2f}" for v in box),
            "Lesion_diameters_Pixel_": f"{side * 1.2:.2f}, {side:.2f}",
            "Coarse_lesion_type": "4",
            "Possibly_noisy": "0",
            "Spacing_mm_px_": f"{PIXEL_MM}, {PIXEL_MM}, {INTERVAL_MM}",
            "Train_Val_Test": str(1 if patient <= 4 else 3),
        }
        rows.append(row)
    with open(root / "DL_info.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    return root


class TestPreparation:
    def test_black_borders_are_clipped(self) -> None:
        plane = np.full((SIZE, SIZE), -1024.0)
        plane[BODY] = 50
        plane[3, 3] = 300  # a speck outside
        assert body_box(plane) == BODY
        assert body_box(np.full((4, 5), -1000.0)) == (slice(0, 4), slice(0, 5))

    def test_pixels_slices_and_boxes(self, folder: Path) -> None:
        key = read_deeplesion(folder, "test")[0]
        made = prepare(key, SPEC)
        assert made.grey_zyx.shape == (9, round(76 * PIXEL_MM / 0.8), round(70 * PIXEL_MM / 0.8))
        (box,) = made.boxes_yx
        y0, x0, y1, x1 = (round(float(v)) for v in box)
        middle = made.image()[4]
        assert middle[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].mean() < middle.median() - 0.3
        # 2 mm apart among slices of 5 mm: the disc's slices reach 7 mm, the fourth neighbour is at 8 mm.
        depth = made.image()[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].mean(dim=(1, 2))
        assert depth[4] == pytest.approx(float(depth[3]), abs=0.05)
        assert depth[0] > depth[2] + 0.2
        assert np.allclose(made.to_key_slice(torch.from_numpy(made.boxes_yx)), key.boxes_xyxy_px, atol=0.02)

    def test_large_images_are_brought_to_512_pixels(self, folder: Path) -> None:
        key = replace(read_deeplesion(folder, "test")[0], pixel_mm=8.0)
        made = prepare(key, SPEC)
        assert max(made.grey_zyx.shape) == 512
        assert np.allclose(made.to_key_slice(torch.from_numpy(made.boxes_yx)), key.boxes_xyxy_px, atol=0.02)

    def test_the_papers_window(self, folder: Path) -> None:
        made = prepare(read_deeplesion(folder, "test")[0], replace(PAPER_INPUT, in_slices=3))
        liver = np.median(made.grey_zyx)
        assert liver == pytest.approx((100 + 1024) / 4095 * 255, abs=1.5)


class TestSamples:
    def test_boxes_stay_on_the_lesion(self, folder: Path) -> None:
        sampler = KeySliceSampler(read_deeplesion(folder, "train"), SPEC, 64, seed=1, lesion_share=1.0)
        images, boxes = sampler.batch(0, 16)
        assert images.shape == (16, 9, 64, 64)
        assert boxes.shape == (16, MOST_BOXES, 4)
        seen = 0
        for image, rows in zip(images, boxes, strict=True):
            for box in rows[rows.isfinite().all(dim=1)]:
                y0, x0, y1, x1 = (round(float(v)) for v in box)
                assert 0 <= y0 < y1 <= 64 and 0 <= x0 < x1 <= 64
                inner = image[4, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
                if inner.numel() >= 9:
                    assert inner.mean() < 0.05, "the disc is at 10 HU, the body at 100 HU"
                    seen += 1
        assert seen >= 10

    def test_seed_and_number_decide(self, folder: Path) -> None:
        keys = read_deeplesion(folder, "train")
        one, other = (KeySliceSampler(keys, SPEC, 64, seed=1) for _ in range(2))
        other.sample(9)
        assert torch.equal(one.sample(4)[0], other.sample(4)[0])
        assert not torch.equal(one.sample(4)[0], one.sample(5)[0])

    def test_no_key_slice(self) -> None:
        with pytest.raises(InputError, match="no key slice"):
            KeySliceSampler([], SPEC, 64, seed=0)


def arguments(folder: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_compare_arguments(parser)
    return parser.parse_args([str(folder), "--out", str(out), "--no-figures", *more])


def test_comparison_trains_scores_and_goes_on(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    options = ("--only", "3DCE, 9; CS-Att, 9", "--steps", "3", "--batch", "2", "--crop", "64", "--seeds", "2")
    args = arguments(folder, tmp_path, *options)
    assert run_compare(args, say=said.append) == 0
    text = said[0]
    assert "CS-Att, 9 - 3DCE, 9" in text
    assert "+6.1" in text, "published: 67.8 - 61.7"
    assert "diameter" in text and "slice interval" in text
    saved = json.loads((tmp_path / "comparison.json").read_text())
    assert set(saved["variants"]) == {"3DCE, 9", "CS-Att, 9"}
    assert [len(v["seeds"]) for v in saved["variants"].values()] == [2, 2]
    weights = tmp_path / "runs" / "cs-att-9-1" / "checkpoint.pt"
    before = weights.stat().st_mtime_ns
    again: list[str] = []
    run_compare(args, say=again.append)
    assert weights.stat().st_mtime_ns == before
    assert again[0] == text
    # And from the kept rows alone, all of it: the table, the paired intervals.
    rows = tmp_path / "rows.json.gz"
    assert run_compare(printing(rows), say=said.append) == 0 and said[-1] == text
    assert "difference of means, points" in text and len(rows.read_bytes()) < 20_000
    with pytest.raises(InputError, match="data: give it"):
        run_compare(printing())
    kept = read_rows(rows, "detectors")
    runs = {name: [read_run(kept["images"], one) for one in each] for name, each in kept["runs"].items()}
    whole = Comparison(args)
    for variant in whole.chosen:
        for seed, run in enumerate(runs[variant.name]):
            scored = whole.scored(variant, seed, 10)
            assert run.summary == scored.summary
            every = np.ones(len(run.images), np.int64)
            assert run.sensitivity(every).tolist() == list(scored.summary.sensitivity.values())


def printing(rows: Path | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_compare_arguments(parser)
    return parser.parse_args([] if rows is None else ["--rows", str(rows)])


def drawn_run(rng: np.random.Generator, shift: float) -> list[ImageBoxes]:
    """Images of four patients with lesions, boxes on and off them, some scores equal."""
    images = []
    for k in range(9):
        reference = rng.uniform(0, 80, (int(rng.integers(1, 4)), 2))
        reference = np.hstack([reference, reference + 12])
        near = reference + rng.uniform(-3, 3, reference.shape)
        away = rng.uniform(100, 150, (int(rng.integers(0, 12)), 2))
        boxes = np.vstack([near, near[:1] + 0.5, np.hstack([away, away + 9])])
        scores = np.round(rng.uniform(0, 1, len(boxes)) + shift * (np.arange(len(boxes)) < len(near)), 2) / 2
        images.append(ImageBoxes(reference, boxes, scores, name=f"i{k}", patient=f"p{k % 4}"))
    return images


def test_kept_boxes_give_the_same_figures_and_intervals_over_patients() -> None:
    rng = np.random.default_rng(3)
    sets = [drawn_run(rng, shift) for shift in (0.0, 0.4)]
    runs = [read_run(kept_images(one), kept_answers(one)) for one in sets]
    for images, run in zip(sets, runs, strict=True):
        assert run.summary == summarise_detection(images)
        times = rng.integers(0, 3, len(images))
        drawn = [image for image, count in zip(images, times, strict=True) for _ in range(count)]
        again = summarise_detection(drawn).sensitivity.values()
        assert run.sensitivity(times).tolist() == pytest.approx(list(again))
    gains = paired_gain([runs[1]], [runs[0]], n_draws=300)
    change = [b - a for a, b in zip(*(run.summary.sensitivity.values() for run in runs), strict=True)]
    assert [g.value for g in gains] == pytest.approx(change) and gains[1].value > 0
    assert all(g.low <= g.value <= g.high and g.n_patients == 4 for g in gains)
    assert all(g.low == g.high == 0 for g in paired_gain([runs[0]], [runs[0]], n_draws=20))
    with pytest.raises(InputError, match="different images"):
        paired_gain([runs[0]], [replace(runs[1], images=runs[1].images[::-1])])
    with pytest.raises(InputError, match="do not fit"):
        read_run(kept_images(sets[0])[:1], kept_answers(sets[0]))


@pytest.mark.parametrize("name", ["CS-Att, 9", AS_WRITTEN, "contextual only, 15", "VA Faster R-CNN, 9"])
def test_a_row_starts_as_the_same_network_without_attention(name: str) -> None:
    (variant,) = [v for v in VARIANTS if v.name == name]
    family = families("compact")[variant.family]
    network = alike(family, variant, 4)
    plain = alike(family, replace(variant, contextual=False, spatial=False), 4)
    own = network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in plain.state_dict().items())
    if isinstance(network, CsAtt):
        x = torch.randn(1, variant.images, network.config.widths[-1], 6, 6)
        assert torch.equal(network.attend(x)[0], x), "every weight is 1"


def test_both_readings_of_equation_5_are_rows(folder: Path, tmp_path: Path) -> None:
    comparison = Comparison(arguments(folder, tmp_path, "--only", f"CS-Att, 9;{AS_WRITTEN}"))
    readings = {
        v.name: comparison.family_of(v).build(3, True, True).config.spatial_from for v in comparison.chosen
    }
    assert readings == {"CS-Att, 9": "refined", AS_WRITTEN: "input"}


def test_rows_on_a_common_trunk(folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    torch.manual_seed(3)
    plain = families("compact")["cs_att"].build(1, False, False)
    torch.save({k: v for k, v in plain.state_dict().items() if k.startswith("backbone.")}, start)
    options = ("--only", "3DCE, 9; CS-Att, 9; VA Faster R-CNN, 9", "--start", str(start), "--seeds", "1")
    small = ("--steps", "2", "--trunk-steps", "3", "--batch", "2", "--crop", "64", "--pixel", "1.0")
    said: list[str] = []
    args = arguments(folder, tmp_path / "out", *options, *small)
    run_compare(args, say=said.append)
    assert "fixed since" in said[0] and "start.pt" in said[0]
    assert "63.0" in said[0], "the published AP50 of VA Faster R-CNN"
    runs = tmp_path / "out" / "runs"
    trunk, one, other = (
        torch.load(runs / name / "checkpoint.pt", weights_only=True)["network"]
        for name in ("trunk-cs_att", "3dce-9-0", "cs-att-9-0")
    )
    weights = [n for n in one if n.startswith("backbone.") and "running" not in n and "num_" not in n]
    average = torch.load(runs / "trunk-cs_att" / "checkpoint.pt", weights_only=True)["average"]
    assert all(torch.equal(average[n], one[n]) and torch.equal(average[n], other[n]) for n in weights)
    first = "backbone.0.weight"
    assert not torch.equal(trunk[first], plain.state_dict()[first]), "the trunk learns"
    assert torch.allclose(trunk[first], plain.state_dict()[first], atol=0.01), "from what it was given"
    assert not torch.equal(one["position_maps.weight"], average["position_maps.weight"]), "the rows learn"


@pytest.mark.parametrize("name", ["cs_att", "va_faster_rcnn", "va_deformable"])
def test_maps_made_once_are_the_networks_own(folder: Path, tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    family = families("compact")[name]
    network = family.build(3, True, True).eval()
    store = MapStore(tmp_path, family, network, SPEC)
    keys = read_deeplesion(folder, "test")
    store.fill(keys)
    for key in keys:
        own, kept = (
            key_slice_detector(family, network, SPEC)(key),
            map_detector(family, network, 3, store)(key),
        )
        count = min(5, len(own.scores))
        assert count and np.allclose(own.scores[:count], kept.scores[:count], atol=2e-3)
        assert np.allclose(own.boxes_xyxy_px[0], kept.boxes_xyxy_px[0], atol=0.2)
    other = MapStore(tmp_path, family, family.build(3, True, True), SPEC)
    assert other.folder != store.folder, "another trunk makes other maps"
    levels, boxes = MapSampler(store, keys, 3, 64, seed=1, lesion_share=1.0).batch(0, 4)
    assert [tuple(level.shape[3:]) for level in levels] == [(64 // s, 64 // s) for s in store.strides]
    assert bool(boxes[:, 0].isfinite().all())
    loss = map_loss(family, network.train(), 0, 64, tuple(level.float() for level in levels), boxes, 0)
    assert torch.isfinite(loss)


def test_crops_of_maps_hold_what_lies_there(folder: Path, tmp_path: Path) -> None:
    family = families("compact")["cs_att"]
    network = family.build(1, False, False).eval()
    store = MapStore(tmp_path, family, network, SPEC)
    (key, _) = read_deeplesion(folder, "test")
    store.fill([key])
    whole = store.get(key).tensors(3)[0]
    part = store.get(key).tensors(3, (slice(2, 6), slice(5, 9)))[0]
    assert torch.equal(part, whole[:, :, 2:6, 5:9])
    assert torch.equal(store.get(key).tensors(1)[0], whole[1:2])
    sampler = MapSampler(store, [key], 1, 40, seed=1, lesion_share=1.0)
    for number in range(6):
        levels, boxes = sampler.sample(number)
        cut = levels[0][0].float()
        found = [
            (y, x)
            for y in range(whole.shape[2] - 9)
            for x in range(whole.shape[3] - 9)
            if torch.allclose(cut, whole[1, :, y : y + 10, x : x + 10], rtol=0.01, atol=0.01)
        ]
        assert len(found) == 1
        box = store.get(key).prepared.boxes_yx[0] - 4.0 * np.tile(found[0], 2)
        if bool(boxes[0].isfinite().all()):
            assert np.allclose(boxes[0].numpy(), np.clip(box, 0, 40), atol=1e-4)


def test_losses_from_images_are_the_networks(folder: Path) -> None:
    family = families("compact")["cs_att"]
    torch.manual_seed(0)
    network = family.build(3, True, True).eval()
    images, boxes = KeySliceSampler(read_deeplesion(folder, "train"), SPEC, 64, seed=1).batch(0, 2)
    truths = [b[b.isfinite().all(dim=1)] for b in boxes]
    unknown = torch.zeros(2, 64, 64, dtype=torch.bool)
    direct = network.losses(images, truths, unknown, torch.Generator().manual_seed(7 * 1_000_003 + 4))
    ours = image_loss(family, network, 7, images, boxes, 4)
    assert ours.item() == pytest.approx(sum(part.item() for part in direct.values()), rel=1e-4)


def test_every_published_row_is_there_and_can_be_built() -> None:
    # And one more: the other reading of CS-Att's equation 5.
    assert len(VARIANTS) == 16
    for variant in VARIANTS:
        network = families("compact")[variant.family].build(
            variant.images, variant.contextual, variant.spatial
        )
        if variant.family == "cs_att":
            assert network.config.in_slices == 3 * variant.images
        else:
            assert network.config.bag == variant.images
            assert network.on_pyramid == (variant.contextual or variant.spatial) == (variant.images > 1)
            assert (network.config.channel, network.config.spatial) == (variant.contextual, variant.spatial)
            assert bool(network.config.deformable) == (variant.family == "va_deformable")
        base = {v.name: v for v in VARIANTS}.get(variant.against)
        assert not variant.against or (base is not None and base.family == variant.family)


def test_wrong_options_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose among"):
        run_compare(arguments(folder, tmp_path, "--only", "YOLO"))
    with pytest.raises(InputError, match="rising HU"):
        run_compare(arguments(folder, tmp_path, "--window", "250,-150", "--steps", "1"))
    with pytest.raises(InputError, match="no key slice"):
        run_compare(arguments(folder, tmp_path, "--types", "BN"))
    with pytest.raises(InputError, match="millimetres"):
        Comparison(arguments(folder, tmp_path, "--pixel", "0"))
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    with pytest.raises(InputError, match="no weights to start from"):
        run_compare(arguments(folder, tmp_path, "--start", str(text), "--only", "3DCE, 9"))


def test_boxes_come_back_in_pixels_of_the_key_slice(folder: Path) -> None:
    torch.manual_seed(0)
    family = RFcn(replace(SIZES["compact"], widths=(4, 4, 4, 4)))
    network = family.build(3, True, True).eval()
    key = read_deeplesion(folder, "test")[0]
    found = key_slice_detector(family, network, SPEC)(key)
    assert len(found.scores) > 3
    assert found.boxes_xyxy_px[:, 0].min() >= BODY[1].start - 1e-6
    assert found.boxes_xyxy_px[:, 1].min() >= BODY[0].start - 1e-6
    assert found.boxes_xyxy_px[:, 2].max() <= BODY[1].stop + 1e-6
    assert found.boxes_xyxy_px[:, 3].max() <= BODY[0].stop + 1e-6
