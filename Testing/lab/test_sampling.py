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
