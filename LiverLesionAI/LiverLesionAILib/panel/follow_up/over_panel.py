"""The buttons that lay the prior over the current scan: mixed in (Blend), or left of a divider (Swipe)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import qt
import slicer

from ...review.case_view import CaseView
from ...review.comparing import ComparedCase
from .blend import Blend


class OverHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: Any

    def refresh(self) -> None:
        """Show what the scene holds now."""


class OverPanel:
    """One of the two at a time; of maps and the prior one lies over the CT.

    Attributes:
        blend: what lies over the scan.
    """

    def __init__(self, host: OverHost, compared: Callable[[], ComparedCase | None]) -> None:
        self._host, self._compared = host, compared
        self.blend = Blend(self._dragged)
        self._map_before = False
        ui = host.ui
        ui.blendButton.connect("toggled(bool)", lambda on: self._over(False, on))
        ui.swipeButton.connect("toggled(bool)", lambda on: self._over(True, on))
        ui.blendSlider.connect("valueChanged(double)", self.blend.mix)

    def show(self, in_line: bool) -> None:
        """The prior lies over the scan as long as it is the same two, and no map was asked for since."""
        ui, parameters = self._host.ui, self._host.parameters
        same = in_line and self.blend.shows(self._host.case, self._compared())
        if self.blend.active and (not same or (parameters is not None and parameters.showMap)):
            self.blend.stop()
        self.blend.limit()
        ui.blendSlider.setEnabled(in_line and self.blend.active)
        for button, swipe in ((ui.blendButton, False), (ui.swipeButton, True)):
            button.setEnabled(in_line)
            was = button.blockSignals(True)
            button.checked = self.blend.active and self.blend.swiping is swipe
            button.blockSignals(was)

    def step(self, direction: int) -> None:
        """The slider goes one step up or down, and what it moves with it."""
        slider = self._host.ui.blendSlider
        if self.blend.active:
            slider.value = min(1.0, max(0.0, slider.value + direction * slider.singleStep))

    def forget(self) -> None:
        """The scene or the module goes."""
        self.blend.forget()
        self._host.ui.blendButton.checked = self._host.ui.swipeButton.checked = False

    def _dragged(self, share: float) -> None:
        """The divider was dragged: the slider says where it is, and draws."""
        self._host.ui.blendSlider.value = share

    def _over(self, swipe: bool, wanted: bool) -> None:
        """A map that lay over the CT comes back afterwards."""
        parameters, compared = self._host.parameters, self._compared()
        other = self.blend.active and self.blend.swiping is not swipe
        if self.blend.active and (other or not wanted):
            self.blend.stop()
        if wanted and compared is not None:
            slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
            try:
                self.blend.start(self._host.case, compared, self._host.ui.blendSlider.value, swipe=swipe)
            finally:
                slicer.app.restoreOverrideCursor()
            if parameters is not None and not other:
                self._map_before, parameters.showMap = parameters.showMap, False
        elif not wanted and not other and parameters is not None and self._map_before:
            parameters.showMap, self._map_before = True, False
        self._host.refresh()
