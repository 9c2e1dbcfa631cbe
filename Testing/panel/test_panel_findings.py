"""What the reader does to findings in the panel: marks, masks, undo, threshold, edits, saving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.desk import Desk, add_volume, five_lesions

pytest.importorskip("PySide6")


@pytest.fixture
def case(desk):
    """A desk with a case analysed: three lesions."""
    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


def ids(desk: Desk) -> list[str]:
    return [row.segment_id for row in desk.panel.case.rows]


def labels(desk) -> list[str]:
    """What is written beside the lesions in the views."""
    desk.turn()
    node = desk.panel.case.marks.labels
    return [node.GetNthControlPointLabel(k) for k in range(node.GetNumberOfControlPoints())]


def statuses(desk: Desk) -> list[str]:
    return [row.status_text for row in desk.panel.case.rows]


def click(desk: Desk, button: str) -> None:
    getattr(desk.ui, button).click()
    desk.turn()


def choose(desk: Desk, *rows: int) -> None:
    """Select rows as clicks with Ctrl do."""
    import qt

    table, model = desk.ui.findingsTable, desk.ui.findingsTable.model()
    table.selectionModel().clearSelection()
    for row in rows:
        flags = qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
        table.selectionModel().select(model.index(row, 0), flags)
    desk.turn()


def mask(desk: Desk, segment_id: str) -> np.ndarray:
    """A segment's voxels on the CT's grid."""
    from LiverLesionAILib.scene.show import read_back

    found = read_back(desk.panel.case.segmentation, desk.panel.case.volume)
    lesion = next(lesion for lesion in found.lesions if lesion.segment_id == segment_id)
    out = np.zeros(found.geometry.shape_zyx, bool)
    out[lesion.mask.slices] = lesion.mask.voxels_zyx
    return out


def paint(desk: Desk, segment_id: str, where) -> None:
    """Draw as the Segment Editor does: change the segment's own labelmap, then tell."""
    import slicer
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry
    from LiverLesionAILib.volume.crops import Mask

    node = desk.panel.case.segmentation
    voxels = mask(desk, segment_id)
    voxels[where] = True
    crop = Mask.of(voxels)
    image = labelmap(crop.voxels_zyx, crop.start_zyx, volume_geometry(desk.panel.case.volume))
    segmentation = node.GetSegmentation()
    segmentation.SeparateSegmentLabelmap(segment_id)
    segment = segmentation.GetSegment(segment_id)
    segment.SetLabelValue(1)
    segment.AddRepresentation(
        slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(), image
    )
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def test_accept_reject_and_their_undo(case):
    choose(case, 0)
    click(case, "acceptButton")
    choose(case, 1, 2)
    click(case, "rejectButton")
    assert statuses(case) == ["accepted", "rejected", "rejected"]
    assert "1 lesion," in case.ui.summaryLabel.text
    display = case.panel.case.segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility("lesion_2")
    click(case, "undoButton")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    assert display.GetSegmentVisibility("lesion_2")
    click(case, "undoButton")
    assert statuses(case) == ["undecided", "undecided", "undecided"]
    assert not case.ui.undoButton.enabled
    click(case, "redoButton")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    choose(case, 0)
    click(case, "acceptButton")
    assert statuses(case) == ["undecided", "undecided", "undecided"]


def test_the_table_node_follows(case):
    choose(case, 1)
    click(case, "rejectButton")
    table = case.panel.case.table.GetTable()
    assert [table.GetValueByName(r, "Status").ToString() for r in range(3)] == [
        "undecided",
        "rejected",
        "undecided",
    ]
    assert table.GetValueByName(0, "Volume [mL]").ToDouble() == pytest.approx(9.45, abs=0.01)


