"""A second phase that was breathed away is brought back onto the first."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.stages.classify.liver_box import LiverCrop
from LiverLesionAILib.stages.classify.second_phase import RegisterSettings, register_phase
from LiverLesionAILib.stages.followup.register import LiverTransform, coarse_grid
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage
from support.rules import of_page

GEOMETRY = Geometry.make((32, 64, 64), (5.0, 4.0, 4.0), (-120.0, -130.0, 200.0))


def phantom(liver_hu: float, vessel_hu: float) -> tuple[np.ndarray, np.ndarray]:
    """A trunk with a liver and branching vessels in it; HU and liver."""
    z, y, x = np.indices(GEOMETRY.shape_zyx).astype(float)
    body = ((y - 32) / 28) ** 2 + ((x - 32) / 31) ** 2 <= 1
    liver = ((z - 16) / 11) ** 2 + ((y - 28) / 15) ** 2 + ((x - 22) / 15) ** 2 <= 1
    hu = np.where(body, -90.0, -1000.0)
    hu[body & (np.hypot(y - 50, x - 32) < 5)] = 250
    hu[liver] = liver_hu
    for slope, offset in ((0.4, 0.0), (-0.5, 4.0), (0.1, -5.0)):
        hu[liver & (np.hypot(y - 28 - slope * (z - 16), x - 22 - offset - slope * (z - 16)) < 1.6)] = (
            vessel_hu
        )
    noise = np.random.default_rng(int(liver_hu)).normal(0, 6, hu.shape)
    return (ndimage.gaussian_filter(hu, 0.6) + noise).astype(np.float32), liver


def crop(hu: np.ndarray, liver: np.ndarray) -> LiverCrop:
    return LiverCrop(hu, liver, np.zeros(hu.shape, np.uint16), GEOMETRY)


def test_another_breath_and_another_contrast() -> None:
    first, liver = phantom(70, 95)
    second, _ = phantom(110, 165)
    bend = np.sin(np.indices(GEOMETRY.shape_zyx)[2] / 20.0)
    grid = np.indices(GEOMETRY.shape_zyx) + np.array([2.0, 1.5, -1.0])[:, None, None, None]
    grid[1] += 1.2 * bend
    moved = ndimage.map_coordinates(second, grid, order=1, mode="nearest")
    found = register_phase(
        crop(first, liver), CtVolume(moved.astype(np.float32), GEOMETRY), of_page(RegisterSettings)
    )
    near = ndimage.binary_dilation(liver, iterations=2)
    before = np.abs(moved - second)[near].mean()
    assert np.abs(found.hu_zyx - second)[near].mean() < 0.35 * before
    assert found.mean_shift_mm == pytest.approx(np.linalg.norm([10.0, 8.5, 4.0]), abs=3.5)
    assert found.covered > 0.98


def test_a_scan_without_the_liver_is_not_used() -> None:
    first, liver = phantom(70, 95)
    lungs = np.full(GEOMETRY.shape_zyx, -850, np.float32)
    lungs += np.random.default_rng(0).normal(0, 20, lungs.shape).astype(np.float32)
    assert register_phase(crop(first, liver), CtVolume(lungs, GEOMETRY), of_page(RegisterSettings)) is None


def test_a_mask_lies_in_the_prior_where_the_transform_says() -> None:
    """The prior's points move 8 mm to the left and 10 mm up: the current mask comes back by as much."""
    shift = sitk.TranslationTransform(3, (8.0, 0.0, 10.0))
    moved = LiverTransform(shift, 1.0, 0.0, 1.0, 12.8)
    mask = np.zeros(GEOMETRY.shape_zyx, bool)
    mask[10:14, 30:35, 40:44] = True
    back = moved.mask(mask, GEOMETRY, GEOMETRY)
    assert np.array_equal(np.argwhere(back), np.argwhere(mask) - (2, 0, 2))
    with pytest.raises(ValueError, match="no liver to register"):
        coarse_grid(np.zeros(GEOMETRY.shape_zyx, bool), GEOMETRY)
