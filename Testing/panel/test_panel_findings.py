"""What the reader does to findings in the panel: marks, masks, cuts, merges, undo."""

from __future__ import annotations

import numpy as np
import pytest
from support.findings_desk import ids, labels, mask, paint, statuses

pytest.importorskip("PySide6")


def test_accept_reject_and_their_undo(case):
    case.choose(0)
    case.click("acceptButton")
    case.choose(1, 2)
    case.click("rejectButton")
    assert statuses(case) == ["accepted", "rejected", "rejected"]
    assert "1 lesion," in case.ui.summaryLabel.text
    display = case.panel.case.segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility("lesion_2")
    case.click("undoButton")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    assert display.GetSegmentVisibility("lesion_2")
    case.click("undoButton")
    assert statuses(case) == ["undecided", "undecided", "undecided"]
    assert not case.ui.undoButton.enabled
    case.click("redoButton")
    assert statuses(case) == ["accepted", "undecided", "undecided"]
    case.choose(0)
    case.click("acceptButton")
    assert statuses(case) == ["undecided", "undecided", "undecided"]


def test_delete_takes_box_and_row_and_undo_brings_all_back(case):
    before = mask(case, "lesion_2")
    case.choose(1)
    case.click("deleteButton")
    assert ids(case) == ["lesion_1", "lesion_3"]
    assert labels(case) == ["1", "3"]
    case.click("undoButton")
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
    case.choose(1)
    case.click("deleteButton")
    assert case.panel.case.row("lesion_2") is None
    case.click("undoButton")
    place = case.panel.case.row("lesion_2").place
    assert place.class_box.centre_lps == pytest.approx((1.0, -2.0, 103.0))
    assert place.class_box.size_xyz_mm == pytest.approx((9.0, 8.0, 7.0))
    assert place.box is not None


def test_merge_and_split(case):
    union = mask(case, "lesion_1") | mask(case, "lesion_2")
    case.choose(0, 1)
    case.click("mergeButton")
    assert ids(case) == ["lesion_1", "lesion_3"]
    assert np.array_equal(mask(case, "lesion_1"), union)
    assert case.panel.case.row("lesion_1").measurement.volume_ml == pytest.approx(
        union.sum() * 5.625 / 1000, abs=0.01
    )
    assert statuses(case)[0] == "edited"
    case.choose(0)
    case.click("splitButton")
    assert len(ids(case)) == 3
    assert sorted(int(mask(case, i).sum()) for i in ids(case)) == [3 * 4 * 5, 5 * 6 * 6, 10 * 12 * 14]
    case.click("undoButton")
    case.click("undoButton")
    assert ids(case) == ["lesion_1", "lesion_2", "lesion_3"]
    assert statuses(case) == ["undecided", "undecided", "undecided"]


def test_a_lesion_in_one_piece_is_cut_by_a_plane(case):
    case.choose(0)
    case.click("splitButton")
    assert "Move and turn the plane" in case.message()
    planes = [case.scene.GetNthNodeByClass(0, "vtkMRMLMarkupsPlaneNode")]
    assert planes[0] is not None
    planes[0].SetNormalWorld(1, 0, 0)
    case.click("splitButton")
    assert case.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneNode") == 0
    halves = [int(mask(case, i).sum()) for i in ids(case) if i not in ("lesion_2", "lesion_3")]
    assert len(halves) == 2
    assert sum(halves) == 10 * 12 * 14
    assert min(halves) > 0.35 * sum(halves)


def test_drawing_in_a_lesion_is_followed(case):
    case.ui.editSection.click()
    case.choose(1)
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
    case.click("undoButton")
    assert case.panel.case.row("lesion_2").measurement.volume_ml == pytest.approx(before)
    assert statuses(case) == ["undecided", "undecided", "undecided"]
    case.click("redoButton")
    case.click("backToAiButton")
    assert case.panel.case.row("lesion_2").measurement.volume_ml == pytest.approx(before)
    assert statuses(case) == ["undecided", "undecided", "undecided"]
