"""Synthetic livers with known vessels: territories, branches, landmarks, the set's plan, the measures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILab.metrics.anatomy import (
    centreline_dice,
    couinaud,
    distance_mm,
    label_right,
    neighbours,
    segment_dice,
)
from LiverLesionAILab.synthesis.known_trees.growth import Tree, Trunk, dense_points, grow
from LiverLesionAILab.synthesis.known_trees.habit import Branch, PortalForm
from LiverLesionAILab.synthesis.known_trees.territory import territories
from LiverLesionAILab.synthesis.synthliver.anatomy_case import AnatomyCase, draw_anatomy
from LiverLesionAILab.synthesis.synthliver.anatomy_plan import NAME, PART, VARIANTS, AnatomyPlan, plan_anatomy
from LiverLesionAILab.synthesis.synthliver.checksums import recorded, recorded_file
from LiverLesionAILab.training.vessel_cases import class_labels
from scipy import ndimage


def _quick(variant: str) -> AnatomyPlan:
    plan = next(p for p in plan_anatomy(1) if p.variant == variant)
    body = replace(plan.body, spacing_zyx_mm=(5.0, 3.0, 3.0), thickness_mm=5.0, coarse_mm=6.0, field_mm=320.0)
    return replace(plan, body=body, isodense=False)


@pytest.fixture(scope="module")
def early() -> AnatomyCase:
    return draw_anatomy(_quick("posterior first"))


def test_territories_are_the_liver(early: AnatomyCase) -> None:
    assert np.array_equal(early.segments_zyx > 0, early.liver_zyx)
    volumes = (
        np.bincount(early.segments_zyx.ravel(), minlength=10)[1:] * early.geometry.voxel_volume_mm3 / 1000
    )
    assert volumes.min() > 5, "every segment is there"
    right = volumes[[4, 5, 6, 7]].sum() / volumes.sum()
    assert 0.5 < right < 0.85


def test_segments_lie_where_an_atlas_has_them(early: AnatomyCase) -> None:
    middle = {s: np.array(ndimage.center_of_mass(early.segments_zyx == s)) for s in range(1, 10)}
    assert middle[8][0] > middle[5][0] and middle[7][0] > middle[6][0], "upper above lower"
    assert middle[7][1] > middle[8][1] and middle[6][1] > middle[5][1], "posterior behind anterior"
    assert middle[2][2] > middle[4][2] > middle[8][2], "from left to right: II, IV, VIII"
    assert middle[2][1] > middle[3][1], "II behind III"


def test_vessels_are_whole(early: AnatomyCase) -> None:
    for first, last in ((1, 30), (31, 40)):
        tree = (early.branches_zyx >= first) & (early.branches_zyx <= last)
        # Vessels of 2 mm break in slices of 5 mm.
        parts, count = ndimage.label(ndimage.binary_dilation(tree, np.ones((3, 3, 3))))
        assert count and np.bincount(parts[tree])[1:].max() > 0.9 * tree.sum()
    assert not (early.branches_zyx[early.labels_zyx > 1]).any(), "no vessel runs on inside a lesion"


def test_same_seed_same_patient_and_situs_inversus_is_its_mirror_image(early: AnatomyCase) -> None:
    turned = draw_anatomy(replace(_quick("posterior first"), mirrored=True))
    for name in ("hu_zyx", "labels_zyx", "segments_zyx", "branches_zyx"):
        assert np.array_equal(getattr(turned, name), getattr(early, name)[:, :, ::-1]), name
    ends = np.array([0, early.hu_zyx.shape[2] - 1]) * early.geometry.spacing_zyx_mm[2]
    total = 2 * early.geometry.origin_lps[0] + ends.sum()
    for name, point in early.facts["landmarks_lps"].items():
        assert turned.facts["landmarks_lps"][name][0] == pytest.approx(total - point[0], abs=0.02)


def _small_tree() -> Tree:
    trunks = [
        Trunk(Branch.PORTAL_MAIN, np.array([[0.0, 0, 0], [10, 0, 0]])),
        Trunk(Branch.SEGMENT + 5, np.array([[10.0, 0, 0], [12, 0, 8]])),
        Trunk(Branch.SEGMENT + 8, np.array([[10.0, 0, 0], [18, 0, 0]])),
    ]
    rng = np.random.default_rng(2)
    ends = [(rng.uniform((10, -9, 5), (14, 9, 20), (25, 3)), (Branch.SEGMENT + 5,))]
    ends += [(rng.uniform((18, -9, -5), (30, 9, 5), (25, 3)), (Branch.SEGMENT + 8,))]
    return grow(rng, trunks, ends, 5.0)


def test_every_branch_hangs_together_and_narrows() -> None:
    tree = _small_tree()
    for node in range(1, len(tree.parent)):
        up = tree.parent[node]
        assert up < node and tree.radius_mm[node] <= tree.radius_mm[up] + 1e-9
        same = tree.branch[up] == tree.branch[node]
        assert same or tree.branch[up] == Branch.PORTAL_MAIN, "a branch leaves the trunk once"


def test_territory_is_the_nearest_branch() -> None:
    tree, spacing, origin = _small_tree(), (3.0, 2.0, 2.0), (0.0, -12.0, -8.0)
    codes = territories(np.ones((11, 12, 15), bool), tree, spacing, origin)
    points, branch = dense_points(tree)
    own = branch > Branch.SEGMENT
    for index in np.random.default_rng(1).integers((11, 12, 15), size=(60, 3)):
        away = np.linalg.norm(points[own, :3] - (np.array(origin) + index * spacing), axis=1)
        nearest = set(branch[own][away <= away.min() + 1e-9] - Branch.SEGMENT)
        assert codes[tuple(index)] in nearest
    assert set(np.unique(codes)) == {5, 8}


def test_plan_of_the_set() -> None:
    plans = plan_anatomy()
    assert len({p.name for p in plans}) == len({p.seed for p in plans}) == 60
    assert Counter(p.variant for p in plans) == VARIANTS
    held_out = Counter(p.variant for p in plans if p.split == "held-out")
    assert sum(held_out.values()) == 20 and set(held_out) == set(VARIANTS)
    forms = {p.variant: p.habit.portal for p in plans}
    assert forms["trifurcation"] is PortalForm.TRIFURCATION and forms["usual"] is PortalForm.USUAL
    assert set(recorded(recorded_file(NAME))[PART]) == {p.name for p in plans}
    assert [p.name for p in plan_anatomy(1)] == [p.name for p in plans[: len(VARIANTS)]]


def test_labels_to_learn() -> None:
    branches = np.array([0, 0, 3, 15, 33, 40, 115], np.uint8)
    liver = np.array([0, 1, 1, 1, 1, 0, 1], bool)
    assert class_labels(liver, branches).tolist() == [0, 1, 2, 2, 3, 4, 255]


def test_measures_of_segments() -> None:
    truth = np.zeros((4, 6, 6), np.uint8)
    truth[:, :, :3], truth[:, :, 3:] = 4, 9
    assert set(np.unique(couinaud(truth))) == {4}
    truth[:, :, 3:] = 8
    moved = np.roll(truth, 1, axis=2)
    assert segment_dice(truth, truth) == {4: 1.0, 8: 1.0}
    assert segment_dice(moved, truth)[4] == pytest.approx(2 / 3)
    assert neighbours(truth) == {(4, 8), (8, 4)}


def test_measures_of_vessels() -> None:
    truth = np.zeros((9, 9, 30), bool)
    truth[3:6, 3:6, :] = True
    half = truth.copy()
    half[:, :, 15:] = False
    assert centreline_dice(truth, truth) == pytest.approx(1.0)
    assert 0.5 < centreline_dice(half, truth) < 0.75, "all of it right, half of it missed"
    assert centreline_dice(np.zeros_like(truth), truth) == 0.0
    false = truth.copy()
    false[7, 7, :] = True
    assert centreline_dice(false, truth) < 0.75
    assert centreline_dice(false, truth, ignored_zyx=false & ~truth) == pytest.approx(1.0)
    lesion = np.zeros_like(truth)
    lesion[4, 8, 4] = True
    assert distance_mm(lesion, truth, (2.0, 1.5, 1.0)) == pytest.approx(4.5)
    assert distance_mm(lesion, np.zeros_like(truth), (1, 1, 1)) == float("inf")
    one, other = np.array([1, 1, 2, 0], np.uint8), np.array([1, 2, 2, 1], np.uint8)
    assert label_right(one, other) == (2, 3)
