"""A desk whose analysis finds five lesions, one with only a box, with classes, maps and a contrast phase."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .desk import Desk, add_volume, five_lesions


def boxes_desk() -> Iterator[Desk]:
    """The body of a fixture: the desk, closed in the end."""
    made = Desk("boxes")
    yield made
    made.close()


def five_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Five lesions: the fourth of no known class, the fifth with only a box and a score of 0.4."""
    from LiverLesionAILib.panel.findings import threshold_panel

    monkeypatch.setattr(threshold_panel, "calibrated_score", lambda segmenter, _="": 0.3)
    add_volume("CT", five_lesions())
    desk.turn()
    desk.analyze()
    return desk


def row(desk: Desk, number: int):
    """The listed lesion of that number."""
    return next(row for row in desk.panel.case.rows if row.number == number)
