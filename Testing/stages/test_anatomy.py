"""The liver's anatomy on a small drawn body whose vessels are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import (
    LIKELIEST,
    TREES,
    UNSURE,
    CouinaudSegment,
    Landmark,
    LandmarkName,
    Vessel,
)
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.anatomy.cava import find_cava
from LiverLesionAILib.stages.anatomy.face import LiverView, VesselAnswer
from LiverLesionAILib.stages.anatomy.found_tubes import find_tubes
from LiverLesionAILib.stages.anatomy.grid import liver_grid
from LiverLesionAILib.stages.anatomy.landmarks import course_weights, portal_landmarks, vein_landmarks
from LiverLesionAILib.stages.anatomy.naming import named_trees
from LiverLesionAILib.stages.anatomy.network import vessel_probability
from LiverLesionAILib.stages.anatomy.planes import Planes, segments_from_landmarks
from LiverLesionAILib.stages.anatomy.stage import AnatomySettings, find_anatomy, with_segments
from LiverLesionAILib.stages.anatomy.tree_view import CHANNELS, TreeView
from LiverLesionAILib.stages.anatomy.tube_shape import depth_inside
from LiverLesionAILib.stages.anatomy.tubes import contrast_hu
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.volume.resampling import resample, resample_labels
from scipy import ndimage
from support.vessel_phantom import GRID, points_of, tube, vessel_body, with_noise

SETTINGS = Rules().part(AnatomySettings)
Body = tuple[np.ndarray, np.ndarray]


def draw(vein_hu: float = 165.0) -> Body:
    """HU and liver."""
    hu, liver = vessel_body(vein_hu)
    return with_noise(hu), liver


@pytest.fixture(scope="module")
def body() -> Body:
    return draw()


@pytest.fixture(scope="module")
def found(body: Body):
    return told(*body)


def told(hu: np.ndarray, liver: np.ndarray, geometry: Geometry = GRID, **more):
    lesions = more.pop("lesions", np.zeros_like(liver))
    settings = more.pop("settings", SETTINGS)
    return find_anatomy(hu, geometry, liver, lesions, more.pop("phase", None), settings, **more)


def test_segments_are_the_liver_without_rest(found, body: Body) -> None:
    assert ((found.segments_zyx > 0) == body[1]).all()
    assert set(np.unique(found.segments_zyx)) == set(range(10)), "each has something of this liver"


def test_cava_and_trees_are_told_apart(found) -> None:
    points = points_of(GRID)

    def kind(ends: Iterable[Iterable[float]]) -> int:
        inside = found.vessels_zyx[tube(points, ends, 3.0)]
        return int(np.bincount(inside[inside > 0], minlength=4).argmax())

    assert kind(((-23, 16, -30), (-22, 13, 40))) == Vessel.IVC
    assert kind(((-50, 12, 38), (-70, 12, 24))) == Vessel.HEPATIC
    assert kind(((-40, -20, 33), (-50, -35, 20))) == Vessel.HEPATIC
    assert kind(((-48, -13, -6), (-72, -11, -6))) == Vessel.PORTAL
    high, low = (found.landmarks[n].lps for n in (LandmarkName.IVC_HIGH, LandmarkName.IVC_LOW))
    assert np.hypot(high[0] + 22.5, high[1] - 13) < 6 and np.hypot(low[0] + 23.5, low[1] - 16) < 6


def test_where_known_points_lie(found) -> None:
    def at(*lps: float) -> str:
        z, y, x = np.round(GRID.lps_to_index(lps)).astype(int)
        return CouinaudSegment(int(found.segments_zyx[z, y, x])).roman

    assert at(-105, 25, 25) == "VII" and at(-105, 15, -35) == "VI"
    assert at(-80, -40, 30) == "VIII" and at(-80, -35, -35) == "V"
    assert at(60, -40, 50) == "II" and at(45, -60, 12) == "III"
    assert at(-23, -45, 40) == "IVa" and at(-20, 0, 12) == "I"


def test_axes_and_flips_change_nothing(found, body: Body) -> None:
    hu, liver = body
    shape = np.array(GRID.shape_zyx)
    corner = GRID.index_to_lps((0, shape[1] - 1, shape[2] - 1))
    turned = Geometry.make(
        (shape[1], shape[0], shape[2]),
        (3.0, 3.0, 3.0),
        corner,
        np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
    )

    def turn(array: np.ndarray) -> np.ndarray:
        return np.transpose(array[:, ::-1, ::-1], (1, 0, 2))

    other = told(turn(hu), turn(liver), turned)
    same = other.segments_zyx == turn(found.segments_zyx)
    assert same[turn(liver)].mean() >= 0.98


def test_a_landmark_that_is_moved_moves_its_plane(found, body: Body) -> None:
    name = LandmarkName.RIGHT_FORK
    x, y, z = found.landmarks[name].lps
    moved = {**found.landmarks, name: found.landmarks[name].moved((x, y, z + 20))}
    after = segments_from_landmarks(moved, body[1], GRID)
    changed = after != found.segments_zyx
    assert changed.any() and ((after > 0) == body[1]).all()
    assert set(found.segments_zyx[changed]) <= {7, 8} and set(after[changed]) <= {5, 6}
    assert moved[name].source == "reader" and moved[name].uncertainty_mm < 6
    del moved[name]
    with pytest.raises(InputError, match="right portal fork"):
        segments_from_landmarks(moved, body[1], GRID)


def test_blocks_between_planes_give_what_every_voxel_gives(found, body: Body) -> None:
    planes = Planes(found.landmarks)
    inside = np.argwhere(body[1])
    points = GRID.index_to_lps(inside)
    level = planes.lateral_level(points[:: max(1, len(points) // 20000)])
    one_by_one = planes.segments(points, level)
    assert (found.segments_zyx[tuple(inside.T)] == one_by_one).mean() > 0.9995


def test_two_courses_of_like_strength_give_one_between_them(body: Body) -> None:
    """The stronger of two is another one in the next scan; what lies between them is not."""
    hu, liver = body
    grid = liver_grid(hu, GRID, liver, liver & False, None)
    at = {LandmarkName.IVC_HIGH: (-22.0, 13.0, 50.0), LandmarkName.IVC_LOW: (-24.0, 16.0, -10.0)}
    known = {name: Landmark(name, place, 6.0, "vein") for name, place in at.items()}
    fossa = LandmarkName.GALLBLADDER
    known[fossa] = Landmark(fossa, (-58.0, -55.0, -45.0), 20.0, "usual place")
    points = points_of(grid.geometry)
    first, second = (tube(points, ((-22, 13, 20), end), 3) for end in ((-80, 24, 10), (-80, 0, 10)))
    both = np.where(first | second, np.float32(1.0), np.float32(0.0))

    def read(weight: float, hepatic: np.ndarray = both) -> float:
        strength = np.where(first, weight, np.where(second, 2.0 - weight, 0)).astype(np.float32)
        return vein_landmarks(grid, hepatic, strength, known)[LandmarkName.RIGHT_VEIN].lps[1]

    y = [read(0.9), read(1.1)]
    assert abs(y[0] - y[1]) < 3.0, "24 mm lie between the two"
    # The same of two that are hardly likelier hepatic, or portal, than not: a name would make it either.
    y = [read(1.0, np.where(first, likely, both).astype(np.float32)) for likely in (0.45, 0.55, 1.0)]
    assert abs(y[0] - y[1]) < 3.0 and y[0] < y[1] < y[2] - 1.0, "what is likelier counts more"


def test_the_right_fork_does_not_hang_on_a_name_that_is_near_even(body: Body) -> None:
    hu, liver = body
    grid = liver_grid(hu, GRID, liver, liver & False, None)
    fork = Landmark(LandmarkName.BIFURCATION, (-34.0, -17.0, -12.0), 6.0, "vein")
    points = points_of(grid.geometry)
    branch = tube(points, ((-34, -17, -12), (-70, -14, -2)), 4)
    beside = tube(points, ((-52, -2, -30), (-52, -2, 20)), 3)

    def read(portal: float, mm: float = 0.0) -> np.ndarray:
        likely = np.where(branch, 1.0, np.where(beside, portal, 0)).astype(np.float32)
        nothing = np.zeros(likely.shape, np.float32)
        found = portal_landmarks(grid, nothing, replace(fork, lps=(-34.0 + mm, -17.0, -12.0)), likely)
        assert found[LandmarkName.RIGHT_FORK].source == "vein"
        return np.array(found[LandmarkName.RIGHT_FORK].lps)

    even = read(0.45), read(0.55)
    assert np.linalg.norm(even[0] - even[1]) < 0.5 < np.linalg.norm(read(0.0) - read(1.0))
    steps = np.array([read(0.5, mm) for mm in np.arange(0.0, 4.1, 0.5)])
    assert np.abs(np.diff(steps, axis=0)).max() < 0.8, "nor on a limit that voxels lie about"


def test_thick_tubes_tell_most_of_a_veins_course() -> None:
    tubes = np.zeros((12, 30, 40), bool)
    tubes[3:9, 3:9, :] = tubes[5:7, 20:22, :] = True
    weights = course_weights(np.ones(tubes.shape, np.float32), tubes, depth_inside(tubes))
    thick, thin = weights[5, 5, 10], weights[5, 20, 10]
    assert thick > 2 * thin > 0
    assert not weights[~tubes].any()


def test_the_caudate_hangs_down_behind_the_portal_vein_and_tapers_in_front_of_the_cava(found) -> None:
    planes = Planes(found.landmarks)
    fork = np.array(found.landmarks[LandmarkName.BIFURCATION].lps)

    def is_caudate(aside: float, ahead: float, below: float) -> bool:
        """Of a point so far left of the cava's line, in front of it, and below the bifurcation, mm."""
        z = fork[2] - below
        x, y = planes.ivc(z)
        return bool(planes.is_caudate(np.array([x + aside, y - ahead, z])))

    assert is_caudate(8, 4, 8) and is_caudate(8, 4, 20), "the papillary process"
    assert is_caudate(-6, 1, 8) and is_caudate(-6, 1, 18), "its process, in front of the cava"
    assert not is_caudate(-9, 1, 20) and not is_caudate(-6, 1, 25), "right of it lie V and VI"
    assert is_caudate(-6, -4, 8) and not is_caudate(-6, -4, 18), "beside the cava, not in front of it"
    assert not is_caudate(8, 4, 30)
    in_front = fork[1] - planes.ivc(fork[2] - 20)[1]
    assert not is_caudate(8, -in_front + 2, 20), "in front of the portal vein"


