"""The choice of map and what it means; switches and sliders beside it are bound by the form."""

from __future__ import annotations

from typing import Any

from ...review.case_view import CaseView
from ...scene import nodes
from ...stages.explain.names import STRIP
from ..findings.bars import bars_html, strip_html
from ..parameters import PanelParameters
from .overlays import chosen_map, fill_lesion_maps, is_family, map_names, map_range

_WIDGETS = ("mapBox", "mapSelector", "mapOpacity", "mapThreshold", "mapColours", "legendBox")


class MapPanel:
    """Lists every map of the case."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._parameters: PanelParameters | None = None
        self._names: list[str] = []
        ui.mapSelector.connect("currentIndexChanged(int)", self._chosen)

    def bind(self, parameters: PanelParameters | None) -> None:
        """The parameters that hold the choice; None between scenes."""
        self._parameters = parameters

    def show(self, case: CaseView) -> None:
        """List a case's maps; the first one is chosen where the reader has chosen none of them."""
        box = self._ui.mapSelector
        names = map_names(case)
        for name in _WIDGETS:
            getattr(self._ui, name).setEnabled(bool(names))
        if self._parameters is not None and names and self._parameters.mapName not in names:
            self._parameters.mapName = names[0]
        wanted = self._parameters.mapName if self._parameters is not None else ""
        was = box.blockSignals(True)
        if names != self._names:
            box.clear()
            box.addItems(names)
            self._names = names
        if wanted in names:
            box.setCurrentIndex(names.index(wanted))
        box.blockSignals(was)
        if self._parameters is not None and is_family(case, wanted):
            fill_lesion_maps(case, self._parameters.selectedSegment)
        self._ui.mapMeaning.text = self._meaning(case, wanted)
        node = chosen_map(case, wanted, self._parameters.selectedSegment) if self._parameters else None
        bars = nodes.read_bars(node) if node is not None else {}
        as_html = strip_html if wanted.startswith(STRIP) else bars_html
        self._ui.mapBars.text = as_html(bars) if bars else ""
        self._ui.mapBars.setVisible(bool(bars) and not self._ui.overlaysSection.collapsed)

    def _meaning(self, case: CaseView, wanted: str) -> str:
        selected = self._parameters.selectedSegment if self._parameters is not None else ""
        node = chosen_map(case, wanted, selected)
        if node is None and is_family(case, wanted):
            row = case.row(selected)
            return f"There is none for {row.name}." if row else "One for each lesion: select a lesion."
        if node is None or node.GetDisplayNode() is None:
            return ""
        low, high = map_range(node)
        unit = node.GetAttribute(nodes.ATTR_UNIT) or ""
        meaning = node.GetAttribute(nodes.ATTR_MEANING) or ""
        return f"{meaning} Range {low:g} to {high:g}{' ' * bool(unit)}{unit}."

    def _chosen(self, index: int) -> None:
        if self._parameters is not None and 0 <= index < len(self._names):
            self._parameters.mapName = self._names[index]
