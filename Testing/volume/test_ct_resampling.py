"""Values between grids: exact for linear functions and equal grids, and back to within half a voxel."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.support.errors import GeometryError
from LiverLesionAILib.volume.ct import (
    CtVolume,
    Geometry,
    crop,
    reorient,
    resample,
    resample_labels,
    resample_slabs,
    resampling_weights,
)
from support.ct_grids import geometries, steady

spacings = st.tuples(*[st.floats(0.4, 10)] * 3)


def ramp(geometry: Geometry, gradient_lps: np.ndarray) -> np.ndarray:
    """A linear function of patient position on a grid."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape_zyx), indexing="ij"), axis=-1)
    return geometry.index_to_lps(index) @ gradient_lps


@steady
@given(geometries(), st.sampled_from((np.int16, np.uint8, np.float32, np.float64)))
def test_equal_grids_give_equal_values(geometry: Geometry, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 255, geometry.shape_zyx).astype(dtype)
    result = resample(values, geometry, geometry)
    np.testing.assert_array_equal(result, values)
    assert not np.shares_memory(result, values)
    np.testing.assert_array_equal(resample_labels(values, geometry, geometry), values)
    # To the reoriented grid and back too: only a permutation.
    straight = reorient(CtVolume(values, geometry)).geometry
    back = resample(resample(values, geometry, straight), straight, geometry)
    np.testing.assert_array_equal(back, values)


@steady
@given(geometries(least=4), spacings, st.tuples(*[st.floats(-1, 1)] * 3))
def test_linear_functions_come_out_exactly(geometry: Geometry, spacing: tuple, gradient: tuple) -> None:
    """Up or down, whatever the ratio: nothing moves. Only the borders, where the support ends, may differ."""
    target = reorient(CtVolume(np.zeros(geometry.shape_zyx), geometry)).geometry.with_spacing(spacing)
    values = ramp(geometry, np.array(gradient))
    result = resample(values, geometry, target)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape_zyx), indexing="ij"), axis=-1)
    source = geometry.lps_to_index(target.index_to_lps(index))
    # By how many source voxels a triangle as wide as the target spacing reaches.
    reach = (
        np.abs(geometry.directions_lps.T @ target.directions_lps).round(3)[::-1, ::-1] @ target.spacing_zyx_mm
    )
    reach = np.maximum(1.0, reach / np.array(geometry.spacing_zyx_mm))
    deep = ((source >= reach) & (source <= np.array(geometry.shape_zyx) - 1 - reach)).all(axis=-1)
    scale = max(1.0, float(np.abs(values).max()))
    assert np.abs(result - ramp(target, np.array(gradient)))[deep].max(initial=0.0) < 1e-4 * scale


@steady
@given(geometries(least=6, most=20), spacings, st.data())
def test_round_trip_lands_within_half_a_voxel(
    geometry: Geometry, spacing: tuple, data: st.DataObject
) -> None:
    """reorient, crop, resample, and back: a blob's centroid stays within half a voxel of either grid."""
    spacing = tuple(min(s, 2.0 * own) for s, own in zip(spacing, reorient_spacing(geometry), strict=True))
    centre_zyx = np.array([data.draw(st.floats(0.4, 0.6)) * (n - 1) for n in geometry.shape_zyx])
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape_zyx), indexing="ij"), axis=-1)
    width = np.array(geometry.shape_zyx) / 6 + 0.3
    blob = np.exp(-0.5 * (((index - centre_zyx) / width) ** 2).sum(axis=-1)).astype(np.float32)
    blob[blob < 0.02] = 0

    straight = reorient(CtVolume(blob, geometry))
    inner = [
        (data.draw(st.integers(-2, 1)), n + data.draw(st.integers(-1, 2)))
        for n in straight.geometry.shape_zyx
    ]
    cropped = crop(straight, [a for a, _ in inner], [b for _, b in inner], fill_hu=0)
    working = cropped.geometry.with_spacing(spacing)
    seen = resample(cropped.hu_zyx, cropped.geometry, working)
    back = resample(seen, working, geometry, fill=0)

    def centroid_lps(values: np.ndarray, grid: Geometry) -> np.ndarray:
        places = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_zyx), indexing="ij"), axis=-1)
        weight = values[..., None] / values.sum()
        return grid.index_to_lps((places * weight).sum(axis=(0, 1, 2)))

    # The crop itself may cut the blob, so the truth is what lay inside it.
    truth = centroid_lps(cropped.hu_zyx, cropped.geometry)
    half = 0.5
    moved = working.lps_to_index(centroid_lps(seen, working)) - working.lps_to_index(truth)
    assert np.abs(moved).max() < half
    returned = geometry.lps_to_index(centroid_lps(back, geometry)) - geometry.lps_to_index(truth)
    assert np.abs(returned).max() < half


def reorient_spacing(geometry: Geometry) -> tuple[float, float, float]:
    return reorient(CtVolume(np.zeros(geometry.shape_zyx, np.uint8), geometry)).geometry.spacing_zyx_mm


@steady
@given(geometries(least=4), st.floats(1.05, 3.0), st.data())
def test_labels_come_back_to_the_nearest_voxel(geometry: Geometry, finer: float, data: st.DataObject) -> None:
    """Each target voxel has the label of the nearest source voxel; to a finer grid and back, none changes."""
    labels = np.random.default_rng(1).integers(0, 60000, geometry.shape_zyx).astype(np.uint16)
    straight = reorient(CtVolume(labels, geometry)).geometry
    fine = straight.with_spacing(tuple(s / finer for s in straight.spacing_zyx_mm))
    there = resample_labels(labels, geometry, fine)
    assert there.dtype == np.uint16
    index = tuple(data.draw(st.integers(0, n - 1)) for n in fine.shape_zyx)
    source = geometry.lps_to_index(fine.index_to_lps(index))
    nearest = np.clip(np.rint(source), 0, np.array(geometry.shape_zyx) - 1).astype(int)
    if (np.abs(source - np.rint(source)) < 0.499).all():
        assert there[index] == labels[tuple(nearest)]
    back = resample_labels(there, fine, geometry)
    # A coarse centre lies at most half a fine voxel from the fine centre it takes, well within its cell.
    assert (back == labels).mean() == 1.0


