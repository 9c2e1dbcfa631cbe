"""A registration kept as a lattice: near the transform it was sampled from, there and back, as text too."""

from __future__ import annotations

import numpy as np
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.point_map import PointMap


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
