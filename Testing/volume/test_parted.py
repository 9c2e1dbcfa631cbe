"""A divider between what a radiologist sees left and right, on grids of any orientation."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.parted import between, divider_of, seen_left, share_at
from scipy.spatial.transform import Rotation

TURNED = {
    "as stored": np.eye(3),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "sagittal slices": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "oblique": Rotation.from_euler("xyz", (8, -12, 20), True).as_matrix(),
}


@pytest.mark.parametrize("directions", TURNED.values(), ids=TURNED)
def test_the_patients_right_is_left_of_it(directions):
    grid = Geometry.make((9, 10, 8), (5.0, 2.0, 3.0), (-40.0, 10.0, 90.0), directions)
    lps = np.asarray(grid.index_to_lps(np.moveaxis(np.indices(grid.shape_zyx), 0, -1)))
    for share in (0.0, 0.3, 0.5, 1.0):
        point, normal = divider_of(grid, share)
        assert normal[0] > 0.8 and np.linalg.norm(normal) == pytest.approx(1.0)
        left = np.zeros(grid.shape_zyx, bool)
        left[seen_left(grid, share)] = True
        depth = (lps - point) @ normal
        # Planes are whole: those within half of one of the line may lie on either side.
        assert (left == (depth < 0))[np.abs(depth) > 2.6].all()
        assert left.mean() == pytest.approx(share, abs=0.07)
        assert share_at(grid, point) == pytest.approx(share)
    both = np.zeros(grid.shape_zyx, int)
    for part in (seen_left(grid, 0.3), between(grid, 0.9, 0.3), between(grid, 0.9, 1.0)):
        both[part] += 1
    assert (both == 1).all()


def test_what_is_dragged_out_of_the_grid_stays_at_its_edge():
    grid = Geometry.make((4, 4, 4), (1.0, 1.0, 1.0))
    assert (share_at(grid, (-99, 0, 0)), share_at(grid, (99, 0, 0))) == (0.0, 1.0)
