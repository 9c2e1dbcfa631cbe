"""Every refused input with its message; what real CTs look like passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.checking import check_ct, volume_from_array, whole_hu
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage
from support.ct_phantom import phantom, phantom_hu, turned

LPS_IS_RAS_FLIPPED = np.diag([-3.0, -3.0, 5.0, 1.0])


def refused(volume: CtVolume, *words: str) -> str:
    """Check that the volume is refused with a text that names it, has these words and says what to do."""
    with pytest.raises(InputError) as caught:
        check_ct(volume)
    text = str(caught.value)
    for word in (volume.name, *words):
        assert word in text, text
    assert text.rstrip().endswith(".")
    assert len(text.split(". ")) >= 2, f"says what is wrong, but not what to do: {text}"
    return text


def passes(volume: CtVolume) -> bool:
    """Whether nothing is changed, nothing warned of, and no second look is taken."""
    checked = check_ct(volume)
    same = checked.hu_zyx is volume.hu_zyx and checked.warnings == volume.warnings
    return same and check_ct(checked) is checked


def with_values(values: np.ndarray) -> CtVolume:
    return replace(phantom(), hu_zyx=values)


class TestPasses:
    def test_other_voxels_are_looked_at_again(self) -> None:
        checked = check_ct(phantom())
        refused(replace(checked, hu_zyx=np.zeros_like(checked.hu_zyx)))
        refused(replace(checked, geometry=Geometry.make(checked.hu_zyx.shape, (50, 3, 3))))

    def test_full_range(self) -> None:
        volume = phantom()
        assert passes(volume)

    def test_clipped_as_in_training_data(self) -> None:
        volume = with_values(np.clip(phantom_hu(), -160, 240))
        assert passes(volume)

    def test_metal_and_padding(self) -> None:
        hu = phantom_hu()
        hu[:, :6] = -2048
        hu[:, :, :6] = -3024
        hu[10, 30, 30] = 3071
        hu[11, 30, 30] = 20000
        volume = with_values(hu)
        assert passes(volume)

    def test_float(self) -> None:
        volume = with_values(phantom_hu().astype(np.float32) + 0.25)
        assert passes(volume)

    def test_any_orientation(self) -> None:
        hu = np.ascontiguousarray(phantom_hu().transpose(2, 0, 1)[::-1])
        directions = turned((20, 0, 10))[:, [1, 2, 0]] * [1, 1, -1]
        volume = CtVolume(hu, Geometry.make(hu.shape, (3, 5, 3), (0, 0, 0), directions), "sideways")
        assert passes(volume)

    def test_thin_slices(self) -> None:
        hu = ndimage.zoom(phantom_hu(), (7, 1, 1), order=0)
        volume = CtVolume(hu, Geometry.make(hu.shape, (0.25, 3, 3)), "thin")
        assert passes(volume)

    def test_thick_slices_are_warned_about(self) -> None:
        result = check_ct(phantom(spacing_zyx_mm=(8.0, 3.0, 3.0)))
        assert any("8.0 mm apart" in w for w in result.warnings)
        assert check_ct(result).warnings == result.warnings

    def test_coronal_slices_are_warned_about(self) -> None:
        hu = np.ascontiguousarray(phantom_hu((64, 30, 64)))
        result = check_ct(CtVolume(hu, Geometry.make(hu.shape, (3, 6, 3)), "coronal"))
        assert any("not axial" in w for w in result.warnings)


class TestOffset:
    def test_is_taken_off_with_a_warning(self) -> None:
        hu = phantom_hu()
        result = check_ct(with_values(np.clip(hu.astype(np.int32) + 1024, 0, None).astype(np.int16)))
        np.testing.assert_array_equal(result.hu_zyx, np.clip(hu, -1024, None))
        assert any("offset of 1024" in w for w in result.warnings)
        assert passes(result)

    def test_is_not_guessed_for_an_mr_of_that_range(self) -> None:
        rng = np.random.default_rng(0)
        body = phantom_hu() > -500
        mr = np.where(body, ndimage.gaussian_filter(rng.normal(0, 1, body.shape), 3) * 16000 + 1000, 5)
        refused(with_values(np.clip(mr, 0, 4000).astype(np.int16)), "MR")

    def test_is_not_guessed_without_air(self) -> None:
        refused(
            with_values((np.clip(phantom_hu(), -160, 240) + 1024).astype(np.int16)), "negative Hounsfield"
        )


class TestRefusesValues:
    def test_mr(self) -> None:
        rng = np.random.default_rng(0)
        body = phantom_hu() > -500
        refused(with_values((body * rng.gamma(4, 120, body.shape)).astype(np.int16)), "MR", "0 to")

    def test_mr_phase_with_negative_values(self) -> None:
        rng = np.random.default_rng(0)
        values = rng.uniform(-3142, 3142, phantom_hu().shape).astype(np.int16)
        refused(with_values(values), "not a CT" if (values > -1500).mean() < 0.5 else "MR")

    def test_label_map(self) -> None:
        labels = np.digitize(ndimage.gaussian_filter(phantom_hu().astype(float), 2), (-500, -50, 80)).astype(
            np.int16
        )
        refused(with_values(labels), "4 whole numbers from 0 to 3", "label map")

    def test_label_map_with_many_labels(self) -> None:
        shape = phantom_hu().shape
        cells = np.add.outer(
            np.arange(shape[0]) // 6 * 20, np.add.outer(np.arange(shape[1]) // 12, np.arange(shape[2]) // 16)
        )
        refused(with_values(cells.astype(np.int16)), "label map")

    def test_grey_level_picture(self) -> None:
        grey = (np.clip(phantom_hu(), -160, 240) + 160) * 255.0 / 400
        refused(with_values(np.rint(grey).astype(np.int16)), "grey levels")

    @pytest.mark.parametrize("scale", [1.0, 8.0])
    def test_normalised(self, scale: float) -> None:
        values = phantom_hu().astype(np.float32)
        refused(with_values((values - values.mean()) / values.std() * scale), "normalised")

    def test_narrow_window(self) -> None:
        refused(with_values(np.clip(phantom_hu(), -45, 105)), "fat and air")

    def test_no_soft_tissue(self) -> None:
        hu = np.where(phantom_hu() > -300, 1500, phantom_hu()).astype(np.int16)
        refused(with_values(hu), "soft tissue")

    def test_hu_far_too_high(self) -> None:
        hu = phantom_hu().astype(np.int32)
        # Air at 0, water at 1024, and padding that makes negative values: an offset that hides.
        shifted = hu + 1024
        shifted[:, :3] = -900
        refused(with_values(shifted.astype(np.int16)), "wrong rescale values")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_nan(self, bad: float) -> None:
        values = phantom_hu().astype(np.float32)
        values[3, 4, 5] = bad
        refused(with_values(values), "1 of its", "NaN")

    @pytest.mark.parametrize("value", [0, -1000, 40])
    def test_constant(self, value: int) -> None:
        refused(with_values(np.full(phantom_hu().shape, value, np.int16)), "same value")

    def test_padding_only(self) -> None:
        refused(with_values(np.full(phantom_hu().shape, -2048, np.int16)), "same value")


class TestRefusesGrids:
    def test_few_slices(self) -> None:
        refused(
            CtVolume(phantom_hu()[:7], Geometry.make((7, 64, 64), (10, 3, 3)), "seven"), "only 7 slices", "8"
        )
        check_ct(CtVolume(phantom_hu()[8:16], Geometry.make((8, 64, 64), (6, 3, 3)), "eight"))

    def test_one_slice(self) -> None:
        refused(CtVolume(phantom_hu()[:1], Geometry.make((1, 64, 64), (10, 3, 3)), "flat"), "two-dimensional")

    @pytest.mark.parametrize("pixel_mm", [0.05, 0.14, 3.2, 10.0])
    def test_pixels(self, pixel_mm: float) -> None:
        shape = (30, 64, 64)
        geometry = Geometry.make(shape, (5, pixel_mm, pixel_mm))
        refused(CtVolume(phantom_hu(shape), geometry, "pixels"), f"{pixel_mm:.3g} mm", "0.15 to 3 mm")

    @pytest.mark.parametrize("spacing_mm", [(3.0, 0.29, 0.29), (1.0, 0.2, 0.2), (2.0, 0.5, 0.4)])
    def test_infants_and_fine_pixels_are_read(self, spacing_mm: tuple[float, float, float]) -> None:
        """Fields of 74 to 200 mm, pixels of 0.2 to 0.5 mm."""
        shape = (40, *(256 if step > 0.3 else 380 for step in spacing_mm[1:]))
        hu = phantom_hu(shape)
        volume = check_ct(CtVolume(hu, Geometry.make(shape, spacing_mm), "infant"))
        assert volume.hu_zyx is hu
        narrow = min(shape[1] * spacing_mm[1], shape[2] * spacing_mm[2]) < 120
        assert any("small child" in w for w in volume.warnings) == narrow

    @pytest.mark.parametrize("slice_mm", [0.1, 13.0])
    def test_slices(self, slice_mm: float) -> None:
        refused(phantom(spacing_zyx_mm=(slice_mm, 3, 3)), f"{slice_mm:.3g} mm apart", "0.2 to 12 mm")

    def test_too_short(self) -> None:
        refused(phantom(spacing_zyx_mm=(1.0, 3, 3)), "192 x 192 x 30 mm", "too little to show a liver")

    def test_too_narrow(self) -> None:
        refused(phantom(spacing_zyx_mm=(5.0, 1.0, 1.0)), "64 x 64 x 150 mm", "too little")

    def test_larger_than_a_patient(self) -> None:
        hu = phantom_hu((300, 44, 44))
        refused(CtVolume(hu, Geometry.make(hu.shape, (11, 3, 3)), "whale"), "larger than a patient")


class TestArrays:
    def test_from_a_slicer_node(self) -> None:
        volume = volume_from_array(phantom_hu(), LPS_IS_RAS_FLIPPED, "node")
        assert passes(volume)
        np.testing.assert_allclose(volume.geometry.directions_lps, np.eye(3))
        assert volume.geometry.spacing_zyx_mm == (5.0, 3.0, 3.0)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros((4, 30, 64, 64), np.int16), "time series or a colour image"),
            (np.zeros((30, 64, 64, 3), np.uint8), "time series or a colour image"),
            (np.zeros((64, 64), np.int16), "two-dimensional"),
            (np.zeros((1, 64, 64), np.int16), "two-dimensional"),
            (np.zeros((30, 64, 64), np.complex64), "complex64"),
        ],
    )
    def test_other_than_one_volume(self, array: np.ndarray, words: str) -> None:
        with pytest.raises(InputError, match=words) as caught:
            volume_from_array(array, LPS_IS_RAS_FLIPPED, "node")
        assert "node" in str(caught.value)

    def test_sheared_node(self) -> None:
        matrix = LPS_IS_RAS_FLIPPED.copy()
        matrix[1, 2] = 2
        with pytest.raises(InputError, match="perpendicular"):
            volume_from_array(phantom_hu(), matrix, "node")

    def test_whole_hu(self) -> None:
        hu = phantom_hu()
        assert whole_hu(hu) is hu
        np.testing.assert_array_equal(whole_hu(hu.astype(np.float64) + 0.3), hu)
        np.testing.assert_array_equal(
            whole_hu(hu.astype(np.int64) * 1000), np.clip(hu.astype(int) * 1000, -32768, 32767)
        )
        assert whole_hu(hu / 1000.0).dtype == np.float32
        assert whole_hu(np.where(hu > 0, np.nan, hu)).dtype == np.float32
