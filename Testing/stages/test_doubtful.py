"""Places that are pointed at though no lesion is listed there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.findings import CaseResult, DoubtfulPlace
from LiverLesionAILib.case.store_json import describe_place, read_place
from LiverLesionAILib.stages.segment.doubtful import DoubtfulSettings, doubtful_places
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings, closed_liver
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.writing.tables import findings_json, findings_text

GEOMETRY = Geometry.make((20, 60, 60), (2.5, 1.25, 1.25), (10.0, 20.0, 30.0), np.eye(3))
SEGMENT = replace(Rules().part(SegmentSettings), tumour_threshold=0.25, smallest_mm=4.0)
SETTINGS = DoubtfulSettings(faintest_score=0.3, doubtful_most=2)


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Tumour probability and liver; three places of 0.4, 0.5 and 0.6, one of 0.28, a speck, one outside."""
    liver = np.zeros(GEOMETRY.shape_zyx, bool)
    liver[2:18, 10:50, 10:50] = True
    tumour = np.zeros(GEOMETRY.shape_zyx, np.uint8)
    for x, value in ((13, 0.4), (21, 0.5), (29, 0.6), (37, 0.28)):
        tumour[8:12, 20:26, x : x + 5] = round(value * 255)
    tumour[15, 40, 40] = 240
    tumour[8:12, 0:5, 0:5] = 240
    return tumour, liver


def found(scene, known=None, **changes) -> tuple[DoubtfulPlace, ...]:
    tumour, liver = scene
    known = np.zeros(liver.shape, bool) if known is None else known
    inside = closed_liver(liver, GEOMETRY.spacing_zyx_mm, SEGMENT.closing_mm, SEGMENT.reach_mm)
    nothing = np.zeros(liver.shape, np.uint16)
    masks = Masks(liver, nothing, {}, 0, liver, inside_zyx=inside if liver.any() else None)
    return doubtful_places(tumour, masks, known, GEOMETRY, SEGMENT, replace(SETTINGS, **changes))


def test_the_likeliest_come_first_and_not_too_many(scene) -> None:
    places = found(scene)
    assert [round(place.score, 1) for place in places] == [0.6, 0.5]
    assert [round(place.score, 1) for place in found(scene, doubtful_most=9)] == [0.6, 0.5, 0.4]
    # The middle of its voxels, in patient space.
    assert places[0].centre_lps == pytest.approx((10 + 31 * 1.25, 20 + 22.5 * 1.25, 30 + 9.5 * 2.5))
    assert places[0].diameter_mm == pytest.approx((6 / np.pi * 4 * 6 * 5 * 2.5 * 1.25**2) ** (1 / 3))


def test_what_is_listed_is_not_pointed_at(scene) -> None:
    known = np.zeros(GEOMETRY.shape_zyx, bool)
    known[8, 20, 29] = True
    assert [round(place.score, 1) for place in found(scene, known)] == [0.5, 0.4]


def test_without_a_liver_or_a_doubt_there_is_none(scene) -> None:
    tumour, liver = scene
    assert found((tumour, np.zeros_like(liver))) == ()
    assert found((np.zeros_like(tumour), liver)) == ()


def test_they_are_kept_and_told(scene) -> None:
    places = found(scene)
    assert [read_place(describe_place(place)).score for place in places] == pytest.approx(
        [0.6, 0.5], abs=0.01
    )
    shape = GEOMETRY.shape_zyx
    result = CaseResult(
        "case",
        GEOMETRY,
        np.zeros(shape, bool),
        np.zeros(shape, np.uint16),
        messages=("None.",),
        doubtful=places,
    )
    told = findings_json(result)["look_here"]
    assert [place["axial_slice_from_below"] for place in told] == [11, 11]
    text = findings_text(result, 400)
    assert (
        "Look here, not listed as lesions (scores are no probabilities; where one reaches the threshold, a"
        in text
    )
    assert "spoke against a lesion): slice 11, L 49" in text
    assert "Look here" not in findings_text(replace(result, doubtful=()))
