"""A rim goes round a lesion; a vessel beside it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from LiverLesionAILib.stages.classify.differential import ARTERIAL, PORTAL, DifferentialSettings
from LiverLesionAILib.stages.classify.enhancement import measure_enhancement
from LiverLesionAILib.stages.classify.features import LesionFeatures, measure_features
from scipy import ndimage
from support.rules import of_page

RULES = of_page(DifferentialSettings)
LIVER_HU, BLOOD_HU, NOISE_HU = 105.0, 160.0, 10.0
SPACINGS = ((2.5, 1.2, 1.2), (5.0, 1.3, 1.3), (1.0, 0.8, 0.8))


def lesion(
    spacing: tuple[float, float, float],
    *,
    diameter: float = 12.0,
    core: float = 10.0,
    rim_mm: float = 0.0,
    gap: float = 0.0,
    branches: int = 0,
    seed: int = 0,
) -> LesionFeatures:
    """A ball in liver, touched by branches of 9 mm from so many sides.

    Args:
        gap: share of the way round that its rim, as bright as blood, leaves open.
    """
    rng = np.random.default_rng(seed)
    shape = [math.ceil(56 / s) for s in spacing]
    z, y, x = np.meshgrid(
        *((np.arange(n) - n / 2 + 0.5) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
    )
    away = np.sqrt(z**2 + y**2 + x**2)
    radius, reach = diameter / 2, diameter / 2 + 4.0
    hu = np.full(away.shape, LIVER_HU)
    # A branch across, one along the slices behind it, as in a fork of the portal vein.
    for tube in (np.hypot(y - reach, x), np.hypot(z, x - reach))[:branches]:
        hu[tube <= 4.5] = BLOOD_HU
    mask = away <= radius
    hu[mask] = core
    if rim_mm:
        turn = np.abs(np.arctan2(y, x)) / np.pi
        hu[mask & (away > radius - rim_mm) & (turn >= gap)] = BLOOD_HU
    hu = ndimage.gaussian_filter(hu, [0.8 / s for s in spacing]) + rng.normal(0, NOISE_HU, hu.shape)
    return measure_features(hu.astype(np.float32), np.ones(hu.shape, bool), mask.astype(np.uint16), spacing)[
        1
    ]


@pytest.mark.parametrize(
    ("spacing", "branches", "diameter", "most"),
    [
        (SPACINGS[0], 1, 12.0, 3.0),
        (SPACINGS[0], 2, 12.0, 3.0),
        (SPACINGS[0], 2, 20.0, 3.0),
        (SPACINGS[1], 1, 20.0, 3.0),
        (SPACINGS[1], 2, 20.0, 5.0),
        (SPACINGS[2], 1, 12.0, 3.0),
        (SPACINGS[2], 2, 12.0, 3.0),
    ],
)
def test_a_branch_beside_a_cyst_is_no_rim(spacing, branches: int, diameter: float, most: float) -> None:
    """Not even a fork that holds it; of a small one in thick slices a fork still is, for too few voxels."""
    for seed in range(4):
        found = lesion(spacing, diameter=diameter, branches=branches, seed=seed)
        assert found.rim_contrast_hu < most


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_rim_is_one_with_a_gap_and_with_a_branch_beside_it(spacing: tuple[float, float, float]) -> None:
    for seed in range(4):
        whole = lesion(spacing, diameter=18, core=55, rim_mm=2.5, seed=seed).rim_contrast_hu
        gaping = lesion(spacing, diameter=18, core=55, rim_mm=2.5, gap=0.25, seed=seed).rim_contrast_hu
        beside = lesion(spacing, diameter=18, core=55, rim_mm=2.5, branches=2, seed=seed).rim_contrast_hu
        assert whole > 20
        assert gaping > RULES.rim_hu
        assert beside == pytest.approx(whole, abs=6), "the branches add nothing"
    assert lesion(spacing, diameter=18, core=55, branches=2).rim_contrast_hu < RULES.rim_hu


def test_a_bright_lesion_beside_an_artery_keeps_its_aphe_and_gets_no_capsule() -> None:
    beside = lesion(SPACINGS[0], core=140.0, branches=2)
    seen = measure_enhancement({ARTERIAL: beside, PORTAL: lesion(SPACINGS[0], branches=2)}, RULES)
    assert (seen.aphe, seen.rim, seen.capsule) == (True, False, False)
