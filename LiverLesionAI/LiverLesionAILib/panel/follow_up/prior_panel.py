"""The choice of an earlier scan, and having it compared with the shown one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer

from ...review.case_view import CaseView, read_case
from ...review.comparing import forget_comparison, prior_of
from ...review.earlier_case import add_earlier_case
from ...review.prior_question import PriorQuestion
from ...support.errors import LiverLesionAIError
from ..parameters import PanelParameters
from ..run.queue import AnalysisQueue
from ..run.sample_case import load_both_scans


class PriorHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: PanelParameters | None

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class PriorPanel:
    """Keeps the chosen prior and the kept comparison together."""

    def __init__(
        self, host: PriorHost, queue: AnalysisQueue, choose: Callable[[Any], str] | None = None
    ) -> None:
        """`choose`: (parent widget) -> case folder, "" when the reader thinks better of it."""
        self._host, self._queue, self._choose = host, queue, choose or _choose_case
        self._shown: Any = None
        self._asked: tuple[str, str] | None = None
        ui = host.ui
        menu = self._menu = qt.QMenu(ui.priorButton)
        menu.addAction("Saved or imported case…").connect("triggered()", self.open_case)
        menu.addAction("Sample case and its follow-up").connect("triggered()", self.open_sample)
        ui.priorButton.setMenu(menu)

    def show(self) -> None:
        """Another CT is shown, or another prior was chosen: agree, and compare what is not compared yet."""
        parameters, case = self._host.parameters, self._host.case
        if parameters is None or case.volume is None:
            self._shown = None
            return
        kept = prior_of(case)
        if case.volume is not self._shown:
            # Of this CT the scene says which is its prior; an empty choice was another CT's.
            self._shown = case.volume
            if kept is not None or parameters.priorVolume is case.volume:
                parameters.priorVolume = kept
        chosen = parameters.priorVolume
        if chosen is case.volume:
            self._host.show_message("A scan is no prior of itself: choose an earlier CT.", "warning")
            parameters.priorVolume = None
        elif chosen is None:
            self._asked = None
            if kept is not None:
                forget_comparison(case)
        elif chosen is not None and chosen is not kept:
            self.compare(case.volume, chosen)

    def compare(self, volume: Any, prior: Any) -> None:
        """Compare two cases with findings; nothing where one has none yet, or they were asked for already."""
        cases = [read_case(slicer.mrmlScene, one) for one in (volume, prior)]
        asked = volume.GetID(), prior.GetID()
        if any(case.segmentation is None for case in cases) or self._asked == asked:
            return
        self._asked = asked
        self._queue.ask(volume, PriorQuestion(slicer.mrmlScene, volume, prior), prior)

    def to_analyse_first(self) -> Any:
        """The chosen prior where it has no findings yet; None else."""
        parameters = self._host.parameters
        prior = parameters.priorVolume if parameters is not None else None
        self._asked = None
        if prior is None or read_case(slicer.mrmlScene, prior).segmentation is not None:
            return None
        return prior

    def open_case(self) -> None:
        """A case folder as the prior."""
        folder = self._choose(self._host.ui.priorButton)
        parameters = self._host.parameters
        if not folder or parameters is None:
            return
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            volume = add_earlier_case(slicer.mrmlScene, Path(folder))
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "error")
        else:
            parameters.priorVolume = volume
            self._host.show_message(f"{volume.GetName()} is the prior scan.")
        finally:
            slicer.app.restoreOverrideCursor()

    def open_sample(self) -> None:
        """The sample case as the prior of its follow-up: to try it all."""
        parameters = self._host.parameters
        if parameters is None:
            return
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            prior, current = load_both_scans(slicer.mrmlScene)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "error")
        else:
            parameters.inputVolume = current
            self._host.refresh()
            parameters.priorVolume = prior
            self._host.show_message("The sample case and its follow-up. Click Analyze: both are analyzed.")
        finally:
            slicer.app.restoreOverrideCursor()


def _choose_case(parent: Any) -> str:
    return qt.QFileDialog.getExistingDirectory(parent, "Case folder of the earlier scan", str(Path.home()))
