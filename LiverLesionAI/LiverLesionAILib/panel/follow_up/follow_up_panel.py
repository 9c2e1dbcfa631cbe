"""The section Follow-up: pairs of lesions to correct and confirm, and the response with its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import qt
import slicer

from ...case.comparison import NOTHING, REMOVED, ReaderWords, key_of, laid_on, outline_of
from ...case.course import proposed_targets
from ...case.followup import LesionState, Pair
from ...case.other_targets import OtherTarget, read_other_targets
from ...case.recist import NonTarget
from ...pictures.followup_plot import followup_svg
from ...review.case_view import CaseView
from ...review.comparing import ComparedCase, Comparisons
from ...review.reader_actions import ReaderActions
from ...scene.marks import Shown, draw_marks
from ...scene.ras import volume_geometry
from ...scene.study import day_of
from ..show.views import centre_ras
from .criteria_panel import CriteriaPanel
from .joined_panel import JoinedPanel
from .linked_views import LinkedViews, everywhere
from .over_panel import OverPanel
from .pair_model import PairModel, target_numbers
from .row_drag import NOWHERE, RowDrag
from .texts import drop_text, response_html, state_html

PLOT_WIDTH = 340
"""Pixels: what the panel has room for at its narrowest."""


class FollowUpHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: Any

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def select(self, segment_id: str) -> None:
        """Select a lesion."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class FollowUpPanel:
    """Shows the comparison of the shown case; every correction is one undo step.

    Attributes:
        compared: what is shown; None without a prior.
        linked: the prior's views beside the current ones.
        over: the prior over the current scan, mixed in or left of a divider.
        model: the table's rows.
        joined: one outline round several lesions, to be split.
        criteria: those of the disease that the reader names.
    """

    def __init__(self, host: FollowUpHost, actions: ReaderActions) -> None:
        self._host, self._actions, ui = host, actions, host.ui
        self._comparisons = Comparisons(slicer.mrmlScene)
        self.compared: ComparedCase | None = None
        self.linked, self.over = LinkedViews(), OverPanel(host, lambda: self.compared)
        self.model = PairModel()
        ui.pairTable.setModel(self.model)
        ui.pairTable.verticalHeader().setVisible(False)
        ui.pairTable.horizontalHeader().setMinimumSectionSize(24)
        ui.pairTable.connect("clicked(QModelIndex)", self._clicked)
        self._drag = RowDrag(ui.pairTable, self._drop_means, self.model.mark, self.drop)
        self._menu = qt.QMenu(ui.linkButton)
        self._menu.connect("aboutToShow()", self._fill_menu)
        ui.linkButton.setMenu(self._menu)
        for button, method in (
            (ui.unlinkButton, self.unlink),
            (ui.confirmButton, self.confirm),
            (ui.targetButton, self.toggle_target),
            (ui.proposedButton, self.propose_targets),
        ):
            button.connect("clicked()", method)
        self.joined = JoinedPanel(host, actions, lambda: self.model.pair(self._row()))
        self.criteria = CriteriaPanel(host, self._say)
        ui.besideButton.connect("toggled(bool)", self._beside)
        for word in NonTarget:
            ui.nonTargetBox.addItem(f"other lesions: {word.value}", word.name)
        ui.nonTargetBox.connect("activated(int)", self._non_target)
        for edit in (ui.elsewhereEdit, ui.priorDayEdit, ui.currentDayEdit):
            edit.connect("editingFinished()", self._texts_given)

    def show(self) -> None:
        """Show the comparison as it stands."""
        ui, row = self._host.ui, self._row()
        self.compared = self._comparisons.read(self._host.case)
        ui.followUpSection.setVisible(self.compared is not None)
        self.model.show(self.compared)
        self.joined.show(self.compared)
        self.criteria.show(self.compared)
        self._link()
        if self.compared is None:
            return
        self.model.fit(ui.pairTable)
        if 0 <= row < self.model.rowCount():
            ui.pairTable.selectRow(row)
        ui.priorStateLabel.text = state_html(self.compared)
        ui.recistLabel.text = response_html(self.compared)
        self._draw(self.compared)
        words = self.compared.words
        was = ui.nonTargetBox.blockSignals(True)
        ui.nonTargetBox.setCurrentIndex(ui.nonTargetBox.findData(words.non_target.name))
        ui.nonTargetBox.blockSignals(was)
        for edit, text in (
            (ui.elsewhereEdit, "; ".join(target.text for target in words.elsewhere)),
            (ui.priorDayEdit, _day_text(words.prior_day)),
            (ui.currentDayEdit, _day_text(words.current_day)),
        ):
            if not edit.focus:
                edit.text = text
        # The date that counts where the reader has typed none: an example would be read as one.
        scans = self.compared.followup
        for edit, whose, scan in (
            (ui.priorDayEdit, "prior", scans.prior),
            (ui.currentDayEdit, "now", scans.current),
        ):
            edit.placeholderText = f"{whose}: {_day_text(scan.day) or 'YYYY-MM-DD'}"

    # -- side by side

    def keys(self) -> dict[str, Callable[[], None]]:
        """Keys that work while the module is open."""
        ui = self._host.ui
        buttons = {"B": ui.besideButton, "V": ui.blendButton, "W": ui.swipeButton}
        pressed = {key: partial(self._press, button) for key, button in buttons.items()}
        return {**pressed, ",": partial(self.over.step, -1), ".": partial(self.over.step, 1)}

    def _press(self, button: Any) -> None:
        """As a click on a button that stays down."""
        if self.compared is not None and button.enabled:
            button.checked = not button.checked

    def close(self) -> None:
        """Follow no view any more: the scene or the module goes."""
        self.linked.forget()
        self.over.forget()
        self._host.ui.besideButton.checked = False

    def lesion_selected(self, number: int) -> None:
        """The prior's views, where they are shown, go to the same lesion."""
        pair = None if self.compared is None else self.compared.followup.pair_of(number)
        if pair is not None and self.linked.active and (place := self._prior_place(pair)) is not None:
            self.linked.centre_prior(place)

    def _beside(self, wanted: bool) -> None:
        if wanted and self.compared is not None:
            self.linked.start(self._host.case, self.compared)
        elif not wanted and self.linked.active:
            self.linked.stop()
        self._host.refresh()

    def _link(self) -> None:
        """The views agree with the comparison as it stands."""
        compared, button = self.compared, self._host.ui.besideButton
        in_line = compared is not None and compared.alignment.movement is not None
        self.over.show(in_line)
        if self.linked.active and not (in_line and self.linked.shows(self._host.case, compared)):
            self.linked.stop()
        button.setEnabled(in_line)
        was = button.blockSignals(True)
        button.checked = self.linked.active
        button.blockSignals(was)
        if compared is not None and self.linked.active:
            self.linked.limit(self._host.case, compared)
            return
        everywhere(self._host.case)
        if compared is not None:
            _hide(compared.prior)

    def _prior_place(self, pair: Pair) -> tuple[float, float, float] | None:
        """Where the pair's largest lesion lies in the prior scan, in the world's RAS mm."""
        prior = self.compared.prior  # type: ignore[union-attr]
        row = next((r for r in prior.rows if r.number in pair.prior), None)
        return None if row is None else centre_ras(prior, row.segment_id)

    def _draw(self, compared: ComparedCase) -> None:
        """The targets over time; nothing where there is no target, or this Qt cannot draw SVG."""
        label, pixmap = self._host.ui.followUpPlot, qt.QPixmap()
        svg = followup_svg(compared.course, compared.targets, compared.elsewhere)
        there = bool(svg) and bool(pixmap.loadFromData(svg.encode(), "SVG"))
        label.setVisible(there and not self._host.ui.followUpSection.collapsed)
        if there:
            label.setPixmap(pixmap.scaledToWidth(PLOT_WIDTH, qt.Qt.SmoothTransformation))

    # -- pairs

    def _row(self) -> int:
        rows = self._host.ui.pairTable.selectionModel().selectedRows()
        return rows[0].row() if rows else -1

    def _pair(self) -> Pair | None:
        pair = self.model.pair(self._row())
        if pair is None:
            self._host.show_message("Select a row of the follow-up table first.", "warning")
        return pair

    def _clicked(self, index: Any) -> None:
        pair = self.model.pair(index.row())
        row = next((r for r in self._host.case.rows if pair and r.number in pair.current), None)
        if row is not None:
            self._host.select(row.segment_id)
        elif pair is not None and self.linked.active and (place := self._prior_place(pair)) is not None:
            # Gone: the views of this scan go where it was.
            self.linked.show_place(place)

    def _keys(self, pair: Pair) -> tuple[list[str], list[str]]:
        followup = self.compared.followup  # type: ignore[union-attr]
        before = [key_of(followup.prior.lesions[n]) for n in pair.prior]
        return before, [key_of(followup.current.lesions[n]) for n in pair.current]

    def _fill_menu(self) -> None:
        """The lesions of the other scan that the selected one may be."""
        menu, pair, compared = self._menu, self.model.pair(self._row()), self.compared
        menu.clear()
        if pair is None or compared is None:
            menu.addAction("Select a row first").setEnabled(False)
            return
        followup, now = compared.followup, bool(pair.current)
        for number, lesion in sorted((followup.prior if now else followup.current).lesions.items()):
            text = f"{'prior' if now else 'present'} lesion {number}, {lesion.long_axis_mm:.0f} mm"
            menu.addAction(text).connect("triggered()", lambda n=number: self.link(n))
        if not now and pair.state is not LesionState.RESECTED:
            menu.addAction("resected since the prior scan").connect("triggered()", self.resected)

    def link(self, number: int) -> None:
        """The selected lesion is that one of the other scan."""
        pair, compared = self._pair(), self.compared
        if pair is None or compared is None:
            return
        before, now = self._keys(pair)
        followup = compared.followup
        if now:
            ends = key_of(followup.prior.lesions[number]), now[0]
        else:
            ends = before[0], key_of(followup.current.lesions[number])
        self._say("link lesions", compared.words.linking(*ends))

    def drop(self, row: int, other: int) -> None:
        """A row was dragged onto another one: their lesions are one; or off the table: they are not."""
        dragged, target = self.model.pair(row), self.model.pair(other)
        if dragged is None or self.compared is None:
            return
        self._host.ui.pairTable.selectRow(row)
        if target is None:
            self.unlink()
        elif (ends := laid_on(dragged, target)) is not None:
            followup = self.compared.followup
            keys = followup.prior.lesions[ends[0]], followup.current.lesions[ends[1]]
            said = drop_text(dragged, target)
            self._say("link lesions", self.compared.words.linking(*map(key_of, keys)))
            self._host.show_message(f"{said} Undo (Ctrl+Z) takes it back.")

    def _drop_means(self, row: int, other: int) -> tuple[bool, str]:
        dragged, target = self.model.pair(row), self.model.pair(other)
        if dragged is None:
            return False, ""
        if other == NOWHERE:
            return bool(dragged.prior and dragged.current), drop_text(dragged, None)
        return target is not None and laid_on(dragged, target) is not None, drop_text(dragged, target)

    def unlink(self) -> None:
        """The two lesions of the selected row are not the same."""
        pair = self._pair()
        if pair is None or self.compared is None:
            return
        before, now = self._keys(pair)
        if pair.state in (LesionState.FAINT, LesionState.RESECTED):
            # What is seen in the other scan is none, or its part of the liver is there: it is gone, or new.
            said = self.compared.words.linking(*(before or [NOTHING]), *(now or [NOTHING]))
            self._say("unlink lesions", said)
            return
        if not (pair.prior and pair.current):
            self._host.show_message("This lesion is in one of the scans only.", "warning")
            return
        self._say("unlink lesions", self.compared.words.unlinking(before[0], now[0]))

    def confirm(self) -> None:
        """The selected proposal is right."""
        pair = self._pair()
        if pair is None or self.compared is None:
            return
        if pair.state is LesionState.FAINT:
            self._host.show_message(
                "What is faint in one scan is listed in the other only. Add it where it is missing (L), or "
                "Unlink: then it is new, or gone.",
                "warning",
            )
            return
        if pair.state is LesionState.RESECTED:
            self.resected()
            return
        words, (before, now) = self.compared.words, self._keys(pair)
        if (outline := outline_of(self.compared.followup, pair)) is not None:
            self._say("confirm outline", replace(words, outlines=(*words.outlines, outline)))
            return
        if len(before) + len(now) > 2:
            self._host.show_message("Merged and split lesions need no word of yours.")
            return
        said = words.linking(before[0] if before else NOTHING, now[0] if now else NOTHING)
        self._say(f"confirm {pair.state.value}", said)

    def resected(self) -> None:
        """The selected lesion of the prior scan was taken out since."""
        pair = self._pair()
        if pair is not None and self.compared is not None and pair.prior and not pair.current:
            words = self.compared.words.linking(self._keys(pair)[0][0], REMOVED)
            self._say(f"confirm {LesionState.RESECTED.value}", words)

    # -- targets

    def toggle_target(self) -> None:
        """The selected lesion becomes a target, or is none any more."""
        pair, compared = self._pair(), self.compared
        if pair is None or compared is None:
            return
        course = compared.course
        before = len(course.points) - 2
        track = next((t for t in course.tracks if set(t.numbers[before]) & set(pair.prior)), None)
        if track is None or not track.numbers[0]:
            self._host.show_message("Only a lesion of the oldest scan can be a target.", "warning")
            return
        chosen = list(compared.targets if compared.targets is not None else proposed_targets(course))
        off = bool(target_numbers(compared) & set(pair.prior))
        chosen = [n for n in chosen if n not in track.numbers[0]]
        if not off:
            chosen += track.numbers[0]
        keys = tuple(key_of(course.points[0].lesions[n]) for n in chosen)
        self._say("targets", replace(compared.words, targets=keys))

    def propose_targets(self) -> None:
        """Back to the proposed targets."""
        if self.compared is not None:
            self._say("targets", replace(self.compared.words, targets=None))

    def _non_target(self, index: int) -> None:
        if self.compared is not None:
            word = NonTarget[self._host.ui.nonTargetBox.itemData(index)]
            self._say("other lesions", replace(self.compared.words, non_target=word))

    def _texts_given(self) -> None:
        ui, compared = self._host.ui, self.compared
        if compared is None:
            return
        days = [day_of(edit.text) for edit in (ui.priorDayEdit, ui.currentDayEdit)]
        for edit, day in zip((ui.priorDayEdit, ui.currentDayEdit), days, strict=True):
            if edit.text.strip() and day is None:
                self._host.show_message(f"{edit.text} is no date: write 2026-11-29.", "warning")
                return
        others = _others(ui.elsewhereEdit.text, len(compared.course.points))
        if others is None:
            self._host.show_message(
                f"Give {len(compared.course.points)} lengths in mm for each target outside of the liver, the "
                "oldest scan first: 31.5, 28; n 16, 9 (a lymph node's short axis); 0 is gone, - is not shown "
                "by that scan.",
                "warning",
            )
            return
        words = replace(compared.words, elsewhere=others, prior_day=days[0], current_day=days[1])
        self._say("dates and other targets", words)

    def _say(self, label: str, words: ReaderWords) -> None:
        self._actions.use(self._host.case)
        self._actions.say(label, words.text)
        self._host.refresh()


def _hide(prior: CaseView) -> None:
    """The prior's masks and marks lie in another scan: over this one they would mislead."""
    display = prior.segmentation.GetDisplayNode() if prior.segmentation is not None else None
    if display is not None and display.GetVisibility():
        display.SetVisibility(False)
    if prior.marks is not None:
        draw_marks(prior.marks, [], Shown(), volume_geometry(prior.volume))


def _day_text(day: Any) -> str:
    return "" if day is None else day.isoformat()


def _others(text: str, scans: int) -> tuple[OtherTarget, ...] | None:
    """The typed targets; None where one has not a length for every scan."""
    try:
        made = read_other_targets(text)
    except ValueError:
        return None
    return made if all(len(target.axes_mm) == scans for target in made) else None
