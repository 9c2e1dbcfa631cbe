"""The findings table's Qt models: rows as they stand in the scene, sorted and filtered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt

from ...case.classes import LesionClass
from ...case.columns import BY_KEY
from ...case.findings import LesionStatus
from ...case.interval import by_reader
from ...case.terminology import shown_probability
from ...case.volume_interval import end_text, volume_digits, volume_interval_ml
from ...case.wording import small
from ...review.case_view import ListedLesion
from ...support.text import chance
from ..choices import SizeFilter, StatusFilter
from ..headers import column_header

STATUS_ICONS = {
    LesionStatus.UNDECIDED: "StatusAI",
    LesionStatus.ACCEPTED: "StatusAccepted",
    LesionStatus.REJECTED: "StatusRejected",
    LesionStatus.NOT_LIVER: "StatusNotLiver",
    LesionStatus.TREATED: "StatusTreated",
}
EDITED_ICON = "StatusEdited"


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _chance(probability: float) -> str:
    return "" if math.isnan(probability) else chance(probability)


def _per_cent(probability: float) -> str:
    """Whole per cent, never 100: ">99"."""
    return ">99" if probability >= 0.995 else _number(probability * 100, 0)


def _measured(row: ListedLesion, key: str) -> float:
    return BY_KEY[key].number(row)


def _axes(row: ListedLesion) -> str:
    if row.box_only:
        return f"□ {row.box.size_xyz_mm[0]:.0f} × {row.box.size_xyz_mm[1]:.0f}"
    if math.isnan(row.size_mm):
        return ""
    return f"{row.size_mm:.0f} × {_measured(row, 'short_axis_mm'):.0f}"


def _volume(row: ListedLesion) -> str:
    volume_ml = _measured(row, "volume_ml")
    return _number(volume_ml, 1 if volume_ml >= 1 else 2)


def short_class(name: str | None) -> str:
    """A class's name for a narrow column; the row's tip has the whole. A reader's own words stay theirs."""
    known = LesionClass.of(name)
    if known is None or (name or "").lower() not in (known.code.lower(), known.title.lower()):
        return name or ""
    return known.short if (name or "")[0].islower() else known.short[0].upper() + known.short[1:]


def _likely(row: ListedLesion) -> float:
    return math.nan if row.probability is None else row.probability


def _segments(row: ListedLesion) -> str:
    return "" if row.anatomy is None else ", ".join(one.roman for one in row.anatomy.segments)


def _main_segment(row: ListedLesion) -> str:
    """The main one, and how many more: there is no room for all."""
    if row.anatomy is None or not row.anatomy.segments:
        return ""
    first, *more = row.anatomy.segments
    return f"{first.roman}+{len(more)}" if more else first.roman


@dataclass(frozen=True)
class PanelColumn:
    """One column of the panel: how it shows, in little room, what `case/columns.py` knows of a lesion.

    Attributes:
        text: what a cell shows.
        order: what it is sorted by: a number, NaN where it is unknown, or a text.
        right: whether cells are aligned on the right, as numbers are.
    """

    heading: str
    tip: str
    text: Callable[[ListedLesion], str]
    order: Callable[[ListedLesion], float | str]
    right: bool = True


COLUMNS = (
    PanelColumn(
        "#",
        "Number and colour of the lesion",
        lambda row: str(row.number) if row.number else "new",
        lambda row: row.number,
    ),
    PanelColumn(
        "Class",
        "The model's class, or yours; double-click it, or press C, to change it",
        lambda row: short_class(row.shown_class) or "–",
        lambda row: (row.shown_class or "").lower(),
        right=False,
    ),
    PanelColumn(
        "P",
        "The model's probability of the class, 0 to 1; the networks' score where there is neither a class "
        "nor a calibrated probability",
        lambda row: _chance(shown_probability(row)),
        shown_probability,
    ),
    PanelColumn(
        "sure",
        "How sure it is a lesion at all, in %: of a hundred findings with 90, about ninety are lesions "
        "(calibrated on synthetic scans); the table is sorted by it",
        lambda row: _per_cent(_likely(row)),
        _likely,
    ),
    PanelColumn(
        "mm",
        "RECIST 1.1 long axis x short axis, in mm, on the axial slice where the long axis is longest; "
        "□: a box without an outline, its width x height",
        _axes,
        lambda row: row.size_mm,
    ),
    PanelColumn("mL", "Volume in mL", _volume, lambda row: _measured(row, "volume_ml")),
    PanelColumn(
        "HU",
        "Mean of the CT's values in the lesion, in Hounsfield units",
        lambda row: _number(_measured(row, "mean_hu"), 0),
        lambda row: _measured(row, "mean_hu"),
    ),
    PanelColumn(
        "seg.",
        "Main Couinaud segment that it lies in, and how many more; yours where you have said so. All, "
        "and those merely possible, are in the row's tip and below the table",
        _main_segment,
        _segments,
        right=False,
    ),
    PanelColumn(
        "",
        "What you have done with it: found by the AI, edited, accepted, rejected, treated",
        lambda row: "",
        lambda row: row.status_text,
        right=False,
    ),
)
NUMBER, CLASS, PROBABILITY, SURE, AXES, VOLUME, HU, SEGMENTS, STATUS = range(len(COLUMNS))


