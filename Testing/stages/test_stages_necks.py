"""What hangs on the liver by a narrow neck is left out; the liver itself stays whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.stages.segment.masks import SegmentSettings, masks_from_probabilities
from LiverLesionAILib.stages.segment.necks import NeckSettings, without_necks
from LiverLesionAILib.volume.resampling import resample_labels
from support.ct_phantom import real_data
from support.rules import of_page

SPACING = (2.5, 1.25, 1.25)
SHAPE = (32, 96, 128)
NECKS = of_page(NeckSettings)


def ball(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    return sum((axis - c) ** 2 for axis, c in zip(axes, centre_mm, strict=True)) <= radius_mm**2


def rod(width_mm: float) -> np.ndarray:
    """Along x, from the liver below to what hangs on it."""
    made = np.zeros(SHAPE, bool)
    half_z, half_y = round(width_mm / 2 / SPACING[0]), round(width_mm / 2 / SPACING[1])
    made[16 - half_z : 16 + half_z + 1, 48 - half_y : 48 + half_y + 1, 40:104] = True
    return made


LIVER, STOMACH = ball((40, 60, 50), 32), ball((40, 60, 125), 17)


def test_a_stomach_on_a_neck_goes_and_the_liver_stays() -> None:
    joined = LIVER | rod(6) | STOMACH
    kept = without_necks(joined, SPACING, NECKS)
    assert not (kept & STOMACH).any()
    assert (kept & LIVER).sum() >= 0.999 * LIVER.sum()


def test_a_lobe_on_a_broad_bridge_stays() -> None:
    joined = LIVER | rod(20) | STOMACH
    assert np.array_equal(without_necks(joined, SPACING, NECKS), joined)


def test_a_large_part_is_a_lobe_however_thin_its_neck() -> None:
    lobe = ball((40, 60, 125), 26)
    joined = LIVER | rod(6) | lobe
    assert lobe.sum() > NECKS.neck_lobe_share * joined.sum()
    assert np.array_equal(without_necks(joined, SPACING, NECKS), joined)


def test_holes_of_lesions_make_no_necks() -> None:
    hollow = LIVER & ~ball((40, 60, 50), 28)
    assert np.array_equal(without_necks(hollow, SPACING, NECKS), hollow)


def test_a_scan_that_ends_in_the_liver() -> None:
    cut = LIVER.copy()[14:18]
    assert np.array_equal(without_necks(cut, SPACING, NECKS), cut)
    assert not without_necks(np.zeros(SHAPE, bool), SPACING, NECKS).any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_never_more_and_always_one_piece(seed: int) -> None:
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 60, 60)), 4)
    components, count = ndimage.label(noise > 0)
    mask = components == 1 + np.bincount(components.ravel())[1:].argmax()
    kept = without_necks(mask, SPACING, NECKS)
    assert kept.any() and not (kept & ~mask).any()
    assert ndimage.label(kept)[1] == 1


def test_lesions_of_what_was_cut_off_go_too_and_it_is_told() -> None:
    liver = np.where(LIVER | rod(6) | STOMACH, 250, 0).astype(np.uint8)
    tumour = np.where(ball((40, 60, 125), 8) | ball((40, 60, 50), 8), 240, 0).astype(np.uint8)
    masks = masks_from_probabilities(liver, tumour, SPACING, of_page(SegmentSettings))
    assert list(masks.scores) == [1]
    assert masks.labels_zyx[16, 48, 40] == 1 and not (masks.labels_zyx[STOMACH] > 0).any()
    # The ball of 17 mm and some of the neck.
    assert masks.cut_ml == pytest.approx(STOMACH.sum() * np.prod(SPACING) / 1000, rel=0.1)


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(6))
def test_true_livers_stay_whole(number: int) -> None:
    """The labelled public scans' own livers, on the segmenters' grid."""
    from LiverLesionAILab.data.folders import find_scans

    folder = real_data("lits", f"lits00{number}_mask.nii.gz").parent
    (scan,) = [one for one in find_scans(folder) if one.name == f"lits00{number}"]
    labels, geometry = scan.read_labels()
    liver = resample_labels((labels > 0).astype(np.uint8), geometry, geometry.with_spacing(SPACING)) > 0
    kept = without_necks(liver, SPACING, NECKS)
    assert (liver & ~kept).sum() <= 0.001 * liver.sum()


def test_the_samples_liver_stays_whole(sample) -> None:
    liver = sample.liver_zyx.astype(bool)
    kept = without_necks(liver, sample.volume.geometry.spacing_zyx_mm, NECKS)
    assert int((liver & ~kept).sum()) <= 0.001 * int(liver.sum())
