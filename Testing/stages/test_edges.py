"""Outlines that end where the CT shows an edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.draft import Draft
from LiverLesionAILib.analysis.row import edges
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.detect.link import LinkedBox
from LiverLesionAILib.stages.detect.stage import Detected
from LiverLesionAILib.stages.place.grid import on_ct_grid
from LiverLesionAILib.stages.segment.edges import EdgeSettings, at_edges
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings, masks_from_probabilities
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage

SPACING = (2.5, 1.25, 1.25)
SHAPE = (36, 80, 100)
SEGMENT = replace(Rules().part(SegmentSettings), score_threshold=0.6, tumour_threshold=0.25)
EDGES = Rules().part(EdgeSettings)
LIVER_HU, NOISE_HU = 110.0, 8.0


def ball(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre_mm, strict=True)) <= radius_mm**2


LIVER = ball((45, 50, 62), 42)
CENTRE = (45.0, 50.0, 62.0)


def scan(*lesions: tuple[np.ndarray, float]) -> np.ndarray:
    """A blurred, noisy CT of a liver with lesions of these contrasts, HU."""
    hu = np.where(LIVER, LIVER_HU, -80.0)
    for mask, contrast in lesions:
        hu[mask] = LIVER_HU + contrast
    hu = ndimage.gaussian_filter(hu, [0.5 / s for s in SPACING])
    return (hu + np.random.default_rng(3).normal(0, NOISE_HU, SHAPE)).astype(np.float32)


def drawn(*outlines: np.ndarray) -> Masks:
    """Masks where the network is as sure of the outlines' rims as of their middles."""
    tumour = np.where(np.any(outlines, axis=0), 250, 2).astype(np.uint8)
    return masks_from_probabilities(np.where(LIVER, 250, 3).astype(np.uint8), tumour, SPACING, SEGMENT)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("contrast", [-45.0, -35.0, 45.0])
def test_a_dark_lesion_drawn_too_large_ends_at_its_edge(contrast: float) -> None:
    true, large = ball(CENTRE, 7), ball(CENTRE, 9.5)
    masks = drawn(large)
    after, _ = at_edges(masks, scan((true, contrast)), SPACING, SEGMENT, EDGES)
    assert dice(masks.labels_zyx > 0, true) < 0.62 and dice(after.labels_zyx > 0, true) > 0.88
    # What is taken away is liver, and the lesion is as likely as before.
    assert (after.liver_zyx == masks.liver_zyx).all() and after.scores == masks.scores
    assert after.edges_zyx is not None
    gone = (masks.labels_zyx > 0) & (after.labels_zyx == 0)
    level = round(SEGMENT.tumour_threshold * 255)
    assert ((after.edges_zyx < level) == gone).all()


def test_a_faint_lesion_keeps_the_networks_outline() -> None:
    true, large = ball(CENTRE, 7), ball(CENTRE, 9.5)
    for contrast in (-10.0, -20.0, 20.0):
        masks = drawn(large)
        assert at_edges(masks, scan((true, contrast)), SPACING, SEGMENT, EDGES) == (masks, {1: 1})
    # In a quiet scan the same contrast shows an edge, and less than 15 HU never does.
    quiet = replace(EDGES, edge_noise=1.5)
    after, _ = at_edges(masks, scan((true, -20.0)), SPACING, SEGMENT, quiet)
    assert after.edges_zyx is not None
    assert at_edges(masks, scan((true, -10.0)), SPACING, SEGMENT, replace(EDGES, edge_noise=0.1))[0] is masks


def test_a_good_outline_stays() -> None:
    true = ball(CENTRE, 11)
    after, _ = at_edges(drawn(true), scan((true, -50.0)), SPACING, SEGMENT, EDGES)
    assert dice(after.labels_zyx > 0, true) > 0.93


def test_nothing_deep_is_taken() -> None:
    """A lesion with another part inside, as dense as the liver, is no ring."""
    whole, inside = ball(CENTRE, 18), ball((45.0, 50.0, 66.0), 7)
    after, _ = at_edges(drawn(whole), scan((whole, -50.0), (inside, 0.0)), SPACING, SEGMENT, EDGES)
    assert (after.labels_zyx[inside] == 1).all() and sorted(after.scores) == [1]


def test_two_lesions_drawn_as_one_come_apart() -> None:
    one, two = ball((45.0, 50.0, 52.0), 6), ball((45.0, 50.0, 69.0), 5)
    bridge = ball((45.0, 50.0, 61.0), 3.5)
    masks = drawn(ball((45.0, 50.0, 52.0), 7.5) | ball((45.0, 50.0, 69.0), 6.5) | bridge)
    assert sorted(masks.scores) == [1]
    after, parts = at_edges(masks, scan((one, -50.0), (two, -50.0)), SPACING, SEGMENT, EDGES)
    assert parts == {1: 1, 2: 1}
    assert sorted(after.scores) == [1, 2] and set(after.scores.values()) == set(masks.scores.values())
    # Numbered by size, as all lesions are.
    assert dice(after.labels_zyx == 1, one) > 0.85 and dice(after.labels_zyx == 2, two) > 0.85
    # A crumb is no lesion.
    crumbs, _ = at_edges(
        masks, scan((one, -50.0), (two, -50.0)), SPACING, SEGMENT, replace(EDGES, edge_piece_share=0.9)
    )
    assert sorted(crumbs.scores) == [1]