def test_delete_takes_box_and_row_and_undo_brings_all_back(case):
    before = mask(case, "lesion_2")
    choose(case, 1)
    click(case, "deleteButton")
    assert ids(case) == ["lesion_1", "lesion_3"]
    assert labels(case) == ["1", "3"]
    click(case, "undoButton")
    assert ids(case) == ["lesion_1", "lesion_2", "lesion_3"]
    assert np.array_equal(mask(case, "lesion_2"), before)
    assert len(labels(case)) == 3
    assert case.panel.case.row("lesion_2").measurement.volume_ml == pytest.approx(
        before.sum() * 5.625 / 1000, abs=0.01
    )
    assert statuses(case)[1] == "undecided"


def test_undoing_a_deletion_brings_the_box_of_the_class_back(case):
    import slicer
    from LiverLesionAILib.case import tags
    from LiverLesionAILib.case import terminology as terms
    from LiverLesionAILib.case.findings import Box
    from LiverLesionAILib.review.derived import follow
    from LiverLesionAILib.scene import segments as scene_segments

    seen = Box((1.0, -2.0, 103.0), (9.0, 8.0, 7.0), score=0.7)
    segment = case.panel.case.segmentation.GetSegmentation().GetSegment("lesion_2")
    scene_segments.set_tag(segment, terms.TAG_CLASS_BOX, tags.box_text(seen))
    case.panel.case = follow(slicer.mrmlScene, case.panel.case, ["lesion_2"])
    assert case.panel.case.row("lesion_2").place.class_box is not None
    choose(case, 1)
    click(case, "deleteButton")
    assert case.panel.case.row("lesion_2") is None
    click(case, "undoButton")
    place = case.panel.case.row("lesion_2").place
    assert place.class_box.centre_lps == pytest.approx((1.0, -2.0, 103.0))
    assert place.class_box.size_xyz_mm == pytest.approx((9.0, 8.0, 7.0))
    assert place.box is not None


def test_merge_and_split(case):
    union = mask(case, "lesion_1") | mask(case, "lesion_2")
    choose(case, 0, 1)
    click(case, "mergeButton")
    assert ids(case) == ["lesion_1", "lesion_3"]
    assert np.array_equal(mask(case, "lesion_1"), union)
    assert case.panel.case.row("lesion_1").measurement.volume_ml == pytest.approx(
        union.sum() * 5.625 / 1000, abs=0.01
    )
    assert statuses(case)[0] == "edited"
    choose(case, 0)
    click(case, "splitButton")
    assert len(ids(case)) == 3
    assert sorted(int(mask(case, i).sum()) for i in ids(case)) == [3 * 4 * 5, 5 * 6 * 6, 10 * 12 * 14]
    click(case, "undoButton")
    click(case, "undoButton")
    assert ids(case) == ["lesion_1", "lesion_2", "lesion_3"]
    assert statuses(case) == ["undecided", "undecided", "undecided"]


def test_a_lesion_in_one_piece_is_cut_by_a_plane(case):
    choose(case, 0)
    click(case, "splitButton")
    assert "Move and turn the plane" in case.message()
    planes = [case.scene.GetNthNodeByClass(0, "vtkMRMLMarkupsPlaneNode")]
    assert planes[0] is not None
    planes[0].SetNormalWorld(1, 0, 0)
    click(case, "splitButton")
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneNode") == 0
    halves = [int(mask(case, i).sum()) for i in ids(case) if i not in ("lesion_2", "lesion_3")]
    assert len(halves) == 2
    assert sum(halves) == 10 * 12 * 14
    assert min(halves) > 0.35 * sum(halves)


