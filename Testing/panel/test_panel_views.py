"""Where the views look: a jump keeps pan and zoom, the first result is framed in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import add_volume

pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def desk(shared):
    """The panel with three lesions found."""
    desk = shared.fresh()
    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


def slice_view(desk, name: str):
    return desk.scene.GetSingletonNode(name, "vtkMRMLSliceNode")


def frame(view) -> tuple[np.ndarray, float]:
    """In-plane origin (RAS, mm, without the offset along the normal) and width of a slice view."""
    to_ras = np.array([[view.GetSliceToRAS().GetElement(i, j) for j in range(4)] for i in range(4)])
    normal = to_ras[:3, 2]
    origin = to_ras[:3, 3]
    return origin - normal * (origin @ normal), view.GetFieldOfView()[0]


def pan_and_zoom(desk, width_mm: float = 120.0) -> None:
    for index, name in enumerate(("Red", "Yellow", "Green")):
        view = slice_view(desk, name)
        view.JumpSliceByCentering(3.0 + index, -4.0, 118.0)
        view.SetFieldOfView(width_mm, width_mm, 1.0)


def test_a_jump_changes_the_slice_and_keeps_pan_and_zoom(desk):
    pan_and_zoom(desk)
    before = {name: frame(slice_view(desk, name)) for name in ("Red", "Yellow", "Green")}
    offsets = set()
    for row in range(3):
        desk.choose(row)
        offsets.add(round(slice_view(desk, "Red").GetSliceOffset(), 1))
        for name, (origin, width) in before.items():
            now, wide = frame(slice_view(desk, name))
            assert now == pytest.approx(origin) and wide == width, name
    assert len(offsets) == 3, "each lesion is on a slice of its own"


def test_a_lesion_outside_the_view_is_centred(desk):
    from LiverLesionAILib.panel.show.views import centre_ras, in_frame

    pan_and_zoom(desk, 6.0)
    desk.choose(1)
    point = centre_ras(desk.panel.case, desk.panel.selection()[0].segment_id)
    for name in ("Red", "Yellow", "Green"):
        view = slice_view(desk, name)
        assert in_frame(view, point)
        assert view.GetFieldOfView()[0] == 6.0


def test_a_double_click_centres_and_one_on_the_class_offers_classes(desk):
    from LiverLesionAILib.panel.show.views import centre_ras

    pan_and_zoom(desk)
    desk.choose(2)
    table = desk.ui.findingsTable
    before = frame(slice_view(desk, "Red"))[0]
    table.doubleClicked.emit(table.model().index(2, 1))
    assert desk.panel.reader._class_menu.actions()
    assert frame(slice_view(desk, "Red"))[0] == pytest.approx(before)
    desk.panel.reader._class_menu.hide()
    table.doubleClicked.emit(table.model().index(2, 3))
    point = np.array(centre_ras(desk.panel.case, desk.panel.selection()[0].segment_id))
    assert frame(slice_view(desk, "Red"))[0][:2] == pytest.approx(point[:2])


def test_3d_looks_at_the_first_result_and_keeps_the_readers_view_after_it(shared):
    import slicer

    desk = shared.fresh()
    camera = desk.scene.GetFirstNodeByClass("vtkMRMLCameraNode")
    camera.SetPosition(0.0, 5000.0, 0.0)
    camera.SetFocalPoint(900.0, 900.0, 900.0)
    add_volume("CT")
    desk.turn()
    desk.analyze()
    bounds = [0.0] * 6
    desk.panel.case.segmentation.GetRASBounds(bounds)
    middle = [(bounds[k] + bounds[k + 1]) / 2 for k in (0, 2, 4)]
    assert list(camera.GetFocalPoint()) == pytest.approx(middle)
    # From the front, feet down, and the whole of it in the view's angle.
    assert camera.GetPosition()[1] > bounds[3] and camera.GetViewUp() == (0.0, 0.0, 1.0)
    distance = camera.GetPosition()[1] - middle[1]
    radius = np.linalg.norm([bounds[k + 1] - bounds[k] for k in (0, 2, 4)]) / 2
    assert radius <= distance * np.sin(np.radians(camera.GetViewAngle() / 2)) * 1.001
    camera.SetPosition(1.0, 2.0, 3.0)
    assert slicer.mrmlScene is desk.scene
    desk.analyze()
    assert camera.GetPosition() == (1.0, 2.0, 3.0), "a second analysis leaves the view alone"
