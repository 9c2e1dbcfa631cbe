"""The measure stage: cases, distances to the liver's surface, and what must not change a measurement."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from LiverLesionAILib.case.findings import as_kept
from LiverLesionAILib.stages.measure.lesions import (
    box_of,
    measure_case,
    measure_liver,
    measure_mask,
    surface_distance_mm,
)
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry, permuted
from LiverLesionAILib.volume.masks import bounding_box, number_by_size
from scipy.spatial.distance import cdist
from support.lesion_shapes import SPACINGS, ellipsoid, masks, rotation, spacings

angles = st.tuples(*[st.floats(-180.0, 180.0)] * 3)


def brute_force_gap(a: np.ndarray, b: np.ndarray, spacing) -> float:
    """Smallest distance between the centres of the outer faces of a and of b."""
    found = []
    # At the edge of the scan a lesion ends, but nobody knows whether the liver does.
    for voxels, beyond_the_scan in ((a, False), (b, True)):
        padded = np.pad(voxels, 1, constant_values=beyond_the_scan)
        for axis in range(3):
            for step in (-1, 1):
                neighbour = np.roll(padded, -step, axis)[1:-1, 1:-1, 1:-1]
                points = np.argwhere(voxels & ~neighbour).astype(float)
                points[:, axis] += step / 2
                found.append((voxels is a, points * spacing))
    ours, theirs = (np.concatenate([p for mine, p in found if mine is which]) for which in (True, False))
    return float(cdist(ours, theirs).min())


class TestSurfaceDistance:
    @settings(max_examples=200, deadline=None)
    @given(masks, spacings, st.data())
    def test_random_masks(self, mask, spacing, data):
        liver = data.draw(arrays(bool, mask.shape, elements=st.booleans(), fill=st.just(True)))
        result = measure_mask(mask, np.zeros(mask.shape), Geometry.make(mask.shape, spacing), liver)
        assert np.isfinite(result.surface_distance_mm)
        if not (liver | mask).all():
            expected = brute_force_gap(mask, liver | mask, spacing)
            assert result.surface_distance_mm == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("spacing", SPACINGS)
    @pytest.mark.parametrize("seed", range(3))
    def test_deep_lesions(self, spacing, seed):
        rng = np.random.default_rng(seed)
        liver = np.pad(ellipsoid(spacing, (30, 20, 26), rng.uniform(0, 3)), 1)
        core = np.argwhere(np.pad(ellipsoid(spacing, (30, 20, 26)), 1) & liver)
        middle = np.array(liver.shape) / 2
        core = core[np.argsort(np.abs((core - middle) * spacing).sum(axis=1))][: len(core) // 20 + 3]
        mask = np.zeros_like(liver)
        for z, y, x in core[rng.integers(len(core), size=3)]:
            mask[z, y : y + 2, x] = True
        box = bounding_box(mask)
        found = surface_distance_mm(mask[box], box, liver, spacing)
        assert found > 3
        assert found == pytest.approx(brute_force_gap(mask, liver | mask, spacing))

    @pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.8, 0.7, 0.7)])
    def test_concentric_spheres(self, spacing):
        liver = np.pad(ellipsoid(spacing, (40,) * 3), 1)
        lesion = ellipsoid(spacing, (10,) * 3)
        mask = np.pad(lesion, [((a - b) // 2,) * 2 for a, b in zip(liver.shape, lesion.shape, strict=True)])
        result = measure_mask(mask, np.zeros(mask.shape), Geometry.make(mask.shape, spacing), liver)
        assert result.surface_distance_mm == pytest.approx(30.0, abs=1.05 * max(spacing))
        assert result.percent_of_liver == pytest.approx(100 / 64, rel=0.03)

    def test_edge_of_the_scan_is_no_surface(self):
        liver = np.ones((4, 10, 30), bool)
        liver[:, :, 20:] = False
        mask = np.zeros_like(liver)
        mask[0, 0, 0] = True
        result = measure_mask(mask, mask, Geometry.make(mask.shape, (1, 1, 2)), liver)
        assert result.surface_distance_mm == pytest.approx(19 * 2.0)

    def test_liver_that_fills_the_scan(self):
        mask = np.zeros((6, 10, 10), bool)
        mask[2, 4:6, 4:6] = True
        result = measure_mask(mask, mask, Geometry.make(mask.shape, (3, 1, 1)), np.ones_like(mask))
        assert result.surface_distance_mm == pytest.approx(4.0)


class TestInvariance:
    @settings(max_examples=80, deadline=None)
    @given(masks, spacings, angles, st.permutations((0, 1, 2)), st.tuples(*[st.booleans()] * 3))
    def test_storage_order_does_not_matter(self, mask, spacing, degrees, order, flips):
        """The same voxels stored with permuted and flipped axes are the same lesion."""
        geometry = Geometry.make(mask.shape, spacing, (10, -20, 30), rotation(degrees))
        columns = [2 - order[2 - k] for k in range(3)]
        directions = geometry.directions_lps[:, columns] * [-1 if f else 1 for f in flips[::-1]]
        corner = np.zeros(3)
        for axis, flip in zip(order, flips, strict=True):
            corner[axis] = mask.shape[axis] - 1 if flip else 0
        shape, steps = tuple(mask.shape[a] for a in order), tuple(spacing[a] for a in order)
        other = Geometry.make(shape, steps, tuple(geometry.index_to_lps(corner)), directions)
        hu = np.arange(mask.size).reshape(mask.shape)
        liver = np.ones_like(mask)
        first = measure_mask(mask, hu, geometry, liver)
        second = measure_mask(
            *(permuted(a, geometry, other) for a in (mask, hu)), other, liver.reshape(shape)
        )
        for name in ("volume_ml", "hu_mean", "hu_sd", "surface_distance_mm", "percent_of_liver"):
            assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-6), name
        along = np.abs(geometry.directions_lps)
        scores = sorted(sum(along[w, c] for w, c in enumerate(p)) for p in itertools.permutations(range(3)))
        if scores[-1] - scores[-2] > 1e-6:  # else which slices are axial is a toss-up
            assert first.long_axis_mm == pytest.approx(second.long_axis_mm, abs=1e-6)
            assert first.short_axis_mm == pytest.approx(second.short_axis_mm, abs=1e-5)

    @settings(max_examples=40, deadline=None)
    @given(masks, spacings, st.tuples(*[st.integers(0, 4)] * 3), st.tuples(*[st.integers(0, 4)] * 3))
    def test_position_on_the_grid_does_not_matter(self, mask, spacing, before, after):
        width = list(zip(before, after, strict=True))
        geometry = Geometry.make(mask.shape, spacing)
        stop = tuple(n + a for n, a in zip(mask.shape, after, strict=True))
        outer = geometry.cropped(tuple(-b for b in before), stop)
        hu = np.arange(mask.size).reshape(mask.shape)
        first = measure_mask(mask, hu, geometry)
        second = measure_mask(np.pad(mask, width), np.pad(hu, width), outer)
        for name in ("volume_ml", "long_axis_mm", "short_axis_mm", "hu_mean", "hu_sd"):
            assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-6), name
        np.testing.assert_allclose(first.long_axis_lps, second.long_axis_lps, atol=1e-6)
        np.testing.assert_allclose(first.short_axis_lps, second.short_axis_lps, atol=1e-6)

    def test_coronal_storage_is_measured_axially(self):
        """Array z along the patient's posterior: the long axis is still taken in the transverse plane."""
        mask = np.zeros((12, 40, 16), bool)  # posterior, superior, left
        mask[2:10, 3:37, 5:9] = True
        directions = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], float)
        geometry = Geometry.make(mask.shape, (2.0, 1.0, 1.0), (0, 0, 0), directions)
        result = measure_mask(mask, np.zeros(mask.shape), geometry)
        start, end = np.array(result.long_axis_lps)
        assert start[2] == pytest.approx(end[2])
        # 4 mm along L and 16 along P; the 34 mm along S are not in the plane.
        assert np.hypot(3, 16) <= result.long_axis_mm <= np.hypot(4, 16)


