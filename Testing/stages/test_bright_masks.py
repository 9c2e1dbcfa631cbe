"""Masks brighter than the liver: in an arterial scan the detector has no say in them, elsewhere it has."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.stages.detect.link import SliceBoxes
from LiverLesionAILib.stages.detect.stage import DetectSettings, detect_lesions
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings, masks_from_probabilities
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.volume.ct import Geometry
from support.rules import of_page

SEGMENT = of_page(SegmentSettings, score_threshold=0.6)
PAGE = of_page(DetectSettings)
DETECT = replace(PAGE, agree=replace(PAGE.agree, without_box=0.1, score_threshold=0.6))
SPACING = (2.0, 2.0, 2.0)


class Blind:
    """A detector that sees nothing."""

    entry = SimpleNamespace()
    input = InputSpec(SPACING, (-75.0, 175.0), 3, liver_hu=100.0)

    def boxes(self, hu_zyx: np.ndarray, view: object, progress: object) -> SliceBoxes:
        return SliceBoxes.make([], [], [])

    def explain(self, *_: object) -> tuple[()]:
        return ()


def liver_with_two(bright_hu: float) -> tuple[Segmented, Masks]:
    """A liver of 80 HU with a sure dark lesion and a sure one of another density."""
    liver = np.zeros((20, 60, 60), np.uint8)
    liver[2:18, 5:50, 5:50] = 250
    hu = np.full(liver.shape, 80.0, np.float32)
    tumour = np.zeros_like(liver)
    for corner, level in (((6, 10, 10), 40.0), ((6, 30, 30), bright_hu)):
        spot = tuple(slice(a, a + size) for a, size in zip(corner, (5, 8, 8), strict=True))
        tumour[spot], hu[spot] = 250, level
    geometry = Geometry.make(liver.shape, SPACING)
    masks = masks_from_probabilities(liver, tumour, SPACING, SEGMENT)
    assert len(masks.scores) == 2
    return Segmented(geometry, hu, geometry, 80.0, liver, tumour, masks), masks


@pytest.mark.parametrize(
    ("bright_hu", "arterial", "kept"), [(110.0, True, 1), (110.0, False, 0), (84.0, True, 0)]
)
def test_a_bright_mask_is_not_doubted_in_an_arterial_scan(
    bright_hu: float, arterial: bool, kept: int
) -> None:
    found, masks = liver_with_two(bright_hu)
    detected = detect_lesions(Blind(), found, DETECT, arterial=lambda: arterial)
    assert len(detected.masks.scores) == kept
    assert detected.overruled == 2 - kept
    if kept:
        [label] = detected.masks.scores
        assert found.hu_zyx[masks.labels_zyx == label].mean() == pytest.approx(bright_hu)
        assert detected.masks.scores[label] == masks.scores[label]


def test_the_phase_is_asked_for_only_where_something_is_bright() -> None:
    found, _ = liver_with_two(50.0)

    def asked() -> bool:
        raise AssertionError("nothing is bright")

    assert not detect_lesions(Blind(), found, DETECT, arterial=asked).masks.scores
    page = replace(DETECT, agree=replace(DETECT.agree, without_box=None))
    bright, _ = liver_with_two(110.0)
    assert len(detect_lesions(Blind(), bright, page, arterial=asked).masks.scores) == 2
