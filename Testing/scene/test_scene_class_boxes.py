"""Where the classifier saw a class, drawn beside the selected lesion's own box, on Slicer's own classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import box_corners_lps, small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.case import tags
from LiverLesionAILib.case.findings import Box, CaseResult, LesionStatus
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.derived import follow
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.marks import Shown, draw_marks
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.ras import volume_geometry
from support.scene_bundles import read_bundle
from vtk.util import numpy_support


def with_class_boxes(result: CaseResult, shift_mm: float = 4.0) -> CaseResult:
    """The first two lesions were seen a little to the left of where they are."""

    def seen(box: Box) -> Box:
        x, y, z = box.centre_lps
        return replace(box, centre_lps=(x + shift_mm, y, z), size_xyz_mm=(11.0, 13.0, 17.0))

    lesions = tuple(
        replace(lesion, class_box=seen(lesion.box)) if lesion.number <= 2 else lesion
        for lesion in result.lesions
    )
    return replace(result, lesions=lesions)


@pytest.fixture
def shown():
    volume, result = small_case(lesions=4)
    result = with_class_boxes(result)
    scene = new_scene()
    ct = add_ct(scene, volume)
    return scene, ct, result, scenes.apply_result(scene, result, ct)


def drawn_corners(nodes: scenes.SceneNodes, scene, ct, selected: str, *, boxes: bool = True) -> np.ndarray:
    """Corners (RAS, mm) of what the model shows while a lesion is selected, without its diameters."""
    view = read_case(scene, ct)
    shown = Shown(boxes=boxes, axes=False, selected=selected)
    draw_marks(nodes.marks, view.drawn(), shown, volume_geometry(ct))
    return numpy_support.vtk_to_numpy(nodes.marks.model.GetPolyData().GetPoints().GetData())


def corners_of(box: Box) -> np.ndarray:
    return box_corners_lps(box) * (-1, -1, 1)


def includes(points: np.ndarray, corners: np.ndarray) -> bool:
    distances = np.linalg.norm(points[:, None] - corners[None], axis=2)
    return len(points) > 0 and distances.min(axis=0).max() < 1e-3


def test_it_is_drawn_where_the_class_was_seen_for_the_selected_lesion_alone(shown):
    scene, ct, result, nodes = shown
    seen = {lesion.number: lesion.class_box for lesion in result.lesions}
    for number in (1, 2):
        points = drawn_corners(nodes, scene, ct, nodes.segment_ids[number])
        assert includes(points, corners_of(seen[number]))
        assert not includes(points, corners_of(seen[3 - number]))
        assert not includes(points, corners_of(result.lesions[number - 1].box)), (
            "that one is a node of its own"
        )
    assert not any(includes(drawn_corners(nodes, scene, ct, ""), corners_of(seen[k])) for k in (1, 2))
    assert not includes(
        drawn_corners(nodes, scene, ct, nodes.segment_ids[1], boxes=False), corners_of(seen[1])
    )


def test_they_are_no_findings(shown):
    scene, ct, result, _ = shown
    assert len(read_case(scene, ct).rows) == len(result.lesions)


def places(nodes: scenes.SceneNodes) -> dict[int, Box | None]:
    segmentation = nodes.segmentation.GetSegmentation()
    return {
        number: scene_segments.place(segmentation.GetSegment(segment_id)).class_box
        for number, segment_id in nodes.segment_ids.items()
        if number
    }


def test_a_second_run_replaces_them_but_for_lesions_that_stay(shown):
    scene, ct, result, nodes = shown
    first = places(nodes)
    segment = nodes.segmentation.GetSegmentation().GetSegment(nodes.segment_ids[1])
    scene_segments.mark(segment, LesionStatus.ACCEPTED)
    again = scenes.apply_result(scene, with_class_boxes(result, 9.0), ct)
    now = places(again)
    assert now[1] == first[1], "the accepted lesion keeps what was said of it"
    assert now[2] != first[2]
    assert now[3] is None
    without = replace(result, lesions=tuple(replace(le, class_box=None) for le in result.lesions))
    last = places(scenes.apply_result(scene, without, ct))
    assert last[1] == first[1] and last[2] is None


def test_they_are_tags_of_the_segment(shown):
    _, _, result, nodes = shown
    for number, box in places(nodes).items():
        wanted = result.lesions[number - 1].class_box
        if wanted is None:
            assert box is None
            continue
        assert box.centre_lps == pytest.approx(wanted.centre_lps, rel=1e-5)
        assert box.size_xyz_mm == wanted.size_xyz_mm and box.score == pytest.approx(wanted.score)
        assert box.directions_lps == pytest.approx(wanted.directions_lps)
    for damaged in ("", "1 2 3", "x " * 16, "1 2 3 -4 5 6 1 0 0 0 1 0 0 0 1 1", "nan " * 16):
        assert tags.parse_box(damaged) is None


def test_they_go_with_the_lesion(shown):
    scene, ct, result, nodes = shown
    nodes.segmentation.GetSegmentation().RemoveSegment(nodes.segment_ids[2])
    follow(scene, read_case(scene, ct))
    points = drawn_corners(nodes, scene, ct, nodes.segment_ids[2])
    assert not includes(points, corners_of(result.lesions[1].class_box))


def test_they_are_in_a_saved_scene(tmp_path):
    volume, result = small_case(lesions=2)
    scene, _ = case_scene(with_class_boxes(result), volume)
    write_bundle(scene, tmp_path / "scene.mrb")
    loaded = read_bundle(tmp_path / "scene.mrb", tmp_path / "unpacked")
    view = read_case(loaded, loaded.GetFirstNodeByName(volume.name))
    wanted = [lesion.class_box for lesion in with_class_boxes(result).lesions]
    for row, box in zip(view.rows, wanted, strict=True):
        assert row.place.class_box.centre_lps == pytest.approx(box.centre_lps, abs=1e-3)
