"""A scene that version 0.1 saved, opened in the panel: findings, marks and decisions are there."""

from __future__ import annotations

import zipfile

import pytest
from support.desk import TESTING, Desk

pytest.importorskip("slicer", reason="slicer-core is not installed")


def test_an_old_scene_opens_and_is_analysed_again(tmp_path):
    desk = Desk("boxes")
    try:
        with zipfile.ZipFile(TESTING / "scene" / "assets" / "scene_of_0.1.mrb") as bundle:
            bundle.extractall(tmp_path)
        desk.scene.SetURL(str(next(tmp_path.rglob("*.mrml"))))
        assert desk.scene.Import()
        desk.until(lambda: desk.panel.case.marks is not None)
        decided = [(row.number, row.status_text, row.shown_class) for row in desk.panel.case.rows]
        assert decided == [
            (1, "undecided", "HCC"),
            (2, "accepted", "Cyst"),
            (3, "undecided", "FNH"),
            (4, "undecided", "indeterminate"),
            (5, "rejected", "Cyst"),
        ]
        assert desk.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 4
        desk.choose(0)
        desk.turn()
        assert list(desk.panel.case.marks.box.GetCenter()) == pytest.approx([5.0, 6.0, 120.0])
        desk.analyze()
        again = {row.number: row.status_text for row in desk.panel.case.rows}
        assert (again[2], again[5]) == ("accepted", "rejected")
        assert "Kept as you left them: Lesion 1" in desk.message()
    finally:
        desk.close()
