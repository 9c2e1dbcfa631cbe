"""Calipers and volumes against analytic shapes, brute force and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from LiverLesionAILib.stages.measure.calipers import diameter_bounds, measure_calipers, outline_points
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_mask
from LiverLesionAILib.volume.ct import Geometry
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist
from support.lesion_shapes import SPACINGS, ellipsoid, masks, rotation, spacings


def brute_force_long_axis(mask: np.ndarray, spacing_yx) -> float:
    """Largest distance between any two edge midpoints of voxels of one slice."""
    best = 0.0
    for plane in mask:
        centres = np.argwhere(plane).astype(float)
        steps = [(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)]
        points = np.concatenate([centres + s for s in steps]) * np.array(spacing_yx)
        if len(points):
            best = max(best, float(cdist(points, points).max()))
    return best


class TestAgainstAnalyticShapes:
    @pytest.mark.parametrize("spacing", SPACINGS)
    @pytest.mark.parametrize("radius", [4.0, 10.0, 20.0])
    def test_sphere(self, spacing, radius):
        """Averaged over where the sphere lies on the grid, which decides how its slices cut it."""
        rng = np.random.default_rng(1)
        longs, shorts, volumes = [], [], []
        for off_slice in (np.arange(16) + 0.5) / 16 - 0.5:
            shift = (off_slice, *rng.uniform(-0.5, 0.5, 2))
            mask = ellipsoid(spacing, (radius,) * 3, shift_voxels=shift)
            if not mask.any():  # fell between two slices
                continue
            result = measure_mask(mask, np.zeros(mask.shape), Geometry.make(mask.shape, spacing))
            longs.append(result.long_axis_mm)
            shorts.append(result.short_axis_mm)
            volumes.append(result.volume_ml)
        # The slice nearest to the middle lies up to half a slice away from it, and shows a smaller disc.
        off = np.linspace(0, min(spacing[0] / 2, radius), 101)
        expected = 2 * np.mean(np.sqrt(np.maximum(radius**2 - off**2, 0)))
        voxel, thickness = max(spacing[1:]), spacing[0]
        # A disc's largest diameter picks the grid's luckiest direction: its bias is nearer to one voxel.
        assert np.mean(longs) == pytest.approx(expected, abs=0.9 * voxel + 0.03 * thickness)
        assert np.mean(shorts) == pytest.approx(expected, abs=0.75 * voxel + 0.03 * thickness)
        assert max(longs) < 2 * radius + 1.2 * voxel
        assert min(longs) > 2 * np.sqrt(max(radius**2 - thickness**2 / 4, 0)) - voxel
        if radius >= 10:
            assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.05)

    @pytest.mark.parametrize("spacing", SPACINGS)
    @pytest.mark.parametrize("degrees", [0.0, 30.0, 77.0, 135.0])
    @pytest.mark.parametrize("directions", [(0, 0, 0), (12, -7, 25)])
    def test_rotated_ellipsoid(self, spacing, degrees, directions):
        radii = (12.0, 9.0, 21.0)
        angle = np.deg2rad(degrees)
        mask = ellipsoid(spacing, radii, angle)
        matrix = rotation(directions)
        geometry = Geometry.make(mask.shape, spacing, (-50.0, 20.0, 800.0), matrix)
        result = measure_mask(mask, np.full(mask.shape, 60), geometry)
        voxel = max(spacing[1:])
        assert result.long_axis_mm == pytest.approx(42.0, abs=voxel)
        assert result.short_axis_mm == pytest.approx(18.0, abs=1.2 * voxel)
        assert result.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii) / 1000, rel=0.03)
        # The end points are as far apart as the lengths say, perpendicular, in the slice, along the ellipse.
        long, short = (np.subtract(b, a) for a, b in (result.long_axis_lps, result.short_axis_lps))
        assert np.linalg.norm(long) == pytest.approx(result.long_axis_mm)
        assert np.linalg.norm(short) == pytest.approx(result.short_axis_mm)
        assert abs(long @ short) < 1e-6
        assert abs(long @ matrix[:, 2]) < 1e-6
        axis = matrix @ [np.cos(angle), np.sin(angle), 0.0]
        assert abs(long @ axis) / np.linalg.norm(long) > np.cos(np.deg2rad(8))
        middle = geometry.index_to_lps((np.array(mask.shape) - 1) / 2)
        for ends in (result.long_axis_lps, result.short_axis_lps):
            away = np.linalg.norm(np.mean(ends, axis=0) - middle)
            assert away < (1.0 if ends is result.long_axis_lps else 3.5) * voxel + 0.01

    def test_bias_over_sizes_rotations_and_positions(self):
        """The mean error of both axes of ellipses stays within half a voxel; between centres it would not."""
        rng = np.random.default_rng(0)
        for radius in (1.5, 3.0, 6.0, 12.0, 25.0):
            errors, short_errors = [], []
            for _ in range(60):
                ratio = rng.uniform(1.2, 2.0)
                shift = (0, *rng.uniform(-0.5, 0.5, 2))
                mask = ellipsoid((1, 1, 1), (0.4, radius / ratio, radius), rng.uniform(0, np.pi), shift)
                found = measure_calipers(mask, (1.0, 1.0))
                errors.append(found.long_mm - 2 * radius)
                short_errors.append(found.short_mm - 2 * radius / ratio)
            assert abs(np.mean(errors)) < 0.5, radius
            assert abs(np.mean(short_errors)) < 0.55, radius
            assert np.abs(errors).max() < 1.5, radius

    def test_one_voxel(self):
        mask = np.zeros((3, 4, 5), bool)
        mask[1, 2, 3] = True
        hu = np.arange(60).reshape(3, 4, 5)
        result = measure_mask(mask, hu, Geometry.make(mask.shape, (5.0, 0.7, 0.9)), np.ones_like(mask))
        assert result.long_axis_mm == pytest.approx(0.9)
        assert result.short_axis_mm == pytest.approx(0.7)
        assert result.volume_ml == pytest.approx(5 * 0.7 * 0.9 / 1000)
        assert (result.hu_mean, result.hu_sd) == (hu[1, 2, 3], 0.0)
        for ends in (result.long_axis_lps, result.short_axis_lps):
            np.testing.assert_allclose(np.mean(ends, axis=0), (2.7, 1.4, 5.0))

    def test_one_slice_and_one_row(self):
        mask = np.zeros((1, 5, 30), bool)
        mask[0, 2, 5:25] = True
        result = measure_mask(mask, np.zeros(mask.shape), Geometry.make(mask.shape, (8.0, 0.5, 1.5)))
        assert result.long_axis_mm == pytest.approx(20 * 1.5)
        assert result.short_axis_mm == pytest.approx(0.5)

    def test_slice_is_the_one_with_the_largest_diameter(self):
        mask = np.zeros((9, 40, 40), bool)
        for z in range(9):
            mask[z, 20, 5 : 7 + (2 * z if z != 6 else 25)] = True
        result = measure_mask(mask, np.zeros(mask.shape), Geometry.make(mask.shape, (2.0, 1.0, 1.0)))
        assert {p[2] for p in (*result.long_axis_lps, *result.short_axis_lps)} == {12.0}
        assert result.long_axis_mm == pytest.approx(27.0)

    def test_half_disc(self):
        mask = ellipsoid((1, 1, 1), (0.4, 15.0, 15.0))
        mask[:, :, mask.shape[2] // 2 + 1 :] = False
        found = measure_calipers(mask, (1.0, 1.0))
        assert found.long_mm == pytest.approx(31.0, abs=1.0)
        assert found.short_mm == pytest.approx(15.5, abs=1.0)
        assert abs(found.long_yx[0, 1] - found.long_yx[1, 1]) <= 2.0


class TestAgainstBruteForce:
    @settings(max_examples=150, deadline=None)
    @given(masks, spacings)
    def test_long_axis(self, mask, spacing):
        found = measure_calipers(mask, spacing[1:])
        assert found.long_mm == pytest.approx(brute_force_long_axis(mask, spacing[1:]), abs=1e-6)
        assert 0 < found.short_mm <= found.long_mm + 1e-6

    @settings(max_examples=60, deadline=None)
    @given(masks, spacings)
    def test_bound_is_never_below_and_tight(self, mask, spacing):
        points, present = outline_points(mask)
        bounds = diameter_bounds(points * np.array(spacing[1:]), present)
        for plane, bound in zip(mask, bounds, strict=True):
            true = brute_force_long_axis(plane[None], spacing[1:])
            assert true - 1e-9 <= bound <= 1.003 * true + 1e-9

    @pytest.mark.parametrize("seed", range(5))
    def test_ragged_lesion(self, seed):
        rng = np.random.default_rng(seed)
        mask = ellipsoid((1, 0.8, 0.8), (10, 8, 14), rng.uniform(0, 3))
        mask &= rng.random(mask.shape) > 0.3
        found = measure_calipers(mask, (0.8, 0.8))
        assert found.long_mm == pytest.approx(brute_force_long_axis(mask, (0.8, 0.8)), abs=1e-9)

    @pytest.mark.parametrize("seed", range(6))
    def test_short_axis_by_scanning_lines(self, seed):
        """Against the longest of many lines perpendicular to the long axis, clipped to the hull."""
        rng = np.random.default_rng(seed)
        mask = ellipsoid((1, 1, 1), (0.4, rng.uniform(5, 9), 13), rng.uniform(0, 3))
        mask &= rng.random(mask.shape) > 0.4
        found = measure_calipers(mask, (1.0, 1.0))
        points, present = outline_points(mask)
        planes = ConvexHull(points[found.slice_index][present[found.slice_index]]).equations
        start, end = found.long_yx
        along = (end - start) / found.long_mm
        slope = planes[:, :2] @ np.array([-along[1], along[0]])
        best = 0.0
        for t in np.linspace(0, found.long_mm, 2001):
            room = -(planes[:, :2] @ (start + t * along) + planes[:, 2])
            high = (room[slope > 1e-12] / slope[slope > 1e-12]).min()
            low = (room[slope < -1e-12] / slope[slope < -1e-12]).max()
            best = max(best, high - low)
        assert best - 1e-9 <= found.short_mm <= best + 0.02


@pytest.mark.parametrize("spacing", SPACINGS)
def test_against_simpleitk(spacing):
    """Volume, centroid, HU and Feret diameter of a one-slice oblique ellipse."""
    rng = np.random.default_rng(3)
    mask = ellipsoid(spacing, (0.45 * spacing[0], 9.0, 17.0), 0.7)
    matrix = rotation((4, 9, -17))
    hu = rng.normal(70, 15, mask.shape).astype(np.float32)
    images = [sitk.GetImageFromArray(a) for a in (mask.astype(np.uint8), hu)]
    for image in images:
        image.SetSpacing(spacing[::-1])
        image.SetOrigin((5, 6, 7))
        image.SetDirection(matrix.ravel())
    shape, intensity = sitk.LabelShapeStatisticsImageFilter(), sitk.LabelStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(images[0])
    intensity.Execute(images[1], images[0])
    geometry = Geometry.make(mask.shape, spacing, (5, 6, 7), matrix)
    (lesion,) = measure_case(mask.astype(np.uint16), mask, hu, geometry)
    found = lesion.measurement
    assert found.volume_ml == pytest.approx(shape.GetPhysicalSize(1) / 1000)
    np.testing.assert_allclose(lesion.centre_lps, shape.GetCentroid(1), atol=1e-6)
    assert found.hu_mean == pytest.approx(intensity.GetMean(1), rel=1e-5)
    n = mask.sum()  # ITK divides by n - 1
    assert found.hu_sd == pytest.approx(intensity.GetSigma(1) * np.sqrt((n - 1) / n), rel=1e-4)
    # ITK's Feret diameter joins voxel centres; ours the outline, up to half a voxel farther out at both ends.
    extra = found.long_axis_mm - shape.GetFeretDiameter(1)
    assert 0 < extra <= 1.0001 * max(spacing[1:])
