"""Resections of bodies whose volumes are known."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import CouinaudSegment, LiverAnatomy, Vessel
from LiverLesionAILib.case.remnant import (
    Body,
    measure_remnant,
    resected_beyond_plane,
    resected_round,
    resected_segments,
)
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.geometry import Geometry

GRID = Geometry.make((72, 80, 80), (1.25, 1.0, 1.0), (-39.5, -39.5, -44.375))


def ball(radius_mm: float, centre=(0.0, 0.0, 0.0)) -> np.ndarray:
    points = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape_zyx), 0, -1))
    return np.linalg.norm(points - centre, axis=-1) <= radius_mm


def ball_ml(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


LIVER, TUMOUR = ball(36.0), ball(9.0, (12.0, 0.0, 0.0))


def test_a_plane_through_a_ball_leaves_the_cap_that_geometry_says():
    height = 36 - 7.0
    cap_ml = np.pi * height**2 * (36 - height / 3) / 1000
    resection = resected_beyond_plane(LIVER, GRID, (7.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    found = measure_remnant(LIVER, TUMOUR, resection, GRID)
    assert found.liver_ml == pytest.approx(ball_ml(36), rel=0.005)
    assert found.resected_ml == pytest.approx(cap_ml, rel=0.005)
    assert found.resected_ml + found.remaining_ml == pytest.approx(found.liver_ml, rel=1e-6)
    assert found.remaining_ml == pytest.approx(ball_ml(36) - cap_ml, rel=0.005)


def test_an_oblique_plane_through_the_middle_halves_it():
    half = resected_beyond_plane(LIVER, GRID, (0.0, 0.0, 0.0), (1.0, 2.0, -0.7))
    found = measure_remnant(LIVER, np.zeros_like(LIVER), half, GRID)
    assert found.functional_percent == pytest.approx(50, rel=0.005)


def test_a_margin_round_a_lesion_is_the_larger_ball():
    resection = resected_round(TUMOUR, LIVER, GRID, 10.0)
    found = measure_remnant(LIVER, TUMOUR, resection, GRID)
    assert found.resected_ml == pytest.approx(ball_ml(19), rel=0.01), "its edge is a voxel wide"
    assert found.remaining_tumour_ml == 0
    whole = ball_ml(36) - ball_ml(9)
    assert found.functional_percent == pytest.approx(100 * (ball_ml(36) - ball_ml(19)) / whole, rel=0.005)
    assert measure_remnant(LIVER, TUMOUR, resected_round(TUMOUR, LIVER, GRID, 0.0), GRID).resected_ml == (
        pytest.approx(ball_ml(9), rel=0.02)
    )


def test_tumour_that_remains_is_no_functional_liver():
    left = resected_beyond_plane(LIVER, GRID, (-10.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
    found = measure_remnant(LIVER, TUMOUR, left, GRID)
    assert found.remaining_tumour_ml == pytest.approx(ball_ml(9), rel=0.02)
    assert found.functional_ml == pytest.approx(found.remaining_ml - found.remaining_tumour_ml)
    assert "of tumour remain" in found.text


def test_both_standardised_ratios_and_the_minimum_that_the_surgeon_chose():
    half = resected_beyond_plane(LIVER, GRID, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    body = Body(170.0, 70.0)
    assert body.surface_m2 == pytest.approx(1.818, abs=0.001)
    found = measure_remnant(LIVER, TUMOUR & False, half, GRID, body, 40.0)
    assert found.vauthey_percent == pytest.approx(
        100 * found.functional_ml / (1267.28 * 1.81812 - 794), rel=1e-3
    )
    assert found.urata_percent == pytest.approx(100 * found.functional_ml / (706.2 * 1.81812 + 2.4), rel=1e-3)
    assert found.enough and "Vauthey" in found.text and "reaches the chosen minimum of 40 %" in found.text
    plain = measure_remnant(LIVER, TUMOUR, half, GRID)
    assert plain.enough is None and plain.vauthey_percent is None and "minimum" not in plain.text
    with pytest.raises(InputError, match="height"):
        Body(1.7, 70.0)


def tree() -> LiverAnatomy:
    """V in front, VI behind; one portal vein from below through V into VI, two hepatic veins."""
    segments = np.where(LIVER, np.where(np.arange(80)[None, :, None] < 40, 5, 6), 0).astype(np.uint8)
    vessels = np.zeros(GRID.shape_zyx, np.uint8)
    vessels[0:36, 28:31, 39:42] = Vessel.PORTAL
    vessels[36:39, 28:60, 39:42] = Vessel.PORTAL
    vessels[50:71, 28:31, 30:33] = vessels[50:71, 50:53, 30:33] = Vessel.HEPATIC
    return LiverAnatomy(GRID, vessels, segments)


def test_a_segment_behind_a_resected_branch_would_lose_its_inflow():
    anatomy = tree()
    assert (
        measure_remnant(
            LIVER, TUMOUR, resected_segments(anatomy, [CouinaudSegment.VI]), GRID, anatomy=anatomy
        ).warnings
        == ()
    )
    front = measure_remnant(
        LIVER, TUMOUR, resected_segments(anatomy, [CouinaudSegment.V]), GRID, anatomy=anatomy
    )
    assert front.warnings == ("Segment VI would remain without portal inflow. Look at the vessels.",)


def test_a_vessel_of_either_tree_may_be_the_way_of_the_inflow():
    anatomy = tree()
    vessels = anatomy.vessels_zyx.copy()
    # Whether the middle of V's branch is portal is not sure: VI still hangs on it.
    vessels[36:39, 33:37, 39:42] = Vessel.LIKELIER_HEPATIC
    unsure = LiverAnatomy(GRID, vessels, anatomy.segments_zyx)
    caudal, front = np.zeros_like(LIVER), resected_segments(unsure, [CouinaudSegment.V])
    caudal[:, :12] = LIVER[:, :12]
    assert measure_remnant(LIVER, TUMOUR, caudal, GRID, anatomy=unsure).warnings == ()
    assert measure_remnant(LIVER, TUMOUR, front, GRID, anatomy=unsure).warnings == (
        "Segment VI would remain without portal inflow. Look at the vessels.",
    )


def without(anatomy: LiverAnatomy, *gone: int) -> LiverAnatomy:
    """The same, those vessels not shown."""
    vessels = anatomy.vessels_zyx.copy()
    vessels[np.isin(vessels, gone)] = 0
    return LiverAnatomy(GRID, vessels, anatomy.segments_zyx)


def test_where_a_tree_is_not_shown_it_is_said_that_nothing_was_judged():
    """In an early scan no hepatic vein is shown: that nothing is warned of must not read as an outflow."""
    anatomy = tree()
    caudal = np.zeros_like(LIVER)
    caudal[:, :12] = LIVER[:, :12]

    def said(one: LiverAnatomy | None) -> tuple[str, ...]:
        return measure_remnant(LIVER, TUMOUR, caudal, GRID, anatomy=one).warnings

    assert said(anatomy) == ()
    no_outflow = "The remnant's venous outflow was not judged: no hepatic vein is shown."
    assert said(without(anatomy, Vessel.HEPATIC)) == (no_outflow,)
    assert no_outflow in measure_remnant(
        LIVER, TUMOUR, caudal, GRID, anatomy=without(anatomy, Vessel.HEPATIC)
    ).text.split("\n")
    assert said(without(anatomy, Vessel.PORTAL)) == (
        "The remnant's portal inflow was not judged: no portal vein is shown.",
    )
    nothing = ("Portal inflow and venous outflow of the remnant were not judged",)
    blank = LiverAnatomy(GRID, anatomy.vessels_zyx, np.zeros_like(anatomy.segments_zyx))
    for unknown in (None, blank, without(anatomy, Vessel.HEPATIC, Vessel.PORTAL)):
        (told,) = said(unknown)
        assert told.startswith(nothing)


def test_a_segment_into_which_no_vessel_was_followed_is_named():
    anatomy = tree()
    vessels = anatomy.vessels_zyx.copy()
    vessels[50:71, 50:53, 30:33] = 0
    front = measure_remnant(
        LIVER,
        TUMOUR,
        resected_segments(anatomy, [CouinaudSegment.V]),
        GRID,
        anatomy=LiverAnatomy(GRID, vessels, anatomy.segments_zyx),
    )
    assert front.warnings == (
        "Segment VI would remain without portal inflow. Look at the vessels.",
        "The venous outflow of segment VI was not judged: no hepatic vein was followed into it.",
    )
    # The caudate lobe's veins run to the cava by themselves: of it nothing is said.
    as_caudate = np.where(anatomy.segments_zyx == 6, 1, anatomy.segments_zyx).astype(np.uint8)
    (told,) = measure_remnant(
        LIVER,
        TUMOUR,
        anatomy.segments_zyx == 5,
        GRID,
        anatomy=LiverAnatomy(GRID, vessels, as_caudate),
    ).warnings
    assert told == "Segment I would remain without portal inflow. Look at the vessels."


def test_what_cannot_be_resected_is_said():
    with pytest.raises(InputError, match="does not touch the liver"):
        measure_remnant(LIVER, TUMOUR, np.zeros_like(LIVER), GRID)
    with pytest.raises(InputError, match="The scan is cut"):
        resected_segments(LiverAnatomy.blank(GRID, "The scan is cut."), [CouinaudSegment.II])
    with pytest.raises(InputError, match="normal"):
        resected_beyond_plane(LIVER, GRID, (0, 0, 0), (0, 0, 0))
