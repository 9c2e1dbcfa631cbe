"""The liver's noise as the networks see it: measured, and nothing else taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.stages.segment.noise import liver_noise_hu
from scipy import ndimage

SPACING = (2.5, 1.25, 1.25)
SHAPE = (30, 100, 120)
PLACE = np.indices(SHAPE, float)
MIDDLE, HALF = (np.array(v).reshape(3, 1, 1, 1) for v in ((15, 50, 60), (12, 40, 48)))
LIVER = (((PLACE - MIDDLE) / HALF) ** 2).sum(0) <= 1.0


def grain(sd_hu: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), (0.3, 0.7, 0.7))
    return (noise * sd_hu / noise.std()).astype(np.float32)


@pytest.mark.parametrize("sd_hu", [5.0, 12.0, 25.0])
def test_noise_is_measured(sd_hu: float) -> None:
    found = liver_noise_hu(np.where(LIVER, 100, -80).astype(np.float32) + grain(sd_hu), LIVER, SPACING)
    # Its coarsest part is smoothed away with the tissue.
    assert 0.85 * sd_hu < found <= 1.02 * sd_hu


def test_vessels_a_gradient_and_the_edge_are_no_noise() -> None:
    hu = np.where(LIVER, 100 + 0.3 * PLACE[2], -900).astype(np.float32)
    hu[:, 48:53, :] += 60.0
    assert liver_noise_hu(hu + grain(8.0), LIVER, SPACING) == pytest.approx(8.0, rel=0.3)


def test_too_little_liver_says_nothing() -> None:
    few = np.zeros(SHAPE, bool)
    few[10:12, 40:60, 40:60] = True
    hu = grain(30.0)
    assert np.isnan(liver_noise_hu(hu, few, SPACING))
    assert np.isnan(liver_noise_hu(hu, np.zeros(SHAPE, bool), SPACING))
