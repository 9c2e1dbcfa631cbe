"""The one description of a case, on any result; and the table of columns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from LiverLesionAILib.case.colours import lesion_colour
from LiverLesionAILib.case.columns import COLUMNS, MEASURED, SCENE_TABLE, fixed, share_cell
from LiverLesionAILib.case.description import BOX, CLASS_BOX, CaseScene, lesion_segment
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion, LesionStatus
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.terminology import TAG_MASK, TAG_NAME
from support.case_factory import small_case
from support.results import empty_result, measured_result, results


@settings(max_examples=50, deadline=None)
@given(results())
def test_any_result_is_described(result: CaseResult):
    scene = CaseScene.of(result)
    masks = lesion_masks(result)
    with_mask = [lesion.number for lesion in result.lesions if lesion.number in masks]
    assert [s.lesion.number for s in scene.segments if s.lesion is not None] == with_mask
    organs = [s.segment_id for s in scene.segments if s.lesion is None]
    assert organs == ["liver"] * bool(result.liver_zyx.any()) + ["gallbladder"] * bool(result.gallbladder_ml)
    assert len({s.segment_id for s in scene.segments}) == len(scene.segments)
    assert sum(box.role == BOX for box in scene.boxes) == len(result.lesions)
    seen = [lesion.number for lesion in result.lesions if lesion.class_box is not None]
    assert [box.number for box in scene.boxes if box.role == CLASS_BOX] == seen
    for box in scene.boxes:
        assert box.colour == lesion_colour(box.number)
        assert (box.segment_id == "") == (box.number not in masks)
        assert bool(box.tags) == (box.role == BOX and box.number not in masks)
    measured = [x for x in result.lesions if x.measurement is not None and x.measurement.long_axis_mm > 0]
    assert len(scene.axes) == 2 * len(measured)
    assert len(scene.maps) == len(result.probabilities) + len(result.attention)
    assert [lesion.number for lesion in scene.table.lesions] == sorted(x.number for x in result.lesions)
    assert np.isfinite(scene.views.centre_lps).all() and scene.views.extent_mm > 0


def test_a_segments_tags_tell_whether_anybody_was_there():
    volume, result = small_case(lesions=1)
    mask = lesion_masks(result)[1]
    segment = lesion_segment(result.lesions[0], mask, volume.geometry)
    assert segment.tags[TAG_NAME] == segment.name == "Lesion 1 (HCC 0.82)"
    assert segment.tags[TAG_MASK] == mask.fingerprint(volume.geometry)


def test_views_open_at_the_largest_lesion_or_in_the_middle():
    result = measured_result()
    assert CaseScene.of(result).views.centre_lps == result.lesions[0].centre_lps
    nothing = empty_result()
    middle = nothing.geometry.index_to_lps((np.array(nothing.geometry.shape_zyx) - 1) / 2)
    np.testing.assert_allclose(CaseScene.of(nothing).views.centre_lps, middle)


def test_columns():
    first, *_, last = measured_result().lesions
    by_key = {column.key: column for column in COLUMNS}
    assert len(by_key) == len(COLUMNS)
    measured = first.measurement
    assert by_key["volume_ml"].file_text(first) == f"{measured.volume_ml:.3f}"
    assert by_key["volume_ml"].json_number(first) == round(measured.volume_ml, 4)
    assert by_key["mean_hu"].rounded(first) == round(measured.hu_mean)
    assert by_key["class_probability"].file_text(first) == "0.625"
    assert (by_key["class"].file_text(last), by_key["class_probability"].file_text(last)) == ("", "")
    boxed = replace(first, measurement=None, status=LesionStatus.TREATED)
    for column in MEASURED:
        assert column.file_text(boxed) == "" and column.json_number(boxed) is None
        assert math.isnan(column.rounded(boxed))
    assert by_key["status"].file_text(boxed) == "treated"
    assert [column.table_heading for column in SCENE_TABLE][-3:] == [
        "SD [HU]",
        "To surface [mm]",
        "Of liver [%]",
    ]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.8865000001, 3, "1.887"),
        (1.8865, 3, "1.887"),
        (1.88649999999, 3, "1.887"),
        (1.8864, 3, "1.886"),
        (61.75, 1, "61.8"),
        (-0.25, 1, "-0.3"),
        (2.0, 1, "2.0"),
        (12.5, 0, "13"),
        (float("nan"), 2, ""),
        (-0.4, 0, "0"),
        (-0.04, 1, "0.0"),
    ],
)
def test_a_half_is_a_half_whether_it_was_stored_or_not(value: float, digits: int, text: str) -> None:
    assert fixed(value, digits) == text
    # As a case file keeps it.
    assert fixed(round(value, 6), digits) == text


@pytest.mark.parametrize(("count", "text"), [(0, "no lesion"), (1, "1 lesion"), (2, "2 lesions")])
def test_lesions_are_counted_in_good_english(count: int, text: str) -> None:
    from LiverLesionAILib.case.wording import lesions_text

    assert lesions_text(count) == text


def test_no_estimate_is_certain_in_a_file() -> None:
    cells = [share_cell(p, 2) for p in (0.0, 0.914, 0.994, 0.998, 0.99996, 0.9999999, 1.0, math.nan)]
    assert cells == ["0.00", "0.91", "0.99", "0.998", "0.99996", "1.00", "1.00", ""]
    by_key = {column.key: column for column in COLUMNS}
    lesion = Lesion(1, 1.0, (0, 0, 0), Box((0, 0, 0), (1, 1, 1)), None, probability=0.9998)
    assert by_key["probability"].file_text(lesion) == "0.9998"
    assert by_key["score"].file_text(lesion) == "1.000", "which is no probability"
