"""What the panel makes the application do does not grow with the number of lesions.

A node that is added, or a change that is drawn, costs the application tenths of a second, so these are
counted, not timed: with 60 lesions there may be no more of them than with three.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.desk import Desk, add_volume
from support.scene_watch import SceneWatch

pytest.importorskip("slicer", reason="slicer-core is not installed")

FEW, MANY = 3, 60
SEEN = ("added", "removed", "display", "content", "table")


def lesions(count: int, faint: int = 0) -> np.ndarray:
    """A liver with `count` lesions that score 0.9 and `faint` that score less, smallest last."""
    array = np.full((40, 72, 72), 40, np.int16)
    array[1:39, 1:71, 1:71] = 1000
    number = 0
    for z in range(2, 36, 7):
        for y in range(3, 66, 9):
            for x in range(3, 66, 9):
                number += 1
                if number > count + faint:
                    return array
                size = 4 if number <= count else 3
                array[z : z + size, y : y + size, x : x + size] = 1000 + number
    raise AssertionError("too many lesions for this volume")


def without_what_all_share(watch: SceneWatch) -> Counter[str]:
    """The counts less what a scene has once, made by whichever comes first: a colour table, the hierarchy."""
    counts = Counter(watch.counts)
    for detail, times in watch.details.items():
        kind = detail.partition(":")[0]
        hierarchy = kind in ("added", "removed") and "vtkMRMLSubjectHierarchyNode" in detail
        if hierarchy or "vtkMRMLColorTable" in detail:
            counts[kind] -= times
    return counts


def actions(desk: Desk, count: int, faint: int) -> dict[str, Counter[str]]:
    """What each of the reader's actions makes the application do, with this many lesions."""
    found: dict[str, Counter[str]] = {}

    def watched(name: str, act: Callable[[], object]) -> None:
        desk.turn(0.02)
        with SceneWatch(desk.scene) as watch:
            act()
            desk.turn(0.05)
        found[name] = without_what_all_share(watch)
        # Shown where a test fails.
        print(f"{name}, {count} lesions:", dict(watch.details))

    desk = desk.fresh()
    # Its flashes go by the clock.
    desk.panel._pulse._timer.setInterval(10**6)
    add_volume("CT", lesions(count, faint))
    desk.turn()
    watched("first result", desk.analyze)
    assert len(desk.panel.case.rows) == count
    watched("select", lambda: desk.choose(1))
    watched("accept", lambda: desk.click("acceptButton"))
    watched("undo", lambda: desk.click("undoButton"))
    watched("reject", lambda: desk.click("rejectButton"))
    watched("undo of a rejection", lambda: desk.click("undoButton"))

    def move(value: float) -> None:
        desk.ui.thresholdSlider.value = value
        desk.turn()

    watched("threshold lets more in", lambda: move(0.15))
    assert len(desk.panel.case.rows) == count + faint
    watched("threshold takes them out", lambda: move(0.7))
    assert len(desk.panel.case.rows) == count
    desk.ui.boxesBox.checked = True
    watched("switches", lambda: setattr(desk.ui.axesBox, "checked", not desk.ui.axesBox.checked))
    watched("second result", desk.analyze)
    watched("delete", lambda: desk.click("deleteButton"))
    with tempfile.TemporaryDirectory() as folder:
        assert desk.scene.SaveSceneToSlicerDataBundleDirectory(folder)
        file = next(Path(folder).rglob("*.mrml"))

        def load() -> None:
            desk.scene.Clear(False)
            desk.turn()
            desk.scene.SetURL(str(file))
            assert desk.scene.Import()

        watched("reload", load)
    assert len(desk.panel.case.rows) == count - 1
    return found


@pytest.fixture(scope="module")
def both():
    desk = Desk("graded")
    try:
        return actions(desk, FEW, 1), actions(desk, MANY, 15)
    finally:
        desk.close()


@pytest.mark.parametrize(
    "action",
    [
        "first result",
        "select",
        "accept",
        "undo",
        "reject",
        "undo of a rejection",
        "threshold lets more in",
        "threshold takes them out",
        "switches",
        "second result",
        "delete",
        "reload",
    ],
)
def test_sixty_lesions_cost_no_more_than_three(both, action):
    few, many = (found[action] for found in both)
    assert sum(few.values()), "something was counted"
    assert {name: many[name] for name in SEEN if many[name] > few[name]} == {}


def test_a_second_result_adds_and_removes_nothing(both):
    for found in both:
        assert found["second result"]["added"] == found["second result"]["removed"] == 0


def test_the_count_can_fail():
    """The watch sees what it is there for: a node more for each lesion, a change more for each segment."""
    import slicer
    from LiverLesionAILib.scene.offline import new_scene

    scene = new_scene()
    with SceneWatch(scene) as watch:
        for _ in range(3):
            scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        node.CreateDefaultDisplayNodes()
        before = watch.counts["content"]
        for _ in range(3):
            node.GetSegmentation().AddEmptySegment()
    assert watch.counts["added"] >= 4
    assert watch.counts["content"] >= before + 3
    assert isinstance(node, slicer.vtkMRMLSegmentationNode)
