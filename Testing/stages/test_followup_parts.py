"""One outline round several lesions of the other scan, split where that scan shows them apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.followup import LesionState, Pair
from LiverLesionAILib.stages.followup.pair import Place
from LiverLesionAILib.stages.followup.parts import CutSettings, cut_by, joined_cuts, long_axis_mm
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import Geometry

TILT = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
"""Directions of an oblique grid."""
GRIDS = {
    "axial": Geometry.make((20, 48, 64), (3.0, 1.5, 1.5), (-48.0, -36.0, -30.0)),
    "oblique": Geometry.make((20, 64, 64), (3.0, 1.5, 1.5), (-10.0, -66.0, -30.0), TILT),
}
ONE, OTHER = ((-12.0, 0.0, 0.0), 11.0), ((9.0, 2.0, 3.0), 12.0)
SETTINGS = Rules().part(CutSettings)


def ball(geometry: Geometry, centre, radius: float) -> np.ndarray:
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    return ((lps - np.array(centre)) ** 2).sum(axis=-1) < radius**2


def place(geometry: Geometry, centre, radius: float) -> Place:
    return Place.of(Mask.of(ball(geometry, centre, radius)), geometry)


@pytest.mark.parametrize("name", GRIDS)
def test_touching_lesions_are_parted_at_their_neck(name):
    geometry = GRIDS[name]
    one, other = ball(geometry, *ONE), ball(geometry, *OTHER)
    joined = Mask.of(one | other)
    # The other scan's outlines are smaller, and some millimetres off.
    seeds = [place(geometry, (-12.0, 4.0, -3.0), 6.0), place(geometry, (11.0, -2.0, 3.0), 9.0)]
    parts = cut_by(joined, geometry, seeds, SETTINGS)
    assert np.array_equal(sum(part.voxels_zyx.astype(int) for part in parts), joined.voxels_zyx.astype(int))
    for part, true in zip(parts, (one & ~other, other & ~one), strict=True):
        assert part.voxels_zyx[true[joined.slices]].mean() > 0.97
    assert long_axis_mm(parts[0], geometry) == pytest.approx(22, abs=3.1)
    assert long_axis_mm(parts[1], geometry) == pytest.approx(24, abs=4)


def test_an_outline_without_a_neck_is_split_between_the_lesions():
    geometry = GRIDS["axial"]
    joined = ball(geometry, (0.0, 0.0, 0.0), 20.0)
    x = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))[..., 0]
    seeds = [Place.of(Mask.of(joined & side), geometry) for side in (x < -1, x > 1)]
    parts = cut_by(Mask.of(joined), geometry, seeds, SETTINGS)
    shares = [part.count / joined.sum() for part in parts]
    assert shares == pytest.approx([0.5, 0.5], abs=0.06)


def test_what_is_not_in_the_outline_is_no_seed_of_it():
    geometry = GRIDS["axial"]
    joined = Mask.of(ball(geometry, *ONE) | ball(geometry, *OTHER))
    inside = place(geometry, *ONE)
    assert cut_by(joined, geometry, [inside], SETTINGS) is None
    assert cut_by(joined, geometry, [inside, place(geometry, (30.0, 20.0, 15.0), 5.0)], SETTINGS) is None
    # A part of some voxels at the edge is no lesion.
    alone = Mask.of(ball(geometry, *ONE))
    assert cut_by(alone, geometry, [inside, place(geometry, (2.0, 0.0, 0.0), 3.4)], SETTINGS) is None


def test_an_outline_that_holds_far_more_than_its_lesions_is_not_split():
    """Its parts would be as wide as it is. The volume's limit is RECIST's growth along each axis."""
    geometry = GRIDS["axial"]
    masks = {1: Mask.of(ball(geometry, (0.0, 0.0, 0.0), 20.0))}
    still = SimpleNamespace(points=np.asarray)
    pair = Pair((1, 2), (1,), LesionState.STABLE)

    def cuts(radius: float):
        seeds = {n: place(geometry, (x, 0.0, 0.0), radius) for n, x in ((1, -9.0), (2, 9.0))}
        places = seeds, {1: Place.of(masks[1], geometry)}
        return joined_cuts([pair], places, still, (masks.get, masks.get), (geometry, geometry), SETTINGS)

    assert [cut.outline.others for cut in cuts(14.0)] == [(1, 2)]
    assert cuts(12.0) == ()


def test_lesions_are_carried_back_through_a_registration():
    class Stretch:
        def points(self, points_lps):
            return np.asarray(points_lps) * 1.05 + np.array((3.0, -2.0, 8.0))

    seed = place(GRIDS["axial"], *ONE)
    again = seed.moved(Stretch()).moved_back(Stretch())
    assert np.allclose(again.points_lps, seed.points_lps, atol=0.2)
    assert np.allclose(again.centre_lps, seed.centre_lps, atol=0.2)
