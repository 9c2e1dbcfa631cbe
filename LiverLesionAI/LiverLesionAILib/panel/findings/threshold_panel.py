"""The threshold slider: what it moves at once, and how a move is undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...review.case_view import CaseView
from ...review.reader_actions import ReaderActions
from ...review.threshold import apply_threshold, calibrated_score
from ..parameters import PanelParameters

ONE_MOVE_S = 1.0
"""Values that follow each other within this time are one move of the reader's hand."""

SAME = 0.004
"""Less than a step of the slider."""


class ThresholdPanel:
    """Shows the lesions that the slider lets in; each move of it is one step of the undo history."""

    def __init__(
        self,
        ui: Any,
        scene: Any,
        actions: ReaderActions,
        segmenter: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ui, self._scene, self._actions = ui, scene, actions
        self._segmenter, self._clock = segmenter, clock
        self._parameters: PanelParameters | None = None
        self._shown: tuple[str, float] | None = None
        actions.move_threshold = self._move
        ui.thresholdStrictButton.connect("clicked()", lambda: self.reset("strict"))
        ui.thresholdResetButton.connect("clicked()", self.reset)
        ui.thresholdSensitiveButton.connect("clicked()", lambda: self.reset("sensitive"))

    def bind(self, parameters: PanelParameters | None) -> None:
        """The parameters that hold the threshold; None between scenes."""
        self._parameters = parameters
        self._shown = None

    def score(self) -> float:
        """The reader's threshold; the model's own before the first analysis of a scene."""
        calibrated = self._calibrated()
        if self._parameters is None:
            return calibrated
        if not self._parameters.thresholdSet:
            self._parameters.threshold = calibrated
            self._parameters.thresholdSet = True
        return self._parameters.threshold

    def reset(self, operating_point: str = "default") -> None:
        """To the model's calibrated threshold, or to a stricter or more sensitive point of its curve."""
        if self._parameters is not None:
            self._parameters.threshold = self._calibrated(operating_point)

    def _calibrated(self, operating_point: str = "default") -> float:
        # To what the slider shows, which would else write its own rounded value back.
        return round(calibrated_score(self._segmenter(), operating_point), 2)

    def follow(self, case: CaseView) -> CaseView:
        """Let lesions in and out as the slider says; the case as it then is, or the same one."""
        self._ui.thresholdSlider.setEnabled(case.table is not None)
        for button in (
            self._ui.thresholdStrictButton,
            self._ui.thresholdResetButton,
            self._ui.thresholdSensitiveButton,
        ):
            button.setEnabled(case.table is not None)
        if self._parameters is None or not self._parameters.thresholdSet or case.segmentation is None:
            self._shown = None
            return case
        owner, value = case.segmentation.GetID(), self._parameters.threshold
        before = self._shown[1] if self._shown is not None and self._shown[0] == owner else value
        if abs(value - before) > SAME:
            self._actions.use(case)
            self._actions.history.add_move(before, value, self._clock(), ONE_MOVE_S)
        self._shown = (owner, value)
        return apply_threshold(self._scene, case, value)

    def _move(self, value: float) -> None:
        """Undo and redo: the lesions follow with the next refresh."""
        if self._parameters is not None and self._shown is not None:
            self._shown = (self._shown[0], value)
            self._parameters.threshold = value
