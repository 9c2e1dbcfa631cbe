"""The table of a comparison: a row per pair of lesions, those that are gone too."""

from __future__ import annotations

from typing import Any

import qt

from ...case.followup import FollowUp, Pair
from ...case.followup_columns import CHANGES, NUMBERS, SIZES_NOW, PairColumn, intervals_text, shown_columns
from ...review.comparing import ComparedCase
from ..headers import column_header

TARGET = PairColumn("target", "Target", "T", "RECIST target", lambda followup, pair: "")
MARKED_RGBA = (255, 170, 0, 130)
"""Behind the row that another one is dragged over: seen on light and on dark."""
COLUMNS = (*NUMBERS, TARGET, *CHANGES[:1], SIZES_NOW[0], *CHANGES[1:])


class PairModel(qt.QAbstractTableModel):
    """Rows as they follow from the scene: `show` replaces all of them."""

    def __init__(self, parent: qt.QObject | None = None) -> None:
        super().__init__(parent)
        self._followup: FollowUp | None = None
        self._pairs: tuple[Pair, ...] = ()
        self._targets: frozenset[int] = frozenset()
        self._marked = -1

    def show(self, compared: ComparedCase | None) -> None:
        """Show these pairs; None for none."""
        self.beginResetModel()
        self._followup = None if compared is None else compared.followup
        self._pairs = () if self._followup is None else self._followup.pairs
        self._targets = frozenset() if compared is None else target_numbers(compared)
        self._marked = -1
        self.endResetModel()

    def mark(self, row: int) -> None:
        """The row that another one is dragged over, -1 for none; seen when the view is drawn next."""
        self._marked = row

    def pair(self, row: int) -> Pair | None:
        """The pair of a row; None where there is no such row."""
        return self._pairs[row] if 0 <= row < len(self._pairs) else None

    def text(self, row: int, column: int) -> str:
        """What a cell shows; a proposal that waits for the reader ends in a question mark."""
        pair, shown = self._pairs[row], COLUMNS[column]
        if self._followup is None:
            return ""
        if shown is TARGET:
            return "T" if self._targets & set(pair.prior) else ""
        text = shown.text(self._followup, pair)
        return f"{text}?" if shown.key == "state" and pair.proposed else text

    def fit(self, table: Any) -> None:
        """A view of this model: columns as wide as what they show, without those of which no pair has any."""
        shown = COLUMNS if self._followup is None else shown_columns(COLUMNS, self._followup)
        for k, column in enumerate(COLUMNS):
            table.setColumnHidden(k, column not in shown)
        table.resizeColumnsToContents()

    def rowCount(self, parent: Any = None) -> int:
        return len(self._pairs)

    def columnCount(self, parent: Any = None) -> int:
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        if orientation != qt.Qt.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        return column_header(COLUMNS[section].short, COLUMNS[section].tip, role)

    def data(self, index: Any, role: int = 0) -> Any:
        if not index.isValid() or index.row() >= len(self._pairs):
            return None
        if role == qt.Qt.DisplayRole:
            return self.text(index.row(), index.column())
        if role == qt.Qt.ToolTipRole and self._followup is not None:
            pair = self._pairs[index.row()]
            one = self._followup.joined_of(pair) or self._followup.wide_of(pair)
            said = [intervals_text(self._followup, pair), "" if one is None else one.text]
            return "\n".join(filter(None, said)) or None
        if role == qt.Qt.BackgroundRole and index.row() == self._marked:
            return qt.QBrush(qt.QColor(*MARKED_RGBA))
        if role == qt.Qt.TextAlignmentRole and COLUMNS[index.column()].digits is not None:
            return int(qt.Qt.AlignRight) | int(qt.Qt.AlignVCenter)
        return None


def target_numbers(compared: ComparedCase) -> frozenset[int]:
    """The targets by their number in the prior scan, which is the oldest or follows from it."""
    return compared.judged.marked
