"""The gallbladder's mask from probabilities, and what it takes from liver and lesions."""

from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.stages.locate.coarse import LiverLocation
from LiverLesionAILib.stages.neighbours.gallbladder import (
    GallbladderSettings,
    gallbladder_mask,
    messages,
    separate_gallbladder,
)
from LiverLesionAILib.stages.neighbours.lobes import lobes
from LiverLesionAILib.stages.neighbours.stage import find_gallbladder
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.masks import components, within_mm

SETTINGS = Rules().part(GallbladderSettings)
SPACING = (3.0, 1.5, 1.5)
SHAPE = (16, 60, 60)
LIVER, BILE, FAT, TUMOUR = 110.0, 10.0, -100.0, 60.0


def ball(centre_mm, radius_mm):
    """A ball on the test's grid."""
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre_mm, strict=True)) <= radius_mm**2


@pytest.fixture
def scene():
    """A liver (left half of the picture), a gallbladder at its edge, and their HU."""
    liver = np.zeros(SHAPE, bool)
    liver[:, 5:55, 5:32] = True
    gallbladder = ball((24, 45, 51), 12)
    hu = np.full(SHAPE, FAT, np.float32)
    hu[liver] = LIVER
    hu[gallbladder] = BILE
    return liver, gallbladder, hu


def lesions(*masks):
    """Label map of the masks, later ones over earlier ones."""
    labels = np.zeros(SHAPE, np.uint16)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    return labels


def test_listed_gallbladder_is_no_lesion_and_no_liver(scene):
    liver, gallbladder, hu = scene
    apart = separate_gallbladder(
        liver | gallbladder, lesions(gallbladder), gallbladder, hu, SPACING, SETTINGS
    )
    assert apart.removed == (1,) and not apart.labels_zyx.any()
    assert not (apart.liver_zyx & gallbladder).any()
    assert (apart.liver_zyx == (liver & ~gallbladder)).all()
    said = messages(apart, {1}, 7.0)
    assert len(said) == 1 and "7 mL" in said[0] and "not listed" in said[0]
    assert messages(apart, set(), 7.0) == [], "too faint to be listed anyway"


def test_candidate_with_the_wall_around_the_gallbladder_is_no_lesion_either(scene):
    liver, gallbladder, hu = scene
    wide = ball((24, 45, 51), 14)
    apart = separate_gallbladder(liver | wide, lesions(wide), gallbladder, hu, SPACING, SETTINGS)
    assert apart.removed == (1,)
    # The rim outside the liver came with the lesion and goes with it.
    assert not (apart.liver_zyx & wide & ~liver).any()


def test_lesion_beside_the_gallbladder_stays_and_is_reported(scene):
    liver, gallbladder, hu = scene
    tumour = ball((24, 45, 32), 10) & ~gallbladder & liver
    hu[tumour] = TUMOUR
    apart = separate_gallbladder(liver | gallbladder, lesions(tumour), gallbladder, hu, SPACING, SETTINGS)
    assert apart.removed == () and (apart.labels_zyx > 0).sum() == tumour.sum()
    assert apart.doubtful == (1,) and messages(apart, {1}, 7.0) == []


def test_lesion_far_away_is_not_doubtful(scene):
    liver, gallbladder, hu = scene
    apart = separate_gallbladder(liver, lesions(ball((24, 60, 20), 6)), gallbladder, hu, SPACING, SETTINGS)
    assert apart.removed == apart.doubtful == () and messages(apart, {1}, 7.0) == []


def test_growth_from_gallbladder_into_liver_keeps_its_liver_part(scene):
    liver, gallbladder, hu = scene
    tumour = ball((24, 45, 36), 13)
    hu[tumour & ~gallbladder] = TUMOUR
    apart = separate_gallbladder(liver | tumour, lesions(tumour), gallbladder, hu, SPACING, SETTINGS)
    assert SETTINGS.doubt_share < apart.shares[1] < SETTINGS.lesion_share
    assert apart.removed == () and apart.doubtful == (1,)
    assert (apart.labels_zyx > 0).sum() == (tumour & ~gallbladder).sum()


