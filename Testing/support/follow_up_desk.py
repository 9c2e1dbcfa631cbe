"""Two small scans that carry their truth, one the follow-up of the other, and the mouse over their table."""

from __future__ import annotations

import numpy as np

from .desk import Desk, add_volume, truth_array


def follow_up_array() -> np.ndarray:
    """Later: lesion 1 larger, 2 as before, 3 gone, a new one elsewhere."""
    array = truth_array()
    array[array > 1000] = 1000
    array[4:16, 8:24, 8:26] = 1001
    array[15:20, 10:16, 28:34] = 1002
    array[17:20, 28:34, 12:18] = 1003
    return array


def start(desk: Desk):
    prior, now = add_volume("January"), add_volume("May", follow_up_array())
    desk.turn()
    desk.panel.parameters.inputVolume = now
    desk.turn()
    desk.panel.parameters.priorVolume = prior
    desk.turn()
    return prior, now


def states(desk: Desk) -> dict[tuple[tuple[int, ...], tuple[int, ...]], str]:
    return {(p.prior, p.current): p.state.value for p in desk.panel.follow_up.compared.followup.pairs}


def choose(desk: Desk, prior=(), current=()) -> None:
    model = desk.panel.follow_up.model
    row = next(
        r for r in range(model.rowCount()) if (model.pair(r).prior, model.pair(r).current) == (prior, current)
    )
    desk.ui.pairTable.selectRow(row)
    desk.turn()


class Mouse:
    """The mouse over the follow-up table."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.viewport = desk, desk.ui.pairTable.viewport()

    def row(self, prior: tuple[int, ...], current: tuple[int, ...]) -> int:
        model = self.desk.panel.follow_up.model
        pairs = [model.pair(row) for row in range(model.rowCount())]
        return [(pair.prior, pair.current) for pair in pairs].index((prior, current))

    def at(self, row: int):
        from PySide6.QtCore import QPoint

        table = self.desk.ui.pairTable
        return QPoint(60, table.rowViewportPosition(row) + table.rowHeight(row) // 2)

    def below(self):
        """Under the last row, still in the table."""
        from PySide6.QtCore import QPoint

        table = self.desk.ui.pairTable
        last = table.model().rowCount() - 1
        place = QPoint(60, table.rowViewportPosition(last) + table.rowHeight(last) + 4)
        assert self.viewport.rect.contains(place) and table.rowAt(place.y()) == -1
        return place

    def press(self, place) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mousePress(self.viewport, Qt.LeftButton, Qt.NoModifier, place)

    def move(self, place) -> None:
        from PySide6.QtTest import QTest

        QTest.mouseMove(self.viewport, place)
        self.desk.turn(0.01)

    def release(self, place) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mouseRelease(self.viewport, Qt.LeftButton, Qt.NoModifier, place)
        self.desk.turn(0.01)

    def drag(self, start, end) -> None:
        self.press(start)
        for part in (0.3, 0.7, 1.0):
            self.move(start + (end - start) * part)
        self.release(end)

    def marked(self) -> list[int]:
        """Rows that are shown as the one under the mouse."""
        from PySide6.QtCore import Qt

        model = self.desk.panel.follow_up.model
        return [r for r in range(model.rowCount()) if model.data(model.index(r, 0), Qt.BackgroundRole)]
