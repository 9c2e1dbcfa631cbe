"""The sample case: five lesions of known truth in a plausible scan, made in seconds, always the same."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILab.synthesis.sample import Sample, load_sample
from scipy import ndimage


def test_geometry_and_values(sample: Sample) -> None:
    volume = sample.volume
    assert volume.hu_zyx.dtype == np.int16
    assert min(volume.geometry.shape_zyx[1:]) >= 256
    assert 2.5 <= volume.geometry.spacing_zyx_mm[0] <= 3.0
    assert volume.hu_zyx.min() >= -1024
    assert sample.liver_zyx.shape == sample.lesion_labels_zyx.shape == volume.hu_zyx.shape
    liver_ml = sample.liver_zyx.sum() * volume.geometry.voxel_volume_mm3 / 1000
    assert 1000 < liver_ml < 2500


def test_five_lesions_of_8_to_45_mm(sample: Sample) -> None:
    assert [lesion.number for lesion in sample.lesions] == [1, 2, 3, 4, 5]
    assert set(np.unique(sample.lesion_labels_zyx)) == {0, 1, 2, 3, 4, 5}
    voxel = sample.volume.geometry.voxel_volume_mm3
    for lesion in sample.lesions:
        mask = sample.lesion_labels_zyx == lesion.number
        diameter = (6 / np.pi * mask.sum() * voxel) ** (1 / 3)
        assert 7.5 < diameter < 45
        assert diameter == pytest.approx(lesion.diameter_mm, rel=0.02)
        assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
        np.testing.assert_allclose(lesion.centre_zyx, np.argwhere(mask).mean(0), atol=0.01)
        np.testing.assert_array_equal(lesion.box_zyx[0], np.argwhere(mask).min(0))
        np.testing.assert_array_equal(lesion.box_zyx[1], np.argwhere(mask).max(0) + 1)
        assert (mask <= sample.liver_zyx).all(), "the liver includes its lesions"
    sizes = [lesion.diameter_mm for lesion in sample.lesions]
    assert max(sizes) > 35
    assert min(sizes) < 10


def test_lesions_are_darker_than_the_liver_and_apart(sample: Sample) -> None:
    hu = sample.volume.hu_zyx
    liver = np.median(hu[sample.liver_zyx & (sample.lesion_labels_zyx == 0)])
    for lesion in sample.lesions:
        assert np.median(hu[sample.lesion_labels_zyx == lesion.number]) < liver - 10
    together = ndimage.label(sample.lesion_labels_zyx > 0, np.ones((3, 3, 3)))[1]
    assert together == 5


def test_same_every_time(sample: Sample) -> None:
    again = load_sample()
    np.testing.assert_array_equal(again.volume.hu_zyx, sample.volume.hu_zyx)
    np.testing.assert_array_equal(again.lesion_labels_zyx, sample.lesion_labels_zyx)
    assert again.volume.geometry.matches(sample.volume.geometry)
