"""The contrast phases of a CT's patient: chosen one by one, or found in the CT's study by their names."""

from __future__ import annotations

from typing import Any, Protocol

import slicer

from ...case.classes import Phase
from ...case.phases import hinted
from ...review.case_view import CaseView
from ...scene.study import patient_warning, same_study, study_of
from ..choices import ClassSetting, CtPhase
from ..parameters import PanelParameters
from ..run.other_scans import ChosenPhases
from ..run.volumes import all_cts

PARAMETERS = {
    Phase.UNENHANCED: "unenhancedVolume",
    Phase.ARTERIAL: "arterialVolume",
    Phase.PORTAL: "portalVolume",
    Phase.DELAYED: "delayedVolume",
}
SELECTORS = ("unenhancedSelector", "arterialSelector", "portalSelector", "delayedSelector")


class PhasesHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: PanelParameters | None

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class PhasesPanel:
    """What the reader chooses goes along with the next analysis; nothing is computed here."""

    def __init__(self, host: PhasesHost) -> None:
        self._host = host
        host.ui.findPhasesButton.connect("clicked()", self.find)

    def show(self) -> None:
        """Enable what can be chosen, and say how the shown case's phase looks."""
        host, ui = self._host, self._host.ui
        parameters = host.parameters
        wanted = parameters is not None and parameters.findClasses
        for name in (*SELECTORS, "ctPhaseSelector", "findPhasesButton", "settingSelector"):
            getattr(ui, name).setEnabled(wanted)
        if parameters is not None:
            setting = parameters.classSetting
            said = f"Taken to be met so often: {setting.text}. {setting.stated.source}"
            ui.priorsLabel.toolTip = setting.tip
            ui.priorsLabel.text = said if wanted else "Classes are switched off under Advanced."
        phase = host.case.phase
        ui.phaseLabel.text = "" if phase is None else phase.text
        ui.phaseLabel.setVisible(phase is not None and not ui.classesSection.collapsed)

    def chosen(self, volume: Any) -> ChosenPhases:
        """The phases that go along with a volume; a CT is no phase of itself, and none comes twice."""
        parameters = self._host.parameters
        if parameters is None or not parameters.findClasses or volume is not parameters.inputVolume:
            return ChosenPhases()
        own, found = parameters.ctPhase.phase, []
        for phase, name in PARAMETERS.items():
            node = getattr(parameters, name)
            taken = (volume, *(one for _, one in found))
            if node is not None and node not in taken and phase is not own:
                found.append((phase, node))
        return ChosenPhases(own, tuple(found))

    def settings(self) -> dict[str, Any]:
        """How often classes are met, where the reader chose another setting than the page of rules states."""
        parameters = self._host.parameters
        if parameters is None or parameters.classSetting is ClassSetting.STAGING:
            return {}
        return {"class_priors": [list(one) for one in parameters.classSetting.priors]}

    def warnings(self, volume: Any) -> tuple[str, ...]:
        """What is doubtful about the chosen phases, for the findings."""
        own, said = study_of(volume), []
        for phase, node in self.chosen(volume).others:
            if text := patient_warning(study_of(node), own):
                said.append(f"{phase.title[0].upper()}{phase.title[1:]} phase: {text}")
        return tuple(said)

    def find(self) -> None:
        """Choose the CTs of the shown CT's study by what they are called; others are left out."""
        host, parameters = self._host, self._host.parameters
        volume = parameters.inputVolume if parameters is not None else None
        if parameters is None or volume is None:
            host.show_message("Load a CT first.", "warning")
            return
        others = [node for node in same_study(volume, all_cts(slicer.mrmlScene)) if node is not volume]
        if not others:
            host.show_message(
                "No other CT lies in this CT's study: choose each phase in its list, or load the whole "
                "study.",
                "warning",
            )
            return
        own, said = hinted(volume.GetName()), []
        parameters.ctPhase = CtPhase.of(own)
        for phase, name in PARAMETERS.items():
            called = [node for node in others if hinted(node.GetName()) is phase]
            node = called[0] if called and phase is not own else None
            setattr(parameters, name, node)
            if node is not None:
                more = f" ({len(called) - 1} more called so)" if len(called) > 1 else ""
                said.append(f"{phase.title}: {node.GetName()}{more}")
        if not said:
            names = ", ".join(node.GetName() for node in others)
            host.show_message(f"None is called by a phase ({names}): choose each in its list.", "warning")
            return
        first = "" if own is None else f"This CT is called {own.title}. "
        host.show_message(f"{first}Found {'; '.join(said)}. Check them, then click Analyze.")