def test_a_lesion_is_added_where_the_reader_clicks(case):
    """In a liver of 1000, a region of 940 that the analysis did not mark."""
    import slicer
    from LiverLesionAILib.volume.ct import Geometry

    volume = case.panel.case.volume
    array = slicer.util.arrayFromVolume(volume)
    array[12:16, 22:28, 10:18] = 940
    click(case, "addButton")
    assert "Click on the lesion" in case.message()
    interaction = case.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    node = case.scene.GetNodeByID(
        case.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    )
    geometry = Geometry.make(array.shape, (2.5, 1.5, 1.5), (-30.0, 20.0, 100.0))
    x, y, z = geometry.index_to_lps((14, 25, 14))
    node.AddControlPoint(-x, -y, z)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    case.turn(0.02)
    case.until(case.idle)
    case.turn(0.02)
    assert len(ids(case)) == 4
    new = case.panel.case.row(next(i for i in ids(case) if i not in ("lesion_1", "lesion_2", "lesion_3")))
    assert new.status_text == "edited"
    truth = np.zeros(array.shape, bool)
    truth[12:16, 22:28, 10:18] = True
    found = mask(case, new.segment_id)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7
    assert [row.segment_id for row in case.panel.selection()] == [new.segment_id]
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    click(case, "undoButton")
    assert len(ids(case)) == 3


def test_what_the_network_suspected_is_outlined_first(case):
    """Nothing is to be seen in the CT there, and the probability is far below the threshold."""
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    maps = {n.GetAttribute("LiverLesionAI.Map"): n for n in case.panel.case.maps}
    suspected = maps["tumour probability"]
    array = slicer.util.arrayFromVolume(suspected)
    array[12:16, 22:28, 10:18] = 70
    truth = array == 70
    assert truth.sum() == 4 * 6 * 8
    click(case, "addButton")
    node = case.scene.GetNodeByID(
        case.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    )
    x, y, z = volume_geometry(suspected).index_to_lps((14, 25, 14))
    node.AddControlPoint(-x, -y, z)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    case.turn(0.02)
    case.until(case.idle)
    case.turn(0.02)
    new = next(i for i in ids(case) if i not in ("lesion_1", "lesion_2", "lesion_3"))
    assert np.array_equal(mask(case, new), truth)


def test_a_click_outside_the_liver_is_told(case):
    import slicer

    click(case, "addButton")
    node = case.scene.GetNodeByID(
        case.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    )
    node.AddControlPoint(29.0, -21.0, 101.0)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    case.turn(0.02)
    case.until(case.idle)
    case.turn(0.02)
    assert "outside the liver" in case.message()
    assert len(ids(case)) == 3


def nodes_of(desk: Desk) -> set[str]:
    """IDs of all nodes in the scene."""
    return {desk.scene.GetNthNode(n).GetID() for n in range(desk.scene.GetNumberOfNodes())}


