"""A registration kept as a lattice: near the transform it was sampled from, there and back, as text too."""

from __future__ import annotations

import numpy as np
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.point_map import PointMap
from LiverLesionAILib.volume.pulled import blending_grid, pulled_back


def bent(points_lps):
    """A shift with a smooth wave of 5 mm on it."""
    return points_lps + [12.0, -7.0, 30.0] + 5.0 * np.sin(points_lps[:, [1, 2, 0]] / 40.0)


def test_points_go_there_and_back():
    geometry = Geometry.make((30, 60, 60), (5.0, 2.0, 2.0), (-60.0, -50.0, 900.0))
    liver = np.zeros(geometry.shape_zyx, bool)
    liver[5:25, 10:50, 10:50] = True
    made = PointMap.sampled(bent, liver, geometry)
    kept = PointMap.from_text(made.text)
    assert kept is not None and len(made.text) < 500_000
    points = np.asarray(geometry.index_to_lps(np.argwhere(liver)[::97]))
    assert np.abs(kept.points(points) - bent(points)).max() < 0.3
    back = kept.back(tuple(bent(points[:1])[0]))
    assert back is not None and np.abs(np.array(back) - points[0]).max() < 0.5
    assert PointMap.from_text(made.text[:-40]) is None and PointMap.from_text("{}") is None


def test_a_scan_is_drawn_where_the_other_one_lies():
    geometry = Geometry.make((30, 40, 40), (5.0, 3.0, 3.0), (-60.0, -50.0, 900.0))
    liver = np.zeros(geometry.shape_zyx, bool)
    liver[6:24, 8:32, 8:32] = True
    movement = PointMap.sampled(bent, liver, geometry)
    # Every voxel's value is its height and its place across, in mm: what is drawn says where it came from.
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    current = Geometry.make((60, 160, 80), (2.5, 0.7, 2.0), (-50.0, -60.0, 925.0))
    grid = blending_grid(movement, current)
    assert grid.spacing_zyx_mm == (2.5, 1.0, 2.0) and grid.shape_zyx[0] <= 60
    points = np.asarray(geometry.index_to_lps(np.argwhere(liver)[::151]))
    at = np.rint(np.asarray(grid.lps_to_index(bent(points)))).astype(int)
    inside = ((at >= 0) & (at < grid.shape_zyx)).all(axis=1)
    assert inside.mean() > 0.8
    for axis in range(3):
        drawn = pulled_back(lps[..., axis].astype(np.int16), geometry, movement, grid)
        assert drawn.dtype == np.int16 and drawn.shape == grid.shape_zyx
        off = drawn[tuple(at[inside].T)] - points[inside, axis]
        assert np.abs(off).max() < 2.5 and np.abs(off).mean() < 1.0
    # Air where the first scan shows nothing.
    far = Geometry.make((2, 4, 4), (2.0, 2.0, 2.0), (900.0, 900.0, 900.0))
    assert (pulled_back(np.zeros(geometry.shape_zyx, np.int16), geometry, movement, far) == -1024).all()
