"""Where nearly all of a liver's vessels are named as one tree, twigs are of either, and it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import TREES, UNSURE, LiverAnatomy, Vessel
from LiverLesionAILib.stages.anatomy import naming
from LiverLesionAILib.stages.anatomy.balance import balanced
from LiverLesionAILib.stages.anatomy.found_tubes import FoundTubes, Roots
from LiverLesionAILib.stages.anatomy.naming import NamedTrees
from LiverLesionAILib.stages.anatomy.relations import lesion_relations
from LiverLesionAILib.stages.anatomy.stage import LOPSIDED, AnatomySettings, find_anatomy
from LiverLesionAILib.stages.anatomy.tree_view import TreeView
from LiverLesionAILib.support.progress import Progress, silent
from support.vessel_phantom import GRID, OneBranch, points_of, tube, vessel_body, with_noise

SETTINGS = Rules().part(AnatomySettings)
BEGIN = LOPSIDED.partition("}")[2].partition("{")[0]
TWIG = ((-75, -10, -6), (-110, 0, -30))
BEYOND = ((-92, -5, -18), (-110, 0, -30))
"""The twig without where it hangs on a thick branch."""


class Namer:
    """Says the same of every tube."""

    def __init__(self, log_odds: float) -> None:
        self.log_odds = log_odds

    def hepatic_log_odds(self, view: TreeView, progress: Progress = silent) -> np.ndarray:
        return np.full(view.volumes.shape[1:], self.log_odds, np.float32)


def told(log_odds: float, settings: AnatomySettings = SETTINGS, radius_mm: float = 3.0) -> LiverAnatomy:
    """Of a body with a twig of this radius, thinner than what counts as thick."""
    hu, liver = vessel_body(165.0)
    nothing = np.zeros_like(liver)
    return find_anatomy(
        with_noise(hu),
        GRID,
        liver,
        nothing,
        None,
        settings,
        finder=OneBranch(TWIG, radius_mm, 150),
        namer=Namer(log_odds),
    )


def said(anatomy: LiverAnatomy) -> list[str]:
    return [one for one in anatomy.messages if BEGIN in one]


@pytest.mark.parametrize(("log_odds", "tree"), [(4.0, Vessel.HEPATIC), (-4.0, Vessel.PORTAL)])
def test_twigs_of_a_lopsided_liver_are_of_either_tree_and_it_is_said(log_odds: float, tree: Vessel) -> None:
    wide = replace(SETTINGS, least_hepatic=0.0, most_hepatic=1.0)
    before, after = told(log_odds, wide), told(log_odds)
    assert not said(before) and len(said(after)) == 1
    assert "question mark" in said(after)[0]
    twig = tube(points_of(GRID), BEYOND, 3.0)
    seen = np.isin(before.vessels_zyx, TREES) & twig
    assert seen.any() and (before.vessels_zyx[seen] == tree).mean() > 0.5, "told as sure"
    assert np.isin(after.vessels_zyx[seen], UNSURE).all()
    # No voxel comes or goes, none changes to the other tree, and segments rest on what they rested on.
    changed = before.vessels_zyx != after.vessels_zyx
    assert np.isin(after.vessels_zyx[changed], UNSURE).all()
    np.testing.assert_array_equal(before.segments_zyx, after.segments_zyx)
    assert before.landmarks == after.landmarks
    # What is thick keeps its name.
    assert (after.vessels_zyx == tree).any()
    lesion = tube(points_of(GRID), ((-112, 14, -32), (-112, 16, -32)), 6.0).astype(np.uint16)
    lesion[np.isin(before.vessels_zyx, TREES)] = 0
    (was,) = [c for c in lesion_relations(before, lesion, 1.0)[1].contacts if c.vessel is tree]
    (now,) = [c for c in lesion_relations(after, lesion, 1.0)[1].contacts if c.vessel is tree]
    assert was.sure and not now.sure and now.distance_mm == was.distance_mm


def test_a_balanced_liver_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of a network that has no opinion on so simple a body the learnt table makes one tree: 91 % hepatic.
    monkeypatch.setattr(naming, "tube_table", lambda: None)
    wide = replace(SETTINGS, least_hepatic=0.0, most_hepatic=1.0)
    # A wider one, so that portal voxels are not too few.
    before, after = told(0.0, wide, 3.5), told(0.0, radius_mm=3.5)
    assert not said(after) and before.messages == after.messages
    np.testing.assert_array_equal(before.vessels_zyx, after.vessels_zyx)


def drawn(hepatic: float) -> tuple[NamedTrees, FoundTubes, np.ndarray]:
    """Twigs of 3 voxels across and a trunk of 9, of which so much is hepatic; a root at one twig's end."""
    tubes = np.zeros((40, 40, 60), bool)
    tubes[10:19, 10:19, :] = True
    tubes[30:33, 5:8, :] = tubes[30:33, 30:33, :] = True
    at = np.flatnonzero(tubes)
    likelier = np.zeros(tubes.size, np.uint8)
    likelier[at] = Vessel.PORTAL
    likelier[at[: round(hepatic * len(at))]] = Vessel.HEPATIC
    named = likelier.reshape(tubes.shape)
    root = np.zeros_like(tubes)
    root[28:36, 28:36, :5] = True
    roots = Roots(root, root & False, *(np.zeros(3),) * 3)
    nothing = np.zeros(0)
    found = FoundTubes(tubes, tubes.astype(np.float32), tubes & False, roots, nothing, nothing, {})
    certain = (named == Vessel.HEPATIC).astype(np.float32)
    return NamedTrees(named, named, certain), found, np.ones_like(tubes)


@pytest.mark.parametrize(
    ("hepatic", "lopsided"), [(0.2, True), (0.32, True), (0.34, False), (0.69, False), (0.71, True)]
)
def test_only_thin_tubes_beyond_the_roots_lose_their_name(hepatic: float, lopsided: bool) -> None:
    named, found, liver = drawn(hepatic)
    answer = balanced(named, found, liver, SETTINGS.least_hepatic, SETTINGS.most_hepatic)
    assert answer.lopsided is lopsided and answer.hepatic == pytest.approx(hepatic, abs=0.001)
    unsure = np.isin(answer.named.sure_zyx, UNSURE)
    np.testing.assert_array_equal(answer.named.likelier_zyx, named.likelier_zyx)
    trunk = np.zeros_like(unsure)
    trunk[10:19, 10:19, 5:55] = True
    trunk[[10, 18], 10], trunk[[10, 18], 18] = False, False  # its edges, which no vessel has
    assert not unsure[trunk].any()
    assert not unsure[found.roots.hepatic_seed].any()
    twigs = found.tubes_zyx & ~found.roots.hepatic_seed
    twigs[:25] = False
    assert unsure[twigs].all() if lopsided else not unsure.any()


def test_what_lies_outside_the_liver_does_not_count() -> None:
    named, found, liver = drawn(0.5)
    liver[np.where(named.likelier_zyx == Vessel.PORTAL)] = False
    assert balanced(named, found, liver, 0.33, 0.7).hepatic == 1.0
    assert not balanced(named, found, liver & False, 0.33, 0.7).lopsided, "nothing to say of no vessel"
