"""Classes in the panel: what is treated, and what follows from it, on a desk."""

from __future__ import annotations

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("slicer", reason="slicer-core is not installed")

from LiverLesionAILib.case import tags
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.panel.choices import StatusFilter
from LiverLesionAILib.scene.show import read_back
from support.desk import Desk, add_volume

ASKED = "portal 20 HU; treated? 1200 HU (portal) is lipiodol or calcification"


@pytest.fixture
def case(desk: Desk) -> Desk:
    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


def test_the_suggestion_is_taken_undone_kept_and_exported(case: Desk) -> None:
    node = case.panel.case.segmentation
    row_id = case.panel.case.rows[0].segment_id
    node.GetSegmentation().GetSegment(row_id).SetTag(tags.TAG_REASONS, ASKED)
    case.panel.refresh()
    case.panel.select(row_id)
    case.turn()
    assert "Mark as treated" in case.ui.detailLabel.text

    def status() -> LesionStatus:
        row = case.panel.case.row(row_id)
        assert row is not None
        return row.status

    case.ui.detailLabel.linkActivated.emit("treated")
    case.turn()
    assert status() is LesionStatus.TREATED and "as you say" in case.ui.detailLabel.text
    case.click("undoButton")
    assert status() is LesionStatus.UNDECIDED and "Mark as treated" in case.ui.detailLabel.text
    case.click("redoButton")
    case.panel.parameters.statusFilter = StatusFilter.TREATED
    case.turn()
    assert case.ui.findingsTable.model().rowCount() == 1
    case.panel.parameters.statusFilter = StatusFilter.ALL
    case.turn()
    case.analyze()
    assert status() is LesionStatus.TREATED, "a new analysis keeps what the reader has said"
    lesion = read_back(case.panel.case.segmentation, case.panel.case.volume).lesions[0]
    assert lesion.status is LesionStatus.TREATED
