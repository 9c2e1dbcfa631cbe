"""The vena cava's course on a small drawn body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.anatomy.cava import Cava, _chosen, find_cava, told_cava
from LiverLesionAILib.stages.anatomy.grid import LiverGrid, liver_grid
from LiverLesionAILib.stages.anatomy.stage import AnatomySettings
from support.vessel_phantom import GRID, points_of, tube, vessel_body, with_noise

SETTINGS = Rules().part(AnatomySettings)
Body = tuple[np.ndarray, np.ndarray]
CAVA = ((-24, 20, -90), (-22, 12, 75))


@pytest.fixture(scope="module")
def body() -> Body:
    """HU and liver."""
    hu, liver = vessel_body(165.0)
    return with_noise(hu), liver


def as_dense_as_the_liver(body: Body) -> LiverGrid:
    """The body's grid, its cava within the liver's outline and of its density."""
    hu, liver = body
    cava_at = tube(points_of(GRID), CAVA, 13)
    outline = liver | (cava_at & liver.any(axis=(1, 2))[:, None, None])
    level = float(np.median(hu[liver]))
    return liver_grid(np.where(outline & cava_at, level, hu), GRID, outline, liver & False, None)


def follows_its_course(cava: Cava | None, grid: LiverGrid) -> None:
    """It was found, and lies where it was drawn, to 7 mm."""
    assert cava is not None
    for z in cava.slices[3:-3:4]:
        at = grid.geometry.index_to_lps((float(z), *cava.at_height(float(z))))
        along = (at[2] - CAVA[0][2]) / (CAVA[1][2] - CAVA[0][2])
        true = np.add(CAVA[0], along * np.subtract(CAVA[1], CAVA[0]))
        assert np.hypot(*(at - true)[:2]) < 7.0


def test_the_cava_runs_straight_past_a_vein_that_leads_away(body: Body) -> None:
    """Where the right hepatic vein flows in, the brightest disc is the vein's."""
    hu, liver = body
    points = points_of(GRID)
    x, y, z = np.moveaxis(points, -1, 0)
    upper = np.hypot(x + 22, y - 13) < 14
    blurred = np.where(upper & (z > 30), 112.0, hu)
    vein = tube(points, ((-22, 13, 30), (-52, 14, 62)), 11)
    grid = liver_grid(np.where(vein, 150.0, blurred), GRID, liver | vein, liver & False, None)
    cava = find_cava(grid, 0.0, 1e9)
    assert cava is not None
    at = grid.geometry.index_to_lps((float(cava.slices[-1]), *cava.at_height(float(cava.slices[-1]))))
    assert abs(at[0] + 22) < 9, "30 mm away by the vein"


def test_a_network_shows_a_cava_that_no_disc_shows(body: Body) -> None:
    hu, liver = body
    grid = liver_grid(np.where(tube(points_of(GRID), CAVA, 12), 40.0, hu), GRID, liver, liver & False, None)
    seen = np.where(tube(points_of(grid.geometry), CAVA, 10), 230, 0).astype(np.uint8)
    cava = find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu, seen)
    assert cava is not None and cava.score > 0.6
    assert (seen[cava.mask_zyx] > 0).mean() > 0.95


def test_a_cava_as_dense_as_the_liver_and_within_its_outline_is_seen_in_some_slices(body: Body) -> None:
    """Early in the portal venous phase: between the sightings every round piece of liver is as likely."""
    grid = as_dense_as_the_liver(body)
    points = points_of(grid.geometry)
    seen = np.where(tube(points, CAVA, 10), 190, 0).astype(np.uint8)
    seen[(points[..., 2] % 32) > 10] = 0
    cava = find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu, seen)
    follows_its_course(cava, grid)


def test_a_cava_of_changing_density_is_none(body: Body) -> None:
    hu, liver = body
    x, y, z = np.moveaxis(points_of(GRID), -1, 0)
    cava = np.hypot(x + 23, y - 15) < 9
    changed = np.where(cava, 150 + 60 * np.sign(np.sin(z / 9)), hu)
    grid = liver_grid(changed, GRID, liver, liver & False, None)
    assert find_cava(grid, 0.0, 1e9) is not None, "it is looked for there"
    assert find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu) is None
    even = find_cava(liver_grid(hu, GRID, liver, liver & False, None), SETTINGS.cava_score, 4.0)
    assert even is not None


def test_the_cava_is_seen_faintly_and_past_what_is_seen_elsewhere(body: Body) -> None:
    """On other slices of one real scan it was seen less clearly, and not found at all."""
    grid = as_dense_as_the_liver(body)
    points = points_of(grid.geometry)
    seen = np.where(tube(points, CAVA, 10), 90, 0).astype(np.uint8)
    unseen = (points[..., 2] % 24) > 10
    seen[unseen] = 0
    seen[unseen & tube(points, ((-90, 0, -90), (-90, 0, 75)), 8)] = 150
    cava = find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu, seen)
    follows_its_course(cava, grid)