class TestMeasureMask:
    def test_empty_mask_is_refused(self):
        mask = np.zeros((2, 2, 2), bool)
        with pytest.raises(InputError, match="empty"):
            measure_mask(mask, mask, Geometry.make(mask.shape))

    def test_without_a_liver(self):
        mask = np.ones((2, 2, 2), bool)
        result = measure_mask(mask, mask, Geometry.make(mask.shape))
        assert np.isnan(result.surface_distance_mm)
        assert np.isnan(result.percent_of_liver)

    def test_lesion_outside_the_liver_counts_as_liver(self):
        liver = np.zeros((6, 10, 10), bool)
        liver[1:3] = True
        mask = np.zeros_like(liver)
        mask[4, 4, 4] = True
        result = measure_mask(mask, mask, Geometry.make(mask.shape), liver)
        assert result.surface_distance_mm == 0.0
        assert result.percent_of_liver == pytest.approx(100 / 201)

    def test_inputs_stay_untouched(self):
        liver = np.zeros((6, 10, 10), bool)
        mask = np.zeros_like(liver)
        mask[2:4, 4:6, 4:6] = True
        measure_mask(mask, mask, Geometry.make(mask.shape), liver)
        measure_case(mask.astype(np.uint16), liver, mask, Geometry.make(mask.shape))
        assert not liver.any()
        assert mask.sum() == 8


