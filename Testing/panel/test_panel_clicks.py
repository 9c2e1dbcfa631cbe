"""*Add* and *Correct* in the panel: clicks asked of the worker, drawn, corrected, undone, and without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.desk import Desk, add_volume

pytest.importorskip("PySide6")

LESION = (slice(12, 16), slice(22, 28), slice(10, 18))
BESIDE = (slice(12, 16), slice(28, 34), slice(10, 18))


@pytest.fixture
def case(shared) -> Iterator[Desk]:
    """Three lesions are listed; two more touch each other and are not: 940 and 930 in a liver of 1000."""
    import slicer
    from LiverLesionAILib.models.weights import Manifest

    desk = shared.fresh()
    add_volume("CT")
    desk.turn()
    desk.analyze()
    array = slicer.util.arrayFromVolume(desk.panel.case.volume)
    array[LESION], array[BESIDE] = 940, 930
    had = desk.panel.clicks.entry
    desk.panel.clicks.entry = had or replace(Manifest.read().entries[0], name="click_unet", task="click")
    yield desk
    desk.panel.clicks.entry = had


def at(desk: Desk, index_zyx: tuple[int, int, int]) -> None:
    """Click a voxel in a slice view, and wait for what comes of it."""
    click_at(desk, index_zyx)
    desk.until(desk.idle)
    desk.turn(0.02)


def click_at(desk: Desk, index_zyx: tuple[int, int, int]) -> None:
    """Click a voxel in a slice view, as Slicer's place mode tells it."""
    import slicer
    from LiverLesionAILib.scene.ras import volume_geometry

    selection = desk.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    node = desk.scene.GetNodeByID(selection.GetActivePlaceNodeID())
    x, y, z = volume_geometry(desk.panel.case.volume).index_to_lps(index_zyx)
    node.AddControlPoint(-x, -y, z)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent)
    desk.turn(0.02)


def drawn(desk: Desk, segment_id: str) -> np.ndarray:
    from LiverLesionAILib.scene.show import read_back

    found = read_back(desk.panel.case.segmentation, desk.panel.case.volume)
    lesion = next(lesion for lesion in found.lesions if lesion.segment_id == segment_id)
    whole = np.zeros(desk.panel.case.volume.GetImageData().GetDimensions()[::-1], bool)
    whole[lesion.mask.slices] = lesion.mask.voxels_zyx
    return whole