def test_landmarks_on_one_spot_still_divide_the_liver_without_rest(body: Body) -> None:
    spot = {name: Landmark(name, (-20.0, 0.0, 0.0), 3.0, "reader") for name in LandmarkName.ALL}
    assert ((segments_from_landmarks(spot, body[1], GRID) > 0) == body[1]).all()


def test_veins_as_dark_as_the_liver_are_not_told(body: Body) -> None:
    hu, liver = draw(vein_hu=112.0)
    blank = told(hu, liver)
    assert not blank.has_segments and not blank.vessels_zyx.any()
    assert "not clearly brighter" in blank.messages[0]
    early = told(*body, phase=Phase.UNENHANCED)
    assert not early.vessels_zyx.any() and "without contrast medium" in early.messages[0]


def test_a_fatty_liver_darker_than_its_vessels(body: Body) -> None:
    """Without contrast medium its vessels are brighter too, and still left out; with it they are told."""
    hu, liver = body
    plain = np.where(liver, hu - 95.0, np.minimum(hu, 50.0))
    assert contrast_hu(liver_grid(plain, GRID, liver, np.zeros_like(liver), None)) > SETTINGS.contrast_hu
    blank = told(plain, liver, phase=Phase.UNENHANCED)
    assert not blank.has_segments and not blank.vessels_zyx.any() and not blank.landmarks
    assert "without contrast medium" in blank.messages[0]
    fatty = np.where(liver & (hu < 140), hu - 50.0, hu)
    assert told(fatty, liver, phase=Phase.PORTAL).has_segments


