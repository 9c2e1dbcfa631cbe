"""The bricks of the synthetic bodies against exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILab.synthesis.fields import (
    Grid,
    ellipsoid,
    smooth_field,
    smooth_max,
    smooth_min,
    spline_path,
    tube,
    upsample,
)
from LiverLesionAILab.synthesis.scanner import Scanner, correlated_noise, noise_filter, profile
from LiverLesionAILab.synthesis.vessels import grow_tree

GRID = Grid((30, 36, 40), (2.0, 1.5, 1.5), (-29.0, -26.0, -29.0))


def mesh(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.meshgrid(*(grid.axis_mm(a) for a in range(3)), indexing="ij"))  # type: ignore[return-value]


def test_sphere_distance_is_exact() -> None:
    z, y, x = mesh(GRID)
    distance = ellipsoid((z, y, x), np.array([2.0, -3.0, 1.0]), np.array([11.0, 11.0, 11.0]))
    exact = np.sqrt((z - 2) ** 2 + (y + 3) ** 2 + (x - 1) ** 2) - 11
    np.testing.assert_allclose(distance, exact, atol=1e-3)


def test_ellipsoid_surface_is_where_it_should_be() -> None:
    z, y, x = mesh(GRID)
    semi = np.array([16.0, 9.0, 12.0])
    distance = ellipsoid((z, y, x), np.zeros(3), semi)
    volume = (distance < 0).sum() * 2.0 * 1.5 * 1.5
    assert volume == pytest.approx(4 / 3 * np.pi * semi.prod(), rel=0.03)


def test_straight_tube_is_a_capsule() -> None:
    path = spline_path(np.array([[-14.0, 0, 0, 6.0], [0, 0, 0, 6.0], [14.0, 0, 0, 6.0]]), 1.0)
    box, distance, nearest = tube(GRID, path)
    z, y, x = (c[box] for c in mesh(GRID))
    exact = np.sqrt((np.abs(z) - 14).clip(0) ** 2 + y**2 + x**2) - 6
    near = np.abs(exact) < 4
    assert np.abs(distance - exact)[near].max() < 0.15
    inside = distance < 0
    assert np.abs(path[nearest[inside], 0] - np.clip(z[inside], -14, 14)).max() < 1.6


def test_upsampling_reproduces_a_linear_function() -> None:
    z, y, x = mesh(GRID)
    plane = (0.3 * z - 0.7 * y + 0.2 * x + 1).astype(np.float32)
    fine = Grid((40, 50, 45), (1.1, 0.9, 1.0), (-22.0, -21.0, -22.0))
    fz, fy, fx = mesh(fine)
    np.testing.assert_allclose(upsample(plane, GRID, fine), 0.3 * fz - 0.7 * fy + 0.2 * fx + 1, atol=1e-3)


def test_smooth_field_is_standard_and_as_smooth_as_asked() -> None:
    grid = Grid((48, 64, 64), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    field = smooth_field(np.random.default_rng(0), grid, 6.0)
    assert abs(field.mean()) < 0.15
    assert field.std() == pytest.approx(1.0, abs=0.12)
    lag = [np.corrcoef(field[:, :, k:].ravel(), field[:, :, :-k].ravel())[0, 1] for k in (1, 3, 12)]
    assert lag[0] > 0.85
    assert 0.2 < lag[1] < 0.75
    assert abs(lag[2]) < 0.12


def test_smooth_min_and_max_bound_the_sharp_ones() -> None:
    a = np.linspace(-20, 20, 201, dtype=np.float32)
    assert (smooth_min(a, -a, 6) <= np.minimum(a, -a) + 1e-6).all()
    assert (smooth_max(a, -a, 6) >= np.maximum(a, -a) - 1e-6).all()
    far = np.abs(a) > 4
    np.testing.assert_allclose(smooth_min(a, -a, 6)[far], np.minimum(a, -a)[far], atol=1e-6)


def test_tree_obeys_murray_and_reaches_its_terminals() -> None:
    rng = np.random.default_rng(4)
    terminals = rng.uniform(-40, 40, (60, 3))
    trunk = [np.array([[60.0, 0, 0], [45.0, 0, 0], [30.0, 2, 0]])]
    segments = grow_tree(rng, trunk, terminals, 6.0)
    ends = np.array([s[1, :3] for s in segments])
    for target in terminals:
        assert np.linalg.norm(ends - target, axis=1).min() < 1e-9
    assert segments[0][1, 3] == pytest.approx(6.0)
    # At every fork the children's r^2.8 add up to the parent's.
    starts = np.array([s[0, :3] for s in segments])
    forks = 0
    for segment in segments:
        children = [
            s for s, at in zip(segments, starts, strict=True) if np.allclose(at, segment[1, :3], atol=1e-9)
        ]
        if children:
            total = sum(c[1, 3] ** 2.8 for c in children)
            assert total == pytest.approx(segment[1, 3] ** 2.8, rel=1e-6)
            forks += len(children) > 1
    assert forks >= 20


def test_noise_filter_has_unit_power_and_noise_unit_deviation() -> None:
    gains = noise_filter((64, 81), (0.8, 0.8), 0.2, 0.1)
    assert gains[0, 0] < 0.3 * gains.max()
    scanner = Scanner(10.0, 0.2, 0.1, 1.0, 5.0, 0.0)
    noise = correlated_noise(np.random.default_rng(0), (24, 96, 101), (2.5, 0.8, 0.8), scanner)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert abs(noise.mean()) < 0.02


@pytest.mark.parametrize(("spacing", "fwhm"), [(0.5, 5.0), (1.0, 3.0), (0.25, 1.25)])
def test_slice_profile_has_its_width(spacing: float, fwhm: float) -> None:
    weights = profile(spacing, fwhm)
    assert weights.sum() == pytest.approx(1)
    over = (weights >= weights.max() / 2 - 1e-9).sum() * spacing
    assert over == pytest.approx(fwhm, abs=1.01 * spacing)