def of(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    whole = np.zeros((24, 40, 48), bool)
    for box in boxes:
        whole[box] = True
    return whole


def added(desk: Desk) -> str:
    """Add the first unlisted lesion; its ID."""
    before = {row.segment_id for row in desk.panel.case.rows}
    desk.click("addButton")
    at(desk, (14, 25, 14))
    (new,) = {row.segment_id for row in desk.panel.case.rows} - before
    return new


def test_the_networks_outline_is_added(case):
    new = added(case)
    assert np.array_equal(drawn(case, new), of(LESION))
    assert [row.segment_id for row in case.panel.selection()] == [new]
    assert "Correct (K)" in case.message()
    case.click("undoButton")
    assert case.panel.case.row(new) is None


def test_a_second_click_beside_the_outline_adds_and_one_in_it_takes_away(case):
    new = added(case)
    assert case.ui.correctButton.enabled
    case.click("correctButton")
    assert "outside the outline" in case.message()
    at(case, (14, 30, 14))
    assert np.array_equal(drawn(case, new), of(LESION, BESIDE))
    assert len(case.panel.case.rows) == 4
    case.click("correctButton")
    at(case, (14, 31, 14))
    third = drawn(case, new)
    assert not third[14, 31, 14] and third[14, 24, 14] and third.sum() < of(LESION, BESIDE).sum()
    # Step by step back, the clicks too: what comes next starts from what is drawn.
    case.click("undoButton")
    assert np.array_equal(drawn(case, new), of(LESION, BESIDE))
    case.click("undoButton")
    assert np.array_equal(drawn(case, new), of(LESION))
    case.click("correctButton")
    at(case, (14, 30, 14))
    assert np.array_equal(drawn(case, new), of(LESION, BESIDE))


def test_a_listed_lesion_is_corrected_from_where_it_is_deepest(case):
    case.choose(0)
    (row,) = case.panel.selection()
    before = drawn(case, row.segment_id)
    case.click("correctButton")
    at(case, (14, 25, 14))
    assert np.array_equal(drawn(case, row.segment_id), before | of(LESION))
    assert case.panel.case.row(row.segment_id).status_text == "edited"


def test_a_correction_far_away_is_refused(case):
    new = added(case)
    case.click("correctButton")
    before = drawn(case, new)
    at(case, (0, 39, 47))
    assert "too far" in case.message() or "no lesion there" in case.message()
    assert np.array_equal(drawn(case, new), before)


def test_where_the_worker_fails_the_lesion_is_grown_by_density(case, monkeypatch):
    from LiverLesionAILib.review.click_question import ClickQuestion
    from LiverLesionAILib.support.errors import InputError

    def refused(self):
        raise InputError("The CT was changed meanwhile. Ask again.")

    monkeypatch.setattr(ClickQuestion, "prepare", refused)
    new = added(case)
    truth, found = of(LESION), drawn(case, new)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.6
    assert "by its density" in case.message()


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Dice."""
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_without_a_network_clicks_are_answered_by_density(case):
    case.panel.clicks.entry = None
    new = added(case)
    assert "by its density" in case.message() and "Correct (K)" in case.message()
    first = drawn(case, new)
    # 940 and 930 are one lesion, as density sees it: a click takes the right half away ...
    assert alike(first, of(LESION, BESIDE)) > 0.7
    case.click("correctButton")
    at(case, (14, 31, 14))
    second = drawn(case, new)
    assert "Corrected by density" in case.message()
    assert not second[14, 31, 14] and second[14, 24, 14] and not (second & ~first).any()
    # ... and another brings it back; each click is a step to be undone.
    case.click("correctButton")
    at(case, (14, 31, 14))
    third = drawn(case, new)
    assert third[14, 31, 14] and not (second & ~third).any()
    case.click("undoButton")
    assert np.array_equal(drawn(case, new), second)
    case.click("undoButton")
    assert np.array_equal(drawn(case, new), first)


def test_a_correction_that_takes_all_is_refused(case):
    """Nothing is left of a lesion of one voxel: it stays, and the reader is told."""
    case.panel.clicks.entry = None
    case.choose(0)
    (row,) = case.panel.selection()
    from LiverLesionAILib.volume.crops import Mask

    speck = Mask(np.ones((1, 1, 1), bool), (14, 24, 14))
    case.panel.reader.actions.redraw(row.segment_id, speck, "")
    case.click("correctButton")
    at(case, (14, 24, 14))
    assert "Nothing could be outlined" in case.message()
    assert drawn(case, row.segment_id).sum() == 1


def test_without_a_network_a_correction_far_away_is_refused(case):
    case.panel.clicks.entry = None
    new = added(case)
    before = drawn(case, new)
    case.click("correctButton")
    at(case, (0, 39, 47))
    assert "too far" in case.message() or "outside the liver" in case.message()
    assert np.array_equal(drawn(case, new), before)


@pytest.fixture
def slow(case, monkeypatch) -> Iterator[Desk]:
    """The worker needs two seconds for a click; in the panel's process nothing may be outlined."""
    from LiverLesionAILib.panel.edit import click_panel

    client = case.panel.queue._client
    client.stop()
    client._command = Desk.command("slow click")

    def refused(*_):
        raise AssertionError("outlined in the panel's process")

    monkeypatch.setattr(click_panel, "grown_from", refused)
    yield case
    case.queue_idle()
    client.stop()
    client._command = Desk.command("truth")


def ask_slowly(desk: Desk) -> set[str]:
    """Click on the first unlisted lesion and come back while the worker computes; what is listed."""
    before = {row.segment_id for row in desk.panel.case.rows}
    desk.click("addButton")
    click_at(desk, (14, 25, 14))
    desk.until(lambda: "clicked on" in desk.ui.stageLabel.text)
    return before


def test_the_event_loop_runs_while_the_worker_outlines_and_a_second_click_is_refused(slow):
    import qt

    before, ticks = ask_slowly(slow), []
    timer = qt.QTimer()
    timer.setInterval(20)
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    slow.turn(0.3)
    assert len(ticks) > 3 and not slow.idle(), "the panel goes on meanwhile"
    slow.click("addButton")
    click_at(slow, (14, 30, 14))
    assert "still being outlined" in slow.message() and not slow.idle()
    slow.until(slow.idle)
    timer.stop()
    slow.turn(0.02)
    (new,) = {row.segment_id for row in slow.panel.case.rows} - before
    assert np.array_equal(drawn(slow, new), of(LESION))


def test_a_cancelled_click_draws_nothing_and_the_next_one_does(slow):
    before = ask_slowly(slow)
    slow.panel.queue.cancel()
    slow.until(slow.idle)
    assert "cancelled" in slow.message()
    assert {row.segment_id for row in slow.panel.case.rows} == before
    ask_slowly(slow)
    slow.until(slow.idle)
    slow.turn(0.02)
    assert len(slow.panel.case.rows) == len(before) + 1


def test_an_answer_after_the_scene_was_closed_is_dropped(slow):
    ask_slowly(slow)
    slow.close_scene()
    node = add_volume("Another CT")
    slow.panel.parameters.inputVolume = node
    slow.until(slow.idle)
    slow.turn(0.1)
    assert not slow.panel.case.rows
    assert slow.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_an_answer_about_a_ct_that_was_moved_meanwhile_is_dropped(slow):
    before = ask_slowly(slow)
    slow.panel.case.volume.SetSpacing(1.0, 1.0, 1.0)
    slow.until(slow.idle)
    slow.turn(0.02)
    assert "CT was changed" in slow.message()
    assert {row.segment_id for row in slow.panel.case.rows} == before


def test_an_edit_made_meanwhile_stays(slow):
    from LiverLesionAILib.volume.crops import Mask

    slow.choose(0)
    (row,) = slow.panel.selection()
    slow.click("correctButton")
    click_at(slow, (14, 25, 14))
    slow.until(lambda: "clicked on" in slow.ui.stageLabel.text)
    edit = Mask(np.ones((3, 4, 5), bool), (6, 10, 10))
    slow.panel.reader.actions.redraw(row.segment_id, edit, "")
    slow.until(slow.idle)
    slow.turn(0.02)
    assert "the edit stays" in slow.message()
    assert drawn(slow, row.segment_id).sum() == 60


def test_a_worker_that_dies_is_told_and_the_next_click_has_a_new_one(case):
    client = case.panel.queue._client
    client.stop()
    client._command = Desk.command("click dies once")
    new = added(case)
    # Density answers what the worker could not.
    assert drawn(case, new).any() and "by its density" in case.message()
    assert "ended from outside" in case.ui.logText.toPlainText()
    client._command = Desk.command("truth")
    case.click("correctButton")
    at(case, (14, 30, 14))
    assert "Outlined anew" in case.message()