def test_a_liver_that_the_scan_cuts_is_not_told(body: Body) -> None:
    hu, liver = body
    cut = Geometry.make((40, *GRID.shape_zyx[1:]), GRID.spacing_zyx_mm, GRID.origin_lps)
    blank = told(hu[:40], liver[:40], cut)
    assert not blank.has_segments and "cuts the liver off" in blank.messages[0]


def test_a_mirrored_body_is_told_and_never_flipped(body: Body) -> None:
    hu, liver = body
    blank = told(np.ascontiguousarray(hu[..., ::-1]), np.ascontiguousarray(liver[..., ::-1]))
    assert not blank.has_segments and "mirrored" in blank.messages[0]


def test_implausible_halves_are_left_out(found, body: Body) -> None:
    narrow = replace(SETTINGS, least_right=0.05, most_right=0.1)
    blank = with_segments(found, body[1], narrow)
    assert not blank.has_segments and "right hemiliver" in blank.messages[-1]
    assert blank.vessels_zyx.any() and blank.landmarks, "what is seen stays"
    assert with_segments(blank, body[1], narrow).messages == blank.messages, "said once"
    again = with_segments(blank, body[1], SETTINGS)
    assert again.has_segments and again.messages == found.messages


def test_a_liver_without_its_left_part_is_left_out(found, body: Body) -> None:
    """After a left hemihepatectomy slivers of II, III and IV were told of what the planes cut off."""
    parts = found.segments_zyx
    gone = np.isin(parts, [CouinaudSegment.II, CouinaudSegment.III, CouinaudSegment.IVA, CouinaudSegment.IVB])
    blank = with_segments(found, body[1] & ~gone, replace(SETTINGS, most_right=1.0))
    assert not blank.has_segments and "left of the umbilical fissure" in blank.messages[-1]
    assert blank.vessels_zyx.any() and blank.landmarks, "what is seen stays"
    left_alone = np.isin(parts, [CouinaudSegment.IVA, CouinaudSegment.IVB])
    assert with_segments(found, body[1] & ~left_alone, SETTINGS).has_segments


