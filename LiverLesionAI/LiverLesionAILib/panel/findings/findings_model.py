"""The findings table's Qt models: rows as they stand in the scene, sorted and filtered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import qt

from ...case.findings import LesionStatus
from ...review.case_view import FindingRow
from ..choices import SizeFilter, StatusFilter

NUMBER, CLASS, PROBABILITY, AXES, VOLUME, HU, STATUS = range(7)
HEADINGS = ("#", "Class", "P", "mm", "mL", "HU", "")
TIPS = (
    "Number and colour of the lesion",
    "The model's class, or yours; double-click it, or press C, to change it",
    "The model's probability of the class, or that it is a lesion where it has no class; 0 to 1",
    "RECIST 1.1 long axis x short axis, in mm, on the axial slice where the long axis is longest; "
    "□: a box without an outline, its width x height",
    "Volume in mL",
    "Mean of the CT's values in the lesion, in Hounsfield units",
    "What you have done with it: found by the AI, edited, accepted, rejected",
)
STATUS_ICONS = {
    LesionStatus.UNDECIDED: "StatusAI",
    LesionStatus.ACCEPTED: "StatusAccepted",
    LesionStatus.REJECTED: "StatusRejected",
    LesionStatus.NOT_LIVER: "StatusNotLiver",
    LesionStatus.TREATED: "StatusAccepted",
}
EDITED_ICON = "StatusEdited"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def cell_text(row: FindingRow, column: int) -> str:
    """What a cell shows."""
    if column == NUMBER:
        return str(row.number) if row.number else "new"
    if column == CLASS:
        return row.shown_class or "–"
    if column == PROBABILITY:
        return _number(row.probability, 2)
    if column == AXES:
        if row.box_mm is not None:
            return f"□ {row.box_mm[0]:.0f} × {row.box_mm[1]:.0f}"
        if math.isnan(row.long_axis_mm):
            return ""
        return f"{row.long_axis_mm:.0f} × {row.short_axis_mm:.0f}"
    if column == VOLUME:
        return _number(row.volume_ml, 1 if row.volume_ml >= 1 else 2)
    if column == HU:
        return _number(row.hu_mean, 0)
    return ""


def sort_key(row: FindingRow, column: int) -> Any:
    """What a column is sorted by; unknown numbers come last when the largest comes first."""
    if column == CLASS:
        return (row.shown_class or "").lower()
    if column == STATUS:
        return row.status_text
    value = {
        NUMBER: row.number,
        PROBABILITY: row.probability,
        AXES: max(row.box_mm[:2]) if row.box_mm is not None else row.long_axis_mm,
        VOLUME: row.volume_ml,
        HU: row.hu_mean,
    }[column]
    return -1e9 if value is None or math.isnan(value) else float(value)


def row_tip(row: FindingRow) -> str:
    """The whole lesion in a sentence or two."""
    parts = [row.name, row.status_text]
    if not math.isnan(row.long_axis_mm):
        parts.append(f"{row.long_axis_mm:.1f} x {row.short_axis_mm:.1f} mm, {row.volume_ml:.2f} mL")
    if not math.isnan(row.percent_of_liver):
        parts.append(f"{row.percent_of_liver:.2f} % of the liver")
    if row.box_mm is not None:
        parts.append("a box without an outline")
    if row.reader_class and row.model_class:
        parts.append(f"the model said {row.model_class}")
    if row.note:
        parts.append(f"note: {row.note}")
    return "; ".join(parts)


class FindingsModel(qt.QAbstractTableModel):
    """A row per lesion. The scene is the truth: `show` replaces all rows."""

    def __init__(self, icons: Callable[[str], qt.QIcon], parent: qt.QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[FindingRow] = []
        self._icons = {status: icons(name) for status, name in STATUS_ICONS.items()}
        self._edited_icon = icons(EDITED_ICON)
        self._swatches: dict[tuple[float, float, float], qt.QPixmap] = {}

    def show(self, rows: Sequence[FindingRow]) -> None:
        """Show these rows."""
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    def row_at(self, index: int) -> FindingRow:
        """The row at a position of this model."""
        return self._rows[index]

    def rowCount(self, parent: Any = None) -> int:
        return len(self._rows)

    def columnCount(self, parent: Any = None) -> int:
        return len(HEADINGS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        if orientation != qt.Qt.Horizontal or not 0 <= section < len(HEADINGS):
            return None
        if role == qt.Qt.DisplayRole:
            return HEADINGS[section]
        if role == qt.Qt.ToolTipRole:
            return TIPS[section]
        return None

    def data(self, index: Any, role: int = 0) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, column = self._rows[index.row()], index.column()
        if role in (qt.Qt.DisplayRole, qt.Qt.EditRole):
            return cell_text(row, column)
        if role == qt.Qt.UserRole:
            return sort_key(row, column)
        if role == qt.Qt.ToolTipRole:
            return row_tip(row)
        if role == qt.Qt.DecorationRole:
            if column == NUMBER:
                return self._swatch(row.colour)
            if column == STATUS:
                undecided = row.status is LesionStatus.UNDECIDED
                return self._edited_icon if row.edited and undecided else self._icons[row.status]
        if role == qt.Qt.TextAlignmentRole and column not in (CLASS, STATUS):
            return int(qt.Qt.AlignRight) | int(qt.Qt.AlignVCenter)
        if role == qt.Qt.ForegroundRole and not row.status.counts:
            return qt.QBrush(qt.QColor(128, 128, 128))
        return None

    def _swatch(self, colour: tuple[float, float, float]) -> qt.QPixmap:
        if colour not in self._swatches:
            pixmap = qt.QPixmap(10, 10)
            pixmap.fill(qt.QColor(*(round(255 * c) for c in colour)))
            self._swatches[colour] = pixmap
        return self._swatches[colour]


class FindingsFilter(qt.QSortFilterProxyModel):
    """Sorts by numbers, not by their texts, and lets through what the filters above the table say."""

    def __init__(self, source: FindingsModel, parent: qt.QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self.setSortRole(qt.Qt.UserRole)
        self.setSourceModel(source)
        self._class, self._size, self._status = "", SizeFilter.ALL, StatusFilter.ALL

    def set_filters(self, class_name: str, size: SizeFilter, status: StatusFilter) -> None:
        """Show only lesions of this class ("" for all), size and status."""
        self._class, self._size, self._status = class_name, size, status
        self.invalidateFilter()

    def filterAcceptsRow(self, source_row: int, source_parent: Any) -> bool:
        row = self._source.row_at(source_row)
        return (
            (not self._class or (row.shown_class or "") == self._class)
            and self._size.accepts(max(row.box_mm[:2]) if row.box_mm else row.long_axis_mm)
            and self._status.accepts(row.status, row.edited)
        )

    def finding(self, row: int) -> FindingRow:
        """The lesion in a row of the table as it is shown."""
        return self._source.row_at(self.mapToSource(self.index(row, 0)).row())

    def position(self, segment_id: str) -> int:
        """Row of a lesion in the table as it is shown, -1 where it is not."""
        for row in range(self.rowCount()):
            if self.finding(row).segment_id == segment_id:
                return row
        return -1
