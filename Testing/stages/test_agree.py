"""A mask's score and a box's become one: what is dropped, what stays, and that nothing else moves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.analysis.rules import settings_from
from LiverLesionAILib.stages.detect.agree import AgreeSettings, agreed_masks, agreed_score, brighter_than
from LiverLesionAILib.stages.detect.link import LinkedBox
from LiverLesionAILib.stages.detect.match import match_masks
from LiverLesionAILib.stages.detect.pieces import judged_scores
from LiverLesionAILib.stages.detect.stage import Detected, DetectSettings
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings, masks_from_probabilities
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.volume.geometry import Geometry
from support.rules import of_page

SCORES = st.floats(0.0, 1.0)
SEGMENT = of_page(SegmentSettings, score_threshold=0.6)
JUDGED = of_page(AgreeSettings, without_box=0.1, score_threshold=0.6)


def box(score: float) -> LinkedBox:
    return LinkedBox((0.0, 0.0, 0.0), (2.0, 2.0, 2.0), score, score, score, 0, {})


@given(SCORES, st.one_of(st.none(), SCORES), SCORES)
def test_a_box_never_raises_a_score_and_a_better_box_never_lowers_it(
    mask: float, seen: float | None, without: float
) -> None:
    score = agreed_score(mask, seen, without)
    assert 0.0 <= score <= mask + 1e-12
    assert agreed_score(mask, 1.0, without) == pytest.approx(mask)
    assert agreed_score(mask, None, without) <= score + 1e-12
    if seen is not None and without <= seen <= mask:
        assert score == pytest.approx(math.sqrt(mask * seen))


def probabilities() -> tuple[np.ndarray, np.ndarray]:
    """A liver with a sure lesion, a fainter one, and a sure one that bulges out of it."""
    liver = np.zeros((20, 60, 60), np.uint8)
    liver[2:18, 5:50, 5:50] = 250
    tumour = np.zeros_like(liver)
    tumour[6:12, 10:20, 10:20] = 250
    tumour[6:10, 30:36, 10:16] = 180
    tumour[6:10, 44:52, 30:38] = 250
    return liver, tumour


def made() -> Masks:
    liver, tumour = probabilities()
    settings = SEGMENT
    return masks_from_probabilities(liver, tumour, (2.0, 2.0, 2.0), settings)


def test_masks_without_a_believable_box_are_dropped_and_the_liver_is_as_without_them() -> None:
    masks = made()
    assert list(masks.scores) == [1, 2, 3] and masks.liver_zyx[7, 51, 34]
    got = agreed_masks(masks, {1: box(0.9), 3: box(0.95)}, 8.0, JUDGED)
    assert got.scores == {1: pytest.approx(math.sqrt(masks.scores[1] * 0.9)), 3: masks.scores[3]}
    assert set(np.unique(got.labels_zyx)) == {0, 1, 3}
    assert (got.labels_zyx[masks.labels_zyx == 1] == 1).all()
    assert got.dropped == masks.dropped + 1
    liver, tumour = probabilities()
    tumour[6:10, 44:52, 30:38] = 0
    again = masks_from_probabilities(liver, tumour, (2.0, 2.0, 2.0), SEGMENT)
    assert (got.liver_zyx == again.liver_zyx).all(), "what bulged out of the liver is no liver now"


def test_a_low_threshold_keeps_all_with_lower_scores() -> None:
    masks = made()
    got = agreed_masks(masks, {}, 8.0, replace(JUDGED, score_threshold=0.15))
    assert list(got.scores) == [1, 2, 3] and (got.labels_zyx == masks.labels_zyx).all()
    assert all(got.scores[n] == pytest.approx(math.sqrt(0.1 * masks.scores[n])) for n in got.scores)


def test_a_mask_brighter_than_the_liver_keeps_its_score_whatever_the_box() -> None:
    masks = made()
    hu = np.full(masks.labels_zyx.shape, 100.0)
    hu[masks.labels_zyx == 1], hu[masks.labels_zyx == 2] = 125.0, 60.0
    hu[masks.labels_zyx == 3] = 100.0 + JUDGED.judged_bright_hu - 1
    bright = brighter_than(100.0, hu, masks.labels_zyx, masks.scores, JUDGED.judged_bright_hu)
    assert bright == {1}
    got = agreed_masks(masks, {}, 8.0, JUDGED, bright)
    assert got.scores == {1: masks.scores[1]}
    assert brighter_than(100.0, hu, masks.labels_zyx, (), 10.0) == set()
    assert brighter_than(100.0, hu, masks.labels_zyx, (1, 9), 10.0) == {1}, "one without voxels is not"


def test_a_large_mask_keeps_its_score_whatever_the_box() -> None:
    masks = made()
    voxels = int((masks.labels_zyx == 1).sum())
    limit = math.pi / 6 * JUDGED.judged_mm**3 / voxels
    for seen in ({}, {1: box(0.2)}):
        assert agreed_masks(masks, seen, limit * 1.01, JUDGED).scores.get(1) == masks.scores[1]
        assert 1 not in agreed_masks(masks, seen, limit * 0.99, JUDGED).scores


def test_masks_of_nothing() -> None:
    liver, _ = probabilities()
    for organ in (liver, np.zeros_like(liver)):
        masks = masks_from_probabilities(organ, np.zeros_like(liver), (2.0, 2.0, 2.0), SEGMENT)
        got = agreed_masks(masks, {}, 8.0, JUDGED)
        assert got.scores == {} and not got.labels_zyx.any() and (got.liver_zyx == masks.liver_zyx).all()


def test_detectors_that_have_no_say() -> None:
    assert settings_from({"score_threshold": 0.6}, AgreeSettings).without_box is None
    assert settings_from({"agree_without": 0.1}, AgreeSettings).without_box == 0.1
    masks = made()
    assert agreed_masks(masks, {}, 8.0, replace(JUDGED, without_box=None)) is masks


def test_what_is_not_listed_has_the_score_that_a_list_would_have_gone_by() -> None:
    """The same masks, judged as pieces of what was left out: the same scores, whoever asks."""
    masks, grid = made(), Geometry.make((20, 60, 60), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    boxes = [
        LinkedBox((6.0, 10.0, 10.0), (12.0, 20.0, 20.0), 0.9, 0.9, 0.9, 8, {}),
        LinkedBox((6.0, 44.0, 30.0), (10.0, 52.0, 38.0), 0.3, 0.3, 0.3, 8, {}),
    ]
    settings = of_page(DetectSettings, agree=replace(JUDGED, score_threshold=0.15, judged_mm=40.0))
    hu = np.full(masks.labels_zyx.shape, 60.0, np.float32)
    found = Segmented(grid, hu, grid, 100.0, masks.liver_zyx, masks.liver_zyx, masks)
    seen = Detected(grid, masks, {}, (), 0, True, boxes=boxes)
    by_label = match_masks(boxes, masks.labels_zyx, settings.match_share).by_label
    listed = agreed_masks(masks, by_label, 8.0, settings.agree).scores
    scores = np.array([masks.scores[n] for n in (1, 2, 3)])
    judged = judged_scores(masks.labels_zyx, scores, seen, found, settings, lambda: False)
    assert dict(enumerate(judged, 1)) == pytest.approx(listed)
    assert judged[0] == pytest.approx(math.sqrt(scores[0] * 0.9)) and (judged < scores).all()
    # Bright ones of an arterial scan, and large ones, keep what the mask network said.
    hu[masks.labels_zyx == 2] = 100.0 + JUDGED.judged_bright_hu + 5
    for arterial in (False, True):
        again = judged_scores(masks.labels_zyx, scores, seen, found, settings, lambda a=arterial: a)
        assert again[1] == pytest.approx(scores[1] if arterial else judged[1]) and again[0] == judged[0]
    large = replace(settings, agree=replace(settings.agree, judged_mm=4.0))
    assert judged_scores(masks.labels_zyx, scores, seen, found, large, lambda: False) == pytest.approx(scores)
    silent = replace(seen, agreed=False)
    assert judged_scores(masks.labels_zyx, scores, silent, found, settings, lambda: True) is scores