def test_too_little_liver() -> None:
    tiny = Geometry.make((4, 4, 4), (3.0, 3.0, 3.0))
    blank = told(np.zeros((4, 4, 4)), np.ones((4, 4, 4), bool), tiny)
    assert "too little" in blank.messages[0]


class Finder:
    """A network that sees one portal branch of no density of its own, and the vena cava."""

    spacing_zyx_mm = (3.0, 3.0, 3.0)
    BRANCH = ((-75, -10, -6), (-110, 0, -30))

    def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
        points = points_of(view.geometry)
        kinds = np.zeros((3, *view.geometry.shape_zyx), np.uint8)
        kinds[Vessel.PORTAL - 1][tube(points, self.BRANCH, 4)] = 150
        kinds[Vessel.IVC - 1][tube(points, CAVA, 11)] = 250
        return VesselAnswer(kinds.max(axis=0), kinds)


CAVA = ((-24, 20, -90), (-22, 12, 75))


def test_a_networks_vessels_come_beside_the_filters(body: Body, found) -> None:
    more = told(*body, finder=Finder())
    branch = tube(points_of(GRID), Finder.BRANCH, 3.0) & body[1]
    trees = TREES
    assert not np.isin(found.vessels_zyx[branch], trees).mean() > 0.3, "the filter sees none"
    assert np.isin(more.vessels_zyx[branch], trees).mean() > 0.8
    own = np.isin(found.vessels_zyx, trees) & (more.vessels_zyx != Vessel.IVC)
    assert np.isin(more.vessels_zyx[own], trees).mean() > 0.95, "what the filter sees stays"
    assert more.has_segments