def test_a_lesion_that_looks_like_bile_in_a_corner_stays_whole(scene):
    liver, gallbladder, hu = scene
    tumour = ball((24, 45, 30), 13)
    hu[tumour] = TUMOUR
    apart = separate_gallbladder(liver | tumour, lesions(tumour), gallbladder, hu, SPACING, SETTINGS)
    assert 0 < apart.shares[1] < SETTINGS.doubt_share
    assert (apart.labels_zyx > 0).sum() == tumour.sum() and apart.liver_zyx[tumour].all()
    assert not (apart.gallbladder_zyx & tumour).any() and apart.doubtful == (1,)


def test_a_lesion_that_liver_surrounds_stays_whatever_it_looks_like(scene):
    liver, _, hu = scene
    cyst = ball((24, 45, 26), 9)
    hu[cyst] = BILE
    apart = separate_gallbladder(liver, lesions(cyst), cyst, hu, SPACING, SETTINGS)
    assert apart.shares == {1: 1.0} and apart.removed == () and apart.doubtful == (1,)
    assert (apart.labels_zyx > 0).sum() == cyst.sum() and (apart.liver_zyx == liver).all()


class Everywhere:
    """A network that sees gallbladder in whatever is fluid."""

    entry = SimpleNamespace(input=InputSpec((3.0, 1.5, 1.5), (-60.0, 220.0), 5))

    def probability(self, hu_zyx, progress=None):
        return np.where((hu_zyx > -5) & (hu_zyx < 25), 240, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("centre_mm", "seen"),
    [((12, 45, 40), True), ((12, 45, 80), False), ((42, 45, 40), False)],
    ids=["at the fossa", "left of the liver", "at the dome"],
)
def test_it_is_looked_for_where_gallbladders_lie(centre_mm, seen):
    liver = np.zeros(SHAPE, bool)
    liver[2:, 5:55, 5:50] = True
    organ = ball(centre_mm, 7)
    hu = np.where(organ, BILE, np.where(liver, LIVER, FAT)).astype(np.float32)
    geometry = Geometry.make(SHAPE, SPACING)
    where = LiverLocation(liver & ~organ, geometry, (0, 0, 0), SHAPE, 500.0, False)
    found = find_gallbladder(Everywhere(), CtVolume(hu, geometry), where, SETTINGS)
    assert found.mask_zyx.any() == seen
    if seen:
        assert 2 * (found.mask_zyx & organ).sum() / (found.mask_zyx.sum() + organ.sum()) > 0.8


def test_mass_in_the_wall_is_reported(scene):
    liver, gallbladder, hu = scene
    hu[ball((24, 45, 44), 8) & gallbladder] = 85.0
    apart = separate_gallbladder(liver, lesions(), gallbladder, hu, SPACING, SETTINGS)
    assert apart.solid_mm >= 10
    assert "dense as tissue" in messages(apart, {}, 7.0)[0]


def test_plain_bile_is_not_reported_as_a_mass(scene):
    liver, gallbladder, hu = scene
    assert separate_gallbladder(liver, lesions(), gallbladder, hu, SPACING, SETTINGS).solid_mm == 0


def test_absent_gallbladder_changes_nothing(scene):
    liver, _, hu = scene
    labels = lesions(ball((24, 45, 20), 8))
    apart = separate_gallbladder(liver, labels, np.zeros(SHAPE, bool), hu, SPACING, SETTINGS)
    assert apart.liver_zyx is liver and apart.labels_zyx is labels and messages(apart, {1: 1}, 0.0) == []


def test_mask_is_one_gallbladder_without_fat_and_specks(scene):
    _, gallbladder, hu = scene
    probability = np.where(gallbladder, 230, 0).astype(np.uint8)
    probability[ball((24, 20, 80), 4)] = 230
    probability[ball((24, 45, 66), 6) & ~gallbladder] = 200  # fat beside it
    hu[ball((24, 20, 80), 6)] = BILE
    mask = gallbladder_mask(probability, hu, SPACING, SETTINGS)
    assert mask[gallbladder].mean() > 0.85
    assert not mask[ball((24, 20, 80), 4)].any()
    assert (mask & ~gallbladder).sum() < 0.05 * gallbladder.sum()