def test_what_the_ct_does_not_show_stays_as_the_network_drew_it() -> None:
    """Where nearly all of an outline would go the CT shows something else, a vessel say."""
    vessel = ball(CENTRE, 3)
    masks = drawn(ball(CENTRE, 12))
    assert at_edges(masks, scan((vessel, -60.0)), SPACING, SEGMENT, EDGES)[0] is masks


def test_a_lesion_with_no_liver_beside_it_stays() -> None:
    nearly_all = ball(CENTRE, 40) & LIVER
    masks = drawn(nearly_all)
    after, _ = at_edges(masks, scan((nearly_all, -50.0)), SPACING, SEGMENT, EDGES)
    assert dice(after.labels_zyx > 0, nearly_all) > 0.97


def test_the_cts_own_voxels_end_at_the_edge_too() -> None:
    """Probabilities are interpolated and thresholded anew there: what lies beyond must not come back."""
    true, large = ball(CENTRE, 7), ball(CENTRE, 9.5)
    masks, hu = drawn(large), scan((true, -45.0))
    after, _ = at_edges(masks, hu, SPACING, SEGMENT, EDGES)
    geometry = Geometry.make(SHAPE, SPACING)
    liver = np.where(LIVER, 250, 3).astype(np.uint8)
    tumour = np.where(large, 250, 2).astype(np.uint8)
    for own, expected in ((after, true), (masks, large)):
        found = Segmented(geometry, hu, geometry, LIVER_HU, liver, tumour, own)
        fine_liver, labels = on_ct_grid(found, SEGMENT)
        assert dice(labels > 0, expected) > 0.88 and fine_liver[large].all()


def test_a_detectors_box_goes_with_every_piece() -> None:
    """Finding is done on what the network drew: edges change outlines, not what is found or how surely."""
    masks = drawn(
        ball((45.0, 50.0, 52.0), 7.5) | ball((45.0, 50.0, 69.0), 6.5) | ball((45.0, 50.0, 61.0), 3.5)
    )
    hu = scan((ball((45.0, 50.0, 52.0), 6), -50.0), (ball((45.0, 50.0, 69.0), 5), -50.0))
    geometry = Geometry.make(SHAPE, SPACING)
    tumour = np.where(masks.labels_zyx > 0, 250, 2).astype(np.uint8)
    found = Segmented(geometry, hu, geometry, LIVER_HU, tumour, tumour, masks, (), hu)
    box = LinkedBox((16, 40, 40), (22, 46, 60), 0.8, 0.8, 2.0, 18, {})
    detected = Detected(geometry, masks, {1: box}, (), 0)
    ct = CtVolume(hu, geometry)
    after = edges(Draft(ct, ct, segmented=found, detected=detected), Rules(), None, silent)
    assert after.segmented is not None and after.detected is not None
    assert after.detected.masks is after.segmented.masks
    assert sorted(after.segmented.masks.scores) == [1, 2] and after.detected.by_label == {1: box, 2: box}


def test_an_edge_lies_between_voxels_wherever_the_grid_lies() -> None:
    """The same lesion a part of a voxel farther has the same volume on the CT's finer voxels."""
    fine = Geometry.make((96, 106, 130), (0.9, 0.9, 0.9))
    volumes = []
    for shift in (0.0, 0.3, 0.6, 0.9):
        centre = (45.0 + 2 * shift, 50.0 + shift, 62.0 + shift)
        large = ball(centre, 7.5)
        blurred = ndimage.gaussian_filter(_soft(centre, 5), [0.8 / s for s in SPACING])
        hu = (LIVER_HU - 50 * blurred + np.where(LIVER, 0, -190)).astype(np.float32)
        masks, _ = at_edges(drawn(large), hu, SPACING, SEGMENT, EDGES)
        liver = np.where(LIVER, 250, 3).astype(np.uint8)
        tumour = np.where(large, 250, 2).astype(np.uint8)
        found = Segmented(
            Geometry.make(SHAPE, SPACING), hu, Geometry.make(SHAPE, SPACING), LIVER_HU, liver, tumour, masks
        )
        found = replace(found, box=fine, hu_zyx=np.zeros(fine.shape_zyx, np.float32))
        volumes.append(np.count_nonzero(on_ct_grid(found, SEGMENT)[1]) * fine.voxel_volume_mm3 / 1000)
    # 1.14 where whole voxels are taken away.
    assert max(volumes) / min(volumes) < 1.11, volumes
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * 5**3 / 1000, rel=0.2)


def _soft(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """How much of each voxel lies in a ball, by its distance from the border."""
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    away = np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, centre_mm, strict=True))) - radius_mm
    return np.clip(0.5 - away / 2.0, 0, 1)
