"""What stays of findings: a second analysis, a saved scene, nodes, surfaces and overlays."""

from __future__ import annotations

import numpy as np
import pytest
from support.findings_desk import ids, labels, mask, paint, statuses

pytest.importorskip("PySide6")


def test_a_new_analysis_starts_a_new_history(case):
    """What was done to a lesion is not undone on another one that has its number now."""
    case.choose(0)
    case.click("acceptButton")
    assert case.ui.undoButton.enabled
    case.analyze()
    assert not case.ui.undoButton.enabled
    assert statuses(case) == ["accepted", "undecided", "undecided"]


def test_overlays_are_switched(case):
    import slicer
    from LiverLesionAILib.panel.show.overlays import map_range

    display = case.panel.case.segmentation.GetDisplayNode()
    case.ui.masksBox.checked = False
    case.ui.boxesBox.checked = True
    case.turn()
    assert not display.GetVisibility2DFill()
    marks = case.panel.case.marks
    with_boxes = marks.model.GetPolyData().GetNumberOfCells()
    # Three boxes of six faces, and three times two tubes as many.
    assert with_boxes == 3 * 6 + 6 * 6 and marks.model.GetDisplayNode().GetVisibility()
    case.ui.axesBox.checked = False
    case.turn()
    assert marks.model.GetPolyData().GetNumberOfCells() == 3 * 6
    case.ui.axesBox.checked = True
    # Numbers alone; the whole text for the selected lesion, whose box and lines are nodes of their own.
    assert labels(case) == ["1", "2", "3"]
    case.choose(1)
    assert labels(case) == ["1", "Lesion 2 (Cyst 0.80), 12 × 12 mm", "3"]
    assert marks.model.GetPolyData().GetNumberOfCells() == 2 * 6 + 4 * 6
    assert [bool(node.GetDisplayNode().GetVisibility()) for node in marks.all] == [True] * 5
    # No node writes another text into the views.
    assert not any(n.GetDisplayNode().GetPropertiesLabelVisibility() for n in marks.all[1:])
    case.ui.numbersBox.checked = False
    case.turn()
    assert not marks.labels.GetDisplayNode().GetVisibility()
    case.ui.numbersBox.checked = True
    case.turn()
    case.ui.mapBox.checked = True
    case.turn()
    composite = case.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    shown = case.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown.GetAttribute("LiverLesionAI.Map") == "tumour probability"
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(shown)
    assert legend.GetVisibility()
    assert legend.GetTitleText() == "tumour probability"
    assert map_range(shown) == (0.0, 1.0)
    assert "Range 0 to 1 probability" in case.ui.mapMeaning.text
    case.ui.mapOpacity.value = 0.3
    case.ui.mapThreshold.value = 0.6
    case.ui.mapSelector.currentIndex = 1
    case.turn()
    shown = case.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown.GetAttribute("LiverLesionAI.Map") == "Semantic gate"
    case.ui.mapSelector.currentIndex = 0
    case.turn()
    shown = case.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown.GetAttribute("LiverLesionAI.Map") == "tumour probability"
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)
    assert shown.GetDisplayNode().GetLowerThreshold() == pytest.approx(0.6)
    # Slicer's colour tables, of which the stand-in's scene has none.
    for tag in ("Grey", "FileViridis.txt"):
        table = slicer.vtkMRMLColorTableNode()
        table.SetSingletonTag(tag)
        table.SetSaveWithScene(False)
        case.scene.AddNode(table)
    for index, table_id in ((4, "vtkMRMLColorTableNodeGrey"), (2, "vtkMRMLColorTableNodeFileViridis.txt")):
        case.ui.mapColours.currentIndex = index
        case.turn()
        assert shown.GetDisplayNode().GetColorNodeID() == table_id
        case.scene.RemoveNode(case.scene.GetNodeByID(table_id))
    case.ui.maskStyle.currentIndex = 1
    case.ui.masksBox.checked = True
    case.turn()
    assert (display.GetVisibility2DFill(), display.GetVisibility2DOutline()) == (False, True)
    case.ui.maskStyle.currentIndex = 2
    case.turn()
    assert (display.GetVisibility2DFill(), display.GetVisibility2DOutline()) == (True, False)
    case.ui.surfacesBox.checked = False
    case.turn()
    assert not display.GetVisibility3D()
    case.ui.surfacesBox.checked = True
    case.turn()
    case.ui.hideAllButton.click()
    case.turn()
    assert composite.GetForegroundVolumeID() is None
    assert not any(node.GetDisplayNode().GetVisibility() for node in case.panel.case.marks.all)
    assert not display.GetVisibility3D()
    case.ui.hideAllButton.click()
    case.turn()
    assert composite.GetForegroundVolumeID() == shown.GetID()
    assert display.GetVisibility3D()


