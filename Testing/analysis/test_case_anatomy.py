"""A case's anatomy: each lesion's place, what it could be, and what follows a landmark that is moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis import anatomy
from LiverLesionAILib.analysis.anatomy import vessel_finder, with_anatomy, with_moved_landmark, with_places
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import CouinaudSegment, Landmark, LandmarkName, LiverAnatomy, Vessel
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion, PhaseEstimate
from LiverLesionAILib.models.weights import Manifest, ModelStore
from LiverLesionAILib.stages.anatomy.planes import segments_from_landmarks
from LiverLesionAILib.stages.anatomy.stage import UNFILLED
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Geometry

GRID = Geometry.make((40, 36, 56), (4.0, 4.0, 4.0), (-150.0, -80.0, -80.0))
PLACES = {
    LandmarkName.IVC_HIGH: (-22, 12, 60),
    LandmarkName.IVC_LOW: (-24, 18, -10),
    LandmarkName.RIGHT_VEIN: (-70, 12, 25),
    LandmarkName.MIDDLE_VEIN: (-45, -28, 25),
    LandmarkName.LEFT_VEIN: (20, -30, 35),
    LandmarkName.GALLBLADDER: (-58, -55, -45),
    LandmarkName.BIFURCATION: (-35, -12, -5),
    LandmarkName.RIGHT_FORK: (-52, -10, -3),
    LandmarkName.UMBILICAL_BEND: (0, -25, 5),
    LandmarkName.UMBILICAL_END: (2, -48, 8),
}


def case(spread_mm: float = 5.0) -> CaseResult:
    """A liver of two balls, a lesion far on the right and one at the middle vein's plane."""
    points = GRID.index_to_lps(np.stack(np.indices(GRID.shape_zyx), axis=-1))
    x, y, z = np.moveaxis(points, -1, 0)
    liver = ((x + 55) / 85) ** 2 + ((y + 12) / 60) ** 2 + (z / 70) ** 2 < 1
    liver |= ((x - 5) / 60) ** 2 + ((y + 40) / 28) ** 2 + ((z - 20) / 40) ** 2 < 1
    labels = np.zeros(GRID.shape_zyx, np.uint16)
    labels[np.linalg.norm(points - (-95.0, 20.0, 30.0), axis=-1) < 9] = 1
    labels[np.linalg.norm(points - (-58.0, -28.0, 25.0), axis=-1) < 9] = 2
    marks = {name: Landmark(name, place, spread_mm, "vein") for name, place in PLACES.items()}
    anatomy = LiverAnatomy(
        GRID, np.zeros_like(labels, np.uint8), segments_from_landmarks(marks, liver, GRID), marks
    )
    box = Box((0.0, 0.0, 0.0), (9.0, 9.0, 9.0))
    lesions = tuple(Lesion(n, 0.9, (0.0, 0.0, 0.0), box, None) for n in (1, 2))
    return with_places(CaseResult("case", GRID, liver, labels, lesions), anatomy, Rules())


def test_a_lesion_beside_a_doubtful_plane_may_lie_beyond_it():
    sure, doubtful = case(0.1), case(14.0)
    assert [lesion.anatomy.text for lesion in sure.lesions] == ["VII", "VIII"]
    assert doubtful.lesions[1].anatomy.text.startswith("VIII, IVa?"), "its share is as before"
    assert doubtful.lesions[1].anatomy.shares[0].possible == 1.0
    again = case(14.0)
    assert again.lesions == doubtful.lesions, "chance is drawn alike each time"


def test_a_landmark_that_is_moved_takes_segments_and_lesions_with_it():
    before = case(0.1)
    moved = with_moved_landmark(before, LandmarkName.MIDDLE_VEIN, (-75.0, -15.0, 25.0), Rules())
    assert moved.anatomy.landmarks[LandmarkName.MIDDLE_VEIN].source == "reader"
    assert moved.lesions[1].anatomy.segments[0] is CouinaudSegment.IVA
    assert ((moved.anatomy.segments_zyx > 0) == before.liver_zyx).all()
    back = with_moved_landmark(moved, LandmarkName.MIDDLE_VEIN, PLACES[LandmarkName.MIDDLE_VEIN], Rules())
    np.testing.assert_array_equal(back.anatomy.segments_zyx, before.anatomy.segments_zyx)
    with pytest.raises(InputError, match="no landmark"):
        with_moved_landmark(replace(before, anatomy=None), LandmarkName.MIDDLE_VEIN, (0, 0, 0), Rules())