def test_what_is_bright_beside_the_liver_is_no_vessel_of_it_but_the_portal_trunk_is(body: Body) -> None:
    """A network took the stomach's folds for vessels, up to 9 cm away from a real liver."""
    points = points_of(GRID)
    trunk, fold = ((-20, -5, -48), (-40, -14, -6)), ((45, -35, 15), (66, 20, -20))
    hu, liver = body[0], body[1] & ~tube(points, trunk, 16)

    class Eager(Finder):
        def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
            answer = super().vessels(view)
            assert answer.kinds_zyx is not None
            for ends in (trunk, fold, ((30, -42, 30), fold[0])):
                answer.kinds_zyx[Vessel.PORTAL - 1][tube(points_of(view.geometry), ends, 5)] = 250
            return VesselAnswer(answer.kinds_zyx.max(axis=0), answer.kinds_zyx)

    more = told(hu, liver, finder=Eager())
    away = ndimage.distance_transform_edt(~liver, GRID.spacing_zyx_mm)
    seen = np.isin(more.vessels_zyx, TREES)
    outside = tube(points, trunk, 4) & (away > 3)
    assert np.count_nonzero(outside) > 30 and seen[outside].mean() > 0.8
    assert seen[tube(points, fold, 4) & liver].mean() > 0.8, "as far as it is in the liver"
    assert not seen[tube(points, fold, 12) & (away > 6)].any()
    rest = seen & ~tube(points, trunk, 20) & ~(more.vessels_zyx == Vessel.IVC)
    assert np.percentile(away[rest], 99) <= 6, "3 mm, and a voxel"


class Namer:
    """Says the same of every tube."""

    def __init__(self, log_odds: float) -> None:
        self.log_odds = log_odds
        self.views: list[TreeView] = []

    def hepatic_log_odds(self, view: TreeView, progress: Progress = silent) -> np.ndarray:
        self.views.append(view)
        return np.full(view.volumes.shape[1:], self.log_odds, np.float32)


def test_a_network_that_names_is_asked_and_tubes_near_even_are_of_either_tree(body: Body) -> None:
    hu, liver = body
    grid = liver_grid(hu, GRID, liver, liver & False, None)
    cava = find_cava(grid, SETTINGS.cava_score, SETTINGS.cava_uneven_hu)
    nothing = np.zeros(grid.liver_zyx.shape, np.uint8)
    kinds = {Vessel.HEPATIC: nothing, Vessel.PORTAL: nothing, Vessel.IVC: nothing}
    found = find_tubes(grid, cava, contrast_hu(grid), kinds, SETTINGS.vessel_ml, SETTINGS.probability)
    shares, unsure = [], []
    for log_odds in (-4.0, 0.0, 4.0):
        namer = Namer(log_odds)
        likelier, sure, hepatic = named = named_trees(grid, found, namer)
        (view,) = namer.views
        assert view.volumes.shape[0] == CHANNELS and np.isfinite(view.volumes).all()
        assert (view.volumes[1] > 0).sum() == found.tubes_zyx.sum(), "every tube is in view"
        assert ((sure > 0) == (likelier > 0)).all()
        assert ((hepatic > 0.5) == (likelier == Vessel.HEPATIC)).all() and not hepatic[likelier == 0].any()
        np.testing.assert_allclose(hepatic + named.portal_zyx, likelier > 0, atol=1e-6)
        assert (np.abs(hepatic[np.isin(sure, UNSURE)] - 0.5) < 0.24).all(), "its evidence is log odds"
        for tree in (Vessel.HEPATIC, Vessel.PORTAL):
            np.testing.assert_array_equal(np.isin(sure, LIKELIEST[tree]), likelier == tree)
        shares.append((likelier == Vessel.HEPATIC).sum() / (likelier > 0).sum())
        unsure.append(np.count_nonzero(np.isin(sure, UNSURE)))
        assert set(np.unique(likelier)) <= {0, 1, 2}
    assert shares[0] < shares[1] < shares[2] and max(unsure) > 0


