"""Closed surfaces: where they lie, how much they hold, which way they face."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.case.surfaces import closed_surface, load_surfaces
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import Geometry

SPACING = (2.5, 0.8, 1.1)


def ball(shape=(30, 60, 50), radius_mm=16.0) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    centre = (np.array(shape) - 1) / 2
    return np.linalg.norm((grid - centre) * SPACING, axis=-1) <= radius_mm


def volume(points: np.ndarray, triangles: np.ndarray) -> float:
    """Signed volume, positive when the triangles face outwards."""
    a, b, c = (points[triangles[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_a_ball_keeps_its_place_size_and_outside(flip):
    mask = ball()
    geometry = Geometry.make(mask.shape, SPACING, (12.0, -30.0, 100.0), np.diag([1.0, 1.0, flip]))
    points, triangles = closed_surface(Mask.of(mask), geometry)
    centre_lps = geometry.index_to_lps((np.array(mask.shape) - 1) / 2)
    centre_ras = centre_lps * (-1, -1, 1)
    assert np.abs((points.max(0) + points.min(0)) / 2 - centre_ras).max() < 0.5
    held = volume(points - centre_ras, triangles)
    assert held == pytest.approx(mask.sum() * np.prod(SPACING), rel=0.04)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_no_mask_no_surface(tmp_path):
    geometry = Geometry.make((4, 4, 4))
    points, triangles = closed_surface(Mask.of(np.zeros((4, 4, 4), bool)), geometry)
    assert len(points) == len(triangles) == 0
    assert load_surfaces(tmp_path) == {}