def test_a_second_analysis_keeps_what_the_reader_did(case):
    case.ui.editSection.click()
    case.choose(0)
    case.click("acceptButton")
    case.choose(1)
    before = mask(case, "lesion_2")
    paint(case, "lesion_2", (slice(15, 20), slice(16, 20), slice(24, 30)))
    case.until(lambda: statuses(case)[1] == "edited", 5)
    drawn = mask(case, "lesion_2")
    assert drawn.sum() > before.sum()
    case.analyze()
    assert statuses(case) == ["accepted", "edited", "undecided"]
    assert np.array_equal(mask(case, "lesion_2"), drawn)
    assert case.panel.case.segmentation.GetSegmentation().GetNumberOfSegments() == 4
    assert "Kept as you left them" in case.message()


def test_a_saved_scene_shows_the_same_panel(case, tmp_path):
    import slicer

    case.choose(1)
    case.click("acceptButton")
    case.ui.noteEdit.text = 'biopsy | 100 % sure: "HCC" %7C; é'
    case.ui.noteEdit.editingFinished.emit()
    case.ui.maskStyle.currentIndex = 1
    case.ui.boxesBox.checked = True
    case.turn()
    rows = case.panel.case.rows
    summary = case.ui.summaryLabel.text
    saved = case.save(tmp_path / "saved")
    case.close_scene()
    assert case.ui.findingsTable.model().rowCount() == 0
    case.open(saved)
    assert case.ui.inputSelector.currentNode().GetName() == "CT"
    assert case.ui.summaryLabel.text == summary
    assert case.panel.case.rows == rows
    assert case.ui.maskStyle.currentIndex == 1
    assert case.ui.boxesBox.checked
    assert [row.segment_id for row in case.panel.selection()] == ["lesion_2"]
    assert slicer.util.getNode("CT") is case.panel.case.volume
    marks = case.panel.case.marks
    assert [node.GetNumberOfControlPoints() for node in (marks.long_axis, marks.short_axis)] == [2, 2]
    assert min(marks.box.GetSize()) > 1 and len(labels(case)) == 3


def test_kept_masks_survive_a_grid_that_is_turned_round():
    from LiverLesionAILib.volume.crops import Mask
    from LiverLesionAILib.volume.ct import Geometry
    from LiverLesionAILib.volume.packed_mask import pack_mask, unpack_mask

    rng = np.random.default_rng(3)
    full = np.zeros((9, 8, 7), bool)
    full[2:6, 1:5, 3:6] = rng.random((4, 4, 3)) > 0.4
    left_handed = Geometry.make((9, 8, 7), (2.0, 1.0, 1.5), (5.0, 6.0, 7.0), np.diag([1.0, 1.0, -1.0]))
    turned = Geometry.make(
        (9, 8, 7), (2.0, 1.0, 1.5), tuple(left_handed.index_to_lps((8, 0, 0))), np.diag([1.0, 1.0, 1.0])
    )
    text = pack_mask(Mask.of(full), left_handed)
    for geometry, expected in ((left_handed, full), (turned, full[::-1])):
        back = unpack_mask(text, geometry)
        out = np.zeros(full.shape, bool)
        out[back.slices] = back.voxels_zyx
        assert np.array_equal(out, expected)
    assert unpack_mask("1,2;nonsense", turned) is None


def test_every_segment_has_its_surface(case):
    import slicer

    name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    node = case.panel.case.segmentation
    for segment_id in ["liver", *ids(case)]:
        surface = node.GetSegmentation().GetSegment(segment_id).GetRepresentation(name)
        assert surface is not None, segment_id
        bounds, wanted = np.array(surface.GetBounds()), node.GetSegmentCenterRAS(segment_id)
        assert np.abs((bounds[::2] + bounds[1::2]) / 2 - wanted).max() < 2.0


def test_the_selected_lesion_flashes_and_looks_as_before(case):
    display = case.panel.case.segmentation.GetDisplayNode()
    before = display.GetSegmentOpacity2DFill("lesion_1")
    case.choose(0)
    seen = set()
    case.until(lambda: seen.add(display.GetSegmentOpacity2DFill("lesion_1")) or 1.0 in seen, 3)
    case.until(lambda: not case.panel._pulse._timer.active, 3)
    assert display.GetSegmentOpacity2DFill("lesion_1") == before


def test_nothing_is_left_of_what_is_taken_away(case):
    """Boxes, diameters and planes go with their display nodes: none of them is saved with the scene."""
    case.choose(0)
    case.click("splitButton")
    case.panel.reader.close()
    case.choose(2)
    case.click("deleteButton")
    shown = sum(
        case.scene.GetNthNodeByClass(k, "vtkMRMLDisplayableNode").GetNumberOfDisplayNodes()
        for k in range(case.scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode"))
    )
    legends = case.scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLDisplayNode") <= shown + legends