def test_the_readers_segment_stays_when_planes_move():
    before = case()
    said = replace(before.lesions[0].anatomy, reader_segments=(CouinaudSegment.VI,))
    corrected = replace(before, lesions=(replace(before.lesions[0], anatomy=said), before.lesions[1]))
    moved = with_moved_landmark(corrected, LandmarkName.RIGHT_VEIN, (-80.0, 0.0, 25.0), Rules())
    assert moved.lesions[0].anatomy.text == "VI" and moved.lesions[0].anatomy.shares


def test_what_cannot_be_told_is_blank_with_its_reason_and_the_time_is_kept():
    plain = replace(case(), anatomy=None)
    flat = CtVolume(np.full(GRID.shape_zyx, 60.0, np.float32), GRID, "flat")
    blank = with_anatomy(plain, flat, Rules())
    assert blank.anatomy.messages and not blank.anatomy.has_segments
    assert [lesion.anatomy.text for lesion in blank.lesions] == ["", ""]
    assert blank.timings_s["anatomy"] > 0


def test_without_the_networks_weights_the_filter_finds_the_vessels(tmp_path):
    bundled = Manifest.read()
    assert vessel_finder(None) is None
    assert vessel_finder(ModelStore(Manifest(bundled.folder, bundled.of_task("segment")))) is None
    assert vessel_finder(ModelStore(Manifest(tmp_path, bundled.of_task("vessels")))) is None, "no weights"


def test_the_user_is_told_when_the_filter_works_alone(monkeypatch: pytest.MonkeyPatch):
    plain = replace(case(), anatomy=None)
    vessels = np.zeros(GRID.shape_zyx, np.uint8)
    vessels[10:30, 18, 20] = Vessel.PORTAL
    seen = LiverAnatomy(GRID, vessels, np.zeros_like(vessels))
    monkeypatch.setattr(anatomy, "find_anatomy", lambda *_args: seen)
    volume = CtVolume(np.full(GRID.shape_zyx, 60.0, np.float32), GRID, "any")
    assert with_anatomy(plain, volume, Rules()).anatomy.messages == (anatomy.NO_NETWORK,)
    assert with_anatomy(plain, volume, Rules(), finder=object()).anatomy.messages == (anatomy.NO_NAMER,)
    both = with_anatomy(plain, volume, Rules(), finder=object(), namer=object())
    assert both.anatomy.messages == ()
    monkeypatch.setattr(anatomy, "tube_table", lambda: None)
    without = with_anatomy(plain, volume, Rules(), finder=object(), namer=object())
    assert without.anatomy.messages == (anatomy.NO_NAMER,), "the learnt table of tubes is missing"


@pytest.mark.parametrize(
    ("phase", "unfilled", "told"),
    [("delayed", True, True), ("portal venous", True, False), ("delayed", False, False), (None, True, False)],
)
def test_a_delayed_scan_whose_veins_are_not_filled_contradicts_itself(
    monkeypatch: pytest.MonkeyPatch, phase: str | None, unfilled: bool, told: bool
):
    estimate = None if phase is None else PhaseEstimate(phase, 0.85)
    plain = replace(case(), anatomy=None, phase=estimate)
    early = (UNFILLED.format(found=0.0, asked=0.2),) if unfilled else ()
    seen = LiverAnatomy(GRID, *2 * [np.zeros(GRID.shape_zyx, np.uint8)], messages=early)
    monkeypatch.setattr(anatomy, "find_anatomy", lambda *_args: seen)
    volume = CtVolume(np.full(GRID.shape_zyx, 60.0, np.float32), GRID, "any")
    said = with_anatomy(plain, volume, Rules()).anatomy.messages
    assert said == (((anatomy.NOT_DELAYED,) if told else ()) + early)


def test_the_bundled_vessel_network_opens():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    finder = vessel_finder(ModelStore.bundled())
    assert finder is not None and finder.spacing_zyx_mm == (2.5, 1.5, 1.5)
