"""Where reference lesions lie and how dense they are, in livers whose notch, dome and capsule are known."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILab.evaluation.cases import Prediction, score_case
from LiverLesionAILab.evaluation.summary import summarise
from LiverLesionAILab.metrics.components import Components
from LiverLesionAILab.metrics.whereabouts import DENSITY_BANDS, deepest_notch, whereabouts
from LiverLesionAILib.volume.ct import Geometry

SPACING = (2.5, 2.0, 2.0)
SHAPE = (64, 90, 100)
CENTRE_MM, HALF_MM = np.array([78.0, 90.0, 100.0]), np.array([65.0, 75.0, 85.0])
NOTCH_MM = np.array([78.0, 90.0 + 35.0, 100.0])
"""The tip of a cleft that comes in from the back."""


def grid_mm() -> np.ndarray:
    return np.moveaxis(np.indices(SHAPE, float), 0, -1) * SPACING


def liver() -> np.ndarray:
    place = grid_mm()
    whole = (((place - CENTRE_MM) / HALF_MM) ** 2).sum(-1) <= 1.0
    behind = place[..., 1] >= NOTCH_MM[1]
    cleft = behind & (np.abs(place[..., [0, 2]] - NOTCH_MM[[0, 2]]).max(-1) <= 12.0)
    return whole & ~cleft


def ball(centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    return ((grid_mm() - centre_mm) ** 2).sum(-1) <= radius_mm**2


AT = {
    "dome": (CENTRE_MM + np.array([50.0, 0.0, 0.0]), 6.0),
    "hilum": (NOTCH_MM - np.array([0.0, 22.0, 0.0]), 7.0),
    "capsule": (CENTRE_MM + np.array([0.0, 0.0, 75.0]), 8.0),
    "deeper": (CENTRE_MM - np.array([0.0, 30.0, 30.0]), 9.0),
}


def test_the_deepest_notch_is_the_clefts_tip() -> None:
    found = deepest_notch(liver(), SPACING)
    assert found is not None and np.linalg.norm(found - (NOTCH_MM - np.array([0.0, -6.0, 0.0]))) < 15.0
    # A convex liver has none.
    assert deepest_notch((((grid_mm() - CENTRE_MM) / HALF_MM) ** 2).sum(-1) <= 1.0, SPACING) is None


@pytest.mark.parametrize("place", AT)
def test_one_lesion_at_each_place(place: str) -> None:
    centre, radius = AT[place]
    lesions = Components.of(ball(centre, radius), 26)
    (found,) = whereabouts(lesions, 1, liver(), SPACING)
    assert found.place == place
    assert np.isnan(found.difference_hu)


@pytest.mark.parametrize("difference", [-60.0, -20.0, 0.0, 40.0])
def test_density_is_held_against_the_liver_round_it(difference: float) -> None:
    organ = liver()
    centre, radius = AT["deeper"]
    own = ball(centre, radius)
    # A gradient over the liver, and fat outside of it that must not count.
    hu = np.where(organ, 90.0 + 0.2 * grid_mm()[..., 2], -100.0)
    hu[own] += difference
    (found,) = whereabouts(Components.of(own, 26), 1, organ, SPACING, hu)
    assert found.difference_hu == pytest.approx(difference, abs=2.0)
    assert sum(band.holds(found.difference_hu) for band in DENSITY_BANDS) == 1


def test_groups_of_a_summary_name_what_was_missed() -> None:
    organ, reference = liver(), np.zeros(SHAPE, np.uint8)
    reference[organ] = 1
    hu = np.where(organ, 100.0, -100.0)
    found = reference.copy()
    for place, (centre, radius) in AT.items():
        own = ball(centre, radius)
        reference[own], hu[own] = 2, 40.0 if place == "deeper" else 95.0
        if place != "dome":
            found[own] = 2
    geometry = Geometry(SHAPE, SPACING, (0.0, 0.0, 0.0), np.eye(3))
    row = score_case("a", "p", reference, geometry, Prediction(found, geometry), hu_zyx=hu, pictures=False)
    assert not row.pictures
    summary = summarise("m", [row], n_draws=50)
    assert {p: summary[f"lesions_found place {p}"].value for p in AT} == {
        "dome": 0.0,
        "hilum": 1.0,
        "capsule": 1.0,
        "deeper": 1.0,
    }
    assert summary["lesions_found density within 15 HU of liver"].value == pytest.approx(2 / 3)
    assert summary["lesions_found density 30 HU darker and more"].value == 1.0


def test_no_liver_no_place() -> None:
    (found,) = whereabouts(Components.of(ball(*AT["deeper"]), 26), 1, np.zeros(SHAPE, bool), SPACING)
    assert found.place == "deeper" and np.isnan(found.difference_hu)
