"""Lesions that the reader adds by a click, and places that were doubtful."""

from __future__ import annotations

import numpy as np
import pytest
from support.findings_desk import ids, labels, mask, nodes_of

pytest.importorskip("PySide6")


def test_a_lesion_is_added_where_the_reader_clicks(case):
    """In a liver of 1000, a region of 940 that the analysis did not mark."""
    import slicer
    from LiverLesionAILib.volume.ct import Geometry

    volume = case.panel.case.volume
    array = slicer.util.arrayFromVolume(volume)
    array[12:16, 22:28, 10:18] = 940
    case.click("addButton")
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
    case.click("undoButton")
    assert len(ids(case)) == 3


def test_what_the_network_suspected_is_outlined_first(case):
    """Nothing is to be seen in the CT there, and the network for clicks has no answer either."""
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    maps = {n.GetAttribute("LiverLesionAI.Map"): n for n in case.panel.case.maps}
    suspected = maps["tumour probability"]
    array = slicer.util.arrayFromVolume(suspected)
    array[12:16, 22:28, 10:18] = 200
    truth = array == 200
    assert truth.sum() == 4 * 6 * 8
    case.click("addButton")
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
    """More than a centimetre beside it: a missed lesion at the edge may lie out of what was found."""
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    x, y, z = volume_geometry(case.panel.case.volume).index_to_lps((0, 39, 47))
    case.click("addButton")
    node = case.scene.GetNodeByID(
        case.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    )
    node.AddControlPoint(-x, -y, z)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    case.turn(0.02)
    case.until(case.idle)
    case.turn(0.02)
    assert "outside the liver" in case.message()
    assert len(ids(case)) == 3


@pytest.mark.parametrize("way", ["Esc", "right click"])
def test_the_reader_leaves_the_wait_for_a_click(case, way):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    before = nodes_of(case)
    interaction = case.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    case.window.activateWindow()
    case.ui.findingsTable.setFocus()
    case.click("addButton")
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
    case.click("addButton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    case.panel.reader.close()


def test_doubtful_places_are_a_click_away_and_leave_when_a_lesion_is_added(case):
    import json

    from LiverLesionAILib.case.attributes import ATTR_DOUBTFUL, read_doubtful
    from LiverLesionAILib.case.findings import DoubtfulPlace
    from LiverLesionAILib.case.store_json import describe_place
    from LiverLesionAILib.panel.show.views import in_frame
    from LiverLesionAILib.review.kept import read_faint
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
    case.turn(0.02)
    case.until(case.idle)
    case.turn(0.02)
    assert len(case.panel.case.rows) == 4
    assert labels(case).count("?") == 1
    assert [place.centre_lps for place in case.panel.case.doubtful] == [
        pytest.approx(read_doubtful(table.GetAttribute)[1].centre_lps)
    ]
    case.click("undoButton")
    assert labels(case).count("?") == 2
    # A lesion below the threshold is pointed at once, as reports of the analysis do it.
    case.ui.thresholdSlider.value = 0.95
    case.turn()
    faint = read_faint(table)
    assert faint
    inside = [DoubtfulPlace(one.centre_lps, 7.0, 0.41) for one in faint]
    table.SetAttribute(ATTR_DOUBTFUL, json.dumps([describe_place(one) for one in inside]))
    case.panel.refresh()
    assert [(one.diameter_mm, one.score) for one in case.panel.case.doubtful] == [(7.0, 0.41)] * len(faint)
    table.SetAttribute(ATTR_DOUBTFUL, "[]")
    case.panel.refresh()
    assert sorted(one.score for one in case.panel.case.doubtful) == sorted(one.score for one in faint)
    case.ui.thresholdSlider.value = 0.5
    case.turn()
    table.SetAttribute(ATTR_DOUBTFUL, "damaged")
    case.panel.refresh()
    assert not case.panel.case.doubtful and case.ui.doubtfulLabel.text == ""