@pytest.mark.parametrize("way", ["Esc", "right click"])
def test_the_reader_leaves_the_wait_for_a_click(case, way):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    before = nodes_of(case)
    interaction = case.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    case.window.activateWindow()
    case.ui.findingsTable.setFocus()
    click(case, "addButton")
    assert "Click on the lesion" in case.message()
    case.ui.findingsSection.collapsed = True
    case.ui.attendButton.setFocus()
    if way == "Esc":
        QTest.keyClick(case.window, Qt.Key_Escape)
    else:
        # What Slicer's markups do on it.
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    case.turn(0.02)
    assert case.message() == ""
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    left = nodes_of(case) - before
    assert not any("Markups" in node for node in left), left
    case.ui.findingsSection.collapsed = False
    click(case, "addButton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    case.panel.reader.close()


def test_only_cts_can_be_chosen(case):
    """The maps are volumes as well: none of them is offered for analysis."""
    box = case.ui.inputSelector
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") > 1
    assert box.nodeCount() == 1
    other = add_volume("other")
    case.turn()
    assert box.nodeCount() == 2
    box.setCurrentNode(other)
    case.scene.RemoveNode(other)
    case.turn()
    assert box.currentNode() is case.panel.parameters.inputVolume
    assert box.currentNode().GetName() == "CT"


def test_class_and_note(case):
    choose(case, 1)
    table = case.ui.findingsTable
    table.doubleClicked.emit(table.model().index(1, 1))
    actions = {action.text: action for action in case.panel.reader._class_menu.actions()}
    assert actions["Cyst"].checked
    actions["FNH"].trigger()
    case.turn(0.02)
    row = case.panel.case.row("lesion_2")
    assert row.shown_class == "FNH"
    assert row.name == "Lesion 2 (FNH)"
    assert any(text.startswith("Lesion 2 (FNH), ") for text in labels(case))
    choose(case, 1)
    case.ui.noteEdit.text = "control in 3 months"
    case.ui.noteEdit.editingFinished.emit()
    case.turn()
    assert case.panel.case.row("lesion_2").note == "control in 3 months"
    click(case, "undoButton")
    click(case, "undoButton")
    assert case.panel.case.row("lesion_2").shown_class == "Cyst"


def test_sorting_and_filters(case):
    import qt
    from LiverLesionAILib.panel.findings.findings_model import VOLUME

    table = case.ui.findingsTable
    table.sortByColumn(VOLUME, qt.Qt.AscendingOrder)
    model = table.model()
    assert [model.data(model.index(r, 0)) for r in range(3)] == ["3", "2", "1"]
    case.ui.sizeFilter.currentIndex = 2
    case.turn()
    assert [model.data(model.index(r, 0)) for r in range(model.rowCount())] == ["2", "1"]
    case.ui.classFilter.currentIndex = case.ui.classFilter.findData("HCC")
    case.turn()
    assert [model.data(model.index(r, 0)) for r in range(model.rowCount())] == ["1"]
    case.ui.classFilter.currentIndex = 0
    case.ui.sizeFilter.currentIndex = 0
    case.ui.statusFilter.currentIndex = 5
    case.turn()
    assert model.rowCount() == 0


def test_the_surest_come_first(case):
    """And those of which nobody knows how sure they are keep the order of their numbers."""
    from LiverLesionAILib.panel.findings.findings_model import SURE

    proxy = case.ui.findingsTable.model()

    def shown() -> list[str]:
        return [proxy.data(proxy.index(r, 0)) for r in range(proxy.rowCount())]

    assert shown() == ["1", "2", "3"]
    assert case.ui.findingsTable.isColumnHidden(SURE), "and are spared an empty column"
    rows = case.panel.case.rows
    sure = {1: 0.4, 2: None, 3: 0.97}
    case.panel.findings.model.show([replace(row, probability=sure[row.number]) for row in rows])
    assert shown() == ["3", "1", "2"]


def test_the_threshold_moves_lesions_in_and_out(desk, monkeypatch):
    from LiverLesionAILib.panel.findings import threshold_panel

    points = {"strict": 0.95, "default": 0.7, "sensitive": 0.3}
    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda _, point="default": points[point])
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    assert len(ids(desk)) == 3
    click(desk, "thresholdSensitiveButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (5, pytest.approx(0.3))
    click(desk, "thresholdStrictButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (0, pytest.approx(0.95))
    desk.ui.thresholdSlider.value = 0.45
    desk.turn()
    assert len(ids(desk)) == 4
    faint = desk.panel.case.rows[-1]
    assert faint.measurement.volume_ml == pytest.approx(2 * 4 * 3 * 5.625 / 1000, abs=0.01)
    assert len(labels(desk)) == 4
    desk.ui.thresholdSlider.value = 0.3
    desk.turn()
    assert len(ids(desk)) == 5
    choose(desk, 4)
    click(desk, "acceptButton")
    desk.ui.thresholdSlider.value = 0.95
    desk.turn()
    assert statuses(desk) == ["accepted"]
    assert len(labels(desk)) == 1
    click(desk, "thresholdResetButton")
    assert len(ids(desk)) == 4


def test_a_move_of_the_threshold_is_one_step_of_undo(desk, monkeypatch):
    from LiverLesionAILib.panel.findings import threshold_panel

    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda segmenter, _="": 0.7)
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    assert not desk.ui.undoButton.enabled
    clock = [100.0]
    monkeypatch.setattr(desk.panel.threshold, "_clock", lambda: clock[0])
    choose(desk, 0)
    click(desk, "acceptButton")
    # One drag: the slider tells every value on its way.
    for value in (0.65, 0.6, 0.5, 0.45):
        desk.ui.thresholdSlider.value = value
        desk.turn()
        clock[0] += 0.1
    clock[0] += 10.0
    desk.ui.thresholdSlider.value = 0.3
    desk.turn()
    shown = desk.panel.case.rows
    assert len(shown) == 5
    click(desk, "undoButton")
    assert "Undone: threshold to 0.30" in desk.message()
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (4, pytest.approx(0.45))
    click(desk, "undoButton")
    assert (len(ids(desk)), desk.ui.thresholdSlider.value) == (3, pytest.approx(0.7))
    assert statuses(desk) == ["accepted", "undecided", "undecided"]
    click(desk, "undoButton")
    assert statuses(desk) == ["undecided", "undecided", "undecided"]
    assert not desk.ui.undoButton.enabled
    for _ in range(3):
        click(desk, "redoButton")
    assert desk.panel.case.rows == shown
    click(desk, "thresholdResetButton")
    assert len(ids(desk)) == 3
    click(desk, "undoButton")
    assert desk.panel.case.rows == shown


def test_a_new_analysis_starts_a_new_history(case):
    """What was done to a lesion is not undone on another one that has its number now."""
    choose(case, 0)
    click(case, "acceptButton")
    assert case.ui.undoButton.enabled
    case.analyze()
    assert not case.ui.undoButton.enabled
    assert statuses(case) == ["accepted", "undecided", "undecided"]


def test_drawing_in_a_lesion_is_followed(case):
    case.ui.editSection.click()
    choose(case, 1)
    editor = case.panel.edit.editor
    assert editor.currentSegmentID() == "lesion_2"
    assert editor.segmentationNode() is case.panel.case.segmentation
    assert editor.sourceVolumeNode() is case.panel.case.volume
    before = case.panel.case.row("lesion_2").measurement.volume_ml
    paint(case, "lesion_2", (slice(15, 20), slice(16, 20), slice(24, 30)))
    case.until(lambda: case.panel.case.row("lesion_2").measurement.volume_ml != before, 5)
    row = case.panel.case.row("lesion_2")
    assert row.measurement.volume_ml == pytest.approx(before * 10 / 6, rel=0.02)
    assert row.status_text == "edited"
    segment = case.panel.case.segmentation.GetSegmentation().GetSegment("lesion_2")
    import vtk

    value = vtk.reference("")
    assert segment.GetTag("DICOM.SegmentAlgorithmType", value)
    assert str(value) == "SEMIAUTOMATIC"
    case.turn()
    box = case.panel.case.marks.box
    assert box.GetAttribute("LiverLesionAI.Segment") == "lesion_2"
    assert max(box.GetSize()) == pytest.approx(15.0, abs=0.1)
    assert statuses(case) == ["undecided", "edited", "undecided"]
    click(case, "undoButton")
    assert case.panel.case.row("lesion_2").measurement.volume_ml == pytest.approx(before)
    assert statuses(case) == ["undecided", "undecided", "undecided"]
    click(case, "redoButton")
    click(case, "backToAiButton")
    assert case.panel.case.row("lesion_2").measurement.volume_ml == pytest.approx(before)
    assert statuses(case) == ["undecided", "undecided", "undecided"]


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
    choose(case, 1)
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
    choose(case, 0)
    click(case, "acceptButton")
    choose(case, 1)
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

    choose(case, 1)
    click(case, "acceptButton")
    case.ui.noteEdit.text = 'biopsy | 100 % sure: "HCC" %7C; é'
    case.ui.noteEdit.editingFinished.emit()
    case.ui.maskStyle.currentIndex = 1
    case.ui.boxesBox.checked = True
    case.turn()
    rows = case.panel.case.rows
    summary = case.ui.summaryLabel.text
    folder = tmp_path / "saved"
    folder.mkdir()
    assert case.scene.SaveSceneToSlicerDataBundleDirectory(str(folder))
    case.scene.Clear(False)
    case.turn()
    assert case.ui.findingsTable.model().rowCount() == 0
    case.scene.SetURL(str(next(folder.rglob("*.mrml"))))
    assert case.scene.Import()
    case.turn(0.05)
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
    choose(case, 0)
    seen = set()
    case.until(lambda: seen.add(display.GetSegmentOpacity2DFill("lesion_1")) or 1.0 in seen, 3)
    case.until(lambda: not case.panel._pulse._timer.active, 3)
    assert display.GetSegmentOpacity2DFill("lesion_1") == before


def test_nothing_is_left_of_what_is_taken_away(case):
    """Boxes, diameters and planes go with their display nodes: none of them is saved with the scene."""
    choose(case, 0)
    click(case, "splitButton")
    case.panel.reader.close()
    choose(case, 2)
    click(case, "deleteButton")
    shown = sum(
        case.scene.GetNthNodeByClass(k, "vtkMRMLDisplayableNode").GetNumberOfDisplayNodes()
        for k in range(case.scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode"))
    )
    legends = case.scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLDisplayNode") <= shown + legends


def test_doubtful_places_are_a_click_away_and_leave_when_a_lesion_is_added(case):
    import json

    from LiverLesionAILib.case.attributes import ATTR_DOUBTFUL, read_doubtful
    from LiverLesionAILib.case.findings import DoubtfulPlace
    from LiverLesionAILib.case.store_json import describe_place
    from LiverLesionAILib.panel.show.views import in_frame
    from LiverLesionAILib.scene.ras import volume_geometry

    geometry = volume_geometry(case.panel.case.volume)
    near, far = (geometry.index_to_lps(np.array(index, float)) for index in ((10, 30, 14), (20, 6, 6)))
    places = [DoubtfulPlace(tuple(map(float, p)), 8.0, 0.34) for p in (near, far)]
    table = case.panel.case.table
    table.SetAttribute(ATTR_DOUBTFUL, json.dumps([describe_place(one) for one in places]))
    case.panel.refresh()
    assert labels(case) == ["1", "2", "3", "?", "?"]
    text = case.ui.doubtfulLabel.text
    assert text.startswith("Look here") and text.count("slice 11") == text.count("slice 21") == 1
    case.ui.doubtfulBox.click()
    case.turn()
    assert labels(case) == ["1", "2", "3"]
    case.ui.doubtfulBox.click()
    case.ui.doubtfulLabel.linkActivated.emit("go:1")
    case.turn()
    view = case.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert view is None or in_frame(view, tuple(np.array(far) * (-1, -1, 1)))
    case.ui.doubtfulLabel.linkActivated.emit("add:0")
    case.turn()
    assert len(case.panel.case.rows) == 4
    assert labels(case).count("?") == 1
    assert [place.centre_lps for place in case.panel.case.doubtful] == [
        pytest.approx(read_doubtful(table.GetAttribute)[1].centre_lps)
    ]
    click(case, "undoButton")
    assert labels(case).count("?") == 2
    table.SetAttribute(ATTR_DOUBTFUL, "damaged")
    case.panel.refresh()
    assert not case.panel.case.doubtful and case.ui.doubtfulLabel.text == ""


def test_the_surest_lesion_is_read_first_and_keeps_its_number():
    from LiverLesionAILib.case.findings import Box, Lesion
    from LiverLesionAILib.case.terminology import by_probability

    def lesion(number: int, **sure: float) -> Lesion:
        middle = (0.0, 0.0, 0.0)
        return Lesion(number, box=Box(middle, (1.0,) * 3), centre_lps=middle, measurement=None, **sure)

    own = lesion(1, score=float("nan"))
    listed = [own, lesion(2, score=0.9, probability=0.4), lesion(3, score=0.5, probability=0.8)]
    assert [one.number for one in by_probability([*listed, lesion(4, score=0.8)])] == [3, 4, 2, 1]


def test_the_table_is_sorted_by_probability_at_first(desk):
    import qt

    assert desk.first_order == (3, qt.Qt.DescendingOrder)
