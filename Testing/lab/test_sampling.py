"""What augmentation does to a crop, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LiverLesionAILab.training.sampling import AugmentSettings, augment_intensity, breathed


def _edge() -> torch.Tensor:
    image = torch.zeros(5, 48, 48)
    image[:, 24:] = 100.0
    return image


@pytest.mark.parametrize("seed", range(6))
def test_breathing_smears_an_edge_and_keeps_levels(seed: int) -> None:
    smeared = breathed(_edge(), np.random.default_rng(seed), 9.0)
    assert smeared.shape == (5, 48, 48)
    assert float(smeared.min()) >= -1e-3
    assert float(smeared.max()) <= 100.0 + 1e-3
    assert float(smeared.mean()) == pytest.approx(50.0, abs=6.0)
    # Far from the edge nothing changes.
    assert torch.allclose(smeared[:, :10], torch.zeros(5, 10, 48), atol=1e-3)
    assert torch.allclose(smeared[:, -10:], torch.full((5, 10, 48), 100.0), atol=1e-3)


def test_breathing_mixes_neighbouring_slices() -> None:
    image = torch.zeros(5, 32, 32)
    image[2] = 90.0
    smeared = breathed(image, np.random.default_rng(1), 5.0)
    assert 20 < float(smeared[2].mean()) < 80
    assert float(smeared[1].mean()) == pytest.approx(float(smeared[3].mean()))
    assert float(smeared[1].mean()) > 5
    assert float(smeared[0].abs().max()) == 0.0


def test_one_slice_can_breathe_too() -> None:
    assert breathed(_edge()[:1], np.random.default_rng(0), 6.0).shape == (1, 48, 48)


def test_the_same_seed_augments_alike() -> None:
    settings = AugmentSettings()
    first, second = (
        augment_intensity(_edge(), np.random.default_rng(3), settings, torch.Generator().manual_seed(4))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    changed = AugmentSettings(breathing_chance=1.0)
    third = augment_intensity(_edge(), np.random.default_rng(3), changed, torch.Generator().manual_seed(4))
    assert not torch.equal(first, third)


def _noise(settings: AugmentSettings, count: int = 100) -> torch.Tensor:
    """The noise that augmentation adds to a flat image where it adds any, (draws, 5, 64, 64)."""
    flat = torch.full((5, 64, 64), 100.0)
    draws = [
        augment_intensity(flat, np.random.default_rng(seed), settings, torch.Generator().manual_seed(seed))
        for seed in range(count)
    ]
    return torch.stack([draw - draw.mean() for draw in draws if draw.std() > 0.1])


def _alike(noise: torch.Tensor, axis: int, step: int) -> float:
    """Correlation of the noise with itself so many pixels farther along an axis, mean over draws."""
    near = noise.narrow(axis, 0, noise.shape[axis] - step)
    far = noise.narrow(axis, step, noise.shape[axis] - step)
    return float(((near * far).mean(dim=(1, 2, 3)) / noise.var(dim=(1, 2, 3))).mean())


PLAIN = {"level_hu": 0.0, "contrast": 0.0, "blur_px": 0.0, "thick_chance": 0.0, "noise_chance": 1.0}


def test_noise_has_the_grain_and_the_neighbours_it_is_asked_for() -> None:
    fine = _noise(AugmentSettings(noise_hu=20.0, **PLAIN))
    coarse = _noise(AugmentSettings(noise_hu=20.0, grain_px=3.0, slice_grain=0.6, **PLAIN))
    # The pixel of a CT is two of a network's that sees it twice as large: there the fine noise is gone.
    assert _alike(fine, 3, 2) < 0.15 < 0.35 < _alike(coarse, 3, 2)
    assert abs(_alike(fine, 1, 1)) < 0.02 and _alike(coarse, 1, 1) > 0.3
    for noise in (fine, coarse):
        spread = noise.std(dim=(1, 2, 3))
        # However coarse, its SD is what was drawn: up to 20 HU.
        assert 5.0 < float(spread.mean()) < 15.0 and float(spread.max()) <= 20.5


def test_noise_as_often_as_asked() -> None:
    assert len(_noise(AugmentSettings(**{**PLAIN, "noise_chance": 0.5}), 60)) == pytest.approx(30, abs=12)