def test_a_network_that_sees_nothing_changes_no_vessel(body: Body, found) -> None:
    class Blind(Finder):
        def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
            nothing = np.zeros((3, *view.geometry.shape_zyx), np.uint8)
            return VesselAnswer(nothing[0], nothing)

    blind = told(*body, finder=Blind())
    same = (blind.vessels_zyx > 0) == (found.vessels_zyx > 0)
    assert same[found.vessels_zyx > 0].mean() > 0.99


def test_without_a_cava_there_are_no_segments(body: Body) -> None:
    blank = told(*body, settings=replace(SETTINGS, cava_score=0.99))
    assert not blank.has_segments and "vena cava was not found" in blank.messages[0]


def test_another_spacing_changes_little(found, body: Body) -> None:
    """What is read gives the same segments; a voxel of 3 mm at a border may lie in another one besides."""
    fine = Geometry.make((93, 82, 122), (2.0, 2.7, 2.7), (-165.0, -110.0, -90.0))
    hu, liver = resample(body[0], GRID, fine), resample_labels(body[1].astype(np.uint8), GRID, fine) > 0
    other = told(hu, liver, fine)
    assert other.has_segments and ((other.segments_zyx > 0) == liver).all()
    for name in (LandmarkName.BIFURCATION, LandmarkName.UMBILICAL_BEND, LandmarkName.UMBILICAL_END):
        places = [one.landmarks[name].lps for one in (found, other)]
        assert np.linalg.norm(np.subtract(*places)) < 1.5, name
    inner = ndimage.binary_erosion(body[1])
    read = segments_from_landmarks(other.landmarks, body[1], GRID)
    assert (read == found.segments_zyx)[inner].mean() >= 0.98
    same = resample_labels(other.segments_zyx, fine, GRID) == found.segments_zyx
    assert same[inner].mean() >= 0.96


def test_the_grid_lies_where_the_liver_does_however_the_scan_is_stored(body: Body) -> None:
    """It began at the outline's first voxel: another scan of the same liver was read between these places."""
    hu, liver = body
    first = liver_grid(hu, GRID, liver, liver & False, None)
    part = (slice(2, None), slice(5, 70), slice(1, 108))
    cut = GRID.cropped([s.start for s in part], (62, 70, 108))
    aside = replace(GRID, origin_lps=(-163.7, -110.9, -89.5))
    fine = GRID.with_spacing((2.0, 2.5, 2.5))
    others = [
        (liver_grid(hu[part], cut, liver[part], liver[part] & False, None), np.zeros(3), 1e-6),
        (liver_grid(hu, aside, liver, liver & False, None), np.array((1.3, -0.9, 0.5)), 1e-6),
    ]
    masks = resample(liver.astype(np.float32), GRID, fine) >= 0.5
    finer = liver_grid(resample(hu, GRID, fine), fine, masks, masks & False, None)
    for grid, moved, most in [*others, (finer, np.zeros(3), 0.25)]:
        steps = (np.array(grid.geometry.origin_lps) - moved - first.geometry.origin_lps) / 16.0
        assert np.abs(steps - np.round(steps)).max() * 16.0 < most, "the same places, mm, and the same halves"
        for share in ((0, 0, 0), (1, 1, 1), (0.5, 0.6, 0.4)):
            away = grid.at_share(share) - moved - first.at_share(share)
            assert np.abs(away).max() < max(6 * most, 0.01), "mm; an outline of 3 mm has stairs"


