"""A lesion's outline from one point: by the network's suspicion, by density, or a small ball."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.detect.contrast import ContrastSettings
from LiverLesionAILib.stages.detect.point import (
    PointSettings,
    distance_to,
    grow_by_density,
    grow_by_probability,
)
from LiverLesionAILib.volume.overlap import dice
from scipy import ndimage

POINT, CONTRAST = Rules().part(PointSettings), Rules().part(ContrastSettings)
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


def test_alike_in_density() -> None:
    rng = np.random.default_rng(0)
    lesion = ball(9.0)
    hu = np.where(lesion, 55.0, 110.0) + rng.normal(0, 10, SHAPE)
    found = grow_by_density(hu, MIDDLE, SPACING, EVERYWHERE, EVERYWHERE, POINT, CONTRAST)
    assert dice(found, lesion) > 0.85


def test_the_page_says_how() -> None:
    """Every rule of the page changes what is proposed."""
    flat = np.full(SHAPE, 100.0)
    small = grow_by_density(flat, MIDDLE, SPACING, EVERYWHERE, EVERYWHERE, POINT, CONTRAST)
    assert np.array_equal(small, ball(POINT.point_ball_mm))
    larger = replace(POINT, point_ball_mm=9.0)
    assert np.array_equal(
        grow_by_density(flat, MIDDLE, SPACING, EVERYWHERE, EVERYWHERE, larger, CONTRAST), ball(9.0)
    )
    probability = blurred(ball(12.0), 0.4)

    def count(**changed: float) -> int:
        found = grow_by_probability(probability, MIDDLE, SPACING, EVERYWHERE, replace(POINT, **changed))
        return 0 if found is None else int(found.sum())

    assert count() > count(point_share=0.9) > 0
    assert count(point_suspicion=0.5) == 0
    assert count(point_reach_mm=6.0) == 0
    aside = grow_by_probability(
        probability, (10, 30, 46), SPACING, EVERYWHERE, replace(POINT, point_seed_mm=12.0)
    )
    assert grow_by_probability(probability, (10, 30, 46), SPACING, EVERYWHERE, POINT) is None
    assert aside is not None and int(aside.sum()) == count()
    with pytest.raises(TypeError):
        PointSettings()  # type: ignore[call-arg]
