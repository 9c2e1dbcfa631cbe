"""A row of a table is dragged onto another one with the mouse, and what letting it go there means is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

NOWHERE, OUTSIDE = -1, -2
"""No row: below the last one; beside the table, where nothing may be let go."""
DRAG_PIXELS = 8
"""A mouse that moves less than this has clicked."""


class RowDrag(qt.QObject):
    """Watches a table's mouse; the table itself is told of a drag's press only, so that nothing else moves.

    Not Qt's own drag and drop: that asks a model for data which C++ then owns, and blocks until it ends.
    """

    def __init__(
        self,
        table: Any,
        meaning: Callable[[int, int], tuple[bool, str]],
        mark: Callable[[int], None],
        drop: Callable[[int, int], None],
    ) -> None:
        """Watch `table`.

        Args:
            meaning: (dragged row, row under the mouse or `NOWHERE`) -> whether it may be let go there, and
                what that says, in a sentence.
            mark: the row to be shown as the one under the mouse, or `NOWHERE`.
            drop: (dragged row, row it was let go on or `NOWHERE`), where it may.
        """
        super().__init__(table)
        self._table, self._meaning, self._mark, self._drop = table, meaning, mark, drop
        self._row, self._pressed, self._dragging = NOWHERE, (0, 0), False
        table.viewport().installEventFilter(self)
        table.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        kind = event.type()
        if kind == qt.QEvent.KeyPress and self._dragging and event.key() == qt.Qt.Key_Escape:
            self._end()
            return True
        if kind == qt.QEvent.MouseButtonPress:
            self._end()
            if event.button() == qt.Qt.LeftButton:
                at = _place(event)
                self._row, self._pressed = self._table.rowAt(at.y()), (at.x(), at.y())
        elif kind == qt.QEvent.MouseMove and self._row != NOWHERE:
            self._moved(_place(event))
            return True
        elif kind == qt.QEvent.MouseButtonRelease and event.button() == qt.Qt.LeftButton:
            dragging, row, other = self._dragging, self._row, self._under(_place(event))
            may = dragging and self._asked(other)[0]
            self._end()
            if may:
                self._drop(row, other)
            return dragging
        return False

    def _moved(self, at: Any) -> None:
        if not self._dragging:
            way = abs(at.x() - self._pressed[0]) + abs(at.y() - self._pressed[1])
            self._dragging = way >= DRAG_PIXELS
            if not self._dragging:
                return
        self._scroll(at)
        row, viewport = self._under(at), self._table.viewport()
        may, said = self._asked(row)
        viewport.setCursor(qt.QCursor(qt.Qt.DragLinkCursor if may else qt.Qt.ForbiddenCursor))
        self._show(row if may else NOWHERE)
        qt.QToolTip.showText(viewport.mapToGlobal(at), said, self._table)

    def _show(self, row: int) -> None:
        self._mark(row)
        self._table.viewport().update()

    def _scroll(self, at: Any) -> None:
        """A row's height at a time where the mouse is beyond the rows that are seen."""
        bar, height = self._table.verticalScrollBar(), self._table.viewport().height
        if at.y() < 0 or at.y() >= height:
            bar.value = bar.value + (bar.singleStep if at.y() >= height else -bar.singleStep)

    def _under(self, at: Any) -> int:
        viewport = self._table.viewport()
        inside = 0 <= at.x() < viewport.width and 0 <= at.y() < viewport.height
        return self._table.rowAt(at.y()) if inside else OUTSIDE

    def _asked(self, other: int) -> tuple[bool, str]:
        return (False, "") if other in (self._row, OUTSIDE) else self._meaning(self._row, other)

    def _end(self) -> None:
        if self._dragging:
            self._table.viewport().unsetCursor()
            self._show(NOWHERE)
            qt.QToolTip.hideText()
        self._row, self._dragging = NOWHERE, False


def _place(event: Any) -> Any:
    """Of a mouse event in the widget that got it; Qt 6 would rather not be asked for `pos`."""
    return event.position().toPoint() if hasattr(event, "position") else event.pos()
