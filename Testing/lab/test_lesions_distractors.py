"""Distractors: never a tumour, deterministic, each doing what it says."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILab.synthesis.distractors import MAKERS, DistractorSettings, add_distractors
from LiverLesionAILib.support.errors import InputError
from scipy import ndimage
from support.lesion_phantom import SPACING, noisy_liver

NEVER = dict.fromkeys(MAKERS, 0.0)


def only(name: str, **more: object) -> DistractorSettings:
    return DistractorSettings(**{**NEVER, name: 1.0}, **more)


@pytest.fixture(scope="module")
def scene():
    """A liver with bright vessels and a rib-like bar of bone beside it."""
    hu, liver = noisy_liver(seed=1, vessels=True)
    hu[:, 50:60, 0:3] = 700
    hu[:, 5:9, 40:50] = 700
    return hu, liver


def made(scene, name, seed=0, **more):
    return add_distractors(*scene, SPACING, np.random.default_rng(seed), only(name), **more)


def test_none_wanted_changes_nothing(scene):
    result = add_distractors(*scene, SPACING, np.random.default_rng(0), DistractorSettings(**NEVER))
    np.testing.assert_array_equal(result.hu_zyx, scene[0])
    np.testing.assert_array_equal(result.liver_zyx, scene[1])
    assert result.description == ()


def test_without_a_liver_nothing_happens(scene):
    hu, liver = scene
    result = add_distractors(hu, np.zeros_like(liver), SPACING, np.random.default_rng(0), only("gallbladder"))
    np.testing.assert_array_equal(result.hu_zyx, hu)


def test_shapes_that_differ(scene):
    with pytest.raises(InputError, match="same 3D grid"):
        add_distractors(scene[0][1:], scene[1], SPACING, np.random.default_rng(0))


def test_probability_beyond_one():
    with pytest.raises(InputError, match="gallbladder"):
        DistractorSettings(gallbladder=1.5)


@pytest.mark.parametrize("name", list(MAKERS))
class TestEach:
    def test_changes_the_image_and_says_so(self, scene, name):
        hu, liver = scene
        before = hu.copy(), liver.copy()
        result = made(scene, name)
        assert len(result.description) == 1
        assert np.abs(result.hu_zyx - hu).max() > 4
        assert result.hu_zyx.dtype == np.float32
        assert np.isfinite(result.hu_zyx).all()
        np.testing.assert_array_equal(hu, before[0])
        np.testing.assert_array_equal(liver, before[1])
        # It only ever takes from the liver.
        assert not (result.liver_zyx & ~liver).any()
        assert result.liver_zyx.sum() > 0.6 * liver.sum()

    def test_same_seed_same_result(self, scene, name):
        first, second, other = made(scene, name, 3), made(scene, name, 3), made(scene, name, 4)
        np.testing.assert_array_equal(first.hu_zyx, second.hu_zyx)
        np.testing.assert_array_equal(first.liver_zyx, second.liver_zyx)
        assert not np.array_equal(first.hu_zyx, other.hu_zyx)

    def test_lesions_already_there_stay(self, scene, name):
        hu, liver = scene
        lesion = np.zeros_like(liver)
        lesion[15:26, 40:70, 40:80] = True
        for seed in range(3):
            result = made(scene, name, seed, protected_zyx=lesion)
            assert result.liver_zyx[lesion & liver].all()
            if name not in {"clips", "beam_hardening", "rib_streaks", "motion"}:
                np.testing.assert_allclose(result.hu_zyx[lesion], hu[lesion], atol=1.5)


def test_gallbladder_is_fluid_outside_the_liver(scene):
    _, liver = scene
    values, taken = [], 0
    for seed in range(24):
        result = made(scene, "gallbladder", seed)
        if result.description != ("gallbladder",):
            continue
        out = liver & ~result.liver_zyx
        taken += int(out.sum() > 100)
        core = ndimage.distance_transform_edt(out, sampling=SPACING) > 4.5
        if core.sum() > 20:
            values.append(float(np.median(result.hu_zyx[core])))
    assert taken >= 3
    assert len(values) >= 4
    # Bile, but where a thick wall fills what lies in the liver.
    assert np.mean([-6 <= v <= 66 for v in values]) > 0.7
    assert np.median(values) < 30


def test_fissure_is_fat_in_the_liver(scene):
    hu, liver = scene
    darkest = []
    for seed in range(8):
        result = made(scene, "fissure", seed)
        change = ndimage.gaussian_filter(result.hu_zyx - hu, 1.0)
        darkest.append(float(change[ndimage.binary_erosion(liver, iterations=4)].min()))
    assert np.median(darkest) < -40


def test_focal_fat_leaves_vessels_visible(scene):
    hu, liver = scene
    for seed in range(12):
        result = made(scene, "focal_fat", seed)
        change = (result.hu_zyx - hu)[liver]
        # A change of the level only: smooth, small, the same on vessels as beside them.
        assert np.abs(change).max() <= 26
        np.testing.assert_array_equal(result.liver_zyx, liver)


def test_turned_vessels_are_no_longer_bright(scene):
    hu, liver = scene
    plain, _ = noisy_liver(seed=1)
    deep = ndimage.binary_erosion(liver, iterations=5)
    vessel = (hu - plain > 40) & deep
    assert vessel.sum() > 500
    beside = deep & ~ndimage.binary_dilation(hu - plain > 5, iterations=2)
    for seed in range(3):
        result = made(scene, "turned_vessels", seed)
        assert hu[vessel].mean() - hu[beside].mean() > 40
        assert result.hu_zyx[vessel].mean() - result.hu_zyx[beside].mean() < 15


def test_clips_are_metal_with_streaks(scene):
    result = made(scene, "clips", 1)
    change = result.hu_zyx - scene[0]
    assert change.max() > 300
    assert change.min() < -5


def test_streaks_do_not_change_the_mean_of_the_liver_much(scene):
    hu, liver = scene
    for name in ("beam_hardening", "rib_streaks", "motion"):
        result = made(scene, name, 2)
        assert abs((result.hu_zyx - hu)[liver].mean()) < 8
        np.testing.assert_array_equal(result.liver_zyx, liver)


def test_hu_range_is_kept(scene):
    result = add_distractors(
        *scene, SPACING, np.random.default_rng(0), only("clips", hu_range=(-160.0, 240.0))
    )
    assert result.hu_zyx.max() <= 240
    assert result.hu_zyx.min() >= -160


def test_frequency_follows_the_probability(scene):
    settings = DistractorSettings(**{**NEVER, "perfusion": 0.3})
    hits = [
        bool(add_distractors(*scene, SPACING, np.random.default_rng(k), settings).description)
        for k in range(60)
    ]
    assert 8 <= sum(hits) <= 30
