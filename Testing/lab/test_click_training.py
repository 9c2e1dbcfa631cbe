"""What the network for clicks learns from: its crops, samples, second clicks, loss, and a short run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.cases import UNKNOWN, TrainingCase, encode_hu
from LiverLesionAILab.training.click_cases import ClickBank, click_crops
from LiverLesionAILab.training.click_crops import (
    CropCounts,
    TrainingCrop,
    crops_of,
    load_crops,
    save_crops,
    spoilt,
)
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.stages.detect.click_input import CHANNELS, DEPTH, DISTANCE, EDGE, INSIDE, OUTSIDE
from LiverLesionAILib.volume.overlap import dice

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.click_sampling import IGNORED, ClickAugment, ClickSampler, recoloured
from LiverLesionAILab.training.click_training import answered_again, click_loss, fit_clicks

RECIPE = recipe("click_unet")
SHAPE, SPACING = (30, 90, 90), (2.0, 1.0, 1.0)
Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
PLAIN = ClickAugment(
    recoloured=0.0, noisy=0.0, blurred=0.0, level_hu=0.0, contrast=0.0, shaken=0.0, unsure=0.0
)
COUNTS = CropCounts(lesions=9, clicks=2, views=2)


def ball(z: int, y: int, x: int, radius_mm: float) -> np.ndarray:
    return ((Z - z) * 2.0) ** 2 + (Y - y) ** 2 + (X - x) ** 2 <= radius_mm**2


SMALL, LARGE = ball(12, 25, 25, 5.0), ball(16, 60, 60, 17.0)


def case(kind: str = "variant") -> TrainingCase:
    labels = np.ones(SHAPE, np.uint8)
    labels[SMALL | LARGE] = 2
    labels[:3] = UNKNOWN
    hu = np.where(labels == 2, 60.0, 110.0) + np.random.default_rng(1).normal(0, 4, SHAPE)
    return TrainingCase(f"a-{kind}", "A", encode_hu(hu), labels, SPACING, kind)


@pytest.fixture(scope="module")
def crops() -> list[TrainingCrop]:
    return crops_of(case(), np.random.default_rng(0), COUNTS)


def parts(seen: np.ndarray) -> np.ndarray:
    return seen.reshape(CHANNELS, DEPTH, EDGE, EDGE)


def test_every_lesion_gives_crops_of_surfaces_and_of_spoilt_outlines(crops: list[TrainingCrop]) -> None:
    by_size = {d: [c for c in crops if round(c.meta.diameter_mm) == d] for d in (10, 34)}
    assert [len(own) for own in by_size.values()] == [6, 6] and len(crops) == 12
    for own in by_size.values():
        truth = [crop.truth > 127 for crop in own]
        drawn = [crop.distance > 0 for crop in own]
        # Two clicks by surfaces, each seen twice: near the truth; then the spoilt one.
        assert all(dice(a, b) > 0.75 for a, b in zip(drawn[:4], truth[:4], strict=True))
        assert dice(drawn[4], truth[4]) < 0.97
        for crop, lesion in zip(own, truth, strict=True):
            z, y, x = (round(v) for v in crop.meta.inside[0])
            assert lesion[z, y, x] and crop.near[lesion].all()
            assert np.median(crop.hu[lesion]) < 75 < 95 < np.median(crop.hu[crop.near & ~lesion])
    assert by_size[34][0].meta.pixel_mm > 2 * by_size[10][0].meta.pixel_mm
    assert any(len(c.meta.inside) + len(c.meta.outside) > 1 for c in crops), "some are corrected already"


def test_slices_of_a_thick_series_are_taken_as_they_are(crops: list[TrainingCrop]) -> None:
    assert {crop.meta.depth_mm for crop in crops if crop.meta.diameter_mm < 12} == {2.0}


def test_outlines_are_spoilt_in_many_ways_but_stay_at_the_lesion() -> None:
    outlines = [spoilt(LARGE, SPACING, np.random.default_rng(seed)) for seed in range(24)]
    overlaps = [dice(outline, LARGE) for outline in outlines]
    ratios = [outline.sum() / LARGE.sum() for outline in outlines]
    assert min(overlaps) > 0.15 and np.median(overlaps) < 0.9 and max(overlaps) < 1
    assert min(ratios) < 0.6 and max(ratios) > 1.4


def test_crops_are_kept_whole_and_damage_is_told(crops: list[TrainingCrop], tmp_path: Path) -> None:
    save_crops(crops, tmp_path / "kept")
    again = load_crops(tmp_path / "kept")
    assert len(again) == len(crops)
    assert all(np.array_equal(a.truth, b.truth) for a, b in zip(again, crops, strict=True))
    assert np.allclose(again[5].meta.inside, crops[5].meta.inside)
    save_crops([], tmp_path / "none")
    assert load_crops(tmp_path / "none") == []
    (tmp_path / "kept" / "truth.npy").unlink()
    with pytest.raises(FileNotFoundError):
        load_crops(tmp_path / "kept")


def test_a_held_out_patients_scans_are_not_made(
    crops: list[TrainingCrop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LiverLesionAILab.training import click_cases

    def made(make, tasks, workers, what, progress) -> None:
        for task in tasks:
            save_crops(crops[:2], task.target)

    monkeypatch.setattr(click_cases, "make_all", made)
    bank = ClickBank(variants=2)
    found = click_crops(bank, "A", tmp_path, None, 1)
    names = {folder.name for folder in next(tmp_path.iterdir()).iterdir()}
    assert len(found) == 2 * len(names) and not any("lits000" in n or "lits001" in n for n in names)
    assert {"real-lits002-00", "real-lits005-02", "variant-lits004-01", "variant-fatty-00"} <= names
    more = click_crops(bank, "", tmp_path, None, 1)
    assert len(more) > len(found)


def test_a_sample_shows_the_lesion_the_outline_and_the_clicks(crops: list[TrainingCrop]) -> None:
    sampler = ClickSampler(crops, 3, PLAIN)
    for number in range(12):
        seen, labels = sampler.sample(number)
        again, _ = sampler.sample(number)
        assert np.array_equal(seen, again) and np.isfinite(seen).all() and np.abs(seen).max() <= 3
        _, narrow, spread, distance, near, inside, outside, _, _ = parts(seen)
        at = np.unravel_index(inside.argmax(), inside.shape)
        assert inside[at] > 0.7 and labels[at] > 0.5, "it turns with the lesion"
        assert outside.max() <= 1 and (near[labels > 0.5] == 1).all()
        assert narrow[labels == 1].mean() < -0.5 and spread[labels == 1].mean() < -0.5
        assert dice(distance > 0, labels > 0.5) > 0.1


def test_what_is_unknown_counts_nowhere(crops: list[TrainingCrop]) -> None:
    unknown = np.zeros((DEPTH, EDGE, EDGE), bool)
    unknown[:3] = True
    own = [replace(crop, unknown=unknown) for crop in crops]
    labels = np.stack([ClickSampler(own, 0, PLAIN).sample(number)[1] for number in range(8)])
    assert labels.min() == IGNORED and labels.max() == 1
    known = torch.from_numpy(labels)
    truth = (known > 0.5).float()
    plain = torch.where(known == IGNORED, known, truth)
    right = 20 * truth - 10
    assert click_loss(right, plain) < 0.02
    spoiled = torch.where(known == IGNORED, torch.tensor(10.0), right)
    assert click_loss(spoiled, plain) == pytest.approx(float(click_loss(right, plain)), abs=1e-6)
    assert click_loss(-right, plain) > 1 and click_loss(torch.full_like(right, -10.0), plain) > 0.9


def test_a_lesion_is_made_fainter_and_its_noise_stays() -> None:
    soft = np.zeros((16, 48, 48), np.float32)
    soft[6:10, 18:30, 18:30] = 1
    hu = np.where(soft > 0, 60.0, 100.0).astype(np.float32)
    strong, faint = recoloured(hu, soft, 100.0, 1.4), recoloured(hu, soft, 100.0, 0.5)
    assert strong[8, 24, 24] < 50 and 75 < faint[8, 24, 24] < 85
    assert np.allclose(faint[0], 100, atol=0.5)


def test_the_own_answer_becomes_the_outline_with_a_click_where_it_errs(crops: list[TrainingCrop]) -> None:
    seen, labels = ClickSampler(crops, 0, PLAIN).batch(0, 2)
    truth = labels > 0.5
    logits = torch.where(truth, 5.0, -5.0)
    logits[1] = 5.0  # all of the crop, too much
    logits[0] = -5.0  # nothing
    again = answered_again(seen, logits, labels)
    first, second = parts(again[0].numpy()), parts(again[1].numpy())
    assert (first[DISTANCE] == -1).all() and (second[DISTANCE] > 0).all()
    for own, place, inside in ((first, INSIDE, True), (second, OUTSIDE, False)):
        number = 0 if inside else 1
        before = parts(seen[number].numpy())[place]
        new = np.argwhere((own[place] == 1) & (before < 1))
        assert len(new) == 1 and bool(truth[number][tuple(new[0])]) is inside
    right = answered_again(seen, torch.where(truth, 5.0, -5.0), labels)
    assert torch.equal(
        right[0].reshape(CHANNELS, -1)[[INSIDE, OUTSIDE]], seen[0].reshape(CHANNELS, -1)[[5, 6]]
    )


def test_a_short_run_learns_and_says_what_from(crops: list[TrainingCrop], tmp_path: Path) -> None:
    loop = replace(RECIPE.loop, steps=14, batch=2, warmup=2, checkpoint_every=7, log_every=7)
    small = replace(RECIPE, loop=loop, config=replace(RECIPE.config, widths=(8, 8, 8)))
    real = crops_of(case("real"), np.random.default_rng(0), CropCounts(2, 1, 1))
    network = fit_clicks(small, [*crops, *real], tmp_path, "cpu")
    assert not network.training
    told = json.loads((tmp_path / "run.json").read_text())
    assert told["crops"] == {"variant": 12, "real": 4} and told["patients"] == ["A"]
    losses = [float(row.split(",")[1]) for row in (tmp_path / "curve.csv").read_text().splitlines()[1:]]
    assert len(losses) == 2 and losses[1] < losses[0]


def test_without_a_lesion_there_is_nothing_to_learn() -> None:
    plain = replace(case(), labels_zyx=np.ones(SHAPE, np.uint8))
    assert crops_of(plain, np.random.default_rng(0), COUNTS) == []
    with pytest.raises(ValueError, match="no lesion"):
        ClickSampler([], 0)
