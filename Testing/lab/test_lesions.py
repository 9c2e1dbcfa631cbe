"""Synthetic lesions: truth, limits, determinism, texture, and appearance by type and phase."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from LiverLesionAILab.synthesis.appearance import (
    BODY_HU,
    CYST_HU,
    TREATED_HU,
    LesionType,
    Phase,
    sample_appearance,
)
from LiverLesionAILab.synthesis.lesions import (
    LesionSettings,
    add_lesions,
    draw_count,
    draw_diameter_mm,
    slice_boxes,
)
from LiverLesionAILib.support.errors import InputError
from scipy import ndimage
from support.lesion_phantom import SPACING, noisy_liver

EVERY = dict.fromkeys(LesionType, 1.0)


def only(kind: LesionType, **changes: object) -> LesionSettings:
    return LesionSettings(type_weights={kind: 1.0}, **changes)


@pytest.fixture(scope="module")
def liver():
    return noisy_liver(seed=0)


@pytest.fixture(scope="module")
def ten(liver):
    settings = LesionSettings(count=10, type_weights=EVERY, diameter_mm=(6, 60), least_visibility=(0, 0))
    return add_lesions(*liver, SPACING, np.random.default_rng(4), settings)


class TestTruth:
    def test_same_seed_same_result_and_input_untouched(self, liver, ten):
        hu, mask = liver
        before = hu.copy(), mask.copy()
        settings = LesionSettings(count=10, type_weights=EVERY, diameter_mm=(6, 60), least_visibility=(0, 0))
        again = add_lesions(hu, mask, SPACING, np.random.default_rng(4), settings)
        np.testing.assert_array_equal(again.hu_zyx, ten.hu_zyx)
        np.testing.assert_array_equal(again.labels_zyx, ten.labels_zyx)
        assert again.lesions == ten.lesions
        np.testing.assert_array_equal(hu, before[0])
        np.testing.assert_array_equal(mask, before[1])
        other = add_lesions(hu, mask, SPACING, np.random.default_rng(5), settings)
        assert not np.array_equal(other.labels_zyx, ten.labels_zyx)

    def test_every_lesion_has_its_number_box_and_size(self, ten):
        assert len(ten.lesions) >= 8
        assert ten.labels_zyx.dtype == np.uint16
        assert ten.hu_zyx.dtype == np.float32
        assert set(np.unique(ten.labels_zyx)) == {0, *(lesion.number for lesion in ten.lesions)}
        for lesion in ten.lesions:
            inside = ten.labels_zyx == lesion.number
            low, high = lesion.box_zyx
            found = ndimage.find_objects(inside.astype(int))[0]
            assert tuple(s.start for s in found) == low
            assert tuple(s.stop for s in found) == high
            volume = inside.sum() * np.prod(SPACING)
            assert lesion.diameter_mm == pytest.approx((6 / np.pi * volume) ** (1 / 3), rel=1e-6)
            np.testing.assert_allclose(lesion.centre_zyx, [w.mean() for w in np.nonzero(inside)], atol=1e-6)

    def test_slice_boxes_enclose_each_lesion_tightly(self, ten):
        checked = 0
        for z in range(ten.labels_zyx.shape[0]):
            boxes = {box.number: box for box in slice_boxes(ten.labels_zyx, z, least_voxels=1)}
            assert set(boxes) == set(np.unique(ten.labels_zyx[z])) - {0}
            for number, box in boxes.items():
                y, x = np.nonzero(ten.labels_zyx[z] == number)
                assert (box.y0, box.x0, box.y1, box.x1) == (y.min(), x.min(), y.max() + 1, x.max() + 1)
                checked += 1
        assert checked > 20

    def test_the_image_changes_only_around_lesions(self, liver, ten):
        far = ndimage.distance_transform_edt(ten.labels_zyx == 0, sampling=SPACING) > 30
        np.testing.assert_array_equal(ten.hu_zyx[far], liver[0][far])

    def test_lesions_belong_to_the_liver_and_reach_little_beyond(self, liver, ten):
        lesions = ten.labels_zyx > 0
        assert ten.liver_zyx[lesions].all()
        away = ndimage.distance_transform_edt(~liver[1], sampling=SPACING)
        assert away[lesions].max() <= 8.0 + 7.0 + 2.5  # bulge, capsule pushed out, one voxel
        assert lesions[liver[1]].sum() > 0.8 * lesions.sum()

    def test_no_overlap_with_what_is_there(self, liver):
        hu, mask = liver
        occupied = np.zeros_like(mask)
        occupied[10:22, 20:60, 20:90] = True
        made = add_lesions(
            hu, mask, SPACING, np.random.default_rng(1), LesionSettings(count=30), occupied & mask
        )
        assert len(made.lesions) > 10
        assert not (made.labels_zyx[occupied & mask] > 0).any()
        # Neither is its image changed.
        np.testing.assert_array_equal(made.hu_zyx[occupied & mask], hu[occupied & mask])


class TestCountAndSize:
    def test_none(self, liver):
        made = add_lesions(*liver, SPACING, np.random.default_rng(0), LesionSettings(count=0))
        assert made.lesions == ()
        assert not made.labels_zyx.any()
        np.testing.assert_array_equal(made.hu_zyx, liver[0])

    def test_sixty(self, liver):
        settings = LesionSettings(count=60, median_mm=8.0, large_share=0.0, least_visibility=(0, 0))
        made = add_lesions(*liver, SPACING, np.random.default_rng(0), settings)
        assert 50 <= len(made.lesions) <= 60
        assert len(np.unique(made.labels_zyx)) == len(made.lesions) + 1

    @pytest.mark.parametrize("count", [-1, 61])
    def test_other_counts_are_refused(self, count):
        with pytest.raises(InputError, match="0 to 60"):
            LesionSettings(count=count)

    def test_sizes_follow_the_annotated_ones(self):
        rng = np.random.default_rng(0)
        settings = LesionSettings(large_share=0.0)
        sizes = np.array([draw_diameter_mm(settings, rng) for _ in range(4000)])
        quartiles = np.percentile(sizes, [25, 50, 75])
        # 664 annotated liver lesions: 6.7, 10.3, 17.3 mm
        np.testing.assert_allclose(quartiles, [6.7, 10.3, 17.3], rtol=0.12)
        assert sizes.min() >= 3
        large = [draw_diameter_mm(LesionSettings(large_share=1.0), rng) for _ in range(200)]
        assert min(large) >= 45
        assert max(large) <= 120

    def test_counts_have_a_tail(self):
        rng = np.random.default_rng(0)
        counts = np.array([draw_count(rng) for _ in range(3000)])
        assert counts.min() == 1
        assert 2 <= np.median(counts) <= 4
        assert 15 < counts.max() <= 60

    @pytest.mark.parametrize("diameter", [8.0, 20.0, 45.0, 80.0])
    def test_outline_has_the_size_asked_for(self, liver, diameter):
        settings = only(
            LesionType.METASTASIS,
            count=1,
            diameter_mm=(diameter, diameter),
            large_share=0,
            subcapsular_share=0,
            hard_share=0,
        )
        made = [add_lesions(*liver, SPACING, np.random.default_rng(k), settings).lesions for k in range(6)]
        sizes = [lesions[0].diameter_mm for lesions in made if lesions]
        assert len(sizes) >= 4
        # Outlines lie a little inside the border's middle and stop at the capsule.
        assert 0.75 * diameter < np.median(sizes) < 1.1 * diameter

    def test_empty_liver(self, liver):
        with pytest.raises(InputError, match="empty"):
            add_lesions(liver[0], np.zeros_like(liver[1]), SPACING, np.random.default_rng(0))

    def test_shapes_that_differ(self, liver):
        with pytest.raises(InputError, match="same 3D grid"):
            add_lesions(liver[0][1:], liver[1], SPACING, np.random.default_rng(0))

    def test_a_sliver_of_liver_gives_no_error(self, liver):
        hu, mask = liver
        thin = np.zeros_like(mask)
        thin[5:7, 40:60, 40:60] = True
        made = add_lesions(hu, thin, SPACING, np.random.default_rng(0), LesionSettings(count=20))
        assert not (made.labels_zyx[ndimage.distance_transform_edt(~thin, sampling=SPACING) > 18] > 0).any()


class TestAppearance:
    @pytest.mark.parametrize("phase", list(Phase))
    @pytest.mark.parametrize("kind", list(LesionType))
    def test_body_stays_inside_the_published_range(self, kind, phase):
        rng = np.random.default_rng(7)
        for _ in range(60):
            look = sample_appearance(kind, phase, 25.0, 100.0, rng, hard_share=0.0)
            if kind is LesionType.CYST:
                assert CYST_HU[0] <= look.body_hu + 100 <= CYST_HU[1]
            elif kind is LesionType.TREATED:
                assert TREATED_HU[0] <= look.body_hu + 100 <= TREATED_HU[1]
            elif look.subtype != "flash filling":
                low, high = BODY_HU[kind][phase]
                assert low <= look.body_hu <= high

    @pytest.mark.parametrize(
        ("kind", "phase", "low", "high"),
        [
            (LesionType.CYST, Phase.PORTAL_VENOUS, -100, -70),
            (LesionType.CYST, Phase.ARTERIAL, -100, -70),
            (LesionType.FNH, Phase.ARTERIAL, 15, 75),
            (LesionType.FNH, Phase.DELAYED, -10, 10),
            (LesionType.HCC, Phase.ARTERIAL, 5, 60),
            (LesionType.HCC, Phase.DELAYED, -60, -8),
            (LesionType.METASTASIS, Phase.PORTAL_VENOUS, -75, -12),
            (LesionType.TREATED, Phase.PORTAL_VENOUS, -75, -25),
        ],
    )
    def test_painted_contrast_by_type_and_phase(self, liver, kind, phase, low, high):
        settings = only(
            kind,
            count=3,
            phase=phase,
            diameter_mm=(18, 28),
            median_mm=22,
            large_share=0,
            hard_share=0,
            cluster_share=0,
            least_visibility=(0, 0),
        )
        values = []
        for seed in range(4):
            made = add_lesions(*liver, SPACING, np.random.default_rng(seed), settings)
            for lesion in made.lesions:
                if lesion.appearance.calcium_hu:  # lipiodol and calcium are bright by design
                    continue
                core = ndimage.binary_erosion(made.labels_zyx == lesion.number, iterations=2)
                if core.sum() > 20:
                    values.append(float(made.hu_zyx[core].mean()) - 100)
        assert len(values) >= 6
        assert low <= np.median(values) <= high
        assert np.mean([(low - 12 <= v <= high + 12) for v in values]) > 0.8

    def test_haemangioma_lights_up_at_its_border(self, liver):
        settings = only(
            LesionType.HAEMANGIOMA, count=1, phase=Phase.PORTAL_VENOUS, diameter_mm=(45, 45), large_share=0
        )
        border, centre = [], []
        for seed in range(6):
            made = add_lesions(*liver, SPACING, np.random.default_rng(seed), settings)
            depth = ndimage.distance_transform_edt(made.labels_zyx > 0, sampling=SPACING)
            border.append(np.percentile(made.hu_zyx[(depth > 2) & (depth < 8)], 90))
            centre.append(np.mean(made.hu_zyx[depth > 0.7 * depth.max()]))
        assert np.mean(border) > 115
        assert np.mean(centre) < 92

    def test_necrotic_centre_is_darker_than_the_border(self, liver):
        rng = np.random.default_rng(3)
        looks = [
            sample_appearance(LesionType.METASTASIS, Phase.PORTAL_VENOUS, 70, 100, rng, 0) for _ in range(60)
        ]
        necrotic = [look for look in looks if look.subtype == "necrotic centre"]
        assert 15 < len(necrotic) < 50
        assert all(look.core_hu < 0 for look in necrotic)

    def test_types_are_drawn_by_weight(self, liver):
        made = add_lesions(*liver, SPACING, np.random.default_rng(0), only(LesionType.CYST, count=5))
        assert {lesion.lesion_type for lesion in made.lesions} == {LesionType.CYST}

    def test_appearances_can_be_told_apart_in_the_record(self, ten):
        for lesion in ten.lesions:
            assert lesion.appearance.lesion_type is lesion.lesion_type
            assert lesion.phase is Phase.PORTAL_VENOUS
            assert dataclasses.asdict(lesion)["subtype"]


class TestTexture:
    def test_noise_inside_is_the_scans_own(self):
        """Autocorrelation and SD inside large lesions against the same place before."""
        hu, mask = noisy_liver(seed=2)
        settings = only(
            LesionType.CYST, count=2, diameter_mm=(40, 45), median_mm=42, large_share=0, mass_effect_share=0
        )
        made = add_lesions(hu, mask, SPACING, np.random.default_rng(2), settings)
        core = ndimage.distance_transform_edt(made.labels_zyx > 0, sampling=SPACING) > 5
        assert core.sum() > 3000

        def statistics(image):
            high = image - ndimage.gaussian_filter(image, (0, 3, 3))
            values = high[core]
            lagged = [
                np.mean((high * np.roll(high, k, axis=a))[core]) / np.mean(values**2)
                for a, k in ((2, 1), (2, 2), (1, 1), (0, 1))
            ]
            return values.std(), np.array(lagged)

        sd_before, lags_before = statistics(hu)
        sd_after, lags_after = statistics(made.hu_zyx)
        assert sd_after == pytest.approx(sd_before, rel=0.15)
        np.testing.assert_allclose(lags_after, lags_before, atol=0.1)
        # Not white: neighbours are correlated, as in the scan.
        assert lags_after[0] > 0.3

    def test_vessels_end_in_the_lesion(self):
        hu, mask = noisy_liver(seed=0, vessels=True)
        plain, _ = noisy_liver(seed=0)
        vessel = hu - plain > 20
        settings = only(
            LesionType.CYST, count=3, diameter_mm=(30, 45), median_mm=40, large_share=0, mass_effect_share=0
        )
        made = add_lesions(hu, mask, SPACING, np.random.default_rng(3), settings)
        inside = ndimage.distance_transform_edt(made.labels_zyx > 0, sampling=SPACING) > 4
        assert (vessel & inside).sum() > 100
        rise_before = hu[vessel & inside].mean() - hu[~vessel & inside].mean()
        rise_after = made.hu_zyx[vessel & inside].mean() - made.hu_zyx[~vessel & inside].mean()
        assert rise_before > 35
        assert abs(rise_after) < 8

    def test_border_is_partial_volume(self, liver):
        settings = only(
            LesionType.CYST,
            count=1,
            diameter_mm=(40, 40),
            large_share=0,
            subcapsular_share=0,
            mass_effect_share=0,
        )
        made = add_lesions(*liver, SPACING, np.random.default_rng(0), settings)
        inside = made.labels_zyx > 0
        signed = ndimage.distance_transform_edt(inside, sampling=SPACING) - ndimage.distance_transform_edt(
            ~inside, sampling=SPACING
        )
        level = [
            made.hu_zyx[(signed > a) & (signed <= b)].mean() for a, b in ((-9, -5), (-1.5, 1.5), (5, 12))
        ]
        assert level[0] == pytest.approx(100, abs=4)
        assert level[2] < 28
        assert 30 < level[1] < 80

    def test_mass_effect_moves_vessels_without_erasing_noise(self):
        hu, mask = noisy_liver(seed=0, vessels=True)
        base = {"count": 1, "diameter_mm": (40, 40), "large_share": 0, "subcapsular_share": 0}
        pushed = add_lesions(
            hu, mask, SPACING, np.random.default_rng(3), only(LesionType.CYST, mass_effect_share=1.0, **base)
        )
        around = ndimage.distance_transform_edt(pushed.labels_zyx == 0, sampling=SPACING)
        ring = (around > 4) & (around < 8) & mask
        assert np.abs(pushed.hu_zyx - hu)[ring].mean() > 3
        high = [image - ndimage.gaussian_filter(image, (0, 1.5, 1.5)) for image in (hu, pushed.hu_zyx)]
        assert high[1][ring].std() == pytest.approx(high[0][ring].std(), rel=0.25)