def test_bowel_away_from_the_liver_is_no_gallbladder(scene):
    liver, gallbladder, hu = scene
    away = ball((24, 20, 80), 9)
    assert not (within_mm(liver, SPACING, SETTINGS.from_liver_mm) & away).any()
    hu[away] = BILE
    both = np.where(gallbladder | away, 230, 0).astype(np.uint8)
    # The loop is larger: without the liver it would be the gallbladder.
    smaller = np.where(gallbladder & ball((24, 45, 51), 8), 230, 0).astype(np.uint8)
    assert gallbladder_mask(np.maximum(smaller, both * away), hu, SPACING, SETTINGS)[away].any()
    found = gallbladder_mask(np.maximum(smaller, both * away), hu, SPACING, SETTINGS, liver)
    assert found.any() and not found[away].any()
    assert not gallbladder_mask((230 * away).astype(np.uint8), hu, SPACING, SETTINGS, liver).any()


def found_in(likely, liver, hu):
    """The gallbladder in what a network is sure of; what is blurred with fat around is never part of it."""
    return gallbladder_mask(np.where(likely, 230, 0).astype(np.uint8), hu, SPACING, SETTINGS, liver)


LARGE = (30, 110, 100)
"""Voxels of a grid on which 30 mL and more fit beside a liver of 45 mm."""


def two_lobes(first, second, neck):
    """Liver, HU, both lobes without it, and all that looks like bile.

    Args:
        first, second: (centre z, y, x, radius), mm, of each lobe.
        neck: slices of the voxels that join them.
    """
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(LARGE, SPACING, strict=True)], indexing="ij")
    liver = axes[2] < 45.0
    parts = [
        (sum((a - c) ** 2 for a, c in zip(axes, lobe[:3], strict=True)) <= lobe[3] ** 2) & ~liver
        for lobe in (first, second)
    ]
    likely = parts[0] | parts[1]
    likely[neck] = True
    hu = np.where(likely, BILE, np.where(liver, LIVER, FAT)).astype(np.float32)
    assert components(likely)[1] == 1 and lobes(likely, SPACING, SETTINGS.neck_mm)[1] == 2
    return liver, hu, parts, likely


def test_a_loop_of_bowel_that_hangs_on_it_by_a_neck_is_left_out():
    neck = (slice(14, 16), slice(49, 51), slice(49, 62))
    liver, hu, (organ, loop), likely = two_lobes((45, 75, 57, 17), (45, 75, 108, 20), neck)
    # The loop is the larger of the two.
    assert loop.sum() > organ.sum()
    mask = found_in(likely, liver, hu)
    assert mask[organ].mean() > 0.9 and mask[loop].mean() < 0.02
    # Where no liver is known nothing can be said of it.
    assert found_in(likely, None, hu)[loop].mean() > 0.9


def test_a_wide_fundus_far_from_the_liver_belongs_to_it(scene):
    liver, gallbladder, hu = scene
    fundus = ball((24, 45, 63), 12)
    hu[fundus] = BILE
    assert found_in(gallbladder | fundus, liver, hu)[fundus].mean() > 0.93


@pytest.mark.parametrize("centre_mm", [(24, 62, 52), (24, 45, 71)], ids=["at the liver", "away from it"])
def test_a_folded_fundus_belongs_to_it(scene, centre_mm):
    liver, gallbladder, hu = scene
    fold = ball(centre_mm, 8) & ~within_mm(gallbladder, SPACING, 1.6)
    bridge = ball([(a + 1.4 * b) / 2.4 for a, b in zip((24, 45, 51), centre_mm, strict=True)], 2.9)
    likely = gallbladder | fold | bridge
    hu[likely] = BILE
    assert components(likely)[1] == 1 and lobes(likely, SPACING, SETTINGS.neck_mm)[1] == 2
    assert found_in(likely, liver, hu)[fold].mean() > 0.8


def test_of_two_large_lobes_at_the_liver_one_is_the_gallbladder():
    neck = (slice(14, 16), slice(56, 64), slice(33, 37))
    liver, hu, (organ, pocket), likely = two_lobes((45, 62, 58, 23), (45, 112, 58, 21), neck)
    mask = found_in(likely, liver, hu)
    assert mask[organ].mean() > 0.9 and mask[pocket].mean() < 0.02


@pytest.mark.parametrize(
    ("value", "radius"),
    [(150, 12), (230, 4), (120, 12)],
    ids=["never sure", "too small", "below the threshold"],
)
def test_doubtful_probability_is_no_gallbladder(scene, value, radius):
    _, _, hu = scene
    hu[:] = BILE
    probability = np.where(ball((24, 45, 51), radius), value, 0).astype(np.uint8)
    assert not gallbladder_mask(probability, hu, SPACING, SETTINGS).any()
