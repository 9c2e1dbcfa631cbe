"""Outlines from clicks by density and edge: phantoms of known outline, corrections, and the cut itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.detect import rays
from LiverLesionAILib.stages.detect.point import PointSettings, distance_to
from LiverLesionAILib.stages.detect.rays import Shells, best_surface, directions, within_surface
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings, corrected, outline_star
from LiverLesionAILib.volume.overlap import dice
from scipy import ndimage

POINT = Rules().part(PointSettings)
SHAPE, SPACING, MIDDLE = (25, 71, 71), (2.0, 1.0, 1.0), (12, 35, 35)
EVERYWHERE = np.ones(SHAPE, bool)
LIVER_HU, NOISE_HU = 110.0, 14.0


def ball(radius_mm: float, at: tuple[int, int, int] = MIDDLE) -> np.ndarray:
    return distance_to(SHAPE, at, SPACING) <= radius_mm


def scan(lesion: np.ndarray, contrast_hu: float, seed: int = 0) -> np.ndarray:
    """A lesion in a liver with the noise of a CT, which hangs together over some pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, SHAPE), (0.4, 0.8, 0.8))
    drawn = ndimage.gaussian_filter(lesion * contrast_hu, 0.6 / np.array(SPACING))
    return LIVER_HU + drawn + noise * NOISE_HU / noise.std()


def seen(hu: np.ndarray, inside: np.ndarray = EVERYWHERE) -> Surroundings:
    return Surroundings(hu, SPACING, inside, LiverLevel(LIVER_HU, NOISE_HU))


@given(
    radius_mm=st.floats(5.0, 18.0),
    contrast_hu=st.sampled_from([-60.0, -25.0, 25.0, 60.0]),
    off=st.tuples(st.integers(-1, 1), st.integers(-2, 2), st.integers(-2, 2)),
    seed=st.integers(0, 5),
)
@settings(max_examples=20, deadline=None)
def test_round_lesions_wherever_in_them_one_clicks(radius_mm, contrast_hu, off, seed):
    lesion = ball(radius_mm)
    click = tuple(m + o for m, o in zip(MIDDLE, off, strict=True))
    found = outline_star(seen(scan(lesion, contrast_hu, seed)), click, POINT)
    assert dice(found, lesion) > 0.7
    assert found[click]


def test_no_denser_than_the_noise() -> None:
    """15 HU in a noise of 14: no voxel tells, the whole surface does; a threshold floods or fails."""
    lesion = ball(9.0)
    hu = scan(lesion, -15.0)
    smooth = ndimage.gaussian_filter(hu, 1.2 / np.array(SPACING))
    labels, _ = ndimage.label(smooth < LIVER_HU - 7.5)
    threshold = labels == labels[MIDDLE] if labels[MIDDLE] else np.zeros(SHAPE, bool)
    found = dice(outline_star(seen(hu), MIDDLE, POINT), lesion)
    assert found > 0.8
    assert found > dice(threshold, lesion) + 0.1


def test_a_dense_core_or_a_bright_rim_is_not_the_whole() -> None:
    whole, core = ball(14.0), ball(6.0)
    for inner, outer in ((-60.0, -25.0), (25.0, -30.0), (-30.0, 25.0)):
        hu = scan(core, inner - outer) + scan(whole, outer, 1) - LIVER_HU
        assert dice(outline_star(seen(hu), MIDDLE, POINT), whole) > 0.8, (inner, outer)


def test_a_vessel_that_leads_in_is_cut_off() -> None:
    lesion = ball(8.0)
    z, y, x = np.indices(SHAPE)
    vessel = (np.hypot((z - 12) * 2.0, y - 35) <= 2.5) & (x > 35)
    hu = scan(lesion | vessel, -50.0)
    found = outline_star(seen(hu), MIDDLE, POINT)
    assert dice(found, lesion) > 0.85
    assert not (found & vessel & ~ball(13.0)).any()


def test_what_is_no_liver_beside_the_liver_stays_out() -> None:
    """A lesion at the liver's edge: fat begins 3 mm beside it, and may not belong to it beyond `inside`."""
    lesion = ball(8.0)
    hu, y = scan(lesion, -45.0), np.indices(SHAPE)[1]
    hu[y > 46] = -90.0
    found = outline_star(seen(hu, y <= 46), MIDDLE, POINT)
    assert dice(found, lesion) > 0.85
    assert not found[y > 46].any()