def test_a_cava_that_a_network_sees_bend_is_followed() -> None:
    """A straight line had been as likely as what is seen, and another grid took the other one."""
    slices = np.arange(0, 80, 2)
    bend = np.maximum(slices - 68.0, 0)
    found = [np.array([[50.0, 40, 0.1, 11, 0.3, 120], [50 - b, 40 + b, 0.9, 11, 0.9, 120]]) for b in bend]
    top = {sure: _chosen(found, slices, [np.array([0.0, sure])] * len(slices))[-1, 1] for sure in (0.0, 0.9)}
    assert top[0.9] == 50.0
    assert top[0.0] == 40.0, "where nothing is seen it goes straight on"


def test_a_network_shows_where_the_cava_leaves_the_liver(body: Body) -> None:
    """The outline holds it there, and nothing of it is brighter than the liver."""
    hu, liver = body
    points, leaving = points_of(GRID), ((-22, 12, 58), (4, -6, 80))
    inner = tube(points, CAVA, 12) & (points[..., 2] > 20)
    whole = liver | inner | tube(points, leaving, 11)
    held = np.where(whole & (points[..., 2] > 20), 110.0, hu)
    grid = liver_grid(held, GRID, whole, whole & False, None)
    seen = np.where(tube(points_of(grid.geometry), leaving, 10), 230, 0).astype(np.uint8)
    cava = find_cava(grid, 0.0, 1e9, seen)
    assert cava is not None
    z = float(grid.geometry.lps_to_index((4.0, -6.0, 80.0))[0])
    x, y, _ = grid.geometry.index_to_lps((z, *cava.at_height(z)))
    assert np.hypot(x - 4, y + 6) < 6.0, "10 mm where it is followed to 0.93 of the liver's height"


def drawn_cava(shape_yx: np.ndarray) -> Cava:
    """Of 30 slices of one shape, seen in all."""
    mask = np.repeat(shape_yx[None], 30, axis=0)
    at = np.arange(30)
    seen = np.ones(30, bool)
    return Cava(at, np.full((30, 2), 20.0), np.full(30, 10.0), mask, 1.0, mask & False, seen)


def oval(y_radius: float, x_radius: float) -> np.ndarray:
    """An ellipse in the middle of a slice, voxels."""
    y, x = np.mgrid[-20:21, -20:21]
    return (y / y_radius) ** 2 + (x / x_radius) ** 2 <= 1


def test_a_spike_or_a_neighbour_in_a_few_slices_is_not_told_of_the_cava() -> None:
    """A lesion's distance would be the one to it."""
    cava = drawn_cava(oval(5, 5))
    spiked, broad = cava.mask_zyx.copy(), cava.mask_zyx.copy()
    spiked[:, 19:21, 25:30] = True
    broad[12:15, 17:24, 25:28] = True
    for mask in (spiked, broad):
        told = told_cava(replace(cava, mask_zyx=mask))
        assert np.array_equal(told, told_cava(cava)), "nothing of it is left"


def test_a_whole_round_or_flat_cava_is_told_to_its_ends() -> None:
    for shape in (oval(5, 5), oval(3.5, 7)):
        cava = drawn_cava(shape)
        told = told_cava(cava)
        assert told.any(axis=(1, 2)).all(), "up to its last slice"
        assert told.sum() >= 0.95 * cava.mask_zyx.sum()
        lower = replace(cava, mask_zyx=cava.mask_zyx.copy(), lower_zyx=cava.mask_zyx.copy())
        assert lower.lower_zyx is not None
        lower.mask_zyx[:10], lower.lower_zyx[10:] = False, False
        assert np.array_equal(told_cava(lower), told), "what is seen below its discs is of it"


def test_a_cava_of_another_shape_is_not_taken_for_spikes() -> None:
    """As dense as the liver and flat, it is seen in some slices; discs between them only guess its shape."""
    cava = drawn_cava(oval(4, 4))
    cava.mask_zyx[12:15] = oval(2.5, 9)
    assert np.array_equal(told_cava(cava)[12:15], cava.mask_zyx[12:15])
    cava.mask_zyx[12:15] = oval(3.5, 7)
    seen = np.isin(np.arange(30), (12, 13, 14))
    told = told_cava(replace(cava, seen_z=seen))
    assert told[seen].sum() >= 0.95 * cava.mask_zyx[seen].sum(), "no disc has a voice"
    assert np.array_equal(told[~seen], cava.mask_zyx[~seen]), "and discs are told whole"
    assert np.array_equal(told_cava(replace(cava, lower_zyx=None, seen_z=None)), cava.mask_zyx)
