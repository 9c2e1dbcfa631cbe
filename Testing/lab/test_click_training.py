"""What the network that answers clicks learns from: its samples, second clicks, loss, and a short run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.cases import UNKNOWN, TrainingCase, encode_hu
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.stages.detect.click_input import CHANNELS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.click_sampling import (
    IGNORED,
    ClickAugment,
    ClickSampler,
    recoloured,
    sites_of,
)
from LiverLesionAILab.training.click_training import (
    INSIDE,
    OUTSIDE,
    click_loss,
    clicked_again,
    fit_clicks,
    second_click,
)

RECIPE = recipe("click_unet")
SPEC, EDGE = RECIPE.spec, RECIPE.crop
SHAPE, SPACING = (30, 90, 90), (2.0, 1.0, 1.0)
Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
PLAIN = ClickAugment(
    recoloured=0.0, with_probability=0.0, thick=0.0, noise_hu=0.0, level_hu=0.0, contrast=0.0
)


def ball(z: int, y: int, x: int, radius_mm: float) -> np.ndarray:
    return ((Z - z) * 2.0) ** 2 + (Y - y) ** 2 + (X - x) ** 2 <= radius_mm**2


SMALL, LARGE = ball(12, 25, 25, 5.0), ball(16, 60, 60, 17.0)


def case(kind: str = "variant") -> TrainingCase:
    labels = np.ones(SHAPE, np.uint8)
    labels[SMALL | LARGE] = 2
    labels[:3] = UNKNOWN
    hu = np.where(labels == 2, 60.0, 110.0)
    return TrainingCase(f"a-{kind}", "A", encode_hu(hu), labels, SPACING, kind)


def parts(seen: np.ndarray) -> np.ndarray:
    return seen.reshape(CHANNELS, SPEC.in_slices, EDGE, EDGE)


def test_every_lesion_is_a_site_and_is_clicked_on_inside() -> None:
    small, large = sorted(sites_of(0, case()), key=lambda site: site.diameter_mm)
    assert (round(small.diameter_mm), round(large.diameter_mm)) == (10, 34)
    for site, truth in ((small, SMALL), (large, LARGE)):
        assert site.mask.sum() == truth.sum() and site.mask[tuple(site.deepest)]
        assert all(site.mask[tuple(place)] for place in site.deep)


def test_a_sample_shows_the_lesion_the_click_and_nothing_of_the_truth() -> None:
    sampler = ClickSampler([case()], SPEC, EDGE, 3, PLAIN)
    scales = set()
    for number in range(12):
        seen, labels = sampler.sample(number)
        again, _ = sampler.sample(number)
        assert np.array_equal(seen, again) and np.isfinite(seen).all()
        ct, narrow, probability, inside, outside, plane = parts(seen)
        scales.add(float(plane[0, 0, 0]))
        at = np.unravel_index(inside.argmax(), inside.shape)
        assert inside[at] > 0.75 and labels[at] == 1
        assert not outside.any() and not probability.any()
        assert ct[labels == 1].mean() < ct[labels == 0].max() - 0.2
        assert narrow[labels == 1].mean() < -0.5
    assert max(scales) > 0.3 > min(scales), "the large one is seen at a coarser scale"


def test_what_is_unknown_counts_nowhere() -> None:
    sampler = ClickSampler([case()], SPEC, EDGE, 0, PLAIN)
    labels = np.stack([sampler.sample(number)[1] for number in range(8)])
    assert set(np.unique(labels)) == {0, 1, IGNORED}
    truth = torch.from_numpy((labels == 1).astype(np.float32))
    right, known = 20 * truth - 10, torch.from_numpy(labels)
    assert click_loss(right, known) < 0.02
    spoiled = torch.where(known == IGNORED, torch.tensor(10.0), right)
    assert click_loss(spoiled, known) == pytest.approx(float(click_loss(right, known)), abs=1e-6)
    assert click_loss(-right, known) > 1 and click_loss(torch.full_like(right, -10.0), known) > 0.9


def test_a_suspicion_and_other_looks_are_drawn_by_chance() -> None:
    shown = replace(PLAIN, with_probability=1.0)
    seen = [parts(ClickSampler([case()], SPEC, EDGE, 0, shown).sample(number)[0])[2] for number in range(4)]
    assert all(0 < one.max() <= 1 for one in seen)
    soft = np.zeros((16, 48, 48), np.float32)
    soft[6:10, 18:30, 18:30] = 1
    hu = np.where(soft > 0, 60.0, 100.0).astype(np.float32)
    bright, faint = recoloured(hu, soft, np.float32(100), -1.0), recoloured(hu, soft, np.float32(100), 0.2)
    assert bright[8, 24, 24] > 125 and 85 < faint[8, 24, 24] < 97
    assert np.allclose(bright[0], 100, atol=0.5)


def test_the_second_click_lies_in_the_largest_error() -> None:
    truth, known = np.zeros((16, 48, 48), bool), np.ones((16, 48, 48), bool)
    truth[6:10, 10:30, 10:30] = True
    half = truth.copy()
    half[:, :, 20:] = False
    point, inside = second_click(half, truth, known, 2.0)
    assert inside and truth[tuple(point)] and not half[tuple(point)]
    leak = truth.copy()
    leak[4:12, 30:46, 5:40] = True
    point, inside = second_click(leak, truth, known, 2.0)
    assert not inside and leak[tuple(point)] and not truth[tuple(point)]
    known[4:12, 30:46] = False
    assert second_click(leak, truth, known, 2.0) is None and second_click(truth, truth, known, 2.0) is None


def test_second_clicks_join_the_first_ones() -> None:
    seen, labels = ClickSampler([case()], SPEC, EDGE, 0, PLAIN).batch(0, 2)
    truth = labels == 1
    logits = torch.where(truth, 5.0, -5.0)
    logits[1] = 5.0  # all of the crop, too much
    logits[0][truth[0]] = -5.0  # nothing
    again = clicked_again(seen, logits, labels, 2.0)
    first, second = parts(again[0].numpy()), parts(again[1].numpy())
    assert (first[INSIDE] >= parts(seen[0].numpy())[INSIDE]).all() and not first[OUTSIDE].any()
    at = np.unravel_index(second[OUTSIDE].argmax(), second[OUTSIDE].shape)
    assert second[OUTSIDE][at] == 1 and not truth[1][at]
    assert np.array_equal(parts(seen[1].numpy())[INSIDE], second[INSIDE])


def test_a_short_run_learns_and_says_what_from(tmp_path: Path) -> None:
    loop = replace(RECIPE.loop, steps=14, batch=2, warmup=2, checkpoint_every=7, log_every=7)
    small = replace(RECIPE, loop=loop, config=replace(RECIPE.config, widths=(8, 8, 8)))
    network = fit_clicks(small, [case(), case("real")], tmp_path, "cpu")
    assert not network.training
    told = json.loads((tmp_path / "run.json").read_text())
    assert told["lesions"] == {"variant": 2, "real": 2} and told["patients"] == ["A"]
    losses = [float(row.split(",")[1]) for row in (tmp_path / "curve.csv").read_text().splitlines()[1:]]
    assert len(losses) == 2 and losses[1] < losses[0]


def test_without_a_lesion_there_is_nothing_to_learn() -> None:
    plain = replace(case(), labels_zyx=np.ones(SHAPE, np.uint8))
    with pytest.raises(ValueError, match="no lesion"):
        ClickSampler([plain], SPEC, EDGE, 0)