class TestMeasureCase:
    @pytest.fixture
    def case(self):
        labels = np.zeros((10, 30, 30), np.uint16)
        labels[2:5, 3:7, 3:8] = 7
        labels[1, 20, 20] = 2
        labels[6:9, 15:25, 15:25] = 3
        liver = np.zeros(labels.shape, bool)
        liver[1:9, 2:28, 2:27] = True
        hu = np.full(labels.shape, 100, np.int16)
        hu[labels > 0] = 40
        geometry = Geometry.make(labels.shape, (2.0, 0.8, 0.9), (1, 2, 3), rotation((5, 0, 20)))
        return labels, liver, hu, geometry

    def test_every_lesion_like_measure_mask(self, case):
        labels, liver, hu, geometry = case
        lesions = measure_case(labels, liver, hu, geometry, {7: 0.5, 3: 0.25})
        assert [lesion.number for lesion in lesions] == [2, 3, 7]
        assert [lesion.score for lesion in lesions] == [1.0, 0.25, 0.5]
        for lesion in lesions:
            assert lesion.measurement == as_kept(measure_mask(labels == lesion.number, hu, geometry, liver))
            assert lesion.box.score == lesion.score
            centre = geometry.index_to_lps(np.argwhere(labels == lesion.number).mean(axis=0))
            np.testing.assert_allclose(lesion.centre_lps, centre)

    def test_numbering_by_size(self, case):
        labels, liver, hu, geometry = case
        numbered, new = number_by_size(labels)
        assert new == {3: 1, 7: 2, 2: 3}
        for old, number in new.items():
            np.testing.assert_array_equal(numbered == number, labels == old)
        volumes = [x.measurement.volume_ml for x in measure_case(numbered, liver, hu, geometry)]
        assert volumes == sorted(volumes, reverse=True)
        assert number_by_size(numbered)[1] == {1: 1, 2: 2, 3: 3}

    def test_equally_large_keep_their_order(self):
        numbered, _ = number_by_size(np.array([[[2, 0, 5, 0, 1]]]))
        np.testing.assert_array_equal(numbered, [[[2, 0, 3, 0, 1]]])
        assert numbered.dtype == np.uint16

    def test_box_encloses_the_outer_faces(self, case):
        labels, _, _, geometry = case
        found = bounding_box(labels == 7)
        assert found == (slice(2, 5), slice(3, 7), slice(3, 8))
        box = box_of(found, geometry)
        np.testing.assert_allclose(box.size_xyz_mm, (5 * 0.9, 4 * 0.8, 3 * 2.0))
        directions = np.array(box.directions_lps).reshape(3, 3)
        corner = np.array(box.centre_lps) - directions @ np.array(box.size_xyz_mm) / 2
        np.testing.assert_allclose(corner, geometry.index_to_lps((1.5, 2.5, 2.5)), atol=1e-9)

    def test_whole_liver(self, case):
        labels, liver, hu, geometry = case
        labels = labels.copy()
        labels[9, 0, 0] = 2  # a lesion voxel outside the liver
        whole = measure_liver(labels, liver, hu, geometry)
        n = np.count_nonzero(liver | (labels > 0))
        assert whole.volume_ml == pytest.approx(n * 2.0 * 0.8 * 0.9 / 1000)
        assert whole.hu_mean == pytest.approx(100.0)
        assert whole.tumour_burden_percent == pytest.approx(100 * np.count_nonzero(labels) / n)
        shares = [x.measurement.percent_of_liver for x in measure_case(labels, liver, hu, geometry)]
        assert sum(shares) == pytest.approx(whole.tumour_burden_percent)

    def test_nothing_there(self, case):
        labels, liver, hu, geometry = case
        empty = np.zeros_like(labels)
        assert measure_case(empty, liver, hu, geometry) == ()
        assert number_by_size(empty)[1] == {}
        assert bounding_box(empty) is None
        whole = measure_liver(empty, np.zeros_like(liver), hu, geometry)
        assert (whole.volume_ml, whole.tumour_burden_percent) == (0.0, 0.0)
        assert np.isnan(whole.hu_mean)

    @settings(max_examples=60, deadline=None)
    @given(
        arrays(np.uint16, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 4)), spacings, angles
    )
    def test_numbers_are_finite_and_points_inside(self, labels, spacing, degrees):
        geometry = Geometry.make(labels.shape, spacing, (0, 0, 0), rotation(degrees))
        for lesion in measure_case(labels, labels > 2, labels, geometry):
            m = lesion.measurement
            assert np.isfinite([v for v in vars(m).values() if isinstance(v, float)]).all()
            assert m.percent_of_liver <= 100.0
            index = geometry.lps_to_index(np.array([*m.long_axis_lps, *m.short_axis_lps]))
            assert (index >= -0.5 - 1e-6).all()
            assert (index <= np.array(labels.shape) - 0.5 + 1e-6).all()


def test_a_figure_is_the_same_before_and_after_it_was_saved() -> None:
    """Rounded twice, a long axis of 17.54998 mm was 17.5 in one table of a report and 17.6 in another."""
    labels = np.zeros((6, 30, 30), np.uint16)
    labels[2:4, 3:16, 4:19] = 1
    # A diagonal whose length in the fifth decimal decides over its first.
    unit = Geometry.make(labels.shape, (1.0, 1.0, 1.0))
    edge_mm = 17.54998 / measure_mask(labels > 0, np.zeros(labels.shape), unit).long_axis_mm
    geometry = Geometry.make(labels.shape, (1.0, edge_mm, edge_mm))
    [lesion] = measure_case(labels, labels > 0, np.zeros(labels.shape), geometry)
    measured = lesion.measurement
    assert measured is not None and measured.long_axis_mm == 17.55
    assert as_kept(measured) == measured
    free = measure_mask(labels > 0, np.zeros(labels.shape), geometry, labels > 0)
    assert f"{free.long_axis_mm:.1f}" != f"{as_kept(free).long_axis_mm:.1f}"