def cell_text(row: ListedLesion, column: int) -> str:
    """What a cell shows."""
    return COLUMNS[column].text(row)


def sort_key(row: ListedLesion, column: int) -> float | str:
    """What a column is sorted by; unknown numbers come last when the largest comes first."""
    value = COLUMNS[column].order(row)
    if isinstance(value, str):
        return value
    return -1e9 if math.isnan(value) else float(value)


def row_tip(row: ListedLesion) -> str:
    """The whole lesion in a sentence or two."""
    parts = [row.name, row.status_text]
    if not row.box_only and not math.isnan(row.size_mm):
        short_mm, volume_ml = (_measured(row, key) for key in ("short_axis_mm", "volume_ml"))
        parts.append(f"{row.size_mm:.1f} x {short_mm:.1f} mm, {volume_ml:.2f} mL")
        if not math.isnan(row.half_mm):
            low, high = volume_interval_ml(volume_ml, row.half_mm)
            digits = volume_digits(volume_ml)
            ends = (end_text(row.size_mm + half) for half in (-row.half_mm, row.half_mm))
            parts.append(
                f"long axis {' to '.join(ends)} mm, "
                f"volume {end_text(low, digits)} to {end_text(high, digits)} mL"
                + (", as a second reader may differ: the outline is yours" if by_reader(row) else "")
            )
    if not math.isnan(hu := _measured(row, "mean_hu")):
        parts.append(f"mean {hu:.0f} HU")
    share = _measured(row, "percent_of_liver")
    if not math.isnan(share):
        parts.append(f"{small(share, 2)} % of the liver")
    if row.box_only:
        parts.append("a box without an outline")
    if row.reader_class and row.model_class:
        parts.append(f"the model said {row.model_class}")
    if row.anatomy is not None and row.anatomy.text:
        parts.append(f"segment {row.anatomy.text}")
    if row.note:
        parts.append(f"note: {row.note}")
    return "; ".join(parts)


class FindingsModel(qt.QAbstractTableModel):
    """A row per lesion. The scene is the truth: `show` replaces all rows."""

    def __init__(self, icons: Callable[[str], qt.QIcon], parent: qt.QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ListedLesion] = []
        self._icons = {status: icons(name) for status, name in STATUS_ICONS.items()}
        self._edited_icon = icons(EDITED_ICON)
        self._swatches: dict[tuple[float, float, float], qt.QPixmap] = {}

    def show(self, rows: Sequence[ListedLesion]) -> None:
        """Show these rows."""
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    def row_at(self, index: int) -> ListedLesion:
        """The row at a position of this model."""
        return self._rows[index]

    def rowCount(self, parent: Any = None) -> int:
        return len(self._rows)

    def columnCount(self, parent: Any = None) -> int:
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        if orientation != qt.Qt.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        return column_header(COLUMNS[section].heading, COLUMNS[section].tip, role)

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
        if role == qt.Qt.TextAlignmentRole and COLUMNS[column].right:
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
            and self._size.accepts(row.size_mm)
            and self._status.accepts(row.status, row.edited)
        )

    def finding(self, row: int) -> ListedLesion:
        """The lesion in a row of the table as it is shown."""
        return self._source.row_at(self.mapToSource(self.index(row, 0)).row())

    def position(self, segment_id: str) -> int:
        """Row of a lesion in the table as it is shown, -1 where it is not."""
        for row in range(self.rowCount()):
            if self.finding(row).segment_id == segment_id:
                return row
        return -1
