"""Splits one outline round several lesions of the other scan, when the reader says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...case.followup import Pair
from ...review.case_view import CaseView
from ...review.comparing import ComparedCase
from ...review.reader_actions import ReaderActions
from ...stages.followup.parts import JoinedCut
from ...support.errors import LiverLesionAIError


class JoinedHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class JoinedPanel:
    """Offers the split of the selected row, and does it when the reader says so."""

    def __init__(self, host: JoinedHost, actions: ReaderActions, chosen: Callable[[], Pair | None]) -> None:
        """`chosen`: the pair of the selected row; None without one."""
        self._host, self._actions, self._chosen = host, actions, chosen
        self._compared: ComparedCase | None = None
        host.ui.splitPairButton.connect("clicked()", self.split)

    def show(self, compared: ComparedCase | None) -> None:
        """Show what there is to split."""
        self._compared = compared
        self._host.ui.splitPairButton.setEnabled(bool(self._cuts()))

    def split(self) -> None:
        """Split the joined outline of the selected row, or the only one; one undo step."""
        compared, cuts = self._compared, self._cuts()
        pair = self._chosen()
        if pair is not None or len(cuts) > 1:
            one = None if compared is None or pair is None else compared.followup.joined_of(pair)
            cuts = [cut for cut in cuts if cut.outline == one]
        if compared is None or not cuts:
            self._host.show_message(
                "Select the row of an outline round several lesions of the other scan first.", "warning"
            )
            return
        cut = cuts[0]
        try:
            self._split(cut, compared)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "error")
            return
        scan = "this" if cut.outline.in_current else "the prior"
        self._host.refresh()
        self._host.show_message(
            f"Lesion {cut.outline.number} of {scan} scan is split in {len(cut.parts)}. Check the seam; Undo "
            "takes it back."
        )

    def _split(self, cut: JoinedCut, compared: ComparedCase) -> None:
        case = self._host.case if cut.outline.in_current else compared.prior
        segment_id = next(row.segment_id for row in case.rows if row.number == cut.outline.number)
        self._actions.use(self._host.case)
        if cut.outline.in_current:
            self._actions.cut(segment_id, cut.parts)
            return
        with self._actions.on(case):
            self._actions.cut(segment_id, cut.parts)

    def _cuts(self) -> list[JoinedCut]:
        """Those that the reader has not paired anew."""
        if self._compared is None:
            return []
        followup = self._compared.followup
        wanted = [followup.joined_of(pair) for pair in followup.pairs]
        return [cut for cut in self._compared.cuts if cut.outline in wanted]
