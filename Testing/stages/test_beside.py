"""What looks like a lesion and only leans on the liver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.row import _leaning_ml
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.segment.beside import surrounded
from LiverLesionAILib.stages.segment.doubtful import DoubtfulSettings, doubtful_places
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings, masks_from_probabilities
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.volume.ct import Geometry

SPACING = (2.5, 1.25, 1.25)
SHAPE = (40, 100, 140)
GEOMETRY = Geometry.make(SHAPE, SPACING)
SETTINGS = replace(Rules().part(SegmentSettings), score_threshold=0.6, tumour_threshold=0.25)


def ball(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre_mm, strict=True)) <= radius_mm**2


LIVER = ball((50, 62, 62), 45)
STOMACH = ball((50, 62, 128), 26) & ~LIVER
INNER = ball((50, 62, 70), 10)


def masks_of(tumour: np.ndarray, **changes) -> Masks:
    """Masks where the segmenter is sure of these tumours, which are liver to it as well."""
    liver = np.where(LIVER | tumour, 250, 3).astype(np.uint8)
    return masks_from_probabilities(
        liver, np.where(tumour, 250, 2).astype(np.uint8), SPACING, replace(SETTINGS, **changes)
    )


def test_a_stomach_that_leans_on_the_liver_is_no_lesion_and_no_liver() -> None:
    masks = masks_of(STOMACH | INNER)
    assert sorted(masks.scores) == [1] and masks.dropped == 1
    assert (masks.labels_zyx[INNER] == 1).all() and not masks.labels_zyx[STOMACH].any()
    assert masks.beside_zyx is not None and masks.beside_zyx[STOMACH].mean() > 0.9
    assert not (masks.liver_zyx & masks.beside_zyx).any() and masks.liver_zyx[LIVER].mean() > 0.99
    # Without the rule the stomach is the largest lesion, and liver.
    before = masks_of(STOMACH | INNER, surrounded_share=0.0)
    assert sorted(before.scores) == [1, 2] and (before.labels_zyx[STOMACH] == 1).mean() > 0.9
    assert before.beside_zyx is None and before.liver_zyx[STOMACH].mean() > 0.9


@pytest.mark.parametrize(
    ("lesion", "what"),
    [
        (ball((50, 62, 20), 9) & LIVER, "under the capsule"),
        (ball((50, 62, 19), 9), "bulging over the capsule by half its width"),
        (ball((50, 62, 90), 40) & LIVER, "most of the liver"),
        (ball((50, 62, 90), 34) & (LIVER | STOMACH), "large and grown over the edge"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_lesions_at_the_edge_stay(lesion: np.ndarray, what: str) -> None:
    masks = masks_of(lesion)
    assert list(masks.scores) == [1] and masks.beside_zyx is None, what
    assert (masks.labels_zyx[lesion] == 1).mean() > 0.95


def test_lesions_surround_each_other() -> None:
    # A ring of tumour round a core of it is no reason to drop the core.
    core, ring = ball((50, 62, 62), 8), ball((50, 62, 62), 20) & ~ball((50, 62, 62), 8)
    pieces = np.zeros(SHAPE, np.int32)
    pieces[ring], pieces[core] = 1, 2
    assert surrounded(pieces, LIVER & ~ball((50, 62, 62), 20), SPACING, (2,))[2] > 0.7


def test_where_the_scan_ends_nothing_counts_against_a_lesion() -> None:
    lesion = np.zeros(SHAPE, np.int32)
    lesion[0:3, 40:50, 40:50] = 1
    liver = np.zeros(SHAPE, bool)
    liver[0:20, 20:80, 20:80] = True
    assert surrounded(lesion, liver, SPACING, (1,))[1] == 1.0


def test_it_is_pointed_at_and_told() -> None:
    masks = masks_of(STOMACH | INNER)
    tumour = np.where(STOMACH | INNER, 250, 2).astype(np.uint8)
    places = doubtful_places(
        tumour, masks, masks.labels_zyx > 0, GEOMETRY, SETTINGS, DoubtfulSettings(0.15, doubtful_most=3)
    )
    assert len(places) == 1 and places[0].centre_lps[0] == pytest.approx(130, abs=8)
    hu = np.zeros(SHAPE, np.float32)
    found = Segmented(GEOMETRY, hu, GEOMETRY, 100.0, tumour, tumour, masks, (), hu)
    assert _leaning_ml(found, 0.25) == pytest.approx(masks.beside_zyx.sum() * np.prod(SPACING) / 1000)
    # What turns out to be gallbladder is taken out of the probability, and is not told here.
    nothing = replace(found, tumour_zyx=np.where(STOMACH, 0, tumour).astype(np.uint8))
    assert _leaning_ml(nothing, 0.25) == 0.0