def test_nothing_to_be_seen_is_a_ball_and_a_reach_bounds_it() -> None:
    nothing = seen(np.full(SHAPE, LIVER_HU))
    assert np.array_equal(outline_star(nothing, MIDDLE, POINT), ball(POINT.point_ball_mm))
    assert np.array_equal(outline_star(nothing, MIDDLE, POINT, reach_mm=2.0), ball(2.0))
    dark = seen(scan(ball(15.0), -60.0))
    assert not (outline_star(dark, MIDDLE, POINT, reach_mm=7.0) & ~ball(8.0)).any()


def test_a_click_beside_keeps_the_outline_away() -> None:
    two = ball(9.0) | ball(9.0, (12, 35, 51))
    frame = seen(scan(two, -50.0))
    apart = outline_star(frame, MIDDLE, POINT, beside=[(12, 35, 51)])
    assert not apart[12, 35, 51]
    assert dice(apart, ball(9.0)) > 0.75


def test_corrections() -> None:
    one, other = ball(8.0), ball(6.0, (12, 35, 48))
    frame = seen(scan(one | other, -50.0))
    added = corrected(frame, one, (12, 35, 48), POINT)
    assert not (one & ~added).any()
    assert dice(added, one | other) > 0.85
    taken = corrected(frame, one | other, (12, 35, 50), POINT)
    assert not taken[12, 35, 50] and taken[MIDDLE]
    assert not (taken & ~(one | other)).any()
    assert dice(taken, one) > 0.75
    assert not corrected(frame, ball(0.5), MIDDLE, POINT).any(), "all of it"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_the_cut_is_the_best_of_all_surfaces(seed: int) -> None:
    """Against every surface of a few shells on an octahedron."""
    rng = np.random.default_rng(seed)
    unit = np.concatenate([np.eye(3), -np.eye(3)])
    few = rays.Directions(unit, rays._edges(unit))
    shells, cost = Shells(1.08 ** np.arange(4)), rng.normal(0, 1, (6, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rays, "directions", lambda: few)
        patch.setattr(rays, "SLACK", 1)
        rays._skeleton.cache_clear()
        found = best_surface(cost, shells)
    rays._skeleton.cache_clear()
    scale = shells.volume / shells.volume.mean()
    step = rays.STIFFNESS * shells.outer_mm**3 / shells.volume.mean()

    def energy(counts: tuple[int, ...]) -> float:
        inside = sum(float((cost[i, 1:n] * scale[1:n]).sum()) for i, n in enumerate(counts))
        rough = sum(
            float(step[min(counts[a], counts[b]) : max(counts[a], counts[b])].sum()) for a, b in few.pairs
        )
        return inside + rough

    every = [c for c in product(range(1, 5), repeat=6) if all(abs(c[a] - c[b]) <= 1 for a, b in few.pairs)]
    assert tuple(found) in every
    assert energy(tuple(found)) == pytest.approx(min(map(energy, every)), abs=0.02)


def test_directions_are_even_and_a_sphere_is_a_ball() -> None:
    spread = directions()
    assert spread.unit_zyx.shape == (162, 3)
    assert np.allclose(np.linalg.norm(spread.unit_zyx, axis=1), 1)
    neighbours = np.bincount(spread.pairs.ravel())
    assert sorted(set(neighbours)) == [5, 6]
    angles = np.degrees(
        np.arccos((spread.unit_zyx[spread.pairs[:, 0]] * spread.unit_zyx[spread.pairs[:, 1]]).sum(1))
    )
    assert angles.min() > 15 and angles.max() < 20
    assert np.array_equal(within_surface(SHAPE, MIDDLE, np.full(162, 10.0), SPACING), ball(10.0))


def test_only_voxels_between_the_least_and_the_largest_radius_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lesion of 12 cm holds a million voxels: a click on it would else stop Slicer for ten seconds."""
    from LiverLesionAILib.stages.detect import rays

    asked: list[int] = []

    class Tree:
        def query(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            asked.append(len(points))
            return real.query(points, k=k)

    real = rays._tree()
    monkeypatch.setattr(rays, "_tree", Tree)
    radius = np.full(162, 10.0)
    radius[:40] = 12.0
    found = within_surface(SHAPE, MIDDLE, radius, SPACING)
    assert asked == [int((ball(12.0) & ~ball(10.0)).sum())]
    assert (found | ~ball(10.0)).all() and not (found & ~ball(12.0)).any()
    assert ball(10.0).sum() < found.sum() < ball(12.0).sum()
