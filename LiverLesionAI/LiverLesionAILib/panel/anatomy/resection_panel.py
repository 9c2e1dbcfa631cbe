"""The section Remnant: what is resected, what remains, and whether the surgeon's own minimum is reached."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import qt
import slicer

from ...case.anatomy import CouinaudSegment
from ...case.remnant import Remnant
from ...case.resection import ResectionWay
from ...case.resection_plan import LiverState, ResectionPlan
from ...review.case_view import CaseView, ListedLesion
from ...review.planning import REF_DRAWN, DrawnElsewhere, Planning, chosen_elsewhere, drawn_elsewhere, plan_of
from ...review.reader_actions import ReaderActions
from ...review.scene_anatomy import SceneAnatomy
from ...support.errors import InputError

SETTLE_MS = 350
"""A spin box that goes on within this time is one move of the reader's hand."""
WAYS = {
    None: "Resect: nothing chosen",
    ResectionWay.SEGMENTS: "Couinaud segments",
    ResectionWay.MARGIN: "Lesions with a margin",
    ResectionWay.MASK: "A segment drawn elsewhere",
}
NO_STATE = "state of the liver"
WARNING = "color:#b35900"


class ResectionHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class ResectionPanel:
    """Shows the plan of the shown case; every change is one undo step."""

    def __init__(self, host: ResectionHost, actions: ReaderActions, anatomy: SceneAnatomy) -> None:
        self._host, self._actions = host, actions
        self._planning = Planning(slicer.mrmlScene, anatomy)
        self._drawn: list[DrawnElsewhere] = []
        ui = host.ui
        for name in WAYS.values():
            ui.resectionWay.addItem(name)
        ui.liverState.addItem(NO_STATE)
        for state in LiverState:
            ui.liverState.addItem(state.value)
        self._buttons = {one: getattr(ui, f"resect{int(one)}Button") for one in CouinaudSegment}
        for one, button in self._buttons.items():
            button.connect("clicked()", lambda one=one: self._toggle(one))
        ui.resectionWay.connect("activated(int)", self._way)
        ui.resectDrawn.connect("activated(int)", self._take_drawn)
        ui.liverState.connect("activated(int)", self._state)
        ui.resectLesionsButton.connect("clicked()", self._lesions)
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.connect("timeout()", self._margin)
        ui.resectMarginSpin.connect("valueChanged(double)", lambda value: self._settle.start())
        for edit in (ui.heightEdit, ui.weightEdit, ui.minimumEdit):
            edit.connect("editingFinished()", self._numbers)
        ui.resectionSection.connect("contentsCollapsed(bool)", lambda collapsed: self.show())

    def show(self) -> None:
        """Show the plan, and what it takes and leaves."""
        ui, case = self._host.ui, self._host.case
        there, is_open = case.segmentation is not None, not ui.resectionSection.collapsed
        ui.resectionSection.setEnabled(there)
        if not is_open:
            return
        plan = plan_of(case)
        ui.resectionWay.setCurrentIndex(list(WAYS).index(plan.way if plan.way in WAYS else None))
        ui.resectSegments.setVisible(plan.way is ResectionWay.SEGMENTS)
        ui.resectMargin.setVisible(plan.way is ResectionWay.MARGIN)
        ui.resectDrawn.setVisible(plan.way is ResectionWay.MASK)
        for one, button in self._buttons.items():
            button.checked = one in plan.segments
        if not self._settle.active:
            was = ui.resectMarginSpin.blockSignals(True)
            ui.resectMarginSpin.setValue(plan.margin_mm)
            ui.resectMarginSpin.blockSignals(was)
        numbers = ", ".join(map(str, plan.lesions))
        ui.resectLesionsButton.text = f"Lesion {numbers}" if numbers else "All lesions"
        ui.resectLesionsButton.checked = bool(numbers)
        ui.liverState.setCurrentIndex(0 if plan.state is None else 1 + list(LiverState).index(plan.state))
        for edit, number, unit in (
            (ui.heightEdit, plan.height_cm, "cm"),
            (ui.weightEdit, plan.weight_kg, "kg"),
            (ui.minimumEdit, plan.least_percent, "%"),
        ):
            if not edit.focus:
                edit.text = "" if number is None else f"{number:g} {unit}"
        self._list_drawn(case)
        ui.resectionLabel.text = self._result(case, plan) if there else ""

    def close(self) -> None:
        """The scene or the module goes."""
        self._settle.stop()
        self._drawn = []

    def _result(self, case: CaseView, plan: ResectionPlan) -> str:
        try:
            made = self._planning.measure(case)
        except InputError as error:
            return html.escape(str(error), quote=False)
        return "" if made is None else remnant_html(made[1].remnant, plan.state)

    def _list_drawn(self, case: CaseView) -> None:
        box = self._host.ui.resectDrawn
        self._drawn = drawn_elsewhere(slicer.mrmlScene)
        chosen = chosen_elsewhere(slicer.mrmlScene, case)
        titles = ["Choose a segment", *(one.title for one in self._drawn)]
        if [box.itemText(k) for k in range(box.count)] != titles:
            box.clear()
            box.addItems(titles)
        at = [k for k, one in enumerate(self._drawn, 1) if chosen is not None and _same(one, chosen)]
        box.setCurrentIndex(at[0] if at else 0)

    # -- what the surgeon chooses

    def _change(self, label: str, **fields: object) -> None:
        case = self._host.case
        if case.table is None:
            return
        plan = replace(plan_of(case), **fields)  # type: ignore[arg-type]
        self._actions.use(case)
        self._actions.plan(label, plan.text)
        self._host.refresh()

    def _way(self, index: int) -> None:
        self._change("resection", way=list(WAYS)[index])

    def _toggle(self, one: CouinaudSegment) -> None:
        chosen = set(plan_of(self._host.case).segments) ^ {one}
        self._change("resected segments", segments=tuple(s for s in self._buttons if s in chosen))

    def _margin(self) -> None:
        self._change("margin", margin_mm=float(self._host.ui.resectMarginSpin.value))

    def _lesions(self) -> None:
        """Those that are selected; all where some were chosen before, or none is selected."""
        numbers = tuple(sorted(row.number for row in self._host.selection() if not row.box_only))
        before = plan_of(self._host.case).lesions
        self._change("resected lesions", lesions=() if before == numbers else numbers)

    def _take_drawn(self, index: int) -> None:
        one = self._drawn[index - 1] if 0 < index <= len(self._drawn) else None
        table = self._host.case.table
        if table is None:
            return
        if one is not None:
            table.SetNodeReferenceID(REF_DRAWN, one.node.GetID())
        self._change("resection", drawn="" if one is None else one.segment_id)

    def _state(self, index: int) -> None:
        self._change("state of the liver", state=None if index <= 0 else list(LiverState)[index - 1])

    def _numbers(self) -> None:
        ui = self._host.ui
        texts = {
            "height_cm": ui.heightEdit.text,
            "weight_kg": ui.weightEdit.text,
            "least_percent": ui.minimumEdit.text,
        }
        numbers: dict[str, float | None] = {}
        for name, text in texts.items():
            try:
                number = text.replace(",", ".").strip(" cmkg%")
                numbers[name] = float(number) if text.strip() else None
            except ValueError:
                self._host.show_message(f"{html.escape(text)} is no number.", "warning")
                return
        least = numbers["least_percent"]
        if least is not None and not 0 < least <= 100:
            self._host.show_message("Give the minimum in per cent, above 0 to 100.", "warning")
            return
        try:
            _ = replace(ResectionPlan(), **numbers).body  # type: ignore[arg-type]
        except InputError as error:
            self._host.show_message(str(error), "warning")
            return
        plan = plan_of(self._host.case)
        if any(getattr(plan, name) != number for name, number in numbers.items()):
            self._change("height, weight, minimum", **numbers)


def remnant_html(remnant: Remnant, state: LiverState | None) -> str:
    """The figures; warnings, and a remnant below the surgeon's minimum, in colour."""
    said: Sequence[str] = remnant.text.split("\n")
    lines = []
    for line in said:
        text = html.escape(line, quote=False)
        warns = line in remnant.warnings or "NOT" in line or line.endswith("tumour remain.")
        lines.append(f'<span style="{WARNING}"><b>{text}</b></span>' if warns else text)
    if state is not None:
        lines.insert(0, f"Liver: {html.escape(state.value)}.")
    return "<br>".join(lines)


def _same(one: DrawnElsewhere, other: DrawnElsewhere) -> bool:
    return one.node is other.node and one.segment_id == other.segment_id
