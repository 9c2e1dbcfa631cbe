"""A lesion's outline from one point: by the network's suspicion; what the rules `point_...` change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.detect.point import PointSettings, distance_to, grow_by_probability
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings, outline_star
from LiverLesionAILib.volume.overlap import dice
from scipy import ndimage

PAGE = Rules().part(PointSettings)
POINT = replace(PAGE, point_suspicion=0.1)
"""With faint suspicions, so that their shape is seen at any height."""
SHAPE, SPACING, MIDDLE = (21, 61, 61), (2.5, 1.0, 1.0), (10, 30, 30)
EVERYWHERE = np.ones(SHAPE, bool)


def ball(radius_mm: float, at: tuple[int, int, int] = MIDDLE) -> np.ndarray:
    return distance_to(SHAPE, at, SPACING) <= radius_mm


def blurred(mask: np.ndarray, height: float) -> np.ndarray:
    return height * ndimage.gaussian_filter(mask.astype(np.float32), 1.5 / np.array(SPACING))


@given(radius_mm=st.floats(4.0, 20.0), height=st.floats(0.12, 1.0), off=st.integers(-2, 2))
@settings(max_examples=25, deadline=None)
def test_a_faint_suspicion_is_outlined_wherever_in_it_one_clicks(
    radius_mm: float, height: float, off: int
) -> None:
    lesion = ball(radius_mm)
    probability = blurred(lesion, height) / blurred(lesion, 1.0).max()
    click = (MIDDLE[0], MIDDLE[1] + off, MIDDLE[2] - off)
    found = grow_by_probability(probability, click, SPACING, EVERYWHERE, POINT)
    assert found is not None
    assert dice(found, lesion) > 0.8


def test_where_the_network_suspects_nothing_it_says_so() -> None:
    lesion = ball(8.0)
    assert grow_by_probability(0.05 * lesion, MIDDLE, SPACING, EVERYWHERE, POINT) is None
    assert grow_by_probability(0.9 * ball(8.0, (10, 30, 55)), MIDDLE, SPACING, EVERYWHERE, POINT) is None
    assert grow_by_probability(0.9 * ball(1.0), MIDDLE, SPACING, EVERYWHERE, POINT) is None, "a speck"
    assert grow_by_probability(np.full(SHAPE, 0.3), MIDDLE, SPACING, EVERYWHERE, POINT) is None, "no end"
    assert grow_by_probability(0.9 * lesion, MIDDLE, SPACING, ~lesion, POINT) is None, "outside the liver"


def test_a_neighbour_that_is_surer_stays_out() -> None:
    one, other = ball(7.0, (10, 30, 20)), ball(7.0, (10, 30, 40))
    probability = np.maximum(blurred(one, 0.3), blurred(other, 0.95))
    found = grow_by_probability(probability, (10, 30, 20), SPACING, EVERYWHERE, POINT)
    assert found is not None
    assert dice(found, one) > 0.8
    assert not (found & ndimage.binary_erosion(other)).any()


def test_the_page_says_how() -> None:
    """Every rule of the page changes what is proposed."""
    flat = Surroundings(np.full(SHAPE, 100.0), SPACING, EVERYWHERE, LiverLevel(100.0, 10.0))
    assert np.array_equal(outline_star(flat, MIDDLE, POINT), ball(POINT.point_ball_mm))
    assert np.array_equal(outline_star(flat, MIDDLE, replace(POINT, point_ball_mm=9.0)), ball(9.0))
    dark = replace(flat, hu_zyx=np.where(ball(15.0), 40.0, 100.0))
    near = replace(POINT, point_reach_mm=8.0)
    assert not (outline_star(dark, MIDDLE, near) & ~ball(8.5)).any()
    assert dice(outline_star(dark, MIDDLE, POINT), ball(15.0)) > 0.9
    probability = blurred(ball(12.0), 0.4)

    def count(**changed: float) -> int:
        found = grow_by_probability(probability, MIDDLE, SPACING, EVERYWHERE, replace(POINT, **changed))
        return 0 if found is None else int(found.sum())

    assert count() > count(point_share=0.9) > 0
    assert count(point_suspicion=0.5) == 0 == count(point_suspicion=PAGE.point_suspicion)
    assert count(point_reach_mm=6.0) == 0
    aside = grow_by_probability(
        probability, (10, 30, 46), SPACING, EVERYWHERE, replace(POINT, point_seed_mm=12.0)
    )
    assert grow_by_probability(probability, (10, 30, 46), SPACING, EVERYWHERE, POINT) is None
    assert aside is not None and int(aside.sum()) == count()
    with pytest.raises(TypeError):
        PointSettings()  # type: ignore[call-arg]
