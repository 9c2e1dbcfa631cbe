"""A lesion among segments and vessels, on bodies whose distances and contacts are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import LiverAnatomy, Vessel
from LiverLesionAILib.stages.anatomy.relations import half_voxel_mm, lesion_relations
from LiverLesionAILib.volume.geometry import Geometry
from scipy import ndimage

TOUCHING_MM = 1.0


def tube_and_ball(gap_mm: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)):
    """A portal vein of radius 5 along z, and a lesion of radius 8 to its left at a gap."""
    shape = tuple(int(60 / s) for s in spacing)
    geometry = Geometry.make(shape, spacing)
    z, y, x = (i * s for i, s in zip(np.indices(shape), spacing, strict=True))
    vessels = np.where(np.hypot(y - 30, x - 15) <= 5, Vessel.PORTAL, 0).astype(np.uint8)
    lesion = np.sqrt((z - 30) ** 2 + (y - 30) ** 2 + (x - 15 - 13 - gap_mm) ** 2) <= 8
    segments = np.where(x < 30, 6, 7).astype(np.uint8)
    return LiverAnatomy(geometry, vessels, segments), (lesion & (vessels == 0)).astype(np.uint16)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.8)])
@pytest.mark.parametrize("gap_mm", [4.0, 11.0])
def test_distance_is_from_surface_to_surface(gap_mm, spacing):
    anatomy, labels = tube_and_ball(gap_mm, spacing)
    contact = lesion_relations(anatomy, labels, TOUCHING_MM)[1].contact(Vessel.PORTAL)
    assert contact is not None
    assert contact.distance_mm == pytest.approx(gap_mm, abs=1.1)
    assert contact.length_mm == contact.angle_deg == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_distance_is_the_least_of_all_pairs_of_voxels(seed):
    chance = np.random.default_rng(seed)
    spacing = np.array((2.5, 0.8, 1.1))
    shape = (14, 40, 36)
    smooth = [ndimage.gaussian_filter(chance.normal(size=shape), 2.0 / spacing) for _ in range(2)]
    vessels = np.where(smooth[0] > np.quantile(smooth[0], 0.97), Vessel.HEPATIC, 0).astype(np.uint8)
    lesions = ndimage.label((smooth[1] > np.quantile(smooth[1], 0.9)) & (vessels == 0))[0].astype(np.uint16)
    anatomy = LiverAnatomy(Geometry.make(shape, tuple(spacing)), vessels, np.ones(shape, np.uint8))
    places = np.argwhere(vessels > 0)
    found = lesion_relations(anatomy, lesions, 0.5)
    for number in np.unique(lesions[lesions > 0]):
        step = np.argwhere(lesions == number)[:, None] - places[None]
        away = np.linalg.norm(step * spacing, axis=2)
        nearest = away.argmin(axis=1)
        gaps = away.min(axis=1) - 2 * half_voxel_mm(step[np.arange(len(step)), nearest], spacing)
        expected = max(0.0, float(gaps.min()))
        distance = found[number].contact(Vessel.HEPATIC).distance_mm
        assert distance == pytest.approx(expected if expected > 0.5 else 0.0, abs=1e-6)


def test_a_vessel_that_is_touched_and_one_that_is_encased():
    anatomy, labels = tube_and_ball(-2.0)
    touched = lesion_relations(anatomy, labels, TOUCHING_MM)[1].contact(Vessel.PORTAL)
    assert touched is not None and touched.distance_mm == 0
    # The ball is over the tube's surface where its half-chord is at most sqrt(8^2 - 6^2) long.
    assert 8 < touched.length_mm < 18
    assert 40 < touched.angle_deg < 180
    around = tube_and_ball(-13.0)
    encased = lesion_relations(*around, TOUCHING_MM)[1].contact(Vessel.PORTAL)
    assert encased is not None and encased.angle_deg > 340
    assert encased.length_mm == pytest.approx(2 * np.sqrt(8**2 - 5**2), abs=3.5)


def test_shares_sum_over_the_segments_and_kinds_that_are_not_seen_are_left_out():
    anatomy, labels = tube_and_ball(4.0)
    one = lesion_relations(anatomy, labels, TOUCHING_MM)[1]
    assert one.text.startswith("VII (") and one.text.endswith("VI")
    assert sum(share.share for share in one.shares) == pytest.approx(1)
    assert one.contact(Vessel.HEPATIC) is None and one.contact(Vessel.IVC) is None


def test_a_vessel_of_either_tree_is_said_where_it_could_be_the_nearest_of_one():
    anatomy, labels = tube_and_ball(4.0)
    vessels = anatomy.vessels_zyx.copy()
    vessels[:, 28:33, 46:50] = Vessel.LIKELIER_HEPATIC
    one = lesion_relations(replace(anatomy, vessels_zyx=vessels), labels, TOUCHING_MM)[1]
    unnamed, portal = one.contact(Vessel.UNNAMED), one.contact(Vessel.PORTAL)
    assert unnamed is not None and portal is not None
    assert unnamed.distance_mm > portal.distance_mm, "but it is the nearest that may be a hepatic vein"
    likelier = one.contact(Vessel.HEPATIC)
    assert likelier is not None
    assert likelier.distance_mm == unnamed.distance_mm, "it counts for that tree"
    assert not likelier.sure and likelier.text.endswith("?"), "and is never told as if that were sure"
    assert portal.sure and portal.text.endswith("mm") and unnamed.sure
    swapped = np.where(vessels == Vessel.LIKELIER_HEPATIC, Vessel.LIKELIER_PORTAL, vessels)
    again = lesion_relations(replace(anatomy, vessels_zyx=swapped), labels, TOUCHING_MM)[1]
    assert again.contacts == one.contacts, "it counts for both trees, whichever is likelier"
    vessels[:, 39:41, 30:36] = Vessel.HEPATIC
    both = lesion_relations(replace(anatomy, vessels_zyx=vessels), labels, TOUCHING_MM)[1]
    assert both.contact(Vessel.HEPATIC) is not None and both.contact(Vessel.HEPATIC).sure
    assert both.contact(Vessel.UNNAMED) is None, "whichever it is, one of its kind is nearer"


def test_flips_change_nothing():
    anatomy, labels = tube_and_ball(-2.0)
    plain = lesion_relations(anatomy, labels, TOUCHING_MM)[1]
    flipped = LiverAnatomy(
        anatomy.geometry, anatomy.vessels_zyx[::-1, :, ::-1], anatomy.segments_zyx[::-1, :, ::-1]
    )
    turned = lesion_relations(flipped, labels[::-1, :, ::-1], TOUCHING_MM)[1]
    assert turned.text == plain.text
    for vessel in (Vessel.PORTAL,):
        one, other = plain.contact(vessel), turned.contact(vessel)
        assert one is not None and other is not None
        assert other.length_mm == pytest.approx(one.length_mm, abs=0.01)
        assert other.angle_deg == pytest.approx(one.angle_deg, abs=0.01)
