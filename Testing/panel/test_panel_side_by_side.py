"""Prior and current scan side by side, blended and parted by a line, all through the registration."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy import ndimage
from support.desk import Desk, add_volume
from support.follow_up_desk import follow_up_array

pytest.importorskip("PySide6")

SHIFT_LPS = np.array([6.0, -4.0, -11.0])
"""From the prior scan to the current one, everywhere."""


def known_map():
    from LiverLesionAILib.volume.ct import Geometry
    from LiverLesionAILib.volume.point_map import PointMap

    lattice = Geometry.make((8, 8, 8), (20.0, 20.0, 20.0), (-60.0, -20.0, 60.0))
    return PointMap(lattice, np.broadcast_to(SHIFT_LPS, (8, 8, 8, 3)).astype(np.float32))


@pytest.fixture(scope="class")
def compared(shared):
    """A desk with two analysed scans and their comparison by the known map, and the prior."""
    from LiverLesionAILib.case.alignment import KeptAlignment
    from LiverLesionAILib.review.case_view import read_case
    from LiverLesionAILib.review.comparing import keep_alignment

    desk = shared.fresh()
    prior, now = add_volume("January"), add_volume("May", follow_up_array())
    desk.turn()
    for volume in (prior, now):
        desk.panel.parameters.inputVolume = volume
        desk.turn()
        desk.analyze()
    keep_alignment(read_case(desk.scene, now), prior, KeptAlignment(known_map(), "", (), 0.95, 1.0))
    desk.panel.parameters.priorVolume = prior
    desk.turn()
    assert desk.panel.follow_up.compared is not None
    return desk, prior


def view(desk: Desk, name: str):
    return desk.scene.GetSingletonNode(name, "vtkMRMLSliceNode")


def centre(node) -> np.ndarray:
    """Of a slice view, RAS mm."""
    from LiverLesionAILib.scene.ras import numpy_matrix

    middle = node.GetXYZOrigin()
    return (numpy_matrix(node.GetSliceToRAS()) @ np.array([middle[0], middle[1], 0.0, 1.0]))[:3]


def pressed(desk: Desk, key: str) -> None:
    """A key without Shift or Ctrl, in the table."""
    from PySide6.QtGui import QKeySequence
    from PySide6.QtTest import QTest

    QTest.keyClick(desk.ui.findingsTable, QKeySequence(key)[0].key())
    desk.turn(0.01)


TO_RAS = np.array([-1.0, -1.0, 1.0])


def apart(desk: Desk) -> np.ndarray:
    """How far the current view's middle lies from the prior's, LPS mm."""
    return TO_RAS * (centre(view(desk, "Red")) - centre(view(desk, "LiverLesionAIPriorRed")))


class TestSideBySide:
    @pytest.fixture
    def desk(self, compared):
        desk, _ = compared
        yield desk
        desk.ui.besideButton.checked = False
        desk.turn()

    @pytest.fixture
    def prior(self, compared):
        return compared[1]

    def test_views_follow_each_other_through_the_registration(self, desk, prior):
        desk.ui.besideButton.checked = True
        desk.turn()
        assert desk.panel.follow_up.linked.active
        red, partner = view(desk, "Red"), view(desk, "LiverLesionAIPriorRed")
        assert red.GetViewGroup() != partner.GetViewGroup(), "Slicer would link them by position"
        composite = desk.scene.GetSingletonNode("LiverLesionAIPriorRed", "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == prior.GetID()
        red.JumpSliceByCentering(-5.0, -60.0, 130.0)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        # Scroll, pan, zoom.
        red.SetSliceOffset(red.GetSliceOffset() + 5.0)
        red.SetXYZOrigin(7.0, -3.0, 0.0)
        red.SetFieldOfView(80.0, 60.0, 1.0)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        assert partner.GetFieldOfView()[0] / partner.GetDimensions()[0] == pytest.approx(
            red.GetFieldOfView()[0] / red.GetDimensions()[0]
        )
        # And the other way.
        partner.JumpSliceByCentering(-12.0, -50.0, 120.0)
        assert np.allclose(centre(partner), (-12.0, -50.0, 120.0), atol=0.01)
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)
        # Oblique too, and the coronal views.
        green = view(desk, "Green")
        green.SetOrientation("Sagittal")
        assert view(desk, "LiverLesionAIPriorGreen").GetOrientation() == "Sagittal"

    def test_the_same_lesion_in_both_by_a_click(self, desk):
        from LiverLesionAILib.panel.show.views import centre_ras

        desk.ui.besideButton.checked = True
        desk.turn()
        shown = desk.panel.follow_up
        pairs = shown.compared.followup.pairs
        row = next(k for k, pair in enumerate(pairs) if pair.prior and pair.current)
        shown._clicked(shown.model.index(row, 0))
        desk.turn()
        prior_row = next(r for r in shown.compared.prior.rows if r.number in pairs[row].prior)
        place = centre_ras(shown.compared.prior, prior_row.segment_id)
        assert np.allclose(centre(view(desk, "LiverLesionAIPriorRed")), place, atol=0.01)
        assert shown.linked.active
        # A lesion that is gone: this scan's views go to where it was.
        gone = [k for k, pair in enumerate(pairs) if not pair.current]
        assert gone
        shown._clicked(shown.model.index(gone[0], 0))
        assert np.allclose(apart(desk), SHIFT_LPS, atol=0.15)

    def test_each_scan_has_its_masks_in_its_own_views_and_all_is_as_before_afterwards(self, desk):
        shown = desk.panel.follow_up
        displays = [case.segmentation.GetDisplayNode() for case in (desk.panel.case, shown.compared.prior)]
        assert [d.GetNumberOfViewNodeIDs() for d in displays] == [0, 0]
        desk.ui.besideButton.checked = True
        desk.turn()
        ids = [{d.GetNthViewNodeID(k) for k in range(d.GetNumberOfViewNodeIDs())} for d in displays]
        assert not ids[0] & ids[1]
        assert view(desk, "Red").GetID() in ids[0] and view(desk, "LiverLesionAIPriorRed").GetID() in ids[1]
        assert displays[1].GetVisibility(), "the prior's lesions are seen in the prior's views"
        desk.ui.besideButton.checked = False
        desk.turn()
        assert [d.GetNumberOfViewNodeIDs() for d in displays] == [0, 0]
        assert not displays[1].GetVisibility()
        before = centre(view(desk, "LiverLesionAIPriorRed"))
        view(desk, "Red").JumpSliceByCentering(0.0, -40.0, 110.0)
        assert np.allclose(centre(view(desk, "LiverLesionAIPriorRed")), before), "no longer linked"

    def test_a_mark_shows_the_mouses_place_in_the_other_scan(self, desk):
        import slicer

        crosshair = desk.scene.GetSingletonNode("default", "vtkMRMLCrosshairNode")
        if crosshair is None:
            made = slicer.vtkMRMLCrosshairNode()
            made.SetSingletonTag("default")
            crosshair = desk.scene.AddNode(made)
        desk.ui.besideButton.checked = True
        desk.turn()
        for name, sign in (("Red", -1), ("LiverLesionAIPriorRed", 1)):
            crosshair.SetCursorPositionXYZ([40.0, 30.0, 0.0], view(desk, name))
            position, mark = [0.0] * 3, [0.0] * 3
            assert crosshair.GetCursorPositionRAS(position)
            node = desk.scene.GetFirstNodeByName("Place in the other scan")
            node.GetNthControlPointPosition(0, mark)
            assert np.allclose(TO_RAS * (np.array(mark) - position), sign * SHIFT_LPS, atol=0.15)
            assert node.GetDisplayNode().GetVisibility()
        desk.ui.besideButton.checked = False
        desk.turn()
        assert desk.scene.GetFirstNodeByName("Place in the other scan") is None

    def test_3d_views_turn_together(self, desk):
        desk.ui.besideButton.checked = True
        desk.turn()
        cameras = {node.GetLayoutName(): node for node in desk.scene.GetNodesByClass("vtkMRMLCameraNode")}
        one, other = cameras["1"], cameras["LiverLesionAIPrior1"]
        one.SetFocalPoint(-5.0, -60.0, 130.0)
        one.SetPosition(-5.0, 240.0, 150.0)
        look = np.array(one.GetPosition()) - one.GetFocalPoint()
        assert np.allclose(np.array(other.GetPosition()) - other.GetFocalPoint(), look)
        assert np.allclose(
            TO_RAS * (np.array(one.GetFocalPoint()) - other.GetFocalPoint()), SHIFT_LPS, atol=0.15
        )

    def test_the_prior_is_blended_over_the_scan_where_the_registration_puts_it(self, desk, prior):
        import slicer
        from LiverLesionAILib.panel.run.volumes import all_cts
        from LiverLesionAILib.scene.ras import volume_geometry

        now = desk.panel.case.volume
        red = desk.scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
        before = red.GetForegroundVolumeID(), red.GetForegroundOpacity()
        assert not desk.ui.blendSlider.enabled
        pressed(desk, "V")
        assert desk.ui.blendButton.checked and desk.ui.blendSlider.enabled
        over = desk.scene.GetNodeByID(red.GetForegroundVolumeID())
        assert over.GetName() == "January in place" and red.GetForegroundOpacity() == 0.5
        assert not over.GetSaveWithScene() and over not in all_cts(desk.scene)
        other = desk.scene.GetSingletonNode("LiverLesionAIPriorRed", "vtkMRMLSliceCompositeNode")
        assert other is None or other.GetForegroundVolumeID() != over.GetID()
        # What is the same all round in the prior is found where the known shift takes it.
        array, drawn = slicer.util.arrayFromVolume(prior), slicer.util.arrayFromVolume(over)
        even = ndimage.maximum_filter(array, 3) == ndimage.minimum_filter(array, 3)
        index = np.argwhere(even & (array > 500))
        there = volume_geometry(over).lps_to_index(volume_geometry(prior).index_to_lps(index) + SHIFT_LPS)
        place = np.rint(np.asarray(there)).astype(int)
        inside = ((place >= 0) & (place < drawn.shape)).all(axis=1)
        assert inside.sum() > 100
        same = drawn[tuple(place[inside].T)] == array[tuple(index[inside].T)]
        assert same.mean() > 0.97
        desk.ui.blendSlider.value = 1.0
        assert red.GetForegroundOpacity() == 1.0
        now.GetDisplayNode().SetAutoWindowLevel(False)
        now.GetDisplayNode().SetWindowLevel(321.0, 45.0)
        assert (over.GetDisplayNode().GetWindow(), over.GetDisplayNode().GetLevel()) == (321.0, 45.0)
        pressed(desk, "V")
        assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == before
        assert desk.scene.GetFirstNodeByName("January in place") is None
        assert not desk.ui.blendButton.checked and not desk.ui.blendSlider.enabled
        desk.ui.blendSlider.value = 0.5

    def test_a_line_is_dragged_between_the_prior_and_this_scan(self, desk, prior):
        import slicer
        from LiverLesionAILib.panel.follow_up.blend import NOTHING_HU
        from LiverLesionAILib.scene.ras import volume_geometry

        red = desk.scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
        before = red.GetForegroundVolumeID(), red.GetForegroundOpacity(), desk.scene.GetNumberOfNodes()
        assert desk.scene.GetFirstNodeByName("Swipe") is None, "off by default"
        pressed(desk, "V")
        whole = slicer.util.arrayFromVolume(desk.scene.GetNodeByID(red.GetForegroundVolumeID())).copy()
        pressed(desk, "W")
        assert desk.ui.swipeButton.checked and not desk.ui.blendButton.checked
        over = desk.scene.GetNodeByID(red.GetForegroundVolumeID())
        assert red.GetForegroundOpacity() == 1.0 and over.GetDisplayNode().GetApplyThreshold()
        assert NOTHING_HU < over.GetDisplayNode().GetLowerThreshold() <= whole.min()
        geometry = volume_geometry(over)
        right_lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(whole.shape), 0, -1)))[..., 0]
        line = desk.scene.GetFirstNodeByName("Swipe")
        ends = right_lps.min() - 0.5, right_lps.max() + 0.5

        def parted(share: float) -> None:
            """The prior is seen left of the line, which is the patient's right, and nothing of it beyond."""
            drawn = slicer.util.arrayFromVolume(over)
            there = drawn != NOTHING_HU
            assert there.mean() == pytest.approx(share, abs=0.03)
            assert there.all() or right_lps[there].max() < right_lps[~there].min()
            assert np.array_equal(drawn[there], whole[there])
            assert -line.GetOrigin()[0] == pytest.approx(ends[0] + share * (ends[1] - ends[0]), abs=1.0)
            assert np.allclose(np.abs(line.GetNormal()), (1, 0, 0), atol=1e-6)
            assert desk.ui.blendSlider.value == pytest.approx(share, abs=0.01)

        parted(0.5)
        for share in (0.25, 0.8):
            desk.ui.blendSlider.value = share
            parted(share)
        # By the mouse, past the other place and askew: it stays across the patient.
        line.SetOrigin([-(ends[0] + 0.4 * (ends[1] - ends[0])), -30.0, 120.0])
        parted(0.4)
        line.SetNormal([0.8, 0.6, 0.0])
        parted(0.4)
        line.SetOrigin([-ends[1] - 50.0, 0.0, 0.0])
        parted(1.0)
        desk.ui.blendSlider.value = 0.4
        for key, share in ((".", 0.45), (",", 0.4), (",", 0.35)):
            pressed(desk, key)
            parted(share)
        assert not line.GetSaveWithScene() and not line.GetDisplayNode().GetVisibility3D()
        desk.ui.besideButton.checked = True
        desk.turn()
        display = line.GetDisplayNode()
        views = {display.GetNthViewNodeID(k) for k in range(display.GetNumberOfViewNodeIDs())}
        assert view(desk, "Red").GetID() in views
        assert view(desk, "LiverLesionAIPriorRed").GetID() not in views
        desk.ui.besideButton.checked = False
        desk.turn()
        nodes = desk.scene.GetNumberOfNodes()
        pressed(desk, "W")
        assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == before[:2]
        assert desk.scene.GetFirstNodeByName("Swipe") is None
        # The volume with its display, the line with its display.
        assert nodes - desk.scene.GetNumberOfNodes() == 4
        assert not desk.ui.swipeButton.checked and not desk.ui.blendSlider.enabled
        desk.ui.blendSlider.value = 0.5
        pressed(desk, ".")
        assert desk.ui.blendSlider.value == 0.5, "nothing lies over the scan"

    def test_a_map_takes_the_place_of_the_blended_prior(self, desk):
        desk.ui.blendButton.checked = True
        desk.turn()
        desk.panel.parameters.showMap = True
        desk.turn()
        assert not desk.ui.blendButton.checked and desk.panel.parameters.showMap
        # And the other way round: it comes back when the prior goes.
        desk.ui.blendButton.checked = True
        desk.turn()
        assert desk.ui.blendButton.checked and not desk.panel.parameters.showMap
        desk.ui.blendButton.checked = False
        desk.turn()
        assert desk.panel.parameters.showMap
        desk.panel.parameters.showMap = False
        desk.turn()

    def test_without_a_prior_nothing_is_blended(self, desk, prior):
        from LiverLesionAILib.review.comparing import keep_alignment

        kept = desk.panel.follow_up.compared.alignment
        desk.ui.blendButton.checked = True
        desk.turn()
        desk.panel.parameters.priorVolume = None
        desk.turn()
        assert desk.scene.GetFirstNodeByName("January in place") is None
        keep_alignment(desk.panel.case, prior, kept)
        desk.panel.parameters.priorVolume = prior
        desk.turn()
        assert desk.ui.blendButton.enabled and not desk.ui.blendButton.checked

    def test_the_layout_has_both_columns(self):
        from LiverLesionAILib.panel.follow_up.linked_views import layout_xml

        tags = [node.get("singletontag") for node in ET.fromstring(layout_xml()).iter("view")]
        assert tags == [
            "LiverLesionAIPriorRed", "LiverLesionAIPriorGreen", "LiverLesionAIPrior1", "Red", "Green", "1",
        ]  # fmt: skip
