"""An early scan: the portal vein is bright, the hepatic veins are as dense as the liver."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import LandmarkName, LiverAnatomy, Vessel
from LiverLesionAILib.stages.anatomy.cava import find_cava
from LiverLesionAILib.stages.anatomy.filling import hepatic_in_doubt, thick_veins_ml
from LiverLesionAILib.stages.anatomy.found_tubes import find_tubes
from LiverLesionAILib.stages.anatomy.grid import liver_grid
from LiverLesionAILib.stages.anatomy.naming import NamedTrees
from LiverLesionAILib.stages.anatomy.relations import lesion_relations
from LiverLesionAILib.stages.anatomy.stage import (
    LOPSIDED,
    UNFILLED,
    UNROOTED,
    AnatomySettings,
    find_anatomy,
)
from LiverLesionAILib.stages.anatomy.tree_view import TreeView
from LiverLesionAILib.stages.anatomy.tubes import contrast_hu
from LiverLesionAILib.support.progress import Progress, silent
from support.vessel_phantom import GRID, OneBranch, points_of, tube, vessel_body, with_noise

SETTINGS = Rules().part(AnatomySettings)
VEINS = (((-23, 13, 58), (-75, 12, 20)), ((-23, 13, 58), (-50, -35, 20)), ((-23, 13, 58), (30, -42, 30)))
TWIG = ((-75, -10, -6), (-70, 5, 45))
"""A thin portal branch that runs up."""


class Namer:
    """Takes every tube for a portal branch, but those near the twig's upper end.

    Attributes:
        above: the portal bifurcation, in units of 60 mm.
    """

    def __init__(self, above: float = 0.7) -> None:
        self.above = above

    def hepatic_log_odds(self, view: TreeView, progress: Progress = silent) -> np.ndarray:
        # Above the portal bifurcation: the volume of how far up (unit 60 mm).
        return np.where(view.volumes[6] > self.above, np.float32(4.0), np.float32(-4.0))


def early_body() -> tuple[np.ndarray, np.ndarray]:
    """HU without noise, and the liver: nothing but its portal vein is bright."""
    hu, liver = vessel_body()
    for line in VEINS:
        hu[tube(points_of(GRID), line, 5.5) & liver] = 110
    return hu, liver


def told(hu: np.ndarray, liver: np.ndarray, namer: Namer | None = None) -> LiverAnatomy:
    nothing = np.zeros_like(liver)
    # Few of so small a body's voxels are bright.
    settings = replace(SETTINGS, contrast_hu=0.0)
    finder = OneBranch(TWIG, 3.0, 200)
    return find_anatomy(
        with_noise(hu), GRID, liver, nothing, None, settings, finder=finder, namer=namer or Namer()
    )


def says(anatomy: LiverAnatomy, message: str) -> bool:
    longest = max(re.split(r"{[^}]*}", message), key=len)
    return any(longest in one for one in anatomy.messages)


def test_hepatic_veins_as_dense_as_the_liver_are_not_told_and_nothing_else_is_taken_for_them() -> None:
    early = told(*early_body())
    assert says(early, UNFILLED) and not says(early, LOPSIDED)
    kinds = set(np.unique(early.vessels_zyx).tolist())
    assert kinds == {0, int(Vessel.PORTAL), int(Vessel.IVC)}
    twig = tube(points_of(GRID), TWIG, 2.0)
    assert (early.vessels_zyx[twig] == Vessel.PORTAL).mean() > 0.8
    for name in (LandmarkName.RIGHT_VEIN, LandmarkName.MIDDLE_VEIN, LandmarkName.LEFT_VEIN):
        assert early.landmarks[name].source == "usual place"
    assert early.has_segments
    lesion = tube(points_of(GRID), ((-60, 12, 10), (-60, 13, 10)), 6.0)
    one = lesion_relations(early, lesion.astype(np.uint16), 1.0)[1]
    assert one.contact(Vessel.HEPATIC) is None and one.contact(Vessel.PORTAL) is not None


def test_where_no_cava_is_seen_an_early_scan_is_not_taken_for_a_filled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing to look beside: the names may be wrong, or the veins unfilled, and both are said."""
    with_cava = told(*early_body())
    monkeypatch.setattr("LiverLesionAILib.stages.anatomy.stage.find_cava", lambda *_: None)
    early = told(*early_body(), Namer(0.3))
    assert says(early, UNROOTED) and not says(early, UNFILLED) and not says(early, LOPSIDED)
    kinds = set(np.unique(early.vessels_zyx).tolist())
    assert Vessel.HEPATIC not in kinds and {Vessel.PORTAL, Vessel.LIKELIER_HEPATIC} <= kinds
    lesion = tube(points_of(GRID), ((-60, 12, 10), (-60, 13, 10)), 6.0)
    hepatic = lesion_relations(early, lesion.astype(np.uint16), 1.0)[1].contact(Vessel.HEPATIC)
    assert hepatic is not None and not hepatic.sure
    assert not early.has_segments and not says(with_cava, UNROOTED)


def test_no_hepatic_name_is_sure_any_more_and_no_other_name_changes() -> None:
    likelier = np.array([[[0, 1, 2, 1, 2]]], np.uint8)
    sure = np.array([[[0, 1, 2, Vessel.LIKELIER_HEPATIC, Vessel.LIKELIER_PORTAL]]], np.uint8)
    doubted = hepatic_in_doubt(NamedTrees(likelier, sure, (likelier == 1).astype(np.float32)))
    assert doubted.sure_zyx.ravel().tolist() == [0, 5, 2, 5, 6] and doubted.sure_zyx.dtype == np.uint8
    assert doubted.likelier_zyx is likelier


def test_where_the_veins_are_filled_a_wrong_name_is_no_sign_of_an_early_scan() -> None:
    filled = told(*vessel_body())
    assert not says(filled, UNFILLED)


@pytest.mark.parametrize("filled", [True, False])
def test_thick_vessels_at_the_upper_cava_are_the_hepatic_veins(filled: bool) -> None:
    hu, liver = vessel_body() if filled else early_body()
    grid = liver_grid(with_noise(hu), GRID, liver, liver & False, None)
    cava = find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu)
    assert cava is not None
    found = find_tubes(grid, cava, contrast_hu(grid), None, SETTINGS.vessel_ml, SETTINGS.probability)
    thick = thick_veins_ml(grid, cava, found)
    assert thick > SETTINGS.filled_ml if filled else thick < SETTINGS.filled_ml