def test_outside_is_filled_or_repeats_the_border() -> None:
    source = Geometry.make((4, 4, 4), (2, 2, 2))
    target = source.cropped((-2, -2, -2), (6, 6, 6))
    values = np.full((4, 4, 4), 5.0)
    np.testing.assert_allclose(resample(values, source, target), 5.0)
    filled = resample(values, source, target, fill=-1)
    assert (filled == 5).sum() == 64
    assert (filled == -1).sum() == 512 - 64
    labels = resample_labels(values.astype(np.uint8), source, target)
    np.testing.assert_array_equal(labels, np.where(filled == 5, 5, 0))
    far = Geometry.make((4, 4, 4), (2, 2, 2), (1000, 0, 0))
    assert (resample_labels(values.astype(np.uint8), source, far) == 0).all()
    assert (resample(values, source, far, fill=9) == 9).all()
    assert (resample(values, source, far) == 5).all()


def test_integer_results_are_rounded_and_clipped() -> None:
    source = Geometry.make((2, 2, 2))
    values = np.full((2, 2, 2), 300.6)
    values[0] = -3
    result = resample(values, source, source, dtype=np.uint8)
    assert result.dtype == np.uint8
    assert sorted(np.unique(result)) == [0, 255]
    assert resample(values + 0.0, source, source, dtype=np.int16).max() == 301


def test_weights_are_linear_interpolation_when_finer() -> None:
    weights = resampling_weights(3, 2.0, 5, 1.0, 0.0)
    np.testing.assert_allclose(
        weights, [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]], atol=1e-6
    )


@steady
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.2, 8), st.floats(-10, 40))
def test_weights_sum_to_one_and_centre_where_they_should(
    n_in: int, n_out: int, ratio: float, first: float
) -> None:
    weights = resampling_weights(n_in, 1.0, n_out, ratio, first).astype(float)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    position = first + ratio * np.arange(n_out)
    reach = max(1.0, ratio)
    deep = (position >= reach) & (position <= n_in - 1 - reach)
    np.testing.assert_allclose((weights @ np.arange(n_in))[deep], position[deep], atol=1e-3)
    assert weights.min() > -0.05


def test_agrees_with_itk_on_an_oblique_grid() -> None:
    rng = np.random.default_rng(3)
    from support.ct_phantom import turned

    source = Geometry.make((20, 24, 28), (2.0, 1.0, 0.8), (5, -7, 9), turned((10, -25, 40))[:, [1, 0, 2]])
    target = source.cropped((2, 3, 4), (16, 20, 22)).with_spacing((1.3, 0.7, 0.55))
    values = rng.normal(0, 100, source.shape_zyx).astype(np.float32)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(source.spacing_zyx_mm[::-1])
    image.SetOrigin(source.origin_lps)
    image.SetDirection(source.directions_lps.ravel().tolist())
    expected = sitk.GetArrayFromImage(
        sitk.Resample(
            image, [int(n) for n in target.shape_zyx[::-1]], sitk.Transform(), sitk.sitkLinear,
            target.origin_lps, target.spacing_zyx_mm[::-1], target.directions_lps.ravel().tolist(), 0.0,
        )
    )  # fmt: skip
    np.testing.assert_allclose(resample(values, source, target), expected, atol=2e-3)


def test_rotated_grids_are_refused() -> None:
    from support.ct_phantom import turned

    straight, rotated = Geometry.make((4, 4, 4)), Geometry.make((4, 4, 4), directions_lps=turned((0, 0, 1)))
    for function in (resample, resample_labels):
        with pytest.raises(GeometryError, match="rotated"):
            function(np.zeros((4, 4, 4)), straight, rotated)


def test_slabs_put_together_are_the_whole() -> None:
    source = Geometry.make((300, 200, 200), (1, 1, 1))
    target = source.with_spacing((0.8, 0.9, 0.9))
    values = np.random.default_rng(0).integers(-1000, 1000, source.shape_zyx).astype(np.int16)
    slabs = list(resample_slabs(values, source, target))
    assert len(slabs) > 1
    assert [z.start for z, _ in slabs] == [0, *(z.stop for z, _ in slabs[:-1])]
    np.testing.assert_array_equal(
        np.concatenate([part for _, part in slabs]), resample(values, source, target)
    )


@pytest.mark.parametrize("spacing_zyx_mm", [(2.5, 1.25, 1.25), (0.4, 0.8, 0.8)])
def test_2000_slices_within_the_memory_of_result_and_a_slab(spacing_zyx_mm: tuple) -> None:
    """Beside input and result, resampling holds less than 160 MB, whatever the number of slices.

    The input as float32 would be 420 MB here.
    """
    source = Geometry.make((2000, 230, 230), (0.5, 0.8, 0.8))
    values = np.zeros(source.shape_zyx, np.int16)
    values[::3] = 100
    target = source.with_spacing(spacing_zyx_mm)
    tracemalloc.start()
    try:
        result = resample(values, source, target, dtype=np.uint8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - result.nbytes < 160 * 2**20
    assert abs(float(result[20:-20].mean()) - float(values[30:-30].mean())) < 1