def test_a_networks_grid_lies_there_too_and_its_slices_are_halved_alike(body: Body) -> None:
    hu, liver = body
    views: list[LiverView] = []

    class Watching(Finder):
        def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
            views.append(view)
            return super().vessels(view, progress)

    tight = bounding_box(liver)
    assert tight is not None
    # Once with less round the liver than the margin.
    close = tuple(slice(one.start - k, one.stop + 1) for one, k in zip(tight, (0, 2, 3), strict=True))
    for part in (tuple(slice(0, n) for n in liver.shape), close):
        cut = GRID.cropped([one.start for one in part], [one.stop for one in part])
        vessel_probability(Watching(), hu[part], cut, liver[part], np.zeros_like(liver[part]))
    origins = [np.array(view.geometry.origin_lps) for view in views]
    steps = (origins[1] - origins[0]) / Finder.spacing_zyx_mm / (16, 16, 1)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert views[0].geometry.shape_zyx != views[1].geometry.shape_zyx, "or nothing was asked"


def test_what_lies_beyond_the_margin_is_read_from_the_scan(body: Body) -> None:
    """So that halves are alike a grid begins earlier than it must: it does not repeat the margin's border."""
    liver = np.pad(body[1], 15)
    scan = Geometry.make(liver.shape, (3.0,) * 3, GRID.index_to_lps((-15.0,) * 3))
    hu = np.indices(liver.shape).sum(axis=0).astype(np.float32)
    grid = liver_grid(hu, scan, liver, liver & False, None)
    np.testing.assert_allclose(grid.hu_zyx, resample(hu, scan, grid.geometry), atol=0.01)


def test_a_tip_of_the_liver_does_not_move_its_box(body: Body) -> None:
    hu, liver = body
    tip = liver.copy()
    z, y, x = (int(k[0]) for k in np.nonzero(liver))
    tip[z - 2 : z, y, x] = True
    boxes = [liver_grid(hu, GRID, one, one & False, None) for one in (liver, tip)]
    low, with_tip = (grid.at_share((0.5, 0.5, 0.0))[2] for grid in boxes)
    assert abs(low - with_tip) < 0.5, "6 mm by its lowest voxel"


def test_the_cava_is_outlined_below_where_its_course_is_read(body: Body) -> None:
    """A lesion in the lower liver is nearest to it there; a vessel that a gap parts from it is none of it."""
    hu, liver = body
    grid = liver_grid(hu, GRID, liver, liver & False, None)
    points = points_of(grid.geometry)
    seen = np.where(tube(points, CAVA, 10), 230, 0).astype(np.uint8)
    whole = find_cava(grid, 0.0, 1e9, seen)
    assert whole is not None and whole.lower_zyx is not None
    first = int(whole.slices[0])
    assert first > 8 and not whole.lower_zyx[first:].any()
    assert (whole.lower_zyx[:first] == (seen[:first] > 0)).mean() > 0.995
    seen[first - 8 : first] = 0
    parted = find_cava(grid, 0.0, 1e9, seen)
    assert parted is not None and parted.lower_zyx is not None
    assert parted.slices[0] == first and not parted.lower_zyx.any()
    alone = find_cava(grid, 0.0, 1e9)
    assert alone is not None and alone.lower_zyx is None, "the filter follows it no farther"
    told_by_both = told(*body, finder=Finder()).vessels_zyx == Vessel.IVC
    below = told_by_both.any(axis=(1, 2)) & (
        GRID.index_to_lps([[k, 0, 0] for k in range(GRID.shape_zyx[0])])[:, 2]
        < grid.geometry.index_to_lps((first - 2, 0, 0))[2]
    )
    assert below.any(), "it is said, too"


def test_after_hemihepatectomy_there_are_no_segments(body: Body) -> None:
    hu, liver = body
    x = points_of(GRID)[..., 0]
    left = liver & (x > -28)
    blank = told(np.where(liver & ~left, 20.0, hu), left)
    assert not blank.has_segments and blank.messages
