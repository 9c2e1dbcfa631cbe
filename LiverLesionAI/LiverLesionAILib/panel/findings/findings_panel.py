"""The findings part of the panel: headline, filters, table, and what follows the selection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import qt

from ...case.classes import LesionClass
from ...case.columns import BY_KEY
from ...review.case_view import CaseView, ListedLesion
from ...scene.ras import volume_geometry
from ..parameters import PanelParameters
from ..run.run_text import findings_line
from .findings_model import CLASS, COLUMNS, HU, SEGMENTS, STATUS, SURE, FindingsFilter, FindingsModel
from .lesion_details import details_html

_OFFERED = (
    LesionClass.HCC,
    LesionClass.METASTASIS,
    LesionClass.CYST,
    LesionClass.HAEMANGIOMA,
    LesionClass.FNH,
    LesionClass.BENIGN,
    LesionClass.INDETERMINATE,
)
CLASSES = tuple(one.code[:1].upper() + one.code[1:] for one in _OFFERED)


NARROWEST = 20
"""A column, in pixels: that of an icon."""


class FindingsPanel:
    """Shows the lesions of one case and tells when the reader selects others."""

    def __init__(self, ui: Any, icons: Callable[[str], qt.QIcon], selected: Callable[[], None]) -> None:
        self._ui = ui
        self._selected = selected
        self._case = CaseView(None, None, None)
        self._parameters: PanelParameters | None = None
        self._quiet = False
        self.model = FindingsModel(icons)
        self.proxy = FindingsFilter(self.model)
        table = ui.findingsTable
        table.setModel(self.proxy)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        # Those of equal probability, and those without, stay in the order of their numbers.
        table.sortByColumn(SURE, qt.Qt.DescendingOrder)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(24)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(NARROWEST)
        header.setHighlightSections(False)
        for column in range(len(COLUMNS)):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(CLASS, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(STATUS, qt.QHeaderView.Fixed)
        header.resizeSection(STATUS, NARROWEST)
        table.setTextElideMode(qt.Qt.ElideRight)
        table.selectionModel().connect(
            "selectionChanged(QItemSelection,QItemSelection)", self._selection_changed
        )
        self._set_class_filter([])
        ui.classFilter.connect("currentIndexChanged(int)", self._class_chosen)
        ui.notesButton.connect("toggled(bool)", lambda shown: self.show_notes())

    def bind(self, parameters: PanelParameters | None) -> None:
        """The parameters that hold filters and selection; None between scenes."""
        self._parameters = parameters

    def show(self, case: CaseView) -> None:
        """Show a case's lesions; the selection stays where its lesions still are."""
        selected = [row.segment_id for row in self.selection()]
        if not selected and self._parameters is not None and self._parameters.selectedSegment:
            selected = [self._parameters.selectedSegment]
        self._case = case
        self._quiet = True
        try:
            self._set_class_filter(sorted({row.shown_class for row in case.rows if row.shown_class}))
            self.model.show(case.rows)
            # Of models that were never calibrated nobody knows.
            unknown = all(row.probability is None for row in case.rows)
            self._ui.findingsTable.setColumnHidden(SURE, unknown)
            nowhere = not any(row.anatomy is not None and row.anatomy.segments for row in case.rows)
            self._ui.findingsTable.setColumnHidden(SEGMENTS, nowhere)
            # There is room for one of both: else the status would lie beyond the edge.
            self._ui.findingsTable.setColumnHidden(HU, not nowhere)
            self.apply_filters()
            self._select(selected)
        finally:
            self._quiet = False
        counted = [row for row in case.rows if row.status.counts]
        self._ui.summaryLabel.text = self._headline(counted)
        self.show_notes()
        self.show_details()

    def show_notes(self) -> None:
        """What to keep in mind, one click away: how much there is, and the text where the reader wants it."""
        notes, button, label = self._case.notes, self._ui.notesButton, self._ui.notesLabel
        closed = self._ui.findingsSection.collapsed
        button.text = f"{len(notes)} note{'s' if len(notes) > 1 else ''}"
        button.setVisible(bool(notes) and not closed)
        label.text = "\n".join(f"• {note}" for note in notes)
        label.setVisible(bool(notes) and button.checked and not closed)

    def show_details(self) -> None:
        """What is known of the one selected lesion."""
        rows = self.selection()
        volume = self._case.volume
        grid = None if volume is None else volume_geometry(volume)
        text = details_html(rows[0], grid) if len(rows) == 1 else ""
        self._ui.detailLabel.text = text
        self._ui.detailLabel.setVisible(bool(text) and not self._ui.findingsSection.collapsed)

    def _headline(self, counted: Sequence[ListedLesion]) -> str:
        liver_ml = self._case.liver_ml
        if liver_ml is None or not liver_ml > 0:
            return (
                "No findings for this CT yet." if self._case.segmentation is None else "No liver was found."
            )
        volumes = [BY_KEY["volume_ml"].number(row) for row in counted]
        share = 100 * sum(filter(math.isfinite, volumes)) / liver_ml
        return findings_line(len(counted), liver_ml, share)

    def apply_filters(self) -> None:
        """Filter by what the parameters say."""
        if self._parameters is not None:
            self.proxy.set_filters(
                self._parameters.classFilter, self._parameters.sizeFilter, self._parameters.statusFilter
            )

    def selection(self) -> list[ListedLesion]:
        """The selected lesions, top to bottom as shown."""
        rows = sorted(index.row() for index in self._ui.findingsTable.selectionModel().selectedRows())
        return [self.proxy.finding(row) for row in rows if row < self.proxy.rowCount()]

    def select(self, segment_id: str) -> None:
        """Select one lesion, as a click on it would."""
        row = self.proxy.position(segment_id)
        if row >= 0:
            self._ui.findingsTable.selectRow(row)

    def step(self, by: int) -> None:
        """Select the next (1) or previous (-1) lesion as sorted and filtered; wraps round."""
        count = self.proxy.rowCount()
        if not count:
            return
        rows = [index.row() for index in self._ui.findingsTable.selectionModel().selectedRows()]
        if rows:
            target = ((max(rows) if by > 0 else min(rows)) + by) % count
        else:
            target = 0 if by > 0 else count - 1
        self._ui.findingsTable.selectRow(target)

    def _select(self, segment_ids: Sequence[str]) -> None:
        table = self._ui.findingsTable
        model = table.selectionModel()
        model.clearSelection()
        rows = [row for row in map(self.proxy.position, segment_ids) if row >= 0]
        if len(rows) == 1:
            table.selectRow(rows[0])
        else:
            for row in rows:
                model.select(
                    self.proxy.index(row, 0), qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
                )

    def _selection_changed(self, selected: Any = None, deselected: Any = None) -> None:
        if self._quiet:
            return
        rows = self.selection()
        if self._parameters is not None:
            self._parameters.selectedSegment = rows[0].segment_id if len(rows) == 1 else ""
        self.show_details()
        self._selected()

    def known_classes(self) -> list[str]:
        """The classes a lesion can be given."""
        seen: set[str] = set()
        for row in self._case.rows:
            seen |= {*row.class_probabilities, row.model_class or "", row.reader_class or ""} - {""}
        known = {name.lower() for name in CLASSES}
        return list(CLASSES) + sorted(name for name in seen if name.lower() not in known)

    def _set_class_filter(self, classes: Sequence[str]) -> None:
        box = self._ui.classFilter
        wanted = self._parameters.classFilter if self._parameters is not None else ""
        if wanted and wanted not in classes:
            classes = [*classes, wanted]
        was = box.blockSignals(True)
        box.clear()
        box.addItem("All classes", "")
        for name in classes:
            box.addItem(name, name)
        box.setCurrentIndex(max(0, box.findData(wanted)))
        box.blockSignals(was)

    def _class_chosen(self, index: int) -> None:
        if self._parameters is not None:
            self._parameters.classFilter = self._ui.classFilter.itemData(index) or ""
